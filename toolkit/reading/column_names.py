"""What exports call the columns of a customer table, and what their cells look like.

The names are in ``column_names.toml``, in seven languages and the spellings of eight systems. A name is compared
without its case, accents, spaces and punctuation: ``Kunden-Nr.`` is ``kundennr``. Outside the model this is the only
room that knows the columns of the customer table by name: another table needs its own words here. A custom attribute
has its own name and no others.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rapidfuzz import fuzz, process

from toolkit.display import plural
from toolkit.model import CUSTOMER, ID, TIME, Column
from toolkit.reading.date_patterns import DatePattern, infer_pattern

SAMPLE = 5_000
FEW = 300
"""The most distinct values of a column that groups rows."""
MANY_ROWS = 20
"""Rows from which on it means anything that values repeat."""
_WORDS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_BROAD_SCORE, _USUAL_SCORE = 0.6, 0.9
"""The scores of a name that fits other columns too, and of a usual one; the schema's own name has 1."""
_SLIP = 88
"""Likeness, of 100, from which on another spelling is a typing error."""
_SHORTEST = 6
"""Characters that a name must have to be compared so."""
_CODE = re.compile(r"^[^\s,;@]{1,40}$")
_LETTER = re.compile(r"[^\W\d_]")
_AMOUNT = re.compile(r"^-?\d+[.,]\d{2}$")
_DIGITS = re.compile(r"\d\D*\d\D*\d")
_LEGAL_FORM = re.compile(rf"(?i)\b(?:{_WORDS['legal_forms']})\b\.?")
_SYSTEMS = {"erp", "sap", "crm"}
"""What exports write where the schema has a closed list of who created a row; a correction replaces them."""


@dataclass(frozen=True)
class Content:
    """What the cells of one file column look like.

    Attributes
    ----------
    n_rows, n_filled, n_distinct
        Rows; cells that are not empty; distinct ones among them.
    values
        The distinct cells of a sample, with their counts.
    times
        How it writes times; None if it contains none.
    """

    n_rows: int
    n_filled: int
    n_distinct: int
    values: Counter[str]
    times: DatePattern | None

    @property
    def unique(self) -> float:
        """Share of the filled cells that are distinct, 0 to 1."""
        return self.n_distinct / self.n_filled if self.n_filled else 0.0

    def share(self, pattern: re.Pattern[str]) -> float:
        """Return the share of the distinct cells that contain a pattern, 0 to 1."""
        return sum(pattern.search(value) is not None for value in self.values) / max(len(self.values), 1)


def read_content(cells: pa.ChunkedArray, *, iso_too: bool = False) -> Content:
    """Look at a column of text: all rows for counts and times, a sample of them for the rest."""
    filled = cells.filter(pc.greater(pc.binary_length(cells), 0))
    places = np.unique(np.linspace(0, max(len(cells) - 1, 0), min(len(cells), SAMPLE), dtype=np.int64))
    values = Counter(value for value in cells.take(pa.array(places)).to_pylist() if value.strip())
    sampled = infer_pattern(pa.chunked_array([pa.array(list(values), pa.large_string())]), iso_too=iso_too)
    times = infer_pattern(cells, iso_too=iso_too) if sampled.share >= 0.5 else None
    return Content(len(cells), len(filled), pc.count_distinct(filled).as_py(), values, times)


@dataclass(frozen=True)
class Match:
    """How well a file column's name, or its cells, match a schema column: a score from 0 to 1, and why.

    Attributes
    ----------
    against
        What makes another column more likely; empty if nothing does.
    alone
        The weight of the cells if the name matches nothing.
    """

    score: float
    reason: str
    against: str = ""
    alone: float = 0.0


def fold_name(name: str) -> str:
    """Fold a column's name to words without case, accents or punctuation, ``ae`` as ``ä``.

    Examples
    --------
    >>> fold_name("Geändert_am"), fold_name("LastModifiedDate"), fold_name("Price_List__c"), fold_name("N° client")
    ('geandert am', 'last modified date', 'price list', 'n client')
    """
    name = re.sub(r"__c$", "", name.strip())
    name = re.sub(r"(?<=[a-zà-ÿ])(?=[A-ZÀ-Ý])", " ", name).casefold().replace("ł", "l").replace("°", " ")
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    words = "".join(c if c.isalnum() else " " for c in plain).split()
    return re.sub(r"([aou])e(?=[a-z])", r"\1", " ".join(words))


def _compact(name: str) -> str:
    return name.replace(" ", "")


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(fold_name(phrase) for phrase in text.split(",")))


_USUAL = {column: _phrases(names["usual"]) for column, names in _WORDS["columns"].items()}
_BROAD = {column: _phrases(names["broad"]) for column, names in _WORDS["columns"].items()}
_OTHER = {fold_name(word) for word in _WORDS["other_words"].split()}
_NEUTRAL = {fold_name(word) for word in _WORDS["neutral_words"].split()}


@cache
def _scores(column: str) -> dict[str, float]:
    """Return each name of a schema column without spaces, and its score."""
    return {
        **{_compact(name): _BROAD_SCORE for name in _BROAD.get(column, ())},
        **{_compact(name): _USUAL_SCORE for name in _USUAL.get(column, ())},
        _compact(fold_name(column)): 1.0,
    }


def match_name(name: str, column: str) -> Match:
    """Return how well a file column's name matches a schema column.

    Examples
    --------
    >>> match_name("Kunden-Nr.", ID).score, match_name("Parent Account ID", ID).against
    (0.9, "the name has 'parent'")
    """
    folded = fold_name(name)
    compact, known = _compact(folded), _scores(column)
    if score := known.get(compact, 0.0):
        reasons = {1.0: "the name is the schema's own", _USUAL_SCORE: "the name is a usual one"}
        return Match(score, reasons.get(score, "the name may mean it, among others"))
    others = [f"the name has {word!r}" for word in folded.split() if word in _OTHER]
    against = others[0] if others else ""
    held = [p for p in (*_USUAL.get(column, ()), fold_name(column)) if f" {p} " in f" {folded} "]
    if held:
        phrase = max(held, key=len)
        rest = f" {folded} ".replace(f" {phrase} ", " ").split()
        plain = all(word in _NEUTRAL for word in rest)
        return Match(_USUAL_SCORE * (0.95 if plain else 0.8), f"the name contains {phrase!r}", against)
    if len(compact) >= _SHORTEST:
        near = process.extractOne(compact, list(known), scorer=fuzz.ratio, score_cutoff=_SLIP)
        if near is not None and len(near[0]) >= _SHORTEST:
            return Match(known[near[0]] * 0.85, f"the name is nearly {near[0]!r}", against)
    return Match(0.0, "", against)


def match_content(content: Content, column: Column) -> Match:
    """Return how well a file column's cells match a schema column."""
    if not content.n_filled:
        return Match(0.0, "it is empty", against="it is empty" if content.n_rows else "")
    if column.name == TIME:
        return _match_times(content)
    if content.times is not None and content.times.state != "unreadable":
        return Match(0.0, "it contains times", against="it contains times")
    many = content.n_rows >= MANY_ROWS
    counts = f"{plural(content.n_distinct, 'distinct value')} in {plural(content.n_filled, 'cell')}"
    codes = content.share(_CODE)
    if column.name == ID:
        why_not = "its values repeat" if many and content.unique < 0.2 else "its values are texts"
        against = why_not if codes < 0.5 or (many and content.unique < 0.2) else ""
        more = ", short and without spaces" if codes > 0.9 else ""
        return Match(0.5 * codes + 0.5 * content.unique, counts + more, against, alone=0.52)
    if column.values:
        listed = {*column.values, *_SYSTEMS}
        share = sum(v.strip().casefold() in listed for v in content.values) / max(len(content.values), 1)
        detail = "its values are the schema's, or a system's name" if share else "no value is one of the schema's"
        return Match(share, detail, against=detail if share < 0.5 else "", alone=0.9)
    if column.name == "customer_name":
        names = content.share(_LETTER) >= 0.5 and not (many and content.unique < 0.3)
        against = "" if names else "its values repeat or are no words"
        legal = content.share(_LEGAL_FORM)
        detail = f"{legal:.0%} have a legal form" if legal >= 0.1 else "texts that hardly repeat"
        score = 0.5 * min(1.0, legal / 0.3) + 0.3 * content.unique + 0.2 * (1 - codes)
        return Match(score, against or detail, against, alone=0.6)
    if column.name not in CUSTOMER.names:
        return Match(0.5, counts)
    against = "its values are amounts" if content.share(_AMOUNT) > 0.5 else ""
    against = against or ("its values hardly repeat" if many and content.unique > 0.5 else "")
    groups = 1 < content.n_distinct <= FEW and not (many and content.unique > 0.3)
    return Match(0.6 * groups, against or counts, against)


def _match_times(content: Content) -> Match:
    times = content.times
    if times is None or times.state == "none":
        n_times = 0 if times is None else times.n_times
        said = f"{n_times:,} of {plural(content.n_filled, 'cell')} can be read as times"
        return Match(0.0, said, against="" if content.share(_DIGITS) >= 0.5 else said)
    share = times.share * (0.6 if times.state == "unreadable" else 1.0)
    return Match(share, f"{times.n_times:,} of {times.n_cells:,} cells are times", alone=0.55)

"""Traits: what a file column's cells look like, and how much they speak for each schema column."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from toolkit.contract import CUSTOMER, ID, TIME
from toolkit.engine import Session, quoted
from toolkit.patterns import DatePattern, infer_pattern

SAMPLE = 5_000
FEW = 300
"""The most distinct values of a category."""
MANY_ROWS = 20
"""Rows from which on it says anything that values repeat."""

_LEGAL = re.compile(
    r"(?i)\b(?:g?gmbh|mbh|ug|ag|kg|kgaa|ohg|gbr|se|ltd|limited|plc|llc|llp|inc|corp|corporation|co|company|sarl|sas|"
    r"s\.?a|s\.?r\.?l|s\.?p\.?a|s\.?l|b\.?v|n\.?v|a/s|aps|ab|as|oyj?|sp\. ?z ?o\. ?o|s\.?r\.?o|kft|pty|group|holding|"
    r"holdings)\b\.?"
)
_CODE = re.compile(r"[^\s,;@]{1,40}")
_PRICE_LIST = re.compile(
    r"(?i)(?:pl|pr|pb|lp|tar|list|preis|price|tarif|listino|cennik)[\W_\d].*|.*(?:retail|wholesale).*"
)
_AMOUNT = re.compile(r"-?\d+[.,]\d{2}")
_SYSTEMS = {"erp", "sap", "crm"}


@dataclass(frozen=True)
class Traits:
    """What the cells of one file column look like; shares are 0 to 1, of the distinct cells of a sample.

    Attributes
    ----------
    n_rows, n_filled, n_distinct
        Rows; cells that are not empty; distinct ones among them.
    codes, letters, legal, amounts, price_lists
        Shares of cells without a space, with a letter, with a legal form, that are amounts, that look like price
        lists.
    examples
        A few cells, the most frequent first.
    times
        How it writes times; None if it does not.
    over, under
        A column whose values stand under one of this one's each, and one that this one's stand under; empty if
        there is none.
    """

    n_rows: int
    n_filled: int
    n_distinct: int
    codes: float
    letters: float
    legal: float
    amounts: float
    price_lists: float
    sources: float
    examples: tuple[str, ...]
    times: DatePattern | None
    over: str = ""
    under: str = ""

    @property
    def unique(self) -> float:
        """Share of the filled cells that are distinct."""
        return self.n_distinct / self.n_filled if self.n_filled else 0.0

    @property
    def is_few(self) -> bool:
        """Whether few values repeat, as categories do."""
        return 1 < self.n_distinct <= FEW and (self.n_rows < MANY_ROWS or self.unique <= 0.3)


@dataclass(frozen=True)
class ContentMatch:
    """How much the cells speak for a schema column, from 0 to 1, why, and whether they speak against it."""

    score: float
    reason: str
    against: bool = False


def read_traits(cells: pa.Table, header: Sequence[str], *, iso_too: bool = False) -> list[Traits]:
    """Look at the columns of a table of text, named by their places: all rows for counts and times, else a sample."""
    n_rows = cells.num_rows
    places = np.unique(np.linspace(0, max(n_rows - 1, 0), min(n_rows, SAMPLE), dtype=np.int64))
    sample = cells.take(pa.array(places)).to_pydict()
    counts = []
    with Session({"rows_": cells}) as session:
        for name in cells.column_names:
            filled = f"NULLIF({quoted(name)}, '')"
            counted = session.table(
                f"SELECT count({filled}) AS n, count(DISTINCT {filled}) AS d FROM rows_"
            ).to_pylist()
            counts.append((counted[0]["n"], counted[0]["d"]))
    nested = _nested(sample, [name for name, (_, d) in zip(cells.column_names, counts, strict=True) if 1 < d <= FEW])
    found = []
    for name, (n_filled, n_distinct) in zip(cells.column_names, counts, strict=True):
        often = Counter(v for v in sample[name] if v.strip())
        looks_timed = infer_pattern(pa.chunked_array([pa.array(list(often), pa.large_string())]), iso_too=iso_too)
        times = infer_pattern(cells.column(name), iso_too=iso_too) if looks_timed.share >= 0.5 else None
        over = next((b for a, b in nested if a == name), "")
        under = next((a for a, b in nested if b == name), "")
        found.append(
            Traits(
                n_rows, n_filled, n_distinct,
                _share(often, lambda v: _CODE.fullmatch(v) is not None),
                _share(often, lambda v: any(c.isalpha() for c in v)),
                _share(often, lambda v: _LEGAL.search(v) is not None),
                _share(often, lambda v: _AMOUNT.fullmatch(v) is not None),
                _share(often, lambda v: _PRICE_LIST.fullmatch(v) is not None),
                _share(often, lambda v: v.strip().casefold() in {*CUSTOMER.column("source").values, *_SYSTEMS}),
                tuple(v for v, _ in often.most_common(3)),
                times,
                header[int(over)] if over else "",
                header[int(under)] if under else "",
            )
        )  # fmt: skip
    return found


def _share(often: Counter[str], holds: Callable[[str], bool]) -> float:
    return sum(map(holds, often)) / len(often) if often else 0.0


def _nested(sample: Mapping[str, list[str]], names: Sequence[str]) -> list[tuple[str, str]]:
    """Give the pairs of columns whose second one's values stand under one value of the first each."""
    found = []
    for b in names[:12]:
        for a in names[:12]:
            pairs = Counter((x, y) for x, y in zip(sample[a], sample[b], strict=True) if x and y)
            above: dict[str, Counter[str]] = {}
            for (x, y), n in pairs.items():
                above.setdefault(y, Counter())[x] += n
            n_above = len({x for x, _ in pairs})
            said = {y: c for y, c in above.items() if sum(c.values()) > 1}
            true = sum(max(c.values()) for c in said.values())
            n = sum(sum(c.values()) for c in said.values())
            if a != b and 1 < n_above < len(above) and len(said) > n_above and true >= 0.97 * n:
                found.append((a, b))
    return found


def match_content(traits: Traits, column: str) -> ContentMatch:
    """Say how much a column's cells speak for a schema column."""
    t = traits
    if not t.n_filled:
        return ContentMatch(0.0, "it is empty", against=t.n_rows > 0)
    if column == TIME:
        return _time(t)
    if t.times is not None and t.times.state != "unreadable":
        return ContentMatch(0.0, "it holds times", against=True)
    many = t.n_rows >= MANY_ROWS
    if column == ID:
        repeats = many and t.unique < 0.2
        said = f"{t.n_distinct:,} distinct values in {t.n_filled:,} cells"
        said += ", short and without spaces" if t.codes > 0.9 else ""
        return ContentMatch(0.5 * t.codes + 0.5 * t.unique, said, against=repeats or t.codes < 0.5)
    if column == "customer_name":
        against = t.letters < 0.5 or (many and t.unique < 0.3)
        said = f"{t.legal:.0%} have a legal form" if t.legal >= 0.1 else "texts that hardly repeat"
        score = 0.5 * min(1.0, t.legal / 0.3) + 0.3 * t.unique + 0.2 * (1 - t.codes)
        return ContentMatch(score, "values repeat or are no words" if against else said, against)
    if column == "source":
        said = "its values are the schema's, or a system's name" if t.sources else "no value is peak or customer"
        return ContentMatch(t.sources, said, against=t.sources < 0.5)
    if column == "customer_price_list_id":
        score = 0.4 * t.is_few + 0.6 * t.price_lists
        said = "its values look like price lists" if t.price_lists > 0.5 else f"{t.n_distinct:,} distinct values"
        if t.amounts > 0.5:
            return ContentMatch(0.0, "its values are amounts", against=True)
        return ContentMatch(score, said, against=many and t.unique > 0.5)
    said = f"{t.n_distinct:,} distinct values in {t.n_filled:,} cells"
    other = t.over if column == "customer_category" else t.under
    if other:
        said += (f", and those of {other!r} stand under one each" if column == "customer_category"
                 else f", each under one of {other!r}")  # fmt: skip
    few = t.is_few and t.sources < 0.9 and t.price_lists < 0.5
    return ContentMatch((0.6 + 0.4 * bool(other)) * few, said, against=many and t.unique > 0.5)


def _time(t: Traits) -> ContentMatch:
    if t.times is None or t.times.state == "none":
        return ContentMatch(0.0, "its cells are no times", against=True)
    share = t.times.share * (0.6 if t.times.state == "unreadable" else 1.0)
    return ContentMatch(share, f"{t.times.n_times:,} of {t.times.n_cells:,} cells are times", against=False)

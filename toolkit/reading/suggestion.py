"""suggest_mapping(): which file column is which schema column, scored and with reasons; nothing chosen in doubt."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from toolkit.display import Markup, Result, badge, bar, heading, paragraph, plural, table
from toolkit.engine import Session, quoted
from toolkit.errors import MappingError, ReadingError
from toolkit.model import CUSTOMER, ID, TIME
from toolkit.reading.column_names import match_name
from toolkit.reading.customers import Source, open_source, source_name
from toolkit.reading.date_patterns import DatePattern, infer_pattern
from toolkit.reading.mapping import NULL_SPELLINGS, Mapping
from toolkit.reading.text_table import Table


def quote(text: str) -> str:
    r"""Write a text as TOML does, so that no sign of it can be taken for TOML's own, nor goes unseen.

    Examples
    --------
    >>> print(quote('a "b"\n'))
    "a \"b\"\u000a"
    """
    return '"' + "".join(_escaped(c) for c in text) + '"'


def _escaped(sign: str) -> str:
    if sign in '"\\':
        return "\\" + sign
    if sign.isprintable():
        return sign
    return f"\\u{ord(sign):04x}" if ord(sign) < 0x10000 else f"\\U{ord(sign):08x}"


def _said(text: str) -> str:
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def draft(
    mapping: Mapping,
    proposals: Iterable[Any],
    times: DatePattern | None,
    nulls: dict[str, int],
    corrections: dict[str, int],
    summary: str,
    notes: Iterable[str],
) -> str:
    """Write a suggestion as TOML; what only the analyst can decide is commented out."""
    lines = [f"# Suggested: {_said(summary)}.", *(f"# Detected: {_said(n)}" for n in notes)]
    lines += ["# Look through it, and state what is commented out.", "", "[columns]"]
    for p in proposals:
        if p.chosen is not None:
            lines.append(f"{p.column} = {quote(p.chosen.name)}  # {p.chosen.score:.2f}: {_said(p.chosen.reason)}")
        else:
            lines.append(f"# {p.column} is {p.state}" + (": choose one" if p.state == "ambiguous" else ""))
        mark = "" if p.state == "ambiguous" else "or "
        lines += [f"# {mark}{p.column} = {quote(c.name)}  # {c.score:.2f}: {_said(c.reason)}" for c in p.others]
    lines += ["", "[constants]", *(f"{c} = {quote(v)}" for c, v in mapping.constants.items())]
    missing = [p.column for p in proposals if p.state == "missing"]
    sample = {TIME: "2026-01-31T00:00:00Z", "source": "customer"}
    lines += [f"# {c} = {quote(sample.get(c, ''))}  # where one value holds for every row" for c in missing]
    lines += ["", "[format]"]
    lines += [f"{k} = {quote(v)}" for k in ("encoding", "delimiter", "sheet") if (v := getattr(mapping, k)) is not None]
    lines += [f"header_row = {mapping.header_row}"] if mapping.header_row is not None else []
    lines += _times(mapping, times)
    if mapping.nulls:
        lines.append(f"nulls = [{', '.join(map(quote, mapping.nulls))}]")
    elif nulls:
        said = ", ".join(f"{plural(n, 'time')} {_said(s)}" for s, n in nulls.items())
        lines.append(f"# nulls = [{', '.join(map(quote, nulls))}]  # {said}: state it if they mean nothing")
    lines += ["", "[delivery]", f"kind = {quote(mapping.kind)}", "", "[corrections]"]
    lines += [f"# {rule} = true  # would change {n:,}" for rule, n in corrections.items()]
    return "\n".join(lines) + "\n"


def _times(mapping: Mapping, times: DatePattern | None) -> list[str]:
    lines = [f"# {TIME}: {_said(note)}" for note in times.notes] if times else []
    if mapping.datetime:
        lines.append(f"datetime = {quote(mapping.datetime)}")
    elif times is not None and times.state in ("ambiguous", "mixed"):
        lines += [
            f"# datetime = {quote(r.pattern)}  # {times.state}: reads {r.n_cells:,} of {times.n_cells:,}"
            for r in times.readings
        ]
    if mapping.timezone:
        lines.append(f"timezone = {quote(mapping.timezone)}")
    elif times is not None and times.n_naive:
        lines.append('# timezone = "Europe/Berlin"  # must be stated: the times name no zone, and it is never guessed')
    return lines


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


def _nested(sample: dict[str, list[str]], names: Sequence[str]) -> list[tuple[str, str]]:
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
        said = f"{plural(t.n_distinct, 'distinct value')} in {plural(t.n_filled, 'cell')}"
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
    said = f"{plural(t.n_distinct, 'distinct value')} in {plural(t.n_filled, 'cell')}"
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


State = Literal["found", "ambiguous", "missing"]

THRESHOLD = 0.5
"""Score below which nothing is proposed."""
MARGIN = 0.05
"""Scores nearer than this are a tie."""
MOST = 100
"""Columns whose cells are looked at."""
PREVIEW = 50_000
"""Rows that the corrections are tried on."""
# What the content alone may say; the name's share of a score is 0.7.
_ALONE = {TIME: 0.55, "customer_name": 0.6, "customer_price_list_id": 0.6, "source": 0.9}


@dataclass(frozen=True)
class Candidate:
    """A file column that may be a schema column: its name, a score from 0 to 1, why, and a few of its cells."""

    name: str
    score: float
    reason: str
    examples: tuple[str, ...] = ()
    place: int = -1


@dataclass(frozen=True)
class Proposal:
    """What is proposed for one schema column: the column chosen (None if missing or ambiguous), and the runners-up."""

    column: str
    state: State
    chosen: Candidate | None
    others: tuple[Candidate, ...]


@dataclass(frozen=True, eq=False, repr=False)
class MappingSuggestion(Result):
    """What `suggest_mapping` proposes.

    Attributes
    ----------
    proposals
        One a schema column, in the schema's order.
    times
        How the column proposed for ``updated_at`` writes its times; None if there is none.
    nulls
        Cells that seem to mean null, with their number.
    sample
        The first rows as the proposal names them, all text, empty cells null: what `called_for` in `toolkit.quality`
        tries the corrections on.
    stated
        The mapping that was given, for its formats and constants.
    notes
        What was detected, and what a mapping cannot name.
    """

    proposals: tuple[Proposal, ...]
    times: DatePattern | None
    n_rows: int
    source: str
    nulls: dict[str, int]
    sample: pd.DataFrame
    stated: Mapping
    notes: tuple[str, ...]

    @property
    def n_found(self) -> int:
        """Schema columns with a file column proposed."""
        return sum(p.state == "found" for p in self.proposals)

    @property
    def columns(self) -> dict[str, str]:
        """Schema column to the file column proposed for it."""
        return {p.column: p.chosen.name for p in self.proposals if p.chosen is not None}

    @property
    def mapping(self) -> Mapping:
        """The proposal as a mapping; a zone that the cells do not name is left for the analyst to state."""
        times = self.times
        return replace(
            self.stated,
            columns=self.columns,
            datetime=self.stated.datetime or (times.pattern if times else None),
            timezone=self.stated.timezone or (times.zone or None if times else None),
            path=None,
        )

    def summary(self) -> str:
        """Say the verdict in one line."""
        said = [f"{self.n_found} of {len(self.proposals)} columns found in {self.source}"]
        for state in ("ambiguous", "missing"):
            if some := [p.column for p in self.proposals if p.state == state]:
                said.append(f"{', '.join(some)} {'is' if len(some) == 1 else 'are'} {state}")
        if self.times is not None and self.times.state != "found":
            said.append(f"{TIME}'s pattern is {self.times.state}")
        elif self.times is not None and self.times.n_naive and not self.mapping.timezone:
            said.append(f"{TIME}'s time zone has to be stated")
        return "; ".join(said)

    def body(self) -> str:
        """Give the proposals as an HTML fragment."""
        rows = []
        for p in self.proposals:
            others = " · ".join(f"{c.name} ({c.score:.2f})" for c in p.others)
            c = p.chosen or Candidate("", 0.0, p.state)
            score = Markup(f"{bar(c.score)} {c.score:.2f}") if p.chosen else badge(p.state, tone="warn")
            rows.append((p.column, c.name, score, c.reason, " · ".join(c.examples), others))
        parts = [
            heading(f"Mapping suggested for {self.source}", level=3),
            paragraph(self.summary()),
            table(["schema column", "file column", "score", "why", "examples", "runners-up"], rows),
        ]
        if self.times is not None:
            readings = [(r.pattern or "ISO 8601", r.n_cells, r.n_alone) for r in self.times.readings]
            parts += [heading(f"Times: {self.times.state}"), *map(paragraph, self.times.notes)]
            if readings:
                parts.append(table(["pattern", "cells it reads", "of them decisive"], readings))
        return "".join([*parts, paragraph(" · ".join(self.notes), soft=True)])

    def to_frame(self) -> pd.DataFrame:
        """Give every candidate: ``column, file_column, score, reason, state``."""
        rows = [
            (p.column, c.name, c.score, c.reason, p.state if c is p.chosen else "runner-up")
            for p in self.proposals
            for c in ([p.chosen] if p.chosen else []) + list(p.others)
        ]
        return pd.DataFrame(rows, columns=["column", "file_column", "score", "reason", "state"])

    def to_dict(self) -> dict[str, Any]:
        """Give the proposals and the patterns, without cells."""
        return {
            "source": self.source,
            "rows": self.n_rows,
            "columns": {p.column: {"state": p.state, "file_column": p.chosen and p.chosen.name,
                                   "score": p.chosen and round(p.chosen.score, 3)} for p in self.proposals},
            "times": self.times and self.times.state,
            "patterns": {r.pattern or "ISO 8601": r.n_cells for r in self.times.readings} if self.times else {},
            "notes": list(self.notes),
        }  # fmt: skip

    def to_toml(self, path: str | Path, *, corrections: dict[str, int] | None = None, overwrite: bool = False) -> Path:
        """Write the proposal as a mapping, with the reasons and the open questions as comments; returns the path.

        Parameters
        ----------
        corrections
            Corrections that the content calls for, with the cells each would change.

        Raises
        ------
        MappingError
            If the file exists and `overwrite` is not set, or cannot be written.
        """
        target = Path(path)
        text = draft(
            self.mapping, self.proposals, self.times, self.nulls, dict(corrections or {}), self.summary(), self.notes
        )
        try:
            with target.open("w" if overwrite else "x", encoding="utf-8", newline="\n") as file:
                file.write(text)
        except FileExistsError:
            raise MappingError(f"{target} exists: give another name, or overwrite=True to replace it.") from None
        except OSError as error:
            raise MappingError(f"{target} cannot be written ({error.strerror}): choose another place.") from None
        return target


def suggest_mapping(source: Source, *, mapping: Mapping | None = None, query: Any = None) -> MappingSuggestion:
    """Propose which column of a source is which schema column, from names and content.

    Parameters
    ----------
    source
        A file, a folder of part-files, a frame, or an SQLAlchemy connection with its `query`.
    mapping
        What is known already: encoding, sheet, header row, constants.

    Raises
    ------
    ReadingError
        If the source is not a readable table, or none of its columns has a name of its own.

    Examples
    --------
    >>> frame = pd.DataFrame({"Kunden-Nr.": ["007", "008"], "Firma": ["Acme AG", "Bolt KG"]})
    >>> suggest_mapping(frame).columns
    {'customer_id': 'Kunden-Nr.', 'customer_name': 'Firma'}
    """
    stated = mapping or Mapping()
    read = open_source(source, lambda header: {str(i): i for i in range(len(header))}, mapping=stated, query=query)
    spelled = Counter(name.strip().casefold() for name in read.header)
    usable = [i for i, name in enumerate(read.header) if _can_be_named(name) and spelled[name.strip().casefold()] == 1]
    # A reader's notes call a column as it was asked for: by its place.
    notes = [re.sub(r"^(\d+)(?=: )", lambda at: read.header[int(at[1])], note) for note in read.notes]
    if twice := [name for name, n in spelled.items() if n > 1 and name]:
        notes.append(f"names that stand twice, which a mapping cannot tell apart: {', '.join(twice)}")
    if spelled[""]:
        notes.append(f"{plural(spelled[''], 'column')} without a name, which a mapping cannot name")
    wanted = [c for c in CUSTOMER.names if c not in stated.constants]
    if not usable:
        raise ReadingError(f"{source_name(source)} has no column that a mapping could name: check its header.")
    if len(usable) > MOST:
        notes.append(f"{len(usable):,} columns: only the {MOST} whose names fit best were looked at")
        names = {i: max(match_name(read.header[i], c).score for c in wanted) for i in usable}
        usable = sorted(sorted(usable, key=lambda i: -names[i])[:MOST])
    seen = read_traits(read.cells.select([str(i) for i in usable]), read.header, iso_too=read.native_times)
    traits = dict(zip(usable, seen, strict=True))
    scores = {c: [_candidate(c, i, read.header[i], traits[i], seen) for i in usable] for c in wanted}
    proposals = tuple(_assigned(wanted, scores))
    chosen = {p.column: p.chosen.place for p in proposals if p.chosen}
    nulls, sample = _sample(read, chosen)
    times = traits[chosen[TIME]].times if TIME in chosen else None
    name = source_name(source)
    return MappingSuggestion(proposals, times, len(read.numbers), name, nulls, sample, stated, tuple(notes))


def _can_be_named(name: str) -> bool:
    return bool(name.strip()) and name.encode("utf-8", "ignore").decode() == name


def _candidate(column: str, place: int, name: str, traits: Traits, every: Sequence[Traits]) -> Candidate:
    said, seen = match_name(name, column), match_content(traits, column)
    alone = _ALONE.get(column, 0.52)
    if column == TIME and sum(t.times is not None and t.times.state != "none" for t in every) > 1:
        alone = 0.45  # which of several times it is, only a name can tell
    if column.endswith("category") and not (traits.over or traits.under):
        alone = 0.45
    score = max(0.7 * said.score + 0.3 * seen.score if said.score else 0.0, alone * seen.score)
    reason = f"{said.reason}; {seen.reason}" if said.reason else f"by content alone: {seen.reason}"
    if said.against:
        score, reason = 0.4 * score, f"{reason}; but the name speaks of {said.against!r}"
    if seen.against:
        score = 0.4 * score
    return Candidate(name, min(score, 1.0), reason, traits.examples, place)


def _assigned(columns: Sequence[str], scores: dict[str, list[Candidate]]) -> list[Proposal]:
    """Give each schema column at most one file column, the best pairs first; what is tied is ambiguous."""
    free, used = set(columns), set[int]()
    chosen: dict[str, Candidate] = {}
    tied: dict[str, list[Candidate]] = {}
    pairs = sorted(((column, c) for column in columns for c in scores[column]), key=lambda pair: -pair[1].score)
    for column, best in pairs:
        if best.score < THRESHOLD:
            break
        if column not in free or best.place in used:
            continue
        left = {s: [c for c in scores[s] if c.place not in used] for s in columns if s in free}
        near = [c for c in left[column] if c.score >= best.score - MARGIN and not _wanted_elsewhere(c, column, left)]
        claims = [s for s in left if s != column and _claims(best, left[s])]
        if len(near) > 1 or claims:
            tied |= {column: near or [best], **{s: [c for c in left[s] if c.place == best.place] for s in claims}}
        else:
            chosen[column] = best
        free -= {column, *claims}
        used |= {best.place, *(c.place for c in near if column in tied)}
    made = []
    for column in columns:
        ranked = sorted(scores[column], key=lambda c: -c.score)
        one = chosen.get(column)
        others = tied.get(column) or [c for c in ranked if c is not one and c.score >= 0.2][:3]
        made.append(
            Proposal(column, "found" if one else "ambiguous" if column in tied else "missing", one, tuple(others))
        )
    return made


def _wanted_elsewhere(one: Candidate, column: str, left: dict[str, list[Candidate]]) -> bool:
    return any(c.score > one.score for s in left if s != column for c in left[s] if c.place == one.place)


def _claims(one: Candidate, candidates: list[Candidate]) -> bool:
    """Whether another schema column would have this file column nearly as well, and no other one better."""
    own = next((c.score for c in candidates if c.place == one.place), 0.0)
    return own >= one.score - MARGIN and all(c.score < own for c in candidates if c.place != one.place)


def _sample(read: Table, chosen: dict[str, int]) -> tuple[dict[str, int], pd.DataFrame]:
    """Count the cells that seem to mean null in the first rows, and give these rows."""
    cells = read.cells.select([str(i) for i in chosen.values()]).slice(0, PREVIEW).rename_columns(list(chosen))
    frame = cells.to_pandas().reindex(columns=list(CUSTOMER.names)).astype("str")
    frame = frame.mask(frame == "")
    attributes = pd.concat([frame[c] for c in CUSTOMER.attributes if c in chosen] or [pd.Series(dtype="str")])
    nulls = attributes[attributes.isin(NULL_SPELLINGS)].value_counts()
    return {str(k): int(v) for k, v in nulls.items()}, frame

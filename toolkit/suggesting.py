"""suggest_mapping(): which file column is which schema column, scored and with reasons; nothing chosen in doubt."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from toolkit.contract import CUSTOMER, TIME
from toolkit.correcting import correct
from toolkit.corrections import NULL_SPELLINGS
from toolkit.display import Markup, Result, badge, bar, heading, paragraph, plural, table
from toolkit.drafting import draft
from toolkit.errors import MappingError, ReadingError
from toolkit.mapping import Mapping
from toolkit.opening import Source, open_source, source_name
from toolkit.patterns import DatePattern
from toolkit.sources import Table
from toolkit.traits import Traits, match_content, read_traits
from toolkit.vocabulary import match_name

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
_CALLED_FOR = ("trim_spaces", "unicode_nfc", "invisible_characters", "source_to_customer", "drop_exact_duplicates")


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
    corrections
        Corrections that the content calls for, with the cells they would change.
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
    corrections: dict[str, int]
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

    def to_toml(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the proposal as a mapping, with the reasons and the open questions as comments; returns the path.

        Raises
        ------
        MappingError
            If the file exists and `overwrite` is not set, or cannot be written.
        """
        target = Path(path)
        text = draft(self.mapping, self.proposals, self.times, self.nulls, self.corrections, self.summary(), self.notes)
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
    nulls, corrections = _called_for(read, chosen)
    times = traits[chosen[TIME]].times if TIME in chosen else None
    name = source_name(source)
    return MappingSuggestion(proposals, times, len(read.numbers), name, nulls, corrections, stated, tuple(notes))


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


def _called_for(read: Table, chosen: dict[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """Count the cells that seem to mean null, and what each correction would change, on the first rows."""
    if not chosen:
        return {}, {}
    cells = read.cells.select([str(i) for i in chosen.values()]).slice(0, PREVIEW).rename_columns(list(chosen))
    frame = cells.to_pandas().reindex(columns=list(CUSTOMER.names)).astype("str")
    frame = frame.mask(frame == "")
    attributes = pd.concat([frame[c] for c in CUSTOMER.attributes if c in chosen] or [pd.Series(dtype="str")])
    nulls = attributes[attributes.isin(NULL_SPELLINGS)].value_counts()
    changed = correct(frame, _CALLED_FOR).counts
    return {str(k): int(v) for k, v in nulls.items()}, {rule: n for rule, n in changed.items() if n}

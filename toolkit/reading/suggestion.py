"""suggest_mapping(): which file column is which schema column, scored and with reasons; nothing chosen in doubt."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa

import toolkit.display as draw
from toolkit.config import Settings, current
from toolkit.display import Cell, Markup, Part, Result, ShownFrame, Tone, Unit, paragraph, plural
from toolkit.engine import table_of
from toolkit.errors import ReadingError
from toolkit.model import TIME, Column, Resource, parse_times
from toolkit.progress import step
from toolkit.reading.column_names import Content, match_content, match_name, read_content
from toolkit.reading.customers import Source, as_mapping, folded, open_source, source_name
from toolkit.reading.date_patterns import DatePattern, infer_pattern
from toolkit.reading.mapping import NULL_SPELLINGS, Mapping, quote, section_lines, visible, write_toml
from toolkit.reading.remembered import Remembered, recall
from toolkit.reading.text_table import NoText, Table

State = Literal["found", "ambiguous", "missing"]

THRESHOLD = 0.5
"""Score below which nothing is proposed."""
MARGIN = 0.05
"""Scores nearer than this are a tie."""
MOST = 100
"""Columns whose cells are looked at."""
PREVIEW = 50_000
"""Rows of the sample that corrections are tried on."""
HEAD = 50
"""The first rows that are kept as they are."""
SURELY = 0.8
"""Score from which a choice is said to be sure."""
SURE, LIKELY, YOURS, NONE = "sure", "likely", "you decide", "nothing found"
WORDS: dict[str, Tone] = {SURE: "good", LIKELY: "changed", YOURS: "warn", NONE: "calm"}
_BY_NAME = 0.7
"""The name's share of a score; the rest is the cells'."""
_AGAINST = 0.4
"""What is left of a score if the name or the cells fit another column better."""


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

    @property
    def confidence(self) -> tuple[str, Tone]:
        """How sure the choice is, in words, and its tone."""
        word = NONE if self.state == "missing" else YOURS
        if self.chosen is not None:
            word = SURE if self.chosen.score >= SURELY else LIKELY
        return word, WORDS[word]


@dataclass(frozen=True, eq=False, repr=False)
class MappingSuggestion(Result):
    """What `suggest_mapping` proposes.

    Attributes
    ----------
    proposals
        One for each schema column, in the schema's order.
    times
        How the column proposed for ``updated_at`` writes its times; None if there is none.
    n_rows, source
        Rows of the source, and its name.
    nulls
        Cells that seem to mean null, with their number.
    sample
        The first rows with the proposed column names, all text, empty cells null. `toolkit.quality.called_for`
        counts on it what each correction would change, for `to_toml`.
    stated
        The mapping that was given, for its formats and constants.
    notes
        What was detected, and what a mapping cannot name.
    warnings
        What is probably wrong with how the source is read, and what to state instead.
    header, header_row, sheet
        The names of all columns of the source; the record and the worksheet where they are.
    head
        The first rows of the columns that a mapping can name, as text under the file's own names.
    candidates
        For each schema column every file column that a mapping can name, so that another choice has its evidence too.
    contents
        What the cells of each file column look like.
    remembered
        The mapping that was last used for a file of this header, and for which; None if there is none.
    """

    proposals: tuple[Proposal, ...]
    times: DatePattern | None
    n_rows: int
    source: str
    nulls: dict[str, int]
    sample: pd.DataFrame
    stated: Mapping
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    header_row: int = 0
    sheet: str = ""
    head: pd.DataFrame = field(default_factory=pd.DataFrame)
    candidates: dict[str, list[Candidate]] = field(default_factory=dict)
    contents: dict[str, Content] = field(default_factory=dict)
    remembered: Remembered | None = None

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

    @property
    def needs_zone(self) -> bool:
        """Whether the times name no zone and none is stated: it is never guessed."""
        return self.times is not None and self.times.n_naive > 0 and not self.mapping.timezone

    def summary(self) -> str:
        """Return the result in one line."""
        parts = [f"{len(self.columns)} of {len(self.proposals)} columns found in {self.source}"]
        for state in ("ambiguous", "missing"):
            if some := [p.column for p in self.proposals if p.state == state]:
                parts.append(f"{', '.join(some)} {'is' if len(some) == 1 else 'are'} {state}")
        if self.times is not None and self.times.state != "found":
            parts.append(f"{TIME}'s pattern is {self.times.state}")
        elif self.needs_zone:
            parts.append(f"{TIME}'s time zone has to be stated")
        return "; ".join(parts)

    def body(self) -> str:
        """Return the proposals as an HTML fragment."""
        said = [(p, *p.confidence) for p in self.proposals]
        n_of = Counter(word for _, word, _ in said)
        parts = [Part(n_of[word], word, tone) for word, tone in WORDS.items()]
        parts.append(Part(int(self.needs_zone), "time zone to state", "warn"))
        unused = [name for name in self.header if name and name not in self.columns.values()]
        left = f"Columns of the file that are not used: {draw.shortened(', '.join(unused), 200)}." if unused else ""
        units = [
            Unit([(p.chosen.name if p.chosen else Cell("", "none chosen", soft=p.state), p.column,
                   Markup(f"{draw.symbol(tone)} {word}"), Cell(c.reason, soft=" · ".join(c.examples)),
                   " · ".join(f"{other.name} ({other.score:.2f})" for other in p.others))],
                 {"confidence": [word]}, None if word == SURE else tone)
            for p, word, tone in said for c in [p.chosen or next(iter(p.others), Candidate("", 0, "no column fits"))]
        ]  # fmt: skip
        heads = ["Column of the file", "Column of the schema", "Confidence", "Why", "Runners-up"]
        shown: list[str] = [
            draw.headline(f"Mapping suggested for {self.source}", self.summary(), left, parts=parts),
            draw.notes(self.warnings),
            draw.notes(
                [f"{self.remembered}: suggestion.remembered.mapping"] if self.remembered else [], tone="changed"
            ),
            draw.section(
                "Columns", draw.grid("Columns", heads, units, facets={"confidence": "Confidence"}, unit="columns")
            ),
        ]
        if self.times is not None:
            readings = [(r.pattern or "ISO 8601", r.n_cells, r.n_alone) for r in self.times.readings]
            titles = ["Pattern", "Cells it reads", "Of them decisive"]
            table = draw.grid("Patterns of the times", titles, readings, unit="patterns") if readings else ""
            shown.append(draw.section(f"Times: {self.times.state}", *map(paragraph, self.times.notes), table))
        shown += [draw.fold("How it was read", *map(paragraph, self.notes))] if self.notes else []
        if self.needs_zone:
            why = paragraph("The times name no zone, and it is never guessed. State it in [format] of the mapping:")
            box = draw.card("Time zone", why, draw.code('timezone = "…"'), tone="warn")
            shown.append(draw.section("State this", draw.cards([box], wide=True)))
        ways = draw.code('suggestion.to_toml("mapping.toml")', 'tk.read_customers(path, mapping="mapping.toml")')
        return "".join(
            [*shown, draw.section("What now", ways, note="what only you can decide is a comment in the file")]
        )

    def to_frame(self) -> pd.DataFrame:
        """Return every candidate: ``column, file_column, score, reason, state``."""
        rows = [
            (p.column, c.name, c.score, c.reason, p.state if c is p.chosen else "runner-up")
            for p in self.proposals
            for c in ([p.chosen] if p.chosen else []) + list(p.others)
        ]
        return ShownFrame(rows, columns=["column", "file_column", "score", "reason", "state"])

    def to_dict(self) -> dict[str, Any]:
        """Return the proposals, the patterns and the warnings, otherwise without cells."""
        return {
            "source": self.source,
            "rows": self.n_rows,
            "columns": {p.column: {"state": p.state, "file_column": p.chosen and p.chosen.name,
                                   "score": p.chosen and round(p.chosen.score, 3)} for p in self.proposals},
            "times": self.times and self.times.state,
            "patterns": {r.pattern or "ISO 8601": r.n_cells for r in self.times.readings} if self.times else {},
            "notes": list(self.notes),
            "warnings": list(self.warnings),
        }  # fmt: skip

    def to_toml(self, path: str | Path, *, corrections: dict[str, int] | None = None, overwrite: bool = False) -> Path:
        """Write the proposal as a mapping, with the reasons and the open questions as comments; returns the path.

        Parameters
        ----------
        corrections
            Lines of ``[corrections]`` to propose, as comments, and how many cells each would change:
            ``toolkit.quality.called_for(suggestion.sample)`` gives them.

        Raises
        ------
        MappingError
            If the file exists and `overwrite` is not set.
        InputError
            If it cannot be written; an earlier file of that name is then unharmed.
        """
        return write_toml(path, _toml(self, corrections or {}), overwrite=overwrite)


@step("Reading")
def suggest_mapping(
    source: Source,
    *,
    mapping: Mapping | str | Path | None = None,
    query: Any = None,
    sheet: str | None = None,
    settings: Settings | None = None,
) -> MappingSuggestion:
    """Propose which column of a source is which schema column, from names and content.

    Parameters
    ----------
    source
        A file, a folder of part-files, a frame, an SQLAlchemy connection with its `query`, or a table of an engine,
        of which some rows are read.
    mapping
        What is known already: encoding, sheet, header row, constants. A `Mapping` or its TOML file.
    sheet
        The worksheet of a workbook, over the mapping. None: the visible one with the most columns recognised.
    settings
        Their columns are looked for, custom attributes included. None: the settings that `toolkit.use` chose, otherwise
        the environment's.

    Raises
    ------
    ReadingError
        If the source is not a readable table, or none of its columns has a name of its own.
    MappingError
        If the mapping cannot be used.
    InputError
        If an argument is of another kind.

    Examples
    --------
    >>> frame = pd.DataFrame({"Kunden-Nr.": ["007", "008"], "Firma": ["Acme AG", "Bolt KG"]})
    >>> suggest_mapping(frame).columns
    {'customer_id': 'Kunden-Nr.', 'customer_name': 'Firma'}
    """
    stated = as_mapping(mapping, sheet=sheet, source=source)
    name, table = source_name(source), table_of(source)
    source = source if table is None else table.first(PREVIEW)
    resource = current(settings).documented.resource
    wanted = [c for c in resource.columns if c.name not in stated.constants]

    def n_recognised(header: Sequence[str]) -> int:
        return sum(any(match_name(cell, c.name).score >= THRESHOLD for cell in header[:MOST]) for c in wanted)

    read = open_source(source, _readable, mapping=stated, query=query, fit=n_recognised)
    sampled = [] if table is None else [f"{plural(len(read.numbers), 'row')} of {name} were looked at"]
    spelled = Counter(folded(column) for column in read.header)
    usable = [i for i in _readable(read.header).values() if spelled[folded(read.header[i])] == 1]
    # A reader's notes call a column as it was asked for: by its place.
    notes = sampled + [re.sub(r"^(\d+)(?=: )", lambda at: read.header[int(at[1])], note) for note in read.notes]
    if twice := [column for column, n in spelled.items() if n > 1 and column]:
        notes.append(f"names that two columns have, which a mapping cannot distinguish: {', '.join(twice)}")
    if spelled[""]:
        notes.append(f"{plural(spelled[''], 'column')} without a name, which a mapping cannot name")
    if nested := [column for column in read.header if isinstance(column, NoText)]:
        notes.append(f"lists or records, which a mapping cannot use: {', '.join(nested)}")
    if not usable:
        raise ReadingError(f"{name} has no column that a mapping could name: check its header.")
    if len(usable) > MOST:
        notes.append(f"{len(usable):,} columns: only the {MOST} whose names fit best were looked at")
        scores = {i: max(match_name(read.header[i], c.name).score for c in wanted) for i in usable}
        usable = sorted(sorted(usable, key=lambda i: -scores[i])[:MOST])
    contents = {i: read_content(read.cells.column(str(i)), iso_too=read.native_times) for i in usable}
    n_timed = sum(c.times is not None and c.times.state != "none" for c in contents.values())
    scored = {c.name: [_candidate(c, i, read.header[i], contents[i], n_timed) for i in usable] for c in wanted}
    proposals = tuple(_assign(scored))
    chosen = {p.column: p.chosen.place for p in proposals if p.chosen}
    nulls, sample = _sample(read, chosen, resource)
    times = _times(read.cells.column(str(chosen[TIME])), contents[chosen[TIME]].times) if TIME in chosen else None
    names = [read.header[i] for i in usable]
    head = read.cells.select([str(i) for i in usable]).slice(0, HEAD).rename_columns(names).to_pandas()
    looks, known = dict(zip(names, contents.values(), strict=True)), recall(read.header, settings=settings)
    return MappingSuggestion(
        proposals, times, len(read.numbers), name, nulls, sample, stated, tuple(notes), read.warnings,
        tuple(map(str, read.header)), read.header_row, read.sheet, head, scored, looks, known,
    )  # fmt: skip


def _readable(header: Sequence[str]) -> dict[str, int]:
    return {str(i): i for i, column in enumerate(header) if column.strip() and not isinstance(column, NoText)}


def _times(cells: pa.ChunkedArray, found: DatePattern | None) -> DatePattern:
    """Return how the chosen column writes its times; if it was chosen by its name alone, how many are not read."""
    if found is not None and found.state != "none":
        return found
    found = infer_pattern(cells)
    n = found.n_cells - found.n_times
    note = (
        f"{n:,} of {plural(found.n_cells, 'cell')} cannot be read as times by any pattern: ask for ISO 8601, such as "
        "2025-01-28T10:00:00Z, with at most 6 digits of a fraction"
    )
    return replace(found, state="unreadable", notes=(note,))


def _candidate(column: Column, place: int, name: str, content: Content, n_timed: int) -> Candidate:
    """Score one file column for one schema column: by its name and its cells, or by its cells alone."""
    by_name, by_content = match_name(name, column.name), match_content(content, column)
    alone = by_content.alone
    if column.name == TIME and n_timed > 1:
        alone = 0.45  # which of several times it is, only a name can show
    both = _BY_NAME * by_name.score + (1 - _BY_NAME) * by_content.score
    score = max(both if by_name.score else 0.0, alone * by_content.score)
    reason = f"{by_name.reason}; {by_content.reason}" if by_name.score else f"by content alone: {by_content.reason}"
    if by_name.against:
        score, reason = _AGAINST * score, f"{reason}; but {by_name.against}"
    if by_content.against:
        score = _AGAINST * score
    examples = tuple(value for value, _ in content.values.most_common(3))
    return Candidate(name, min(score, 1.0), reason, examples, place)


def doubts(column: Column, content: Content, mapping: Mapping) -> Iterator[str]:
    """Yield in words which cells of a file column would not do as a schema column, read as a mapping says."""
    if n_empty := content.n_rows - content.n_filled:
        yield f"{n_empty:,} of {plural(content.n_rows, 'cell')} {'is' if n_empty == 1 else 'are'} empty"
    words, what = list(content.values), f"not {' or '.join(column.values)}"
    if column.name == TIME:
        cells = pa.chunked_array([pa.array(words, pa.large_string())])
        unread = parse_times(cells, pattern=mapping.datetime, timezone=mapping.timezone, iso_too=True).unparsed
        words, what = [word for word, bad in zip(words, unread, strict=True) if bad], "no date"
    elif column.values:
        becomes = mapping.values.get(column.name, {})
        words = [word for word in words if becomes.get(word, word) not in column.values]
    if words and (column.name == TIME or column.values):
        n, listed = sum(content.values[word] for word in words), ", ".join(word[:40] for word in words[:3])
        of = plural(content.values.total(), "value")
        yield f"{n:,} of {of} {'is' if n == 1 else 'are'} {what}: {listed}{' …' if len(words) > 3 else ''}"


def _assign(scores: dict[str, list[Candidate]]) -> Iterator[Proposal]:
    """Give each schema column at most one file column, and show which choices are open.

    The pairs are taken greedily, the best first, because a pair that fits well (``Kundennummer``) decides what a
    weak one (``Nr``) is not; an optimal assignment over all pairs would trade a certain pair for two doubtful ones.
    A schema column is in one of three states. It is *free* until the best pair that has it comes up. Then it is
    *chosen*, unless there is doubt, which makes it *ambiguous* and leaves the choice to the analyst. There is doubt

    - if another unused file column scores within `MARGIN` of the best, unless some other free schema column fits
      that file column better and will take it later;
    - if another free schema column claims the same file column: it scores within `MARGIN` there, and none of the
      unused file columns is better for it. Then both schema columns are ambiguous.

    A file column that is chosen or in doubt is used up, so that no later pair has it. What is still free when the
    scores fall below `THRESHOLD` is *missing*.
    """
    free, used = set(scores), set[int]()
    chosen: dict[str, Candidate] = {}
    doubtful: dict[str, list[Candidate]] = {}
    pairs = [(column, c) for column, candidates in scores.items() for c in candidates if c.score >= THRESHOLD]
    for column, best in sorted(pairs, key=lambda pair: -pair[1].score):
        if column not in free or best.place in used:
            continue
        left = {s: [c for c in candidates if c.place not in used] for s, candidates in scores.items() if s in free}
        near = [c for c in left[column] if c.score >= best.score - MARGIN and not _fits_better(c, column, left)]
        claims = [s for s in left if s != column and _claims(best, left[s])]
        if len(near) > 1 or claims:
            doubtful[column] = near or [best]
            doubtful |= {s: [c for c in left[s] if c.place == best.place] for s in claims}
            used |= {c.place for c in near}
        else:
            chosen[column] = best
        free -= {column, *claims}
        used.add(best.place)
    for column, candidates in scores.items():
        one = chosen.get(column)
        ranked = [c for c in sorted(candidates, key=lambda c: -c.score) if c is not one and c.score >= 0.2]
        state: State = "found" if one else "ambiguous" if column in doubtful else "missing"
        yield Proposal(column, state, one, tuple(doubtful.get(column, ranked[:3])))


def _fits_better(one: Candidate, column: str, left: dict[str, list[Candidate]]) -> bool:
    return any(c.score > one.score for s in left if s != column for c in left[s] if c.place == one.place)


def _claims(one: Candidate, candidates: list[Candidate]) -> bool:
    own = next((c.score for c in candidates if c.place == one.place), 0.0)
    return own >= one.score - MARGIN and all(c.score < own for c in candidates if c.place != one.place)


def _sample(read: Table, chosen: dict[str, int], resource: Resource) -> tuple[dict[str, int], pd.DataFrame]:
    """Count the cells that seem to mean null in the first rows, and return these rows."""
    cells = read.cells.select([str(i) for i in chosen.values()]).slice(0, PREVIEW).rename_columns(list(chosen))
    frame = cells.to_pandas().reindex(columns=list(resource.names)).astype("str")
    frame = frame.mask(frame == "")
    attributes = frame[[c for c in resource.attributes if c in chosen]].stack()
    nulls = attributes[attributes.isin(NULL_SPELLINGS)].value_counts()
    return {str(k): int(v) for k, v in nulls.items()}, frame


# --- the suggestion as TOML


def _toml(suggestion: MappingSuggestion, corrections: dict[str, int]) -> Iterator[str]:
    """Yield the lines of a mapping; what only the analyst can decide is commented out."""
    mapping, times = suggestion.mapping, suggestion.times
    said = {"kind": mapping.kind, **mapping.content()}
    yield f"# Suggested: {visible(suggestion.summary())}."
    yield from (f"# {visible(note)}" for note in suggestion.notes)
    yield from ("# Look through it, and state what is commented out.", "", "[columns]")
    for p in suggestion.proposals:
        if p.chosen is not None:
            yield f"{p.column} = {quote(p.chosen.name)}  # {p.chosen.score:.2f}: {visible(p.chosen.reason)}"
        else:
            yield f"# {p.column} is {p.state}" + (": choose one" if p.state == "ambiguous" else "")
        mark = "" if p.state == "ambiguous" else "or "
        yield from (f"# {mark}{p.column} = {quote(c.name)}  # {c.score:.2f}: {visible(c.reason)}" for c in p.others)
    yield from ("", "[constants]", *section_lines(said, "constants"))
    for p in suggestion.proposals:
        if p.state == "missing":
            example = "2026-01-31T00:00:00Z" if p.column == TIME else ""
            yield f"# {p.column} = {quote(example)}  # if all rows have one value"
    yield from ("", "[format]")
    yield from (f"# Warning: {visible(line)}" for warning in suggestion.warnings for line in warning.splitlines())
    yield from section_lines(said, "format")
    if times is not None:
        yield from (f"# {TIME}: {visible(note)}" for note in times.notes)
        if not mapping.datetime and times.state in ("ambiguous", "mixed"):
            for r in times.readings:
                yield f"# datetime = {quote(r.pattern)}  # {times.state}: reads {r.n_cells:,} of {times.n_cells:,}"
        if suggestion.needs_zone:
            yield '# timezone = "Europe/Berlin"  # must be stated: the times name no zone, and it is never guessed'
    if suggestion.nulls and not mapping.nulls:
        counts = ", ".join(f"{plural(n, 'time')} {visible(cell)}" for cell, n in suggestion.nulls.items())
        yield f"# nulls = [{', '.join(map(quote, suggestion.nulls))}]  # {counts}: state it if they mean nothing"
    for own in ("values", "empty"):
        if own in said:
            yield from ("", f"[{own}]", *section_lines(said, own))
    yield from ("", "[delivery]", *section_lines(said, "delivery"))
    yield from ("", "[corrections]", *section_lines(said, "corrections"))
    yield from (f"# {line}  # would change {n:,}" for line, n in corrections.items())

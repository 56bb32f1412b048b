"""The review: rows with what is wrong with them, edited in place; every step is in a list that is the patch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

import toolkit.quality as checks
from toolkit.config import current
from toolkit.display import Part, Tone, joined, key, marked_change, plural, stack, visible
from toolkit.errors import InputError, wrong_kind
from toolkit.model import ID, TIME, UNIQUE, Delivery
from toolkit.panels.elements import Element, button, cell, element, form_of, note, section, short, tick
from toolkit.panels.panel import Panel
from toolkit.panels.station import action
from toolkit.panels.steps import PATCHED, Work, table
from toolkit.panels.upload import Upload
from toolkit.quality import CHANGE_COLUMNS, WHOLE_LINE, WHOLE_ROW, Patch, ValidationReport, in_words, own
from toolkit.reading import read_customers
from toolkit.tables import cells_as_text, times_as_text

PAGE = 200
"""Rows of a message to the browser."""
STILL, TOP, MAX_VALUES, MAX_LISTED, MAX_LINE = 20, 24, 12, 50, 400
BY_HAND = "by hand"
TONES = {"failure": "bad", "warning": "warn", "edited": "good", "left out": "calm"}
FACETS = {"state": "State", "reason": "Reason", "column": "Column", "value": "Value"}
WAITS = "The rules over the whole file, such as names that are alike, wait for Recheck all."
KEYS = "Arrows move · Enter or F2 edit · Esc leaves a cell as it was · Del leaves the row out · Ctrl Z takes back. " \
       "A row is checked again as you leave its cell."  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """What is wrong with a cell, or with a line as a whole; `other` is a row to compare with."""

    tone: Tone
    column: str | None
    check: str
    reason: str
    other: int | None

    @property
    def said(self) -> str:
        """The reason, and the row to compare with."""
        return self.reason if self.other is None else f"{self.reason} (see row {self.other})"


@dataclass(frozen=True)
class Edit:
    """One step: cells (row, column, and the new text), and what a list says of it, or shows before and after."""

    rule: str
    cells: tuple[tuple[int, str, str | None], ...]
    said: str = ""
    shown: tuple[str | None, str | None] = (None, None)


class Review(Upload):
    """Rows to review, and the steps that were taken.

    Attributes
    ----------
    first, base
        The report that the review began with, and its delivery.
    columns, index, shown
        The delivery's columns in the file's order, its rows with the lines that could not be read, and by column their
        texts as they are now, times as the file writes them.
    edits
        The steps, in their order; together they are the patch.
    found
        What is wrong, by row.
    """

    title, endings = "Review", (".csv", ".xlsx")

    def __init__(self, report: ValidationReport | None = None) -> None:
        super().__init__()
        self.edits: list[Edit] = []
        self._waiting, self._goto, self.version = set[int](), -1, 0
        self._searched_for = "", -1, np.zeros(0, bool)
        self._checked: tuple[ValidationReport, dict[tuple[int, str], tuple[str | None, str]]]
        if report is not None:
            self.start(report)

    def start(self, report: ValidationReport) -> Self:
        """Begin with a report."""
        if not isinstance(report, ValidationReport):
            raise wrong_kind(report, "a validation report", "validate(data)")
        self.first, self.base = report, checks.checked(report)
        self._of = [self.base.digest, self.base.file.get("sheet")]  # what the numbers of its rows belong to
        frame = self.base.frame
        self.columns = checks.file_order((str(c) for c in frame if c in self.base.given), self.base.names)
        self._original = _texts(pd.concat([cells_as_text(frame), self.base.broken[[ID]].astype(object)]).sort_index())
        self.index = self._original.index
        self._cells = {c: self._original[c].to_numpy(object) for c in self.columns}
        self._places = {row: at for at, row in enumerate(self.index.tolist())}
        written = self._original.assign(**{TIME: self.base.as_written(frame[TIME]).reindex(self.index)})
        self.shown = {c: texts.to_numpy(object, copy=True) for c, texts in _texts(written).items()}
        self._words = [self._searched(at) for at in range(len(self.index))]
        self._members: dict[str, dict[str, set[int]]] = {facet: {} for facet in FACETS}
        self._tags = dict[int, set[tuple[str, str]]]()
        self._over, self.found = dict[tuple[int, str], tuple[str | None, str]](), dict[int, list[Finding]]()
        self._take_findings(report)
        self.chosen, self.query, self.only = {facet: set[str]() for facet in FACETS}, "", bool(self.found)
        self.edits, self.said = [], ""
        return self

    def _searched(self, at: int) -> str:
        return "\n".join(self.shown[c][at] or "" for c in self.columns).casefold()

    # --- the plain object

    @property
    def patch(self) -> Patch:
        """The steps, as the patch that makes them again in the delivery of the first report."""
        return self._patch(self._over)

    def _patch(self, cells: Iterable[tuple[int, str]]) -> Patch:
        listed = [(*cell, self._was(*cell), *self._over[cell]) for cell in sorted(cells)]
        changes = pd.DataFrame([c for c in listed if c[2] != c[3]], columns=CHANGE_COLUMNS, dtype=object)
        return checks.patch_of(changes, self._original[ID], delivery=self._own)

    @property
    def delivery(self) -> Delivery:
        """The delivery with the patch applied."""
        if not self._over:
            return self.base
        return replace(checks.apply_patch(self._own, self.patch).delivery, digest=self.base.digest)

    @property
    def report(self) -> ValidationReport:
        """The report of the delivery with the patch applied, by all rules."""
        if self._checked[1] != self._over:
            self._checked = checks.check_again(self.first, self.delivery), self._over
        return self._checked[0]

    @property
    def _own(self) -> Delivery:
        # The rows of a frame are found again by their numbers here, as those of a file are.
        return replace(self.base, digest=self.base.digest or "frame")

    def _was(self, row: int, column: str) -> Any:
        return "present" if column == WHOLE_ROW else self._cells[column][self._places[row]]

    def _now(self, row: int, column: str) -> Any:
        return self._over[row, column][0] if (row, column) in self._over else self._was(row, column)

    def is_out(self, row: int) -> bool:
        """Return whether a row is left out."""
        return bool(self._now(row, WHOLE_ROW) == "dropped")

    def _is_edited(self, row: int) -> bool:
        return any(self._now(row, column) != self._was(row, column) for column in self.columns)

    def write(self, row: int, column: str, value: str) -> None:
        """Write a text into a cell, a time as the file writes it or in ISO 8601."""
        if row not in self._places or column not in self.columns:
            raise InputError(f"Row {row} or its column is not in the delivery: run the cell again.")
        before, new = self.shown[column][self._places[row]], pd.Series([value or None], dtype=object)
        new = times_as_text(checks.as_times(new, self.base)) if column == TIME else new
        if value != (before or ""):
            self._add(Edit(BY_HAND, ((row, column, new.iloc[0]),), shown=(before, value)))

    def _add(self, edit: Edit) -> None:
        known = {*self.columns, WHOLE_ROW}
        if cells := tuple(c for c in edit.cells if c[0] in self._places and c[1] in known):
            self.edits.append(replace(edit, cells=cells))
            self._apply(edit)

    def _apply(self, edit: Edit) -> None:
        """Make the cells of a step, which was added or taken back, what the steps say now; then their rows wait."""
        self._over = {(row, column): (after, e.rule) for e in self.edits for row, column, after in e.cells}
        rows = {row for row, *_ in edit.cells}
        places = [self._places[row] for row in rows]
        customers = set(self.shown[ID][places])
        for column in {column for _, column, _ in edit.cells} - {WHOLE_ROW}:
            cells = pd.Series([self._now(row, column) for row in rows], dtype=object)
            cells = self.base.as_written(checks.as_times(cells, self.base)) if column == TIME else cells
            self.shown[column][places] = cells.astype(object).where(cells.notna(), None)
        customers = (customers | set(self.shown[ID][places])) - {None}
        self._waiting |= {*rows, *self.index[np.isin(self.shown[ID], list(customers))].tolist()}

    def _settle(self) -> None:
        """Check the rows that wait by what a row alone shows and by keys; rules over the file wait for `recheck`."""
        rows, self._waiting = self._waiting, set()
        if not rows:
            return
        frame, broken = (part[part.index.isin(rows)] for part in (self.base.frame, self.base.broken))
        some = replace(self._own, frame=frame, broken=broken, file={})
        part = checks.apply_patch(some, self._patch(cell for cell in self._over if cell[0] in rows)).delivery
        found = _found(checks.check_again(self.first, part, row_by_row=True))
        of_files = {rule.name for rule in checks.rules_of(self.first) if not rule.of_a_row}
        for row in rows:
            same = {c for c in self.columns if self._over.get((row, c)) == self._checked[1].get((row, c))}
            wait = [f for f in self._whole.get(row, ()) if f.check in of_files and f.column in same]
            self.found[row] = [] if self.is_out(row) else [*found.get(row, ()), *wait]
            self._tag(row)
        self.version += 1

    def _take_findings(self, report: ValidationReport) -> None:
        self._checked, self._whole = (report, self._over), _found(report)
        rows = {*self.found, *self._whole, *(row for row, _ in self._over)}
        self.found = {row: list(found) for row, found in self._whole.items()}
        for row in rows:
            self._tag(row)

    def _tag(self, row: int) -> None:
        """Put a row among the members of the facets that it belongs to."""
        at, names = self._places[row], self.base.names
        tags = {("state", "left out")} if self.is_out(row) else {("state", "edited")} if self._is_edited(row) else set()
        for f in self.found.get(row, ()):
            tags |= {("state", "failure" if f.tone == "bad" else "warning"), ("reason", in_words(f.reason, names)),
                     ("column", own(f.column, names) if f.column else WHOLE_LINE)}  # fmt: skip
            tags |= {("value", short(self.shown[f.column][at] or "empty"))} if f.column in self.shown else set()
        for facet, value in self._tags.get(at, set()) - tags:
            self._members[facet][value].discard(at)
        for facet, value in tags:
            self._members[facet].setdefault(value, set()).add(at)
        self._tags[at], self._words[at] = tags, self._searched(at)

    # --- which rows are shown

    def _rows(self, *, without: str = "") -> npt.NDArray[np.bool_]:
        """Return which rows pass the search and the facets, other than one of them."""
        self._settle()
        mask, query = np.ones(len(self.index), bool), self.query.strip().casefold()
        if query:
            if self._searched_for[:2] != (query, self.version):  # once for the facets, the grid and its pages
                found = np.fromiter((query in words for words in self._words), bool, len(mask))
                self._searched_for = query, self.version, found
            mask &= self._searched_for[2]
        chosen = [[self._members[of].get(value, set()) for value in values]
                  for of, values in self.chosen.items() if of != without]  # fmt: skip
        for members in [*chosen, list(self._members["state"].values()) if self.only else []]:
            if members:
                some = np.zeros(len(self.index), bool)
                some[list(set().union(*members))] = True
                mask &= some
        return mask

    @property
    def rows(self) -> list[int]:
        """The rows that are shown, by their numbers."""
        return [int(row) for row in self.index[self._rows()]]

    def counts(self, facet: str) -> dict[str, int]:
        """Return the values of a facet with the number of rows that they would show, the most frequent first."""
        is_shown, chosen = self._rows(without=facet).tolist(), self.chosen[facet]
        found = {value: n for value, some in self._members[facet].items()
                 if (n := sum(map(is_shown.__getitem__, some))) or value in chosen}  # fmt: skip
        return {value: found[value] for value in sorted(found, key=found.__getitem__, reverse=True)}

    # --- as a step

    @property
    def calls(self) -> tuple[str, ...]:
        """The lines of Python and the command that do the same."""
        made = f"{self.work.called}.patch.write('patch.csv')" if self.edits else ""
        patched, options = ("tk.apply_patch(delivery, 'patch.csv')", PATCHED) if self.edits else ("delivery", ())
        return made, f"report = tk.validate({patched})", self.work.command("check", *options)

    @property
    def brief(self) -> str:
        """How many steps were taken."""
        return plural(len(self.edits), "edit") if self.edits else ""

    def begin(self, work: Work) -> None:
        """Read, correct and check the customers; steps that were taken before are kept."""
        work.delivery = read_customers(work.source, mapping=work.mapping)
        work.report = checks.validate(checks.correct(work.delivery))
        kept = self.kept()
        self.start(work.report)
        self.restore(kept)

    def finish(self, work: Work) -> None:
        """Give the report of the edited rows, and the patch."""
        work.report, work.patch = self.report, self.patch

    def kept(self) -> dict[str, Any]:
        """Return the steps, and the patch for a file that has changed since."""
        if not self.edits:
            return {}
        entries = _texts(self.patch.entries).to_dict("records")
        return {"of": self._of, "edits": [astuple(edit) for edit in self.edits], "patch": entries}

    def restore(self, kept: dict[str, Any]) -> None:
        """Take the steps again; in a file that has changed since, what its customers still call for."""
        if kept and kept["of"] != self._of:  # the numbers of its rows say nothing here
            patch = Patch(pd.DataFrame(kept["patch"]).astype({"source_row": "int64"}).assign(delivery=""))
            self.said = self._take(patch, "Edits of another file, or of what it was before")
            return
        for rule, cells, said, shown in kept.get("edits", ()):
            self._add(Edit(rule, tuple((row, column, after) for row, column, after in cells), said, tuple(shown)))

    # --- what a browser may ask for

    @action
    def page(self, at: int) -> dict[str, Any]:
        """Return rows from a place on, as the grid draws them."""
        rows = np.flatnonzero(self._rows())[at : at + PAGE]
        return {"version": self.version, "rows": [self._line(int(place)) for place in rows]}

    @action
    def edit(self, row: int, column: str, value: str) -> str:
        """Write a text into a cell, and say what the row is now."""
        self.write(row, column, value)
        return f"Row {row}: {self._state(row)[0]}."

    @action
    def leave_out(self, row: int) -> str:
        """Leave a row out, or take it back."""
        becomes, said = ("present", "taken back") if self.is_out(row) else ("dropped", "left out")
        self._add(Edit(BY_HAND, ((row, WHOLE_ROW, becomes),), said))
        return f"Row {row} is {said}."

    @action
    def join(self, row: int) -> str:
        """Make a row of a broken line with one cell too many: two cells that were probably one are joined."""
        [texts] = _texts(cells_as_text(checks.joined_row(self.base, row)))[self.columns].to_dict("records")
        self._add(Edit(BY_HAND, tuple((row, c, texts[c]) for c in self.columns), "2 cells joined"))
        return f"Row {row}: {self._state(row)[0]}."

    @action
    def undo(self, at: int = -1) -> str:
        """Take a step back, by default the last."""
        if not self.edits:
            return "There is nothing to take back."
        edit = self.edits.pop(at)
        self._goto = edit.cells[0][0]
        self._apply(edit)
        return f"Taken back: {self._about(edit)}."

    @action
    def go_to(self, row: int) -> str:
        """Show a row to compare with, among all rows if the facets hide it."""
        if not self._rows()[self._places[row]]:
            self.filter("all")
        self._goto = row
        return f"Row {row}."

    @action
    def filter(self, by: str, value: Any = None, of: str = "") -> str:
        """Show only some rows.

        Parameters
        ----------
        by
            A facet, whose value `of` is chosen or not: several of one facet are "or", several facets "and". ``query``
            for rows with a text in a cell, ``only`` for those with findings or edits, ``all`` for every row.
        """
        if by == "all":
            self.chosen, self.query, self.only = {facet: set() for facet in FACETS}, "", False
        elif by in FACETS:
            (self.chosen[by].add if value else self.chosen[by].discard)(of)
        else:
            self.query, self.only = (value, self.only) if by == "query" else (self.query, value)
        self.version += 1
        return f"{plural(int(self._rows().sum()), 'row')} shown."

    @action
    def recheck(self) -> str:
        """Check all rows by all rules."""
        self._take_findings(self.report)
        self.version += 1
        return f"{self.report.summary()}."

    @action
    def to_file(self, fields: dict[str, str]) -> str:
        """Write the patch (.csv), or the review sheet of the rows as they are now (.xlsx)."""
        [(kind, path)] = fields.items()
        path = path.strip()
        return f"{self.patch.write(path) if kind == 'patch' else self.report.to_excel(path)} is written."

    @action
    def from_file(self, fields: dict[str, str]) -> str:
        """Apply a patch, or a review sheet that came back, as one step."""
        return self.take(Path(fields["back"].strip()))

    def take(self, path: Path) -> str:
        """Apply a patch, or a review sheet that came back, as one step."""
        return self._take(checks.read_patch(path), path.name)

    def _take(self, patch: Patch, name: str) -> str:
        now = self.delivery
        done = checks.apply_patch(replace(now, digest=self._own.digest), patch)
        old, new = (
            cells_as_text(of.frame).reindex(of.frame.index.union(of.broken.index)) for of in (now, done.delivery)
        )
        changes = _texts(checks.changes_between(old, new, name)[["source_row", "column", "after"]])
        cells = tuple((int(row), column, after) for row, column, after in changes.itertuples(index=False))
        rule = str(patch.entries["rule"].iloc[0]) if len(patch.entries) else name
        self._add(Edit(rule, cells, f"{name}: {plural(len(cells), 'cell')}"))
        return f"{name}: {done.summary()}."

    # --- what is shown

    def _line(self, at: int) -> list[Any]:
        """Return a row as the grid takes it.

        Number, state, tone, texts, marks, raw line, texts to be edited, and what may be done, each with its words.
        """
        row, marks = int(self.index[at]), dict[int, list[str]]()
        twins = [f.other for f in self.found.get(row, ()) if f.check == UNIQUE and f.other is not None]
        for f in self.found.get(row, ()):
            if f.column in self.columns:
                why = in_words(f.said.removeprefix(f"{f.column} "), self.base.names)
                mark = marks.setdefault(self.columns.index(f.column), [f.tone])
                mark[1:] = ["; ".join([*mark[1:], why])]
        for place, column in enumerate(self.columns):
            if self._now(row, column) != (was := self._was(row, column)):
                marks.setdefault(place, ["good", f"was {visible(was or 'empty')}"])
            if differ := [t for t in twins if self.shown[column][at] != self.shown[column][self._places[t]]]:
                marks.setdefault(place, ["warn", f"row {differ[0]} differs"])
        raw = [self.shown[c][at] or "" for c in self.columns]
        texts, is_raw = [visible(text) for text in raw], row in self.base.broken.index and not self._is_edited(row)
        line = visible(str(self.base.broken.at[row, "text"])[:MAX_LINE]) if is_raw else ""
        others = sorted({f.other for f in self.found.get(row, ()) if f.other is not None})
        ways = [[f"Go to row {other}", {"do": "go_to", "row": other}] for other in others]
        ways += [["Join 2 cells", {"do": "join", "row": row}]] * bool(is_raw and checks.possible_rows(self.base, row))
        return [row, *self._state(row), texts, marks, line, {n: t for n, t in enumerate(raw) if t != texts[n]}, ways]

    def _state(self, row: int) -> tuple[str, Tone]:
        """Return what a row is now in words, and its tone."""
        self._settle()
        if self.is_out(row):
            return "left out", "calm"
        for f in self.found.get(row, ()):  # failures come first
            todo = "to fix" if f.tone == "bad" else "to look at"
            return f"{todo}: {in_words(f.said, self.base.names)}", f.tone
        return ("edited, nothing is wrong", "good") if self._is_edited(row) else ("fine", "calm")

    def _about(self, edit: Edit) -> str:
        row, column, _ = edit.cells[0]
        where = "" if edit.said else f" · {own(column, self.base.names)}"
        return f"row {row}{where}" if len({row for row, *_ in edit.cells}) == 1 else edit.said

    @property
    def verdict(self) -> str:
        """What is still to do, in one line."""
        *_, bad, out = (part.n for part in self.parts)
        good = f"{len(self.index) - bad - out:,} can be sent" + (f"; {out:,} left out" if out else "")
        return f"{plural(bad, 'row is', 'rows are') if bad else 'No row is'} still to fix; {good}"

    @property
    def parts(self) -> list[Part]:
        """How many rows are clean, to look at, to fix, and left out."""
        self._settle()
        bad, warned, out = (self._members["state"].get(state, set()) for state in ("failure", "warning", "left out"))
        return [Part(len(self.index) - len(bad | warned | out), "clean", "good"),
                Part(len(warned - bad), "to look at", "warn", warned=True), Part(len(bad), "to fix", "bad"),
                Part(len(out), "left out", "calm", sign="–")]  # fmt: skip

    def view(self) -> Element:
        """Return the facets, the grid and the list of steps."""
        shown = np.flatnonzero(self._rows())
        values = {c.name: c.values for c in current(None).documented.resource.columns}
        heads = [[c, own(c, self.base.names), values.get(c, ())] for c in self.columns]
        goto = np.flatnonzero(self.index[shown] == self._goto)[:1].tolist() or [-1]
        self._goto = -1
        still = [(str(name), "", "", [cell(self.shown[c][at]) for at in shown[:STILL]]) for c, name, _ in heads]
        search = element("input", type="search", value=self.query, key="query", placeholder="Search rows",
                         aria_label="Search rows", on={"input": {"do": "filter", "by": "query"}})  # fmt: skip
        count = element("output", f"{len(shown):,} of {plural(len(self.index), 'row')} shown")
        tools = search, button("Recheck all", "recheck"), button("Show all rows", "filter", by="all"), count
        grid = element("review-grid", table("First rows", still), key="grid", data_n=len(shown), data_page=PAGE,
                       data_goto=goto[0], data_version=self.version, data_columns=json.dumps(heads),
                       data_rows=json.dumps([self._line(at) for at in shown[:TOP].tolist()]),
                       style=f"--rows: {len(shown)}")  # fmt: skip
        waits = note("changed", WAITS, key="waits") if self._checked[1] != self._over else None
        only = tick("Only rows with findings or edits", self.only, "filter", key="only", by="only")
        facets = element("div", only, list(self._facets()), class_="facets")
        keys = element("p", KEYS, class_="s")
        rows = element("div", element("div", tools, class_="tools"), grid, keys, self._steps(), class_="rows")
        said = note("warn", self.said, key="said") if self.said else None
        picture = joined(stack(self.parts), key(self.parts))
        return self.framed(f"{self.verdict}.", picture, said, waits, element("div", facets, rows, class_="review"))

    def _facets(self) -> Iterator[Element]:
        for facet, label in FACETS.items():
            counts, chosen = self.counts(facet), self.chosen[facet]
            most = max(counts.values(), default=0) or 1
            ticks = [
                tick([element("span", value), element("b", f"{counts[value]:,}"),
                      element("i", style=f"width: {counts[value] / most:.0%}", class_=TONES.get(value, ""))],
                     value in chosen, "filter", key=f"{facet}-{value}", by=facet, of=value)
                for value in sorted(counts, key=lambda value: value not in chosen)[:MAX_VALUES]
            ]  # fmt: skip
            if ticks:
                yield element("fieldset", element("legend", label), ticks, key=f"facet-{facet}")

    def _steps(self) -> Element:
        lines = []
        for at, edit in list(enumerate(self.edits))[: -MAX_LISTED - 1 : -1]:
            about, (old, new) = self._about(edit), marked_change(*edit.shown)
            shown = "" if edit.said == about else edit.said or [old, " → ", new]
            back = button("Undo", "undo", at=at, said=f"Undo {about}")
            lines.append(element("li", element("small", about), element("span", shown), back, class_="row"))
        forms = [
            form_of("Save the patch", "patch.csv", "Save", "to_file", key="patch"),
            form_of("Review sheet for the owner of the data", "review.xlsx", "Write", "to_file", key="sheet"),
            form_of("A patch, or a sheet that came back", "review.xlsx", "Apply", "from_file", key="back"),
        ]
        edits = element("ol", lines, class_="edits") if lines else element("p", "None yet.", class_="soft")
        drop = self.drop("or drop a patch or a sheet here, or choose one of your computer")
        ways = element("div", forms, class_="forms")
        return section("Edits", "the patch; the file is not touched", edits, ways, drop, key="steps")


def _texts(cells: pd.DataFrame) -> pd.DataFrame:
    return cells.astype(object).where(cells.notna(), None)


def _found(report: ValidationReport) -> dict[int, list[Finding]]:
    """Return the findings of a report by row, failures first."""
    found: dict[int, list[Finding]] = {}
    sides: tuple[tuple[Tone, pd.DataFrame], ...] = ("bad", report.failures), ("warn", report.warnings)
    for tone, side in sides:
        for f in side.to_dict("records"):
            column, other = (None if pd.isna(of) else of for of in (f["column"], f["other"]))
            found.setdefault(int(f["index"]), []).append(Finding(tone, column, f["check"], f["reason"], other))
    return found


class ReviewPanel(Panel):
    """A panel of the rows of a report: edited in place, left out, corrected by the owner of the data.

    Parameters
    ----------
    report
        What `validate` returned for customers in memory.
    """

    station: Review

    def __init__(self, report: ValidationReport) -> None:
        super().__init__(Review().start(report))

    @property
    def patch(self) -> Patch:
        """The edits so far."""
        return self.station.patch

    @property
    def report(self) -> ValidationReport:
        """The report of the customers with the edits."""
        return self.station.report

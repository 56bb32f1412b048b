"""The review sheet: rows to correct go to the data owner as a workbook, and the workbook comes back as changes.

Its words are in ``review_sheet.toml``, by language. A hidden sheet keeps the rows as they were, and the names of the
sheets and columns, so that the workbook can be read back whatever its language is.
"""

from __future__ import annotations

import json
import tomllib
import warnings
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import pyarrow as pa

from toolkit.errors import CorrectionError, InputError, MappingError, outside
from toolkit.model import CUSTOMER, ID, TIME, Delivery, Language, parse_times
from toolkit.quality.corrections import changes_between
from toolkit.reading import Table, read_again, read_excel
from toolkit.tables import Cell, Sheet, cells_as_text, fits_cell, times_as_text, write_sheets

KEPT = "kept"
MAX_COMMENTS = 5_000
"""Cells that get their reason as a comment; beyond this number the reasons are in their column only."""
MAX_UNUSUAL = 1_000
"""Rows that can be sent but look unusual: no owner reads more of them."""
CUT = " … (cut)"
"""Ends a text that was too long for a cell. A patch of such a cell is stale, since the source has the whole text."""

_FACTS = ("source", "digest", "datetime", "timezone")
_OWN = ("row", "wrong", "drop")
_ROW, _WRONG, _DROP = _OWN
_MOMENT = "moment"
_FINDING = ["index", "column", "check", "reason", "other"]
_TEXT = "text"
_CHUNK = 4_000  # characters of JSON, which fit in a cell even if each is escaped
_YES = ("x", "yes", "y", "ja", "oui", "drop")
_BAD, _UNUSUAL, _TWIN, _HEAD, _PALE = "FFC7CE", "FFE699", "FFF5D6", "D6DFEA", "F3F5F7"


def write_review_sheet(
    rows: pd.DataFrame,
    findings: pd.DataFrame,
    path: str | Path,
    *,
    delivery: Delivery,
    unusual: pd.DataFrame | None = None,
    language: Language | None = None,
) -> Path:
    """Write rows as a workbook for the data owner: the bad cells coloured, each with its reason as a comment.

    Every cell is text, whatever it looks like. Columns and times are as in the delivery's source, whose other columns
    are read again from its file, so that the owner recognises the customers. Rows of one customer, and rows that a
    finding compares, are below each other.

    Parameters
    ----------
    rows
        The rows to correct, index ``source_row``; ``text`` is the raw text of a line that could not be parsed.
    findings
        One row for each bad cell: ``index`` (a ``source_row``), ``column`` (null for the whole row) and ``reason``;
        ``check`` and ``other`` (a ``source_row`` to compare with) if they are known.
    delivery
        Where the rows come from.
    unusual
        Findings about rows that can be sent: those of the delivery's rows are on a sheet of their own, at most 1,000.
    language
        ``en``, ``de`` or ``fr``; None: what the delivery's mapping says.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If the file cannot be written, its name does not end in .xlsx, or there is no such language.
    """
    words = _words(language or delivery.language)
    found = pd.concat([
        part.reindex(columns=_FINDING).assign(color=color)
        for part, color in ((findings, _BAD), (unusual, _UNUSUAL)) if part is not None
    ])  # fmt: skip
    named = found.loc[found["color"] == _UNUSUAL, ["index", "other"]].to_numpy().ravel()
    good = delivery.frame[delivery.frame.index.isin(named) & ~delivery.frame.index.isin(rows.index)]
    rows, good = _twins_together(rows, found), _twins_together(good, found)
    more = good.head(MAX_UNUSUAL)
    every = pd.concat([part for part in (rows, more) if len(part)] or [rows])
    cells = _texts(every).map(_fitting)
    wanted = {*CUSTOMER.key, *delivery.names, *findings["column"].dropna()}  # though the file may lack them
    filled = [str(c) for c in cells if c != _TEXT and (c in wanted or (cells[c] != "").any())]
    columns = [*(c for c in delivery.names if c in filled), *(c for c in filled if c not in delivery.names)]
    shown = cells[columns]
    if TIME in every:
        shown = shown.assign(**{TIME: delivery.as_written(every[TIME]).fillna("")})
    others = read_again(delivery, every.index)
    notes = [*words["help"], *([words["cut"]] if len(more) < len(good) else [])]
    if delivery.file and others is None:
        notes.append(words["mapped_only"])
        warnings.warn(words["mapped_only"].format(source=delivery.source), stacklevel=outside())
    beside = pd.DataFrame(index=every.index) if others is None else others.reindex(every.index).fillna("").map(_fitting)
    if _TEXT in cells and (cells[_TEXT] != "").any():
        beside.insert(0, words["raw"], cells[_TEXT], allow_duplicates=True)
    page = _Page(words, delivery.names, shown, beside, *_marks(found, shown, words, delivery.names))
    parts = [("rows", rows), *([("warnings", more)] if len(more) else [])]
    sheets = {words[name]: page.sheet(part.index) for name, part in parts}
    facts = {name: getattr(delivery, name) for name in _FACTS}
    facts |= {name: words[name] for name in _OWN} | {"columns": columns, "sheets": list(sheets)}
    facts["names"] = page.headings[0]
    kept = json.dumps([facts, *zip(map(int, cells.index), *(shown[c] for c in columns), cells[TIME], strict=True)])
    fills = {**words, "source": delivery.source, "shown": f"{len(more):,}", "all": f"{len(good):,}"}
    sheets[words["how"]] = _help([note.format(**fills) for note in notes], words)
    sheets[KEPT] = Sheet([[kept[at : at + _CHUNK]] for at in range(0, len(kept), _CHUNK)], hidden=True)
    return write_sheets(sheets, Path(path))


def changes_in(path: Path) -> tuple[pd.DataFrame, pd.Series[Any], Delivery]:
    """Return what was changed in a review sheet that came back: the changes, the ids before them, and the delivery.

    Raises
    ------
    ReadingError
        If there is no such file, or it is not a readable workbook.
    CorrectionError
        If it is not a review sheet, lacks a column, or has a row twice or one that was not sent out.
    """
    try:
        kept = read_excel(path, _places, sheet=KEPT, header_row=1)
        facts, *rows = json.loads("".join([kept.header[0], *kept.cells["0"].to_pylist()]))
        names = dict(zip([facts[_ROW], *facts["names"], facts[_DROP]], [_ROW, *facts["columns"], _DROP], strict=True))
    except (MappingError, ValueError, LookupError, TypeError):
        raise CorrectionError(f"{path.name} is not a workbook that to_excel wrote, or lost a sheet of it.") from None
    before = _by_row(pd.DataFrame(rows, columns=[_ROW, *facts["columns"], _MOMENT], dtype="str"))
    # Columns that the owner added, and those that are not sent, may contain anything: they are not read.
    sheets = {s: read_excel(path, partial(_places, names=names), sheet=s, header_row=1) for s in facts["sheets"]}
    after = pd.concat([_frame(sheet, names, f"{path.name}, sheet {title!r}") for title, sheet in sheets.items()])
    unknown = ~after.index.isin(before.index) & after.notna().any(axis="columns").to_numpy()  # empty rows do not count
    wrong = unknown | (after.index.duplicated() & (after.index >= 0))
    if wrong.any():
        places = [f"row {n:,} of the sheet {title!r}" for title, sheet in sheets.items() for n in sheet.numbers]
        raise CorrectionError(
            f"{path.name}, {places[wrong.argmax()]}: its {facts[_ROW]!r} is there twice, or is not one of those that "
            "were sent out. Put back the number that was there, or delete the row."
        )
    delivery = Delivery(pd.DataFrame(), **{name: facts[name] for name in _FACTS})
    return _changes(before, after.loc[after.index.isin(before.index)], delivery, facts[_DROP]), before[ID], delivery


def as_times(texts: pd.Series[Any], delivery: Delivery) -> pd.Series[Any]:
    """Read texts as the delivery's source writes times, or as ISO 8601; a text that is not a time stays a text."""
    if texts.empty:
        return texts
    cells = pa.chunked_array([pa.array(texts, pa.string(), from_pandas=True)])
    read = parse_times(cells, pattern=delivery.datetime, timezone=delivery.timezone, iso_too=True)
    unread = (read.unparsed | read.naive).set_axis(texts.index)
    return read.values.astype(object).set_axis(texts.index).mask(unread, texts.astype(object))


# --- what is written


@dataclass(frozen=True)
class _Page:
    """What the sheets of rows have in common.

    Attributes
    ----------
    names
        The file's names of its columns.
    shown, beside
        By row, the cells that are sent, and what is beside them so that the owner recognises the customer.
    reasons, marks
        By row, what is wrong, and its colour; by row and column, the colour and the comment of a cell.
    """

    words: Mapping[str, Any]
    names: Mapping[str, str]
    shown: pd.DataFrame
    beside: pd.DataFrame
    reasons: Mapping[int, tuple[str, str]]
    marks: Mapping[tuple[int, str], tuple[str, str]]

    @cached_property
    def headings(self) -> tuple[list[str], list[str]]:
        """The headings of the columns that are sent, and of those beside: each once, so that it is found again."""
        own, given = [self.words[name] for name in _OWN], [self.names.get(c, c) for c in map(str, self.shown)]
        sent = [f"{n} ({c})" if given.count(n) > 1 or n in own else n for n, c in zip(given, self.shown, strict=True)]
        beside: list[str] = []
        for at, name in enumerate(map(str, self.beside), start=1):
            beside.append(f"{name} ({at})" if name in (*own, *sent, *beside) else name)
        return sent, beside

    def sheet(self, rows: pd.Index[Any]) -> Sheet:
        """Return a sheet of these rows."""
        sent, beside = self.headings
        head = [Cell(name, _HEAD, bold=True) for name in (*(self.words[name] for name in _OWN), *sent)]
        widths = [9, 44, 10, *[22] * len(sent), *(60 if name == self.words["raw"] else 18 for name in beside)]
        heading: list[object] = [*head, *(Cell(name, _PALE) for name in beside)]
        return Sheet(chain([heading], self._lines(rows)), widths=widths, freeze="D2", filtered=True)

    def _lines(self, rows: pd.Index[Any]) -> Iterator[list[object]]:
        cells, beside, n_comments = self.shown.loc[rows], self.beside.loc[rows].to_numpy(), 0
        for (row, *texts), others in zip(cells.itertuples(name=None), beside, strict=True):
            reason, color = self.reasons.get(row, ("", ""))
            line: list[object] = [Cell(int(row)), Cell(reason, color, wrap=True), ""]
            for column, text in zip(map(str, cells), texts, strict=True):
                color, comment = self.marks.get((row, column), ("", ""))
                n_comments += bool(comment)
                line.append(Cell(text, color, comment if n_comments <= MAX_COMMENTS else "") if color else text)
            yield [*line, *others]


def _marks(
    found: pd.DataFrame, shown: pd.DataFrame, words: Mapping[str, Any], names: Mapping[str, str]
) -> tuple[dict[int, tuple[str, str]], dict[tuple[int, str], tuple[str, str]]]:
    """Return the reasons of each row, coloured if they are about no one cell, and the mark of each cell."""
    reasons: dict[int, tuple[str, str]] = {}
    marks: dict[tuple[int, str], tuple[str, str]] = {}
    for finding in found[found["index"].isin(shown.index)].to_dict("records"):
        row, column, said = finding["index"], finding["column"], _said(finding, words, names)
        before, color = reasons.get(row, ("", ""))
        if column in shown:
            own, comment = marks.get((row, column), (finding["color"], ""))
            marks[row, column] = own, _joined(comment, said)
        else:
            color = color or finding["color"]
        reasons[row] = _joined(before, said), color
    twins = shown.groupby([shown[c].where(shown[c] != "") for c in CUSTOMER.key])
    for column in map(str, shown):
        for row in shown.index[twins[column].transform("nunique") > 1]:
            marks.setdefault((row, column), (_TWIN, ""))
    return reasons, marks


def _joined(before: str, said: str) -> str:
    return before if said in before.split("; ") else f"{before}; {said}".removeprefix("; ")


def _said(finding: Mapping[Any, Any], words: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Return a finding in the sheet's language, with the file's own names of columns."""
    column, said = finding["column"], str(finding["reason"])
    known = words["why"].get(str(finding["check"]).partition("(")[0])
    if known:
        values = CUSTOMER.column(column).values if column in CUSTOMER.names else ()
        key = ", ".join(names.get(c, c) for c in CUSTOMER.key)
        said = known.format(column=names.get(column, column), key=key, values=", ".join(values), reason=said)
    elif column in names and said.startswith(f"{column} "):
        said = names[column] + said.removeprefix(column)
    return said if pd.isna(finding["other"]) else f"{said} ({words['beside'].format(row=int(finding['other']))})"


def _twins_together(rows: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Return the rows in their order, but rows of one customer, and those that a finding compares, together."""
    numbers = rows.index.to_series()
    first = numbers.groupby(rows[ID]).transform("min").fillna(numbers).to_dict()
    for row, other in found.dropna(subset="other")[["index", "other"]].itertuples(index=False):
        if row in first and other in first:
            first[row] = first[other] = min(first[row], first[other])
    return rows.loc[sorted(rows.index, key=lambda row: (first[row], row))]


def _help(notes: Sequence[str], words: Mapping[str, Any]) -> Sheet:
    """Return the sheet that says what to do, and what the colours mean."""
    legend = [Cell(words[name], color) for name, color in (("bad", _BAD), ("unusual", _UNUSUAL), ("twin", _TWIN))]
    lines = [*(Cell(note, wrap=True) for note in notes), "", *legend]
    return Sheet([[line] for line in lines], widths=[100], freeze=None)


def _words(language: str) -> dict[str, Any]:
    """Return all that a sheet says in a language."""
    if language not in get_args(Language):
        raise InputError(f"language cannot be {language!r}: write one of {', '.join(get_args(Language))}.")
    every = tomllib.loads(files(__package__).joinpath("review_sheet.toml").read_text(encoding="utf-8"))
    words: dict[str, Any] = every[language]
    return words


def _texts(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows' cells as text, the columns of the key first, even if the rows lack them."""
    known = [c for c in CUSTOMER.names if c in rows.columns]
    more = [c for c in rows.columns if c not in (*known, "reasons")]
    return cells_as_text(rows[known + more]).reindex(columns=list(dict.fromkeys([ID, TIME, *known, *more])))


def _fitting(cell: str | None) -> str:
    text = "" if cell is None else cell
    return text if fits_cell(text) else text[:4_000] + CUT


# --- what came back


def _places(header: Sequence[str], names: Container[str] | None = None) -> dict[str, int]:
    """Return the places of the columns with these names, or of all, each under its own place."""
    return {str(at): at for at, name in enumerate(header) if names is None or name in names}


def _frame(sheet: Table, names: Mapping[str, str], where: str) -> pd.DataFrame:
    """Return a sheet's columns as text, index ``source_row``; an empty cell is null."""
    if sheet.broken:
        raise CorrectionError(f"{where}, row {sheet.broken[0].number:,}: {sheet.broken[0].reason}.")
    lacking = [n for n, c in names.items() if sheet.header.count(n) != 1 and (c != _DROP or n in sheet.header)]
    if lacking:
        raise CorrectionError(f"{where} has no column {lacking[0]!r}, or two: put its header back.")
    columns = {names[name]: str(at) for at, name in enumerate(sheet.header) if name in names}
    return _by_row(pd.DataFrame({c: sheet.cells.column(at).to_pandas().astype("str") for c, at in columns.items()}))


def _by_row(texts: pd.DataFrame) -> pd.DataFrame:
    """Return the texts by their row; an empty text is null, and a number that is none is -1."""
    numbers = pd.to_numeric(texts.pop(_ROW), errors="coerce").fillna(-1).astype("int64")
    return texts.mask(texts == "").set_axis(pd.Index(numbers, name="source_row"))


def _changes(before: pd.DataFrame, after: pd.DataFrame, delivery: Delivery, marked: str) -> pd.DataFrame:
    nothing = pd.Series(None, index=after.index, dtype="str")
    drop = after.pop(_DROP).str.strip().str.casefold() if _DROP in after else nothing
    if (unclear := drop.notna() & ~drop.isin(_YES)).any():
        raise CorrectionError(
            f"Row {unclear.idxmax()}: its cell {marked!r} is neither x nor empty. Write x to drop the row, or empty "
            "the cell."
        )
    was, now = before.loc[before.index.isin(after.index)].sort_index(), after[drop.isna()].sort_index()
    moments = was.pop(_MOMENT)
    if TIME in now:  # a time that was not touched is the moment that it was, though its text may not say all of it
        texts, shown = now[TIME], was[TIME].reindex(now.index)
        same = (texts == shown) | (texts.isna() & shown.isna())
        read = times_as_text(as_times(texts, delivery)).astype("str")
        now, was = now.assign(**{TIME: read.mask(same, moments)}), was.assign(**{TIME: moments})
    return changes_between(was[after.columns], now, "data owner")

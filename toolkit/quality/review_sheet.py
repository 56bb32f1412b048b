"""The review sheet: rows to correct go to the data owner as a workbook, and the workbook comes back as a patch."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

import pandas as pd

from toolkit.errors import CorrectionError, MappingError, wrong_kind
from toolkit.model import CUSTOMER, ID, TIME, Delivery
from toolkit.quality.corrections import changes_between
from toolkit.quality.patches import Patch, as_times, patch_of
from toolkit.reading import Table, read_excel
from toolkit.tables import Cell, Sheet, cells_as_text, fits_cell, times_as_text, write_sheets

ROWS, HOW, KEPT = "rows", "how", "kept"
MAX_COMMENTS = 5_000
"""Cells that get their reason as a comment; beyond this number the reasons are in their column only."""
CUT = " … (cut)"
"""Ends a text that was too long for a cell. A patch of such a cell is stale, since the source has the whole text."""

_ROW, _REASONS, _TEXT, _DROP = "source_row", "what is wrong", "raw text", "drop"
_OURS = (_ROW, _REASONS, _TEXT, _DROP)
_FACTS = ("source", "digest", "datetime", "timezone")
_WIDTHS = {_ROW: 11, _REASONS: 44, _TEXT: 60, _DROP: 7}
_YES = ("x", "yes", "y", "ja", "oui", "drop")
_BAD, _HEAD = "FFC7CE", "E8ECF1"
_HELP = (
    "Each row of the sheet 'rows' is a row of {source} that cannot be sent as it is.",
    "Correct the coloured cells; the comment on a cell, and the column 'what is wrong', say why.",
    "If a row should not be there at all, write x in its column 'drop'.",
    "Rows that you delete here, or leave as they are, stay as they were in the source.",
    "You may move rows and columns; leave the column 'source_row' as it is.",
    "Save the workbook and send it back.",
)


def write_review_sheet(rows: pd.DataFrame, findings: pd.DataFrame, path: str | Path, *, delivery: Delivery) -> Path:
    """Write rows as a workbook for the data owner: the bad cells coloured, each with its reason as a comment.

    Every cell is text, whatever it looks like. The columns have the names of the delivery's source. A hidden sheet
    keeps the rows as they were, so that the changes can be found when the workbook comes back.

    Parameters
    ----------
    rows
        The rows to correct, index ``source_row``; ``text`` is the raw text of a line that could not be parsed.
    findings
        One row for each bad cell: ``index`` (a ``source_row``), ``column`` (null for the whole row) and ``reason``.
    delivery
        Where the rows come from.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If the file cannot be written, or its name does not end in .xlsx.
    """
    texts = _texts(rows)
    wanted = {*delivery.names, *findings["column"].dropna()}  # though the file may lack them
    columns = [str(c) for c in texts if c != "text" and (c in wanted or texts[c].notna().any())]
    names = _headers(columns, delivery.names)
    shown = [*columns, "text"] if "text" in texts and texts["text"].notna().any() else columns
    header = [_ROW, _REASONS, *names, *([_TEXT] if shown != columns else []), _DROP]
    facts = {name: getattr(delivery, name) for name in _FACTS} | {"columns": columns, "names": names}
    cells = texts.map(_fitting)
    kept = [(str(row), *values) for row, *values in cells[columns].itertuples(name=None)]
    sheets = {
        ROWS: Sheet(
            [[Cell(name, color=_HEAD, bold=True) for name in header], *_review_rows(cells[shown], findings)],
            widths=[_WIDTHS.get(name, 24) for name in header],
            freeze="C2",
        ),
        HOW: Sheet([[line.format(source=delivery.source)] for line in _HELP], widths=[110], freeze=None),
        KEPT: Sheet([[json.dumps(facts), *columns], *kept], hidden=True),
    }
    return write_sheets(sheets, Path(path))


def read_review_sheet(path: str | Path, *, who: str | None = None, when: datetime | None = None) -> Patch:
    """Read a review sheet that came back, as a patch of the cells that were changed in it.

    The data owner may move rows and columns, and add others; a row that is deleted stays as it was. A time is read
    as the source's times are, so it may be written as in the source.

    Raises
    ------
    ReadingError
        If there is no such file, or it is not a readable workbook.
    CorrectionError
        If it is not a workbook that `ValidationReport.to_excel` wrote, lacks a column, or has a row twice or one that
        was not sent out.
    """
    if not isinstance(path, str | Path):
        raise wrong_kind(path, "the path of a review sheet", 'validate(data).to_excel("review.xlsx")')
    path = Path(path)
    try:
        kept = read_excel(path, _places, sheet=KEPT, header_row=1)
        facts = json.loads(kept.header[0])
        names = dict(zip([_ROW, *facts["names"], _DROP], [_ROW, *facts["columns"], _DROP], strict=True))
        # Columns that the owner added, and ours that nobody corrects, may contain anything: they are not read.
        sheet = read_excel(path, partial(_places, names=names), sheet=ROWS, header_row=1)
    except (MappingError, ValueError):
        raise CorrectionError(f"{path.name} is not a workbook that to_excel wrote, or lost a sheet of it.") from None
    if sheet.broken:
        line = sheet.broken[0]
        raise CorrectionError(f"{path.name}, row {line.number:,} of the sheet: {line.reason}.")
    if lacking := [name for name in names if sheet.header.count(name) != 1 and name != _DROP]:
        raise CorrectionError(f"{path.name} has no column {lacking[0]!r}, or two: put its header back.")
    before = _frame(kept, {column: at for at, column in enumerate([_ROW, *facts["columns"]])})
    after = _frame(sheet, {names[name]: at for at, name in enumerate(sheet.header) if name in names})
    _require_rows(after, before, sheet, path)
    delivery = Delivery(before, **{name: facts[name] for name in _FACTS})
    changes = _changes(before, after.loc[after.index.isin(before.index)], delivery)
    return patch_of(changes, before[ID], delivery=delivery, who=who, when=when)


def _places(header: Sequence[str], names: Container[str] | None = None) -> dict[str, int]:
    """Return the places of the columns with these names, or of all, each under its own place."""
    return {str(at): at for at, name in enumerate(header) if names is None or name in names}


def _texts(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows' cells as text, the columns of the key first, even if the rows lack them."""
    known = [c for c in CUSTOMER.names if c in rows.columns]
    more = [c for c in rows.columns if c not in (*known, "reasons")]
    return cells_as_text(rows[known + more]).reindex(columns=list(dict.fromkeys([ID, TIME, *known, *more])))


def _fitting(cell: str | None) -> str:
    text = "" if cell is None else cell
    return text if fits_cell(text) else text[:4_000] + CUT


def _headers(columns: Sequence[str], names: Mapping[str, str]) -> list[str]:
    """Return the source's names of columns; one that is there twice, or is one of the sheet's own, is made unique."""
    own = [names.get(c, c) for c in columns]
    return [f"{n} ({c})" if own.count(n) > 1 or n in _OURS else n for n, c in zip(own, columns, strict=True)]


def _review_rows(cells: pd.DataFrame, findings: pd.DataFrame) -> Iterator[list[Cell | str]]:
    reasons = findings.groupby("index", sort=False)["reason"].agg(lambda each: "; ".join(dict.fromkeys(each)))
    bad = findings.dropna(subset="column").groupby(["index", "column"], sort=False)["reason"].agg("; ".join).to_dict()
    n_bad = 0
    for row, *texts in cells.itertuples(name=None):
        line: list[Cell | str] = [str(row), Cell(str(reasons.get(row, "")), wrap=True)]
        for column, text in zip(cells.columns, texts, strict=True):
            reason = bad.get((row, column))
            n_bad += reason is not None
            comment = reason if reason and n_bad <= MAX_COMMENTS else ""
            line.append(text if reason is None else Cell(text, color=_BAD, comment=comment))
        yield [*line, ""]


def _frame(table: Table, places: dict[str, int]) -> pd.DataFrame:
    """Return a sheet's columns as text, index ``source_row``; an empty cell is null."""
    cells = {column: table.cells.column(str(at)).to_pandas().astype("str") for column, at in places.items()}
    frame = pd.DataFrame({column: texts.mask(texts == "") for column, texts in cells.items()})
    numbers = pd.to_numeric(frame.pop(_ROW), errors="coerce").fillna(-1).astype("int64")
    return frame.set_axis(pd.Index(numbers, name=_ROW))


def _require_rows(after: pd.DataFrame, before: pd.DataFrame, sheet: Table, path: Path) -> None:
    """Refuse a row without the number by which it is found again; empty rows do not count."""
    unknown = ~after.index.isin(before.index) & after.notna().any(axis="columns").to_numpy()
    wrong = unknown | (after.index.duplicated() & (after.index >= 0))
    if wrong.any():
        raise CorrectionError(
            f"{path.name}, row {sheet.numbers[wrong.argmax()]:,} of the sheet: its {_ROW} is there twice, or is not "
            "one of those that were sent out. Put back the number that was there, or delete the row."
        )


def _changes(before: pd.DataFrame, after: pd.DataFrame, delivery: Delivery) -> pd.DataFrame:
    nothing = pd.Series(None, index=after.index, dtype="str")
    drop = after.pop(_DROP).str.strip().str.casefold() if _DROP in after else nothing
    if (unclear := drop.notna() & ~drop.isin(_YES)).any():
        raise CorrectionError(
            f"source_row {unclear.idxmax()}: its cell {_DROP!r} is neither x nor empty. Write x to drop the row, or "
            "empty the cell."
        )
    was, now = before.loc[before.index.isin(after.index), after.columns].sort_index(), after[drop.isna()].sort_index()
    if TIME in now:
        times = now[TIME]
        moved = times.notna() & (times != was[TIME].reindex(times.index)).fillna(value=True).astype(bool)
        read = times_as_text(as_times(times[moved], delivery))
        now = now.assign(**{TIME: times.mask(moved, read.astype("str"))})
    return changes_between(was, now, "data owner")

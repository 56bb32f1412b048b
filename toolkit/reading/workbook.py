"""A worksheet to a table of text; rows keep the numbers that the spreadsheet shows.

A workbook contains numbers and times, not what was typed: a number becomes its plain digits, a time ISO 8601. The zeros
of a format such as ``00000`` are put back; what else a cell shows, and what the file does not contain, is in a note.
`toolkit.spreadsheets` reads the cells; here the sheet and its header are chosen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.display import plural
from toolkit.errors import MappingError, ReadingError, did_you_mean
from toolkit.model import CUSTOMER, ID
from toolkit.reading.text_table import HEADER_SEARCH, BrokenLine, Choose, Table, find_header, opened, require_header
from toolkit.spreadsheets import ERROR, UNREAD, Sheet, open_workbook

Fit = Callable[[Sequence[str]], float]
"""From a header's cells to how well they fit; zero if they do not."""

_SHOWN = 5


def read_excel(
    path: Path, choose: Choose, *, sheet: str | None = None, header_row: int | None = None, fit: Fit | None = None
) -> Table:
    """Read one worksheet of an .xlsx, .xls or .ods file; every cell is text. Blank rows are counted and skipped.

    A row with a formula whose result is not in the file is set aside.

    Parameters
    ----------
    choose
        From the header to the columns that are wanted and their positions.
    sheet
        None: the first visible one whose header fits; notes name it and the others.
    header_row
        The row with the header, as the spreadsheet numbers it. None: the first with the wanted columns.
    fit
        How well a sheet's header fits; the best one is read. None: a header fits if `choose` takes it.

    Raises
    ------
    ReadingError
        If the file is not a workbook that can be read, or has no header.
    MappingError
        If it has no sheet of this name.
    """
    with opened(path), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        sheets = open_workbook(file, path.name, sheet)
    found = _named(sheets, sheet, path) if sheet is not None else _fitting(sheets, choose, header_row, fit, path)
    at, header = _header(found, choose, header_row)
    require_header(header, path, at)
    notes = [*_choice(found, sheets, sheet), *([f"header in row {at}, found"] if header_row is None and at > 1 else [])]
    wanted = choose(header)
    columns = {at: column for column, at in wanted.items()}
    below = found.cells.filter(pc.field("row") >= at)
    shown = below.filter(pc.field("column").isin(list(columns)))
    unread = shown.filter(pc.field("remark") == UNREAD)
    filled = below.filter(pc.field("text") != "")["row"].to_numpy()
    kept = np.setdiff1d(filled, unread["row"].to_numpy())
    cells = pa.table({column: _column(shown, kept, place) for column, place in wanted.items()})
    numbers, broken = kept.astype(np.int64) + 1, tuple(_broken(shown, unread, columns, wanted))
    notes += _notes(found, shown, columns, at)
    return Table(
        tuple(header), cells, numbers, broken, digest, (*notes,), native_times=True, header_row=at, sheet=found.name
    )


def first_rows(path: Path, sheet: str | None, n: int) -> tuple[list[tuple[str, str]], list[list[str]]]:
    """Return each sheet of a workbook with what it is, in words, and the first rows of one of them.

    Parameters
    ----------
    sheet
        None: no rows.

    Raises
    ------
    ReadingError
        If the file is not a workbook that can be read.
    MappingError
        If it has no sheet of this name.
    """
    with opened(path), path.open("rb") as file:
        sheets = open_workbook(file, path.name)
    said = [(s.name, s.kind or f"{plural(s.n_rows, 'row')}{'' if s.is_visible else ', hidden'}") for s in sheets]
    return said, _records(_named(sheets, sheet, path), 0, n) if sheet else []


# --- which sheet, and where its header is


def _named(sheets: Sequence[Sheet], name: str, path: Path) -> Sheet:
    tables = [s for s in sheets if not s.kind]
    for each in sheets:
        if each.name == name and each.kind:
            raise MappingError(f"{path.name}: sheet {name!r} is {each.kind}, not a table. {_list(tables)}")
        if each.name == name:
            return each
    near = did_you_mean(name, [s.name for s in tables]) or "."
    raise MappingError(f"{path.name} has no sheet {name!r}{near} {_list(tables)}")


def _list(sheets: Sequence[Sheet]) -> str:
    return f"It has {', '.join(s.name for s in sheets)}."


def _fitting(sheets: Sequence[Sheet], choose: Choose, header_row: int | None, fit: Fit | None, path: Path) -> Sheet:
    """Return the visible sheet whose header fits best, the first of equals."""
    filled = [s for s in sheets if s.cells.num_rows]
    visible = [s for s in filled if s.is_visible]
    if not visible:
        if filled:
            raise ReadingError(f"{path.name} has only hidden sheets with content. {_list(filled)} Name one to read it.")
        others = "".join(f"; {s.name} is {s.kind}" for s in sheets if s.kind)
        raise ReadingError(f"{path.name} has no sheet with any content{others}: ask for the file again.")
    headers = [_header(s, choose, header_row)[1] for s in visible]
    errors = [_refusal(header, choose) for header in headers]
    fits = [fit(header) if fit else float(error is None) for header, error in zip(headers, errors, strict=True)]
    if not any(fits) and fit is None and len(visible) > 1:
        begin = "; ".join(
            f"{s.name!r} begins with {', '.join(map(repr, [cell for cell in header if cell.strip()][:_SHOWN]))}"
            for s, header in zip(visible[:_SHOWN], headers, strict=False)
        )
        widest = max(range(len(headers)), key=lambda i: len(headers[i]))
        raise ReadingError(
            f"{path.name}: no visible sheet has the wanted columns: {begin}. Name one as the sheet to read to see what "
            f"it lacks. Of {visible[widest].name!r}: {errors[widest]}"
        )
    return visible[fits.index(max(fits))]


def _refusal(header: Sequence[str], choose: Choose) -> Exception | None:
    """Return why a header is not taken; None if it is."""
    try:
        choose(header)
    except (MappingError, ReadingError) as error:
        return error
    return None


def _header(sheet: Sheet, choose: Choose, header_row: int | None) -> tuple[int, list[str]]:
    """Return the number of the header's row, and its cells."""
    if header_row is not None:
        return header_row, _records(sheet, header_row - 1, header_row)[0]
    records = _records(sheet, 0, HEADER_SEARCH)
    number = find_header(records, choose)
    return number, records[number - 1]


def _records(sheet: Sheet, start: int, stop: int) -> list[list[str]]:
    """Return the cells of some rows, each up to its last filled one."""
    inside = sheet.cells.filter((pc.field("row") >= start) & (pc.field("row") < stop))
    records: list[list[str]] = [[] for _ in range(start, stop)]
    for row, column, text in zip(*(inside[name].to_pylist() for name in ("row", "column", "text")), strict=True):
        record = records[row - start]
        record.extend([""] * (column + 1 - len(record)))
        record[column] = text
    return records


def _choice(found: Sheet, sheets: Sequence[Sheet], stated: str | None) -> Iterator[str]:
    """Yield notes on which sheet is read, and which are not."""
    first = next((s for s in sheets if s.cells.num_rows), found)
    yield f"sheet {found.name}" + (", the first visible one whose header fits" if first is not found else "")
    others = [s for s in sheets if s is not found and (s.kind or s.cells.num_rows)] if stated is None else []
    for each in others[:_SHOWN]:
        what = f"is {each.kind}, and was not read" if each.kind else f"with {plural(each.n_rows, 'row')} was not read"
        yield f"{'' if each.is_visible else 'hidden '}sheet {each.name} {what}"
    if len(others) > _SHOWN:
        yield f"{len(others) - _SHOWN} more sheets were not read"


# --- what the cells contain and show


def _column(cells: pa.Table, rows: npt.NDArray[np.int32], place: int) -> pa.ChunkedArray:
    """Return the texts of a column in these rows; what is not filled is the empty text."""
    here = cells.filter((pc.field("column") == place) & pc.field("row").isin(rows))
    indices = np.full(len(rows), -1)
    indices[np.searchsorted(rows, here["row"].to_numpy())] = np.arange(len(here))
    return pc.fill_null(here["text"].take(pa.array(indices, mask=indices < 0)), "")


def _broken(cells: pa.Table, unread: pa.Table, columns: dict[int, str], wanted: dict[str, int]) -> Iterator[BrokenLine]:
    rows, first = np.unique(unread["row"].to_numpy(), return_index=True)
    texts = {column: _column(cells, rows, place).to_pylist() for column, place in wanted.items()}
    for i, row in enumerate(rows):
        why = f"{columns[unread['column'][first[i]].as_py()]} is {UNREAD}: open it in Excel and save it"
        customer_id = texts[ID][i] or None if ID in texts else None
        yield BrokenLine(int(row) + 1, customer_id, why, "\t".join(column[i] for column in texts.values()))


def _notes(sheet: Sheet, cells: pa.Table, columns: dict[int, str], header_row: int) -> Iterator[str]:
    """Yield notes on what an analyst sees in the sheet and not in the cells.

    Parameters
    ----------
    cells
        Those of the wanted columns below the header.
    """
    if sheet.note:
        yield sheet.note
    kinds = {c.name: c.kind for c in CUSTOMER.columns}
    counted = cells.group_by(["column", "remark"]).aggregate([("row", "min"), ("row", "count")])
    for each in sorted(counted.to_pylist(), key=lambda group: (group["column"], group["row_min"])):
        column, remark = columns[each["column"]], each["remark"]
        is_text = kinds.get(column, "string") == "string"
        if remark and remark != UNREAD and (is_text or remark.startswith(ERROR)):
            n = f"{plural(each['row_count'], 'cell')}, " if each["row_count"] > 1 else ""
            yield f"{column}: {remark} ({n}first in row {each['row_min'] + 1})"
    merged = [
        area for area in sheet.merged if area[1] >= header_row and any(area[2] <= at <= area[3] for at in columns)
    ]
    if merged:
        row = min(merged)[0] + 1
        yield f"{plural(len(merged), 'merged area')}: only its first cell has the value (first in row {row})"
    hidden = [row + 1 for row in sheet.hidden if row >= header_row]
    if hidden:
        yield f"{plural(len(hidden), 'hidden row')}, read like the others (first row {min(hidden)})"

"""An Excel worksheet to a table of text; rows keep the numbers that the spreadsheet shows.

Excel holds numbers and times, not what was typed: a number becomes its plain digits, a time ISO 8601. The zeros
of a format such as ``00000`` are put back; any other number format is named in a note.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Container, Iterator
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeGuard
from zipfile import ZipFile

import numpy as np
import pyarrow as pa
from openpyxl import load_workbook
from openpyxl.cell.read_only import ReadOnlyCell
from python_calamine import CalamineError, CalamineWorkbook, PasswordError

from toolkit.contract import CUSTOMER
from toolkit.errors import MappingError, ReadingError, did_you_mean
from toolkit.sources import OLE, ZIP, Choose, Table, opened, require_header

MAX_EXACT = 10**15
"""From here on Excel keeps 15 digits and puts zeros for the rest."""

_PLAIN_FORMATS = ("General", "@")
_ZEROS = re.compile("0+")


def read_excel(path: Path, choose: Choose, *, sheet: str | None = None, header_row: int = 1) -> Table:
    """Read one worksheet; every cell is text. Blank rows are counted and skipped.

    Parameters
    ----------
    choose
        Told the header, says which columns are wanted and where they stand.
    sheet
        None: the first.
    header_row
        The row that holds the header, as the spreadsheet numbers it.

    Raises
    ------
    ReadingError
        If the file is not a workbook that can be read, or has no header.
    MappingError
        If it has no sheet of this name.
    """
    with opened(path), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    name, rows = _rows(path, sheet)
    header = [_text(cell) for cell in rows[header_row - 1]] if header_row <= len(rows) else []
    require_header(header, path, header_row)
    wanted = choose(header)
    shown, notes = _shown(path, name, rows, wanted, header_row)
    filled = [i for i in range(header_row, len(rows)) if any(c != "" for c in rows[i]) or i in shown]
    texts = {column: [shown.get(i, {}).get(at) or _text(rows[i][at]) for i in filled] for column, at in wanted.items()}
    return Table(
        header=tuple(header),
        cells=pa.table({column: pa.array(cells, pa.large_string()) for column, cells in texts.items()}),
        numbers=np.array(filled, dtype=np.int64) + 1,
        broken=(),
        digest=digest,
        notes=(f"sheet {name}", *notes),
        native_times=True,
    )


def _rows(path: Path, sheet: str | None) -> tuple[str, list[list[Any]]]:
    with opened(path), path.open("rb") as file:
        start = file.read(8)
    if start.startswith(OLE):
        raise ReadingError(
            f"{path.name} is protected by a password, or an old .xls workbook: save it as .xlsx without a password."
        )
    if not start.startswith(ZIP):
        raise ReadingError(
            f"{path.name} is not an Excel workbook, whatever its ending: if it opens in a text editor, "
            "give it the ending .csv."
        )
    try:
        with CalamineWorkbook.from_path(path) as book:
            names = book.sheet_names
            if sheet is not None and sheet not in names:
                raise MappingError(
                    f"{path.name} has no sheet {sheet!r}{did_you_mean(sheet, names) or '.'} It has {', '.join(names)}."
                )
            name = names[0] if sheet is None else sheet
            # Without skipping, a row's place in the list is its number in the spreadsheet.
            return name, book.get_sheet_by_name(name).to_python(skip_empty_area=False)
    except PasswordError:
        raise ReadingError(f"{path.name} is protected by a password: save it without one.") from None
    except (CalamineError, IndexError, OSError):
        raise ReadingError(
            f"{path.name} is damaged, or not an Excel workbook: open it in Excel and save it anew as .xlsx."
        ) from None


def _text(cell: Any) -> str:
    """Give a cell's value as text.

    Examples
    --------
    >>> [_text(v) for v in (123.0, 0.5, 1e-7, True, date(2025, 1, 28))]
    ['123', '0.5', '0.0000001', 'TRUE', '2025-01-28']
    """
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, (int, float)):
        return str(int(cell)) if cell == int(cell) else format(Decimal(repr(cell)), "f")
    if isinstance(cell, (date, time)):  # a datetime is a date
        return cell.isoformat()
    return str(cell)


def _is_number(cell: object) -> TypeGuard[int | float]:
    return isinstance(cell, (int, float)) and not isinstance(cell, bool)


def _shown(
    path: Path, sheet: str, rows: list[list[Any]], wanted: dict[str, int], header_row: int
) -> tuple[dict[int, dict[int, str]], list[str]]:
    """Give the cells that show more than their value, by row and column from 0: leading zeros, Excel's errors."""
    columns = {at: column for column, at in wanted.items()}
    texts = [at for at, column in columns.items() if CUSTOMER.column(column).kind == "string"]
    below = rows[header_row:]
    notes = [f"{columns[at]}: dates, read as ISO 8601" for at in texts if any(isinstance(r[at], date) for r in below)]
    if not any(_is_number(row[at]) for row in below for at in texts) and not _has_errors(path):
        return {}, notes
    shown: dict[int, dict[int, str]] = {}
    odd: dict[str, int] = {}  # what is odd to the first row where it is
    try:
        for i, at, cell in _styled_cells(path, sheet, columns, header_row):
            if cell.data_type == "e":
                shown.setdefault(i, {})[at] = str(cell.value)
                odd.setdefault(f"{columns[at]}: Excel's error {cell.value}", i + 1)
            elif at in texts and _is_number(cell.value):
                if _ZEROS.fullmatch(cell.number_format) and cell.value == int(cell.value) >= 0:
                    shown.setdefault(i, {})[at] = str(int(cell.value)).zfill(len(cell.number_format))
                elif cell.number_format not in _PLAIN_FORMATS:
                    odd.setdefault(f"{columns[at]}: numbers shown as {cell.number_format}, read as plain digits", i + 1)
                if abs(cell.value) >= MAX_EXACT:
                    odd.setdefault(f"{columns[at]}: numbers of more than 15 digits, which Excel rounds", i + 1)
    except (KeyError, TypeError, ValueError):
        notes.append("number formats could not be read: leading zeros may be lost")
    return shown, [*notes, *(f"{what} (first in row {row})" for what, row in odd.items())]


def _styled_cells(
    path: Path, sheet: str, columns: Container[int], header_row: int
) -> Iterator[tuple[int, int, ReadOnlyCell]]:
    """Yield the filled cells of these columns with their formats, which calamine does not know: row, column, cell."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of styles and extensions that do not matter here
        book = load_workbook(path, read_only=True, data_only=True)
        try:
            worksheet = book[sheet]
            worksheet.reset_dimensions()  # a wrong dimension in the file would cut rows off
            for row in worksheet.iter_rows(min_row=header_row + 1):
                for cell in row:
                    if isinstance(cell, ReadOnlyCell) and cell.value is not None and cell.column - 1 in columns:
                        yield cell.row - 1, cell.column - 1, cell
        finally:
            book.close()


def _has_errors(path: Path) -> bool:
    # calamine gives an empty text for an error such as #N/A, and an error is not an empty cell.
    with ZipFile(path) as archive:
        return any(
            b't="e"' in archive.read(name) for name in archive.namelist() if name.startswith("xl/worksheets/sheet")
        )

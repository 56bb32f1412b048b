"""A worksheet to a table of text; rows keep the numbers that the spreadsheet shows.

A workbook contains numbers and times, not what was typed: a number becomes its plain digits, a time ISO 8601. The zeros
of a format such as ``00000`` are put back; what else a cell shows, and what the file does not contain, is in a note.

calamine reads the cells. It knows neither number formats nor hidden rows, returns an error such as #N/A as an empty
cell, and allocates the whole area up to the last cell, so that one stray cell in the far corner would take all memory.
The sheet's XML is therefore searched before (`_SheetFacts`), and openpyxl is asked for the formats of numbers in text
columns.
"""

from __future__ import annotations

import hashlib
import re
import warnings
import zlib
from collections.abc import Container, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeGuard
from zipfile import BadZipFile, ZipFile

import numpy as np
import pyarrow as pa
from defusedxml import DefusedXmlException, ElementTree
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError

from toolkit.display import plural
from toolkit.errors import MappingError, ReadingError, did_you_mean
from toolkit.lazy import Library
from toolkit.model import CUSTOMER, ID
from toolkit.reading.text_table import OLE, BrokenLine, Choose, Table, cell_text, find_header, opened, require_header

if TYPE_CHECKING:
    import openpyxl
    import openpyxl.utils
else:
    openpyxl = Library("openpyxl")

MAX_AREA = 20_000_000
"""Cells of a sheet's area, filled or not, that are always read; in a larger one an eighth has to be filled."""
MAX_ROW, MAX_COLUMN = 1_048_576, 16_384
MAX_EXACT = 10**15
"""From here on Excel keeps 15 digits and puts zeros for the rest."""

Cell = tuple[int, int]
"""Row and column of a cell, from 0."""

_BLOCK = 1 << 22
_REFERENCE = re.compile(rb"""<(?:\w+:)?c\s[^>]*?\br=["']([A-Za-z]+)(\d+)["']""")
_CELL = re.compile(rb"<(?:\w+:)?c\s([^>]*?)(?:/>|>(.*?)</(?:\w+:)?c>)", re.DOTALL)
_VALUE = re.compile(rb"<(?:\w+:)?v>([^<]+)</|<(?:\w+:)?is>")
_HIDDEN = re.compile(rb"""<(?:\w+:)?row\s(?=[^>]*\bhidden=["'](?:1|true)["'])[^>]*?\br=["'](\d+)["']""")
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_DAMAGE = (BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)
_NO_FORMAT = ("General", "@")
_ZEROS = re.compile("0+")


def read_excel(path: Path, choose: Choose, *, sheet: str | None = None, header_row: int | None = None) -> Table:
    """Read one worksheet of an .xlsx, .xls or .ods file; every cell is text. Blank rows are counted and skipped.

    A row with a formula whose result is not in the file is set aside.

    Parameters
    ----------
    choose
        From the header to the columns that are wanted and their positions.
    sheet
        None: the first with any content.
    header_row
        The row with the header, as the spreadsheet numbers it. None: the first with the wanted columns.

    Raises
    ------
    ReadingError
        If the file is not a workbook that can be read, or has no header.
    MappingError
        If it has no sheet of this name.
    """
    with opened(path), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    kind = _kind(path)
    name, rows, merged, facts = _sheet(path, sheet, kind)
    notes = [f"sheet {name}"]
    if header_row is None:
        header_row = find_header(([cell_text(c) for c in row] for row in rows), choose)
        if header_row > 1:
            notes.append(f"header in row {header_row}, found")
    header = [cell_text(cell) for cell in rows[header_row - 1]] if header_row <= len(rows) else []
    require_header(header, path, header_row)
    wanted = choose(header)
    columns = {at: column for column, at in wanted.items()}
    shown = {cell: text for cell, text in facts.errors.items() if cell[1] in columns}
    notes += _notes(rows, columns, header_row, facts, merged)
    padded, more = _number_formats(path, name, kind, rows, columns, header_row)
    shown |= padded
    notes += more
    unread = {row: at for row, at in sorted(facts.unvalued) if at in columns and row >= header_row}
    filled = {i for i in range(header_row, len(rows)) if any(c != "" for c in rows[i])}
    filled |= {row for row, _ in shown if row >= header_row}
    kept = sorted(filled - unread.keys())
    cells = {c: [shown.get((i, at)) or _cell(rows, i, at) for i in kept] for c, at in wanted.items()}
    return Table(
        header=tuple(header),
        cells=pa.table({column: pa.array(texts, pa.large_string()) for column, texts in cells.items()}),
        numbers=np.array(kept, dtype=np.int64) + 1,
        broken=tuple(_unread(rows, row, columns[at], wanted) for row, at in unread.items()),
        digest=digest,
        notes=tuple(notes),
        native_times=True,
        header_row=header_row,
    )


def _kind(path: Path) -> str:
    """Return the kind of a workbook, ``.xlsx``, ``.ods`` or ``.xls``, by its content and not by its name."""
    with opened(path), path.open("rb") as file:
        if file.read(8).startswith(OLE):
            if "EncryptedPackage".encode("utf-16-le") in file.read():
                raise _protected(path)
            return ".xls"
    try:
        with ZipFile(path) as archive:
            names = archive.namelist()
    except _DAMAGE:
        raise _damaged(path) from None
    if "content.xml" in names:
        return ".ods"
    if not any(re.search(r"(?i)workbook\.\w+$", name) for name in names):
        raise ReadingError(f"{path.name} is a .zip without a workbook in it: unpack it, or save it as .xlsx.")
    return ".xlsx"


def _sheet(path: Path, sheet: str | None, kind: str) -> tuple[str, list[list[Any]], list[Any], _SheetFacts]:
    """Return a sheet's name, its rows, its merged areas and what its XML contains."""
    try:
        with path.open("rb") as file, CalamineWorkbook.from_filelike(file) as book:
            names = book.sheet_names
            if sheet is not None and sheet not in names:
                near = did_you_mean(sheet, names) or "."
                raise MappingError(f"{path.name} has no sheet {sheet!r}{near} It has {', '.join(names)}.")
            for name in [sheet] if sheet is not None else names:
                facts = _sheet_facts(path, name) if kind == ".xlsx" else _SheetFacts()
                found: CalamineSheet = book.get_sheet_by_name(name)
                # Without skipping, a row's place in the list is its number in the spreadsheet.
                rows = found.to_python(skip_empty_area=False)
                if rows or facts.errors or sheet is not None:
                    return name, rows, found.merged_cell_ranges or [], facts
    except PasswordError:
        raise _protected(path) from None
    except (CalamineError, IndexError, *_DAMAGE) as error:
        raise _damaged(path) from error
    raise ReadingError(f"{path.name} has no sheet with any content: ask for the file again.")


def _protected(path: Path) -> ReadingError:
    return ReadingError(f"{path.name} is protected by a password: save it without one.")


def _damaged(path: Path) -> ReadingError:
    return ReadingError(
        f"{path.name} is damaged, not a workbook, or has stray cells far to the right or far below: open it in Excel, "
        "delete these, and save it again as .xlsx."
    )


# --- what the XML contains


@dataclass
class _SheetFacts:
    """What the XML of a worksheet contains besides the values.

    Attributes
    ----------
    errors
        Cells with an Excel error, and its text.
    unvalued
        Cells with a formula whose result is not in the file.
    hidden
        Numbers of hidden rows, from 1.
    """

    errors: dict[Cell, str] = field(default_factory=dict)
    unvalued: list[Cell] = field(default_factory=list)
    hidden: list[int] = field(default_factory=list)


def _sheet_facts(path: Path, sheet: str) -> _SheetFacts:
    """Search a worksheet of an .xlsx file.

    If its part is not where Excel itself would write it, the area of every sheet is measured, and errors and hidden
    rows stay unknown.

    Raises
    ------
    ReadingError
        If a few stray cells far out make its area too large.
    """
    facts = _SheetFacts()
    with ZipFile(path) as archive:
        own = _sheet_part(archive, sheet)
        others = [name for name in archive.namelist() if re.search(r"(?i)sheet[^/\\]*\.xml$", name)]
        for name in [own] if own else others:
            columns: set[bytes] = set()
            last_row = n_filled = 0
            with archive.open(name) as part:
                for block in _row_blocks(part):
                    references = _REFERENCE.findall(block)
                    n_filled += len(references)
                    columns.update(letters for letters, _ in references)
                    last_row = max(last_row, *(int(row) for row in {row for _, row in references}), 0)
                    if own:
                        _search(block, facts)
            last_column = max(map(_column, columns), default=0)
            is_sparse = last_row * last_column > max(MAX_AREA, 8 * n_filled)
            if is_sparse or last_row > MAX_ROW or last_column > MAX_COLUMN:
                raise ReadingError(
                    f"{path.name} has {plural(n_filled, 'cell')} in an area of {last_row:,} rows and {last_column:,} "
                    "columns: delete the stray cells far to the right or far below, and save it again."
                )
    return facts


def _sheet_part(archive: ZipFile, sheet: str) -> str | None:
    """Return the name of a sheet's part, None if it is not where Excel puts it."""
    try:
        book = ElementTree.fromstring(archive.read("xl/workbook.xml"))
        relation = next(e.get(_RELATION) for e in book.iter() if e.tag.endswith("}sheet") and e.get("name") == sheet)
        relations = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
        target = next(str(e.get("Target")) for e in relations if e.get("Id") == relation)
    except (KeyError, StopIteration, ElementTree.ParseError, DefusedXmlException):
        return None
    name = target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
    return name if name in archive.namelist() else None


def _row_blocks(part: IO[bytes]) -> Iterator[bytes]:
    """Yield a sheet's XML in blocks that end with a row."""
    kept = b""
    while block := part.read(_BLOCK):
        kept += block
        end = max(kept.rfind(b"</row>"), kept.rfind(b":row>"))
        if end >= 0:
            yield kept[: end + 6]
            kept = kept[end + 6 :]
    yield kept


def _search(block: bytes, facts: _SheetFacts) -> None:
    """Add the hidden rows, the errors and the formulas without a result of a block."""
    facts.hidden += [int(row) for row in _HIDDEN.findall(block)]
    if not (b't="e"' in block or b"<f" in block or b":f" in block):
        return
    for attributes, content in _CELL.findall(block):
        is_error = b't="e"' in attributes
        if not is_error and b"<f" not in content and b":f" not in content:
            continue
        if (place := re.search(rb"""\br=["']([A-Za-z]+)(\d+)["']""", attributes)) is None:
            continue
        cell = int(place[2]) - 1, _column(place[1]) - 1
        value = _VALUE.search(content)
        if is_error and value and value[1]:
            facts.errors[cell] = value[1].decode("utf-8", "replace")
        elif value is None and b't="str"' not in attributes:  # a text may be empty
            facts.unvalued.append(cell)


def _column(letters: bytes) -> int:
    try:
        return int(openpyxl.utils.column_index_from_string(letters.decode()))
    except ValueError:  # beyond ZZZ
        return MAX_COLUMN + 1


# --- what the cells contain and show


def _cell(rows: Sequence[Sequence[Any]], row: int, at: int) -> str:
    return cell_text(rows[row][at]) if row < len(rows) and at < len(rows[row]) else ""


def _unread(rows: list[list[Any]], row: int, column: str, wanted: dict[str, int]) -> BrokenLine:
    customer_id = _cell(rows, row, wanted[ID]) or None if ID in wanted else None
    why = f"{column} is a formula whose result is not in the file: open it in Excel and save it"
    return BrokenLine(row + 1, customer_id, why, "\t".join(_cell(rows, row, at) for at in wanted.values()))


def _notes(
    rows: list[list[Any]], columns: dict[int, str], header_row: int, facts: _SheetFacts, merged: Sequence[Any]
) -> list[str]:
    """Return notes on what an analyst sees in the sheet and not in the cells."""
    below = rows[header_row:]
    notes = []
    for at in _text_columns(columns):
        kinds = {type(row[at]) for row in below}
        if any(issubclass(kind, date) for kind in kinds):
            notes.append(f"{columns[at]}: dates, read as ISO 8601")
        if kinds & {time, timedelta}:
            notes.append(f"{columns[at]}: times of day or durations")
        if bool in kinds:
            notes.append(f"{columns[at]}: logical values, read as TRUE and FALSE")
    errors: dict[str, int] = {}
    for (row, at), text in sorted(facts.errors.items()):
        if at in columns and row >= header_row:
            errors.setdefault(f"{columns[at]}: the Excel error {text}", row + 1)
    notes += [f"{what} (first in row {row})" for what, row in errors.items()]
    covered = [(a, b) for a, b in merged if b[0] >= header_row and any(a[1] <= at <= b[1] for at in columns)]
    if covered:
        row = min(a[0] for a, _ in covered) + 1
        notes.append(f"{plural(len(covered), 'merged area')}: only its first cell has the value (first in row {row})")
    hidden = [row for row in facts.hidden if row > header_row]
    if hidden:
        notes.append(f"{plural(len(hidden), 'hidden row')}, read like the others (first row {min(hidden)})")
    return notes


def _text_columns(columns: dict[int, str]) -> list[int]:
    kinds = {c.name: c.kind for c in CUSTOMER.columns}
    return [at for at, column in columns.items() if kinds.get(column, "string") == "string"]


def _is_number(cell: object) -> TypeGuard[int | float]:
    return isinstance(cell, (int, float)) and not isinstance(cell, bool)


def _number_formats(
    path: Path, sheet: str, kind: str, rows: list[list[Any]], columns: dict[int, str], header_row: int
) -> tuple[dict[Cell, str], list[str]]:
    """Return the numbers in text columns that show leading zeros, as they show, and notes on other formats."""
    numbers = {at: n for at in _text_columns(columns) if (n := sum(_is_number(row[at]) for row in rows[header_row:]))}
    if kind != ".xlsx":
        why = f"read as plain digits: {kind} does not record whether it showed zeros"
        notes = [f"{columns[at]}: {plural(n, 'number')}, {why}" for at, n in numbers.items()]
        errors = ["an .xls file: errors such as #N/A are read as empty cells"] if kind == ".xls" else []
        return {}, errors + notes
    if not numbers:
        return {}, []
    padded: dict[Cell, str] = {}
    other: dict[str, int] = {}  # what is unusual, to the first row where it is
    try:
        for cell, number in _numbers(path, sheet, numbers, header_row):
            i, at = cell.row - 1, cell.column - 1
            if _ZEROS.fullmatch(cell.number_format) and number == int(number) >= 0:
                padded[i, at] = str(int(number)).zfill(len(cell.number_format))
            elif cell.number_format not in _NO_FORMAT:
                other.setdefault(f"{columns[at]}: numbers shown as {cell.number_format}, read as plain digits", i + 1)
            if abs(number) >= MAX_EXACT:
                other.setdefault(f"{columns[at]}: numbers of more than 15 digits, which Excel rounds", i + 1)
    except Exception:  # openpyxl raises anything at all on a damaged style sheet
        return padded, ["number formats could not be read: leading zeros may be lost"]
    return padded, [f"{what} (first in row {row})" for what, row in other.items()]


def _numbers(path: Path, sheet: str, columns: Container[int], header_row: int) -> Iterator[tuple[Any, float]]:
    """Yield the cells of these columns that are numbers, with formats, which calamine does not know, and the number."""
    # The warnings are about styles and extensions that do not matter here.
    with (
        warnings.catch_warnings(action="ignore"),
        closing(openpyxl.load_workbook(path, read_only=True, data_only=True)) as book,
    ):
        worksheet: Any = book[sheet]
        worksheet.reset_dimensions()  # a wrong dimension in the file would cut rows off
        for row in worksheet.iter_rows(min_row=header_row + 1):
            for cell in row:
                if _is_number(cell.value) and cell.column - 1 in columns:
                    yield cell, cell.value

"""A worksheet to a table of text; rows keep the numbers that the spreadsheet shows.

A workbook holds numbers and times, not what was typed: a number becomes its plain digits, a time ISO 8601. The zeros
of a format such as ``00000`` are put back; what else a cell shows, and what the file does not tell, is in a note.
"""

from __future__ import annotations

import hashlib
import re
import warnings
import zlib
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from pathlib import Path
from typing import IO, Any, TypeGuard
from zipfile import BadZipFile, ZipFile

import numpy as np
import pyarrow as pa
from defusedxml import DefusedXmlException, ElementTree
from openpyxl import load_workbook
from openpyxl.cell.read_only import ReadOnlyCell
from openpyxl.utils import column_index_from_string
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError

from toolkit.display import plural
from toolkit.errors import MappingError, ReadingError, did_you_mean
from toolkit.model import CUSTOMER
from toolkit.reading.text_table import (
    HEADER_SEARCH,


    OLE,
    ZIP,
    BrokenLine,
    Choose,
    Table,
    cell_text,
    find_header,
    opened,
    require_header,
)

MAX_CELLS = 20_000_000
"""Cells of a sheet's area, filled or not, that are always taken; beyond it an eighth has to be filled."""
MAX_ROW, MAX_COLUMN = 1_048_576, 16_384
MAX_UNPACKED, MAX_RATIO = 200_000_000, 100
_BLOCK = 1 << 22

Cell = tuple[int, int]
"""Row and column of a cell, from 0."""

_REFERENCE = re.compile(rb"""<(?:\w+:)?c\s[^>]*?\br=["']([A-Za-z]+)(\d+)["']""")
_CELL = re.compile(rb"<(?:\w+:)?c\s([^>]*?)(?:/>|>(.*?)</(?:\w+:)?c>)", re.DOTALL)
_VALUE = re.compile(rb"<(?:\w+:)?v>([^<]+)</|<(?:\w+:)?is>")
_HIDDEN = re.compile(rb"""<(?:\w+:)?row\s(?=[^>]*\bhidden=["'](?:1|true)["'])[^>]*?\br=["'](\d+)["']""")
_DAMAGE = (BadZipFile, zlib.error, EOFError, OSError, ElementTree.ParseError)
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


@dataclass
class SheetFacts:
    """What the XML of a worksheet says beside its values.

    Attributes
    ----------
    errors
        Cells that hold an error of Excel's, and its text.
    unvalued
        Cells with a formula whose result the file does not hold.
    hidden
        Numbers of hidden rows, from 1.
    """

    errors: dict[Cell, str] = field(default_factory=dict)
    unvalued: list[Cell] = field(default_factory=list)
    hidden: list[int] = field(default_factory=list)


def require_workbook(path: Path) -> str:
    """Return the kind of a workbook, ``.xlsx``, ``.ods`` or ``.xls``, by what it holds and not by its name.

    Raises
    ------
    ReadingError
        If it is no workbook, has a password, or would unpack to far more than any table.
    """
    with opened(path), path.open("rb") as file:
        start = file.read(8)
        if start.startswith(OLE):
            if "EncryptedPackage".encode("utf-16-le") in file.read():
                raise ReadingError(f"{path.name} is protected by a password: save it without one.")
            return ".xls"
        if not start.startswith(ZIP):
            raise ReadingError(
                f"{path.name} is not an Excel workbook, whatever its ending: if it opens in a text editor, "
                "give it the ending .csv."
            )
    try:
        with ZipFile(path) as archive:
            names = set(archive.namelist())
            kind = ".ods" if "content.xml" in names else ".xlsx" if "xl/workbook.xml" in names else ""
            if not kind:
                raise ReadingError(f"{path.name} is a .zip without a workbook in it: unpack it, or save it as .xlsx.")
            _require_bounded(archive, path)
            if kind == ".ods":
                _require_area(_ods_areas(archive, path), path)
            return kind
    except (*_DAMAGE, NotImplementedError, RuntimeError) as error:
        raise damaged(path) from error


def damaged(path: Path) -> ReadingError:
    """Return what is said of a workbook that cannot be opened."""
    return ReadingError(
        f"{path.name} is damaged, or not an Excel workbook: open it in Excel and save it anew as .xlsx."
    )


def sheet_facts(path: Path, sheet: str) -> SheetFacts:
    """Look through a worksheet of an .xlsx file.

    Raises
    ------
    ReadingError
        If its area is that of a few stray cells far out, or the file is damaged.
    """
    facts = SheetFacts()
    columns: set[bytes] = set()
    last_row = n_filled = 0
    try:
        with ZipFile(path) as archive, archive.open(_sheet_part(archive, sheet)) as part:
            for block in _rows(part):
                references = _REFERENCE.findall(block)
                n_filled += len(references)
                columns.update(letters for letters, _ in references)
                last_row = max(last_row, *(int(row) for row in {row for _, row in references}), 0)
                facts.hidden += [int(row) for row in _HIDDEN.findall(block)]
                if b't="e"' in block or b"<f" in block or b":f" in block:
                    _odd_cells(block, facts)
    except (*_DAMAGE, KeyError, StopIteration, ValueError) as error:
        raise damaged(path) from error
    last_column = max((_column(letters) for letters in columns), default=0)
    _require_area([(last_row, last_column, n_filled)], path)
    return facts


def _require_bounded(archive: ZipFile, path: Path) -> None:
    """Unpack every part once, counting; a header's word on its size is not taken."""
    limit = max(MAX_UNPACKED, MAX_RATIO * path.stat().st_size)
    n = 0
    for name in archive.namelist():
        if not name.endswith((".xml", ".rels", ".vml", ".bin")):
            continue  # pictures and the like are never unpacked
        with archive.open(name) as part:
            first = True
            while block := part.read(_BLOCK):
                n += len(block)
                if n > limit:
                    raise ReadingError(f"{path.name} unpacks to more than {MAX_RATIO} times its size: it is no table.")
                if first and b"<!DOCTYPE" in block[:4096]:
                    raise ReadingError(
                        f"{path.name} holds a document type declaration ({name}), which no spreadsheet program writes: "
                        "open it in Excel and save it anew as .xlsx."
                    )
                first = False


def _require_area(areas: list[tuple[int, int, int]], path: Path) -> None:
    for n_rows, n_columns, n_filled in areas:
        if n_rows > MAX_ROW or n_columns > MAX_COLUMN or n_rows * n_columns > max(MAX_CELLS, 8 * n_filled):
            raise ReadingError(
                f"{path.name} has {plural(n_filled, 'cell')} in an area of {n_rows:,} rows and {n_columns:,} columns: "
                "delete the stray cells far to the right or far below, and save it anew."
            )


def _sheet_part(archive: ZipFile, sheet: str) -> str:
    """Return the name of a sheet's part; KeyError if there is none."""
    book = ElementTree.fromstring(archive.read("xl/workbook.xml"))
    relation = next(e.get(_RELATION) for e in book.iter() if e.tag.endswith("}sheet") and e.get("name") == sheet)
    relations = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    target = next(str(e.get("Target")) for e in relations if e.get("Id") == relation)
    return target.removeprefix("/") if target.startswith("/") else f"xl/{target}"


def _rows(part: IO[bytes]) -> Iterator[bytes]:
    """Yield a sheet's XML in blocks that end with a row."""
    kept = b""
    while block := part.read(_BLOCK):
        kept += block
        end = max(kept.rfind(b"</row>"), kept.rfind(b":row>"))
        if end >= 0:
            yield kept[: end + 6]
            kept = kept[end + 6 :]
    yield kept


def _odd_cells(block: bytes, facts: SheetFacts) -> None:
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
        return int(column_index_from_string(letters.decode()))
    except ValueError:  # beyond ZZZ
        return MAX_COLUMN + 1


def _ods_areas(archive: ZipFile, path: Path) -> list[tuple[int, int, int]]:
    """Return last row, last column and filled cells of each table of an .ods file; a cell may stand for many."""
    areas: list[tuple[int, int, int]] = []
    n_rows = last_row = last_column = n_filled = at = end = filled_here = 0
    try:
        with archive.open("content.xml") as part:
            for event, element in ElementTree.iterparse(part, events=("start", "end")):
                tag = element.tag
                if event == "start":
                    if tag == f"{_TABLE}table":
                        n_rows = last_row = last_column = n_filled = 0
                    elif tag == f"{_TABLE}table-row":
                        at = end = filled_here = 0
                    continue
                if tag in (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell"):
                    n = int(element.get(f"{_TABLE}number-columns-repeated", "1"))
                    at += n
                    if element.get(f"{_OFFICE}value-type") or len(element):
                        end, filled_here = at, filled_here + 1
                    element.clear()
                elif tag == f"{_TABLE}table-row":
                    n_rows += int(element.get(f"{_TABLE}number-rows-repeated", "1"))
                    if end:
                        last_row, last_column, n_filled = n_rows, max(last_column, end), n_filled + filled_here
                    element.clear()
                elif tag == f"{_TABLE}table":
                    areas.append((last_row, last_column, n_filled))
    except (DefusedXmlException, ValueError) as error:
        raise damaged(path) from error
    return areas


MAX_EXACT = 10**15
"""From here on Excel keeps 15 digits and puts zeros for the rest."""

_PLAIN_FORMATS = ("General", "@")
_ZEROS = re.compile("0+")


def read_excel(path: Path, choose: Choose, *, sheet: str | None = None, header_row: int | None = None) -> Table:
    """Read one worksheet of an .xlsx, .xls or .ods file; every cell is text. Blank rows are counted and skipped.

    A row with a formula whose result the file does not hold is set aside.

    Parameters
    ----------
    choose
        Told the header, says which columns are wanted and where they stand.
    sheet
        None: the first that holds anything.
    header_row
        The row that holds the header, as the spreadsheet numbers it. None: the first that holds the wanted columns.

    Raises
    ------
    ReadingError
        If the file is not a workbook that can be read, or has no header.
    MappingError
        If it has no sheet of this name.
    """
    with opened(path), path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    kind = require_workbook(path)
    name, rows, merged, facts = _sheet_rows(path, sheet, kind)
    notes = [f"sheet {name}"]
    if header_row is None:
        header_row = find_header([[cell_text(c) for c in row] for row in rows[:HEADER_SEARCH]], choose)
        if header_row > 1:
            notes.append(f"header in row {header_row}, found")
    header = [cell_text(cell) for cell in rows[header_row - 1]] if header_row <= len(rows) else []
    require_header(header, path, header_row)
    wanted = choose(header)
    columns = {at: column for column, at in wanted.items()}
    shown = {cell: text for cell, text in facts.errors.items() if cell[1] in columns}
    notes += _said(rows, columns, header_row, facts, merged)
    shown |= _formatted(path, name, kind, rows, columns, header_row, notes)
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


def _sheet_rows(path: Path, sheet: str | None, kind: str) -> tuple[str, list[list[Any]], list[Any], SheetFacts]:
    """Return a sheet's name, its rows, its merged areas and what its XML says."""
    try:
        with path.open("rb") as file, CalamineWorkbook.from_filelike(file) as book:
            names = book.sheet_names
            if sheet is not None and sheet not in names:
                raise MappingError(
                    f"{path.name} has no sheet {sheet!r}{did_you_mean(sheet, names) or '.'} It has {', '.join(names)}."
                )
            for name in [sheet] if sheet is not None else names:
                facts = sheet_facts(path, name) if kind == ".xlsx" else SheetFacts()
                found: CalamineSheet = book.get_sheet_by_name(name)
                # Without skipping, a row's place in the list is its number in the spreadsheet.
                rows = found.to_python(skip_empty_area=False)
                if rows or facts.errors or sheet is not None:
                    return name, rows, found.merged_cell_ranges or [], facts
    except PasswordError:
        raise ReadingError(f"{path.name} is protected by a password: save it without one.") from None
    except (CalamineError, IndexError, OSError) as error:
        raise damaged(path) from error
    raise ReadingError(f"{path.name} has no sheet that holds anything: ask for the file again.")


def _cell(rows: Sequence[Sequence[Any]], row: int, at: int) -> str:
    return cell_text(rows[row][at]) if row < len(rows) and at < len(rows[row]) else ""


def _unread(rows: list[list[Any]], row: int, column: str, wanted: dict[str, int]) -> BrokenLine:
    id_at = wanted.get(CUSTOMER.key[0])
    customer_id = None if id_at is None else _cell(rows, row, id_at) or None
    why = f"{column} is a formula whose result the file does not hold: open it in Excel and save it"
    return BrokenLine(row + 1, customer_id, why, "\t".join(_cell(rows, row, at) for at in wanted.values()))


def _said(
    rows: list[list[Any]], columns: dict[int, str], header_row: int, facts: SheetFacts, merged: Sequence[Any]
) -> list[str]:
    """Say what an analyst would see in the sheet and not in the cells."""
    below = rows[header_row:]
    notes = []
    for at in _texts(columns):
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
            errors.setdefault(f"{columns[at]}: Excel's error {text}", row + 1)
    notes += [f"{what} (first in row {row})" for what, row in errors.items()]
    covered = [(a, b) for a, b in merged if b[0] >= header_row and any(a[1] <= at <= b[1] for at in columns)]
    if covered:
        row = min(a[0] for a, _ in covered) + 1
        notes.append(f"{plural(len(covered), 'merged area')}: only its first cell holds the value (first in row {row})")
    hidden = [row for row in facts.hidden if row > header_row]
    if hidden:
        notes.append(f"{plural(len(hidden), 'hidden row')}, read like the others (first row {min(hidden)})")
    return notes


def _texts(columns: dict[int, str]) -> list[int]:
    kinds = {c.name: c.kind for c in CUSTOMER.columns}
    return [at for at, column in columns.items() if kinds.get(column, "string") == "string"]


def _is_number(cell: object) -> TypeGuard[int | float]:
    return isinstance(cell, (int, float)) and not isinstance(cell, bool)


def _formatted(
    path: Path,
    sheet: str,
    kind: str,
    rows: list[list[Any]],
    columns: dict[int, str],
    header_row: int,
    notes: list[str],
) -> dict[tuple[int, int], str]:
    """Give the numbers that show leading zeros, by row and column from 0; of other formats `notes` are taken."""
    texts = _texts(columns)
    numbers = {at: n for at in texts if (n := sum(_is_number(row[at]) for row in rows[header_row:]))}
    if kind != ".xlsx":
        if kind == ".xls":
            notes.append("an .xls file does not tell its errors, as #N/A: such cells read as empty")
        notes += [
            f"{columns[at]}: {plural(n, 'number')}, read as plain digits: {kind} does not tell whether zeros were shown"
            for at, n in numbers.items()
        ]
        return {}
    if not numbers:
        return {}
    shown: dict[tuple[int, int], str] = {}
    odd: dict[str, int] = {}  # what is odd to the first row where it is
    try:
        for i, at, cell in _styled_cells(path, sheet, numbers, header_row):
            if not _is_number(cell.value):
                continue
            if _ZEROS.fullmatch(cell.number_format) and cell.value == int(cell.value) >= 0:
                shown[i, at] = str(int(cell.value)).zfill(len(cell.number_format))
            elif cell.number_format not in _PLAIN_FORMATS:
                odd.setdefault(f"{columns[at]}: numbers shown as {cell.number_format}, read as plain digits", i + 1)
            if abs(cell.value) >= MAX_EXACT:
                odd.setdefault(f"{columns[at]}: numbers of more than 15 digits, which Excel rounds", i + 1)
    except Exception:  # openpyxl raises whatever a damaged style sheet makes it trip over
        notes.append("number formats could not be read: leading zeros may be lost")
    notes += [f"{what} (first in row {row})" for what, row in odd.items()]
    return shown


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

"""What a workbook's own parts tell before it is opened: that it is sound, and what the Excel reader does not say.

A few bytes can claim a cell in the last row and column, or unpack to gigabytes; the reader would take the memory for
it and the process would die. So the parts are looked through first.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from zipfile import BadZipFile, ZipFile

from defusedxml import DefusedXmlException, ElementTree
from openpyxl.utils import column_index_from_string

from toolkit.display import plural
from toolkit.errors import ReadingError
from toolkit.sources import MAX_RATIO, MAX_UNPACKED, OLE, ZIP, opened

MAX_CELLS = 20_000_000
"""Cells of a sheet's area, filled or not, that are always taken; beyond it an eighth has to be filled."""
MAX_ROW, MAX_COLUMN = 1_048_576, 16_384
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

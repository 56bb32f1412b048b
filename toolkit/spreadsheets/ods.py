"""An .ods file, read row by row from its content.xml."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO
from xml.etree.ElementTree import Element

from toolkit.spreadsheets.packages import elements, local
from toolkit.spreadsheets.sheets import DATES, ERROR, LOGICAL, TIMES, UNREAD, Filled, RefusedError, number_text

MAX_CELLS = 20_000_000
"""Filled cells of a sheet, where one of the file may stand for many."""

_OFFICE, _TABLE, _TEXT, _STYLE = (
    f"{{urn:oasis:names:tc:opendocument:xmlns:{name}:1.0}}" for name in ("office", "table", "text", "style")
)
_CALC_KIND = "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}value-type"
_KIND, _REPEATED = f"{_OFFICE}value-type", f"{_TABLE}number-columns-repeated"
_CELLS = (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell")
_SPACES = {f"{_TEXT}tab": "\t", f"{_TEXT}line-break": "\n"}


def read_ods(content: IO[bytes], wanted: str | None) -> Iterator[Filled]:
    """Yield every sheet; only the wanted one has cells, all if none is named."""
    hidden = set()
    sheet, row = Filled(""), 0
    for each in elements(content, "style", "table-row", "table"):
        tag = local(each.tag)
        if tag == "style":
            if any(properties.get(f"{_TABLE}display") == "false" for properties in each):
                hidden.add(each.get(f"{_STYLE}name"))
        elif tag == "table-row":
            row = _add_row(sheet, row, each)
        else:  # the end of a sheet, whose rows are read
            name, is_visible = each.get(f"{_TABLE}name", ""), each.get(f"{_TABLE}style-name") not in hidden
            if wanted not in (None, name):
                sheet = Filled(name)
            sheet.name, sheet.is_visible = name, is_visible
            if each.find(f"{_TABLE}table-source") is None:  # else a copy of another file's sheet
                yield sheet
            sheet, row = Filled(""), 0


def _add_row(sheet: Filled, row: int, element: Element) -> int:
    """Add the cells of a row, which may stand for many; returns the number of the next one."""
    column = 0
    found: list[tuple[int, str, str]] = []
    n_rows = int(element.get(f"{_TABLE}number-rows-repeated", 1))
    for cell in element:
        if cell.tag in _CELLS:
            n_columns = int(cell.get(_REPEATED, 1))
            text, remark = _cell(cell) if len(cell.keys()) else ("", "")
            if text or remark:
                found += [(at, text, remark) for at in range(column, column + n_columns)]
                down = int(cell.get(f"{_TABLE}number-rows-spanned", 1))
                right = int(cell.get(f"{_TABLE}number-columns-spanned", 1))
                if down > 1 or right > 1:
                    sheet.merged.append((row, row + down - 1, column, column + right - 1))
            column += n_columns
    if len(sheet.rows) + len(found) * n_rows > MAX_CELLS:
        raise RefusedError(f"has more than {MAX_CELLS:,} filled cells in a sheet: delete those that no table needs.")
    if found:
        is_hidden = element.get(f"{_TABLE}visibility") in ("collapse", "filter")
        for at in range(row, row + n_rows):
            for place, text, remark in found:
                sheet.add(at, place, text, remark)
            if is_hidden:
                sheet.hidden.append(at)
    return row + n_rows


def _cell(cell: Element) -> tuple[str, str]:
    """Return the text and the remark of a cell."""
    kind = cell.get(_KIND)
    if kind is None:
        return "", UNREAD if f"{_TABLE}formula" in cell.keys() else ""  # noqa: SIM118 - an element is no mapping
    shown = "\n".join([_shown(each) for each in cell if each.tag == f"{_TEXT}p"])
    if cell.get(_CALC_KIND) == "error":
        return shown, ERROR + shown[:20]
    if kind == "string":
        return cell.get(f"{_OFFICE}string-value", shown), ""
    if kind in ("date", "time"):
        return cell.get(f"{_OFFICE}{kind}-value", shown), DATES if kind == "date" else TIMES
    if kind == "boolean":
        return cell.get(f"{_OFFICE}boolean-value", shown).upper(), LOGICAL
    return _number(cell.get(f"{_OFFICE}value", shown), shown)


def _number(value: str, shown: str) -> tuple[str, str]:
    """Return a number as text: as it is shown, if that differs by leading zeros alone."""
    text, remark = number_text(value)
    if shown.isdecimal() and shown.lstrip("0") == text.lstrip("0"):
        return shown, remark
    if not remark and shown.replace(",", ".") != text:
        remark = "numbers shown in another form, read as plain digits"
    return text, remark


def _shown(element: Element) -> str:
    """Return the text of a paragraph, its spaces, tabs and line breaks included, without notes and drawings."""
    parts = [element.text or ""]
    for each in element:
        if each.tag == f"{_TEXT}s":
            parts.append(" " * int(each.get(f"{_TEXT}c", 1)))
        elif each.tag in (f"{_TEXT}span", f"{_TEXT}a"):
            parts.append(_shown(each))
        else:
            parts.append(_SPACES.get(each.tag, ""))
        parts.append(each.tail or "")
    return "".join(parts)

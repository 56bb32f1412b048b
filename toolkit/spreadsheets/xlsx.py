"""An .xlsx or .xlsm file, read row by row from its XML, so that an unfilled area costs nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import IO
from xml.etree.ElementTree import Element
from zipfile import ZipFile

from toolkit.spreadsheets.packages import Package, elements, local
from toolkit.spreadsheets.sheets import DATES, ERROR, LOGICAL, TIMES, UNREAD, Filled, RefusedError, number_text

_FORMATS = {
    **{0: "General", 1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00", 49: "@"},
    **dict.fromkeys([*range(14, 23), *range(27, 37), 45, 47, *range(50, 59)], "yyyy-mm-dd hh:mm"),
    46: "[h]:mm:ss",
}
"""Formats that a workbook uses without spelling them out; 27 to 36 and 50 to 58 are dates in East Asia."""
_KINDS = {"chartsheet": "a chart", "dialogsheet": "a dialog", "xlMacrosheet": "a macro sheet (Excel 4)",
          "xlIntlMacrosheet": "a macro sheet (Excel 4)"}  # fmt: skip
_ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")
Number = Callable[[str, str], tuple[str, str]]
"""From a number's digits and its style to the cell's text and remark."""


def read_xlsx(archive: ZipFile, wanted: str | None) -> Iterator[Filled]:
    """Yield every sheet; only the wanted one has cells, all if none is named."""
    package = Package(archive)
    workbook = package.workbook()
    if workbook is None:
        raise RefusedError("is a .zip without a workbook in it: unpack it, or save it as .xlsx.")
    if workbook.endswith(".bin"):
        raise RefusedError("is a binary workbook (.xlsb), which is not read: open it in Excel and save it as .xlsx.")
    related = {key: (kind, part) for key, kind, part in package.related(workbook)}
    parts = dict(related.values())
    texts = [_string(each) for each in package.elements(parts.get("sharedStrings"), "si")]
    formats = _formats(package.elements(parts.get("styles"), "numFmts", "cellXfs"))
    from_1904 = False
    sheets = []
    for each in package.elements(workbook, "workbookPr", "sheet"):
        if local(each.tag) == "workbookPr":
            from_1904 = each.get("date1904") in ("1", "true")
        else:
            kind, part = related[next(value for key, value in each.items() if local(key) == "id")]
            is_visible = each.get("state", "visible") == "visible"
            sheets.append((Filled(each.get("name", ""), _KINDS.get(kind, ""), is_visible), part))

    def number(digits: str, style: str) -> tuple[str, str]:
        return number_text(digits, formats.get(style, "unknown") if style else "General", from_1904=from_1904)

    for sheet, part in sheets:
        if not sheet.kind and wanted in (None, sheet.name):
            _read_sheet(package.open(part), sheet, texts, number)
        yield sheet


def _formats(styles: Iterator[Element]) -> dict[str, str]:
    """Return the number format of each cell style; the first is that of a cell without one."""
    codes = {str(key): code for key, code in _FORMATS.items()}
    formats = {"0": "General"}
    for each in styles:
        if local(each.tag) == "numFmts":
            codes |= {form.get("numFmtId", ""): form.get("formatCode", "") for form in each}
        else:
            keys = [form.get("numFmtId", "0") for form in each]
            formats = {str(at): codes.get(key, f"built-in {key}") for at, key in enumerate(keys)}
    return formats


def _string(element: Element) -> str:
    """Return the text of a shared string; phonetic runs are no part of it."""
    if len(element) == 1 and local(element[0].tag) == "t":  # nearly every one, and a third of the time
        return unescaped(element[0].text or "")
    runs = [each for child in element if local(child.tag) != "rPh" for each in child.iter()]
    return unescaped("".join(each.text or "" for each in runs if local(each.tag) == "t"))


def unescaped(text: str) -> str:
    r"""Return a text without its escapes of characters that XML cannot contain; half a pair becomes U+FFFD.

    Examples
    --------
    >>> unescaped("a_x000D_b_x005F_x"), unescaped("_xD83D__xDE00_")
    ('a\rb_x', '😀')
    """
    if "_x" not in text:  # nearly every text
        return text
    text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _read_sheet(file: IO[bytes], sheet: Filled, texts: list[str], number: Number) -> None:
    """Fill a sheet from its XML. A row or cell that names no place follows the one before it."""
    row = -1
    for each in elements(file, "row", "mergeCell"):
        if local(each.tag) == "mergeCell":
            first, _, last = each.get("ref", "").partition(":")
            (top, left), (bottom, right) = _place(first), _place(last or first)
            sheet.merged.append((top, bottom, left, right))
            continue
        row, column, n_before = int(each.get("r", row + 2)) - 1, -1, len(sheet.rows)
        for cell in each:
            reference = cell.get("r")
            row, column = _place(reference) if reference else (row, column + 1)
            sheet.add(row, column, *_cell(cell, texts, number))
        if each.get("hidden") in ("1", "true") and len(sheet.rows) > n_before:
            sheet.hidden.append(row)


def _place(reference: str) -> tuple[int, int]:
    """Return row and column of a cell such as B7, from 0."""
    letters = reference.rstrip("0123456789")
    return int(reference[len(letters) :]) - 1, _column(letters)


@cache
def _column(letters: str) -> int:
    at = 0
    for letter in letters.strip()[:4]:
        at = at * 26 + int(letter, 36) - 9
    return at - 1


def _cell(cell: Element, texts: list[str], number: Number) -> tuple[str, str]:
    """Return the text and the remark of a cell."""
    kind, value, has_formula = cell.get("t", "n"), "", False
    for each in cell:
        name = local(each.tag)
        if name == "v":
            value = each.text or ""
        elif name == "is":
            value = _string(each)
        has_formula = has_formula or name == "f"
    if kind == "s":
        return texts[int(value)] if value else "", ""
    if kind in ("str", "inlineStr"):
        return unescaped(value) if kind == "str" else value, ""
    value = value.strip()
    if not value:
        return "", UNREAD if has_formula else ""
    if kind == "n":
        return number(value, cell.get("s", ""))
    if kind == "b":
        return "FALSE" if value in ("0", "false") else "TRUE", LOGICAL
    return (value, ERROR + value[:20]) if kind == "e" else (value, DATES if "-" in value else TIMES)

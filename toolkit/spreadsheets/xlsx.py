"""An .xlsx or .xlsm file, read from its XML as it streams by, so that an unfilled area costs nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import IO
from xml.etree.ElementTree import Element
from xml.parsers import expat
from zipfile import ZipFile

from toolkit.spreadsheets.packages import Package, attribute, local
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
_BLOCK = 1 << 18


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
            kind, part = related[attribute(each, "id") or ""]
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
    runs = [each for child in element if local(child.tag) != "rPh" for each in child.iter()]
    return unescaped("".join(each.text or "" for each in runs if local(each.tag) == "t"))


def unescaped(text: str) -> str:
    r"""Return a text without its escapes of characters that XML cannot contain; half a pair becomes U+FFFD.

    Examples
    --------
    >>> unescaped("a_x000D_b_x005F_x"), unescaped("_xD83D__xDE00_")
    ('a\rb_x', '😀')
    """
    text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _read_sheet(
    file: IO[bytes], sheet: Filled, texts: list[str], number: Callable[[str, str], tuple[str, str]]
) -> None:
    """Fill a sheet from its XML. A row or cell that names no place follows the one before it.

    Expat calls two functions for each element, which share their variables here: a tree of elements would take longer,
    and methods as well.

    Parameters
    ----------
    number
        From a number's digits and its style to the cell's text and remark.
    """
    parser = expat.ParserCreate()
    pieces: list[str] = []
    add_row, add_column, add_text, add_remark, clear = (
        sheet.rows.append, sheet.columns.append, sheet.texts.append, sheet.remarks.append, pieces.clear)  # fmt: skip
    letters: dict[str, int] = {}
    prefix = kind = style = ""
    row = column = -1
    n_before = n_kept = 0
    has_formula = is_hidden = False

    def place(reference: str) -> tuple[int, int]:
        """Return row and column of a cell such as B7, from 0."""
        name = reference.rstrip("0123456789")
        if name not in letters:
            at = 0
            for letter in name.strip()[:4]:
                at = at * 26 + int(letter, 36) - 9
            letters[name] = at - 1
        return int(reference[len(name) :]) - 1, letters[name]

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal row, column, kind, style, n_kept, has_formula, is_hidden, n_before
        if prefix:
            name = name.removeprefix(prefix)
        if name == "c":
            if "r" in attributes:
                row, column = place(attributes["r"])
            else:
                column += 1
            kind, style = attributes.get("t", "n"), attributes.get("s", "")
            n_kept, has_formula = 0, False
            clear()
        elif name == "t" or name == "v":
            del pieces[n_kept:]
        elif name == "row":
            row, column = int(attributes["r"]) - 1 if "r" in attributes else row + 1, -1
            is_hidden, n_before = attributes.get("hidden") in ("1", "true"), len(sheet.rows)
        elif name == "mergeCell":
            first, _, last = attributes["ref"].partition(":")
            (top, left), (bottom, right) = place(first), place(last or first)
            sheet.merged.append((top, bottom, left, right))

    def end(name: str) -> None:
        nonlocal n_kept, has_formula
        if prefix:
            name = name.removeprefix(prefix)
        if name == "t" or name == "v":
            n_kept = len(pieces)
        elif name == "c":
            del pieces[n_kept:]
            value, remark = "".join(pieces), ""
            if kind == "s":
                value = texts[int(value)] if value else ""
            elif kind == "inlineStr" or kind == "str":
                value = unescaped(value) if "_x" in value else value
            elif value or has_formula:
                value, remark = typed(value.strip())
            if value or remark:
                add_row(row)
                add_column(column)
                add_text(value)
                add_remark(remark)
        elif name == "f":
            has_formula = True
        elif name == "row" and is_hidden and len(sheet.rows) > n_before:
            sheet.hidden.append(row)

    def typed(value: str) -> tuple[str, str]:
        if not value:
            return "", UNREAD if has_formula else ""
        if kind == "n":
            return number(value, style)
        if kind == "b":
            return "FALSE" if value in ("0", "false") else "TRUE", LOGICAL
        return (value, ERROR + value[:20]) if kind == "e" else (value, DATES if "-" in value else TIMES)

    def root(name: str, _: dict[str, str]) -> None:
        nonlocal prefix
        prefix = name[: name.rfind(":") + 1]
        parser.StartElementHandler, parser.EndElementHandler = start, end

    parser.buffer_text = True
    parser.StartElementHandler, parser.CharacterDataHandler, parser.EntityDeclHandler = root, pieces.append, _refuse
    while block := file.read(_BLOCK):
        parser.Parse(block)
    parser.Parse(b"", True)


def _refuse(*_: object) -> None:
    raise ValueError("a sheet that declares entities")

"""An .xls file, read by calamine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, time, timedelta
from io import BytesIO

from python_calamine import CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from toolkit.spreadsheets.sheets import LOGICAL, PROTECTED, Filled, RefusedError, moment_text, number_text

_KINDS = [(SheetTypeEnum.ChartSheet, "a chart"), (SheetTypeEnum.DialogSheet, "a dialog"),
          (SheetTypeEnum.MacroSheet, "a macro sheet (Excel 4)"), (SheetTypeEnum.Vba, "a module")]  # fmt: skip
_NUMBERS = "numbers, read as plain digits: .xls does not record whether it showed zeros"
_NOTE = "an .xls file: errors such as #N/A are read as empty cells, hidden rows like the others"
_BOF, _FILEPASS, _CODEPAGE, _UTF_16 = 0x0809, 0x002F, 0x0042, 1200


def read_xls(data: bytes, wanted: str | None) -> Iterator[Filled]:
    """Yield every sheet; only the wanted one has cells, all if none is named."""
    book = CalamineWorkbook.from_filelike(BytesIO(_with_utf_16(data)))
    for about in book.sheets_metadata:
        kind = next((kind for typ, kind in _KINDS if typ == about.typ), "")
        sheet = Filled(about.name, kind, about.visible == SheetVisibleEnum.Visible, note=_NOTE)
        if not sheet.kind and wanted in (None, sheet.name):
            found = book.get_sheet_by_name(sheet.name)
            sheet.merged = [(a[0], b[0], a[1], b[1]) for a, b in found.merged_cell_ranges or []]
            # Without skipping, a row's place in the list is its number in the spreadsheet.
            for row, cells in enumerate(found.to_python(skip_empty_area=False)):
                for column, value in enumerate(cells):
                    if value != "":
                        sheet.add(row, column, *_cell(value))
        yield sheet


def _cell(value: object) -> tuple[str, str]:
    if isinstance(value, bool):
        return str(value).upper(), LOGICAL
    if isinstance(value, (date, time, timedelta)):
        return moment_text(value)
    if isinstance(value, (int, float)):
        text, remark = number_text(repr(value))
        return text, remark or _NUMBERS
    return str(value), ""


def _with_utf_16(data: bytes) -> bytes:
    """Return the file with the code page that its texts have.

    The texts of Excel 97 and later are UTF-16 whatever the record CODEPAGE says, but calamine believes the record.

    Raises
    ------
    RefusedError
        If the file is encrypted.
    """
    at = data.find(_BOF.to_bytes(2, "little") + b"\x10\x00\x00\x06")  # the workbook's first record
    end = at + 512  # beyond this the next sector of the file need not be the workbook's
    while 0 <= at < end:
        kind, size = int.from_bytes(data[at : at + 2], "little"), int.from_bytes(data[at + 2 : at + 4], "little")
        if kind == _FILEPASS:
            raise RefusedError(PROTECTED)
        if kind == _CODEPAGE:
            return data[: at + 4] + _UTF_16.to_bytes(2, "little") + data[at + 6 :]
        at += 4 + size
    return data

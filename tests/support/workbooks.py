"""A review sheet as the data owner sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from openpyxl import load_workbook


def cells_of(path: Path) -> tuple[Any, dict[str, int], dict[int, int]]:
    """The workbook; header to column number; source_row to the number of its row in the sheet ``rows``."""
    book = load_workbook(path)
    sheet = book["rows"]
    columns = {str(cell.value): cell.column for cell in sheet[1]}
    rows = {int(str(sheet.cell(at, 1).value)): at for at in range(2, sheet.max_row + 1)}
    return book, columns, rows

"""write_sheets(): frames as the sheets of one workbook, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from openpyxl import Workbook

from toolkit.errors import InputError
from toolkit.writing import MAX_CELL, MAX_SHEET_ROWS, fits_cell, replacing, text_cell, with_times_as_text


def write_sheets(sheets: Mapping[str, pd.DataFrame], path: Path) -> Path:
    """Write frames as the sheets of one .xlsx, by their titles; text stays text, and no cell is ever calculated.

    Raises
    ------
    InputError
        If the ending is another one, a sheet or a cell cannot hold what it should, or the file cannot be written.
    """
    if path.suffix.lower() != ".xlsx":
        raise InputError(f"{path.name} cannot be written: give a name that ends in .xlsx.")
    frames = {title: with_times_as_text(frame).astype(object) for title, frame in sheets.items()}
    for title, frame in frames.items():
        if len(frame) >= MAX_SHEET_ROWS:
            raise InputError(f"The sheet {title!r} cannot hold {len(frame):,} rows: use to_frame() and write .csv.")
        if any(isinstance(cell, str) and not fits_cell(cell) for column in frame for cell in frame[column]):
            raise InputError(
                f"The sheet {title!r} cannot hold a text longer than {MAX_CELL:,} characters, which would be cut: use "
                "to_frame() and write .csv."
            )
    with replacing(path) as part:
        book = Workbook(write_only=True)
        for title, frame in frames.items():
            sheet = book.create_sheet(title)
            sheet.freeze_panes = "A2"
            sheet.append([text_cell(sheet, str(column)) for column in frame.columns])
            for row in frame.where(frame.notna(), None).itertuples(index=False, name=None):
                sheet.append([text_cell(sheet, cell) if isinstance(cell, str) else cell for cell in row])
        book.save(part)
    return path

"""write_table(), write_sheets(): frames to a file, whole or not at all; and a cell's value as text."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell

from toolkit.errors import InputError
from toolkit.files import replacing

MAX_CELL = 32_767
"""Characters of one cell of a worksheet."""
MAX_SHEET_ROWS = 1_048_576
ENDINGS = (".csv", ".parquet", ".xlsx")

# What XML cannot hold, and a carriage return, which XML would make a line feed; then what would be taken for such
# an escape (ECMA-376, part 1, 22.9.2.19: ST_Xstring). Excel and calamine undo it.
_ESCAPED = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_table(frame: pd.DataFrame, path: Path) -> Path:
    """Write a frame as .csv (UTF-8), .parquet or .xlsx, without its index; times as ISO 8601 in UTC with ``Z``.

    Returns `path`. In .xlsx a text is text, whatever it looks like: no customer's cell is ever calculated, no zero
    is lost; a character that XML cannot hold stands as ``_x0007_``, as Excel writes it itself.

    Raises
    ------
    InputError
        If the ending is another one, or the file cannot be written; an earlier file of that name is then unharmed.
    """
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"{path.name} cannot be written: give a name that ends in {', '.join(ENDINGS)}.")
    if path.suffix.lower() == ".xlsx":
        return write_sheets({"Sheet": frame}, path)
    with replacing(path) as part:
        if path.suffix.lower() == ".parquet":
            frame.to_parquet(part, index=False)
        else:
            # With another line end, a carriage return within a cell would stand there unquoted.
            with_times_as_text(frame).to_csv(part, index=False, lineterminator="\r\n")
    return path


def times_as_text(times: pd.Series[Any]) -> pd.Series[Any]:
    """Return times as ISO 8601 in UTC with ``Z``; among objects, what is no aware time is given as it is.

    Examples
    --------
    >>> times_as_text(pd.Series([pd.Timestamp("2025-01-28T10:00:00+01:00"), "soon"], dtype=object)).tolist()
    ['2025-01-28T09:00:00Z', 'soon']
    """
    if not isinstance(times.dtype, pd.DatetimeTZDtype):
        aware = times.map(lambda cell: isinstance(cell, pd.Timestamp) and cell.tzinfo is not None).astype(bool)
        if not aware.any():
            return times
        text = times_as_text(pd.to_datetime(times[aware], utc=True).dt.as_unit("us"))
        return times.astype(object).where(~aware, text.astype(object))
    moments = times.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]")
    # strftime would write the year 999 with three digits.
    text = pd.Series(np.datetime_as_string(moments), index=times.index, dtype="str")
    return (text.str.removesuffix(".000000") + "Z").where(times.notna())


def with_times_as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with its times as text; see `times_as_text`."""
    kinds = {c: d for c, d in frame.dtypes.items() if isinstance(d, pd.DatetimeTZDtype) or d.kind == "O"}
    return frame.assign(**{str(c): times_as_text(frame[c]) for c in kinds})


def cells_as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with each cell as text, times as `times_as_text` gives them; null cells are None."""
    told = with_times_as_text(frame)
    others = {
        c: told[c].map(str, na_action="ignore") for c, d in told.dtypes.items() if not isinstance(d, pd.StringDtype)
    }
    told = told.assign(**{str(c): cells for c, cells in others.items()}).astype(object)
    return told.where(told.notna(), None)


def excel_text(text: str) -> str:
    r"""Return a text as a worksheet can hold it.

    Examples
    --------
    >>> excel_text("bell\x07, _x0041_")
    'bell_x0007_, _x005F_x0041_'
    >>> excel_text("  ")
    '_x0020_ '
    """
    said = _ESCAPED.sub(lambda found: f"_x{ord(found[0]):04X}_", text)
    # Spaces alone, openpyxl does not mark to be preserved, and readers drop them.
    return said if said.strip() or not said else f"_x{ord(said[0]):04X}_{said[1:]}"


def fits_cell(text: str) -> bool:
    """Say whether a worksheet's cell holds the text; Excel counts UTF-16 units."""
    short = len(text) * 7 <= MAX_CELL
    return short or len(excel_text(text).encode("utf-16-le", "surrogatepass")) // 2 <= MAX_CELL


def text_cell(sheet: Any, text: str) -> Any:
    """Return a cell that is text and stays text when it is edited: neither a formula, nor a number, nor an error."""
    cell = WriteOnlyCell(sheet, excel_text(text))
    cell.data_type = "s"
    cell.number_format = "@"
    if text.startswith(_FORMULA):
        cell.quotePrefix = True
    return cell


def write_sheets(sheets: Mapping[str, pd.DataFrame], path: Path) -> Path:
    """Write frames as the sheets of one .xlsx, by their titles; text stays text, and no cell is ever calculated.

    Raises
    ------
    InputError
        If the ending is another one, a sheet or a cell cannot hold what it should, or the file cannot be written.
    """
    if path.suffix.lower() != ".xlsx":
        raise InputError(f"{path.name or 'The workbook'} cannot be written: give a name that ends in .xlsx.")
    frames = {title: with_times_as_text(frame) for title, frame in sheets.items()}
    for title, frame in frames.items():
        where = f"{path.name}: the sheet {title!r} cannot hold"
        if len(frame) >= MAX_SHEET_ROWS:
            raise InputError(f"{where} {len(frame):,} rows, more than a worksheet has: write .csv instead.")
        if any(isinstance(cell, str) and not fits_cell(cell) for column in frame for cell in frame[column]):
            raise InputError(
                f"{where} a text longer than {MAX_CELL:,} characters, which would be cut: write .csv instead."
            )
    with replacing(path) as part:
        book = Workbook(write_only=True)
        for title, frame in frames.items():
            sheet = book.create_sheet(title)
            sheet.freeze_panes = "A2"
            sheet.append([text_cell(sheet, str(column)) for column in frame.columns])
            for row in frame.itertuples(index=False, name=None):
                sheet.append([_cell(sheet, value) for value in row])
        book.save(part)
    return path


def _cell(sheet: Any, value: Any) -> Any:
    if isinstance(value, str):
        return text_cell(sheet, value)
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    return text_cell(sheet, str(value)) if isinstance(value, float) and math.isinf(value) else value

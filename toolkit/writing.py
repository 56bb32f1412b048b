"""write_table(): a frame to a file, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from openpyxl.utils.exceptions import IllegalCharacterError

from toolkit.errors import InputError

MAX_CELL = 32_767
"""Characters of one cell of a worksheet."""
ENDINGS = (".csv", ".parquet", ".xlsx")


def write_table(frame: pd.DataFrame, path: Path) -> Path:
    """Write a frame as .csv (UTF-8), .parquet or .xlsx, without its index; times as ISO 8601 in UTC with ``Z``.

    Returns `path`. In .xlsx a text that begins as a formula does stays text: no customer's cell is ever calculated.

    Raises
    ------
    InputError
        If the ending is another one, or the file cannot be written; an earlier file of that name is then unharmed.
    """
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"{path.name} cannot be written: give a name that ends in {', '.join(ENDINGS)}.")
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        if path.suffix.lower() == ".parquet":
            frame.to_parquet(part, index=False)
        elif path.suffix.lower() == ".csv":
            _as_text(frame).to_csv(part, index=False)
        else:
            _to_excel(_as_text(frame), part)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise InputError(f"{path} cannot be written ({error.strerror or error}): choose another place.") from error
    except (ValueError, IllegalCharacterError) as error:
        part.unlink(missing_ok=True)
        raise InputError(
            f"{path.name} cannot hold these rows, which have a control character, a text longer than "
            f"{MAX_CELL:,} or more rows than a sheet: write .csv instead."
        ) from error
    return path


def _to_excel(frame: pd.DataFrame, path: Path) -> None:
    if frame.select_dtypes("str").map(len, na_action="ignore").gt(MAX_CELL).any(axis=None):  # openpyxl would cut it
        raise ValueError("a text is too long for a cell")
    with pd.ExcelWriter(path, engine="openpyxl") as book:
        frame.to_excel(book, index=False)
        for row in next(iter(book.sheets.values())).iter_rows():
            for cell in row:
                if cell.data_type == "f":
                    cell.data_type = "s"


def _as_text(frame: pd.DataFrame) -> pd.DataFrame:
    times = frame.select_dtypes("datetimetz").columns
    written = {
        c: frame[c].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ").str.replace(".000000Z", "Z", regex=False) for c in times
    }
    return frame.assign(**written)

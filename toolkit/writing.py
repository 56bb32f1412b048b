"""write_table(): a frame to a file, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from toolkit.errors import InputError

ENDINGS = (".csv", ".parquet", ".xlsx")


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame as .csv (UTF-8), .parquet or .xlsx, without its index; times as ISO 8601 in UTC with ``Z``.

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
            _as_text(frame).to_excel(part, index=False, engine="openpyxl")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise InputError(f"{path} cannot be written ({error.strerror or error}): choose another place.") from error


def _as_text(frame: pd.DataFrame) -> pd.DataFrame:
    times = frame.select_dtypes("datetimetz").columns
    written = {
        c: frame[c].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ").str.replace(".000000Z", "Z", regex=False) for c in times
    }
    return frame.assign(**written)

"""What every kind of file gives: a table of text with its places, and the checks before it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from toolkit.delivery import BROKEN_COLUMNS, no_broken_lines
from toolkit.errors import ReadingError, did_you_mean

TEXT_ENDINGS = (".csv", ".tsv", ".txt")
EXCEL_ENDINGS = (".xlsx",)
ZIP = b"PK\x03\x04"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

Choose = Callable[[Sequence[str]], dict[str, int]]
"""From a header's cells to the columns that are wanted: schema column to position."""


@dataclass(frozen=True)
class BrokenLine:
    """A record that was set aside: its number, the customer's id where it could be told, why, and its text."""

    number: int
    customer_id: str | None
    reason: str
    text: str


@dataclass(frozen=True, eq=False)
class Table:
    """A file's wanted columns as text, nothing guessed.

    Attributes
    ----------
    header
        All of the file's column names, as they stand there.
    cells
        One string column a wanted schema column; an empty cell is the empty text, nothing is null.
    numbers
        Each row's record number in the file, int64, the header counted.
    broken
        The records that were set aside.
    digest
        SHA-256 of the file's bytes.
    notes
        What was detected, in plain words.
    native_times
        Whether times may stand as ISO 8601 whatever the mapping's pattern says, since the file holds them as
        times and not as text.
    """

    header: tuple[str, ...]
    cells: pa.Table
    numbers: npt.NDArray[np.int64]
    broken: tuple[BrokenLine, ...]
    digest: str
    notes: tuple[str, ...]
    native_times: bool = False

    def broken_frame(self) -> pd.DataFrame:
        """Give the records that were set aside as `Delivery.broken` wants them."""
        if not self.broken:
            return no_broken_lines()
        index = pd.Index([b.number for b in self.broken], dtype="int64", name="source_row")
        return pd.DataFrame(
            {c: pd.Series([getattr(b, c) for b in self.broken], dtype="str", index=index) for c in BROKEN_COLUMNS}
        )


def require_file(path: Path) -> bytes:
    """Return the file's first bytes, or say why it cannot be read.

    Raises
    ------
    ReadingError
        If it is missing, a folder, empty, not permitted, or of a kind that is not read.
    """
    if path.is_dir():
        raise ReadingError(f"{path} is a folder: name one file in it.")
    with opened(path):
        if path.suffix.lower() not in (*TEXT_ENDINGS, *EXCEL_ENDINGS) and path.exists():
            raise ReadingError(
                f"{path.name} cannot be read: {path.suffix or 'a file without an ending'} is not read yet. "
                "Save it as .xlsx or .csv."
            )
        with path.open("rb") as file:
            start = file.read(16)
    if not start:
        raise ReadingError(f"{path.name} is empty: ask for the file again, or check the export.")
    return start


@contextmanager
def opened(path: Path) -> Iterator[None]:
    """Turn what the system says about a file into a `ReadingError`."""
    try:
        yield
    except FileNotFoundError:
        names = (p.name for p in path.parent.iterdir()) if path.parent.is_dir() else ()
        raise ReadingError(f"There is no file {path}{did_you_mean(path.name, names) or '.'} Check the path.") from None
    except PermissionError:
        raise ReadingError(f"{path} may not be read: close it elsewhere, or ask for the permission.") from None
    except OSError as error:
        raise ReadingError(f"{path} cannot be read ({error.strerror}): copy it to a local folder first.") from None


def require_header(header: Sequence[str], path: Path, header_row: int) -> None:
    """Refuse a header whose cells are all empty.

    Raises
    ------
    ReadingError
        If there is no header in that row.
    """
    if not any(cell.strip() for cell in header):
        raise ReadingError(
            f"{path.name} has no header in row {header_row}: the row is empty or missing. "
            "Say where the header is in the mapping: header_row in [format]."
        )

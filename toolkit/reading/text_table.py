"""What every reader returns: a table of text whose rows have the numbers of their records."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from toolkit.errors import MappingError, ReadingError, did_you_mean
from toolkit.model import BROKEN_COLUMNS

ZIP = b"PK\x03\x04"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
HEADER_SEARCH = 30
"""How many records are looked at for the header."""

Choose = Callable[[Sequence[str]], dict[str, int]]
"""From a header's cells to the columns that are wanted: schema column to position."""


class NoText(str):
    """The name of a column whose type has no text, such as a list: it is refused if it is wanted."""

    __slots__ = ()


@dataclass(frozen=True)
class BrokenLine:
    """A record that was set aside: its number, the customer's id if it can be read, why, and its text."""

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
        All of the file's column names, as they are there.
    cells
        One string column for each wanted column; an empty cell is the empty text, nothing is null.
    numbers
        Each row's record number in the file, int64, the header counted.
    broken
        The records that were set aside.
    digest
        SHA-256 of the file's bytes.
    notes
        What was detected or assumed, in plain words.
    warnings
        What is probably wrong with how the source is read.
    native_times
        Whether times may be ISO 8601 whatever the mapping's pattern says, because the source holds them as times
        and not as text.
    header_row
        The record that holds the header; 0 if the source has none.
    sheet
        The worksheet that it was read from.
    parts
        As `Delivery.parts`.
    """

    header: tuple[str, ...]
    cells: pa.Table
    numbers: npt.NDArray[np.int64]
    broken: tuple[BrokenLine, ...] = ()
    digest: str = ""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    native_times: bool = False
    header_row: int = 0
    sheet: str = ""
    parts: tuple[tuple[str, int], ...] = ()

    def broken_frame(self) -> pd.DataFrame:
        """Return the records that were set aside, as `Delivery.broken` has them."""
        frame = pd.DataFrame(list(self.broken), columns=["number", *BROKEN_COLUMNS]).astype({"number": "int64"})
        return frame.set_index("number").rename_axis("source_row").astype("str")


def joined_tables(tables: Sequence[Table]) -> Table:
    """Put consecutive parts of one source together; the notes are those of the last part, which are complete."""
    if len(tables) == 1:
        return tables[0]
    return replace(
        tables[-1],
        cells=pa.concat_tables([t.cells for t in tables]),
        numbers=np.concatenate([t.numbers for t in tables]),
        broken=tuple(b for t in tables for b in t.broken),
    )


@contextmanager
def opened(path: Path) -> Iterator[None]:
    """Raise what goes wrong with a file as a `ReadingError`."""
    try:
        yield
    except FileNotFoundError:
        names = (p.name for p in path.parent.iterdir()) if path.parent.is_dir() else ()
        raise ReadingError(f"There is no file {path}{did_you_mean(path.name, names) or '.'} Check the path.") from None
    except PermissionError:
        raise ReadingError(f"{path} cannot be read: close it in other programs, or ask for the permission.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise ReadingError(f"{path.name} is cut short or damaged, and cannot be unpacked: ask for it again.") from None
    except OSError as error:
        why = f" ({error.strerror})" if error.strerror else ""
        raise ReadingError(f"{path} cannot be read{why}: copy it to a local folder first.") from None


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
            "State in the mapping where the header is: header_row in [format]."
        )


def find_header(records: Iterable[Sequence[str]], choose: Choose) -> int:
    """Return the number, from 1, of the first record with the names of the wanted columns.

    Records with half of the cells of the widest or fewer are tried last: they are titles and notes above the table. If
    no record has the names, the first that is no title is returned, so that the message about it can name the
    nearest column.

    Examples
    --------
    >>> find_header([["Export of 3 May"], [], ["No.", "Name"], ["1", "a"]], lambda header: {})
    3
    """
    first = list(islice(records, HEADER_SEARCH))
    n_filled = [sum(1 for cell in record if cell.strip()) for record in first]
    wide = [number for number, n in enumerate(n_filled, start=1) if 2 * n > max(n_filled)]
    filled = [number for number, n in enumerate(n_filled, start=1) if n]
    for number in dict.fromkeys([*wide, *filled]):  # a broken line may be the widest of all
        try:
            choose(first[number - 1])
        except (MappingError, ReadingError):
            continue
        return number
    return wide[0] if wide else 1

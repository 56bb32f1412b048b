"""A folder of part-files to one table: each with the same columns, under a header of its own or the first one's."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from toolkit.display import plural
from toolkit.errors import MappingError, ReadingError
from toolkit.model import TIME
from toolkit.reading.text_table import Choose, Table, opened

ReadPart = Callable[[Path, int | None, Sequence[str] | None], Table]
"""From a file, its header's row (None: found) and the header of a file without one, to its table."""

_SPOKEN_NOTES = 5


def read_parts(
    folder: Path, endings: Sequence[str], read: ReadPart, choose: Choose, *, header_row: int | None = None
) -> Table:
    """Read the files of a folder, by name, as one table; a record's number counts on from file to file.

    Files whose name begins with a dot or an underscore belong to the system that wrote them and are left out.
    Columns go by their names, in any order; a text file without a header has the columns of the first one.

    Raises
    ------
    ReadingError
        If there is nothing to read, the files are of several kinds, or one has other columns.
    """
    with opened(folder):
        inside = sorted(p for p in folder.iterdir() if not p.name.startswith((".", "_")))
    files = [p for p in inside if p.is_file() and kind_of(p) in endings]
    kinds = {kind_of(p) for p in files}
    if not files:
        raise ReadingError(f"{folder.name} is a folder without a file that can be read: {', '.join(endings)}.")
    if len(kinds) > 1:
        raise ReadingError(
            f"{folder.name} is a folder of several kinds of files, {' and '.join(sorted(kinds))}: name one of them, or "
            "leave the parts of one delivery alone in it."
        )
    first = read(files[0], header_row, None)
    names = {column: first.header[at] for column, at in choose(first.header).items()}
    tables = [first, *(_part(path, first, names, read) for path in files[1:])]
    starts = np.cumsum([0, *(_last(table) for table in tables)]).tolist()
    parts = list(zip(files, tables, starts, strict=False))
    notes = [plural(len(files), "file"), *first.notes]
    other = [f"{p.name}: {', '.join(t.notes)}" for p, t, _ in parts[1:] if t.notes != first.notes]
    notes += other[:_SPOKEN_NOTES]
    if left_out := [p.name for p in inside if p not in files]:
        notes.append(f"left out: {', '.join(left_out[:_SPOKEN_NOTES])}{', …' * (len(left_out) > _SPOKEN_NOTES)}")
    return replace(
        first,
        cells=pa.concat_tables([table.cells for table in tables]),
        numbers=np.concatenate([table.numbers + start for _, table, start in parts]),
        broken=tuple(replace(b, number=b.number + start) for _, table, start in parts for b in table.broken),
        digest=hashlib.sha256("\n".join(table.digest for table in tables).encode()).hexdigest(),
        notes=tuple(notes),
        parts=tuple((path.name, start) for path, _, start in parts),
    )


def kind_of(path: Path) -> str:
    """Return a file's ending, gzip's put aside.

    Examples
    --------
    >>> kind_of(Path("crm.CSV.gz"))
    '.csv'
    """
    return Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()


def _part(path: Path, first: Table, names: dict[str, str], read: ReadPart) -> Table:
    try:
        table = read(path, first.header_row or None, None)
    except (MappingError, ReadingError):
        if not first.header_row:
            raise
        table = _without_header(path, first, names, read)
    if lacking := [c for c in first.cells.column_names if c not in table.cells.column_names]:
        raise ReadingError(
            f"{path.name} lacks {', '.join(lacking)}, which the first file of the folder has: ask for it again."
        )
    return replace(table, cells=table.cells.select(first.cells.column_names))


def _without_header(path: Path, first: Table, names: dict[str, str], read: ReadPart) -> Table:
    """Read a part whose header stands lower, or a text file without one: its columns go by position, and it is said."""
    with suppress(MappingError, ReadingError):
        return read(path, None, None)
    table = read(path, None, first.header)
    # A header or a title has no digit where the times stand; without times nothing tells it from a customer.
    time = table.cells.column(TIME)[0].as_py() if TIME in names and len(table.numbers) else ""
    if not any(sign.isdigit() for sign in time):
        raise ReadingError(
            f"{path.name} has other columns than the first file: each file of the folder has to have the same header, "
            "or none."
        )
    return replace(table, notes=("no header: its columns are taken to be those of the first file", *table.notes))


def _last(table: Table) -> int:
    numbers = [int(table.numbers[-1])] if len(table.numbers) else []
    return max(numbers + [b.number for b in table.broken], default=table.header_row)

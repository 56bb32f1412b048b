"""A folder of part-files to one table: each file has the same columns, under a header of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from toolkit.display import plural
from toolkit.errors import MappingError, ReadingError
from toolkit.files import parts_in
from toolkit.reading.text_table import Table, opened

ReadPart = Callable[[Path], Table]

_SHOWN = 5


def read_parts(folder: Path, endings: Sequence[str], read: ReadPart) -> Table:
    """Read the files of a folder, by name, as one table; a record's number counts on from file to file.

    Files whose name begins with a dot or an underscore belong to the system that wrote them and are left out.
    Columns go by their names, in any order.

    Raises
    ------
    ReadingError
        If there is nothing to read, the files are of several kinds, or one has other columns.
    """
    with opened(folder):
        inside = parts_in(folder)
    files = [p for p in inside if p.is_file() and kind_of(p) in endings]
    kinds = {kind_of(p) for p in files}
    if not files:
        raise ReadingError(f"{folder.name} is a folder without a file that can be read: {', '.join(endings)}.")
    if len(kinds) > 1:
        raise ReadingError(
            f"{folder.name} is a folder of several kinds of files, {' and '.join(sorted(kinds))}: name one of them, or "
            "leave the parts of one delivery alone in it."
        )
    first = read(files[0])
    tables = [first, *(_part(path, first, read) for path in files[1:])]
    starts = np.cumsum([0, *(_last(table) for table in tables)]).tolist()
    parts = list(zip(files, tables, starts, strict=False))
    notes = [plural(len(files), "file"), *first.notes]
    other = [f"{p.name}: {', '.join(t.notes)}" for p, t, _ in parts[1:] if t.notes != first.notes]
    notes += other[:_SHOWN]
    if left_out := [p.name for p in inside if p not in files]:
        notes.append(f"left out: {', '.join(left_out[:_SHOWN])}{', …' * (len(left_out) > _SHOWN)}")
    return replace(
        first,
        cells=pa.concat_tables([table.cells for table in tables]),
        numbers=np.concatenate([table.numbers + start for _, table, start in parts]),
        broken=tuple(replace(b, number=b.number + start) for _, table, start in parts for b in table.broken),
        digest=hashlib.sha256("\n".join(table.digest for table in tables).encode()).hexdigest(),
        notes=tuple(notes),
        warnings=tuple(f"{path.name}: {warning}" for path, table, _ in parts for warning in table.warnings)[:_SHOWN],
        parts=tuple((path.name, start) for path, _, start in parts),
    )


def kind_of(path: Path) -> str:
    """Return a file's ending, without that of gzip.

    Examples
    --------
    >>> kind_of(Path("crm.CSV.gz"))
    '.csv'
    """
    return Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()


def _part(path: Path, first: Table, read: ReadPart) -> Table:
    """Read a further part, its columns in the order of the first one's."""
    try:
        table = read(path)
    except (MappingError, ReadingError) as error:
        raise ReadingError(f"{path.name} cannot be read like the first file of the folder: {error}") from None
    columns = first.cells.column_names
    if lacking := [c for c in columns if c not in table.cells.column_names]:
        raise ReadingError(f"{path.name} lacks {', '.join(lacking)}, which the first file has: ask for it again.")
    return replace(table, cells=table.cells.select(columns))


def _last(table: Table) -> int:
    numbers = [int(table.numbers[-1])] if len(table.numbers) else []
    return max(numbers + [b.number for b in table.broken], default=table.header_row)

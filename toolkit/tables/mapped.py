"""Rows on the disk that are used as a table in memory: only the parts that are looked at are read."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterable

import pyarrow as pa

from toolkit.errors import InputError


def on_disk(parts: Iterable[pa.Table | pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """Write rows, part by part, to a file without a name in the system's temporary folder; return them as a table.

    The system reads a part of the file when it is looked at, and drops it when memory is short. The file goes with the
    table, and with the process.

    Raises
    ------
    InputError
        If the disk is full.

    Examples
    --------
    >>> part = pa.table({"n": [1, 2]})
    >>> on_disk([part, part], part.schema)["n"].to_pylist()
    [1, 2, 1, 2]
    """
    try:
        with tempfile.TemporaryFile() as file:
            with pa.ipc.new_file(file, schema) as writer:
                for part in parts:
                    writer.write(part.cast(schema))
            file.flush()
            return pa.ipc.open_file(pa.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))).read_all()
    except OSError as error:
        raise InputError(
            f"The rows cannot be written to {tempfile.gettempdir()} ({error.strerror or error}): free space on the "
            "disk, or set TMPDIR to a folder with more."
        ) from error

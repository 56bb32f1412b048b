"""The rows of pushes, as files that only their user can read (0600), complete or absent, also after a power cut."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from toolkit.errors import JournalError
from toolkit.files import keep
from toolkit.sending.records import PushRecord
from toolkit.tables import on_disk


class KeptRows:
    """The rows of pushes, and what the ledger records of their deliveries, as Parquet files in one folder.

    Without a folder, as in a dry run, the rows of one push stay in memory and no delivery is kept.

    Raises
    ------
    JournalError
        By each method that reads or writes, if a file cannot be written, or is not the one that was kept.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._in_memory: pa.Table | None = None

    def keep(self, push: str, rows: pa.Table, keys: Callable[[], pa.Table]) -> dict[str, str]:
        """Store both files of a push; returns their digests, by which `rows` and `delivery` recognise them."""
        if self._folder is None:
            self._in_memory = rows
            return {}
        tables = {"rows": rows, "delivery": keys()}
        try:
            return {
                name: keep(self._path(push, name), partial(pq.write_table, table, compression="zstd"))
                for name, table in tables.items()
            }
        except OSError as error:
            raise JournalError(
                f"The rows of the push cannot be kept in {self._folder} ({error.strerror or error}): free disk space "
                "or fix the folder's permissions. Nothing was sent."
            ) from error

    def rows(self, record: PushRecord) -> pa.Table:
        """Return the rows of a push, in the order of its plan."""
        return self._read(record, "rows") if self._in_memory is None else self._in_memory

    def keys(self, record: PushRecord) -> pa.Table | None:
        """Return what the ledger records of the delivery; None once it was dropped."""
        return self._read(record, "delivery") if self._path(record.id, "delivery").exists() else None

    def drop_delivery(self, push: str) -> None:
        """Delete the stored delivery: the ledger has recorded it, or never will."""
        with contextlib.suppress(OSError):  # recording it twice does no harm
            self._path(push, "delivery").unlink()

    def _path(self, push: str, name: str) -> Path:
        return (self._folder or Path()) / (f"{push}.parquet" if name == "rows" else f"{push}.{name}")

    def _read(self, record: PushRecord, name: str) -> pa.Table:
        path = self._path(record.id, name)
        try:
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != record.facts["kept"][name]:
                    raise OSError("it is not the file that was kept")
                parquet = pq.ParquetFile(file)
                return on_disk(parquet.iter_batches(), parquet.schema_arrow)
        except OSError as error:
            way = "or abandon the push and plan" if record.state == "open" else "or diff and plan"
            raise JournalError(
                f"The {name} of push {record.id} in {path} cannot be read ({error}): restore the file, {way} it again "
                "from its source."
            ) from error

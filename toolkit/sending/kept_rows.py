"""Files for their user's eyes alone (0600, whatever the umask), whole or not at all, also after a power cut."""

from __future__ import annotations

import contextlib
import hashlib
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from toolkit.engine import to_arrow, to_frame
from toolkit.errors import JournalError
from toolkit.files import keep
from toolkit.model import ID, TIME, Delivery
from toolkit.sending.records import PushRecord

_TOLD = pa.schema([(ID, pa.string()), (TIME, pa.timestamp("us", tz="UTC")), ("held", pa.bool_())])


class KeptRows:
    """The rows of pushes, and what the ledger is to know of their deliveries, as Parquet files in one folder.

    Raises
    ------
    JournalError
        By each method that reads or writes, if a file cannot be written, or is not the one that was kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, push: str, rows: pa.Table, delivery: Delivery) -> dict[str, str]:
        """Keep both files of a push; returns their digests, by which `rows` and `delivery` know them."""
        tables = {"rows": rows, "delivery": _told(delivery)}
        try:
            return {
                name: keep(self._path(push, name), partial(pq.write_table, table, compression="zstd"))
                for name, table in tables.items()
            }
        except OSError as error:
            raise JournalError(
                f"The rows of the push cannot be kept in {self._folder} ({error.strerror or error}): free space "
                "or mend the folder's permissions. Nothing was sent."
            ) from error

    def rows(self, record: PushRecord) -> pa.Table:
        """Return the rows of a push, in the order of its plan."""
        return self._read(record, "rows")

    def delivery(self, record: PushRecord) -> Delivery | None:
        """Return what the ledger is to know of the delivery; None once it was dropped."""
        if not self._path(record.id, "delivery").exists():
            return None
        frame = to_frame(self._read(record, "delivery"))
        return Delivery(
            frame[~frame["held"]].drop(columns="held"),
            source=record.facts["source"],
            digest=record.facts["source_digest"],
            kind=record.facts["kind"],
            held=frozenset(frame.loc[frame["held"], ID]),
            n_quarantined=record.facts["n_quarantined"],
        )

    def drop_delivery(self, push: str) -> None:
        """Keep the delivery no longer: the ledger knows it, or never will."""
        with contextlib.suppress(OSError):  # a ledger that is told once more does not mind
            self._path(push, "delivery").unlink()

    def _path(self, push: str, name: str) -> Path:
        return self._folder / (f"{push}.parquet" if name == "rows" else f"{push}.{name}")

    def _read(self, record: PushRecord, name: str) -> pa.Table:
        path, digest = self._path(record.id, name), record.facts.get("kept", {}).get(name)
        try:
            with path.open("rb") as file:
                if digest is not None and hashlib.file_digest(file, "sha256").hexdigest() != digest:
                    raise OSError("it is not the file that was kept")
                return pq.read_table(file)
        except (OSError, pa.ArrowException) as error:
            way = "or abandon the push and plan" if record.state == "open" else "or diff and plan"
            raise JournalError(
                f"The {name} of push {record.id} in {path} cannot be read ({error}): restore the file, {way} it anew "
                "from its source."
            ) from error


def _told(delivery: Delivery) -> pa.Table:
    """Return what the ledger is told of a delivery: its keys, and the customers held."""
    timed = isinstance(delivery.frame[TIME].dtype, pd.DatetimeTZDtype)
    given = delivery.frame[[ID, TIME]] if timed else delivery.frame[[ID]]
    held = pd.DataFrame({ID: sorted(delivery.held)}, dtype="str")
    return pa.concat_tables(to_arrow(part.assign(held=side), _TOLD) for part, side in ((given, False), (held, True)))

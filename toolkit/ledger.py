"""The ledger: every version that the vendor accepted, append-only; snapshots of it through time.

A Delta Lake table for each target: commits are atomic, several analysts may write to one folder, nothing is
erased. A version that is found not to have arrived is *retracted*: a new entry, after which it counts no more.
A second table keeps the keys of each delivery, to tell newly from long absent. The only module with deltalake.
"""

from __future__ import annotations

import getpass
import glob
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

import pandas as pd
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from toolkit.contract import CUSTOMER, ID, TIME, Resource
from toolkit.delivery import Delivery
from toolkit.engine import Session, quoted, to_frame
from toolkit.errors import LedgerError
from toolkit.settings import Settings
from toolkit.snapshot import Snapshot

ACCEPTED, RETRACTED = "accepted", "retracted"
_TIME = pa.timestamp("us", tz="UTC")


def entry_schema(resource: Resource) -> pa.Schema:
    """Return the columns of an entry: what happened, the row with its custom attributes, and where it came from."""
    return pa.schema(
        [
            pa.field("entry", pa.string()),  # accepted or retracted
            *resource.arrow_schema(),
            pa.field("recorded_at", _TIME),  # when the vendor answered
            pa.field("operation", pa.string()),
            pa.field("plan", pa.string()),
            pa.field("batch", pa.int64()),
            pa.field("position", pa.int64()),  # the row's place in its plan
            pa.field("author", pa.string()),
            pa.field("reason", pa.string()),
            pa.field("source_file", pa.string()),
            pa.field("source_row", pa.int64()),
        ]
    )


ENTRY = entry_schema(CUSTOMER)
DELIVERY = pa.schema(
    [
        pa.field("recorded_at", _TIME),
        pa.field("plan", pa.string()),
        pa.field("source_file", pa.string()),
        pa.field("digest", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("n_rows", pa.int64()),
        pa.field("newest", _TIME),  # the greatest time among its rows
        pa.field("author", pa.string()),
        pa.field(ID, pa.string()),
    ]
)

_UNUSABLE = re.compile(r"[\[\]^|\\]|%[0-9A-Fa-f]{2}")
"""What deltalake 1.6 reads as something else in a path, or panics at."""


@dataclass(frozen=True)
class Ledger:
    """The ledger of one target.

    Parameters
    ----------
    folder
        Where it lies, created when first written. A folder that several analysts share keeps its permissions.
    target
        The name of the target; a ledger of another target is refused.
    resource
        The columns of its versions, custom attributes included.
    """

    folder: Path
    target: str
    label: str = ""
    resource: Resource = CUSTOMER

    def __post_init__(self) -> None:
        if found := _UNUSABLE.search(self.folder.as_posix()):
            raise LedgerError(
                f"The ledger cannot lie in {self.folder}, for Delta tables take no {found[0]!r} in a folder's name: "
                "name another folder with TOOLKIT_LEDGER."
            )

    @classmethod
    def of(cls, settings: Settings | None = None) -> Self:
        """Open the ledger that the settings name."""
        chosen = settings or Settings()
        return cls(chosen.ledger / chosen.target, chosen.target, chosen.label, chosen.documented.resource)

    @property
    def version(self) -> int:
        """How many times it was written, less one; -1 for a ledger without entries."""
        table = self._table("entries")
        return -1 if table is None else int(table.version())

    def snapshot(self, *, as_of: Any = None, valid_at: Any = None) -> Snapshot:
        """Return the customers as the vendor should hold them.

        Parameters
        ----------
        as_of
            Only what had been accepted by then (a UTC time, or what `pandas.Timestamp` reads).
        valid_at
            The version that was current on that date: ``updated_at`` not later.
        """
        accepted_by, current_on = _moment(as_of, "as_of"), _moment(valid_at, "valid_at")
        table = self._table("entries")
        versions = self.resource.arrow_schema().empty_table()
        names = ", ".join("e." + quoted(c) for c in self.resource.names)
        if table is not None:
            with Session({"none": entry_schema(self.resource).empty_table()}) as session:
                versions = session.table(
                    _VERSIONS.format(names=names),
                    [self._files("entries", table), accepted_by, accepted_by, current_on, current_on],
                )
        with Session({"versions": versions}) as session:
            newest = session.table(f"""SELECT {quoted(*self.resource.names)} FROM versions
                QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY updated_at DESC) = 1
                ORDER BY customer_id""")
        return Snapshot(
            to_frame(newest),
            versions,
            -1 if table is None else int(table.version()),
            self._last_keys(accepted_by),
            self.label or f"ledger of target {self.target}",
            accepted_by,
            current_on,
        )

    def history(self, customer_id: str) -> pd.DataFrame:
        """Return every entry of one customer, oldest first: what was sent, when, by whom, from where."""
        table, none = self._table("entries"), entry_schema(self.resource).empty_table()
        if table is None:
            return to_frame(none)
        with Session({"none": none}) as session:
            sql = "FROM (FROM read_parquet($1, union_by_name=true) UNION ALL BY NAME FROM none) WHERE customer_id = $2"
            found = session.table(f"{sql} ORDER BY recorded_at, position", [self._files("entries", table), customer_id])
        return to_frame(found.select(none.column_names))

    def keys_since(self, version: int, *, but_for: str) -> pa.Table:
        """Return the keys of the versions that other pushes entered after `version` of the ledger."""
        table = self._table("entries")
        if table is None:
            return CUSTOMER.arrow_schema().empty_table().select(list(CUSTOMER.key))
        # By commit, not by the clock: an answer may be older than the commit that brings it in.
        files = set(self._files("entries", table))
        if version >= 0:
            files -= set(self._files("entries", DeltaTable(table.table_uri, version=version)))
        if not files:
            return CUSTOMER.arrow_schema().empty_table().select(list(CUSTOMER.key))
        with Session() as session:
            return session.table(
                """SELECT customer_id, updated_at FROM read_parquet($1, union_by_name=true)
                   WHERE entry = 'accepted' AND plan <> $2""",
                [sorted(files), but_for],
            )

    def recorded_through(self, plan: str) -> int:
        """Return the number of the last receipt of this plan that is in the ledger; -1 for none."""
        table = self._table("entries")
        through = None if table is None else table.transaction_version(plan)
        return -1 if through is None else int(through)

    def record(self, entries: pa.Table, *, plan: str, through: int) -> None:
        """Append accepted rows, of `entry_schema`, once: receipts up to `through` that are in already are refused.

        Parameters
        ----------
        plan, through
            The plan, and the number of its last receipt among these rows.
        """
        if through <= self.recorded_through(plan):
            raise LedgerError(f"Receipts of plan {plan[:12]} up to {through} are in the ledger already.")
        marks = CommitProperties(app_transactions=[Transaction(plan, through)])
        self._append("entries", entries.cast(entry_schema(self.resource)), marks)

    def record_delivery(self, delivery: Delivery, *, plan: str, now: datetime) -> None:
        """Keep which customers a delivery held, quarantined ones included; once for each plan."""
        table = self._table("deliveries")
        if table is not None and table.transaction_version(plan) is not None:
            return
        ids = pd.concat([delivery.frame[ID], pd.Series(sorted(delivery.held), dtype="str")])
        keys = pa.array(ids.dropna().drop_duplicates(), type=pa.string())
        fixed = {
            "recorded_at": now,
            "plan": plan,
            "source_file": delivery.source,
            "digest": delivery.digest,
            "kind": delivery.kind,
            "n_rows": delivery.n_rows + delivery.n_quarantined,
            "newest": delivery.frame[TIME].max() if delivery.n_rows else None,
            "author": getpass.getuser(),
        }
        columns = {
            name: pa.repeat(pa.scalar(value, DELIVERY.field(name).type), len(keys)) for name, value in fixed.items()
        }
        self._append(
            "deliveries",
            pa.table({**columns, ID: keys}, schema=DELIVERY),
            CommitProperties(app_transactions=[Transaction(plan, 1)]),
        )

    def deliveries(self) -> pd.DataFrame:
        """Return the deliveries recorded, newest first."""
        table, none = self._table("deliveries"), DELIVERY.empty_table().drop_columns(ID)
        if table is None:
            return to_frame(none)
        with Session({"none": none}) as session:  # which names the columns that older files lack
            found = session.table(
                """FROM (SELECT * EXCLUDE (customer_id) FROM read_parquet($1, union_by_name=true)
                         UNION ALL BY NAME FROM none) GROUP BY ALL ORDER BY recorded_at DESC""",
                [self._files("deliveries", table)],
            )
        return to_frame(found.select(none.column_names))

    def retract(self, keys: Iterable[tuple[str, Any]], *, reason: str, now: datetime | None = None) -> int:
        """Enter that versions did not arrive after all; returns how many.

        Parameters
        ----------
        keys
            Pairs of customer_id and updated_at.

        Raises
        ------
        LedgerError
            If a version is not in the ledger, or is retracted already: nothing is entered then.
        """
        wanted = pd.DataFrame(list(keys), columns=list(CUSTOMER.key))
        wanted[TIME] = pd.to_datetime(wanted[TIME], utc=True).dt.as_unit("us")
        wanted[ID] = wanted[ID].astype("str")
        held = to_frame(self.snapshot().versions.select(list(CUSTOMER.key))).assign(found=True)
        merged = wanted.drop_duplicates().merge(held, how="left", on=list(CUSTOMER.key))
        if merged["found"].isna().any():
            missing = merged.loc[merged["found"].isna(), ID].tolist()
            raise LedgerError(
                f"The ledger of target {self.target} holds no such version of "
                f"{', '.join(missing[:5])}: look at history(customer_id). Nothing was retracted."
            )
        moment = now or pd.Timestamp.now("UTC")
        entries = pa.table(
            {
                "entry": [RETRACTED] * len(merged),
                **{c: pa.array(merged[c]) for c in CUSTOMER.key},
                "recorded_at": [moment] * len(merged),
                "author": [getpass.getuser()] * len(merged),
                "reason": [reason] * len(merged),
            }
        )
        complete = [
            entries[f.name].cast(f.type) if f.name in entries.column_names else pa.nulls(len(merged), f.type)
            for f in ENTRY
        ]
        self._append("entries", pa.table(complete, schema=ENTRY), CommitProperties())
        return len(merged)

    def _last_keys(self, as_of: pd.Timestamp | None) -> frozenset[str] | None:
        table = self._table("deliveries")
        if table is None:
            return None
        with Session() as session:
            keys = session.table(
                """
                WITH d AS (SELECT * FROM read_parquet($1) WHERE kind = 'full' AND ($2 IS NULL OR recorded_at <= $3))
                SELECT customer_id FROM d WHERE recorded_at = (SELECT max(recorded_at) FROM d)""",
                [self._files("deliveries", table), as_of, as_of],
            )
        return frozenset(keys[ID].to_pylist()) if len(keys) else None

    def _files(self, name: str, table: DeltaTable) -> list[str]:
        """Return the files of a table as DuckDB takes them: plain paths, in which no sign stands for others."""
        paths = pa.table(table.get_add_actions())["path"].to_pylist()
        return [glob.escape(str(self.folder / name / unquote(path))) for path in paths]

    def _table(self, name: str) -> DeltaTable | None:
        path = self.folder / name
        try:
            table = DeltaTable(str(path))
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            raise LedgerError(
                f"The ledger in {path} cannot be read ({type(error).__name__}): restore it from a "
                "copy, or name another one with TOOLKIT_LEDGER."
            ) from error
        if table.metadata().name != self.target:
            raise LedgerError(
                f"The ledger in {path} belongs to target {table.metadata().name!r}, not to "
                f"{self.target!r}: check TOOLKIT_TARGET and TOOLKIT_LEDGER."
            )
        return table if pa.table(table.get_add_actions()).num_rows else None  # made, and nothing entered yet

    def _append(self, name: str, rows: pa.Table, properties: CommitProperties) -> None:
        path = self.folder / name
        try:
            path.mkdir(parents=True, exist_ok=True)
            write_deltalake(
                str(path), rows, mode="append", name=self.target, schema_mode="merge", commit_properties=properties
            )
        except (DeltaError, OSError) as error:
            raise LedgerError(
                f"The ledger in {path} cannot be written ({type(error).__name__}): free space or "
                "mend its permissions, then resume. What was accepted is in the journal."
            ) from error


# A version counts from its last acceptance that no retraction followed. An UPSERT replaces what was there,
# an APPEND of a version that is there does nothing.
_VERSIONS = f"""
WITH entries AS (
    SELECT * FROM (FROM read_parquet($1, union_by_name=true) UNION ALL BY NAME FROM none)
    WHERE ($2 IS NULL OR recorded_at <= $3) AND ($4 IS NULL OR updated_at <= $5)
), gone AS (
    SELECT customer_id, updated_at, max(recorded_at) AS at_ FROM entries WHERE entry = '{RETRACTED}' GROUP BY ALL
)
SELECT {{names}}
FROM entries e LEFT JOIN gone g ON e.customer_id = g.customer_id AND e.updated_at = g.updated_at
WHERE e.entry = '{ACCEPTED}' AND (g.at_ IS NULL OR e.recorded_at > g.at_)
QUALIFY row_number() OVER (
    PARTITION BY e.customer_id, e.updated_at
    ORDER BY e.operation = 'UPSERT' DESC,
             CASE WHEN e.operation = 'UPSERT' THEN -epoch_us(e.recorded_at) ELSE epoch_us(e.recorded_at) END) = 1
"""


def _moment(value: Any, name: str) -> pd.Timestamp | None:
    if value is None:
        return None
    try:
        moment = pd.Timestamp(value)
    except (ValueError, TypeError):
        raise LedgerError(f"{name} is not a time: write it as 2026-09-01 or 2026-09-01T10:00:00Z.") from None
    return moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")

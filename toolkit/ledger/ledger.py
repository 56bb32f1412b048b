"""The ledger: every version that the vendor accepted, append-only; snapshots of it through time.

Nothing is erased. A version that did not arrive after all is *retracted*: with that new entry it no longer counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import pandas as pd
import pyarrow as pa

from toolkit.config import Settings, current
from toolkit.display import ShownFrame, timestamp
from toolkit.engine import Session, quoted, to_frame
from toolkit.errors import LedgerError
from toolkit.ledger.deliveries import DELIVERY, Deliveries
from toolkit.ledger.delta import Table, require_usable_folder
from toolkit.ledger.entries import (
    RETRACTED,
    SEEDED,
    STANDS,
    entry_schema,
    held_keys,
    moment_of,
    pairs_of,
    require_push,
    require_text,
    required,
    rows_of,
    versions_of,
)
from toolkit.ledger.snapshot import Snapshot
from toolkit.model import CUSTOMER, Resource, typed_frame
from toolkit.progress import step
from toolkit.tables import author

LISTED = "see 'toolkit pushes', or push_history()"
"""Where the names of the pushes are, for a message."""


@dataclass(frozen=True)
class Ledger:
    """The ledger of one target.

    Parameters
    ----------
    folder
        Its folder, created by the first write. A folder that several analysts share keeps its permissions.
    target
        The name of the target; a ledger of another target is refused.
    resource
        The columns of its versions, custom attributes included.
    shared
        Whether it is outside the home, where other analysts may push to it too; if not, only this user can read the
        folders that it creates (0700).
    """

    folder: Path
    target: str
    label: str = ""
    resource: Resource = CUSTOMER
    shared: bool = False

    def __post_init__(self) -> None:
        require_usable_folder(self.folder)

    @classmethod
    def of(cls, settings: Settings | None = None) -> Self:
        """Open the ledger that the settings name."""
        chosen = current(settings)
        folder = chosen.ledger / chosen.target
        shared = not folder.resolve().is_relative_to(chosen.home.resolve())
        return cls(folder, chosen.target, chosen.label, chosen.documented.resource, shared)

    @property
    def version(self) -> int:
        """The number of writes minus one; -1 for a ledger without entries."""
        return self._entries.version

    @step("Reading the ledger")
    def snapshot(self, *, as_of: Any = None, push: str = "", valid_at: Any = None) -> Snapshot:
        """Return the customers as the vendor should have them.

        Parameters
        ----------
        as_of
            Only what had been accepted by then: a time, in UTC unless it names a zone.
        push
            Instead of `as_of`: only what had been accepted when the last row of this push was.
        valid_at
            The version that was current on that date: ``updated_at`` not later.

        Raises
        ------
        LedgerError
            If `as_of` or `valid_at` is not a time, the ledger has no such push, or both `as_of` and `push` are given.
        """
        require_push(push)
        if push and as_of is not None:
            raise LedgerError("A snapshot takes as_of or push, not both.")
        accepted_by = self._end_of(push) if push else moment_of(as_of, "as_of")
        current_on = moment_of(valid_at, "valid_at")
        version = self.version  # first: rows that enter now belong to a later one, and are planned for again at worst
        versions = self.query(versions_of(self.resource), accepted_by, current_on, None)
        with Session({"versions": versions}) as session:
            newest = session.table("""FROM versions SEMI JOIN (
                SELECT customer_id, max(updated_at) AS updated_at FROM versions GROUP BY customer_id
                ) AS newest USING (customer_id, updated_at) ORDER BY customer_id""")  # half the time of a window
        moments = {"as of": accepted_by, "valid at": current_on}
        when = "".join(f" · {word} {timestamp(moment)}" for word, moment in moments.items() if moment is not None)
        label = f"{self.label or f'ledger of target {self.target}'}{when}"
        last_keys = self.claims.last_keys(accepted_by)
        return Snapshot(typed_frame(newest), versions, version, last_keys, label, f"{self.origin}{when}")

    @property
    def origin(self) -> str:
        """Which ledger it is: the folder and the target."""
        return f"{self.folder.resolve()}, {self.target}"

    def versions(self, *, but_for: str = "") -> pa.Table:
        """Return every version that counts; with `but_for`, as if that push had not been made."""
        return self.query(versions_of(self.resource), None, None, but_for or None)

    def history(self, customer_id: str) -> pd.DataFrame:
        """Return every entry of one customer, oldest first: what was sent, when, by whom, from where.

        Raises
        ------
        InputError
            If `customer_id` is not text.
        """
        require_text(customer_id)
        found = self.query("FROM entries WHERE customer_id = $2 ORDER BY ledger_version, position", customer_id)
        return typed_frame(found.select(entry_schema(self.resource).names))

    def pushes(self) -> pd.DataFrame:
        """Return the pushes and seedings with accepted rows, newest first, those of other analysts included.

        Columns: ``push, first_at, last_at, rows, customers, operation, author, reason, source_file``.
        """
        found = self.query(f"""SELECT push, min(recorded_at) AS first_at, max(recorded_at) AS last_at,
                count(*) AS rows, count(DISTINCT customer_id) AS customers, any_value(operation) AS operation,
                any_value(author) AS author, any_value(reason) AS reason, any_value(source_file) AS source_file
                FROM entries WHERE entry <> '{RETRACTED}' GROUP BY push ORDER BY last_at DESC, push""")
        return ShownFrame(to_frame(found))

    def query(self, sql: str, *parameters: Any) -> pa.Table:
        """Run SQL over the table ``entries``; its parameters are ``$2``, ``$3`` and so on."""
        return self._entries.query(sql, *parameters)

    def keys_since(self, version: int, *, but_for: str) -> pa.Table:
        """Return the keys of the versions that other pushes entered after `version` of the ledger, and that count."""
        # By commit, not by the clock: an answer may be older than the commit that brings it in. A retraction of these
        # rows came after them, so it is among what is read.
        counting = f"SELECT {quoted(*CUSTOMER.key)} FROM ({versions_of(self.resource)}) AS versions"
        return self._entries.query(counting, None, None, but_for, after=version)

    def recorded_through(self, push: str) -> int:
        """Return the number of the last receipt of this push that is in the ledger; -1 for none."""
        return self._entries.through(push)

    def record(self, entries: pa.Table, *, push: str, through: int) -> None:
        """Append accepted rows, once: receipts that are in the ledger already are refused.

        Parameters
        ----------
        entries
            Rows of `entry_schema`.
        push, through
            The push, and the number of its last receipt among these rows.
        """
        if not self._entries.append(entries, writer=push, number=through):
            raise LedgerError(f"Receipts of push {push[:12]} up to {through} are in the ledger already.")

    def record_seeding(self, rows: pa.Table, *, source: str, reason: str, now: datetime | None = None) -> None:
        """Append customers that the vendor received before the toolkit was used, as if they had been accepted.

        Parameters
        ----------
        rows
            The columns of `resource`, and ``source_row``. Rows that were seeded before change nothing: of equal
            versions, the first one counts.
        source, reason
            The file that they come from, and how it is known that the vendor has them.
        """
        if rows.num_rows:
            places = pa.array(range(rows.num_rows))
            name = f"seed-{uuid4().hex[:12]}"
            self._record_by_hand(SEEDED, rows, reason, now, push=name, position=places, source_file=source)

    def retract(
        self, keys: Sequence[tuple[str, Any]] = (), *, push: str = "", reason: str, now: datetime | None = None
    ) -> int:
        """Record that versions did not arrive after all, so that they come up again; returns how many.

        Parameters
        ----------
        keys
            Pairs of customer_id and updated_at.
        push
            Instead of keys: only the rows of this push are taken back, and the versions before them count again.

        Raises
        ------
        LedgerError
            If a version is not in the ledger, or is retracted already: nothing is recorded then.
        """
        require_push(push)
        if bool(push) == bool(pairs := pairs_of(keys)):
            raise LedgerError("A retraction takes keys or a push: give one of the two.")
        wanted = self._rows_of_push(push) if push else held_keys(pairs, self.versions())
        self._record_by_hand(RETRACTED, wanted, reason, now, push=push or None)
        return int(wanted.num_rows)

    @property
    def unlisted(self) -> list[str]:
        """The custom attributes that the ledger has and `resource` lacks."""
        known = {*entry_schema(self.resource).names}
        return [c for c in self.query("FROM entries LIMIT 0").column_names if c not in known]

    def deliveries(self) -> pd.DataFrame:
        """Return the recorded deliveries, newest first, without those that were withdrawn."""
        return ShownFrame(self.claims.to_frame())

    @property
    def claims(self) -> Deliveries:
        """The deliveries, and whose turn it is, if analysts share the ledger."""
        table = Table(self.folder / "deliveries", self.target, DELIVERY, private=not self.shared)
        return Deliveries(table, self.shared)

    @property
    def _entries(self) -> Table:
        return Table(self.folder / "entries", self.target, entry_schema(self.resource), private=not self.shared)

    def _record_by_hand(self, entry: str, rows: pa.Table, reason: str, now: datetime | None, **columns: Any) -> None:
        entries = rows_of(
            entry_schema(self.resource),
            rows.num_rows,
            entry=entry,
            recorded_at=moment_of(now, "now") or datetime.now(UTC),
            author=author(),
            reason=required(reason),
            **{c: rows[c] for c in rows.column_names},
            **columns,
        )
        self._entries.append(entries)

    def _end_of(self, push: str) -> pd.Timestamp:
        brought_in = f"SELECT max(recorded_at) FROM entries WHERE push = $2 AND entry <> '{RETRACTED}'"
        begun = self.deliveries().set_index("push")["recorded_at"].get(push)
        moment = self.query(brought_in, push)[0][0].as_py() or begun
        if moment is None:
            raise LedgerError(f"The ledger of target {self.target} has no push {push!r}: {LISTED}.")
        return pd.Timestamp(moment)

    def _rows_of_push(self, push: str) -> pa.Table:
        accepted = f"FROM entries e WHERE entry <> '{RETRACTED}' AND push = $2 AND {STANDS}"
        found = self.query(f"SELECT {quoted(*CUSTOMER.key)} {accepted}", push)
        if not found.num_rows:
            raise LedgerError(f"The ledger of target {self.target} has no row of push {push!r} left: {LISTED}.")
        return found

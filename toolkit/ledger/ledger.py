"""The ledger: every version that the vendor accepted, append-only; snapshots of it through time.

Nothing is erased. A version that is found not to have arrived is *retracted*: a new entry, after which it counts no
more.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.config import Settings, current
from toolkit.display import plural
from toolkit.engine import Session, quoted, to_arrow, to_frame
from toolkit.errors import InputError, LedgerError
from toolkit.ledger.deliveries import DELIVERY, Claims, Deliveries
from toolkit.ledger.delta import Table, require_usable_folder
from toolkit.ledger.entries import (
    LATER_GONE,
    RETRACTED,
    SEEDED,
    STANDING,
    after_retractions,
    entry_schema,
    held_keys,
    moment_of,
    require_text,
    required,
    rows_of,
    seeded_entries,
    seeding_name,
    versions_of,
)
from toolkit.ledger.snapshot import Snapshot
from toolkit.model import CUSTOMER, Contract, Customers, Delivery, Resource, typed_frame
from toolkit.quality import validate
from toolkit.tables import author


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
    shared
        Whether it lies outside the home, where other analysts may push to it too; else its folders are made for this
        user alone (0700).
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
        """How many times it was written, less one; -1 for a ledger without entries."""
        return self._entries.version

    def snapshot(self, *, as_of: Any = None, push: str = "", valid_at: Any = None) -> Snapshot:
        """Return the customers as the vendor should hold them.

        Parameters
        ----------
        as_of
            Only what had been accepted by then (a UTC time, or what `pandas.Timestamp` reads).
        push
            Only what had been accepted when the last row of this push was: instead of `as_of`.
        valid_at
            The version that was current on that date: ``updated_at`` not later.

        Raises
        ------
        LedgerError
            If a moment is no time, the ledger knows no such push, or both `as_of` and `push` are given.
        """
        if push and as_of is not None:
            raise LedgerError("A snapshot is as of a time or of a push: give as_of or push, not both.")
        accepted_by = self._end_of(push) if push else moment_of(as_of, "as_of")
        current_on = moment_of(valid_at, "valid_at")
        versions, version = self._entries.query_now(versions_of(self.resource), accepted_by, current_on, None)
        with Session({"versions": versions}) as session:
            newest = session.table(f"""SELECT {quoted(*self.resource.names)} FROM versions
                QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY updated_at DESC) = 1
                ORDER BY customer_id""")
        return Snapshot(
            typed_frame(newest),
            versions,
            version,
            self._deliveries.last_keys(accepted_by),
            self.label or f"ledger of target {self.target}",
            accepted_by,
            current_on,
            self.origin if accepted_by is None and current_on is None else f"{self.origin}, a past moment",
        )

    @property
    def origin(self) -> str:
        """Which ledger it is: the folder and the target."""
        return f"{self.folder.resolve()}, {self.target}"

    def versions(self, *, but_for: str = "") -> pa.Table:
        """Return every version that counts, as if a push had not been made where `but_for` names one."""
        return self.query(versions_of(self.resource), None, None, but_for or None)

    def history(self, customer_id: str) -> pd.DataFrame:
        """Return every entry of one customer, oldest first: what was sent, when, by whom, from where.

        Raises
        ------
        InputError
            If `customer_id` is no text.
        """
        require_text(customer_id)
        found = self.query("FROM entries WHERE customer_id = $2 ORDER BY recorded_at, position", customer_id)
        return typed_frame(found.select(entry_schema(self.resource).names))

    def pushes(self) -> pd.DataFrame:
        """Return the pushes and seedings that brought rows in, newest first, those of other analysts included.

        Columns: ``push, first_at, last_at, rows, customers, operation, author, reason, source_file``.
        """
        return to_frame(
            self.query(f"""SELECT plan AS push, min(recorded_at) AS first_at, max(recorded_at) AS last_at,
                count(*) AS rows, count(DISTINCT customer_id) AS customers, any_value(operation) AS operation,
                any_value(author) AS author, any_value(reason) AS reason, any_value(source_file) AS source_file
                FROM entries WHERE entry <> '{RETRACTED}' GROUP BY plan ORDER BY last_at DESC, push""")
        )

    def query(self, sql: str, *parameters: Any) -> pa.Table:
        """Run SQL over the table ``entries``; its parameters are ``$2``, ``$3`` and so on."""
        return self._entries.query(sql, *parameters)

    def keys_since(self, version: int, *, but_for: str) -> pa.Table:
        """Return the keys of the versions that other pushes entered after `version` of the ledger, and that count."""
        # By commit, not by the clock: an answer may be older than the commit that brings it in. What retracts them
        # came after them.
        counting = f"SELECT {quoted(*CUSTOMER.key)} {versions_of(self.resource)}"
        return self._entries.query(counting, None, None, but_for, after=version)

    def recorded_through(self, plan: str) -> int:
        """Return the number of the last receipt of this plan that is in the ledger; -1 for none."""
        return self._entries.through(plan)

    def record(self, entries: pa.Table, *, plan: str, through: int) -> None:
        """Append accepted rows, once: receipts up to `through` that are in the ledger already are refused.

        Parameters
        ----------
        entries
            Rows of `entry_schema`.
        plan, through
            The plan, and the number of its last receipt among these rows.
        """
        if not self._append(entries, writer=plan, number=through):
            raise LedgerError(f"Receipts of plan {plan[:12]} up to {through} are in the ledger already.")

    def seed(
        self,
        data: Customers,
        *,
        reason: str,
        contract: Contract | str = "2026-04",
        beside_entries: bool = False,
        now: datetime | None = None,
    ) -> int:
        """Take over customers that were sent before the toolkit came, as if accepted; returns how many rows.

        Parameters
        ----------
        data
            What the vendor holds: a frame, a delivery, or a validation report, of which the good rows count.
        reason
            How it is known that the vendor holds them; kept with each row, and the author too.
        beside_entries
            Enter them though the ledger has entries already. A version that was accepted stays as it is.

        Raises
        ------
        InputError
            If a row fails validation: nothing is entered then.
        LedgerError
            If the ledger has entries, or these very rows were seeded before (once a row of that seeding is retracted,
            they may be seeded anew); or if the customers have a custom attribute that the ledger does not know.
        """
        documented = Contract.named(contract) if isinstance(contract, str) else contract
        against: Any = SimpleNamespace(documented=replace(documented, resource=self.resource))
        report = validate(data, settings=against, rules=())
        if unlisted := [c for c in report.delivery.given if c not in self.resource.names]:
            raise LedgerError(
                f"The customers have custom attributes that the settings do not list ({', '.join(unlisted)}), and the "
                "ledger would lose them: list them under [[attributes]] in toolkit.toml. Nothing was entered."
            )
        if not report.ok:
            why = ", ".join(f"{words}: {n:,}" for words, n in report.counts.items())
            raise InputError(
                f"{plural(report.n_quarantined, 'row')} of {report.n_rows:,} cannot be seeded ({why}): mend them, or "
                "seed the good rows, which validate(…) returns. Nothing was entered."
            )
        if self.version >= 0 and not beside_entries:
            raise LedgerError(
                f"The ledger of target {self.target} has entries already, so what the vendor holds is known: give "
                "beside_entries=True to add older customers to them."
            )
        rows = to_arrow(report.good, self.resource.arrow_schema())
        seeding = self._seeding(seeding_name(rows))
        entries = seeded_entries(
            rows,
            pa.array(report.good.index),
            resource=self.resource,
            seeding=seeding,
            now=moment_of(now, "now") or datetime.now(UTC),
            reason=reason,
            source=report.delivery.source,
        )
        if rows.num_rows and not self._append(entries, writer=seeding, number=0):
            raise LedgerError(f"These rows are in the ledger of target {self.target} already, as {seeding}.")
        return len(report.good)

    def retract(
        self, keys: Iterable[tuple[str, Any]] = (), *, push: str = "", reason: str, now: datetime | None = None
    ) -> int:
        """Enter that versions did not arrive after all, so that they come up again; returns how many.

        Parameters
        ----------
        keys
            Pairs of customer_id and updated_at.
        push
            Instead of keys, a push: its rows alone are taken back, and what stood before them counts again.

        Raises
        ------
        LedgerError
            If a version is not in the ledger, or is retracted already: nothing is entered then.
        """
        if bool(push) == bool(keys := list(keys)):
            raise LedgerError("A retraction takes keys or a push: give one of them.")
        wanted = self._rows_of_push(push) if push else held_keys(keys, self.versions())
        now = moment_of(now, "now") or datetime.now(UTC)
        newest = self.query("SELECT max(recorded_at) FROM entries")[0][0].as_py()  # of whatever clock
        entries = rows_of(
            entry_schema(self.resource),
            wanted.num_rows,
            entry=RETRACTED,
            **{c: wanted[c] for c in CUSTOMER.key},
            recorded_at=now if newest is None else max(now, newest),
            plan=push or None,
            author=author(),
            reason=required(reason),
        )
        self._entries.append(entries)
        return int(wanted.num_rows)

    @property
    def unlisted(self) -> list[str]:
        """The custom attributes that the ledger has and `resource` lacks."""
        known = {*entry_schema(self.resource).names}
        return [c for c in self.query("FROM entries LIMIT 0").column_names if c not in known]

    def record_delivery(self, delivery: Delivery, *, plan: str, now: datetime) -> None:
        """Keep which customers a delivery held, quarantined ones included; once for each plan."""
        self._deliveries.record(delivery, plan=plan, now=now, host=socket.gethostname() if self.shared else None)

    def withdraw_delivery(self, plan: str) -> None:
        """Enter that a delivery does not count, for nothing of its push was accepted."""
        self._deliveries.withdraw(plan, now=datetime.now(UTC))

    def resume_delivery(self, plan: str) -> None:
        """Enter that a push is gone on with: its delivery counts, and claims the ledger, though either had ended."""
        self._deliveries.resume(plan, now=datetime.now(UTC))

    def deliveries(self) -> pd.DataFrame:
        """Return the deliveries recorded, newest first; those that were withdrawn are left out."""
        return self._deliveries.to_frame()

    @property
    def claims(self) -> Claims:
        """Whose turn it is, where analysts share the ledger."""
        return Claims(self._deliveries, self.shared)

    @property
    def _entries(self) -> Table:
        return Table(self.folder / "entries", self.target, entry_schema(self.resource), private=not self.shared)

    @property
    def _deliveries(self) -> Deliveries:
        return Deliveries(Table(self.folder / "deliveries", self.target, DELIVERY, private=not self.shared))

    def _append(self, entries: pa.Table, *, writer: str, number: int) -> bool:
        gone = self.query(LATER_GONE, pc.min(entries["recorded_at"]).as_py(), writer)
        return self._entries.append(after_retractions(entries, gone), writer=writer, number=number)

    def _end_of(self, push: str) -> pd.Timestamp:
        brought_in = f"SELECT max(recorded_at) FROM entries WHERE plan = $2 AND entry <> '{RETRACTED}'"
        entered = self.query(brought_in, push)[0][0].as_py()
        deliveries = self.deliveries()
        begun = deliveries.loc[deliveries["plan"] == push, "recorded_at"].max()
        if entered is None and pd.isna(begun):
            raise LedgerError(f"The ledger of target {self.target} knows no push {push!r}: look at pushes().")
        return pd.Timestamp(begun if entered is None else entered)

    def _rows_of_push(self, push: str) -> pa.Table:
        found = self.query(f"SELECT {quoted(*CUSTOMER.key)} {STANDING}", push)
        if not found.num_rows:
            raise LedgerError(f"The ledger of target {self.target} holds no row of push {push!r}: look at pushes().")
        return found

    def _seeding(self, name: str) -> str:
        """Return the name of a seeding of these rows: numbered on where a row of the last one was retracted."""
        counted = "SELECT count(*) FROM entries WHERE entry = $3 AND plan = $2"
        seeding, number = name, 1
        while n_rows := self.query(counted, seeding, SEEDED)[0][0].as_py():
            if n_rows == self.query(f"SELECT count(*) {STANDING}", seeding)[0][0].as_py():
                break
            number += 1
            seeding = f"{name}-{number}"
        return seeding

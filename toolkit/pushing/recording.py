"""From the journal of a push to the ledger: its delivery, and the rows that the vendor accepted, each once.

The journal is written first, then the ledger, then the journal is closed; every step may be repeated. So a crash
between two of them leaves something that the next call completes, and nothing that is recorded twice: the ledger
refuses a delivery or a receipt that it has. On a shared ledger the delivery is also the claim of a push, recorded
before anything is sent; its end is recorded before the journal closes, because a journal that is still open is closed
again by the next call, while a claim without a journal would block everybody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice
from typing import Literal

import numpy as np
import pyarrow as pa

from toolkit.errors import JournalError, LedgerError, OpenPushError, PlanError
from toolkit.ledger import ACCEPTED, WITHDRAWN, Ledger, entry_schema, rows_of
from toolkit.progress import warn
from toolkit.pushing.checks import require_same_columns, require_version
from toolkit.sending import SETTLED, Journal, LoadedPush, PushRecord, Receipt

PART = 1_000
"""Receipts whose rows go to the ledger at once."""


@dataclass(frozen=True)
class Recorder:
    """Takes what the journal of a target holds to its ledger."""

    journal: Journal
    ledger: Ledger

    def delivery(self, record: PushRecord) -> None:
        """Record the delivery of a push in the ledger, unless that was done before."""
        keys = self.journal.kept.keys(record)
        if keys is not None:
            now = datetime.fromisoformat(record.opened_at)
            self.ledger.claims.record(keys, record.facts, push=record.id, now=now)
            self.journal.kept.drop_delivery(record.id)

    def start(self, push: LoadedPush) -> None:
        """Record a new push in the ledger, which claims a shared one; a push that is refused is closed."""
        record, claims = push.record, self.ledger.claims
        try:
            self.delivery(record)
        except LedgerError:
            self.journal.kept.drop_delivery(record.id)
            self.journal.close(record.id, state="abandoned")
            raise
        if not record.n_rows or not self.ledger.shared:
            return
        try:  # again, now that it is claimed: another push may have begun, and ended, since the first check
            claims.require_free(but_for=record.id)
            require_version(self.ledger.version, record.facts["ledger_version"])
        except (OpenPushError, PlanError):
            self.close_abandoned(push)
            raise

    def resumption(self, record: PushRecord) -> None:
        """Record that a push is resumed; it claims a shared ledger again if its claim had ended."""
        claims = self.ledger.claims
        claimed = claims.claimed_at(record.id)
        claims.require_free(but_for=record.id, since=claimed)
        self.delivery(record)
        claims.resume(record.id)
        if claimed is None:  # claim first, then look: of two that resume at once, not both send
            try:
                claims.require_free(but_for=record.id)
            except OpenPushError:
                claims.end(record.id)
                raise

    def settled(self) -> None:
        """Record rows of closed pushes that an analyst settled, if the process died before they came to the ledger.

        A push that the ledger never knew, because the ledger is a new one that was seeded, is left alone.
        """
        settled = self.journal.settled()
        known = set(self.ledger.deliveries()["push"]) if settled else set()
        for record in settled:
            if record.id not in known or not self.missing(record, self.journal.receipts(record.id)):
                continue
            try:
                self.accepted(self.journal.load(record.id))
            except (JournalError, PlanError) as error:  # it must not block other pushes, perhaps for ever
                warn(
                    f"Rows of push {record.id} that were settled as accepted could not be recorded in the ledger, so "
                    f"the next diff shows them as added: {error}",
                )

    def missing(self, record: PushRecord, receipts: Sequence[Receipt]) -> list[Receipt]:
        """Return the receipts of accepted rows that the ledger lacks, oldest first."""
        through = self.ledger.recorded_through(record.id)
        return [receipt for receipt in receipts if receipt.fate == "accepted" and receipt.number > through]

    def accepted(self, push: LoadedPush) -> None:
        """Record the accepted rows that the ledger lacks, with author and reason of the push or the settling."""
        record, resource = push.record, self.ledger.resource
        if new := self.missing(record, push.receipts):
            require_same_columns(push, self.ledger)
        for (author, reason), receipts in groupby(new, lambda receipt: _by_whom(receipt, record)):
            while group := list(islice(receipts, PART)):
                lengths = [r.stop - r.first for r in group]
                times = np.array([datetime.fromisoformat(r.at).replace(tzinfo=None) for r in group], "datetime64[us]")
                rows = pa.concat_tables([push.rows.slice(r.first, r.stop - r.first) for r in group])
                entries = rows_of(
                    entry_schema(resource),
                    rows.num_rows,
                    entry=ACCEPTED,
                    **{c: rows[c] for c in (*resource.names, "source_row")},
                    recorded_at=pa.array(np.repeat(times, lengths)).cast(pa.timestamp("us", tz="UTC")),
                    operation=record.facts["operation"],
                    push=record.id,
                    batch=pa.array(np.repeat([r.batch for r in group], lengths)),
                    position=pa.array(np.concatenate([np.arange(r.first, r.stop) for r in group])),
                    author=author,
                    reason=reason,
                    source_file=record.facts["source"],
                )
                self.ledger.record(entries, push=record.id, through=group[-1].number)

    def close_abandoned(self, push: LoadedPush) -> None:
        """Close a push whose rest is not sent; its delivery counts only if a row of it arrived, or may have."""
        # An older journal may not know what arrived; the ledger does.
        if not push.taken and self.ledger.recorded_through(push.record.id) < 0:
            self.ledger.claims.note(push.record.id, WITHDRAWN)
        self._close(push.record, "abandoned")

    def close_if_done(self, push: LoadedPush) -> None:
        """Close an open push if every row has a receipt."""
        if push.record.state == "open" and push.final.all():
            self._close(push.record, "done")

    def _close(self, record: PushRecord, state: Literal["done", "abandoned"]) -> None:
        self.ledger.claims.end(record.id)
        self.journal.close(record.id, state=state)


def _by_whom(receipt: Receipt, record: PushRecord) -> tuple[str, str]:
    """Return author and reason: of the settling if an analyst settled the rows, else of the push."""
    if receipt.code == SETTLED:
        return receipt.category, receipt.message
    return record.author, record.facts["reason"]

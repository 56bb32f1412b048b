"""From the journal of a push to the ledger: what the vendor accepted, and which delivery it came from; each once."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Literal

import numpy as np
import pyarrow as pa

from toolkit.errors import JournalError, LedgerError, OpenPushError, PlanError
from toolkit.ledger import ACCEPTED, Ledger, entry_schema, rows_of
from toolkit.model import CUSTOMER, Resource
from toolkit.pushing.checks import require_same_columns, require_version
from toolkit.sending import FATES, SETTLED, Journal, PushRecord, Receipt


def enter_delivery(journal: Journal, record: PushRecord, ledger: Ledger) -> None:
    """Tell the ledger of the push's delivery, if it was not told."""
    delivery = journal.kept.delivery(record)
    if delivery is not None:
        ledger.record_delivery(delivery, push=record.id, now=datetime.fromisoformat(record.opened_at))
        journal.kept.drop_delivery(record.id)


def enter_beginning(journal: Journal, record: PushRecord, ledger: Ledger) -> None:
    """Tell the ledger of a new push, which claims it where it is shared; one that is refused is not left open."""
    try:
        enter_delivery(journal, record, ledger)
    except LedgerError:
        journal.kept.drop_delivery(record.id)
        journal.close(record.id, state="abandoned")
        raise
    if not record.n_rows:
        return
    try:  # once more, now that it is claimed: others may have come, and gone, since the first look
        ledger.claims.require_free(but_for=record.id)
        require_version(ledger, record.facts["ledger_version"])
    except (OpenPushError, PlanError):
        close_abandoned(journal, record, ledger)
        raise


def enter_resumption(journal: Journal, record: PushRecord, ledger: Ledger) -> None:
    """Tell the ledger that a push is gone on with, which claims it anew where its claim had ended."""
    claimed = ledger.claims.claimed_at(record.id)
    ledger.claims.require_free(but_for=record.id, since=claimed)
    enter_delivery(journal, record, ledger)
    ledger.resume_delivery(record.id)
    if claimed is None:
        try:
            ledger.claims.require_free(but_for=record.id)
        except OpenPushError:
            ledger.claims.end(record.id)
            raise


def enter_settled(journal: Journal, ledger: Ledger) -> None:
    """Enter what was settled of closed pushes and did not come to the ledger, for a stop came between.

    Of a ledger that never heard of a push, as a new one that was seeded, nothing is missing.
    """
    settled = journal.settled()
    known = set(ledger.deliveries()["push"]) if settled else set()
    for record in settled:
        if record.id not in known:
            continue
        try:
            enter_accepted(journal, record, ledger)
        except (JournalError, PlanError) as error:  # others need not wait for what perhaps nobody can mend
            warnings.warn(
                f"Rows of push {record.id} that were settled as accepted could not enter the ledger, so that the next "
                f"diff takes them for new: {error}",
                stacklevel=3,
            )


def enter_accepted(journal: Journal, record: PushRecord, ledger: Ledger) -> None:
    """Enter the accepted rows that the ledger does not have yet, by whom and why they were sent or settled."""
    new = not_entered(journal, record, ledger)
    if not new:
        return
    rows = journal.rows(record.id)
    require_same_columns(rows, record, ledger)
    for (author, reason), receipts in groupby(new, lambda r: _by_whom(r, record)):
        group = list(receipts)
        told = replace(record, author=author, facts={**record.facts, "reason": reason})
        ledger.record(
            accepted_entries(rows, group, told, resource=ledger.resource), push=record.id, through=group[-1].number
        )


def close_abandoned(journal: Journal, record: PushRecord, ledger: Ledger) -> None:
    """Close a push whose rest will not be sent; its delivery counts only if a row of it arrived, or may have."""
    fates = {FATES[fate] for fate in np.unique(journal.fates(record.id)[0])}
    arrived = ledger.recorded_through(record.id) >= 0  # which an older journal does not tell
    if fates.isdisjoint({"accepted", "unknown"}) and not arrived:
        ledger.withdraw_delivery(record.id)
    _close(journal, record, ledger, "abandoned")


def close_if_settled(journal: Journal, record: PushRecord, ledger: Ledger) -> None:
    """Close an open push of which nothing waits."""
    if journal.push(record.id).state == "open" and journal.fates(record.id)[1].all():
        _close(journal, record, ledger, "done")


def _close(journal: Journal, record: PushRecord, ledger: Ledger, state: Literal["done", "abandoned"]) -> None:
    ledger.claims.end(record.id)  # first: a stop between the two leaves the push open here, to be closed once more
    journal.close(record.id, state=state)


def not_entered(journal: Journal, record: PushRecord, ledger: Ledger) -> list[Receipt]:
    """Return the receipts of accepted rows that the ledger does not have yet, oldest first."""
    through = ledger.recorded_through(record.id)
    return [r for r in journal.receipts(record.id) if r.fate == "accepted" and r.number > through]


def _by_whom(receipt: Receipt, record: PushRecord) -> tuple[str, str]:
    if receipt.code == SETTLED:
        return receipt.category, receipt.message
    return record.author, record.facts["reason"]


def accepted_entries(
    rows: pa.Table, receipts: Sequence[Receipt], record: PushRecord, *, resource: Resource = CUSTOMER
) -> pa.Table:
    """Return the entries of a push's rows that these receipts accept.

    Parameters
    ----------
    rows
        All rows of the push, in the order of its plan.
    """
    places = np.concatenate([np.arange(r.first, r.stop) for r in receipts])
    lengths = [r.stop - r.first for r in receipts]
    times = [datetime.fromisoformat(r.at).replace(tzinfo=None) for r in receipts]
    taken = rows.take(pa.array(places))
    return rows_of(
        entry_schema(resource),
        len(places),
        entry=ACCEPTED,
        **{c: taken[c] for c in resource.names},
        recorded_at=pa.array(np.repeat(np.array(times, "datetime64[us]"), lengths)).cast(pa.timestamp("us", tz="UTC")),
        operation=record.facts["operation"],
        push=record.id,
        batch=pa.array(np.repeat([r.batch for r in receipts], lengths)),
        position=pa.array(places),
        author=record.author,
        reason=record.facts["reason"],
        source_file=record.facts["source"],
        source_row=taken["source_row"],
    )

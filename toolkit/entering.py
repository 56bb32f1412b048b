"""From the journal of a push to the ledger: what the vendor accepted, and which delivery it came from; each once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby

import numpy as np
import pyarrow as pa

from toolkit.contract import CUSTOMER
from toolkit.errors import JournalError
from toolkit.journal import Journal
from toolkit.ledger import ENTRY, Ledger
from toolkit.receipts import SETTLED, PushRecord, Receipt


def enter_delivery(journal: Journal, record: PushRecord, ledger: Ledger) -> None:
    """Tell the ledger of the push's delivery, if it was not told."""
    delivery = journal.kept.delivery(record)
    if delivery is not None:
        ledger.record_delivery(delivery, plan=record.id, now=datetime.fromisoformat(record.opened_at))
        journal.kept.drop_delivery(record.id)


def enter_accepted(journal: Journal, record: PushRecord, ledger: Ledger) -> None:
    """Enter the accepted rows that the ledger does not have yet, by whom and why they were sent or settled."""
    new = not_entered(journal, record, ledger)
    rows = journal.rows(record.id) if new else None
    for (author, reason), receipts in groupby(new, lambda r: _by_whom(r, record)):
        group = list(receipts)
        told = replace(record, author=author, facts={**record.facts, "reason": reason})
        ledger.record(_entries(rows, group, told), plan=record.id, through=group[-1].number)


def not_entered(journal: Journal, record: PushRecord, ledger: Ledger) -> list[Receipt]:
    """Return the receipts of accepted rows that the ledger does not have yet, oldest first."""
    through = ledger.recorded_through(record.id)
    return [r for r in journal.receipts(record.id) if r.fate == "accepted" and r.number > through]


def require_recent(journal: Journal, record: PushRecord, ledger: Ledger) -> None:
    """Refuse to go on by a journal that lost its end, or was restored from an older copy.

    Its next receipts would bear the numbers of receipts that the ledger has, and their rows would not be entered.
    """
    last = max((r.number for r in journal.receipts(record.id)), default=-1)
    if ledger.recorded_through(record.id) > last:
        raise JournalError(
            f"The journal {journal.path} is older than the ledger, which has later rows of push {record.id}: restore "
            "the newer journal; or abandon the push, diff and plan anew: the ledger says what was accepted."
        )


def _by_whom(receipt: Receipt, record: PushRecord) -> tuple[str, str]:
    if receipt.code == SETTLED:
        return receipt.category, receipt.message
    return record.author, record.facts["reason"]


def _entries(rows: pa.Table, receipts: Sequence[Receipt], record: PushRecord) -> pa.Table:
    places = np.concatenate([np.arange(r.first, r.stop) for r in receipts])
    lengths = [r.stop - r.first for r in receipts]
    n_rows = len(places)
    taken = rows.take(pa.array(places))
    times = [datetime.fromisoformat(r.at) for r in receipts]
    columns = {
        "entry": pa.repeat("accepted", n_rows),
        **{c: taken[c] for c in CUSTOMER.names},
        "recorded_at": pa.array(
            np.repeat(np.array([t.replace(tzinfo=None) for t in times], "datetime64[us]"), lengths)
        ).cast(pa.timestamp("us", tz="UTC")),
        "operation": pa.repeat(record.facts["operation"], n_rows),
        "plan": pa.repeat(record.id, n_rows),
        "batch": pa.array(np.repeat([r.batch for r in receipts], lengths)),
        "position": pa.array(places),
        "author": pa.repeat(record.author, n_rows),
        "reason": pa.repeat(record.facts["reason"], n_rows),
        "source_file": pa.repeat(record.facts["source"], n_rows),
        "source_row": taken["source_row"],
    }
    return pa.table([columns[f.name] for f in ENTRY], names=[f.name for f in ENTRY])

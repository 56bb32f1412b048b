"""What must not be sent a second time: rows of an APPEND that may have arrived, and a plan that no ledger dates."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from toolkit.contract import CUSTOMER
from toolkit.display import plural
from toolkit.errors import JournalError, PlanError
from toolkit.journal import Journal
from toolkit.planning import PushPlan
from toolkit.receipts import FATES


def require_not_repeated(journal: Journal, plan: PushPlan) -> None:
    """Refuse a plan that would send again what arrived, or may have arrived, by an earlier push of the target.

    Raises
    ------
    PlanError
        If the plan is an APPEND, and the fate of a key in it is unknown in an earlier push, open or closed; or if it
        is bound to no ledger version, and was pushed before.
    """
    if plan.n_rows == 0:
        return
    _require_known(journal, plan)
    if plan.ledger_version is None:  # where it is bound to one, the ledger has moved on
        _require_first(journal, plan)


def _require_known(journal: Journal, plan: PushPlan) -> None:
    if plan.envelope.operation == "UPSERT":  # what arrives twice is there once
        return
    wanted = set(keys_of(plan.rows))
    for record in journal.pushes():
        unknown = journal.fates(record.id)[0] == FATES.index("unknown")
        if not unknown.any():
            continue
        try:
            rows = journal.rows(record.id)
        except JournalError:
            if record.state != "abandoned":
                raise
            warnings.warn(  # abandon(rows_lost=True) closed it on the analyst's word, and nobody can settle it
                f"The rows of push {record.id} are lost, {int(unknown.sum()):,} of them unknown: this APPEND may send "
                "some of them twice.",
                stacklevel=4,
            )
            continue
        again = wanted.intersection(keys_of(rows.filter(pa.array(unknown))))
        if again:
            raise PlanError(
                f"What became of {plural(len(again), 'row')} of this plan is unknown since push {record.id}, and an "
                f"APPEND must not send them twice: look into the vendor's table and say it with settle() or 'toolkit "
                f"settle {record.id}', then plan anew. Nothing was sent."
            )


def _require_first(journal: Journal, plan: PushPlan) -> None:
    arrived = [FATES.index("accepted"), FATES.index("unknown")]
    for record in journal.pushes():
        if record.plan == plan.digest and np.isin(journal.fates(record.id)[0], arrived).any():
            raise PlanError(
                f"Plan {plan.digest[:12]} was pushed before, as {record.id}, and is bound to no ledger that would "
                f"know it: diff with Ledger.of().snapshot() and plan anew, or repush('{record.id}') for what it did "
                "not bring in. Nothing was sent."
            )


def keys_of(rows: pa.Table) -> Iterator[tuple[object, ...]]:
    """Yield the key of each row, in their order."""
    return zip(*(rows[c].to_pylist() for c in CUSTOMER.key), strict=True)

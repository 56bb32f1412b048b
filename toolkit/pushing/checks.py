"""What a push is held to: its plan to the settings and the ledger, what was begun to the settings as they are now."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa

from toolkit.config import Settings
from toolkit.display import plural
from toolkit.errors import JournalError, LedgerError, PlanError
from toolkit.ledger import Ledger
from toolkit.model import CUSTOMER, Contract
from toolkit.pushing.guards import require_overruled
from toolkit.pushing.planning import PushPlan
from toolkit.sending import FATES, Journal, PushRecord
from toolkit.vendor import Envelope


def require_same_settings(plan: PushPlan, settings: Settings) -> None:
    """Refuse a plan that was made for another target, or under another contract, than the settings name."""
    if (plan.target, plan.address, plan.envelope.operation) != (settings.target, settings.url(), settings.operation):
        raise PlanError(f"The plan was made for {plan.label}, and the settings name {settings.label}: plan it anew.")
    planned, contract = plan.envelope.contract, settings.documented
    differing = {
        f"contract {planned.name}": planned.name != contract.name,
        f"solution {plan.envelope.solution}": plan.envelope.solution != settings.solution,
        "other custom attributes": planned.resource.custom != contract.resource.custom,
    }
    if any(differing.values()):
        said = ", ".join(what for what, differs in differing.items() if differs)
        raise PlanError(f"The plan was made with {said}, and the settings name another: plan it anew.")


def bound_version(plan: PushPlan, settings: Settings, ledger: Ledger) -> int:
    """Return the ledger's version that the plan is held to until the push has claimed it."""
    require_same_settings(plan, settings)
    version = ledger.version if plan.ledger_version is None else plan.ledger_version
    require_version(ledger, version)
    if plan.n_rows:  # where nothing leaves, there is nothing to hold back
        ledger.claims.require_free()  # before the guards: another's push under way may be what they speak of
        require_overruled(plan.guards)
    return version


def require_version(ledger: Ledger, version: int) -> None:
    """Refuse a plan that was made from another version of the ledger."""
    if ledger.version != version:
        raise PlanError(
            "The ledger moved on since the plan was made, so it may send what is there already: take a "
            "new snapshot, and diff and plan anew."
        )


def require_same_address(record: PushRecord, settings: Settings, *, taken: bool) -> None:
    """Refuse to resume a push in another way or, where something may have been taken, into another table."""
    facts = record.facts
    if (facts["contract"], facts["operation"], facts["solution"]) != (
        settings.contract,
        settings.operation,
        settings.solution,
    ):
        raise PlanError(
            f"Push {record.id} was begun with {facts['operation']} under contract {facts['contract']} for "
            f"solution {facts['solution']}: resume it with the same settings, or abandon it."
        )
    begun, now = (address.rsplit("/", 1)[-1] for address in (facts["address"], settings.url()))
    if taken and begun != now:  # a wrong name that took nothing may be mended; two tables may not share a push
        raise PlanError(
            f"Push {record.id} has rows in {begun}, or may have, and the settings name {now}: resume it with the same "
            "TOOLKIT_PREFIX and TOOLKIT_SUFFIX, or abandon it."
        )


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


def require_same_ledger(record: PushRecord, ledger: Ledger) -> None:
    """Refuse to go on with a push beside a ledger that is older than the one it was begun with."""
    if ledger.version < record.facts["ledger_version"]:
        raise LedgerError(
            f"The ledger of target {record.target} is older than push {record.id}, or another one, so what others "
            "brought in since cannot be told: restore the newer copy, or name the same one with TOOLKIT_LEDGER; or "
            "abandon the push, diff and plan anew."
        )


def require_same_columns(rows: pa.Table, record: PushRecord, ledger: Ledger) -> None:
    """Refuse to send or enter a push's rows without one of their custom attributes, with others, or of other types."""
    begun = {(field.name, field.type) for field in rows.schema if field.name not in ("source_row", "state")}
    listed = {(field.name, field.type) for field in ledger.resource.arrow_schema()}
    if differing := {name for name, _ in begun ^ listed}:
        raise PlanError(
            f"Push {record.id} was begun with other custom attributes ({', '.join(sorted(differing))}): "
            "list the same [[attributes]] in toolkit.toml as then."
        )


def require_same_bodies(rows: pa.Table, journal: Journal, record: PushRecord, ledger: Ledger) -> None:
    """Before anything is sent again: each body is what was planned, to the byte."""
    bodies = envelope_of(record, ledger).bodies(rows)
    made = [(n, first, stop, hashlib.sha256(body).hexdigest()) for n, (first, stop, body) in enumerate(bodies)]
    if made != journal.batches(record.id):
        raise JournalError(
            f"Push {record.id} no longer encodes to the bodies that were planned, as after another version of the "
            "toolkit was installed; nothing was sent. Install the earlier one, or abandon the push and plan anew."
        )


def envelope_of(record: PushRecord, ledger: Ledger) -> Envelope:
    """Return what a push's bodies were made with."""
    contract = replace(Contract.named(record.facts["contract"]), resource=ledger.resource)
    return Envelope(contract, record.facts["solution"], record.facts["operation"])


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

"""What must hold before rows are sent: the plan fits the settings and the ledger, a begun push fits what was begun."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from toolkit.config import Settings
from toolkit.display import plural
from toolkit.errors import JournalError, LedgerError, PlanError, wrong_kind
from toolkit.ledger import Ledger
from toolkit.model import CUSTOMER, Contract
from toolkit.progress import warn
from toolkit.pushing.planning import PushPlan
from toolkit.sending import FATES, Journal, LoadedPush, PushRecord
from toolkit.vendor import Envelope, SchemaCheck


def require_same_settings(plan: PushPlan, settings: Settings) -> None:
    """Refuse what is not a plan, and one for another target, or under another contract, than the settings name."""
    if not isinstance(plan, PushPlan):
        raise wrong_kind(plan, "a plan", "plan_push(changes)")
    envelope, contract = plan.envelope, settings.documented
    differing = {
        f"target {plan.target}": plan.target != settings.target,
        f"address {plan.address}": plan.address != settings.url(),
        f"operation {envelope.operation}": envelope.operation != settings.operation,
        f"contract {envelope.contract.name}": envelope.contract.name != contract.name,
        f"solution {envelope.solution}": envelope.solution != settings.solution,
        "other custom attributes": envelope.contract.resource.custom != contract.resource.custom,
    }
    if found := ", ".join(what for what, differs in differing.items() if differs):
        raise PlanError(f"The plan was made with {found}, but the settings name another: plan again.")


def require_columns(check: SchemaCheck, *, begun: str = "") -> None:
    """Refuse to send rows without a column that the vendor's table requires; `begun` is a push that is resumed.

    Raises
    ------
    PlanError
        If there is such a column. If the columns could not be read, nothing is known against the push.
    """
    if check.required:
        way = f"more was sent: abandon push {begun}, " if begun else "was sent: "
        raise PlanError(
            f"{check.table} requires {', '.join(check.required)}, which the toolkit does not send, so the vendor would "
            f"refuse every row; nothing {way}list it as a custom attribute under [[attributes]] in toolkit.toml, map "
            "it, and plan again."
        )


def require_version(version: int, planned: int) -> None:
    """Refuse a plan that was made from another version of the ledger."""
    if version != planned:
        raise PlanError(
            "The ledger has changed since the plan was made, so the plan may send what was sent already: take a new "
            "snapshot, then diff and plan again."
        )


def require_resumable(journal: Journal, push: LoadedPush, ledger: Ledger, settings: Settings) -> None:
    """Refuse to resume a push from an older journal, with an older ledger, other settings or other bodies.

    Raises
    ------
    JournalError
        If the journal is older than the ledger, or a body is no longer byte for byte the planned one.
    LedgerError
        If the ledger is older than the push.
    PlanError
        If the settings name another contract, operation, solution or other custom attributes; or another table, once
        the vendor may have taken a row. Before that, a wrong table name is corrected in the settings.
    """
    record, facts = push.record, push.record.facts
    require_recent(journal, push, ledger)
    if ledger.version < facts["ledger_version"]:
        raise LedgerError(
            f"The ledger of target {record.target} is older than push {record.id}, or another one, so it is unknown "
            "what others have sent since: restore the newer copy, or name the right one with TOOLKIT_LEDGER; or "
            "abandon the push, then diff and plan again."
        )
    require_same_columns(push, ledger)
    bodies = envelope_of(record, ledger).bodies(push.rows)
    made = [(n, first, stop, hashlib.sha256(body).hexdigest()) for n, (first, stop, body) in enumerate(bodies)]
    if made != journal.batches(record.id):
        raise JournalError(
            f"Push {record.id} no longer encodes to the bodies that were planned, for example because another version "
            "of the toolkit was installed; nothing was sent. Install the earlier version, or abandon the push and plan "
            "again."
        )
    begun = (facts["contract"], facts["operation"], facts["solution"])
    if begun != (settings.contract, settings.operation, settings.solution):
        raise PlanError(
            f"Push {record.id} was begun with {facts['operation']} under contract {facts['contract']} for "
            f"solution {facts['solution']}: resume it with the same settings, or abandon it."
        )
    table, now = (address.rsplit("/", 1)[-1] for address in (facts["address"], settings.url()))
    if push.taken and table != now:
        raise PlanError(
            f"Push {record.id} has rows in {table}, or may have, but the settings name {now}: resume it with the same "
            "TOOLKIT_PREFIX and TOOLKIT_SUFFIX, or abandon it."
        )


def require_recent(journal: Journal, push: LoadedPush, ledger: Ledger) -> None:
    """Refuse to continue from a journal that lost its end, or was restored from an older copy.

    Its next receipts would get the numbers of receipts that the ledger has, and their rows would not be recorded.
    """
    if ledger.recorded_through(push.record.id) > max((receipt.number for receipt in push.receipts), default=-1):
        raise JournalError(
            f"The journal {journal.path} is older than the ledger, which has later rows of push {push.record.id}: "
            "restore the newer journal; or abandon the push, then diff and plan again: the ledger knows what was "
            "accepted."
        )


def require_same_columns(push: LoadedPush, ledger: Ledger) -> None:
    """Refuse to send or record rows with other custom attributes, or other types of them, than the settings list."""
    begun = {(field.name, field.type) for field in push.rows.schema if field.name not in ("source_row", "state")}
    listed = {(field.name, field.type) for field in ledger.resource.arrow_schema()}
    if differing := {name for name, _ in begun ^ listed}:
        raise PlanError(
            f"Push {push.record.id} was begun with other custom attributes ({', '.join(sorted(differing))}): "
            "list the same [[attributes]] in toolkit.toml as then."
        )


def envelope_of(record: PushRecord, ledger: Ledger) -> Envelope:
    """Return what the bodies of a push were made with."""
    contract = replace(Contract.named(record.facts["contract"]), resource=ledger.resource)
    return Envelope(contract, record.facts["solution"], record.facts["operation"])


def require_not_repeated(journal: Journal, plan: PushPlan, ledger: Ledger) -> None:
    """Refuse an APPEND of versions that the vendor has, or may have.

    The plan may have been compared with a plain frame, which does not know what was sent. An UPSERT may send a version
    again: what arrives twice is stored once. A restated row was named by the analyst, who includes it knowing that the
    ledger has this version.

    Raises
    ------
    PlanError
        If the ledger has a key of the plan, or its fate is unknown in an earlier push.
    """
    if plan.envelope.operation == "UPSERT" or not plan.n_rows:
        return
    restated = np.array(plan.rows["state"].to_pylist()) == "restated"
    if n_held := int((rows_among(plan.rows, ledger.keys_since(-1, but_for="")) & ~restated).sum()):
        raise PlanError(
            f"The ledger has {plural(n_held, 'row')} of this plan already, and an APPEND must not send a row twice: "
            "diff with the ledger's snapshot and plan again. If the vendor does not have them, retract them first. "
            "Nothing was sent."
        )
    for record in journal.pushes():
        unknown = journal.fates(record)[0] == FATES.index("unknown")
        if not unknown.any():
            continue
        try:
            rows = journal.kept.rows(record)
        except JournalError:  # abandon(rows_lost=True) closed it, so these rows cannot be settled any more
            warn(
                f"The rows of push {record.id} are lost, {int(unknown.sum()):,} of them unknown: this APPEND may send "
                "some of them twice.",
            )
            continue
        if n_unknown := int(rows_among(plan.rows, rows.filter(pa.array(unknown))).sum()):
            raise PlanError(
                f"It is unknown whether {plural(n_unknown, 'row')} of this plan arrived with push {record.id}, and an "
                f"APPEND must not send a row twice: look at the vendor's table, record it "
                f"('toolkit settle {record.id}'), then plan again. Nothing was sent."
            )


def rows_among(rows: pa.Table, others: pa.Table) -> npt.NDArray[np.bool_]:
    """Return which rows have a key that one of the others has."""
    key, places = list(CUSTOMER.key), np.arange(rows.num_rows)
    mine = rows.select(key).append_column("place", pa.array(places))
    return np.isin(places, mine.join(others.select(key), key, join_type="left semi")["place"])

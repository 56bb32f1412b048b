"""push(): send what has no receipt, record each answer, resume after a stop."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from toolkit.batching import Envelope
from toolkit.client import Client
from toolkit.connecting import connected as _connected
from toolkit.contract import CUSTOMER, Contract
from toolkit.errors import LedgerError, PlanError, StoppedError
from toolkit.guards import require_overruled
from toolkit.journal import Journal, only_pusher
from toolkit.ledger import Ledger, entry_schema
from toolkit.planning import PushPlan, as_dry_run
from toolkit.receipts import FATES, OVERTAKEN, PushRecord, Receipt
from toolkit.reporting import PushReport, Status, pushes_of, report_of
from toolkit.sending import Pace, Sender
from toolkit.settings import Settings


def push(
    plan: PushPlan,
    *,
    settings: Settings | None = None,
    reason: str = "",
    pace: Pace | None = None,
    progress: bool = True,
) -> PushReport:
    """Send a plan, and record what became of every row.

    Parameters
    ----------
    reason
        Why, for the ledger.
    progress
        Show a progress bar (in a notebook, or at a terminal).

    Raises
    ------
    OpenPushError
        If an earlier push to the target is still open, or another process is pushing.
    PlanError
        If the plan is for another target, or the ledger moved on since it was made.
    GuardError
        If a guard speaks that the plan does not overrule; nothing was sent.
    StoppedError
        If it stopped before its end; its `report` says what was done, and `resume` goes on.
    """
    chosen, pace = settings or Settings(), pace or Pace()
    folder = chosen.target_folder()
    with only_pusher(folder, chosen.target), Journal(folder, chosen.target, clock=pace.now) as journal:
        journal.refuse_if_open()
        ledger = _bound(plan, chosen)
        with _connected(chosen) if plan.n_rows else contextlib.nullcontext() as client:  # with a token, or not at all
            record = journal.open_push(plan, reason=reason, ledger_version=ledger.version)
            try:
                ledger.record_delivery(plan.delivery, plan=record.id, now=pace.now())
            except LedgerError:
                journal.close(record.id, state="abandoned")
                raise
            return _carry_on(journal, record, ledger, client, pace, progress=progress)


def resume(*, settings: Settings | None = None, pace: Pace | None = None, progress: bool = True) -> PushReport:
    """Go on with the open push: send what is unsent and, under UPSERT, what is unknown.

    Rows whose version another push brought in since are left out, and their report says so.

    Raises
    ------
    NothingOpenError
        If no push is open.
    StoppedError
        As `push`.
    """
    chosen, pace = settings or Settings(), pace or Pace()
    folder = chosen.target_folder()
    with only_pusher(folder, chosen.target), Journal(folder, chosen.target, clock=pace.now) as journal:
        record = journal.require_open()
        ledger = Ledger.of(chosen)
        fates, _ = journal.fates(record.id)
        _require_same_address(record, chosen, accepted=bool((fates == FATES.index("accepted")).any()))
        _rows_as_begun(journal, record, ledger)
        _leave_out_overtaken(journal, record, ledger)
        settled = journal.fates(record.id)[1].all()
        with contextlib.nullcontext() if settled else _connected(chosen) as client:
            return _carry_on(journal, record, ledger, client, pace, progress=progress)


def abandon(*, settings: Settings | None = None, pace: Pace | None = None) -> PushReport:
    """Close the open push without sending the rest; what was accepted enters the ledger.

    Raises
    ------
    NothingOpenError
        If no push is open.
    """
    chosen, pace = settings or Settings(), pace or Pace()
    folder = chosen.target_folder()
    with only_pusher(folder, chosen.target), Journal(folder, chosen.target, clock=pace.now) as journal:
        record = journal.require_open()
        _enter_accepted(journal, record, Ledger.of(chosen))
        journal.close(record.id, state="abandoned")
        return report_of(journal, record.id)


def dry_run(
    plan: PushPlan, *, settings: Settings | None = None, pace: Pace | None = None, progress: bool = True
) -> PushReport:
    """Have the vendor check a plan and write nothing; neither ledger nor journal keeps it.

    Raises
    ------
    PlanError
        If the contract documents no dry run, or the plan is for another target.
    GuardError
        If a guard speaks that the plan does not overrule; nothing was sent.
    """
    chosen, pace = settings or Settings(), pace or Pace()
    _require_cleared(plan, chosen)
    checked = as_dry_run(plan)
    with (
        tempfile.TemporaryDirectory(dir=chosen.folder(), prefix="dry-run-") as folder,
        Journal(Path(folder), chosen.target, clock=pace.now) as journal,
        _connected(chosen) as client,
    ):
        record = journal.open_push(checked)
        try:
            Sender(journal, record, client, checked.envelope, pace, progress=progress).run()
        except StoppedError as stop:
            stop.report = report_of(journal, record.id, state="dry run", stopped=str(stop))
            raise
        return report_of(journal, record.id, state="dry run")


def status(*, settings: Settings | None = None) -> Status:
    """Say where the target stands: its ledger, its pushes, what waits."""
    chosen = settings or Settings()
    snapshot = Ledger.of(chosen).snapshot()
    folder = chosen.target_folder()
    with Journal(folder, chosen.target, clock=Pace().now) as journal:
        pushes = pushes_of(journal)
    return Status(chosen.label, snapshot.n_customers, int(snapshot.versions.num_rows), pushes, str(folder))


def _require_cleared(plan: PushPlan, settings: Settings) -> None:
    if (plan.target, plan.address, plan.envelope.operation) != (settings.target, settings.url(), settings.operation):
        raise PlanError(f"The plan was made for {plan.label}, and the settings name {settings.label}: plan it anew.")
    if plan.n_rows:  # where nothing leaves, there is nothing to hold back
        require_overruled(plan.guards)


def _bound(plan: PushPlan, settings: Settings) -> Ledger:
    _require_cleared(plan, settings)
    ledger = Ledger.of(settings)
    if plan.ledger_version is not None and plan.ledger_version != ledger.version:
        raise PlanError(
            "The ledger moved on since the plan was made, so it may send what is there already: take a "
            "new snapshot, and diff and plan anew."
        )
    return ledger


def _require_same_address(record: PushRecord, settings: Settings, *, accepted: bool) -> None:
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
    if accepted and begun != now:  # a wrong name that took nothing may be mended; two tables may not share a push
        raise PlanError(
            f"Push {record.id} has rows in {begun}, and the settings name {now}: resume it with the same "
            "TOOLKIT_PREFIX and TOOLKIT_SUFFIX, or abandon it."
        )


def _leave_out_overtaken(journal: Journal, record: PushRecord, ledger: Ledger) -> None:
    fates, settled = journal.fates(record.id)
    since = ledger.keys_since(record.facts["ledger_version"], but_for=record.id)
    if since.num_rows == 0 or settled.all():
        return
    others = set(zip(*(since[c].to_pylist() for c in CUSTOMER.key), strict=True))
    rows = journal.rows(record.id)
    keys = zip(*(rows[c].to_pylist() for c in CUSTOMER.key), strict=True)
    overtaken = [
        Receipt(place, place + 1, FATES[fates[place]], message=OVERTAKEN)
        for place, key in enumerate(keys)
        if not settled[place] and key in others
    ]
    journal.leave_out(record.id, overtaken)


def _carry_on(
    journal: Journal,
    record: PushRecord,
    ledger: Ledger,
    client: Client | None,
    pace: Pace,
    *,
    progress: bool,
) -> PushReport:
    contract = replace(Contract.named(record.facts["contract"]), resource=ledger.resource)
    envelope = Envelope(contract, record.facts["solution"], record.facts["operation"])
    stopped: StoppedError | None = None
    try:
        if client is not None:
            Sender(journal, record, client, envelope, pace, progress=progress).run()
    except StoppedError as stop:
        stopped = stop
    finally:
        # However it ended, what the vendor accepted is entered, and the next diff knows it.
        _enter_accepted(journal, record, ledger)
    _, settled = journal.fates(record.id)
    if settled.all():
        journal.close(record.id, state="done")
    report = report_of(journal, record.id, stopped=str(stopped or ""))
    if stopped is not None:
        stopped.report = report
        raise stopped
    return report


def _rows_as_begun(journal: Journal, record: PushRecord, ledger: Ledger) -> pa.Table:
    rows = journal.rows(record.id)
    begun = set(rows.column_names) - {"source_row", "state"}
    if differing := begun ^ set(ledger.resource.names):
        raise PlanError(
            f"Push {record.id} was begun with other custom attributes ({', '.join(sorted(differing))}): "
            "list the same [[attributes]] in toolkit.toml until it is done or abandoned."
        )
    return rows


def _enter_accepted(journal: Journal, record: PushRecord, ledger: Ledger) -> None:
    through = ledger.recorded_through(record.id)
    new = [r for r in journal.receipts(record.id) if r.fate == "accepted" and r.number > through]
    if not new:
        return
    rows = _rows_as_begun(journal, record, ledger)
    places = np.concatenate([np.arange(r.first, r.stop) for r in new])
    lengths = [r.stop - r.first for r in new]
    n_rows = len(places)
    taken = rows.take(pa.array(places))
    times = [datetime.fromisoformat(r.at) for r in new]
    columns = {
        "entry": pa.repeat("accepted", n_rows),
        **{c.name: taken[c.name] for c in ledger.resource.columns},
        "recorded_at": pa.array(
            np.repeat(np.array([t.replace(tzinfo=None) for t in times], "datetime64[us]"), lengths)
        ).cast(pa.timestamp("us", tz="UTC")),
        "operation": pa.repeat(record.facts["operation"], n_rows),
        "plan": pa.repeat(record.id, n_rows),
        "batch": pa.array(np.repeat([r.batch for r in new], lengths)),
        "position": pa.array(places),
        "author": pa.repeat(record.author, n_rows),
        "reason": pa.repeat(record.facts["reason"], n_rows),
        "source_file": pa.repeat(record.facts["source"], n_rows),
        "source_row": taken["source_row"],
    }
    names = entry_schema(ledger.resource).names
    entries = pa.table([columns[name] for name in names], names=names)
    ledger.record(entries, plan=record.id, through=max(r.number for r in new))

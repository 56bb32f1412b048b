"""push(): send what has no receipt, record each answer, resume after a stop."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from toolkit.config import Settings, current
from toolkit.display import plural
from toolkit.errors import JournalError, PlanError, SchemaWarning, StoppedError
from toolkit.ledger import Ledger
from toolkit.pushing.checks import (
    bound_version,
    envelope_of,
    keys_of,
    require_not_repeated,
    require_recent,
    require_same_address,
    require_same_bodies,
    require_same_columns,
    require_same_ledger,
    require_same_settings,
)
from toolkit.pushing.guards import require_overruled
from toolkit.pushing.history import Status, pushes_of, targets_of
from toolkit.pushing.planning import PushPlan, as_dry_run
from toolkit.pushing.recording import (
    close_abandoned,
    close_if_settled,
    enter_accepted,
    enter_beginning,
    enter_delivery,
    enter_resumption,
    enter_settled,
    not_entered,
)
from toolkit.pushing.report import PushReport, report_of
from toolkit.sending import (
    FATES,
    OVERTAKEN,
    Journal,
    Pace,
    PushRecord,
    Receipt,
    Sender,
    only_pusher,
)
from toolkit.vendor import Client, ask_schema, connected, pace_folder


class CarriesPlan(Protocol):
    """What stands in for a plan, as a `Repush` does: the plan, and why it is sent."""

    @property
    def plan(self) -> PushPlan:
        """What is sent."""
        ...

    @property
    def reason(self) -> str:
        """What the ledger says of each row."""
        ...


def push(
    plan: PushPlan | CarriesPlan,
    *,
    settings: Settings | None = None,
    reason: str = "",
    schema_check: bool = True,
    pace: Pace | None = None,
    progress: bool = True,
) -> PushReport:
    """Send a plan, and record what became of every row.

    Parameters
    ----------
    reason
        Why, for the ledger; over the reason that a `Repush` has.
    schema_check
        Ask for the vendor's columns first, and warn of what differs from ours, as `check_schema` does; where they
        cannot be told, warn of that, and go on.
    progress
        Show a progress bar (in a notebook, or at a terminal).

    Raises
    ------
    OpenPushError
        If an earlier push to the target is still open, or another process is pushing; also one of another analyst
        who shares the ledger.
    PlanError
        If the plan is for another target, or the ledger moved on since it was made; or if it would send again what
        arrived, or under APPEND may have arrived, by an earlier push (settle that first).
    GuardError
        If a guard speaks that the plan does not overrule; nothing was sent.
    StoppedError
        If it stopped before its end; its `report` says what was done, and `resume` goes on.
    """
    chosen, pace = current(settings), pace or Pace()
    if not isinstance(plan, PushPlan):
        reason, plan = reason or getattr(plan, "reason", ""), _plan_of(plan)
    with _alone(chosen, pace) as journal:
        journal.refuse_if_open()
        ledger = Ledger.of(chosen)
        enter_settled(journal, ledger)
        version = bound_version(plan, chosen, ledger)
        require_not_repeated(journal, plan)
        with connected(chosen) if plan.n_rows else contextlib.nullcontext() as client:  # with a token, or not at all
            if client and schema_check:
                for line in ask_schema(client, chosen).lines:
                    warnings.warn(line, SchemaWarning, stacklevel=2)
            folder = pace_folder(chosen)
            record = journal.open_push(plan.new_push(reason=reason, ledger_version=version))
            enter_beginning(journal, record, ledger)
            return _carry_on(journal, record, ledger, client, pace, folder=folder, progress=progress)


def resume(*, settings: Settings | None = None, pace: Pace | None = None, progress: bool = True) -> PushReport:
    """Go on with the open push: send what is unsent and, under UPSERT, what is unknown.

    Rows whose version another push brought in since are left out, and their report says so.

    Raises
    ------
    NothingOpenError
        If no push is open.
    OpenPushError
        If another process is pushing, or an analyst who shares the ledger began a push after this one.
    StoppedError
        As `push`.
    """
    chosen, pace = current(settings), pace or Pace()
    with _alone(chosen, pace) as journal:
        record = journal.require_open()
        ledger = Ledger.of(chosen)
        require_recent(journal, record, ledger)
        require_same_ledger(record, ledger)
        rows = journal.rows(record.id)
        require_same_columns(rows, record, ledger)
        require_same_bodies(rows, journal, record, ledger)
        fates, settled = journal.fates(record.id)
        taken = np.isin(fates, [FATES.index("accepted"), FATES.index("unknown")]).any()
        require_same_address(record, chosen, taken=bool(taken))
        with contextlib.nullcontext() if settled.all() else connected(chosen) as client:
            enter_resumption(journal, record, ledger)  # now that nothing but another push can refuse it
            _leave_out_overtaken(rows, journal, record, ledger)
            return _carry_on(journal, record, ledger, client, pace, folder=pace_folder(chosen), progress=progress)


def abandon(*, settings: Settings | None = None, pace: Pace | None = None, rows_lost: bool = False) -> PushReport:
    """Close the open push without sending the rest; what was accepted enters the ledger.

    Parameters
    ----------
    rows_lost
        Close it though the file of its rows is lost: what was accepted cannot enter the ledger then, so that the next
        diff takes it for new and plans it again. The report counts the fates, and knows no keys.

    Raises
    ------
    NothingOpenError
        If no push is open.
    JournalError
        If the file of its rows is lost, and `rows_lost` does not say so.
    """
    chosen, pace = current(settings), pace or Pace()
    with _alone(chosen, pace) as journal:
        record, ledger = journal.require_open(), Ledger.of(chosen)
        try:
            enter_delivery(journal, record, ledger)
            enter_accepted(journal, record, ledger)
            report_of(journal, record.id)
        except JournalError as error:
            waiting = sum(r.stop - r.first for r in not_entered(journal, record, ledger))
            said = f"{plural(waiting, 'accepted row')} of push {record.id} cannot enter the ledger"
            if waiting and not rows_lost:
                raise JournalError(
                    f"{error} Where no copy is left, abandon(rows_lost=True) closes it all the same: {said} then, and "
                    "the next diff takes them for new."
                ) from error
            journal.kept.drop_delivery(record.id)
            close_abandoned(journal, record, ledger)
            return report_of(journal, record.id, stopped=f"Its rows are lost: {said}.", rows_lost=True)
        close_abandoned(journal, record, ledger)
        return report_of(journal, record.id)


def dry_run(
    plan: PushPlan | CarriesPlan, *, settings: Settings | None = None, pace: Pace | None = None, progress: bool = True
) -> PushReport:
    """Have the vendor check a plan and write nothing; neither ledger nor journal keeps it.

    Raises
    ------
    PlanError
        If the contract documents no dry run, or the plan is for another target.
    GuardError
        If a guard speaks that the plan does not overrule; nothing was sent.
    """
    chosen, pace = current(settings), pace or Pace()
    if not isinstance(plan, PushPlan):
        plan = _plan_of(plan)
    require_same_settings(plan, chosen)
    if plan.n_rows:
        require_overruled(plan.guards)
    checked = as_dry_run(plan)
    with (
        Journal(None, chosen.target, clock=pace.now) as journal,
        connected(chosen) as client,
    ):
        record = journal.open_push(checked.new_push())
        try:
            Sender(
                journal,
                journal.load(record.id),
                client,
                checked.envelope,
                pace,
                progress=progress,
                folder=pace_folder(chosen),
            ).run()
        except StoppedError as stop:
            stop.report = report_of(journal, record.id, state="dry run", stopped=str(stop))
            raise
        return report_of(journal, record.id, state="dry run")


def status(*, settings: Settings | None = None) -> Status:
    """Say where the target stands: its ledger, its pushes, what waits; and whether anything waits for another one."""
    chosen = current(settings)
    snapshot = Ledger.of(chosen).snapshot()
    folder = chosen.target_folder()
    with Journal(folder, chosen.target, clock=Pace().now) as journal:
        pushes = pushes_of(journal)
    targets = targets_of(folder.parent, clock=Pace().now)
    return Status(chosen.label, snapshot.n_customers, int(snapshot.versions.num_rows), pushes, str(folder), targets)


def _plan_of(carrier: CarriesPlan) -> PushPlan:
    plan = getattr(carrier, "plan", None)
    if not isinstance(plan, PushPlan):
        raise PlanError(f"A plan is wanted, and a {type(carrier).__name__} was given: plan_push(changes) makes one.")
    return plan


def _leave_out_overtaken(rows: pa.Table, journal: Journal, record: PushRecord, ledger: Ledger) -> None:
    fates, settled = journal.fates(record.id)
    since = ledger.keys_since(record.facts["ledger_version"], but_for=record.id)
    if since.num_rows == 0 or settled.all():
        return
    others = set(keys_of(since))
    overtaken = [
        Receipt(place, place + 1, FATES[fates[place]], message=OVERTAKEN)
        for place, key in enumerate(keys_of(rows))
        if not settled[place] and key in others
    ]
    journal.enter(record.id, overtaken)


def _carry_on(
    journal: Journal,
    record: PushRecord,
    ledger: Ledger,
    client: Client | None,
    pace: Pace,
    *,
    folder: Path,
    progress: bool,
) -> PushReport:
    envelope = envelope_of(record, ledger)
    stopped: StoppedError | None = None
    try:
        if client is not None:
            Sender(journal, journal.load(record.id), client, envelope, pace, progress=progress, folder=folder).run()
    except StoppedError as stop:
        stopped = stop
    finally:
        # However it ended, what the vendor accepted is entered, and the next diff knows it.
        enter_accepted(journal, record, ledger)
    close_if_settled(journal, record, ledger)
    report = report_of(journal, record.id, stopped=str(stopped or ""))
    if stopped is not None:
        stopped.report = report
        raise stopped
    return report


@contextlib.contextmanager
def _alone(settings: Settings, pace: Pace) -> Iterator[Journal]:
    """Open the target's journal as the one that pushes."""
    folder = settings.target_folder()
    with (
        only_pusher(folder, settings.target, clock=pace.now),
        Journal(folder, settings.target, clock=pace.now, mark=pace.mark) as journal,
    ):
        yield journal

"""push(), resume(), abandon(), dry_run(): send the rows that have no receipt, and record what became of every row.

One process at a time may push to a target, and one push of a target may be open. A push goes through these states:

- *open*: its record and its rows are in the journal, before anything is sent. A crash, an interrupt or a stop leaves it
  open, because only `resume` with its receipts knows which rows still have to go.
- *done*: every row has a receipt.
- *abandoned*: the analyst closed it; or it stopped before the vendor took any row, as with a wrong token or address.
  Then nothing has to be resumed, and an open push would only block the next one.

However the sending ends, what the vendor accepted goes to the ledger first, so the next diff knows it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from toolkit.config import Settings, current
from toolkit.display import plural
from toolkit.errors import InputError, Interrupted, JournalError, SchemaWarning, StoppedError
from toolkit.ledger import Ledger
from toolkit.model import CUSTOMER
from toolkit.progress import step, warn
from toolkit.pushing.checks import (
    envelope_of,
    require_columns,
    require_not_repeated,
    require_resumable,
    require_same_settings,
    require_version,
    rows_among,
)
from toolkit.pushing.explaining import Explanations, explanations
from toolkit.pushing.guards import require_allowed
from toolkit.pushing.planning import PushPlan, as_dry_run
from toolkit.pushing.recording import Recorder
from toolkit.pushing.report import PushReport, report_of
from toolkit.reading import Mapping, remember
from toolkit.sending import FATES, OVERTAKEN, Journal, Limiter, LoadedPush, Pace, Receipt, Sender, only_pusher
from toolkit.vendor import Client, ask_schema, connected, pace_folder

_LOOK = "tk.status() says whether a push is open; if so, tk.resume() goes on."


@step("Pushing", then=_LOOK, bar=False)
def push(
    plan: PushPlan,
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
        Why, for the ledger; instead of the reason that the plan has.
    schema_check
        Ask for the vendor's columns first, as `check_schema` does: warn of differences to ours, or if the vendor does
        not answer; and send nothing if the table requires a column that is not sent.
    progress
        Show a progress bar (in a notebook, or in a terminal).

    Raises
    ------
    InputError
        If `plan` is not a plan, or the reason is not a text.
    OpenPushError
        If an earlier push to the target is still open, or another process is pushing; also a push of another analyst
        who shares the ledger.
    PlanError
        If the plan is for another target, or the ledger has changed since it was made; if the vendor's table requires a
        column that is not sent; or if an APPEND would send rows that the ledger has, or whose fate is unknown in an
        earlier push (settle that push first).
    GuardError
        If a guard blocks the plan; nothing was sent.
    StoppedError
        If it stopped before its end; its `report` says what was done. If the vendor took a row, or may have, `resume`
        continues the push; else the push is closed, and the plan can be pushed again.
    """
    chosen, pace = current(settings), pace or Pace()
    codes = explanations(chosen)  # first: where warnings are errors, nothing was sent yet
    require_same_settings(plan, chosen)
    if not isinstance(reason, str):  # the ledger would refuse it, after the rows were sent
        raise InputError(f"The reason of a push is a text, not {type(reason).__name__}. Nothing was sent.")
    with alone(chosen, pace) as journal:
        journal.refuse_if_open()
        ledger = Ledger.of(chosen)
        recorder = Recorder(journal, ledger)
        recorder.settled()
        version = ledger.version
        require_version(version, version if plan.ledger_version is None else plan.ledger_version)
        if plan.n_rows:
            ledger.claims.require_free()  # first: the guards may have found what another push is sending right now
            require_allowed(plan.guards)
        require_not_repeated(journal, plan, ledger)
        # Without a token there is no client, and no push is opened.
        with connected(chosen) if plan.n_rows else contextlib.nullcontext() as client:
            if client and schema_check:
                _compare_columns(client, chosen)
            limiter = _limiter(chosen, pace)
            if used := plan.delivery.mapping:
                remember(Mapping.of(used["content"]), used["header"], plan.delivery.source, settings=chosen)
            record = journal.open_push(plan.new_push(reason=reason, ledger_version=version))
            begun = journal.load(record.id, rows=plan.rows)
            recorder.start(begun)
            return _send(recorder, begun, client, pace, limiter=limiter, progress=progress, codes=codes)


@step("Pushing", then=_LOOK, bar=False)
def resume(
    *, settings: Settings | None = None, schema_check: bool = True, pace: Pace | None = None, progress: bool = True
) -> PushReport:
    """Continue the open push: send what is unsent and, under UPSERT, what is unknown.

    Rows whose version another push has sent since are left out; the report lists them.

    Parameters
    ----------
    schema_check
        As for `push`.

    Raises
    ------
    NothingOpenError
        If no push is open.
    OpenPushError
        If another process is pushing, or an analyst who shares the ledger began a push after this one.
    PlanError
        If the push was begun under other settings, or without a column that the vendor's table requires now.
    JournalError, LedgerError
        If the journal or the ledger is older than the push.
    StoppedError
        As `push`.
    """
    chosen, pace = current(settings), pace or Pace()
    codes = explanations(chosen)
    with alone(chosen, pace) as journal:
        begun, ledger = journal.load(journal.require_open().id), Ledger.of(chosen)
        recorder = Recorder(journal, ledger)
        require_resumable(journal, begun, ledger, chosen)
        with contextlib.nullcontext() if begun.final.all() else connected(chosen) as client:
            if client and schema_check:
                _compare_columns(client, chosen, begun=begun.record.id)
            recorder.resumption(begun.record)  # last: from here only another push can refuse it
            begun = _without_overtaken(journal, begun, ledger)
            return _send(recorder, begun, client, pace, limiter=_limiter(chosen, pace), progress=progress, codes=codes)


def abandon(*, settings: Settings | None = None, pace: Pace | None = None, rows_lost: bool = False) -> PushReport:
    """Close the open push without sending the rest; what was accepted is recorded in the ledger.

    Parameters
    ----------
    rows_lost
        Close it although the file of its rows is lost: what was accepted cannot be recorded then, so the next diff
        shows it as added. The report counts the fates, and has no keys.

    Raises
    ------
    NothingOpenError
        If no push is open.
    JournalError
        If the file of its rows is lost, and `rows_lost` is not given.
    """
    chosen, pace = current(settings), pace or Pace()
    with alone(chosen, pace) as journal:
        record, recorder, lost = journal.require_open(), Recorder(journal, Ledger.of(chosen)), ""
        try:
            begun = journal.load(record.id)
            recorder.delivery(record)
            recorder.accepted(begun)
        except JournalError as error:
            begun = journal.load(record.id, rows=_no_rows(record.n_rows))
            waiting = sum(r.stop - r.first for r in recorder.missing(record, begun.receipts))
            lost = f"{plural(waiting, 'accepted row')} of push {record.id} cannot be recorded in the ledger"
            if waiting and not rows_lost:
                raise JournalError(
                    f"{error} If there is no copy, abandon it with rows_lost=True (--rows-lost): then {lost}, "
                    "and the next diff shows them as added."
                ) from error
            journal.kept.drop_delivery(record.id)
        recorder.close_abandoned(begun)
        stopped = f"Its rows are lost: {lost}." if lost else ""
        return report_of(journal.load(record.id, rows=begun.rows), stopped=stopped)


@step("The dry run", then="Nothing was written.", bar=False)
def dry_run(
    plan: PushPlan, *, settings: Settings | None = None, pace: Pace | None = None, progress: bool = True
) -> PushReport:
    """Let the vendor check a plan and write nothing; neither ledger nor journal keeps it.

    Raises
    ------
    InputError
        If `plan` is not a plan.
    PlanError
        If the contract documents no dry run, or the plan is for another target.
    GuardError
        If a guard blocks the plan; nothing was sent.
    StoppedError
        If it stopped before its end; its `report` says what was checked.
    """
    chosen, pace = current(settings), pace or Pace()
    codes = explanations(chosen)  # first: where warnings are errors, nothing was sent yet
    require_same_settings(plan, chosen)
    if plan.n_rows:
        require_allowed(plan.guards)
    checked = as_dry_run(plan)
    with Journal(None, chosen.target, clock=pace.now) as journal, connected(chosen) as client:
        push = journal.load(journal.open_push(checked.new_push()).id, rows=checked.rows)
        stopped: StoppedError | None = None
        try:
            limiter = _limiter(chosen, pace)
            Sender(journal, push, client, checked.envelope, pace, progress=progress, limiter=limiter).run()
        except StoppedError as stop:
            stopped = stop
        push = journal.load(push.record.id, rows=push.rows)
        return _reported(report_of(push, state="dry run", stopped=str(stopped or ""), codes=codes), stopped)


def _compare_columns(client: Client, settings: Settings, *, begun: str = "") -> None:
    """Warn of the vendor's columns that differ from ours, and refuse to go on without one that it requires."""
    check = ask_schema(client, settings)
    require_columns(check, begun=begun)
    for line in check.lines:
        warn(line, SchemaWarning)


def _without_overtaken(journal: Journal, push: LoadedPush, ledger: Ledger) -> LoadedPush:
    """Give a receipt to the rows whose version another push has sent since, so that they are not sent again."""
    since = ledger.keys_since(push.record.facts["ledger_version"], but_for=push.record.id)
    if since.num_rows == 0 or push.final.all():
        return push
    places = np.flatnonzero(rows_among(push.rows, since) & ~push.final).tolist()
    receipts = [Receipt(place, place + 1, FATES[push.fates[place]], message=OVERTAKEN) for place in places]
    journal.enter(push.record.id, receipts)
    return journal.load(push.record.id, rows=push.rows)


def _limiter(settings: Settings, pace: Pace) -> Limiter:
    return pace.limiter(settings.documented.max_requests_per_s, pace_folder(settings))


def _send(
    recorder: Recorder,
    push: LoadedPush,
    client: Client | None,
    pace: Pace,
    *,
    limiter: Limiter,
    progress: bool,
    codes: Explanations,
) -> PushReport:
    """Send what waits, record what was accepted, and close the push if nothing of it waits or nothing was taken."""
    journal = recorder.journal
    stopped: StoppedError | Interrupted | None = None
    try:
        if client is not None:
            envelope = envelope_of(push.record, recorder.ledger)
            Sender(journal, push, client, envelope, pace, progress=progress, limiter=limiter).run()
    except StoppedError as stop:
        stopped = stop
    except KeyboardInterrupt:
        stopped = Interrupted()
    finally:  # also after an unexpected error
        push = journal.load(push.record.id, rows=push.rows)
        recorder.accepted(push)
    if stopped and journal.nothing_taken(push.record.id):
        recorder.close_abandoned(push)
    else:
        recorder.close_if_done(push)
    state = journal.push(push.record.id).state
    if isinstance(stopped, Interrupted):
        stopped.args = (_interrupted(push, state),)
    return _reported(report_of(push, state=state, stopped=str(stopped or ""), codes=codes), stopped)


def _interrupted(push: LoadedPush, state: str) -> str:
    """Return what an interrupted push says; the command line puts its own command in place of ``tk.resume()``."""
    unknown = push.has("unknown")
    n_unknown = sum(bool(unknown[first:stop].any()) for first, stop in push.batches)
    requests = f", {plural(n_unknown, 'request')} unknown" if n_unknown else ""
    ways = {
        "open": "tk.resume() goes on.",
        "done": "The push is complete.",
        "abandoned": "Nothing is open: push again.",
    }
    n_accepted = int(push.has("accepted").sum())
    return f"Interrupted: {n_accepted:,} of {plural(push.record.n_rows, 'row')} accepted{requests}. {ways[state]}"


def _reported(report: PushReport, stopped: StoppedError | Interrupted | None) -> PushReport:
    """Return the report, or raise what stopped the push, with its report."""
    if stopped is not None:
        stopped.report = report
        raise stopped
    return report


def _no_rows(n_rows: int) -> pa.Table:
    """Return rows without a cell, in place of those that are lost."""
    schema = pa.schema([*CUSTOMER.arrow_schema(), ("source_row", pa.int64()), ("state", pa.string())])
    return schema.empty_table().take(pa.nulls(n_rows, pa.int64()))


@contextlib.contextmanager
def alone(settings: Settings, pace: Pace) -> Iterator[Journal]:
    """Open the target's journal as the only process that pushes."""
    folder = settings.target_folder()
    with (
        only_pusher(folder, settings.target, clock=pace.now),
        Journal(folder, settings.target, clock=pace.now, mark=pace.mark) as journal,
    ):
        yield journal

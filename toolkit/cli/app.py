"""The command line: arguments in, exit code out; no logic.

Exit codes: 0 nothing to report, 1 findings (failures, differences, refused, unknown or unsent rows), 2 an error of
the analyst's to mend, 130 interrupted. With ``--json`` one object goes to standard output and nothing else;
messages go to standard error.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

from toolkit.cli.demo import run_demo
from toolkit.cli.file_commands import check, corrections, profile, review, scan, suggest
from toolkit.cli.push_commands import LATER
from toolkit.cli.terminal import (
    AS_IT_IS,
    ERROR,
    FINDINGS,
    INTERRUPTED,
    OK,
    Allow,
    Json,
    Source,
    change_lines,
    fate_lines,
    finding_lines,
    labelled,
    names,
    plan_lines,
    print_json,
    require_free,
    say,
    send,
    show,
    status_lines,
    validated,
)
from toolkit.config import Settings
from toolkit.errors import ToolkitError
from toolkit.ledger import Diff, Ledger, diff
from toolkit.model import ID, TIME
from toolkit.pushing import PushPlan, PushReport, dry_run, plan_push, require_digest, resume, status
from toolkit.pushing import abandon as abandoned
from toolkit.quality import ValidationReport
from toolkit.sending import FATES
from toolkit.tables import write_table
from toolkit.vendor import Sandbox

app = App(
    name="toolkit",
    help="Customer master data: check it, compare it, push exactly what changed.",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
    default_parameter=Parameter(negative=(), show_default=False),
)


Include = Annotated[tuple[str, ...], Parameter(help="States to send as well: touched, restated, backdated.")]


for command in (suggest, check, scan, profile, corrections, review, *LATER):
    app.command(command)


@app.command(name="diff")
def diff_(file: Path, /, *, source: Source = AS_IT_IS, json: Json = False) -> int:
    """Compare FILE with what was sent before."""
    settings = Settings()
    report, changes = _compared(file, source, settings)
    shown = changes.to_dict() | {"quarantined": report.n_quarantined}
    shown["duplicate_keys"] += report.n_duplicate_keys
    show(changes, json, [*change_lines(changes), *finding_lines(report)], shown)
    same = changes.n_unchanged == len(changes.states) and not (changes.n_absent or report.n_quarantined)
    return OK if same else FINDINGS


@app.command
def plan(
    file: Path, /, *, source: Source = AS_IT_IS, include: Include = (), allow: Allow = (), json: Json = False
) -> int:
    """Plan what to send of FILE; nothing leaves the machine."""
    settings = Settings()
    report, changes = _compared(file, source, settings)
    planned = _planned(changes, settings, include, allow)
    show(planned, json, [*plan_lines(planned), *finding_lines(report)])
    return FINDINGS if planned.n_rows or report.n_quarantined else OK


@app.command(name="push")
def push_(
    file: Path,
    /,
    *,
    source: Source = AS_IT_IS,
    plan: str = "",
    dry: Annotated[bool, Parameter(name="--dry-run")] = False,
    yes: Annotated[bool, Parameter(name=["--yes", "-y"])] = False,
    include: Include = (),
    allow: Allow = (),
    reason: str = "",
    json: Json = False,
) -> int:
    """Send what FILE changes, and report what became of every row.

    Parameters
    ----------
    plan
        The digest of a reviewed plan: anything else is not sent.
    dry
        Have the vendor check the rows and write nothing.
    yes
        Do not ask.
    reason
        Why, for the ledger.
    """
    settings = Settings()
    report, changes = _compared(file, source, settings)
    planned = _planned(changes, settings, include, allow)
    require_digest(planned, plan)
    for line in (repr(planned), *plan_lines(planned), *finding_lines(report)):
        say(line)
    sent = dry_run(planned, settings=settings) if dry else send(planned, settings, yes=yes, reason=reason)
    return _pushed(sent, json)


@app.command(name="resume")
def resume_(*, json: Json = False) -> int:
    """Go on with a push that stopped."""
    settings = labelled()
    if not status(settings=settings).open_push:
        counts = ("rows", *FATES, "quarantined", "left_out", "batches", "attempts")
        print_json({"plan": None, **dict.fromkeys(counts, 0)}) if json else print("No push is open: nothing waits.")
        return OK
    return _pushed(resume(settings=settings), json)


@app.command
def abandon(*, rows_lost: bool = False, json: Json = False) -> int:
    """Close a push that stopped, without sending the rest.

    Parameters
    ----------
    rows_lost
        Close it though the file of its rows is lost.
    """
    result = abandoned(settings=labelled(), rows_lost=rows_lost)
    show(result, json, fate_lines(result))
    return OK


@app.command(name="status")
def status_(*, json: Json = False) -> int:
    """Say where the target stands: its ledger, its pushes, what waits."""
    found = status(settings=labelled())
    show(found, json, status_lines(found))
    return FINDINGS if found.open_push else OK


@app.command
def snapshot(
    *,
    as_of: str | None = None,
    push: str = "",
    valid_at: str | None = None,
    out: Path | None = None,
    json: Json = False,
) -> int:
    """Write the customers as the vendor should hold them.

    Parameters
    ----------
    as_of
        Only what had been accepted by then (UTC).
    push
        Only what had been accepted when the last row of this push was, in place of a time.
    valid_at
        The version that was current on that date.
    out
        A .csv, .parquet or .xlsx file.
    """
    if out:
        require_free(out)
    found = Ledger.of(labelled()).snapshot(as_of=as_of, push=push, valid_at=valid_at)
    lines = [f"  written to {write_table(found.frame, out)}"] if out else []
    show(found, json, lines)
    return OK


@app.command
def history(customer_id: str, /, *, json: Json = False) -> int:
    """Show every entry of one customer in the ledger, oldest first."""
    settings = labelled()
    found = Ledger.of(settings).history(customer_id)
    entries = found.astype({TIME: "str", "recorded_at": "str"})
    if json:
        records = entries.astype(object).where(found.notna(), None).to_dict("records")
        print_json({ID: customer_id, "entries": records})
    elif found.empty:
        say(f"The ledger of target {settings.target} has no entry of this customer.")
    else:
        print(entries.where(found.notna(), "").drop(columns=ID).T.to_string(header=False))
    return OK


@app.command
def sandbox(*, port: int = 8765, data: Path | None = None) -> int:
    """Serve the sandbox on loopback until interrupted.

    Parameters
    ----------
    port
        Where it listens, by default 8765; 0 for a free port.
    data
        Its folder; by default the one that the embedded sandbox uses.
    """
    settings = Settings(base_url=None) if data is None else None
    documented = settings.contract if settings else os.environ.get("TOOLKIT_CONTRACT", "2026-04")
    folder = settings.folder("sandbox") if settings else data
    token = os.environ.get("PEAK_AUTH_TOKEN", "sandbox")
    with Sandbox(folder, port=port, contract=documented, token=token) as server:
        print(f"Sandbox at {server.url}, contract {documented}, data in {folder}", flush=True)
        said = "the one in PEAK_AUTH_TOKEN" if "PEAK_AUTH_TOKEN" in os.environ else "sandbox"
        print(f"Token: {said}. To work against it: TOOLKIT_BASE_URL={server.url}", flush=True)
        threading.Event().wait()
    return OK


@app.command
def demo(*, folder: Path | None = None) -> int:
    """Run the main job on the shipped deliveries and the sandbox, and say what happened.

    Parameters
    ----------
    folder
        Where the demo keeps its state and the executed notebooks; it is emptied first.
    """
    run_demo(folder, say=lambda line: print(line, flush=True))
    return OK


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    try:
        with warnings.catch_warnings():
            said = cache(lambda text: say(f"warning: {text}"))  # each once, from however many places
            warnings.showwarning = lambda message, *_, **__: said(str(message))
            code = app(given, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return _failed(f"{error} See 'toolkit --help'.".replace("\n", " "), as_json)
    except ToolkitError as error:
        return _failed(str(error), as_json, getattr(error, "report", None))
    except KeyboardInterrupt:
        if as_json:
            print_json({"error": "interrupted"})
        say("Interrupted. If a push was under way, 'toolkit resume' goes on and 'toolkit abandon' closes it.")
        return INTERRUPTED
    return code if isinstance(code, int) else OK


def _compared(file: Path, source: Source, settings: Settings) -> tuple[ValidationReport, Diff]:
    report = validated(file, source, settings)
    return report, diff(Ledger.of(settings).snapshot(), report)


def _planned(changes: Diff, settings: Settings, include: tuple[str, ...], allow: tuple[str, ...]) -> PushPlan:
    return plan_push(changes, settings=settings, include=names(include), allow=names(allow))


def _pushed(result: PushReport, as_json: bool) -> int:
    show(result, as_json, fate_lines(result))
    return OK if result.ok and not result.n_quarantined else FINDINGS


def _failed(message: str, as_json: bool, report: PushReport | None = None) -> int:
    if as_json:
        print_json({**(report.to_dict() if report else {}), "error": message})
    elif report:
        say(report.summary())
    say(f"error: {message}")
    return ERROR

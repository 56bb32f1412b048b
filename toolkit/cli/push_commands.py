"""The commands that send, and those that say what became of rows that were sent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import toolkit as tk
from toolkit.cli.terminal import (
    AFTER_ASKING,
    AS_IT_IS,
    AS_TEXT,
    AS_USUAL,
    Json,
    Output,
    Planning,
    Reason,
    Sending,
    Source,
    Who,
    compared,
    pairs,
    say_label,
    send,
    show,
    show_values,
)
from toolkit.errors import InputError, StoppedError
from toolkit.pushing import Named, require_digest
from toolkit.results import PushPlan
from toolkit.sending import FATES


def plan(file: Path, /, *, source: Source = AS_IT_IS, planning: Planning = AS_USUAL, output: Output = AS_TEXT) -> int:
    """Plan what to send of FILE; nothing leaves the machine."""
    report, changes = compared(file, source)
    return show(tk.plan_push(changes, **planning.chosen()), output, report)


def push(
    file: Path,
    /,
    *,
    source: Source = AS_IT_IS,
    plan: str = "",
    dry: Annotated[bool, Parameter(name="--dry-run")] = False,
    sending: Sending = AFTER_ASKING,
    output: Output = AS_TEXT,
) -> int:
    """Send what FILE changes, and report what became of every row.

    Parameters
    ----------
    plan
        The digest of a reviewed plan: nothing is sent if the plan is another one now.
    dry
        Have the vendor check the rows and write nothing.
    """
    report, changes = compared(file, source)
    planned = tk.plan_push(changes, **sending.chosen())
    require_digest(planned, plan)
    try:
        result = send(planned, sending, f"  {report.summary()}", dry=dry)
    except StoppedError as stopped:  # the page is wanted then most of all
        if stopped.report is not None:
            output.write(stopped.report)
        raise
    return show(result, output)


def resume(*, json: Json = False) -> int:
    """Continue a push that stopped."""
    say_label()
    if not tk.status().open_push:
        counts = dict.fromkeys(("rows", *FATES, "warned", "quarantined", "left_out", "batches", "attempts"), 0)
        return show_values({"plan": None, **counts}, json, "No push is open: there is nothing to resume.")
    return show(tk.resume(), Output(json))


def abandon(*, rows_lost: bool = False, json: Json = False) -> int:
    """Close a push that stopped, without sending the rest.

    Parameters
    ----------
    rows_lost
        Close it although the file of its rows is lost.
    """
    say_label()
    return show(tk.abandon(rows_lost=rows_lost), Output(json))


def amend(customer_id: str, /, *cells: str, sending: Sending = AFTER_ASKING, json: Json = False) -> int:
    """Send a new version of one customer, with other values in some columns.

    Parameters
    ----------
    cells
        column=value, such as source=customer; without a value after the = the cell becomes empty.
    """
    say_label()
    message = "amend takes column=value, such as source=customer."
    changed = {column: value or None for column, value in pairs(cells, message).items()}
    if not changed:
        raise InputError(message)
    planned = tk.plan_correction({customer_id: changed}, reason=sending.reason, **sending.chosen())
    return _sent(planned, sending, json)


def repush(
    name: str,
    /,
    *,
    patch: Path | None = None,
    who: Who = "",
    whole: bool = False,
    sending: Sending = AFTER_ASKING,
    json: Json = False,
) -> int:
    """Send again the rows of push NAME that were not accepted.

    Parameters
    ----------
    patch
        The review sheet of the refused rows that the data owner sent back (.xlsx), or a patch.
    whole
        Send the accepted rows as well.
    """
    say_label()
    fixed = tk.read_patch(patch, who=who or None) if patch else None
    planned = tk.repush(name, patch=fixed, whole=whole, reason=sending.reason, **sending.chosen())
    return _sent(planned, sending, json)


def revert(name: str, /, *, sending: Sending = AFTER_ASKING, json: Json = False) -> int:
    """Send versions that restore what the vendor held before push NAME."""
    say_label()
    return _sent(tk.revert(name, reason=sending.reason, **sending.chosen()), sending, json)


def settle(
    name: str,
    /,
    *,
    accepted: tuple[str, ...] = (),
    refused: tuple[str, ...] = (),
    accepted_row: tuple[int, ...] = (),
    refused_row: tuple[int, ...] = (),
    reason: Reason,
    json: Json = False,
) -> int:
    """Record what became of the unknown rows of push NAME, as seen in the vendor's table.

    Parameters
    ----------
    accepted
        A customer_id of which the vendor has the row, or all; may be repeated.
    refused
        A customer_id of which the vendor does not have the row, or all; may be repeated.
    accepted_row
        A source_row that the vendor has; may be repeated.
    refused_row
        A source_row that the vendor does not have; may be repeated.
    """
    say_label()
    taken: Named = "all" if "all" in accepted else (*accepted, *accepted_row)
    not_taken: Named = "all" if "all" in refused else (*refused, *refused_row)
    return show(tk.settle(name, accepted=taken, refused=not_taken, reason=reason), Output(json))


def _sent(planned: PushPlan, sending: Sending, json: bool) -> int:
    result = send(planned, sending)
    return show(result, Output(json), findings=result.has_findings or planned.n_left_out)

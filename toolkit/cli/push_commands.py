"""The commands for what comes after a push: correct, send again, take back, settle; arguments in, exit code out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from toolkit.cli.terminal import (
    AS_IT_IS,
    FINDINGS,
    OK,
    Allow,
    Json,
    Source,
    fate_lines,
    labelled,
    left_out_lines,
    names,
    plan_lines,
    print_json,
    require_free,
    say,
    send,
    show,
    validated,
)
from toolkit.config import Settings
from toolkit.display import plural
from toolkit.errors import InputError
from toolkit.ledger import Ledger
from toolkit.pushing import Named, PushPlan, plan_correction, push_history, push_report
from toolkit.pushing import repush as replanned
from toolkit.pushing import revert as reverted
from toolkit.pushing import seed as seeded
from toolkit.pushing import settle as settled
from toolkit.quality import read_corrections, read_patch
from toolkit.vendor import check_schema

Yes = Annotated[bool, Parameter(name=["--yes", "-y"], help="Do not ask.")]


def amend(
    customer_id: str, /, *cells: str, reason: str, allow: Allow = (), yes: Yes = False, json: Json = False
) -> int:
    """Send a new version of one customer, with other cells.

    Parameters
    ----------
    cells
        column=value, as customer_category=Retail; nothing behind the sign makes the cell empty.
    reason
        Why, for the ledger.
    """
    settings = labelled()
    pairs = [cell.partition("=") for cell in cells]
    if not pairs or not all(equals for _, equals, _ in pairs):
        raise InputError("amend takes column=value, such as customer_category=Retail.")
    changed = {column.strip(): value or None for column, _, value in pairs}
    planned = plan_correction({customer_id: changed}, reason=reason, settings=settings, allow=names(allow))
    return _sent(planned, settings, yes, json)


def repush(
    name: str,
    /,
    *,
    patch: Path | None = None,
    whole: bool = False,
    reason: str = "",
    allow: Allow = (),
    yes: Yes = False,
    json: Json = False,
) -> int:
    """Send again what push NAME did not bring in.

    Parameters
    ----------
    patch
        The review sheet of the refused rows that the data owner sent back, or a patch.
    whole
        Send what was accepted as well.
    reason
        Why, for the ledger.
    """
    settings = labelled()
    read = read_corrections if patch and patch.suffix.lower() == ".xlsx" else read_patch
    planned = replanned(
        name, patch=read(patch) if patch else None, whole=whole, reason=reason, settings=settings, allow=names(allow)
    )
    return _sent(planned, settings, yes, json)


def revert(name: str, /, *, reason: str = "", allow: Allow = (), yes: Yes = False, json: Json = False) -> int:
    """Send versions that restore what stood before push NAME.

    Parameters
    ----------
    reason
        Why, for the ledger.
    """
    settings = labelled()
    return _sent(reverted(name, reason=reason, settings=settings, allow=names(allow)), settings, yes, json)


def settle(
    name: str,
    /,
    *,
    accepted: tuple[str, ...] = (),
    refused: tuple[str, ...] = (),
    accepted_row: tuple[int, ...] = (),
    refused_row: tuple[int, ...] = (),
    reason: str,
    json: Json = False,
) -> int:
    """Say what became of the unknown rows of push NAME, having looked at the vendor's table.

    Parameters
    ----------
    accepted, refused
        A customer_id, or all; may be repeated.
    accepted_row, refused_row
        A source_row; may be repeated.
    reason
        How that is known, for the ledger.
    """
    taken: Named = "all" if "all" in accepted else (*accepted, *accepted_row)
    not_taken: Named = "all" if "all" in refused else (*refused, *refused_row)
    result = settled(name, accepted=taken, refused=not_taken, reason=reason, settings=labelled())
    show(result, json, fate_lines(result))
    return OK if result.ok else FINDINGS


def pushes(*, json: Json = False) -> int:
    """List every push to the target, those of colleagues on a shared ledger too."""
    found = push_history(settings=labelled())
    show(found, json, [f"  {line}" for line in found.to_frame().to_string(index=False).splitlines()])
    return OK


def report(name: str = "", /, *, excel: Path | None = None, json: Json = False) -> int:
    """Say what became of every row of push NAME, by default of the last one.

    Parameters
    ----------
    excel
        Write the refused rows as a review sheet for the data owner; 'repush --patch' takes it back.
    """
    found = push_report(name, settings=labelled())
    if excel:
        require_free(excel)
        say(f"  refused rows written to {found.to_excel(excel)}")
    show(found, json, fate_lines(found))
    return OK if found.ok else FINDINGS


def seed(
    file: Path, /, *, source: Source = AS_IT_IS, reason: str, beside_entries: bool = False, json: Json = False
) -> int:
    """Take over the customers of FILE into the ledger, which were sent before the toolkit came; nothing is sent.

    Parameters
    ----------
    reason
        How that is known, for the ledger.
    beside_entries
        Take them over though the ledger has entries already.
    """
    settings = Settings()
    good = validated(file, source, settings)
    n_rows = seeded(good, reason=reason, settings=settings, beside_entries=beside_entries)
    print_json({"seeded": n_rows}) if json else print(
        f"{plural(n_rows, 'row')} taken over into the ledger of {settings.target}"
    )
    return OK


def retract(customer_id: str = "", updated_at: str = "", /, *, push: str = "", reason: str, json: Json = False) -> int:
    """Enter that a version, or those of a push, did not arrive after all: they come up again in the next diff.

    Parameters
    ----------
    push
        The push whose rows are taken back, in place of one version.
    reason
        How that is known, for the ledger.
    """
    settings = labelled()
    if bool(push) == bool(customer_id and updated_at):
        raise InputError("retract takes a customer_id and its updated_at, or --push NAME.")
    keys = [(customer_id, updated_at)] if customer_id else []
    n_rows = Ledger.of(settings).retract(keys, push=push, reason=reason)
    print_json({"retracted": n_rows}) if json else print(f"{plural(n_rows, 'version')} retracted")
    return OK


def release(name: str, /, *, reason: str, json: Json = False) -> int:
    """Let others push to a shared ledger again, though push NAME was left open on a machine that is lost.

    Parameters
    ----------
    reason
        How that is known, for the ledger.
    """
    Ledger.of(labelled()).claims.release(name, reason=reason)
    print_json({"released": name}) if json else print(f"push {name} released")
    return OK


def schema(*, json: Json = False) -> int:
    """Hold the vendor's columns against ours; nothing is written."""
    found = check_schema(settings=labelled())
    show(found, json, [f"  {line}" for line in found.to_frame().to_string(index=False).splitlines()])
    return OK if found.ok else FINDINGS


LATER: tuple[Any, ...] = (amend, repush, revert, settle, report, pushes, seed, retract, release, schema)


def _sent(planned: PushPlan, settings: Settings, yes: bool, json: bool) -> int:
    for line in (planned.summary(), *plan_lines(planned), *left_out_lines(planned)):
        say(line)
    result = send(planned, settings, yes=yes)
    show(result, json, fate_lines(result))
    return OK if result.ok and not planned.n_left_out else FINDINGS

"""The commands about the record: pushes, the ledger, and the vendor's columns."""

from __future__ import annotations

from pathlib import Path

import toolkit as tk
from toolkit.cli.app import say
from toolkit.cli.terminal import (
    AS_IT_IS,
    AS_TEXT,
    Json,
    Output,
    Overwrite,
    Reason,
    SheetLanguage,
    Source,
    frame_lines,
    require_free,
    say_label,
    show,
    show_values,
    validated,
    written,
)
from toolkit.config import current
from toolkit.display import plural
from toolkit.errors import InputError
from toolkit.model import ID, TIME
from toolkit.pushing import seed as seeded
from toolkit.tables import ENDINGS, write_table


def status(*, output: Output = AS_TEXT) -> int:
    """Show where the target stands: its ledger, its pushes, what waits."""
    say_label()
    return show(tk.status(), output)


def report(
    name: str = "", /, *, excel: Path | None = None, language: SheetLanguage = None, output: Output = AS_TEXT
) -> int:
    """Report what became of every row of push NAME, by default of the last one.

    Parameters
    ----------
    excel
        Write the refused rows as a review sheet for the data owner; 'repush --patch' reads it back.
    """
    require_free(excel, overwrite=output.overwrite, endings=(".xlsx",))
    say_label()
    found = tk.push_report(name)
    if excel:
        say(f"  refused rows written to {found.to_excel(excel, language=language)}")
    return show(found, output)


def pushes(*, json: Json = False) -> int:
    """List every push to the target, including those of colleagues on a shared ledger."""
    say_label()
    return show(tk.push_history(), Output(json))


def snapshot(
    *,
    as_of: str | None = None,
    push: str = "",
    valid_at: str | None = None,
    out: Path | None = None,
    raw: bool = False,
    overwrite: Overwrite = False,
    json: Json = False,
) -> int:
    """Write the customers as the vendor should hold them.

    Parameters
    ----------
    as_of
        Only what had been accepted by then (UTC).
    push
        Only what had been accepted when the last row of this push was; instead of a time.
    valid_at
        The version that was current on that date.
    out
        A .csv, .parquet or .xlsx file. In .csv an apostrophe is put before a cell that a spreadsheet would run.
    raw
        Write .csv for a program, every cell as it is.
    """
    require_free(out, overwrite=overwrite, endings=ENDINGS)
    if raw and not (out and out.suffix.lower() == ".csv"):
        raise InputError("--raw is for a .csv file: name one with --out, or leave out --raw.")
    say_label()
    found = tk.Ledger.of().snapshot(as_of=as_of, push=push, valid_at=valid_at)
    return show(found, Output(json), *([written(write_table(found.frame, out, raw=raw), raw=raw)] if out else []))


def history(customer_id: str, /, *, json: Json = False) -> int:
    """Show every entry of one customer in the ledger, oldest first."""
    say_label()
    found = tk.Ledger.of().history(customer_id)
    if found.empty:
        raise InputError(f"The ledger of target {current().target} has no entry of this customer: check the id.")
    cells = found.astype({TIME: "str", "recorded_at": "str"}).astype(object)
    lines = frame_lines(cells.where(found.notna(), "").drop(columns=ID).T, header=False)
    return show_values({ID: customer_id, "entries": cells.where(found.notna(), None).to_dict("records")}, json, *lines)


def seed(
    file: Path, /, *, source: Source = AS_IT_IS, reason: Reason, beside_entries: bool = False, json: Json = False
) -> int:
    """Record in the ledger the customers of FILE, which were sent without the toolkit; nothing is sent.

    Parameters
    ----------
    beside_entries
        Record them although the ledger has entries already.
    """
    report = validated(file, source)
    say(f"  {report.summary()}")
    n_rows = seeded(report, reason=reason, beside_entries=beside_entries)
    text = f"{plural(n_rows, 'row')} recorded in the ledger of {current().target}"
    return show_values({"seeded": n_rows}, json, text)


def retract(
    customer_id: str = "", updated_at: str = "", /, *, push: str = "", reason: Reason, json: Json = False
) -> int:
    """Record that a version, or those of a push, did not arrive: the next diff lists them again.

    Parameters
    ----------
    push
        The push whose rows are retracted, instead of one version.
    """
    say_label()
    if bool(push) == bool(customer_id and updated_at):
        raise InputError("retract takes a customer_id and its updated_at, or --push NAME.")
    keys = [(customer_id, updated_at)] if customer_id else []
    n_rows = tk.Ledger.of().retract(keys, push=push, reason=reason)
    return show_values({"retracted": n_rows}, json, f"{plural(n_rows, 'version')} retracted")


def release(name: str, /, *, reason: Reason, json: Json = False) -> int:
    """Let others push to a shared ledger again after push NAME was left open on a lost machine."""
    say_label()
    tk.Ledger.of().claims.release(name, reason=reason)
    return show_values({"released": name}, json, f"push {name} released")


def explain(code: str = "", /, *, means: str | None = None, do: str | None = None, json: Json = False) -> int:
    """Show what CODE of the vendor has meant and what helped, or write it down.

    Parameters
    ----------
    means
        What it meant.
    do
        What helped.
    """
    return show(tk.explain(code, means=means, do=do), Output(json))


def schema(*, json: Json = False) -> int:
    """Compare the vendor's columns with ours; nothing is written."""
    say_label()
    return show(tk.check_schema(), Output(json))

"""The commands that look at a file, and send nothing."""

from __future__ import annotations

import shlex
from pathlib import Path

import toolkit as tk
from toolkit.cli.app import say
from toolkit.cli.terminal import (
    AS_IT_IS,
    AS_TEXT,
    Json,
    Output,
    Overwrite,
    SheetLanguage,
    Source,
    Who,
    compared,
    pairs,
    read,
    require_free,
    say_label,
    show,
    validated,
    warn,
    written,
)
from toolkit.errors import InputError
from toolkit.quality import RULES, called_for


def suggest(file: Path, /, *, source: Source = AS_IT_IS, to: Path | None = None, output: Output = AS_TEXT) -> int:
    """Propose which column of FILE is which, and how its times are written.

    Parameters
    ----------
    to
        Write the proposal as a mapping; what is undecided is in it as comments, for you to state.
    """
    require_free(to, overwrite=output.overwrite, sources=(file,))
    source.refuse("set", "correct", "patch", because="suggest proposes a mapping for the file as it is")
    proposed = tk.suggest_mapping(file, mapping=source.mapping, sheet=source.sheet)
    warn(proposed.warnings)
    if to:
        called = called_for(proposed.sample, before=tk.Ledger.of().snapshot())
        say(f"  written to {proposed.to_toml(to, corrections=called, overwrite=output.overwrite)}")
    return show(proposed, output)


def check(
    file: Path,
    /,
    *,
    source: Source = AS_IT_IS,
    excel: Path | None = None,
    language: SheetLanguage = None,
    output: Output = AS_TEXT,
) -> int:
    """Check FILE against the contract; nothing leaves the machine.

    Parameters
    ----------
    excel
        Write the quarantined rows as a review sheet for the data owner; 'review' reads it back.
    """
    require_free(excel, overwrite=output.overwrite, endings=(".xlsx",), sources=(file,))
    report = validated(file, source, before=tk.Ledger.of().snapshot())
    if excel:
        say(f"  review sheet written to {report.to_excel(excel, language=language)}")
        say(f"  When it comes back, under another name: --patch {shlex.quote(f'{excel.stem}-corrected.xlsx')}")
    return show(report, output)


def scan(
    file: Path,
    /,
    *,
    mapping: Path | None = None,
    good: Path | None = None,
    bad: Path | None = None,
    warnings: bool = False,
    overwrite: Overwrite = False,
    json: Json = False,
) -> int:
    """Check a FILE that does not fit in memory, .parquet or .csv, by the same rules.

    Parameters
    ----------
    mapping
        A TOML file that says which file column is which.
    good
        Where to write the rows without a failure: .parquet or .csv.
    bad
        Where to write the rows with a failure, and their reasons: .parquet or .csv.
    warnings
        Also run the rules that only warn; this takes more time and memory.
    """
    require_free(good, bad, overwrite=overwrite, sources=(file,))
    say_label()
    found = tk.validate(file, mapping=mapping, rules=RULES if warnings else (), good=good, bad=bad)
    warn(found.reading_warnings)
    for path in filter(None, (good, bad)):
        say(written(path))
    if mapping and (skipped := tk.Mapping.load(mapping).corrections):
        say(f"  not corrected: {', '.join(skipped)}. 'check' makes the mapping's corrections first.")
    return show(found, Output(json))


def profile(file: Path, /, *, source: Source = AS_IT_IS, output: Output = AS_TEXT) -> int:
    """Show what FILE contains, column by column."""
    delivery = read(file, source)
    return show(tk.profile(tk.correct(delivery, source.corrections({}))), output)


def corrections(file: Path, /, *, source: Source = AS_IT_IS, json: Json = False) -> int:
    """Count what each correction would change in FILE; nothing is changed."""
    source.refuse("patch", because="corrections tries each correction by itself, on the file as it is")
    delivery = read(file, source)
    options = {c: o for c, o in source.corrections(delivery.corrections).items() if not isinstance(o, bool)}
    return show(tk.preview_corrections(delivery, options, before=tk.Ledger.of().snapshot()), Output(json))


def review(sheet: Path, /, *, out: Path, who: Who = "", overwrite: Overwrite = False, json: Json = False) -> int:
    """Make a patch of the review sheet that the data owner sent back.

    Parameters
    ----------
    out
        The patch, a .csv file: give it to the other commands with --patch.
    """
    require_free(out, overwrite=overwrite, endings=(".csv",), sources=(sheet,))
    patch = tk.read_review_sheet(sheet, who=who or None)
    say(written(patch.write(out)))
    return show(patch, Output(json))


def diff(file: Path, /, *, source: Source = AS_IT_IS, output: Output = AS_TEXT) -> int:
    """Compare FILE with what was sent before."""
    report, changes = compared(file, source)
    keys = changes.n_duplicate_keys + report.n_duplicate_keys
    return show(changes, output, report, quarantined=report.n_quarantined, duplicate_keys=keys)


def readiness(
    file: Path | None = None,
    /,
    *,
    quotes: Path,
    sales: Path | None = None,
    merchants: Path | None = None,
    column: tuple[str, ...] = (),
    stale_months: int = 12,
    source: Source = AS_IT_IS,
    output: Output = AS_TEXT,
) -> int:
    """Check whether quotes and sales can train the model, before and after a push of FILE.

    Parameters
    ----------
    file
        The customers to push; without it, what the ledger has alone counts.
    quotes
        The quotes: .parquet, .csv or another table, one row for each line.
    sales
        The sales, likewise.
    merchants
        The merchants that the quotes refer to, likewise.
    column
        What the files call a column of the vendor's, as quoted_at=NAME; may be repeated.
    stale_months
        A customer is stale if its newest version is older than so many months.
    """
    say_label()
    names = pairs(column, "--column takes the vendor's name and yours, such as quoted_at=Date, and one has no '='.")
    if file is None and source != AS_IT_IS:
        raise InputError("--mapping, --sheet, --set, --correct and --patch are about FILE: name the file to push.")
    plan = tk.plan_push(compared(file, source)[1]) if file else None
    found = tk.readiness(
        tk.Ledger.of(), quotes, sales, merchants=merchants, plan=plan, columns=names, stale_months=stale_months
    )
    return show(found, output)

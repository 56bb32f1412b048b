"""The commands that look at a file and at nothing else: arguments in, exit code out; no logic."""

from __future__ import annotations

from pathlib import Path

from toolkit.cli.terminal import (
    AS_IT_IS,
    FINDINGS,
    OK,
    Json,
    Source,
    finding_lines,
    labelled,
    profile_lines,
    read,
    require_free,
    say,
    show,
    suggestion_lines,
    validated,
)
from toolkit.config import Settings
from toolkit.quality import RULES, called_for, preview_corrections, read_corrections, validate
from toolkit.quality import profile as profiled
from toolkit.reading import Mapping, suggest_mapping


def check(file: Path, /, *, source: Source = AS_IT_IS, excel: Path | None = None, json: Json = False) -> int:
    """Check FILE against the contract; nothing leaves the machine.

    Parameters
    ----------
    excel
        Write the quarantined rows as a workbook for the data owner; 'mend' takes it back.
    """
    report = validated(file, source, Settings())
    if excel:
        require_free(excel)
        say(f"  rows to mend written to {report.to_excel(excel)}")
    show(report, json, finding_lines(report))
    return OK if report.ok else FINDINGS


def scan(
    file: Path,
    /,
    *,
    mapping: Path | None = None,
    good: Path | None = None,
    bad: Path | None = None,
    warnings: bool = False,
    json: Json = False,
) -> int:
    """Check a FILE that does not fit in memory, .parquet or .csv, by the same rules.

    Parameters
    ----------
    mapping
        A TOML file that says which file column is which.
    good, bad
        Where to write the rows without a failure, and those with one and their reasons: .parquet or .csv.
    warnings
        Look for what will hurt later too, which takes more time and memory.
    """
    settings = labelled()
    for path in (good, bad):
        if path:
            require_free(path)
    rules = RULES if warnings else ()
    found = validate(file, settings=settings, mapping=mapping, rules=rules, good=good, bad=bad)
    for path in (good, bad):
        if path:
            say(f"  written to {path}")
    show(found, json, [f"  {why}: {n:,}" for why, n in {**found.counts, **found.warning_counts}.items()])
    return OK if found.ok else FINDINGS


def profile(file: Path, /, *, source: Source = AS_IT_IS, json: Json = False) -> int:
    """Say what FILE holds, column by column."""
    found = profiled(read(file, source, Settings()))
    show(found, json, profile_lines(found))
    return OK


def suggest(
    file: Path, /, *, source: Source = AS_IT_IS, to: Path | None = None, overwrite: bool = False, json: Json = False
) -> int:
    """Propose which column of FILE is which, and how its times are written.

    Parameters
    ----------
    to
        Write the proposal as a mapping, with what is open as comments for you to state.
    overwrite
        Write over a mapping that is there.
    """
    proposed = suggest_mapping(file, mapping=Mapping.load(source.mapping) if source.mapping else None)
    if to:
        written = proposed.to_toml(to, corrections=called_for(proposed.sample), overwrite=overwrite)
        say(f"  written to {written}")
    show(proposed, json, suggestion_lines(proposed))
    return OK


def corrections(file: Path, /, *, source: Source = AS_IT_IS, json: Json = False) -> int:
    """Say what each correction would change in FILE; nothing is changed."""
    delivery = read(file, source, Settings())
    found = preview_corrections(delivery, {k: v for k, v in delivery.corrections.items() if not isinstance(v, bool)})
    show(found, json, [f"  {name}: {n:,}" for name, n in found.counts.items()])
    return FINDINGS if any(found.counts.values()) else OK


def mend(sheet: Path, /, *, out: Path, json: Json = False) -> int:
    """Make a patch of the workbook that the data owner sent back.

    Parameters
    ----------
    out
        The patch, a .csv or .parquet file: give it to the other commands with --patch.
    """
    require_free(out)
    patch = read_corrections(sheet)
    say(f"  written to {patch.write(out)}")
    show(patch, json)
    return OK if patch.n_entries else FINDINGS

"""What commands share: their options, the steps from a file to a push, and how a result is printed."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, Any

import pandas as pd
from cyclopts import Parameter

import toolkit as tk
from toolkit import results
from toolkit.characters import printable
from toolkit.cli.app import FINDINGS, OK, print_json, say
from toolkit.config import current
from toolkit.display import Result, plural, visible
from toolkit.errors import InputError
from toolkit.model import ID, TIME, Language
from toolkit.quality import PATCH
from toolkit.sending import FATES

Json = Annotated[bool, Parameter(help="Print one JSON object instead of text.")]
Overwrite = Annotated[bool, Parameter(help="Replace files that exist.")]
Reason = Annotated[str, Parameter(help="Why, for the ledger.")]
SheetLanguage = Annotated[
    Language | None, Parameter(help="Language of the review sheet: en, de or fr; by default what the mapping says.")
]
Who = Annotated[str, Parameter(help="Who made the corrections, for the record; by default you.")]


@Parameter(name="*")
@dataclass(frozen=True)
class Source:
    """How the file is read.

    Attributes
    ----------
    mapping
        A TOML file that says which file column is which.
    set
        A constant, as column=value, which overrides the mapping; may be repeated.
    correct
        A correction to apply besides the mapping's, as NAME or NAME=VALUE, such as pad_ids=7; may be repeated.
    patch
        A patch, or a review sheet (.xlsx) that came back, to apply after the corrections; may be repeated.
    sheet
        The worksheet of a workbook to read.
    """

    mapping: Path | None = None
    set: tuple[str, ...] = ()
    correct: tuple[str, ...] = ()
    patch: tuple[str, ...] = ()
    sheet: str | None = None

    def corrections(self, configured: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of the mapping, with what was given besides."""
        given = (each.partition("=") for each in self.correct)
        chosen = {**configured, **{name: _option(value) if equals else True for name, equals, value in given}}
        if self.patch:
            listed = chosen.get(PATCH, ())
            chosen[PATCH] = [*([listed] if isinstance(listed, str) else listed), *self.patch]
        return chosen

    def refuse(self, *options: str, because: str) -> None:
        """Refuse options that a command would ignore."""
        for option in options:
            if getattr(self, option):
                raise InputError(f"{because}: leave out --{option}.")


def _option(value: str) -> Any:
    """Return a correction's option as a mapping has it; words need no quotes, a list no brackets."""
    if re.match(r"""[\[{"'\d]|(true|false)$""", value):
        for each in (value, f"[{value}]"):
            with suppress(ValueError, RecursionError):  # too many digits, or brackets
                return tomllib.loads(f"option = {each}")["option"]
    words = value.split(",")
    if all("=" in word for word in words):
        return dict(word.split("=", 1) for word in words)
    return words if words[1:] else value


@Parameter(name="*")
@dataclass(frozen=True)
class Planning:
    """What may be sent.

    Attributes
    ----------
    include
        States to send as well: touched, restated, backdated; may be repeated.
    allow
        A guard to allow, by its name; all for every guard; may be repeated.
    """

    include: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()

    def chosen(self) -> dict[str, Any]:
        """Return both as arguments for what plans a push; several names may be separated by commas."""
        return {
            option: [name.strip() for each in given for name in each.split(",") if name.strip()]
            for option, given in (("include", self.include), ("allow", self.allow))
        }


@Parameter(name="*")
@dataclass(frozen=True)
class Sending(Planning):
    """What may be sent, and whether to ask.

    Attributes
    ----------
    yes
        Do not ask for a confirmation.
    reason
        Why, for the ledger.
    """

    yes: Annotated[bool, Parameter(name=["--yes", "-y"])] = False
    reason: str = ""


AS_IT_IS, AS_USUAL, AFTER_ASKING = Source(), Planning(), Sending()


def pairs(given: Iterable[str], message: str) -> dict[str, str]:
    """Return column and value of each ``column=value``; `message` is the error for one without ``=``."""
    parts = [each.partition("=") for each in given]
    if not all(equals for _, equals, _ in parts):
        raise InputError(message)
    return {column.strip(): value for column, _, value in parts}


def require_free(
    *paths: Path | None, overwrite: bool, endings: tuple[str, ...] = (), sources: tuple[Path, ...] = ()
) -> None:
    """Refuse files that cannot be written, before any work is done.

    One that exists may be the owner's answers: only ``--overwrite`` replaces it, and nothing replaces one of `sources`.
    """
    for path in filter(None, paths):
        try:
            if path.is_dir():
                raise InputError(f"{path} is a folder: name a file in it.")
            if endings and path.suffix.lower() not in endings:
                raise InputError(f"{path} cannot be written: give a name that ends in {' or '.join(endings)}.")
            if path.exists() and any(source.exists() and path.samefile(source) for source in sources):
                raise InputError(f"{path} is the file to read: give another name.")
            if path.exists() and not overwrite:
                raise InputError(f"{path} exists already: give another name, or --overwrite to replace it.")
            TemporaryFile(dir=path.parent).close()
        except OSError as error:
            raise InputError(f"{path} cannot be written ({error.strerror}): choose another place.") from None


@Parameter(name="*")
@dataclass(frozen=True)
class Output:
    """How the result is given.

    Attributes
    ----------
    json
        Print one JSON object instead of text.
    html
        Also write the page that a notebook shows, to be mailed.
    overwrite
        Replace files that exist.
    """

    json: bool = False
    html: Path | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:  # when the arguments are read, before any work is done
        require_free(self.html, overwrite=self.overwrite, endings=(".html", ".htm"))

    def write(self, result: Result) -> None:
        """Write the page, if one is wanted."""
        if self.html:
            say(f"  page written to {result.to_html(self.html)}")


AS_TEXT = Output()


def read(file: Path, source: Source) -> results.Delivery:
    """Read the file as `source` says, and print what is probably wrong with how it was read."""
    constants = pairs(source.set, "--set takes column=value, such as source=customer, and one of them has no '='.")
    delivery = tk.read_customers(file, mapping=source.mapping, constants=constants, sheet=source.sheet)
    warn(delivery.warnings)
    return delivery


def written(path: Path, *, raw: bool = False) -> str:
    """Return the line on a file that was written, and on what it has for a spreadsheet."""
    inert = "; an apostrophe is before each cell that a spreadsheet would run, and the toolkit reads it without"
    return f"  written to {path}{inert if path.suffix.lower() == '.csv' and not raw else ''}"


def warn(warnings: Iterable[str]) -> None:
    """Print warnings, the further lines of each indented."""
    for text in warnings:
        for line in f"  warning: {text}".replace("\n", "\n    ").split("\n"):
            say(line)


def corrected(file: Path, source: Source) -> results.Correction:
    """Read and correct the file, and print what was detected and changed."""
    say_label()
    delivery = read(file, source)
    done = tk.correct(delivery, source.corrections(delivery.corrections))
    for line in (*delivery.notes, *([done.summary()] if done.rules else []), *done.notes):
        say(f"  {line}")
    return done


def validated(file: Path, source: Source, *, before: results.Snapshot | None = None) -> results.ValidationReport:
    """Read, correct and check the file, against what was sent before if anything was."""
    return tk.validate(corrected(file, source), before=before if before and before.n_customers else None)


def compared(file: Path, source: Source) -> tuple[results.ValidationReport, results.Diff]:
    """Read, correct and check the file, and compare it with what was sent before."""
    before = tk.Ledger.of().snapshot()
    report = validated(file, source, before=before)
    return report, tk.diff(before, report)


def send(planned: results.PushPlan, sending: Sending, *more: str, dry: bool = False) -> results.PushReport:
    """Print what is planned, and push it after a confirmation: no request is made before it, not even for columns.

    A push that a guard blocks goes to `push` directly, which refuses it, and nobody is asked.

    Raises
    ------
    InputError
        If there is no terminal to ask at, or the answer is not yes.
    PlanError
        If the vendor's table requires a column that is not sent.
    """
    for line in (planned.summary(), *lines_of(planned), *more):
        say(line)
    if dry:
        return tk.dry_run(planned)
    if planned.n_rows and not sending.yes and all(guard.allowed for guard in planned.guards):
        _confirm(planned.n_rows)
    return tk.push(planned, reason=sending.reason)


def _confirm(n_rows: int) -> None:
    if not sys.stdin.isatty():
        raise InputError(
            "The push needs a confirmation, and there is no terminal to ask at: give --yes to send without one."
        )
    print(f"Send {plural(n_rows, 'row')} to {current().label}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise InputError("Not confirmed: nothing was sent.")


def say_label() -> None:
    """Print which target, host and contract apply."""
    say(current().label)


def show(result: Result, output: Output, *more: Result | str, findings: object = None, **values: Any) -> int:
    """Print a result on standard output, as its summary and lines or as one JSON object; returns the exit code.

    Parameters
    ----------
    more
        Lines to print after the result's own, or results whose counts to print.
    findings
        Whether there is something to report; by default what the result says.
    values
        What the JSON object has besides, or instead.
    """
    lines = [result.summary(), *lines_of(result)]
    lines += [each if isinstance(each, str) else f"  {each.summary()}" for each in more]
    output.write(result)
    found = result.has_findings if findings is None else findings
    return show_values(result.to_dict() | values, output.json, *lines, findings=found)


def show_values(values: dict[str, Any], as_json: bool, *lines: str, findings: object = False) -> int:
    """Print values as one JSON object, or the lines that stand for them; returns the exit code."""
    print_json(values) if as_json else print(*map(printable, lines), sep="\n")
    return FINDINGS if findings else OK


@singledispatch
def lines_of(result: Result) -> list[str]:
    """Return the lines that are printed below a result's summary: its own, or those of its type below."""
    return [f"  {line}" for line in getattr(result, "lines", list)()]


@lines_of.register
def _(found: results.Profile) -> list[str]:
    return _lines(found.columns, "{column}: {null_share:.1%} null, {distinct:,} distinct", most=len(found.columns))


@lines_of.register
def _(proposed: results.MappingSuggestion) -> list[str]:
    chosen = proposed.to_frame().query("state != 'runner-up'")
    lines = _lines(chosen, "{column}: {file_column!r} ({score:.0%}, {reason})", most=len(chosen))
    times = proposed.times.notes if proposed.times else ()
    return lines + [f"  {note}" for note in (*proposed.notes, *(f"{TIME}: {note}" for note in times))]


@lines_of.register
def _(found: results.Preview) -> list[str]:
    return [f"  {name}: {said}" for name, said in found.choices.items()]


@lines_of.register
def _(found: results.Readiness) -> list[str]:
    return [f"  {line}" for line in (*found.lines().values(), *found.notes)]


@lines_of.register
def _(changes: results.Diff) -> list[str]:
    return _lines(changes.fields, "source_row {source_row}: {id} {column}", "changed fields")


@lines_of.register
def _(planned: results.PushPlan) -> list[str]:
    lines = [
        f"  guard {g.name}: {g.message}" + (" Allowed." if g.allowed else f" To allow it: --allow {g.name}")
        for g in planned.guards
    ]
    for state, n, way in planned.ways_in:
        lines.append(f"  {'customers held' if state == 'held' else f'left out, {state}'}: {n:,} ({way})")
    if planned.excluded is not None:  # rows that were named one by one: say why each is left out
        lines += _lines(planned.not_sent, "left out: {id}, {state}: {why}", "rows left out")
    return lines


@lines_of.register
def _(result: results.PushReport) -> list[str]:
    lines = _lines(
        result.refused, "refused: source_row {source_row}, {id}: {code} {category} {message}", "refused rows"
    )
    lines += [f"  {c}: {said['means']} {said['do']}".rstrip() for c, said in result.codes.items()]
    if result.n_refused and result.state != "dry run":
        lines.append(
            f"  To fix them: 'toolkit report {result.push} --excel refused.xlsx', and when the data owner has sent it "
            f"back 'toolkit repush {result.push} --patch refused-corrected.xlsx'."
        )
    form = "accepted with a warning: source_row {source_row}, {id}: {code} {category} {message}"
    lines += _lines(result.warned, form, "rows accepted with a warning")
    lines += _lines(result.unknown, "unknown, sent without an answer: source_row {source_row}, {id}", "unknown rows")
    lines += _lines(result.overtaken, "{message}: source_row {source_row}, {id}", "rows left out")
    return lines + [f"  {way}" for way in result.waits]


@lines_of.register
def _(found: results.Status) -> list[str]:
    counts = ", ".join(f"{{{fate}:,}} {fate}" for fate in FATES)
    pushes = found.pushes.assign(rows=[plural(n, "row") for n in found.pushes["rows"]])
    return _lines(pushes, f"{{opened_at}} {{push}} {{state}}: {{rows}}, {counts} · {{source}}", "pushes")


@lines_of.register(results.PushHistory)
@lines_of.register(results.Codes)
@lines_of.register(results.SchemaCheck)
def _(found: Result) -> list[str]:
    return [f"  {line}" for line in frame_lines(found.to_frame(), index=False)]


def frame_lines(frame: pd.DataFrame, **options: Any) -> list[str]:
    """Return a frame as lines, aligned; `options` are those of `to_string`."""
    return str(_visible(frame).to_string(**options)).split("\n")


def _visible(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.map(lambda cell: visible(cell) if isinstance(cell, str) else cell)


def _lines(rows: pd.DataFrame, form: str, what: str = "", *, most: int = 20) -> list[str]:
    """Return the first rows as lines of this form, and how many more of `what` there are."""
    shown = _visible(rows.head(most).rename(columns={ID: "id"}))
    lines = ["  " + " ".join(form.format_map(row).split()) for row in shown.to_dict("records")]
    return lines + ([f"  and {len(rows) - most:,} more {what}"] if len(rows) > most else [])

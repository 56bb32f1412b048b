"""What commands share: their options, the steps from a file to a push, and how a result is printed."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from cyclopts import Parameter

import toolkit as tk
from toolkit import results
from toolkit.cli.app import FINDINGS, OK, print_json, say
from toolkit.config import current
from toolkit.display import Result, plural
from toolkit.errors import InputError
from toolkit.ledger import WAYS_IN
from toolkit.model import ID
from toolkit.quality import PATCH
from toolkit.sending import FATES

Json = Annotated[bool, Parameter(help="Print one JSON object instead of text.")]
Reason = Annotated[str, Parameter(help="Why, for the ledger.")]


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
        A correction to apply besides the mapping's; may be repeated.
    patch
        A patch to apply after the corrections; may be repeated.
    """

    mapping: Path | None = None
    set: tuple[str, ...] = ()
    correct: tuple[str, ...] = ()
    patch: tuple[str, ...] = ()


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


def require_free(*paths: Path | None) -> None:
    """Refuse to overwrite a file: it may be the owner's answers, or the delivery itself."""
    for path in paths:
        if path and path.exists():
            raise InputError(f"{path} exists already: give another name, or move it away first.")


def read(file: Path, source: Source) -> results.Delivery:
    """Read the file as `source` says, and print what is probably wrong with how it was read."""
    constants = pairs(source.set, "--set takes column=value, such as source=customer, and one of them has no '='.")
    delivery = tk.read_customers(file, mapping=source.mapping, constants=constants)
    warn(delivery.warnings)
    return delivery


def warn(warnings: Iterable[str]) -> None:
    """Print warnings, the further lines of each indented."""
    for text in warnings:
        say(f"  warning: {text}".replace("\n", "\n    "))


def validated(file: Path, source: Source) -> results.ValidationReport:
    """Read, correct and check the file, and print what was detected and changed."""
    say_label()
    delivery = read(file, source)
    chosen: dict[str, Any] = {**delivery.corrections, **dict.fromkeys(source.correct, True)}
    if source.patch:
        listed = chosen.get(PATCH, ())
        chosen[PATCH] = [*([listed] if isinstance(listed, str) else listed), *source.patch]
    corrected = tk.correct(delivery, chosen)
    for line in (*delivery.notes, *([corrected.summary()] if corrected.rules else []), *corrected.notes):
        say(f"  {line}")
    return tk.validate(corrected)


def compared(file: Path, source: Source) -> tuple[results.ValidationReport, results.Diff]:
    """Read, correct and check the file, and compare it with what was sent before."""
    report = validated(file, source)
    return report, tk.diff(tk.Ledger.of().snapshot(), report)


def send(planned: results.PushPlan, sending: Sending) -> results.PushReport:
    """Push what is planned, after a confirmation: no request is made before it, not even for the vendor's columns.

    A push that a guard blocks goes to `push` directly, which refuses it, and nobody is asked.

    Raises
    ------
    InputError
        If there is no terminal to ask at, or the answer is not yes.
    PlanError
        If the vendor's table requires a column that is not sent.
    """
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


def show(result: Result, as_json: bool, *more: Result | str, findings: object = False, **values: Any) -> int:
    """Print a result on standard output, as its summary and lines or as one JSON object; returns the exit code.

    Parameters
    ----------
    more
        Lines to print after the result's own, or results whose lines to print.
    findings
        Whether there is something to report.
    values
        What the JSON object has besides, or instead.
    """
    lines = [result.summary(), *lines_of(result)]
    for each in more:
        lines += [each] if isinstance(each, str) else lines_of(each)
    return show_values(result.to_dict() | values, as_json, "\n".join(lines), findings=findings)


def show_values(values: dict[str, Any], as_json: bool, text: str, *, findings: object = False) -> int:
    """Print values as one JSON object, or the text that stands for them; returns the exit code."""
    print_json(values) if as_json else print(text)
    return FINDINGS if findings else OK


@singledispatch
def lines_of(result: Result) -> list[str]:  # noqa: ARG001 - the types below have lines
    """Return the lines that are printed below a result's summary."""
    return []


@lines_of.register
def _(found: results.Profile) -> list[str]:
    return _lines(found.columns, "{column}: {null_share:.1%} null, {distinct:,} distinct", most=len(found.columns))


@lines_of.register
def _(proposed: results.MappingSuggestion) -> list[str]:
    chosen = proposed.to_frame().query("state != 'runner-up'")
    lines = _lines(chosen, "{column}: {file_column!r} ({score:.0%}, {reason})", most=len(chosen))
    return lines + [f"  {note}" for note in proposed.notes]


@lines_of.register
def _(found: results.Preview) -> list[str]:
    return [f"  {name}: {n:,}" for name, n in found.counts.items()]


@lines_of.register
def _(report: results.ValidationReport) -> list[str]:
    lines = []
    for word, findings in (("failure", report.failures), ("warning", report.warnings)):
        for why, group in findings.groupby("reason", sort=False):
            places = ", ".join(map(str, group["index"].head(8))) + (", …" if len(group) > 8 else "")
            lines.append(f"  {word}: {why} ({len(group):,}: source_row {places})")
    return lines


@lines_of.register
def _(changes: results.Diff) -> list[str]:
    return _lines(changes.fields, "source_row {source_row}: {id} {column}", "changed fields")


@lines_of.register
def _(planned: results.PushPlan) -> list[str]:
    lines = [
        f"  guard {g.name}: {g.message}" + (" Allowed." if g.allowed else f" To allow it: --allow {g.name}")
        for g in planned.guards
    ]
    for state, n in planned.left_out.items():
        if n:
            kind = "customers held" if state == "held" else f"left out, {state}".replace("_", " ")
            lines.append(f"  {kind}: {n:,} ({WAYS_IN[state]})")
    if planned.excluded is not None:  # rows that were named one by one: say why each is left out
        lines += _lines(planned.not_sent, "left out: {id}, {state}: {why}", "rows left out")
    return lines


@lines_of.register
def _(result: results.PushReport) -> list[str]:
    lines = _lines(
        result.refused, "refused: source_row {source_row}, {id}: {code} {category} {message}", "refused rows"
    )
    if result.n_refused and result.state != "dry run":
        lines.append(
            f"  To fix them: 'toolkit report {result.push} --excel refused.xlsx', and when the data owner has "
            f"corrected it 'toolkit repush {result.push} --patch refused.xlsx'."
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
@lines_of.register(results.SchemaCheck)
def _(found: Result) -> list[str]:
    return [f"  {line}" for line in found.to_frame().to_string(index=False).splitlines()]


def _lines(rows: pd.DataFrame, form: str, what: str = "", *, most: int = 20) -> list[str]:
    """Return the first rows as lines of this form, and how many more of `what` there are."""
    records = rows.head(most).rename(columns={ID: "id"}).to_dict("records")
    lines = ["  " + " ".join(form.format_map(row).split()) for row in records]
    return lines + ([f"  and {len(rows) - most:,} more {what}"] if len(rows) > most else [])

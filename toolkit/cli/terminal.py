"""What every command shares: how a file is named and read, and how a result is told on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from toolkit.config import Settings
from toolkit.display import Result, plural
from toolkit.errors import InputError
from toolkit.ledger import WAYS_IN, Diff
from toolkit.model import ID, Delivery
from toolkit.pushing import PushPlan, PushReport, Repush, Status, push
from toolkit.quality import PATCH, Profile, ValidationReport, correct, validate
from toolkit.reading import MappingSuggestion, read_customers
from toolkit.vendor import check_schema

OK, FINDINGS, ERROR, INTERRUPTED = 0, 1, 2, 130

Allow = Annotated[tuple[str, ...], Parameter(help="A guard to overrule by its name, or all; may be repeated.")]
Json = Annotated[bool, Parameter(help="Print one JSON object instead of text.")]


@Parameter(name="*")
@dataclass(frozen=True)
class Source:
    """How the file is read.

    Attributes
    ----------
    mapping
        A TOML file that says which file column is which.
    set
        A constant, as column=value, over the mapping; may be repeated.
    correct
        A correction to apply besides the mapping's; may be repeated.
    patch
        A patch to apply after the corrections; may be repeated.
    """

    mapping: Path | None = None
    set: tuple[str, ...] = ()
    correct: tuple[str, ...] = ()
    patch: tuple[str, ...] = ()


AS_IT_IS = Source()


def labelled() -> Settings:
    """Return the settings, and say which target they name."""
    settings = Settings()
    say(settings.label)
    return settings


def read(file: Path, source: Source, settings: Settings) -> Delivery:
    """Read the file as `source` says."""
    constants = {}
    for pair in source.set:
        column, equals, value = pair.partition("=")
        if not equals:
            raise InputError("--set takes column=value, such as source=customer, and one of them has no '='.")
        constants[column.strip()] = value
    return read_customers(file, mapping=source.mapping, constants=constants, attributes=settings.attributes)


def validated(file: Path, source: Source, settings: Settings) -> ValidationReport:
    """Read, correct and check the file, saying what was detected and changed."""
    say(settings.label)
    delivery = read(file, source, settings)
    for note in delivery.notes:
        say(f"  {note}")
    chosen: Mapping[str, Any] = {**delivery.corrections, **dict.fromkeys(source.correct, True)}
    if source.patch:
        chosen = {**chosen, PATCH: [*_several(chosen.get(PATCH, ())), *source.patch]}
    corrected = correct(delivery, chosen)
    for line in ([corrected.summary()] if corrected.rules else []) + list(corrected.notes):
        say(f"  {line}")
    return validate(corrected, settings=settings)


def _several(option: Any) -> Iterable[str]:
    return [option] if isinstance(option, str) else option


def names(given: Iterable[str]) -> list[str]:
    """Return the names of an option that may be repeated, or hold several with commas."""
    return [name.strip() for each in given for name in each.split(",") if name.strip()]


def show(result: Result, as_json: bool, lines: Sequence[str] = (), shown: dict[str, Any] | None = None) -> None:
    """Print a result on standard output: its line and others, or one JSON object."""
    if as_json:
        print_json(result.to_dict() if shown is None else shown)
        return
    print("\n".join([result.summary(), *lines]))


def require_free(path: Path) -> None:
    """Refuse to write over a file: the owner's answers, or the delivery itself, may lie there."""
    if path.exists():
        raise InputError(f"{path} is there already: give another name, or move it away first.")


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object on standard output."""
    print(json.dumps(value, ensure_ascii=False, default=str))


def say(line: str) -> None:
    """Say something on standard error."""
    print(line, file=sys.stderr, flush=True)


def send(planned: PushPlan | Repush, settings: Settings, *, yes: bool, reason: str = "") -> PushReport:
    """Push what is planned, having said how the vendor's columns differ, and asked for a yes unless it was given.

    What a guard holds back goes to `push` at once, which refuses it: no request leaves, and nobody is asked.

    Raises
    ------
    InputError
        If nobody is there to say yes, or the answer is another one.
    """
    plan = planned.plan if isinstance(planned, Repush) else planned
    if plan.n_rows and all(guard.overruled for guard in plan.guards):
        _confirm(plan.n_rows, settings, yes=yes)
    return push(planned, settings=settings, reason=reason, schema_check=False)


def _confirm(n_rows: int, settings: Settings, *, yes: bool) -> None:
    if not (yes or sys.stdin.isatty()):
        raise InputError("Nobody is there to confirm the push: give --yes to send without being asked.")
    for line in check_schema(settings=settings).lines:
        say(f"  {line}")
    if not yes:
        print(f"Send {plural(n_rows, 'row')} to {settings.label}? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise InputError("Not confirmed: nothing was sent.")


MOST = 20


def profile_lines(found: Profile) -> list[str]:
    """Say the share of nulls and the distinct values of each column."""
    return [
        f"  {c['column']}: {c['null_share']:.1%} null, {c['distinct']:,} distinct"
        for c in found.columns.to_dict("records")
    ]


def suggestion_lines(proposed: MappingSuggestion) -> list[str]:
    """Say which file column is proposed for which, and why."""
    return [
        f"  {c['column']}: {c['file_column']!r} ({c['score']:.0%}, {c['reason']})"
        for c in proposed.to_frame().to_dict("records")
        if c["state"] != "runner-up"
    ] + [f"  {note}" for note in proposed.notes]


def change_lines(changes: Diff) -> list[str]:
    """Say which fields changed, by row, id and column."""
    shown = changes.fields.head(MOST).to_dict("records")
    more = len(changes.fields) - len(shown)
    lines = [f"  source_row {r['source_row']}: {r[ID]} {r['column']}" for r in shown]
    return lines + ([f"  and {more:,} more changed fields"] if more else [])


def status_lines(found: Status) -> list[str]:
    """Say each push with its fates, the newest first."""
    return [
        f"  {p['opened_at']} {p['push']} {p['state']}: {plural(p['rows'], 'row')}, {p['accepted']:,} accepted, "
        f"{p['refused']:,} refused, {p['unknown']:,} unknown, {p['unsent']:,} unsent · {p['source']}"
        for p in found.pushes.head(MOST).to_dict("records")
    ]


def finding_lines(report: ValidationReport) -> list[str]:
    """Say each failure and warning, with its rows."""
    lines = []
    for word, findings in (("failure", report.failures), ("warning", report.warnings)):
        for why, group in findings.groupby("reason", sort=False):
            places = ", ".join(map(str, group["index"].head(8))) + (", …" if len(group) > 8 else "")
            lines.append(f"  {word}: {why} ({len(group):,}: source_row {places})")
    return lines


def plan_lines(planned: PushPlan) -> list[str]:
    """Say which guards speak and what overrules each, what is left out, and its way in."""
    guards = [
        f"  guard {g.name}: {g.message}" + (" Overruled." if g.overruled else f" To overrule it: --allow {g.name}")
        for g in planned.guards
    ]
    return guards + [
        f"  {'customers held' if state == 'held' else f'left out, {state}'.replace('_', ' ')}: {n:,} ({WAYS_IN[state]})"
        for state, n in planned.left_out.items()
        if n
    ]


def left_out_lines(planned: Repush) -> list[str]:
    """Say which rows are not sent again, and why."""
    shown = planned.left_out.head(MOST).to_dict("records")
    more = planned.n_left_out - len(shown)
    return [f"  left out: {r[ID]}, {r['why']}" for r in shown] + ([f"  and {more:,} more"] if more else [])


def fate_lines(result: PushReport) -> list[str]:
    """Say which rows were refused and why, and what waits."""
    lines = [
        f"  refused: source_row {r['source_row']}, {r[ID]}: "
        + " ".join(r[c] for c in ("code", "category", "message") if r[c])
        for r in result.refused.head(MOST).to_dict("records")
    ]
    if result.n_refused > MOST:
        lines.append(f"  and {result.n_refused - MOST:,} more refused rows")
    if result.n_refused and result.state != "dry run":
        lines.append(
            f"  To mend them: 'toolkit report {result.push} --excel refused.xlsx', and when it comes back mended "
            f"'toolkit repush {result.push} --mended refused.xlsx'."
        )
    unknown = result.unknown.head(MOST).to_dict("records")
    lines += [f"  unknown, sent and without an answer: source_row {r['source_row']}, {r[ID]}" for r in unknown]
    if result.n_unknown > MOST:
        lines.append(f"  and {result.n_unknown - MOST:,} more unknown rows")
    overtaken = result.overtaken.head(MOST).to_dict("records")
    lines += [f"  {r['message']}: source_row {r['source_row']}, {r[ID]}" for r in overtaken]
    if len(result.overtaken) > MOST:
        lines.append(f"  and {len(result.overtaken) - MOST:,} more rows left out")
    return lines + [f"  {way}" for way in result.waits]

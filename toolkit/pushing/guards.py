"""Guards: checks of a plan as a whole. Each blocks the push until it is allowed by its name.

A guard compares the plan with the ledger and the deliveries before it, and looks for what a wrong file or a wrong
target would cause: many changed customers, missing ones, an emptied column, an old file, ids in another form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.display import plural, timestamp
from toolkit.errors import GuardError, PlanError, did_you_mean
from toolkit.ledger import Diff
from toolkit.model import ID, TIME
from toolkit.quality import Drift, drift, new_form

ALL = "all"
_AHEAD = pd.Timedelta(minutes=5)  # how far two clocks may differ
MAX_CAUSES = 3


@dataclass(frozen=True)
class Guard:
    """A guard that found something: its name, what it found, and whether the analyst allowed it.

    Attributes
    ----------
    share, limit
        What it compared, 0 to 1; None for a guard without a threshold.
    """

    name: str
    message: str
    allowed: bool = False
    share: float | None = None
    limit: float | None = None


Found = tuple[str, float | None]
"""What a guard says, empty if it found nothing, and the share that it compared."""
NOTHING: Found = ("", None)


@dataclass(frozen=True, eq=False)
class Situation:
    """What the guards check.

    Attributes
    ----------
    rows
        The rows to send: the contract's columns and ``state``.
    deliveries
        The deliveries recorded for the target, newest first; see `Ledger.deliveries`.
    real_host
        The host, if it is a real one; else empty.
    ledger_is_empty
        Whether the target never accepted anything.
    now
        The moment from which the future counts, UTC.
    """

    changes: Diff
    rows: pa.Table
    deliveries: pd.DataFrame
    real_host: str
    ledger_is_empty: bool
    now: pd.Timestamp = field(default_factory=partial(pd.Timestamp.now, "UTC"))

    @property
    def last(self) -> pd.Series[Any] | None:
        """The last delivery that this one is compared with: of the same kind, and among changes only files."""
        kind = self.changes.delivery.kind
        of_kind = self.deliveries["kind"] == kind
        if kind != "full":  # a correction by hand is newer than any file that follows it
            of_kind &= self.deliveries["digest"] != ""
        found = self.deliveries[of_kind]
        return found.iloc[0] if len(found) else None

    def cause(self, found: Found, *kinds: str) -> Found:
        """Return what a guard found, if anything, with what the drift from before shows of the first of these kinds."""
        if not found[0]:
            return found
        causes = next(filter(None, map(self._drift.lines, kinds)), [])
        return " ".join([found[0], *(f"{line}." for line in causes[:MAX_CAUSES])]), found[1]

    @cached_property
    def _drift(self) -> Drift:
        return drift(*self.changes.sides)


def chosen_names(given: str | Iterable[str] | None, option: str, noun: str, known: Iterable[str]) -> list[str]:
    """Return the names that an option was given: one, several or none.

    Raises
    ------
    PlanError
        If it contains something else than known names.
    """
    known = list(known)
    names: list[Any] = [given] if isinstance(given, str) else []
    if given is not None and not names:
        names = list(given) if isinstance(given, Iterable) and not isinstance(given, Mapping) else [given]
    for name in names:
        if not isinstance(name, str):
            raise PlanError(f"{option} takes names, not {type(name).__name__}: {', '.join(known)}.")
        if name not in known:
            raise PlanError(
                f"No {noun} is named {name!r}{did_you_mean(name, known) or '.'} There are {', '.join(known)}."
            )
    return names


def find_guards(
    situation: Situation, *, allow: str | Iterable[str] | None = (), thresholds: Mapping[str, float] | None = None
) -> tuple[Guard, ...]:
    """Return the guards that found something.

    Parameters
    ----------
    allow
        Names of guards to allow, or ``all``.
    thresholds
        Name of a guard to the share, 0 to 1, above which it blocks.

    Raises
    ------
    PlanError
        If there is no guard of such a name, or it has no threshold, or a threshold is not a share.
    """
    shares = {} if thresholds is None else thresholds
    if not isinstance(shares, Mapping):
        raise PlanError(
            f"thresholds takes the name of a guard and its share, such as {{'changed': 0.3}}, not "
            f"{type(shares).__name__}."
        )
    allowed = set(chosen_names(allow, "allow", "guard", [*GUARDS, ALL]))
    with_share = [name for name, (_, threshold, _) in GUARDS.items() if threshold is not None]
    chosen_names(list(shares), "thresholds", "guard with a threshold", with_share)
    for name, share in shares.items():
        if not isinstance(share, int | float) or isinstance(share, bool) or not 0 <= share <= 1:
            raise PlanError(f"The threshold of the guard {name} is a share from 0 to 1, such as 0.3 for 30 %.")
    found = []
    for name, (look, usual, _) in GUARDS.items():
        limit = shares.get(name, usual)
        message, part = look(situation, limit or 0.0)
        if message:
            found.append(Guard(name, message, not allowed.isdisjoint((name, ALL)), part, limit))
    return tuple(found)


def require_allowed(guards: Iterable[Guard]) -> None:
    """Refuse a plan while a guard blocks it.

    Raises
    ------
    GuardError
        Naming each guard that blocks, and how to allow it.
    """
    blocking = [guard for guard in guards if not guard.allowed]
    if blocking:
        names = [guard.name for guard in blocking]
        raise GuardError(
            f"Nothing was sent: {plural(len(blocking), 'guard')} blocked the push ({', '.join(names)}). "
            + " ".join(f"{guard.name}: {guard.message}" for guard in blocking)
            + f" If this is intended: {' '.join(f'--allow {name}' for name in names)}, or plan_push(…, allow={names})."
        )


def _first(at: Situation, _: float) -> Found:
    if not (at.real_host and at.ledger_is_empty and at.rows.num_rows):
        return NOTHING
    said = (
        f"the ledger is empty, and {at.real_host} is a real host that would get {plural(at.rows.num_rows, 'row')} "
        "first: check the target, the prefix and the suffix, or seed the ledger with what was sent before."
    )
    return said, None


def _changed(at: Situation, most: float) -> Found:
    differs = pc.invert(pc.is_in(at.rows["state"], pa.array(["added", "touched"])))
    n_changed = pc.count_distinct(at.rows[ID].filter(differs)).as_py()
    return at.cause(_beyond(n_changed, at.changes.n_before, most, "customers would change"), "renamed", "nulls")


def _absent(at: Situation, most: float) -> Found:
    n_last = len(at.changes.before.last_keys or ())
    said = _beyond(at.changes.n_newly_absent, n_last, most, "customers of the last delivery are gone")
    return at.cause(said, "rewritten", "form", "gone")


def _null_column(at: Situation, _: float) -> Found:
    delivery, changes, sent = at.changes.delivery, at.changes, pc.unique(at.rows["state"]).to_pylist()
    if delivery.kind != "full" or not delivery.n_rows:
        return NOTHING
    counts = changes.n_fields_in(sent)
    emptied = {column: n for column in changes.empty_columns if (n := counts[column])}
    said = ", ".join(f"{column} (a value in {plural(n, 'row')} before)" for column, n in emptied.items())
    return f"a column is null in all {plural(delivery.n_rows, 'row')}: {said}." if said else "", None


def _shrunk(at: Situation, least: float) -> Found:
    delivery, last = at.changes.delivery, at.last
    n_rows = delivery.n_rows + delivery.n_quarantined
    if delivery.kind != "full" or last is None or (share := n_rows / last["n_rows"]) >= least:
        return NOTHING
    said = (
        f"{delivery.source} has {plural(n_rows, 'row')}, fewer than {least:.0%} of the "
        f"{last['n_rows']:,} of the last delivery ({last['source_file']})."
    )
    return said, share


def _older(at: Situation, _: float) -> Found:
    delivery, last = at.changes.delivery, at.last
    same = at.deliveries[(at.deliveries["digest"] == delivery.digest) & (delivery.digest != "")]
    if len(same):
        seen = same.iloc[0]
        return (
            f"{delivery.source} was delivered before, at {timestamp(seen['recorded_at'])} (push {seen['push']}).",
            None,
        )
    newest = at.changes.newest
    if last is None or not newest < last["newest"]:  # an unknown time cannot be compared
        return NOTHING
    written = delivery.as_written(pd.Series([newest, last["newest"]]))
    said = (
        f"the newest {TIME} of {delivery.source} is {written[0]}, and the last delivery "
        f"({last['source_file']}) went up to {written[1]}."
    )
    return said, None


def _id_form(at: Situation, most: float) -> Found:
    added = pc.unique(at.rows.filter(pc.equal(at.rows["state"], "added"))[ID])
    n_found, found = new_form(at.changes.ids_before, pa.table({ID: added}))
    said, share = _beyond(n_found, len(added), most, "added customers have ids of a new form")
    return said and f"{said[:-1]}: {found}.", share


def _times(at: Situation, most: float) -> Found:
    delivery = at.changes.delivery
    n_rows = delivery.n_rows + delivery.n_quarantined
    said, share = _beyond(delivery.n_unread, n_rows, most, "times were not read")
    return said and f"{said} {delivery.not_a_time(n_rows)}.", share


def _future(at: Situation, _: float) -> Found:
    delivery, late = at.changes.delivery, at.now + _AHEAD
    rows = at.rows.filter(pc.greater(at.rows[TIME], pa.scalar(late, at.rows.schema.field(TIME).type)))
    if not rows.num_rows:
        return NOTHING
    first = min(rows["source_row"].to_pylist())
    said = (
        f"{TIME} is more than five minutes in the future in {plural(rows.num_rows, 'row')}, first in "
        f"{delivery.place(first)}: every later delivery of these customers would be held back until then. Fix the "
        "dates in the source, state datetime and timezone as the source writes them, or give the rows the present "
        "time with the correction restamp."
    )
    return said, None


def _beyond(n: int, of: int, most: float, what: str) -> Found:
    if not of or n / of <= most:  # divided, not multiplied: 3 of 10 is exactly 0.3
        return NOTHING
    return f"{n:,} of {of:,} {what} ({n / of:.1%}" + (f", more than {most:.0%})." if most else ")."), n / of


GUARDS: dict[str, tuple[Callable[[Situation, float], Found], float | None, str]] = {
    "first": (_first, None, "The first push to a real host, with an empty ledger"),
    "changed": (_changed, 0.2, "Many customers would change"),
    "absent": (_absent, 0.05, "Customers of the last delivery are gone"),
    "null_column": (_null_column, None, "A column became empty in every row"),
    "shrunk": (_shrunk, 0.5, "The file has far fewer rows than the last one"),
    "older": (_older, None, "The file was delivered before, or is older than the last one"),
    "id_form": (_id_form, 0.0, "New customers have ids of another form"),
    "times": (_times, 0.05, "Many times could not be read"),
    "future": (_future, None, "A time is in the future"),
}
"""Every guard by its name: what looks for it (empty if it finds nothing), its default threshold or None, its title."""

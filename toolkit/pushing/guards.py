"""Guards: what looks wrong with a plan as a whole, said before anything leaves; each can be overruled by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.display import plural, timestamp
from toolkit.engine import Session
from toolkit.errors import GuardError, PlanError, did_you_mean
from toolkit.ledger import Diff
from toolkit.model import ID, TIME, Delivery
from toolkit.quality import count_columns, new_forms

ALL = "all"


@dataclass(frozen=True)
class Guard:
    """A guard that speaks: its name, what it found with both figures, and whether the analyst overruled it."""

    name: str
    message: str
    overruled: bool = False

    @property
    def allowed(self) -> bool:
        """Whether the analyst allowed it; the name that stays."""
        return self.overruled


@dataclass(frozen=True, eq=False)
class Situation:
    """What the guards look at.

    Attributes
    ----------
    rows
        The rows to send: the contract's columns and ``state``.
    deliveries
        The deliveries recorded for the target, newest first; see `Ledger.deliveries`.
    real_host
        The host, where it is a real one; else empty.
    ledger_is_empty
        Whether nothing was ever accepted by the target.
    """

    changes: Diff
    rows: pa.Table
    deliveries: pd.DataFrame
    real_host: str
    ledger_is_empty: bool

    @property
    def delivery(self) -> Delivery:
        """The delivery that the rows come from."""
        return self.changes.delivery

    @property
    def last(self) -> pd.Series[Any] | None:
        """The last delivery that this one can be held against: of its kind, and of changes only a file."""
        of_kind = self.deliveries["kind"] == self.delivery.kind
        if self.delivery.kind != "full":  # a correction by hand is newer than any file that follows it
            of_kind &= self.deliveries["digest"] != ""
        found = self.deliveries[of_kind]
        return found.iloc[0] if len(found) else None


@dataclass(frozen=True)
class GuardRule:
    """One guard: what it looks for and, where it has one, the share from which it speaks.

    Attributes
    ----------
    look
        From the situation and the threshold to what was found; empty where the guard is silent.
    """

    meaning: str
    look: Callable[[Situation, float], str]
    threshold: float | None = None


def chosen_names(given: str | Iterable[str] | None, option: str, known: Iterable[str]) -> list[str]:
    """Return the names that an option was given: one, several or none.

    Raises
    ------
    PlanError
        If it holds something else than names.
    """
    if given is None:
        return []
    if isinstance(given, str):
        return [given]
    listed: list[Any] = list(given) if isinstance(given, Iterable) and not isinstance(given, Mapping) else [given]
    for name in listed:
        if not isinstance(name, str):
            raise PlanError(f"{option} takes names, and no {type(name).__name__}: it can be {', '.join(known)}.")
    return listed


def find_guards(
    situation: Situation,
    *,
    allow: str | Iterable[str] | None = (),
    thresholds: Mapping[str, float] | None = None,
) -> tuple[Guard, ...]:
    """Return the guards that speak.

    Parameters
    ----------
    allow
        Names of guards to overrule, or ``all``.
    thresholds
        Name of a guard to the share, 0 to 1, beyond which it speaks.

    Raises
    ------
    PlanError
        If no guard has such a name, or it has no threshold, or a threshold is no share.
    """
    chosen = {} if thresholds is None else thresholds
    if not isinstance(chosen, Mapping):
        raise PlanError(
            f"thresholds takes the name of a guard to its share, as {{'changed': 0.3}}, and no {type(chosen).__name__}."
        )
    allowed = set(chosen_names(allow, "allow", [*GUARDS, ALL]))
    for name in [*sorted(allowed - {ALL}), *chosen]:
        if name not in GUARDS:
            raise PlanError(
                f"No guard is named {name!r}{did_you_mean(str(name), GUARDS) or '.'} There are {', '.join(GUARDS)}."
            )
    for name, share in chosen.items():
        if GUARDS[name].threshold is None:
            raise PlanError(f"The guard {name} has no threshold: allow it, or leave it.")
        if not isinstance(share, int | float) or isinstance(share, bool) or not 0 <= share <= 1:
            raise PlanError(f"The threshold of the guard {name} is a share from 0 to 1, such as 0.3 for 30 %.")
    said = {n: rule.look(situation, chosen.get(n, rule.threshold or 0.0)) for n, rule in GUARDS.items()}
    return tuple(Guard(n, message, not allowed.isdisjoint((n, ALL))) for n, message in said.items() if message)


def require_overruled(guards: Iterable[Guard]) -> None:
    """Refuse to go on while a guard speaks that nobody overruled.

    Raises
    ------
    GuardError
        Naming each one, and what overrules it.
    """
    speaking = [guard for guard in guards if not guard.overruled]
    if speaking:
        options = " ".join(f"--allow {guard.name}" for guard in speaking)
        raise GuardError(
            f"Nothing was sent, for {plural(len(speaking), 'guard speaks', 'guards speak')}. "
            + " ".join(f"{guard.name}: {guard.message}" for guard in speaking)
            + f" If that is as it should be: {options}, or plan_push(…, allow={[g.name for g in speaking]})."
        )


def _first(at: Situation, _: float) -> str:
    if not (at.real_host and at.ledger_is_empty and at.rows.num_rows):
        return ""
    return (
        f"the ledger is empty, and {at.real_host} is a real host that would get {plural(at.rows.num_rows, 'row')} "
        "as its first: check the target, prefix and suffix, or take over with seed what was sent before."
    )


def _changed(at: Situation, most: float) -> str:
    differs = pc.invert(pc.is_in(at.rows["state"], pa.array(["added", "touched"])))
    n_changed = pc.count_distinct(at.rows[ID].filter(differs)).as_py()
    n_before = pc.count_distinct(at.changes.before_ids).as_py()
    return _beyond(n_changed, n_before, most, "customers would change")


def _absent(at: Situation, most: float) -> str:
    return _beyond(at.changes.n_newly_absent, len(at.changes.last_ids), most, "customers of the last delivery are gone")


def _null_column(at: Situation, _: float) -> str:
    frame = at.delivery.frame
    if at.delivery.kind != "full" or frame.empty:
        return ""
    nulls = [c for c in at.delivery.given if c in frame.columns and frame[c].isna().all()]
    fields = at.changes.fields
    emptied = fields[fields["column"].isin(nulls) & fields["source_row"].isin(at.rows["source_row"].to_numpy())]
    counts = emptied.groupby("column", sort=False).size()
    said = ", ".join(f"{column} (a value in {plural(n, 'row')} before)" for column, n in counts.items())
    return f"a column is null in all {plural(len(frame), 'row')} now: {said}." if said else ""


def _shrunk(at: Situation, least: float) -> str:
    n_rows, last = at.delivery.n_rows + at.delivery.n_quarantined, at.last
    if at.delivery.kind != "full" or last is None or n_rows / last["n_rows"] >= least:
        return ""
    return (
        f"{at.delivery.source} has {plural(n_rows, 'row')}, fewer than {least:.0%} of the "
        f"{last['n_rows']:,} of the last delivery ({last['source_file']})."
    )


def _older(at: Situation, _: float) -> str:
    delivery, last = at.delivery, at.last
    same = at.deliveries[(at.deliveries["digest"] == delivery.digest) & (delivery.digest != "")]
    if len(same):
        seen = same.iloc[0]
        return f"{delivery.source} was delivered before, at {timestamp(seen['recorded_at'])} (push {seen['push']})."
    newest = delivery.frame[TIME].max()
    if last is None or not newest < last["newest"]:  # a time that is not known says nothing
        return ""
    return (
        f"the newest {TIME} of {delivery.source} is {timestamp(newest)}, and the last delivery "
        f"({last['source_file']}) went up to {timestamp(last['newest'])}."
    )


def _id_form(at: Situation, most: float) -> str:
    added = pc.unique(at.rows.filter(pc.equal(at.rows["state"], "added"))[ID])
    if not len(at.changes.before_ids) or not len(added):
        return ""
    with Session({"known_": pa.table({ID: at.changes.before_ids}), "added_": pa.table({ID: added})}) as session:
        known, new = (count_columns(session, [ID], rows=rows).to_dict("records")[0] for rows in ("known_", "added_"))
    found = new_forms(known, new)
    n_found = round(sum(share for _, share in found) * len(added))
    said = _beyond(n_found, len(added), most, "added customers have ids of a new form")
    shown = ", ".join(pattern for pattern, _ in found[:3])
    return said and f"{said[:-1]}: {shown}; the {known['distinct']:,} before are like {known['patterns'][0][0]}."


def _beyond(n: int, of: int, most: float, what: str) -> str:
    if not of or n / of <= most:  # so, and not multiplied: 3 of 10 are 0.3 exactly
        return ""
    return f"{n:,} of {of:,} {what} ({n / of:.1%}" + (f", more than {most:.0%})." if most else ").")


GUARDS = {
    "first": GuardRule("an empty ledger at a real host", _first),
    "changed": GuardRule("more than this share of the customers changed", _changed, 0.2),
    "absent": GuardRule("more than this share of the last delivery's customers newly absent", _absent, 0.05),
    "null_column": GuardRule("a column turned wholly null", _null_column),
    "shrunk": GuardRule("fewer than this share of the last delivery's rows", _shrunk, 0.5),
    "older": GuardRule("a file seen before, or older than the last", _older),
    "id_form": GuardRule("more than this share of the added customers have ids of a new form", _id_form, 0.0),
}
"""Every guard by its name, with the threshold it has unless told otherwise."""

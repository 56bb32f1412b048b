"""Rows planned anew on purpose: a plan, and by row what it leaves out and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa

from toolkit.contract import CUSTOMER, ID, TIME
from toolkit.delivery import Delivery
from toolkit.diffing import WAYS_IN, diff
from toolkit.display import Result, badges, frame_table, heading, paragraph, plural
from toolkit.engine import to_frame
from toolkit.errors import InputError, PlanError
from toolkit.guards import ALL, GUARDS, chosen_names
from toolkit.planning import PushPlan, plan_push
from toolkit.settings import Settings
from toolkit.snapshot import Snapshot
from toolkit.validation import validate

LEFT_OUT = ["source_row", *CUSTOMER.key, "why"]


@dataclass(frozen=True, eq=False, repr=False)
class Repush(Result):
    """A plan to send rows anew; `push` takes it as it stands.

    Attributes
    ----------
    plan
        What is sent.
    left_out
        What is not: ``source_row, customer_id, updated_at`` and ``why``.
    reason
        What the ledger will say of each row.
    """

    plan: PushPlan
    left_out: pd.DataFrame
    reason: str

    @property
    def fields(self) -> pd.DataFrame:
        """The changed fields, against what the ledger holds."""
        return self.plan.changes.fields

    @property
    def n_rows(self) -> int:
        """Rows to send."""
        return self.plan.n_rows

    @property
    def n_left_out(self) -> int:
        """Rows left out."""
        return len(self.left_out)

    def summary(self) -> str:
        """Say it in one line."""
        rows = plural(self.n_rows, "row")
        return f"{rows} to send, {self.n_left_out:,} left out · {self.reason} · {self.plan.label}"

    def body(self) -> str:
        """Give what changes, what is left out and the plan as an HTML fragment."""
        parts = [
            heading(self.reason[:1].upper() + self.reason[1:], level=3),
            badges([(self.n_rows, "to send", "good"), (self.n_left_out, "left out", "warn")]),
        ]
        if self.n_left_out:
            parts += [heading("Left out"), frame_table(self.left_out)]
        if not self.n_rows:
            parts.append(paragraph("There is nothing to send."))
        return "".join([*parts, self.plan.body()])

    def to_frame(self) -> pd.DataFrame:
        """Give the rows to send, index ``source_row``."""
        return self.plan.to_frame()

    def to_dict(self) -> dict[str, Any]:
        """Give the plan's counts, the reason, and what is left out."""
        left_out = self.left_out.astype({TIME: "str"}).to_dict("records")
        return {**self.plan.to_dict(), "reason": self.reason, "left_out_rows": left_out}


def plan_anew(
    delivery: Delivery,
    before: Snapshot,
    *,
    reason: str,
    settings: Settings,
    left_out: pd.DataFrame | None = None,
    whys: Mapping[str, str] | None = None,
    allow: str | Iterable[str] | None = (),
    **planning: Any,
) -> Repush:
    """Validate, compare and plan rows; what is not sent is named with its reason.

    Parameters
    ----------
    left_out
        What was left out before, columns `LEFT_OUT`.
    whys
        State to why its rows are not sent, over the usual words.
    allow
        As `plan_push` takes it, beside what does not hold for such rows.

    Raises
    ------
    PlanError
        If the rows or the ledger have a custom attribute that the settings do not list: a new version would lack it.
    """
    listed = settings.documented.resource.names
    if unlisted := [c for c in delivery.frame.columns if c not in listed]:
        raise PlanError(
            f"The rows have custom attributes that the settings do not list ({', '.join(unlisted)}), and what is sent "
            "anew would empty them: list them under [[attributes]] in toolkit.toml. Nothing was planned."
        )
    given = tuple(c for c in settings.documented.resource.names if c in delivery.frame.columns)
    report = validate(replace(delivery, given=given), contract=settings.documented, rules=())
    changes = diff(before, report)
    # These rows were named one by one, so what holds back a delivery that looks wrong does not hold back them.
    allowed = [*chosen_names(allow, "allow", [*GUARDS, ALL]), *(GUARDS.keys() - {"first"})]
    plan = plan_push(changes, settings=settings, allow=allowed, **planning)
    sent = plan.rows["source_row"].to_pylist()
    unsent = changes.states[~changes.states.index.isin(sent)]
    said = [left_out_rows(report.quarantine, report.quarantine["reasons"])]
    for state, rows in unsent.groupby(unsent, observed=True):
        why = (whys or {}).get(str(state), f"{state}: {WAYS_IN[str(state)]}")
        said.append(left_out_rows(changes.delivery.frame.loc[rows.index], why))
    return Repush(plan, pd.concat([left_out, *said], ignore_index=True), reason)


def restamped(frame: pd.DataFrame, versions: pa.Table, now: datetime | None) -> pd.DataFrame:
    """Give rows a new time: the present, or a second after the customer's last version where that is later.

    Parameters
    ----------
    frame
        One row a customer, index ``source_row``.
    versions
        Every version that counts.
    """
    moment = pd.Timestamp(now or datetime.now(UTC)).floor("s")
    if moment.tzinfo is None:
        raise InputError("now has no zone, and only you know which one is meant: give it as datetime.now(UTC) does.")
    last = versions.select(list(CUSTOMER.key)).group_by(ID).aggregate([(TIME, "max")])
    newest = to_frame(last).set_index(ID)[f"{TIME}_max"]
    after = frame[ID].map(newest).dt.floor("s") + pd.Timedelta(seconds=1)
    return frame.assign(**{TIME: after.clip(lower=moment).dt.as_unit("us")})


def left_out_rows(rows: pd.DataFrame, why: Any) -> pd.DataFrame:
    """Return rows, index ``source_row``, as `Repush.left_out` lists them."""
    return rows[list(CUSTOMER.key)].assign(why=why).reset_index()[LEFT_OUT]

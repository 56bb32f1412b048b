"""diff(): what a delivery changes, row by row, against the versions that were sent before.

Each row of the delivery has one state:

========== =====================================================================================
added      `before` lacks the customer
changed    newer than any version before, an attribute differs from its predecessor
touched    newer, no attribute differs
unchanged  this very version, nothing differs
restated   this very version, an attribute differs: an UPSERT would overwrite history
backdated  older than the customer's newest version, and not among those before
========== =====================================================================================

Rows with a null or duplicate key are not compared. Customers that a full delivery lacks are absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import pyarrow as pa

from toolkit.display import Result, Tone, badges, frame_table, heading, paragraph, plural
from toolkit.engine import to_arrow
from toolkit.errors import InputError, wrong_kind
from toolkit.ledger.snapshot import Snapshot
from toolkit.ledger.states import STATES, compare
from toolkit.model import CUSTOMER, ID, TIME, Customers, Delivery, as_delivery, require_key
from toolkit.progress import step

SENT = ("added", "changed")
"""The states that are sent by default."""
WAYS_IN = {
    "touched": "include it, to send the newer time",
    "restated": "include it, to overwrite the version that was sent; or restamp it, to add a new version",
    "backdated": "include it, to add an older version; or restamp it, to make it the newest",
    "unchanged": "nothing to send",
    "duplicate_key": "drop or fix all but one row of each key",
    "null_key": "fix the key",
    "absent": "reported and kept: the API has no delete",
    "held": "fix the quarantined rows",
}
"""What to do with the rows of a state that is not sent."""
_TONES: dict[Tone, Sequence[str]] = {
    "good": SENT,
    "warn": ("touched", "restated", "backdated", "absent", "newly_absent"),
    "calm": ("unchanged",),
    "bad": ("duplicate_key", "null_key", "held"),
}


def _counted(state: str, meaning: str) -> Any:
    return property(lambda self: self.count(state), doc=meaning)


@dataclass(frozen=True, eq=False, repr=False)
class Diff(Result):
    """What a delivery changes.

    Attributes
    ----------
    delivery
        The delivery; columns that it does not have are filled with what was sent before.
    states
        The state of each row, on the delivery's index; categorical.
    fields
        One record for each changed field: ``source_row, customer_id, updated_at, column, before, after``.
    absent
        Customers before that a full delivery lacks: ``customer_id, updated_at`` of their newest version,
        ``newly`` (it was in the last delivery).
    before
        What it was compared with; of a plain frame, a snapshot without a version, an origin and a last delivery.
    """

    delivery: Delivery
    states: pd.Series[Any]
    fields: pd.DataFrame
    absent: pd.DataFrame
    before: Snapshot

    def count(self, state: str) -> int:
        """Count the rows of a state; customers for ``absent``, ``newly_absent`` and ``held``."""
        n_newly_absent = int(self.absent["newly"].sum())
        customers = {"absent": len(self.absent), "newly_absent": n_newly_absent, "held": len(self.delivery.held)}
        return customers[state] if state in customers else int((self.states == state).sum())

    n_added = _counted("added", "Rows of customers that were never sent.")
    n_changed = _counted("changed", "Rows with a newer time and another attribute.")
    n_unchanged = _counted("unchanged", "Rows that were sent before as they are.")
    n_absent = _counted("absent", "Customers before that this delivery lacks.")
    n_newly_absent = _counted("newly_absent", "Absent customers that were in the last delivery.")
    n_duplicate_keys = _counted("duplicate_key", "Rows whose key is in another row too.")

    @property
    def has_findings(self) -> bool:
        """Whether anything differs, or is quarantined."""
        return self.n_unchanged < len(self.states) or bool(self.n_absent or self.delivery.n_quarantined)

    def rows(self, *states: str) -> pd.DataFrame:
        """Return the delivery's rows of these states, in the delivery's order."""
        return self.delivery.frame[self.states.isin(states)]

    def summary(self) -> str:
        """Give the counts in one line."""
        counts = ", ".join(
            f"{self.count(s):,} {s.replace('_', ' ')}"
            for s in (*STATES, "absent", "held")
            if self.count(s) or s in SENT
        )
        return f"{plural(len(self.states), 'row')}: {counts} · {self.before.label}"

    def body(self) -> str:
        """Give the counts, the changed fields, the added and absent customers as an HTML fragment."""
        show = self.delivery.show
        parts = [
            heading(f"What {self.delivery.source} changes", level=3),
            badges((self.count(s), s.replace("_", " "), tone) for tone, states in _TONES.items() for s in states),
            paragraph(self.before.label, soft=True),
            self.delivery.about_times,
        ]
        if len(self.fields):
            parts += [heading("Changed fields"), frame_table(self.fields, show=show)]
        if self.n_added:
            parts += [heading("Added"), frame_table(self.rows("added"), index="source_row", limit=5, show=show)]
        if self.n_absent:
            parts += [heading("Absent: reported and kept"), frame_table(self.absent, limit=5, show=show)]
        return "".join(parts)

    def to_frame(self) -> pd.DataFrame:
        """Give the changed fields."""
        return self.fields

    def to_dict(self) -> dict[str, Any]:
        """Give the counts."""
        return {state: self.count(state) for state in (*STATES[:6], "absent", "newly_absent", "held")} | {
            "duplicate_keys": self.n_duplicate_keys,
            "null_keys": self.count("null_key"),
            "changed_fields": len(self.fields),
        }


@step("Comparing")
def diff(before: pd.DataFrame | Snapshot, after: Customers) -> Diff:
    """Compare customers with what was sent before.

    Parameters
    ----------
    before
        A snapshot of the ledger, or any customer frame; it may have several versions of a customer.
    after
        A frame, a `Delivery`, or what carries one: of a validation report, the good rows, and the ids of the
        quarantined ones.

    Raises
    ------
    InputError
        If an argument is of another kind, or the two are swapped; if `before` has a row without a key, or a key in
        several rows, so that it does not say what was sent; or if a column is not of its data type yet, such as
        ``updated_at`` as text: validate it first.

    Examples
    --------
    >>> before = pd.DataFrame({"customer_id": ["A", "B"], "customer_name": ["Acme", "Best"],
    ...                        "updated_at": pd.to_datetime(["2025-01-28T10:00:00Z"] * 2)})
    >>> after = before.assign(updated_at=pd.to_datetime("2025-02-28T10:00:00Z"), customer_name=["Acme", "Bestow"])
    >>> diff(before, after)
    <Diff: 2 rows: 0 added, 1 changed, 1 touched · compared with a frame>
    """
    if isinstance(after, Snapshot) and (isinstance(before, pd.DataFrame) or hasattr(before, "delivery")):
        raise InputError("diff takes what was sent before first: diff(snapshot, delivery). Swap the two arguments.")
    if isinstance(before, pd.DataFrame):
        require_key(before)
    elif not isinstance(before, Snapshot):
        raise wrong_kind(before, "a snapshot", "Ledger.of().snapshot()")
    columns = before.versions.schema if isinstance(before, Snapshot) else CUSTOMER.arrow_schema()
    delivery = as_delivery(after, columns=tuple(columns.names))
    frame = delivery.frame
    for name in delivery.given:  # a custom attribute that was not sent before
        if name not in columns.names:
            columns = columns.append(pa.field(name, _arrow_type(frame[name])))
    rows = _typed(frame, columns, "The delivery")
    if isinstance(before, pd.DataFrame):
        before = Snapshot(before, _typed(before, columns, "The table before"), None, None, "compared with a frame")
    versions = pa.concat_tables([before.versions, columns.empty_table()], promote_options="default")
    codes, fields, absent, filled = compare(versions, rows, given=delivery.given)
    states = pd.Series(pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(list(STATES))), frame.index)
    fields = fields.rename(columns={"place": "source_row"})
    fields["source_row"] = frame.index.to_numpy()[fields["source_row"]]
    absent = absent[~absent[ID].isin(delivery.held) & (delivery.kind == "full")].reset_index(drop=True)
    absent["newly"] = absent[ID].isin(before.last_keys or ())
    filled_frame = frame.assign(**{c: texts.set_axis(frame.index) for c, texts in filled.items()})
    return Diff(replace(delivery, frame=filled_frame), states, fields, absent, before)


def _arrow_type(cells: pd.Series[Any]) -> pa.DataType:
    kind = pa.array(cells.head(0), from_pandas=True).type
    return pa.string() if pa.types.is_large_string(kind) else kind


def _typed(frame: pd.DataFrame, columns: pa.Schema, whose: str) -> pa.Table:
    way = "validate it, and diff the good rows of the report."
    if not isinstance(frame[TIME].dtype, pd.DatetimeTZDtype):
        raise InputError(f"{whose} has an {TIME} that is not all times in UTC yet: {way}")
    arrays = []
    for column in columns:
        try:
            arrays.append(to_arrow(frame, pa.schema([column]))[0])
        except pa.ArrowException:  # its own words contain a customer's values
            raise InputError(f"{whose} has values in {column.name} that are not of type {column.type}: {way}") from None
    return pa.table(arrays, schema=columns)

"""diff(): what a delivery changes, row by row, against the versions that were sent before.

The states are those of the project's *Versions, deliveries, and what gets sent*:

========== =====================================================================================
added      `before` lacks the customer
changed    newer than any version before, an attribute differs from its predecessor
touched    newer, no attribute differs
unchanged  this very version, nothing differs
restated   this very version, an attribute differs: an UPSERT would overwrite history
backdated  older than the customer's newest version, and not among those before
========== =====================================================================================

Rows with a null or duplicate key stand apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import pandas as pd
import pyarrow as pa

from toolkit.display import Result, badges, frame_table, heading, paragraph, plural
from toolkit.engine import to_arrow
from toolkit.errors import InputError
from toolkit.ledger.comparison import STATES, compare
from toolkit.model import CUSTOMER, ID, TIME, Customers, Delivery, as_delivery

SENT = ("added", "changed")
"""What is sent unless the analyst says otherwise."""
WAYS_IN = {
    "touched": "include it, to send the newer time",
    "restated": "include it, to overwrite the version that was sent; or restamp it, to add a new version",
    "backdated": "include it, to add an older version; or restamp it, to make it the newest",
    "unchanged": "nothing to send",
    "duplicate_key": "drop or mend all but one row of each key",
    "null_key": "mend the key",
    "absent": "the API has no delete: reported, and kept",
    "held": "mend the quarantined rows",
}
"""Why a state is left out, and how it gets in."""


class Before(Protocol):
    """What a delivery can be compared with, beside a plain frame: a snapshot of the ledger."""

    @property
    def versions(self) -> pa.Table:
        """Every version before, with the contract's columns."""
        ...

    @property
    def version(self) -> int:
        """The ledger's version."""
        ...

    @property
    def last_keys(self) -> frozenset[str] | None:
        """Ids in the last full delivery; None where there was none."""
        ...

    @property
    def origin(self) -> str:
        """Which ledger it is of, and of which moment if not of now."""
        ...

    @property
    def label(self) -> str:
        """Where the versions come from, for people."""
        ...


def _counted(state: str, meaning: str) -> Any:
    return property(lambda self: self.count(state), doc=meaning)


@dataclass(frozen=True, eq=False, repr=False)
class Diff(Result):
    """What a delivery changes.

    Attributes
    ----------
    delivery
        The delivery, with columns that it does not speak of filled from what was sent before.
    states
        The state of each row, on the delivery's index; categorical.
    fields
        One record a changed field: ``source_row, customer_id, updated_at, column, before, after``.
    absent
        Customers before that a full delivery lacks: ``customer_id, updated_at`` of their newest version,
        ``newly`` (it was in the last delivery).
    label
        What it was compared with.
    before_version
        The ledger's version that was compared with; None for a plain frame.
    before_ids
        The id of every version before.
    last_ids
        The ids in the last full delivery, held ones included; empty where there was none.
    before_origin
        The ledger that was compared with, and its moment if not now; empty for a plain frame.
    """

    delivery: Delivery
    states: pd.Series[Any]
    fields: pd.DataFrame
    absent: pd.DataFrame
    label: str
    before_version: int | None = None
    before_ids: pa.ChunkedArray = field(default_factory=lambda: pa.chunked_array([], pa.string()))
    last_ids: frozenset[str] = frozenset()
    before_origin: str = ""

    def count(self, state: str) -> int:
        """Count the rows of a state; customers for ``absent``, ``newly_absent`` and ``held``."""
        if state == "absent":
            return len(self.absent)
        if state == "newly_absent":
            return int(self.absent["newly"].sum())
        if state == "held":
            return len(self.delivery.held)
        return int((self.states == state).sum())

    n_added = _counted("added", "Rows of customers that were never sent.")
    n_changed = _counted("changed", "Rows with a newer time and another attribute.")
    n_touched = _counted("touched", "Rows with a newer time and nothing else.")
    n_restated = _counted("restated", "Rows that say something else of a version already sent.")
    n_backdated = _counted("backdated", "Rows older than the newest version sent.")
    n_unchanged = _counted("unchanged", "Rows that were sent before, as they are.")
    n_absent = _counted("absent", "Customers before that this delivery lacks.")
    n_newly_absent = _counted("newly_absent", "Absent customers that were in the last delivery.")
    n_held = _counted("held", "Customers whose rows are quarantined.")
    n_duplicate_keys = _counted("duplicate_key", "Rows whose key stands in another row too.")

    def rows(self, *states: str) -> pd.DataFrame:
        """Return the delivery's rows of these states, in the delivery's order."""
        return self.delivery.frame[self.states.isin(states)]

    def summary(self) -> str:
        """Say the counts in one line."""
        said = ", ".join(
            f"{self.count(s):,} {s.replace('_', ' ')}"
            for s in (*STATES, "absent", "held")
            if self.count(s) or s in SENT
        )
        return f"{plural(len(self.states), 'row')}: {said} · {self.label}"

    def body(self) -> str:
        """Give the counts, the changed fields, the added and absent customers as an HTML fragment."""
        parts = [
            heading(f"What {self.delivery.source} changes", level=3),
            badges(
                [
                    (self.n_added, "added", "good"),
                    (self.n_changed, "changed", "good"),
                    *((self.count(s), s.replace("_", " "), "warn") for s in STATES[2:5]),
                    (self.n_unchanged, "unchanged", "calm"),
                    *((self.count(s), s.replace("_", " "), "bad") for s in STATES[6:]),
                    (self.n_absent, "absent", "warn"),
                    (self.n_newly_absent, "newly absent", "warn"),
                    (self.n_held, "held", "bad"),
                ]
            ),
            paragraph(self.label, soft=True),
        ]
        if len(self.fields):
            parts += [heading("Changed fields"), frame_table(self.fields)]
        if self.n_added:
            parts += [heading("Added"), frame_table(self.rows("added"), index="source_row", limit=5)]
        if self.n_absent:
            parts += [heading("Absent: reported, and kept"), frame_table(self.absent, limit=5)]
        return "".join(parts)

    def to_frame(self) -> pd.DataFrame:
        """Give the changed fields."""
        return self.fields

    def to_dict(self) -> dict[str, Any]:
        """Give the counts."""
        return {
            "added": self.n_added,
            "changed": self.n_changed,
            "touched": self.n_touched,
            "restated": self.n_restated,
            "backdated": self.n_backdated,
            "unchanged": self.n_unchanged,
            "absent": self.n_absent,
            "newly_absent": self.n_newly_absent,
            "held": self.n_held,
            "duplicate_keys": self.n_duplicate_keys,
            "null_keys": self.count("null_key"),
            "changed_fields": len(self.fields),
        }


def diff(before: pd.DataFrame | Before, after: Customers) -> Diff:
    """Compare customers with what was sent before.

    Parameters
    ----------
    before
        A snapshot of the ledger, or any customer frame; it may hold several versions a customer.
    after
        A frame, a `Delivery`, or what carries one: a validation report brings its good rows and the ids that
        it holds back.

    Raises
    ------
    InputError
        If `before` has a null key or one key twice: then nobody can say what was sent; or if the delivery's
        times are not times yet: validate it first.

    Examples
    --------
    >>> before = pd.DataFrame({"customer_id": ["A", "B"], "customer_name": ["Acme", "Best"],
    ...                        "updated_at": pd.to_datetime(["2025-01-28T10:00:00Z"] * 2)})
    >>> after = before.assign(updated_at=pd.to_datetime("2025-02-28T10:00:00Z"), customer_name=["Acme", "Bestow"])
    >>> diff(before, after)
    <Diff: 2 rows: 0 added, 1 changed, 1 touched · compared with a frame>
    """
    columns = CUSTOMER.arrow_schema() if isinstance(before, pd.DataFrame) else before.versions.schema
    delivery = as_delivery(after, columns=tuple(columns.names))
    frame = delivery.frame
    if not isinstance(frame[TIME].dtype, pd.DatetimeTZDtype):
        raise InputError("The delivery's updated_at is not all times in UTC yet: validate it, and diff its good rows.")
    for name in delivery.given:  # a custom attribute that was not sent before
        if name not in columns.names:
            columns = columns.append(pa.field(name, _arrow_type(frame[name])))
    if isinstance(before, pd.DataFrame):
        versions, version = to_arrow(before, columns), None
        last_keys, label, origin = None, "compared with a frame", ""
    else:
        versions, version, last_keys = before.versions, before.version, before.last_keys
        label, origin = before.label, before.origin
        for field_ in list(columns)[len(versions.schema) :]:
            versions = versions.append_column(field_, pa.nulls(len(versions), field_.type))
    found = compare(versions, _typed(frame, columns), given=delivery.given)
    states = pd.Series(pd.Categorical.from_codes(found.codes, dtype=pd.CategoricalDtype(list(STATES))), frame.index)
    fields = found.fields.rename(columns={"place": "source_row"})
    fields["source_row"] = frame.index.to_numpy()[fields["source_row"]]
    absent = found.absent[~found.absent[ID].isin(delivery.held) & (delivery.kind == "full")]
    last_ids = last_keys or frozenset()
    absent = absent.reset_index(drop=True).assign(newly=lambda f: f[ID].isin(last_ids))
    filled = frame.assign(**{c: texts.set_axis(frame.index) for c, texts in found.filled.items()})
    filled_delivery = replace(delivery, frame=filled)
    return Diff(filled_delivery, states, fields, absent, label, version, versions[ID], last_ids, origin)


def _arrow_type(cells: pd.Series[Any]) -> pa.DataType:
    kind = pa.array(cells.head(0), from_pandas=True).type
    return pa.string() if pa.types.is_large_string(kind) else kind


def _typed(frame: pd.DataFrame, columns: pa.Schema) -> pa.Table:
    try:
        return to_arrow(frame, columns)
    except pa.ArrowException as error:
        custom = ", ".join(c for c in columns.names if c not in CUSTOMER.names)
        if not custom:
            raise
        raise InputError(
            f"The delivery's custom attributes ({custom}) are not all of their data types yet: validate it under "
            "Settings().documented, and diff its good rows."
        ) from error

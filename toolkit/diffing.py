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

Rows with a null or duplicate key stand apart. The SQL is in `_single` and `_several`: customers with one version
on either side (nearly all) take a plain join, the others a join through time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa

from toolkit.contract import CUSTOMER
from toolkit.delivery import Customers, Delivery, as_delivery
from toolkit.display import Result, badges, frame_table, heading, paragraph, plural
from toolkit.engine import Session, quoted, to_arrow, to_frame
from toolkit.errors import InputError

STATES = ("added", "changed", "touched", "restated", "backdated", "unchanged", "duplicate_key", "null_key")
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
    def label(self) -> str:
        """Where the versions come from, for people."""
        ...


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
    """

    delivery: Delivery
    states: pd.Series[Any]
    fields: pd.DataFrame
    absent: pd.DataFrame
    label: str
    before_version: int | None = None

    def count(self, state: str) -> int:
        """Count the rows of a state; customers for ``absent``, ``newly_absent`` and ``held``."""
        if state == "absent":
            return len(self.absent)
        if state == "newly_absent":
            return int(self.absent["newly"].sum())
        if state == "held":
            return len(self.delivery.held)
        return int((self.states == state).sum())

    @property
    def n_added(self) -> int:
        """Rows of customers that were never sent."""
        return self.count("added")

    @property
    def n_changed(self) -> int:
        """Rows with a newer time and another attribute."""
        return self.count("changed")

    @property
    def n_touched(self) -> int:
        """Rows with a newer time and nothing else."""
        return self.count("touched")

    @property
    def n_restated(self) -> int:
        """Rows that say something else of a version already sent."""
        return self.count("restated")

    @property
    def n_backdated(self) -> int:
        """Rows older than the newest version sent."""
        return self.count("backdated")

    @property
    def n_unchanged(self) -> int:
        """Rows that were sent before, as they are."""
        return self.count("unchanged")

    @property
    def n_absent(self) -> int:
        """Customers before that this delivery lacks."""
        return self.count("absent")

    @property
    def n_newly_absent(self) -> int:
        """Absent customers that were in the last delivery."""
        return self.count("newly_absent")

    @property
    def n_held(self) -> int:
        """Customers whose rows are quarantined."""
        return self.count("held")

    @property
    def n_duplicate_keys(self) -> int:
        """Rows whose key stands in another row too."""
        return self.count("duplicate_key")

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
    delivery = as_delivery(after)
    frame = delivery.frame
    if not isinstance(frame["updated_at"].dtype, pd.DatetimeTZDtype):
        raise InputError("The delivery's updated_at is not all times in UTC yet: validate it, and diff its good rows.")
    if isinstance(before, pd.DataFrame):
        versions, version = to_arrow(before, CUSTOMER.arrow_schema()), None
        last_keys, label = None, "compared with a frame"
    else:
        versions, version, last_keys, label = before.versions, before.version, before.last_keys, before.label
    given = [c for c in CUSTOMER.attributes if c in delivery.given]
    kept = [c for c in CUSTOMER.attributes if c not in delivery.given]
    tables = {"before_": _numbered(versions), "after_": _numbered(to_arrow(frame, CUSTOMER.arrow_schema()))}
    with Session(tables) as session:
        session.run(_PREPARED)
        _refuse_bad_keys(session)
        session.run(f"CREATE TEMP TABLE compared AS {_single(given)} UNION ALL {_several(given)}")
        states = _states(session, frame)
        fields = _fields(session, given, frame)
        filled = _filled(session, frame, kept)
        absent = _absent(session, delivery, last_keys)
    return Diff(replace(delivery, frame=filled), states, fields, absent, label, version)


# Each customer that has more than one row on a side, and the rows that can be compared at all.
_PREPARED = """
CREATE TEMP TABLE several_before AS
    SELECT customer_id FROM before_ GROUP BY customer_id HAVING count(*) > 1;
CREATE TEMP TABLE several_after AS
    SELECT customer_id FROM after_ WHERE customer_id IS NOT NULL GROUP BY customer_id HAVING count(*) > 1;
CREATE TEMP TABLE duplicate AS
    SELECT customer_id, updated_at FROM after_ SEMI JOIN several_after USING (customer_id)
    WHERE updated_at IS NOT NULL GROUP BY ALL HAVING count(*) > 1;
CREATE TEMP TABLE several AS FROM several_before UNION FROM several_after;
"""

_CODES = {state: code for code, state in enumerate(STATES)}
_STATE = """(CASE WHEN newest IS NULL THEN {added}
         WHEN time_ = at_ THEN CASE WHEN differs THEN {restated} ELSE {unchanged} END
         WHEN time_ < newest THEN {backdated}
         WHEN differs THEN {changed} ELSE {touched} END)::TINYINT""".format(**_CODES)


def _refuse_bad_keys(session: Session) -> None:
    bad = session.scalar("SELECT count(*) FROM before_ WHERE customer_id IS NULL OR updated_at IS NULL")
    twice = session.scalar("""SELECT count(*) FROM (SELECT 1 FROM before_ SEMI JOIN several_before USING (customer_id)
                              GROUP BY customer_id, updated_at HAVING count(*) > 1)""")
    if bad or twice:
        raise InputError(
            f"The table before has {plural(bad, 'row')} without a key and {plural(twice, 'key')} that "
            "stand in several rows, so nobody can say what was sent: give each "
            "(customer_id, updated_at) one row."
        )


def _single(given: list[str]) -> str:
    """Compare customers with one version on either side; `old_before` is their predecessor's row."""
    return f"""SELECT row_, {_STATE} AS state, old_before, NULL::BIGINT AS old_after, old_before AS kept FROM (
        SELECT a.row_, a.updated_at AS time_, b.updated_at AS at_, b.updated_at AS newest, b.row_ AS old_before,
               {_differs(given, "b.{0}")} AS differs
        FROM after_ a LEFT JOIN before_ b ON a.customer_id = b.customer_id
        WHERE a.customer_id IS NOT NULL AND a.updated_at IS NOT NULL
          AND a.customer_id NOT IN (FROM several))"""


def _several(given: list[str]) -> str:
    """Compare the others: the predecessor is the latest version not later, before or earlier in `after`."""
    own = "coalesce(p.updated_at > b.updated_at, b.row_ IS NULL)"
    old = f"CASE WHEN {own} THEN p.{{0}} ELSE b.{{0}} END"
    return f"""SELECT row_, {_STATE} AS state, old_before, old_after, kept FROM (
        SELECT a.row_, a.updated_at AS time_, b.updated_at AS at_, n.updated_at AS newest,
               CASE WHEN NOT {own} THEN b.row_ END AS old_before, CASE WHEN {own} THEN p.row_ END AS old_after,
               coalesce(b.row_, n.row_) AS kept, {_differs(given, old)} AS differs
        FROM (SELECT *, lag(row_) OVER (PARTITION BY customer_id ORDER BY updated_at) AS previous
              FROM after_ SEMI JOIN several USING (customer_id) ANTI JOIN duplicate USING (customer_id, updated_at)
              WHERE updated_at IS NOT NULL) a
        ASOF LEFT JOIN (FROM before_ SEMI JOIN several USING (customer_id)) b
             ON a.customer_id = b.customer_id AND a.updated_at >= b.updated_at
        LEFT JOIN after_ p ON p.row_ = a.previous
        LEFT JOIN (FROM before_ SEMI JOIN several USING (customer_id)
                   QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY updated_at DESC) = 1) n
             ON a.customer_id = n.customer_id)"""


def _differs(given: list[str], old: str) -> str:
    return " OR ".join(f"a.{quoted(c)} IS DISTINCT FROM {old.format(quoted(c))}" for c in given) or "FALSE"


def _states(session: Session, frame: pd.DataFrame) -> pd.Series[Any]:
    found = session.table("SELECT row_, state FROM compared")
    # What was not compared has a null key, or one that stands twice.
    codes = np.where(
        frame["customer_id"].isna() | frame["updated_at"].isna(),
        STATES.index("null_key"),
        STATES.index("duplicate_key"),
    ).astype(np.int8)
    codes[found["row_"].to_numpy()] = found["state"].to_numpy()
    return pd.Series(
        pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(list(STATES))), index=frame.index, name="state"
    )


def _fields(session: Session, given: list[str], frame: pd.DataFrame) -> pd.DataFrame:
    session.run(f"""CREATE TEMP TABLE pair AS
        SELECT a.*, {
        ", ".join(
            f"CASE WHEN c.old_after IS NULL THEN b.{quoted(c)} ELSE p.{quoted(c)} END AS {quoted('old ' + c)}"
            for c in given
        )
        or "NULL"
    }
        FROM (FROM compared WHERE state IN ({_CODES["changed"]}, {_CODES["restated"]})) c
        JOIN after_ a USING (row_)
        LEFT JOIN before_ b ON b.row_ = c.old_before LEFT JOIN after_ p ON p.row_ = c.old_after""")
    each = [
        f"SELECT row_, customer_id, updated_at, '{c}' AS \"column\", {quoted('old ' + c)}::VARCHAR AS before, "
        f"{quoted(c)}::VARCHAR AS after FROM pair WHERE {quoted('old ' + c)} IS DISTINCT FROM {quoted(c)}"
        for c in given
    ] or ["SELECT row_, customer_id, updated_at, '' AS \"column\", '' AS before, '' AS after FROM pair"]
    found = to_frame(session.table(" UNION ALL ".join(each) + " ORDER BY row_"))
    found.insert(0, "source_row", frame.index.to_numpy()[found.pop("row_").to_numpy()])
    return found


def _filled(session: Session, frame: pd.DataFrame, kept: list[str]) -> pd.DataFrame:
    if not kept:
        return frame
    found = session.table(f"""SELECT c.row_, {", ".join("b." + quoted(c) for c in kept)}
                              FROM compared c JOIN before_ b ON b.row_ = c.kept""").sort_by("row_")
    rows = frame.index[found["row_"].to_numpy()]
    return frame.assign(**{c: to_frame(found.select([c]))[c].set_axis(rows).reindex(frame.index) for c in kept})


def _absent(session: Session, delivery: Delivery, last_keys: frozenset[str] | None) -> pd.DataFrame:
    keys = to_frame(
        session.table("""
        SELECT customer_id, max(updated_at) AS updated_at FROM before_
        ANTI JOIN after_ USING (customer_id) GROUP BY customer_id ORDER BY customer_id""")
    )
    if delivery.kind != "full":
        keys = keys.head(0)
    keys = keys[~keys["customer_id"].isin(delivery.held)].reset_index(drop=True)
    return keys.assign(newly=keys["customer_id"].isin(last_keys or frozenset()))


def _numbered(table: pa.Table) -> pa.Table:
    return table.add_column(0, "row_", pa.array(np.arange(table.num_rows)))

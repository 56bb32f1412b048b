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

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

import toolkit.display as draw
from toolkit.display import MAX_ROWS, Cell, Column, Markup, Result, Tone, Unit, escape, paragraph, plural
from toolkit.engine import to_arrow
from toolkit.errors import InputError, wrong_kind
from toolkit.ledger.snapshot import Snapshot
from toolkit.ledger.states import STATES, compare
from toolkit.model import CUSTOMER, ID, NAME, TIME, Customers, Delivery, as_delivery, require_key
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
INCLUDABLE = ("touched", "restated", "backdated")
"""The states that are sent if they are included."""
SHOWN: dict[str, tuple[Tone, str, str, str]] = {
    "added": ("good", "+", "new customers", "sent"),
    "changed": ("changed", "~", "newer, and something differs", "sent"),
    "unchanged": ("calm", "=", "this very version was sent", "nothing to send"),
    "touched": ("calm", "◷", "only the time is newer", "left out"),
    "restated": ("warn", "!", "the time that was sent, and something differs", "left out"),
    "backdated": ("warn", "↶", "older than the newest version that was sent", "left out"),
    "duplicate_key": ("bad", "✕", "another row has the same key", "left out"),
    "null_key": ("bad", "✕", "the key is empty", "left out"),
    "held": ("bad", "✕", "customers whose rows are quarantined", "left out"),
    "absent": ("bad", "–", "customers that the file does not have any more", "kept"),
}
"""How a page shows a state: tone, symbol, what it means, and what happens to its rows."""
_FATES: tuple[Tone, Tone] = ("calm", "changed")
_CHANGED = re.compile("<(?:del|ins)>.*?</(?:del|ins)>", re.DOTALL)
_KNOWN = ("changed", "unchanged", "touched", "restated", "backdated", "absent")
MAX_REPEATS = 6


def _counted(state: str, meaning: str) -> Any:
    return property(lambda self: self.count(state), doc=meaning)


@dataclass(frozen=True, eq=False, repr=False)
class Diff(Result):
    """What a delivery changes.

    Attributes
    ----------
    delivery
        The delivery; columns that it does not have, and empty cells that it says to keep, are filled with what was sent
        before.
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
            f"{self.count(s):,} {_words(s)}" for s in (*STATES, "absent", "held") if self.count(s) or s in SENT
        )
        return f"{plural(len(self.states), 'row')}: {counts} · {self.before.label}"

    def body(self) -> str:
        """Give the verdict, what became of every row by state, the changed fields, and the rows of each other state."""
        new, known = (int(self.delivery.frame[ID][self.states == state].nunique()) for state in SENT)
        kinds = (new, "new customer"), (known, "changed one" if new else "changed customer")
        n_sent, n_absent, n_newly = self.n_added + self.n_changed, self.n_absent, self.n_newly_absent
        who = " and ".join(plural(*kind) for kind in kinds if kind[0])
        verdict = f"{plural(n_sent, 'row')} would be sent: {who}" if n_sent else "Nothing would be sent"
        newly = f", {n_newly:,} of them since the last delivery" if n_newly else ""
        gone = f"{plural(n_absent, 'customer is', 'customers are')} not in the file any more{newly}; they are kept."
        name = f"What {self.delivery.source} changes · {self.before.label}"
        parts = [draw.headline(name, verdict, gone if n_absent else ""), _flow(self)]
        if len(self.fields):
            shown, repeats = self.changed(self.fields.head(MAX_ROWS), len(self.fields))
            if repeats:
                parts.append(draw.section("Changes that repeat", draw.cards(repeats), note="often one decision each"))
            parts.append(draw.section("Changed fields", shown))
        folds = [self._fold(s) for s in SHOWN if self.count(s) and s not in ("changed", "unchanged")]
        return "".join([*parts, draw.section("Rows that are new, gone or left out", *folds) if folds else ""])

    def changed(self, fields: pd.DataFrame, n_fields: int) -> tuple[Markup, list[Markup]]:
        """Return a grid of changed fields, the first of `n_fields`, and a card for each change that repeats."""
        frame, own, units = self.delivery.frame, self.delivery.names, []
        changes, facets = list[tuple[str, Markup]](), list[dict[str, list[str]]]()
        mine = frame.index.isin(fields["source_row"])
        rows = dict(
            zip(frame.index[mine], zip(frame[NAME][mine].fillna(""), self.states[mine], strict=True), strict=True)
        )
        for time, record in zip(self.delivery.time_cells(fields[TIME]), fields.itertuples(index=False), strict=True):
            row, who, _, column, before, after = record
            (name, state), head, (old, new) = rows[row], own.get(column, column), draw.marked_change(before, after)
            texts = " → ".join(" ".join(found) for text in (old, new) if (found := _CHANGED.findall(text)))
            changes.append((head, Markup(texts if " " in f"{before}{after}" else f"{old} → {new}")))
            line = [row, Cell(who, soft=name), head, Cell(before, old), Cell(after, new), state, replace(time, soft="")]
            facets.append({"column": [head], "state": [state]})
            units.append(Unit([line], facets[-1], None if state == "changed" else SHOWN[state][0]))
        common = {change: n for change, n in Counter(changes).most_common(MAX_REPEATS) if n > 1}
        numbers = {change: [str(number)] for number, change in enumerate(common)}
        for each, change in zip(facets, changes, strict=True):
            each |= {"repeat": numbers[change]} if change in numbers else {}
        names = ("Row", "Customer", "Column", "Before", "After", "State")
        heads = [*map(Column, names), *self.delivery.heads([TIME])]
        labels = {"column": "Column", "state": "State", "repeat": ""}
        shown = draw.grid("Changed fields", heads, units, facets=labels, unit="fields", more=n_fields - len(units),
                          stacks=True)  # fmt: skip
        boxes = [draw.card(f"{n:,}× {change[0]}", draw.joined(Markup("<p>"), change[1], Markup("</p>")),
                           pick=("repeat", numbers[change][0])) for change, n in common.items()]  # fmt: skip
        return shown, boxes

    def _fold(self, state: str) -> Markup:
        """Render the rows, or customers, of a state, with how they are sent all the same."""
        n, (tone, sign, meaning, _), start = self.count(state), SHOWN[state], 0
        if state in ("absent", "held"):
            rows = self.absent if state == "absent" else pd.DataFrame({ID: sorted(self.delivery.held)})
            rows, start = rows.head(MAX_ROWS), 1  # they have no row in the file
            rows = rows.assign(**{NAME: rows[ID].map(self.before.names_of(rows[ID]) | self.delivery.held_names)})
            heads, cells = replace(self.delivery, given=(ID, NAME, TIME)).cells(rows)
        else:
            rows = self.delivery.frame.iloc[np.flatnonzero(self.states == state)[:MAX_ROWS]]
            heads, cells = self.delivery.cells(rows)
        cells, name = [line[start:] for line in cells], _words(state)
        shown = draw.grid(name.capitalize(), heads[start:], cells, more=n - len(rows))
        return draw.fold(draw.joined(draw.symbol(tone, sign), f" {n:,} {name}: {meaning}"), way_in(state), shown)

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


def _flow(changes: Diff) -> Markup:
    """Draw how the customers before part into the states of the rows; the list beside it says the same in words."""
    counts = {s: changes.count(s) for s in SHOWN if changes.count(s)}
    n_known = sum(n for s, n in counts.items() if s in _KNOWN) or 1
    left = {s: max(8.0, n / n_known * 150) for s, n in counts.items()}  # small ones wider, to be seen
    high, stem = 46 * len(counts), sum(left[s] + 2 for s in counts if s in _KNOWN)
    at, items = (high - stem) / 2, ""
    drawn = f'<rect class=calm x=0 y="{at:.0f}" width=9 height="{stem:.0f}" rx=3></rect>'
    for place, (state, n) in enumerate(counts.items()):
        (tone, sign, meaning, end), right = SHOWN[state], min(left[state], 38)
        to = 46 * place + 23 - right / 2
        x, y, size = (12, at, left[state]) if state in _KNOWN else (110, to, right)
        at += size + 2 if state in _KNOWN else 0
        drawn += (f'<path class={tone} d="M{x} {y:.0f}C{x + 90} {y:.0f} 130 {to:.0f} 216 {to:.0f}v{right:.0f}'
                  f'C130 {to + right:.0f} {x + 90} {y + size:.0f} {x} {y + size:.0f}z"></path>')  # fmt: skip
        fate = draw.badge(end, tone=_FATES[state in SENT])
        words = f"<b>{_words(state)}</b> <span class=soft>{meaning}</span>"
        items += f"<li class={tone}><b>{n:,}</b>{draw.symbol(tone, sign)}<span>{words}</span>{fate}</li>"
    said = ", ".join(f"{n:,} {_words(state)}" for state, n in counts.items())
    before, after = plural(changes.before.n_customers, "customer"), plural(len(changes.states), "row")
    svg = f'<svg viewBox="0 0 220 {high}" height={high} role=img aria-label="{said}">{drawn}</svg>'
    ends = f"<p>{before} before</p><p>{after} in {escape(changes.delivery.source)}</p>"
    return Markup(f"<div class=flow>{ends}{svg}<ul>{items}</ul></div>")


def _words(state: str) -> str:
    return state.replace("_", " ")


def way_in(state: str) -> Markup:
    """Render how the rows of a state are sent all the same, with the call."""
    said = paragraph(f"{WAYS_IN[state][0].upper()}{WAYS_IN[state][1:]}.") if state in WAYS_IN else ""
    call = draw.code(f'plan = tk.plan_push(changes, include=["{state}"])') if state in INCLUDABLE else ""
    return draw.joined(said, call)


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
    if delivery.keep:
        said = tuple(c for c in delivery.given if c not in delivery.keep)
        sent = compare(versions, rows, given=said)[-1]
        frame = frame.assign(**{c: frame[c].fillna(sent[c].set_axis(frame.index)) for c in delivery.keep})
        rows = _typed(frame, columns, "The delivery")
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

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
import weakref
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

import toolkit.display as draw
from toolkit.display import MAX_ROWS, Cell, Column, Markup, Result, Tone, Unit, escape, paragraph, plural
from toolkit.engine import EngineTable, table_of, to_arrow
from toolkit.errors import InputError, did_you_mean, wrong_kind
from toolkit.ledger.snapshot import Snapshot
from toolkit.ledger.states import STATES, compare
from toolkit.ledger.table_states import KEYS, Compared, bring_in, compare_tables, fill, hold, stage
from toolkit.model import CUSTOMER, ID, NAME, TIME, Customers, Delivery, as_delivery, empty_frame, require_key
from toolkit.progress import step

SENT = ("added", "changed")
"""The states that are sent by default."""
WAYS_IN = {
    "touched": "include it, to send the newer time",
    "restated": "restamp it, to add a new version; or include it, to overwrite the version that was sent",
    "backdated": "restamp it, to make it the newest; or include it, to add an older version",
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
    seen
        The state of each row of its frame, as `states`.
    fields
        One record for each changed field: ``source_row, customer_id, updated_at, column, before, after``.
    absent
        Customers before that a full delivery lacks: ``customer_id, updated_at`` of their newest version,
        ``newly`` (it was in the last delivery).
    before
        What it was compared with; of a plain frame, a snapshot without a version, an origin and a last delivery.
    """

    delivery: Delivery
    seen: pd.Series[Any]
    fields: pd.DataFrame
    absent: pd.DataFrame
    before: Snapshot

    @property
    def states(self) -> pd.Series[Any]:
        """The state of each row, on the delivery's index; categorical."""
        return self.seen

    @property
    def n_fields(self) -> int:
        """Changed fields."""
        return sum(self.n_fields_in(STATES).values())

    @property
    def n_before(self) -> int:
        """Customers before."""
        return int(pc.count_distinct(self.before.versions[ID]).as_py())

    @property
    def ids_before(self) -> pa.Table:
        """The ids of the customers before."""
        return self.before.versions.select([ID])

    @property
    def sides(self) -> tuple[Any, Any]:
        """The two tables, as `drift` takes them."""
        return self.before, replace(self.delivery, frame=self.delivery.frame.reset_index(drop=True))

    @property
    def newest(self) -> Any:
        """The greatest ``updated_at`` of the delivery."""
        return self.delivery.frame[TIME].max()

    @property
    def empty_columns(self) -> list[str]:
        """The columns that the delivery has, and that are null in each of its rows."""
        frame = self.delivery.frame
        return [c for c in self.delivery.given if c in frame.columns and frame[c].isna().all()]

    def fields_in(self, states: Collection[str]) -> pd.DataFrame:
        """Return the changed fields in rows of these states."""
        return self.fields[self.fields["source_row"].isin(self.seen.index[self.seen.isin(states)])]

    def n_fields_in(self, states: Collection[str]) -> Mapping[str, int]:
        """Count the changed fields in rows of these states by column."""
        return Counter(self.fields_in(states)["column"])

    def n_customers(self, state: str) -> int:
        """Count the customers with rows of a state."""
        return int(self.delivery.frame[ID][self.seen == state].nunique())

    def count(self, state: str) -> int:
        """Count the rows of a state; customers for ``absent``, ``newly_absent`` and ``held``."""
        _require_states([state])
        n_newly_absent = int(self.absent["newly"].sum())
        customers = {"absent": len(self.absent), "newly_absent": n_newly_absent, "held": len(self.delivery.held)}
        return customers[state] if state in customers else int((self.seen == state).sum())

    n_added = _counted("added", "Rows of customers that were never sent.")
    n_changed = _counted("changed", "Rows with a newer time and another attribute.")
    n_unchanged = _counted("unchanged", "Rows that were sent before as they are.")
    n_absent = _counted("absent", "Customers before that this delivery lacks.")
    n_newly_absent = _counted("newly_absent", "Absent customers that were in the last delivery.")
    n_duplicate_keys = _counted("duplicate_key", "Rows whose key is in another row too.")

    @property
    def has_findings(self) -> bool:
        """Whether anything differs, or is quarantined."""
        return self.n_unchanged < self.delivery.n_rows or bool(self.n_absent or self.delivery.n_quarantined)

    _way = "in changes.rows(…), changes.fields and changes.absent"

    def rows(self, *states: str) -> pd.DataFrame:
        """Return the delivery's rows of these states with their ``state``, in the delivery's order."""
        _require_states(states)
        rows, found = self.delivery.frame, self.seen.isin(states)
        return rows[found].assign(state=self.seen[found].astype("str"))[["state", *rows.columns]]

    def keys(self) -> pa.Table:
        """Return what the ledger records of the delivery: the key of each row, and each customer that is ``held``."""
        frame, held = self.delivery.frame, pd.DataFrame({ID: sorted(self.delivery.held)}, dtype="str")
        timed = isinstance(frame[TIME].dtype, pd.DatetimeTZDtype)
        parts = (frame[[ID, TIME]] if timed else frame[[ID]]).assign(held=False), held.assign(held=True)
        return pa.concat_tables(to_arrow(part, KEYS) for part in parts)

    def in_order(self, states: Collection[str]) -> Iterator[tuple[pd.DataFrame, pd.Series[Any]]]:
        """Yield the rows of these states and their state, oldest first, in parts."""
        rows, chosen = self.delivery.frame, self.seen.isin(states)
        order = np.flatnonzero(chosen)[np.argsort(rows[TIME][chosen].astype("int64").to_numpy(), kind="stable")]
        yield rows.iloc[order], self.seen.iloc[order].astype("str")

    def summary(self) -> str:
        """Give the counts in one line."""
        counts = ", ".join(
            f"{self.count(s):,} {_words(s)}" for s in (*STATES, "absent", "held") if self.count(s) or s in SENT
        )
        return f"{plural(self.delivery.n_rows, 'row')}: {counts} · {self.before.label}"

    def body(self) -> str:
        """Give the verdict, what became of every row by state, the changed fields, and the rows of each other state."""
        new, known = map(self.n_customers, SENT)
        kinds = (new, "new customer"), (known, "changed one" if new else "changed customer")
        n_sent, n_absent, n_newly = self.n_added + self.n_changed, self.n_absent, self.n_newly_absent
        who = " and ".join(plural(*kind) for kind in kinds if kind[0])
        verdict = f"{plural(n_sent, 'row')} would be sent: {who}" if n_sent else "Nothing would be sent"
        newly = f", {'all' if n_newly == n_absent else f'{n_newly:,} of them'} since the last delivery" * bool(n_newly)
        gone = f"{plural(n_absent, 'customer is', 'customers are')} not in the file any more{newly}; they are kept."
        name = f"What {self.delivery.source} changes · {self.before.label}"
        parts = [draw.headline(name, verdict, gone if n_absent else ""), _flow(self)]
        if len(self.fields):
            shown, repeats = self.changed(self.fields.head(MAX_ROWS), self.n_fields)
            if repeats:
                parts.append(draw.section("Changes that repeat", draw.cards(repeats), note="often one decision each"))
            zone = f"{self.delivery.names.get(TIME, TIME)}: {zone}" if (zone := self.delivery.timezone) else ""
            parts.append(draw.section("Changed fields", shown, note=zone))
        folds = [self._fold(s) for s in SHOWN if self.count(s) and s not in ("changed", "unchanged")]
        return "".join([*parts, draw.section("Rows that are new, gone or left out", *folds) if folds else ""])

    def changed(self, fields: pd.DataFrame, n_fields: int) -> tuple[Markup, list[Markup]]:
        """Return a grid of changed fields, the first of `n_fields`, and a card for each change that repeats."""
        frame, own, units = self.delivery.frame, self.delivery.names, []
        notes = {s: Cell(s, soft=meaning) for s, (_, _, meaning, _) in SHOWN.items() if s != "changed"}
        changes, facets = list[tuple[str, Markup]](), list[dict[str, list[str]]]()
        mine = frame.index.isin(fields["source_row"])
        rows = dict(
            zip(frame.index[mine], zip(frame[NAME][mine].fillna(""), self.seen[mine], strict=True), strict=True)
        )
        for time, record in zip(self.delivery.time_cells(fields[TIME]), fields.itertuples(index=False), strict=True):
            row, who, _, column, before, after = record
            (name, state), head, (old, new) = rows[row], own.get(column, column), draw.marked_change(before, after)
            texts = " → ".join(" ".join(found) for text in (old, new) if (found := _CHANGED.findall(text)))
            changes.append((head, Markup(texts if " " in f"{before}{after}" else f"{old} → {new}")))
            line = [row, Cell(who, soft=name), head, Cell(before, old), Cell(after, new), notes.get(state, state),
                    replace(time, soft="")]  # fmt: skip
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
                          way=self._way, stacks=True)  # fmt: skip
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
            rows = self.delivery.frame.iloc[np.flatnonzero(self.seen == state)[:MAX_ROWS]]
            heads, cells = self.delivery.cells(rows)
        cells, name = [line[start:] for line in cells], _words(state)
        shown = draw.grid(name.capitalize(), heads[start:], cells, more=n - len(rows), way=self._way)
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


@dataclass(frozen=True, eq=False, repr=False)
class TableDiff(Diff):
    """What a table of an engine changes.

    Its counts are complete; `delivery`, `fields` and `absent` have what a page shows, at most 5,000 rows of each state.
    All others stay in the engine until `plan_push` takes the rows to send.

    Attributes
    ----------
    found
        The counts, and the engine with the relations of the comparison, which go when this result does.
    given
        What was compared, as `diff` got it.
    """

    found: Compared
    given: tuple[Any, Any]

    @property
    def states(self) -> pd.Series[Any]:
        """Raise InputError: the states of the rows stay in the engine."""
        raise InputError(
            f"The state of each row of {self.delivery.source} stays in the engine: count('changed') counts the rows of "
            "a state, rows('changed') gives the first 5,000, and plan_push(…) takes all that are sent."
        )

    _way = "in the engine: plan_push takes all that are sent."
    n_before = property(lambda self: self.found.counts["before"], doc=Diff.n_before.__doc__)
    sides = property(lambda self: self.given, doc=Diff.sides.__doc__)
    newest = property(lambda self: self.found.newest, doc=Diff.newest.__doc__)

    empty_columns = property(lambda self: [c for c, n in self.found.filled.items() if not n], doc="Empty columns.")

    @property
    def ids_before(self) -> pa.Table:
        """The ids of the customers before."""
        return self.before.versions.select([ID]) if self.before.versions.num_rows else self.found.ids_before()

    def n_fields_in(self, states: Collection[str]) -> Mapping[str, int]:
        """Count the changed fields in rows of these states by column."""
        found = [Counter({column: n}) for (column, state), n in self.found.fields_by.items() if state in states]
        return sum(found, Counter[str]())

    def n_customers(self, state: str) -> int:
        """Count the customers with rows of a state."""
        return self.found.customers.get(state, 0)

    def count(self, state: str) -> int:
        """Count the rows of a state; customers for ``absent``, ``newly_absent`` and ``held``."""
        _require_states([state])
        return self.found.counts[state]

    def in_order(self, states: Collection[str]) -> Iterator[tuple[pd.DataFrame, pd.Series[Any]]]:
        """Yield the rows of these states and their state, oldest first, in parts."""
        return self.found.in_order(states)

    def keys(self) -> pa.Table:
        """Return what the ledger records of the delivery: the key of each row, and each customer that is ``held``."""
        return self.found.keys()


def _flow(changes: Diff) -> Markup:
    """Draw how the customers before part into the states of the rows; the list beside it says the same in words."""
    counts = {s: changes.count(s) for s in SHOWN if changes.count(s)}
    n_known = sum(n for s, n in counts.items() if s in _KNOWN) or 1
    most = min(150, 36 * len(counts))  # else the customers before would be higher than the list
    left = {s: max(8.0, n / n_known * most) for s, n in counts.items()}  # small ones wider, to be seen
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
        items += f"<li class={tone}><b>{n:,}</b> {draw.symbol(tone, sign)} <span>{words}</span> {fate}</li>"
    said = ", ".join(f"{n:,} {_words(state)}" for state, n in counts.items())
    before, came = plural(changes.n_before, "customer"), changes.delivery
    after = f"{came.n_rows:,} good of " * bool(came.n_quarantined) + plural(came.n_rows + came.n_quarantined, "row")
    svg = f'<svg viewBox="0 0 220 {high}" height={high} fill=silver role=img aria-label="{said}">{drawn}</svg>'
    ends = f"<p>{before} before</p><p>{after} in {escape(came.source)}</p>"
    return Markup(f"<div class=flow>{ends}{svg}<ul>{items}</ul></div>")


def _require_states(states: Collection[str]) -> None:
    for state in states:
        if state not in (known := (*SHOWN, "newly_absent")):
            raise InputError(f"There is no state {state!r}{did_you_mean(str(state), known) or '.'}")


def _words(state: str) -> str:
    return state.replace("_", " ")


def way_in(state: str) -> Markup:
    """Render how the rows of a state are sent all the same, with the call."""
    said = paragraph(f"{WAYS_IN[state][0].upper()}{WAYS_IN[state][1:]}.") if state in WAYS_IN else ""
    call = draw.code(f'plan = tk.plan_push(changes, include=["{state}"])') if state in INCLUDABLE else ""
    if "restamp" in WAYS_IN.get(state, ""):
        ids = f'list(changes.rows("{state}")["customer_id"])'
        restamp = draw.code(f'restamped = tk.correct(report, {{"restamp": {{"ids": {ids}}}}})',
                            "changes = tk.diff(tk.Ledger.of().snapshot(), restamped)")  # fmt: skip
        call = draw.joined(restamp, paragraph("or", soft=True), call)
    return draw.joined(said, call)


@step("Comparing")
def diff(before: pd.DataFrame | Snapshot | EngineTable, after: Customers) -> Diff:
    """Compare customers with what was sent before.

    Parameters
    ----------
    before
        A snapshot of the ledger, any customer frame, or another table of the engine; it may have several versions of a
        customer.
    after
        A frame, a `Delivery`, or what carries one: of a validation report, the good rows, and the ids of the
        quarantined ones. Of a table of an engine, or a report of one, only what is shown comes out of the engine.

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
    table = table_of(after)
    if not isinstance(before, Snapshot) and (table is None or table_of(before) is None):
        if not isinstance(before, pd.DataFrame):
            raise wrong_kind(before, "a snapshot", "Ledger.of().snapshot()")
        require_key(before)
    if table is not None:
        return _diff_table(before, table, after)
    columns = before.versions.schema if isinstance(before, Snapshot) else CUSTOMER.arrow_schema()
    delivery = as_delivery(after, columns=tuple(columns.names))
    frame = delivery.frame
    for name in delivery.given:  # a custom attribute that was not sent before
        if name not in columns.names:
            columns = columns.append(pa.field(name, _arrow_type(frame[name])))
    rows = _typed(frame, columns, "The delivery")
    before = before if isinstance(before, Snapshot) else _snapshot_of(before, columns)
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
    # isin would make an array of all the keys first, one by one.
    absent["newly"] = absent[ID].map((before.last_keys or frozenset()).__contains__).astype(bool)
    filled_frame = frame.assign(**{c: texts.set_axis(frame.index) for c, texts in filled.items()})
    return Diff(replace(delivery, frame=filled_frame), states, fields, absent, before)


def _diff_table(before: Any, table: EngineTable, after: Any) -> TableDiff:
    """Compare in the engine: a snapshot goes in, and another table of the engine is there.

    `after` is the table, or the report of which it has the good rows.
    """
    sides, known = (before, after), getattr(after, "described", Delivery(empty_frame(), source=table.name))
    columns = CUSTOMER.arrow_schema()
    with ExitStack() as stack:
        session = table.engine.session()
        stack.enter_context(session)
        if (other := table_of(before)) is not None:
            if other.engine is not table.engine:
                raise InputError(f"{other.name} and {table.name} are in two engines: bring one of them to the other.")
            stage(session, other, "before_", columns)
            before = Snapshot(empty_frame(), columns.empty_table(), None, None, f"compared with {other.name}")
        else:
            before = before if isinstance(before, Snapshot) else _snapshot_of(before, columns)
            columns = before.versions.schema
            bring_in(session, before)
        given = stage(session, table, "given_" if known.keep else "after_", columns)
        if known.keep:
            fill(session, given, known.keep)
        hold(session, getattr(after, "ids", None))
        attributes = [c for c in columns.names if c not in (ID, TIME)]
        found = compare_tables(session, attributes, given, whole=known.kind == "full")
        frame, states = found.shown()
        absent, held = found.customers_of("absent_"), frozenset(found.customers_of("held_")[ID])
        fields = found.fields([c for c in given if c not in (ID, TIME)]).rename(columns={"place": "source_row"})
        n_rows, absent = sum(found.counts[s] for s in STATES), absent.assign(newly=absent["newly"] == 1)
        delivery = replace(known, frame=frame, given=given, n_total=n_rows, held=held)
        changes = TableDiff(delivery, states, fields, absent, before, found, sides)
        weakref.finalize(changes, stack.pop_all().close)
        return changes


def _snapshot_of(before: Any, columns: pa.Schema) -> Snapshot:
    """Return a frame as what a diff compares with."""
    return Snapshot(before, _typed(before, columns, "The table before"), None, None, "compared with a frame")


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

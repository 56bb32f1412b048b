"""The comparison of tables in an engine: what comes out is bounded, and the rows to send come in order, in parts.

The versions of a ledger go in with all of their columns: a hash in their place would halve what moves, but the changed
fields, and the columns that a delivery lacks, need the values.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.display import MAX_ROWS
from toolkit.engine import CALENDAR, AnySession, EngineTable, Session, quoted, to_frame
from toolkit.errors import InputError, did_you_mean
from toolkit.ledger.snapshot import Snapshot
from toolkit.ledger.states import CODES, STATES, absent_in, compare_in, differ, fields_of, pair
from toolkit.model import CUSTOMER, ID, TIME, typed_frame
from toolkit.tables import on_disk

# Counted among those with several rows, which are few.
_CUSTOMERS = "count(CASE WHEN {0} IS NULL THEN 1 END) + count(DISTINCT {0})"
BATCH = 50_000
PAGE = 500_000
"""Rows that are turned into a frame, and that leave the engine, at once."""
KEYS = pa.schema([(ID, pa.string()), (TIME, pa.timestamp("us", tz="UTC")), ("held", pa.bool_())])
"""What the ledger records of a delivery."""
Stated = tuple[pd.DataFrame, "pd.Series[Any]"]
"""Rows, index ``source_row``, and the state of each; categorical."""


@dataclass(frozen=True, eq=False)
class Compared:
    """The relations ``before_``, ``after_`` and ``held_`` of a session, compared.

    Attributes
    ----------
    session
        The engine, which keeps the relations of the comparison.
    cells
        SQL of a row's cells; a column that the delivery lacks has the value from before.
    counts
        Rows by state; customers that are ``absent``, ``newly_absent`` or ``held``, and those ``before``.
    customers
        Customers by state.
    fields_by
        Changed fields by column and state.
    filled
        Cells that are not null, by column of the delivery.
    newest
        The greatest ``updated_at`` of the delivery.
    """

    session: AnySession
    cells: str
    counts: Mapping[str, int]
    customers: Mapping[str, int]
    fields_by: Mapping[tuple[str, str], int]
    filled: Mapping[str, int]
    newest: Any

    def in_order(self, states: Collection[str]) -> Iterator[Stated]:
        """Yield the rows of these states, oldest first, in parts.

        They are numbered once and read by ranges of that number: an engine that streams a long result in order does not
        hold it, and others neither stream nor keep an order.
        """
        order = f"row_number() OVER (ORDER BY s.{TIME}, s.{ID}) AS place"
        self.session.create("sent_", f"SELECT {order}, s.* FROM ({self._rows(states)}) AS s")
        for start in range(0, self.session.scalar("SELECT count(*) AS n FROM sent_"), PAGE):
            places = f"place > {start} AND place <= {start + PAGE}"
            page = self.session.table(f"SELECT * FROM sent_ WHERE {places} ORDER BY place").drop_columns(["place"])
            yield from map(_stated, (page.slice(at, BATCH) for at in range(0, len(page), BATCH)))

    def keys(self) -> pa.Table:
        """Return the key of each row, and each customer that is held."""
        sql = f"""SELECT {ID}, {TIME}, FALSE AS held FROM after_
            UNION ALL SELECT {ID}, CAST(NULL AS TIMESTAMPTZ) AS {TIME}, TRUE AS held FROM held_
            ORDER BY {ID}, {TIME}, held"""
        return on_disk(self.session.batches(sql, BATCH), KEYS)

    def ids_before(self) -> pa.Table:
        """Return the ids of ``before_``."""
        ids = self.session.batches(f"SELECT DISTINCT {ID} FROM before_ ORDER BY {ID}", BATCH)
        return on_disk(ids, KEYS.remove(2).remove(1))

    def shown(self) -> Stated:
        """Return the first rows of each state that a page shows."""
        states = [s for s in STATES if self.counts[s] and s != "unchanged"] or ["added"]
        rows = pa.concat_tables(map(self._first, states), promote_options="default")
        return _stated(rows.sort_by([(ID, "ascending"), (TIME, "ascending")]))

    def fields(self, compared: list[str]) -> pd.DataFrame:
        """Return the first changed fields, as `toolkit.ledger.states.compare` does."""
        pairs = self.session.table(f"SELECT * FROM pair ORDER BY {ID}, {TIME} LIMIT {MAX_ROWS}")
        with Session({"pair": pairs}) as here:
            return fields_of(here, compared, order=f"{ID}, {TIME}").head(MAX_ROWS)

    def customers_of(self, relation: str) -> pd.DataFrame:
        """Return the first rows of ``absent_`` or ``held_``."""
        order = self.session.dialect.collation.format(ID)  # one that came in has the engine's own collation
        return to_frame(self.session.table(f"SELECT * FROM {relation} ORDER BY {order} LIMIT {MAX_ROWS}"))

    def _rows(self, states: Collection[str]) -> str:
        return f"""SELECT {self.cells}, c.state FROM differing c JOIN after_ a ON a.row_ = c.row_ {self._kept}
            WHERE c.state IN ({", ".join(str(CODES[s]) for s in states)})"""

    @property
    def _kept(self) -> str:
        """The join of what was sent before, if a cell comes from there."""
        return "LEFT JOIN before_ b ON b.row_ = c.kept" * (", b." in self.cells)

    def _first(self, state: str) -> pa.Table:
        rows, null = self._rows([state]), f"(a.{ID} IS NULL OR a.{TIME} IS NULL)"
        if state in ("null_key", "duplicate_key"):  # these were not compared
            rows = f"""SELECT {self.cells}, CAST({CODES[state]} AS SMALLINT) AS state FROM after_ a
                LEFT JOIN compared c ON c.row_ = a.row_ {self._kept}
                WHERE c.row_ IS NULL AND {null if state == "null_key" else f"NOT {null}"}"""
        return self.session.table(f"{rows} ORDER BY a.{ID}, a.{TIME}, a.row_ LIMIT {MAX_ROWS}")


def compare_tables(session: AnySession, attributes: list[str], given: Collection[str], *, whole: bool) -> Compared:
    """Compare the relations ``before_``, ``after_`` and ``held_`` of a session.

    Each has the key; the first two ``row_``, which names a row, and `attributes`, of which ``after_`` may lack those
    that are not `given`; ``before_`` has ``last_`` too: 1 if the customer was in the last delivery.

    Parameters
    ----------
    whole
        Whether customers that ``after_`` lacks are absent.

    Raises
    ------
    InputError
        If ``before_`` has a row without a key, or a key in several rows.
    """
    compared = [c for c in attributes if c in given]
    several = compare_in(session, compared)
    # Few rows as a rule: what they are joined with stays where it lies, which Spark would sort and send around.
    session.create("differing", f"SELECT * FROM compared WHERE state <> {CODES['unchanged']}")
    session.create("pair", pair(compared, "differing", several=several))
    session.create("absent_", absent_in(whole=whole))
    counts, customers = dict.fromkeys(STATES, 0), dict[str, int]()
    by_state = f"SELECT state, count(*) AS n, {_CUSTOMERS.format('among')} AS customers FROM compared GROUP BY state"
    for each in session.table(by_state).to_pylist():
        state = STATES[each["state"]]
        counts[state], customers[state] = each["n"], each["customers"]
    mine = [c for c in (ID, TIME, *attributes) if c in given]
    (facts,) = session.table(f"""SELECT count(*) AS n_rows, max({TIME}) AS newest,
        count(CASE WHEN {ID} IS NULL OR {TIME} IS NULL THEN 1 END) AS n_null,
        {", ".join(f"count({quoted(c)}) AS filled_{n}" for n, c in enumerate(mine))} FROM after_""").to_pylist()
    counts["null_key"] = facts["n_null"]
    counts["duplicate_key"] = facts["n_rows"] - sum(counts.values())
    joined = f"before_ r LEFT JOIN several s ON s.{ID} = r.{ID}" if several else "before_"
    n_before = f"{_CUSTOMERS.format(f's.{ID}') if several else 'count(*)'} AS n FROM {joined}"
    of = {"absent": "count(*) AS n FROM absent_", "newly_absent": "count(*) AS n FROM absent_ WHERE newly = 1",
          "held": "count(*) AS n FROM held_", "before": n_before}  # fmt: skip
    (found,) = session.table(f"SELECT {', '.join(f'(SELECT {n}) AS n_{what}' for what, n in of.items())}").to_pylist()
    counts |= {what: found[f"n_{what}"] for what in of}
    differing = [f"count(CASE WHEN {differ(session, f'old_{n}', f'new_{n}')} THEN 1 END) AS n_{n}"
                 for n in range(len(compared))]  # fmt: skip
    changed = session.table(f"SELECT {', '.join(['state', *differing])} FROM pair GROUP BY state").to_pylist()
    fields_by = {(c, STATES[f["state"]]): f[f"n_{n}"] for f in changed for n, c in enumerate(compared)}
    sides = [f"{'a' if c in given else 'b'}.{quoted(c)}" for c in attributes]
    cells = ", ".join(["a.row_", f"a.{ID}", f"a.{TIME}", *sides])
    filled = {c: facts[f"filled_{n}"] for n, c in enumerate(mine)}
    return Compared(session, cells, counts, customers, fields_by, filled, facts["newest"])


def bring_in(session: AnySession, before: Snapshot) -> None:
    """Make ``before_`` of a snapshot."""
    last = pc.is_in(before.versions[ID], pa.array(before.last_keys or (), pa.string())).cast(pa.int32())
    numbers = pa.array(np.arange(before.versions.num_rows))
    session.register("before_", before.versions.add_column(0, "row_", numbers).append_column("last_", last))


def hold(session: AnySession, ids: EngineTable | None) -> None:
    """Make ``held_``: the customers of those `ids` of which ``after_`` has no row; none without ids."""
    rows = session.relation(ids.sql) if ids else f"(SELECT {ID} FROM after_ WHERE 1 = 0)"
    some = f"r.{ID} IS NOT NULL AND NOT EXISTS (SELECT 1 AS there FROM after_ AS a WHERE a.{ID} = r.{ID})"
    session.create("held_", f"SELECT DISTINCT r.{ID} FROM {rows} AS r WHERE {some}")


def fill(session: AnySession, given: Collection[str], keep: Collection[str]) -> None:
    """Make ``after_`` of ``given_``: an empty cell of a column to keep has what was sent for the customer before."""
    session.create("after_", "SELECT * FROM given_")
    compare_in(session, [])
    cells = ["coalesce(g.{0}, b.{0}) AS {0}".format(quoted(c)) if c in keep else f"g.{quoted(c)}" for c in given]
    joined = "given_ g LEFT JOIN compared c ON c.row_ = g.row_ LEFT JOIN before_ b ON b.row_ = c.kept"
    session.create("after_", f"SELECT g.row_, {', '.join(cells)} FROM {joined}")


def stage(session: AnySession, table: EngineTable, name: str, columns: pa.Schema) -> tuple[str, ...]:
    """Make a relation of those columns of a table that a comparison knows, with ``row_``; returns their names.

    Raises
    ------
    InputError
        If it lacks the key, or a column is of another data type.
    """
    known = table.schema(session)
    if missing := [c for c in CUSTOMER.key if c not in known.names]:
        raise InputError(
            f"{table.name} lacks {' and '.join(missing)}{did_you_mean(missing[0], known.names) or '.'} Every customer "
            "row needs a key: name a query that gives its columns these names."
        )
    given = tuple(c for c in columns.names if c in known.names)
    types = {c: (known.field(c).type, columns.field(c).type) for c in given}
    for column, (its, kind) in types.items():
        if its != kind:
            raise InputError(
                f"{table.name} has {column} as {its}, not {kind}: validate it, and diff the report, or name a query "
                "that converts it."
            )
    texts = {c for c, (_, kind) in types.items() if pa.types.is_string(kind)}
    own = {c: session.dialect.text(quoted(c)) if c in texts else quoted(c) for c in given}
    own[TIME] = f"CASE WHEN {TIME} {CALENDAR} THEN {TIME} END"  # an infinite time is none
    cells = [f"{own.get(c, session.dialect.text('NULL'))} AS {quoted(c)}" for c in columns.names]
    table.number(session, name, ", ".join(["0 AS last_", *cells]))
    return given


def _stated(rows: pa.Table) -> Stated:
    codes = rows["state"].to_numpy()
    frame = typed_frame(rows.drop_columns(["state"]), index="row_").rename_axis("source_row")
    return frame, pd.Series(pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(list(STATES))), frame.index)

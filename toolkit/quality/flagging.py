"""A table of an engine, checked where it lies: a row's findings are flags, and only the shown rows leave the engine.

One pass over the table keeps the rows with a finding (``flagged_``, in the scratch schema); everything is counted there.
A table has no row numbers, and to number all rows would sort them in one place. So rows are ordered by their key, and
only those that are shown are numbered, from 1. What several rows show goes by a query for the keys that they share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Names
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa

from toolkit.config import Settings
from toolkit.engine import AnySession, Dialect, EngineTable, Session, UnwritableError, quoted, text, to_arrow
from toolkit.errors import InputError
from toolkit.model import (
    CUSTOMER,
    ID,
    KINDS,
    TIME,
    TOO_LARGE,
    UNIQUE,
    Column,
    Delivery,
    Resource,
    empty_frame,
)  # fmt: skip
from toolkit.quality.compiling import Condition, unread
from toolkit.quality.findings import HITS
from toolkit.quality.rules import FOLDED_ID, IS_AN_ID, RULES
from toolkit.quality.staging import CALENDAR, SHOWN_ROWS, Staged
from toolkit.reading import Mapping, choose_columns

_RANGES = {
    "datetime": CALENDAR,
    "date": "BETWEEN DATE '0001-01-01' AND DATE '9999-12-31'",
    "float": "BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308",
}
"""What a value of a type must be for Python and JSON to have it: an engine knows infinite times and numbers too."""
_ZONELESS = (
    "{0}: {1} has no time zone, so it is not known which moments it means. Name the zone in a query: tk.table(engine, "
    "\"SELECT … {1} AT TIME ZONE 'Europe/Berlin' AS {1} …\"); on Spark to_utc_timestamp({1}, 'Europe/Berlin')."
)


@dataclass(frozen=True)
class Lying:
    """Customers as a query in an engine: the contract's columns, and an unread column for some.

    Attributes
    ----------
    rows
        The query in parentheses, in the portable subset.
    delivery
        What is known about them, without rows.
    columns, unread
        The columns that the table has, and those with a column of cells that are not of their type.
    """

    session: AnySession
    rows: str
    delivery: Delivery
    columns: tuple[str, ...]
    unread: tuple[str, ...]
    resource: Resource

    @property
    def names(self) -> dict[str, str]:
        """The columns of the query, by their names in a condition."""
        return {c: c for c in self.resource.names} | {unread(c)[1:-1]: f"_unread_{c}" for c in self.unread}


@contextmanager
def lying(
    data: EngineTable, settings: Settings, form: Mapping | None, *, session: AnySession | None = None
) -> Iterator[Lying]:
    """Open a session of the table's engine, or use the given one, with the customers as a query.

    Raises
    ------
    InputError
        If there is no such table, or a column is of a type that has no text, or of times without a zone.
    ReadingError, MappingError
        If it lacks a column of the key, or one that the mapping names.
    """
    resource, given = settings.documented.resource, form or Mapping()
    with nullcontext(session) if session else data.engine.session() as session:
        fields = list(data.schema(session))
        places = choose_columns([f.name for f in fields], mapping=given, name=data.name, resource=resource)
        named = {column: fields[at] for column, at in places.items()}
        nulls = ("", *form.nulls) if form else ()
        cells = [_cell(c, named.get(c.name), given, nulls, data, session.dialect) for c in resource.columns]
        rest = [c for c in resource.columns if c.kind in _RANGES and c.name in named]
        odd = [f"{_unlike(c, named[c.name].name, session.dialect)} AS _unread_{c.name}" for c in rest]
        listed = [f"{cell} AS {quoted(c.name)}" for cell, c in zip(cells, resource.columns, strict=True)]
        columns = tuple(c for c in resource.names if c in CUSTOMER.names or c in named or c in given.constants)
        yield Lying(
            session,
            f"(SELECT {', '.join(listed + odd)} FROM {session.relation(data.sql)} AS r)",
            Delivery(empty_frame(), source=data.name, given=tuple(c for c in columns if c in named or c in given.constants),
                     names={c: f.name for c, f in named.items()} if given.columns else {}, kind=given.kind),
            columns,
            tuple(c.name for c in rest),
            resource,
        )  # fmt: skip


def _cell(
    column: Column, field: pa.Field | None, form: Mapping, nulls: Sequence[str], data: EngineTable, of: Dialect
) -> str:
    """Return the SQL of a column in its data type; null where the value has none."""
    kind = KINDS[column.kind][0]
    if field is None:
        value = form.constants.get(column.name)
        return (
            of.text("NULL" if value is None else text(value))
            if column.kind == "string"
            else f"CAST(NULL AS {_SQL[column.kind]})"
        )
    name, its = f"r.{quoted(field.name)}", field.type
    if pa.types.is_timestamp(its) and its.tz is None and column.kind == "datetime":
        raise InputError(_ZONELESS.format(data.name, field.name))
    if column.kind == "string" and _has_text(its):
        cell = of.text(name)
        return f"CASE WHEN {cell} IN ({', '.join(map(text, nulls))}) THEN NULL ELSE {cell} END" if nulls else cell
    same = its == kind or (column.kind == "datetime" and pa.types.is_timestamp(its))
    if not (
        same or (column.kind, True) in {("integer", pa.types.is_integer(its)), ("float", pa.types.is_floating(its))}
    ):
        raise InputError(
            f"{data.name}: {field.name} is of the type {getattr(its, 'type_name', its)}, and {column.name} is a "
            f'{column.kind}. Convert it in a query: tk.table(engine, "SELECT … CAST({field.name} AS …) …").'
        )
    cell = f"CAST({name} AS {_SQL[column.kind]})"
    return f"CASE WHEN {name} {_RANGES[column.kind]} THEN {cell} END" if column.kind in _RANGES else cell


_SQL = {"datetime": "TIMESTAMPTZ", "integer": "BIGINT", "float": "DOUBLE", "boolean": "BOOLEAN", "date": "DATE"}


def _has_text(kind: pa.DataType) -> bool:
    return (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)
            or pa.types.is_decimal(kind) or getattr(kind, "type_name", str(kind)) in ("numeric", "extension<arrow.uuid>"))  # fmt: skip


def _unlike(column: Column, name: str, of: Dialect) -> str:
    cell = f"r.{quoted(name)}"
    known = f" AND {cell} <> CAST('NaN' AS DOUBLE)" if column.kind == "float" else ""
    return f"CASE WHEN NOT {cell} {_RANGES[column.kind]}{known} THEN {of.text(cell)} END"


@dataclass(frozen=True)
class Counts:
    """What was found, counted over all rows.

    Attributes
    ----------
    columns
        Column to its rows with a failure, and those with only a warning.
    reasons
        For each condition with a finding its place ``n``, the ``rows``, and the ``groups`` that they are in.
    """

    n_rows: int
    n_quarantined: int
    n_warned: int
    columns: dict[str, tuple[int, int]]
    reasons: list[dict[str, int]]


@dataclass(frozen=True)
class Group:
    """Rows that are a finding only beside others: the query for the keys that such rows share.

    Attributes
    ----------
    key
        SQL expressions on one row.
    hits
        The query: ``_k0`` and on for the key, ``_id`` for the first id.
    first
        Whether the first row of a key is the finding, and not each row.
    rank
        Whether the query has a ``_rank``, and rows of rank 1 are what the others are compared with.
    """

    key: tuple[str, ...]
    hits: str
    first: bool = False
    rank: bool = False


_PAIRS = """WITH pairs AS ({0}), ranked AS (
    SELECT p.*, row_number() OVER (PARTITION BY p._k0 ORDER BY p._n DESC, p._k1) AS _rank,
           count(*) OVER (PARTITION BY p._k0) AS _among FROM pairs AS p)
SELECT r.* FROM ranked AS r WHERE r._among > 1"""


def group_of(condition: Condition, rows: Lying) -> Group | None:
    """Return the query for what only several rows show; None if that is not known for an engine."""
    key: tuple[str, ...]
    written, column = partial(rows.session.dialect.condition, columns=rows.names), str(condition.column)

    def shared(key: Sequence[str], having: str, where: str = "1 = 1") -> str:
        keys = ", ".join(f"{k} AS _k{i}" for i, k in enumerate(key))
        there = " AND ".join(f"{k} IS NOT NULL" for k in key)
        numbers = ", ".join(str(i + 1) for i in range(len(key)))
        return (f"SELECT {keys}, min({ID}) AS _id, count(*) AS _n FROM {rows.rows} AS r WHERE {there} AND {where} "
                f"GROUP BY {numbers} HAVING {having}")  # fmt: skip

    match condition.check:
        case name if name in (UNIQUE, "twin_keys"):
            key = quoted(ID), quoted(TIME)
            return Group(key, shared(key, "count(*) > 1"))
        case "near_ids":
            key = (written(FOLDED_ID),)
            return Group(key, shared(key, f"min({ID}) <> max({ID})", written(IS_AN_ID)))
        case "single_category" | "single_price_list":
            few = condition.options["min_customers"]
            n_ids = f"(SELECT count(DISTINCT {ID}) FROM {rows.rows} AS every_)"
            key = (quoted(column),)
            return Group(key, shared(key, f"min({ID}) = max({ID}) AND {n_ids} >= {few}"), first=True)
        case "two_categories":
            key = (quoted(column), quoted("customer_category"))
            return Group(key, _PAIRS.format(shared(key, "count(*) > 0")), first=True, rank=True)
    return None


@dataclass(frozen=True)
class Flags:
    """The conditions as the engine runs them: SQL on one row, or a group."""

    rows: Lying
    conditions: Sequence[Condition]
    n_failing: int
    ways: Sequence[str | Group]

    def good(self) -> str:
        """Return the query for the rows without a failure."""
        joins, held = list[str](), list[str]()
        for n, way in enumerate(self.ways[: self.n_failing]):
            joins += [_join(n, way, f"({way.hits})")] if isinstance(way, Group) else []
            held.append(f"h{n}._k0 IS NOT NULL" if isinstance(way, Group) else way)
        listed = ", ".join(f"r.{quoted(c)}" for c in self.rows.columns)
        none = " AND ".join(f"NOT coalesce({each}, 1 = 0)" for each in held)
        return self.rows.session.written(f"SELECT {listed} FROM {self.rows.rows} AS r {' '.join(joins)} WHERE {none}")


def _join(n: int, group: Group, hits: str) -> str:
    on = [f"{k} = h{n}._k{i}" for i, k in enumerate(group.key)]
    if group.first:
        on.append(f"(r.{ID} = h{n}._id OR (r.{ID} IS NULL AND h{n}._id IS NULL))")
    return f"LEFT JOIN {hits} AS h{n} ON {' AND '.join(on)}"


def ways_of(conditions: Sequence[Condition], rows: Lying) -> tuple[list[str | Group | None], list[str]]:
    """Return how the engine finds each condition, None for a rule of the toolkit that it does not run, and their names.

    Raises
    ------
    InputError
        If a rule of the analyst's own, or the contract, has something that the engine cannot say exactly.
    """
    known, of, ways = {rule.name for rule in RULES}, rows.session.dialect, list[str | Group | None]()
    for condition in conditions:
        way: str | Group | None = group_of(condition, rows)
        said = "only its conditions on one row, where=, can run there"
        if way is None and condition.where:
            for local in (" OR row_ = (SELECT max(row_) FROM rows_)", "row_ IN (SELECT row_ FROM sums_) OR "):
                condition = replace(condition, where=condition.where.replace(local, ""))  # a table has no last row
            try:
                way = condition.where if condition.check == TOO_LARGE else of.condition(condition.where, rows.names)
            except UnwritableError as error:
                said = f"it has no exact counterpart of {error}"
        if way is None and condition.check not in known:
            raise InputError(
                f"{of.name} cannot run {condition.check}: {said}. Leave it out with "
                f"choose_rules(without=[{condition.check!r}]), or validate a sample in a frame."
            )
        ways.append(way)
    names = dict.fromkeys(c.check for c, way in zip(conditions, ways, strict=True) if way is None)
    return ways, list(names)


@contextmanager
def flagged(flags: Flags, causes: Names[int, Sequence[int]], totals: Sequence[int]) -> Iterator[tuple[Staged, Counts]]:
    """Find the rows with a finding, count them, and open a session in memory with those that are shown.

    Parameters
    ----------
    causes
        The findings of a row that say why another one is there: that one is left out.
    totals
        The conditions that leave out all others of their row.
    """
    there, rows, n_failing = flags.rows.session, flags.rows, flags.n_failing
    raw, joins, held = dict[int, str](), list[str](), list[str]()
    firsts = dict[int, Group]()
    for n, way in enumerate(flags.ways):
        if isinstance(way, str):
            raw[n] = way
            continue
        there.create(f"hits{n}_", way.hits)
        if there.scalar(f"SELECT count(*) AS n FROM hits{n}_"):
            joins.append(_join(n, way, f"hits{n}_"))
            raw[n] = f"h{n}._k0 IS NOT NULL" + (f" AND h{n}._rank > 1" if way.rank else "")
            held += [f"h{n}._rank = 1"] if way.rank else []
            firsts |= {n: way} if way.first else {}
    beside = next((n for n, way in firsts.items() if way.rank), None)
    marks = {f"_c{n}": sql for n, sql in raw.items()} | ({} if beside is None else {f"_o{beside}": held[0]})
    listed = ", ".join(f"CASE WHEN {sql} THEN 1 ELSE 0 END AS {name}" for name, sql in marks.items())
    there.create("candidates_", f"SELECT r.*, {listed} FROM {rows.rows} AS r {' '.join(joins)} "
                 f"WHERE {' OR '.join(f'({sql})' for sql in marks.values())}")  # fmt: skip
    order = ", ".join(f"{quoted(c)} NULLS LAST" for c in rows.resource.names)
    found = {n: f"_c{n}" for n in raw}
    more = list[str]()
    for n, way in firsts.items():
        for mark in (f"_c{n}", f"_o{n}") if way.rank else (f"_c{n}",):
            keys = ", ".join((mark, *way.key))
            more.append(f"CASE WHEN {mark} = 1 AND row_number() OVER (PARTITION BY {keys} ORDER BY {order}) = 1 "
                        f"THEN 1 ELSE 0 END AS _first{mark}")  # fmt: skip
        found[n] = f"_first_c{n}"
    for n, why in causes.items():
        if n in found and (because := [found[m] for m in why if m in found]):
            found[n] = f"CASE WHEN {' + '.join(because)} > 0 THEN 0 ELSE {found[n]} END"
    for t in (t for t in totals if t in found):
        found |= {n: f"CASE WHEN {found[t]} = 1 THEN 0 ELSE {sql} END" for n, sql in found.items() if n != t}
    cells = ", ".join(f"f.{quoted(c)}" for c in rows.names.values())
    other = "0" if beside is None else f"_first_o{beside}"
    each = ", ".join(f"{sql} AS _c{n}" for n, sql in found.items())

    def any_of(which: Sequence[int]) -> str:
        return f"CASE WHEN {' + '.join(f'_c{n}' for n in which) or '0'} > 0 THEN 1 ELSE 0 END"

    failing, warning = [n for n in found if n < n_failing], [n for n in found if n >= n_failing]
    there.create(
        "flagged_",
        f"SELECT f.*, {any_of(failing)} AS _bad, {any_of(warning)} AS _warned FROM ("
        f"SELECT {cells}, {other} AS _other, {each} FROM (SELECT c.*{''.join(f', {m}' for m in more)} "
        f"FROM candidates_ AS c) AS f) AS f",
    )
    columns = dict.fromkeys(str(flags.conditions[n].column) for n in found)
    of = {c: [n for n in found if flags.conditions[n].column == c] for c in columns}
    sums = [f"_c{n}" for n in found] + ["_bad", "_warned * (1 - _bad)"]
    sums += [any_of([n for n in of[c] if n in which]) for c in columns for which in (failing, found)]
    counted = ", ".join(f"CAST(coalesce(sum({each}), 0) AS BIGINT) AS s{i}" for i, each in enumerate(sums))
    got = [each.as_py() for (each,) in there.table(f"SELECT {counted} FROM flagged_").columns]
    n_of, (n_bad, n_warned), per = (
        dict(zip(found, got, strict=False)),
        got[len(found) : len(found) + 2],
        got[len(found) + 2 :],
    )
    shared = {n: way for n, way in enumerate(flags.ways) if isinstance(way, Group) and not way.first and n_of.get(n)}
    groups = {
        n: there.scalar(
            f"SELECT count(*) AS n FROM (SELECT DISTINCT {', '.join(f'{k} AS k{i}' for i, k in enumerate(way.key))} "
            f"FROM flagged_ WHERE _c{n} = 1) AS d"
        )
        for n, way in shared.items()
    }
    counts = Counts(
        there.scalar(f"SELECT count(*) AS n FROM {rows.rows} AS r"),
        n_bad,
        n_warned,
        {c: (bad, every - bad) for c, bad, every in zip(columns, per[::2], per[1::2], strict=True)},
        [{"n": n, "rows": k, "groups": groups.get(n, 0)} for n, k in n_of.items() if k],
    )
    kinds = ("_bad = 1", "_bad = 0 AND _warned = 1", "_bad + _warned = 0 AND _other = 1")
    shown = [there.table(f"SELECT * FROM flagged_ WHERE {kind} ORDER BY {order} LIMIT {SHOWN_ROWS}") for kind in kinds]
    with Session({"shown_": pa.concat_tables(shown, promote_options="permissive")}) as here:
        yield _here(here, flags, shared, beside, order, n_of), counts


def _here(
    session: Session, flags: Flags, shared: Names[int, Group], beside: int | None, order: str, n_of: Names[int, int]
) -> Staged:
    """Return the shown rows, numbered, as the tables that a report is made from."""
    rows = flags.rows
    typed = [
        f"CAST({quoted(c.name)} AS {_SQL.get(c.kind, 'VARCHAR')}) AS {quoted(c.name)}" for c in rows.resource.columns
    ]
    typed += [f"_unread_{c} AS {unread(c)}" for c in rows.unread]
    session.create("numbered_", f"SELECT row_number() OVER (ORDER BY {order}) AS row_, * FROM shown_")
    session.create("rows_", f"SELECT row_, {', '.join(typed)} FROM numbered_")
    session.run("CREATE TEMP TABLE found_ (n INTEGER, row_ BIGINT, other_ BIGINT, group_ BIGINT)")
    session.run("CREATE TEMP TABLE broken_ (row_ BIGINT, customer_id VARCHAR, reason VARCHAR, text VARCHAR)")
    for n in n_of:
        hits, condition = "SELECT NULL::BIGINT AS row_, NULL AS other_, NULL AS group_ LIMIT 0", flags.conditions[n]
        if n in shared and condition.search:
            session.register("twins_", to_arrow(condition.search(session, {}), HITS))
            hits = "FROM twins_"
        elif n in shared:
            hits = condition.rows
        elif n == beside:
            hits = f"""SELECT a.row_, min(b.row_) AS other_, NULL AS group_ FROM numbered_ a JOIN numbered_ b
                ON a.{quoted(str(condition.column))} = b.{quoted(str(condition.column))} AND b._other = 1 GROUP BY a.row_"""
        session.run(f"""INSERT INTO found_ SELECT {n}, row_, other_, group_
            FROM (SELECT row_ FROM numbered_ WHERE _c{n} = 1) LEFT JOIN ({hits}) USING (row_)""")
    return Staged(session, rows.delivery, None, rows.columns, rows.unread)

"""A table of an engine, checked where it lies: a row's findings are flags, and only the shown rows leave the engine.

One pass keeps the rows with a finding (``flagged_``, in the scratch schema), each with a text of zeros and ones, one
for each condition. What the findings of a row do to each other depends on this text alone: so the engine counts each
text, of which there are few, and the rest is done here. A table has no row numbers, and to number all rows would sort
them in one place: rows are ordered by their key, and those that are shown are numbered from 1. What several rows show
goes by a query for the keys that they share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from toolkit.config import Settings
from toolkit.engine import (
    CALENDAR,
    FLOATS,
    LOST,
    AnySession,
    EngineTable,
    Session,
    UnwritableError,
    quoted,
    text,
    to_arrow,
)
from toolkit.errors import InputError
from toolkit.model import ID, KINDS, TIME, TOO_LARGE, UNIQUE, Column, Delivery, Resource, empty_frame
from toolkit.quality.compiling import Condition, unread
from toolkit.quality.findings import HITS, Counts, causes_of, collect_bad, too_slow
from toolkit.quality.rules import CAUSES, CAUSING, FOLDED_ID, IS_AN_ID, RULES
from toolkit.quality.staging import BROKEN_LINES, SHOWN_ROWS, Staged, as_stated
from toolkit.reading import Mapping, choose_columns

_TYPES = {
    "string": ("VARCHAR", ""),
    "datetime": ("TIMESTAMPTZ", CALENDAR),
    "integer": ("BIGINT", ""),
    "float": ("DOUBLE", FLOATS),
    "boolean": ("BOOLEAN", ""),
    "date": ("DATE", "BETWEEN DATE '0001-01-01' AND DATE '9999-12-31'"),
}
"""Each data type in SQL, and which of its values Python and JSON have: an engine has infinite times and numbers too."""
_IS_KIND = {"integer": pa.types.is_integer, "float": pa.types.is_floating, "datetime": pa.types.is_timestamp}


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

    def condition(self, sql: str) -> str:
        """Return a condition on one row as the engine says it."""
        names = {unread(c)[1:-1]: f"_unread_{c}" for c in self.unread} | {c: c for c in self.resource.names}
        texts = [c.name for c in self.resource.columns if c.kind == "string"]
        return self.session.dialect.condition(sql, names, texts=texts)


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
    typed = [c.name for c in resource.columns if c.name in given.values and c.kind != "string"]
    if typed or given.corrections:
        what = f"the [values] of {', '.join(typed)}" if typed else "[corrections]"
        raise InputError(
            f"{given.name} has {what}, which a table of {data.engine.name} cannot have: write them into its query, "
            "leave them out, or bring a small table into memory, read_customers(table, mapping=…)."
        )
    with nullcontext(session) if session else data.engine.session() as session:
        fields = list(data.schema(session))
        places = choose_columns([f.name for f in fields], mapping=given, name=data.name, resource=resource)
        named, cells, odd = {column: fields[at] for column, at in places.items()}, list[str](), dict[str, str]()
        for column in resource.columns:
            kind, bounds = _TYPES[column.kind]
            cell, field = f"CAST(NULL AS {kind})", named.get(column.name)
            if field is not None:
                _require_kind(column, field, data.name)
                name = f"r.{quoted(field.name)}"
                cell = session.dialect.text(name) if column.kind == "string" else f"CAST({name} AS {kind})"
                if bounds:
                    known = f" AND {name} <> CAST('NaN' AS DOUBLE)" if column.kind == "float" else ""
                    odd[column.name] = f"CASE WHEN NOT {name} {bounds}{known} THEN {session.dialect.text(name)} END"
                    cell = f"CASE WHEN {name} {bounds} THEN {cell} END"
                elif form and column.kind == "string":
                    cell = as_stated(cell, form, form.values.get(column.name, {}))
            elif column.name in given.constants:
                constant = session.dialect.text(text(given.constants[column.name]))
                cell = constant if column.kind == "string" else f"CAST({constant} AS {kind})"
            cells.append(f"{cell} AS {quoted(column.name)}")
        cells += [f"{cell} AS _unread_{name}" for name, cell in odd.items()]
        columns = tuple(c for c in resource.names if c in named or c in given.constants)
        names = {column: field.name for column, field in named.items()} if given.columns else {}
        keep = tuple(c for c in columns if given.empty.get(c) == "keep")
        delivery = Delivery(empty_frame(), source=data.name, given=columns, names=names, kind=given.kind, keep=keep)
        rows = f"(SELECT {', '.join(cells)} FROM {session.relation(data.sql)} AS r)"
        yield Lying(session, rows, delivery, columns, tuple(odd), resource)


def _require_kind(column: Column, field: pa.Field, name: str) -> None:
    its, called = field.type, getattr(field.type, "type_name", str(field.type))
    if column.kind == "datetime" and pa.types.is_timestamp(its) and its.tz is None:
        zone, query = "'Europe/Berlin'", 'Name the zone in a query, tk.table(engine, "SELECT …"), with'
        raise InputError(
            f"{name}: {field.name} has no time zone, so it is not known which moments it means. {query} {field.name} "
            f"AT TIME ZONE {zone}, or on Spark to_utc_timestamp({field.name}, {zone})."
        )
    is_text = pa.types.is_string(its) or pa.types.is_large_string(its) or pa.types.is_integer(its)
    is_text |= pa.types.is_decimal(its) or called in ("numeric", "extension<arrow.uuid>")
    if not (is_text if column.kind == "string" else _IS_KIND.get(column.kind, KINDS[column.kind][0].equals)(its)):
        raise InputError(
            f"{name}: {field.name} is of the type {called}, and {column.name} is a {column.kind}. Convert it in a "
            f'query: tk.table(engine, "SELECT … CAST({field.name} AS …) …").'
        )


@dataclass(frozen=True)
class Group:
    """Rows that are a finding only beside others.

    Attributes
    ----------
    key
        SQL expressions on one row.
    hits
        The query for the keys that such rows share: ``_k0`` and on, and ``_id``, the first id.
    first
        Whether the first row of a key is the finding, and not each row.
    rank
        Whether the query has a ``_rank``, and rows of rank 1 are what the others are compared with.
    """

    key: tuple[str, ...]
    hits: str
    first: bool = False
    rank: bool = False

    def joined(self, name: str, hits: str) -> str:
        """Return the join of the rows with the keys."""
        on = [f"{k} = {name}._k{i}" for i, k in enumerate(self.key)]
        on += [f"(r.{ID} = {name}._id OR (r.{ID} IS NULL AND {name}._id IS NULL))"] if self.first else []
        return f"LEFT JOIN {hits} AS {name} ON {' AND '.join(on)}"


_PAIRS = """WITH pairs AS ({0}), ranked AS (
    SELECT p.*, row_number() OVER (PARTITION BY p._k0 ORDER BY p._n DESC, p._k1) AS _rank,
           count(*) OVER (PARTITION BY p._k0) AS _among FROM pairs AS p)
SELECT r.* FROM ranked AS r WHERE r._among > 1"""


def _group(condition: Condition, rows: Lying) -> Group | None:
    """Return what only several rows show; None if that is not known for an engine."""
    one, several, kinds = f"min({ID}) = max({ID})", f"min({ID}) <> max({ID})", f"count(DISTINCT {ID})"
    if condition.check.startswith("single_"):
        one += f" AND (SELECT {kinds} FROM {rows.rows} AS every_) >= {condition.options['min_customers']}"
    column = quoted(str(condition.column))
    known: dict[str, tuple[tuple[str, ...], str]] = {
        **dict.fromkeys((UNIQUE, "twin_keys"), ((quoted(ID), quoted(TIME)), "count(*) > 1")),
        "near_ids": ((FOLDED_ID,), several),
        "two_categories": ((column, quoted(CAUSING["two_categories"])), "count(*) > 0"),
        **dict.fromkeys(("single_category", "single_price_list"), ((column,), one)),
    }
    if condition.check not in known:
        return None
    expressions, having = known[condition.check]
    key = tuple(map(rows.condition, expressions))
    there = [f"{k} IS NOT NULL" for k in key] + [rows.condition(IS_AN_ID)] * (condition.check == "near_ids")
    keys, numbers = (", ".join(f"{k} AS _k{i}" for i, k in enumerate(key)), ", ".join(map(str, range(1, len(key) + 1))))
    hits = (f"SELECT {keys}, min({ID}) AS _id, count(*) AS _n FROM {rows.rows} AS r WHERE {' AND '.join(there)} "
            f"GROUP BY {numbers} HAVING {having}")  # fmt: skip
    rank = condition.check == "two_categories"
    return Group(key, _PAIRS.format(hits) if rank else hits, rank or condition.check.startswith("single_"), rank)


Way = str | Group
"""How an engine finds a condition: SQL on one row, or what several rows share."""


def way_of(condition: Condition, rows: Lying, *, failing: bool = False) -> Way | None:
    """Return how the engine finds a condition; None for a rule of the toolkit that it does not run.

    Raises
    ------
    InputError
        If a rule of the analyst's own, or the contract, has something that the engine cannot say exactly, or a rule
        over several rows is a failure: which rows are good would then depend on what else is found in them.
    """
    if failing and condition.check in CAUSES:
        raise InputError(
            f"{condition.check} can only be a warning on {rows.session.dialect.name}: leave it out of failures=."
        )
    way: Way | None = _group(condition, rows)
    where, said = condition.where, "only conditions on one row, where=, can run there"
    for place in (" OR row_ = (SELECT max(row_) FROM rows_)", "row_ IN (SELECT row_ FROM sums_) OR "):
        where = where.replace(place, "")  # a table has no last row
    if way is None and where:
        try:
            way = where if condition.check == TOO_LARGE else rows.condition(where)
        except UnwritableError as error:
            said = f"it cannot say {error} exactly"
    if way is None and condition.check not in {rule.name for rule in RULES}:
        raise InputError(
            f"{rows.session.dialect.name} cannot run {condition.check}: {said}. Leave it out with "
            f"choose_rules(without=[{condition.check!r}]), or validate a sample in a frame."
        )
    return way


def good_rows(rows: Lying, failing: Sequence[Way]) -> str:
    """Return the query for the rows without a failure, as the engine writes it."""
    groups = {f"h{n}": way for n, way in enumerate(failing) if isinstance(way, Group)}
    none = [f"{name}._k0 IS NULL" for name in groups]
    none += [f"NOT coalesce({way}, 1 = 0)" for way in failing if isinstance(way, str)]
    joins = " ".join(way.joined(name, f"({way.hits})") for name, way in groups.items())
    listed = ", ".join(f"r.{quoted(c)}" for c in rows.columns)
    return rows.session.written(f"SELECT {listed} FROM {rows.rows} AS r {joins} WHERE {' AND '.join(none)}")


@contextmanager
def flagged(
    rows: Lying, conditions: Sequence[Condition], ways: Sequence[Way], n_failing: int
) -> Iterator[tuple[Staged, Counts]]:
    """Find the rows with a finding, count them, and open a session in memory with those that are shown."""
    there, order = rows.session, ", ".join(f"{quoted(c)} NULLS LAST" for c in rows.resource.names)
    for n, way in enumerate(ways):
        _try_alone(rows, conditions[n], way)
    marks, joins = dict[int, str](), list[str]()
    firsts = dict[int, tuple[str, Group]]()  # of these, the first row of each key is the finding
    beside = len(conditions)  # the place of a mark that is no finding: what another row is compared with
    for n, way in enumerate(ways):
        if isinstance(way, str):
            marks[n] = way
            continue
        there.create(f"hits{n}_", way.hits)
        if there.scalar(f"SELECT count(*) AS n FROM hits{n}_"):
            joins.append(way.joined(f"h{n}", f"hits{n}_"))
            found = f"h{n}._k0 IS NOT NULL"
            if way.first:
                firsts |= {n: (found + f" AND h{n}._rank > 1" * way.rank, way)}
                firsts |= {beside: (f"h{n}._rank = 1", way)} if way.rank else {}
            else:
                marks[n] = found
    flags = " || ".join(f"CASE WHEN {sql} THEN '1' ELSE '0' END" for sql in marks.values())
    more = "".join(f", CASE WHEN {sql} THEN 1 ELSE 0 END AS _first{n}" for n, (sql, _) in firsts.items())
    any_of = " OR ".join(f"({sql})" for sql in (*marks.values(), *(sql for sql, _ in firsts.values())))
    joined = f"FROM {rows.rows} AS r {' '.join(joins)}"
    there.create("marked_", f"SELECT r.*, {flags} AS _flags{more} {joined} WHERE {any_of}")
    each = "".join(
        f" || CASE WHEN _first{n} = 1 AND row_number() OVER (PARTITION BY _first{n}, {', '.join(way.key)} "
        f"ORDER BY {order}) = 1 THEN '1' ELSE '0' END" for n, (_, way) in firsts.items()
    )  # fmt: skip
    cells = ", ".join([*map(quoted, rows.resource.names), *(f"_unread_{c}" for c in rows.unread)])
    there.create("flagged_", f"SELECT {cells}, _flags{each} AS _flags FROM marked_ AS m")
    places = [*marks, *firsts]
    counted = there.table("SELECT _flags, count(*) AS k FROM flagged_ GROUP BY _flags").to_pandas()
    with Session({"rows_": pa.table({"row_": range(len(counted))})}) as session:
        _find(session, counted["_flags"], places, beside)
        collect_bad(session, conditions, n_failing)
        left = session.table("SELECT n, row_ FROM found_").to_pandas()
        bad = set(session.table("SELECT row_ FROM bad_").column(0).to_pylist())
    left = left.assign(k=left["row_"].map(counted["k"]), column=[str(conditions[n].column) for n in left["n"]],
                       bad=left["row_"].isin(bad))  # fmt: skip
    rows_of = left.drop_duplicates("row_").groupby("bad")["k"].sum()
    hit = left.drop_duplicates(["row_", "column"]).groupby("column")["k"].sum()
    failing = left[left["n"] < n_failing].drop_duplicates(["row_", "column"]).groupby("column")["k"].sum()
    shared = {n: way for n, way in enumerate(ways) if isinstance(way, Group) and n in marks}
    counts = Counts(
        there.scalar(f"SELECT count(*) AS n FROM {rows.rows} AS r"),
        int(rows_of.get(True, 0)),
        int(rows_of.get(False, 0)),
        {c: (int(failing.get(c, 0)), int(k - failing.get(c, 0))) for c, k in hit.items()},
        [{"n": n, "rows": int(k), "groups": _groups(there, shared[n], n, places, conditions) if n in shared else 0}
         for n, k in left.groupby("n")["k"].sum().items()],
    )  # fmt: skip
    first = f"left(_flags, {sum(n < n_failing for n in marks)}) LIKE '%1%'"
    kinds = (first, f"NOT {first} AND _flags LIKE '%1%'")
    shown = [there.table(f"SELECT * FROM flagged_ WHERE {kind} ORDER BY {order} LIMIT {SHOWN_ROWS}") for kind in kinds]
    with Session({"shown_": pa.concat_tables(shown, promote_options="permissive")}) as session:
        session.create("numbered_", f"SELECT row_number() OVER (ORDER BY {order}) AS row_, * FROM shown_")
        typed = [f"CAST({quoted(c.name)} AS {_TYPES[c.kind][0]}) AS {quoted(c.name)}" for c in rows.resource.columns]
        typed += [f"_unread_{c} AS {unread(c)}" for c in rows.unread]
        session.create("rows_", f"SELECT row_, {', '.join(typed)} FROM numbered_")
        marked = session.table("SELECT row_, _flags FROM numbered_").to_pandas().set_index("row_")["_flags"]
        _find(session, marked, places, beside)
        for n in shared:  # the rows that are shown with them
            twins = conditions[n].search
            hits = to_arrow(twins(session, {}), HITS) if twins else session.table(conditions[n].rows)
            session.register("hits_", hits)
            session.run(f"UPDATE found_ SET other_ = h.other_, group_ = h.group_ FROM hits_ h "
                        f"WHERE n = {n} AND found_.row_ = h.row_")  # fmt: skip
        for n in (n for n, (_, way) in firsts.items() if way.rank and n != beside):
            key = quoted(str(conditions[n].column))
            session.run(f"""UPDATE found_ SET other_ = b.row_ FROM rows_ a JOIN rows_ b ON a.{key} = b.{key}
                WHERE n = {n} AND found_.row_ = a.row_ AND b.row_ IN (SELECT row_ FROM beside_)""")
        collect_bad(session, conditions, n_failing)
        yield Staged(session, rows.delivery, None, rows.columns, rows.unread), counts


def _try_alone(rows: Lying, condition: Condition, way: Way) -> None:
    """Run a rule of the analyst's own alone, within its time: in the pass of all, no engine says which one failed."""
    if condition.seconds is None or not isinstance(way, str):
        return
    try:
        with rows.session.limited(condition.seconds):
            rows.session.scalar(f"SELECT count(*) AS n FROM {rows.rows} AS r WHERE {way}")
    except TimeoutError:
        raise too_slow(condition) from None
    except InputError as error:
        if LOST in str(error):
            raise
        raise InputError(
            f"The rule {condition.check} did not run. {error} Leave out cells that it does not take: CASE WHEN … END."
        ) from None


def _find(session: Session, flags: pd.Series, places: Sequence[int], beside: int) -> None:
    """Fill ``found_`` with the conditions whose flags are set, and ``beside_`` with the rows to compare others with."""
    found = [(places[at], row) for row, each in flags.items() for at, flag in enumerate(each) if flag == "1"]
    numbers = pd.DataFrame(found, columns=["n", "row_"], dtype="int64")
    session.register("each_", pa.Table.from_pandas(numbers, preserve_index=False))
    session.create("beside_", f"SELECT row_ FROM each_ WHERE n = {beside}")
    nulls = "NULL::BIGINT AS other_, NULL::BIGINT AS group_"
    session.create("found_", f"SELECT n::INTEGER AS n, row_, {nulls} FROM each_ WHERE n <> {beside}")
    session.register("broken_", BROKEN_LINES.empty_table())


def _groups(there: AnySession, group: Group, n: int, places: Sequence[int], conditions: Sequence[Condition]) -> int:
    """Count the keys that rows share, without rows of which another finding says why."""
    flag = "substr(_flags, {}, 1) = '{}'"
    causes = [m for m in causes_of(n, conditions) if m in places]
    held = [flag.format(places.index(n) + 1, 1), *(flag.format(places.index(m) + 1, 0) for m in causes)]
    keys = ", ".join(f"{k} AS _k{i}" for i, k in enumerate(group.key))
    each = f"SELECT DISTINCT {keys} FROM flagged_ WHERE {' AND '.join(held)}"
    return int(there.scalar(f"SELECT count(*) AS n FROM ({each}) AS d"))

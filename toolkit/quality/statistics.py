"""What each column contains, counted in SQL: nulls, distinct values, lengths, frequent values, patterns.

Each column is grouped once; everything else is counted from its distinct values. In a large table a column whose values
hardly repeat is not grouped, which would take most of the time and memory: there only the values that repeat are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from toolkit.engine import DUCKDB, AnySession, Session, quoted, text
from toolkit.model import CUSTOMER

SAMPLE = 10_000
"""Distinct values above which patterns are first looked for in a sample of about this size."""
MANY = 100_000
"""Rows above which values that hardly repeat are not grouped; a value in one of them is not a frequent one."""
FIRST = 10_000
"""Rows that show whether the values of a column repeat."""
MAX_SORTED = 25_000_000
"""Rows up to which hashes are sorted in memory."""
EVERY = "1 = 1"
MAX_PATTERNS = 20
SHAPED = 60
"""Characters of a value that its pattern covers."""
_LOWER = r"[\p{Ll}\p{Lt}\p{Lm}\p{Lo}]"
_SHAPE = (
    rf"regexp_replace(regexp_replace(regexp_replace(left(value, {SHAPED}), '{_LOWER}', 'a', 'g'), "
    r"'\p{Lu}', 'A', 'g'), '\p{Nd}', '9', 'g')"
)
_VALUE = {"value": "value"}
_SIGNS = {"a": _LOWER, "A": r"\p{Lu}", "9": r"\p{Nd}"}


def count_columns(session: AnySession, columns: Sequence[str], *, rows: str = "rows_") -> pd.DataFrame:
    """Count what each of the contract's `columns` contains in the session's table `rows`, or query in parentheses.

    Returns one row per column: ``nulls``, ``null_share`` (0 to 1), ``distinct``, ``repeated`` (those of them in more
    than one row), the ``shortest``, ``median`` and ``longest`` text in characters, ``least`` and ``greatest`` value as
    text, ``top`` (list of (value, rows): at most five values, each in at least 1 % of the rows), ``patterns`` (list of
    (pattern, share of the filled cells), the most frequent first) and ``sampled``: whether the patterns come from a
    sample. Only text columns have lengths and patterns.
    """
    n_rows = session.scalar(f"SELECT count(*) AS n FROM {rows} AS r")
    counted = [_count(session, rows, name, n_rows, is_text=CUSTOMER.column(name).kind == "string") for name in columns]
    frame = pd.DataFrame(counted).astype(dict.fromkeys(("shortest", "median", "longest"), "Int64"))
    return frame.astype({"column": "str", "least": "str", "greatest": "str"})


def count_nulls(session: AnySession, columns: Sequence[str], *, rows: str, unique: str) -> pd.DataFrame:
    """Count only the ``nulls``, their share ``null``, and ``distinct`` of each column, as `count_columns` does.

    The column `unique` is known to repeat no value.
    """
    cells = [(f"r.{quoted(c)}", "" if c == unique else "DISTINCT ") for c in columns]
    counts = ", ".join(f"count({c}) AS filled_{n}, count({each}{c}) AS n_{n}" for n, (c, each) in enumerate(cells))
    n_rows, *found = (c[0].as_py() for c in session.table(f"SELECT count(*) AS n, {counts} FROM {rows} AS r").columns)
    frame = pd.DataFrame({"column": columns, "nulls": [n_rows - n for n in found[::2]], "distinct": found[1::2]})
    return frame.assign(null=frame["nulls"] / max(n_rows, 1))


def _count(session: AnySession, rows: str, column: str, n_rows: int, *, is_text: bool) -> dict[str, Any]:
    name = f"r.{quoted(column)}"
    values, there = "values_", f"FROM {rows} AS r WHERE {name} IS NOT NULL"
    grouped = f"SELECT {name} AS value, count(*) AS n {there}"
    if only := where_repeated(session, name, there, n_rows):
        # The groups are for what is counted by value. Lengths, patterns and bounds are the same of rows.
        values, grouped = f"(SELECT {name} AS value, 1 AS n {there})", grouped + only
    session.create("values_", f"{grouped} GROUP BY {name}")
    found = """SELECT CAST(coalesce(sum(n), 0) AS BIGINT) AS filled, min(value) AS least, max(value) AS greatest,
        count(*) AS n, count(CASE WHEN n > 1 THEN 1 END) AS repeated FROM {} AS v"""
    facts = session.table(found.format(values))
    groups = session.table(found.format("values_")) if only else facts
    n_grouped, n_groups, n_repeated = (groups[c][0].as_py() for c in ("filled", "n", "repeated"))
    top = session.table(f"SELECT value, n FROM values_ WHERE n * 100 >= {n_rows} ORDER BY n DESC, value LIMIT 5")
    if not is_text:
        facts, top = _as_text(facts, ["least", "greatest"]), _as_text(top, ["value"])
    filled, least, greatest, *_ = (each[0].as_py() for each in facts.columns)
    n = n_groups + filled - n_grouped
    counted = {"column": column, "nulls": n_rows - filled, "null_share": (n_rows - filled) / max(n_rows, 1),
               "distinct": n, "repeated": n_repeated, "shortest": None, "median": None, "longest": None,
               "least": least, "greatest": greatest, "top": [(v["value"], v["n"]) for v in top.to_pylist()],
               "patterns": [], "sampled": False}  # fmt: skip
    if is_text and filled:
        counted |= _lengths(session, values)
        shape, which, of_sample = shaping(session, n, values)
        shapes = _shapes(session, shape, EVERY, values) if which == EVERY else of_sample
        counted |= {"patterns": [(pattern_of(s), share) for s, share in shapes], "sampled": which != EVERY}
    return counted


def _as_text(found: pa.Table, times: Sequence[str]) -> pa.Table:
    """Return times as text, such as ``2025-01-28 10:00:00Z``; also those that Python does not know."""
    shown = ", ".join(f"replace({c}::VARCHAR, '+00', 'Z') AS {c}" for c in times)
    with Session({"found": found}) as session:
        return session.table(f"SELECT * REPLACE ({shown}) FROM found")


def where_repeated(session: AnySession, value: str, there: str, n_rows: int) -> str:
    """Return what keeps of the rows ``FROM … WHERE …`` those whose value another has, and hardly a row more.

    It is empty where that would save no time: of few rows, if most of the first values repeat, and on other engines.
    """
    first = f"FROM (SELECT {value} AS value {there} LIMIT {FIRST}) AS first_"
    if session.dialect is not DUCKDB or n_rows <= MANY:
        return ""
    if session.scalar(f"SELECT count(DISTINCT value) * 2 <= count(*) {first}"):
        return ""
    session.register("repeated_", hashes := repeated_hashes(session, f"SELECT hash({value}) AS h {there}", n_rows))
    return f" AND hash({value}) IN (SELECT h FROM repeated_)" if hashes.num_rows else " AND false"


def repeated_hashes(session: AnySession, hashes: str, n_rows: int) -> pa.Table:
    """Return what a query of a column of hashes ``h`` gives more than once: only values with such a hash can repeat.

    To sort the hashes takes a tenth of the time of grouping values, and 16 bytes a row; the engine groups them where
    that would be too much memory.
    """
    if n_rows > MAX_SORTED:
        return session.table(f"{hashes} GROUP BY h HAVING count(*) > 1")
    ordered = np.sort(session.table(hashes)["h"].to_numpy())
    return pa.table({"h": np.unique(ordered[1:][ordered[1:] == ordered[:-1]])})


def _lengths(session: AnySession, values: str) -> dict[str, int]:
    found = session.table(f"""SELECT size, CAST(sum(n) AS BIGINT) AS n
        FROM (SELECT length(value) AS size, n FROM {values} AS v) AS sizes GROUP BY size ORDER BY size""")
    sizes, up_to = found["size"].to_numpy(), np.cumsum(found["n"].to_numpy())
    middle = sizes[np.searchsorted(up_to, up_to[-1] / 2)]
    return {"shortest": int(sizes[0]), "median": int(middle), "longest": int(sizes[-1])}


def shaping(session: AnySession, distinct: int, values: str = "values_") -> tuple[str, str, list[tuple[str, float]]]:
    """Return the SQL for the shape of a value of the table or query `values`, and the condition which of them to shape.

    That is `EVERY`, or a sample if there are many and they have little in common; none on an engine without classes of
    letters. The shapes of the sample, with their shares, are the third.
    """
    if session.dialect.posix:
        return "CAST(NULL AS VARCHAR)", "1 = 0", []
    shape = session.dialect.condition(_SHAPE, _VALUE)
    if distinct <= SAMPLE:
        return shape, EVERY, []
    part = f"hash(value) % {distinct // SAMPLE} = 0"  # the same values each time
    if session.dialect is not DUCKDB:  # which takes seven times as long for this
        part = f"left(md5(value), 8) < '{SAMPLE * 2**32 // distinct:08x}'"
    of_sample = _shapes(session, shape, part, values)
    common = [(found, share) for found, share in of_sample[:3] if len(found) < SHAPED]
    if sum(share for _, share in common) < 0.9:
        return shape, part, of_sample
    # A match is much faster than a shape. Values that match no common shape are shaped, so that none is missed.
    when = " ".join(
        f"WHEN {session.dialect.condition(f'regexp_full_match(value, {text(_expression(s))})', _VALUE)} THEN {text(s)}"
        for s, _ in common
    )
    return f"CASE {when} ELSE {shape} END", EVERY, of_sample


def _shapes(session: AnySession, shape: str, which: str, values: str) -> list[tuple[str, float]]:
    found = session.table(f"""SELECT shape, n, CAST(sum(n) OVER () AS BIGINT) AS total FROM (
        SELECT shape, CAST(sum(n) AS BIGINT) AS n
        FROM (SELECT {shape} AS shape, n FROM {values} AS v WHERE {which}) AS shaped GROUP BY shape)
        AS shapes ORDER BY n DESC, shape LIMIT {MAX_PATTERNS}""")
    return [(s["shape"], s["n"] / s["total"]) for s in found.to_pylist()]


def pattern_of(shape: str) -> str:
    """Shorten runs of five and more: ``AAAAA-9999`` is ``A{5}-9999``."""
    short = re.sub(r"([aA9])\1{4,}", lambda run: f"{run[1]}{{{len(run[0])}}}", shape)
    return short + ("…" if len(shape) == SHAPED else "")


def _expression(shape: str) -> str:
    """Return the regular expression that matches all values of a shape."""
    runs = ((_SIGNS.get(sign, rf"\x{{{ord(sign):x}}}"), len(list(run))) for sign, run in groupby(shape))
    return "".join(f"{sign}{{{n}}}" for sign, n in runs)

"""What each column contains, counted in SQL: nulls, distinct values, lengths, frequent values, patterns.

Each column is grouped once; everything else is counted from its distinct values.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from toolkit.engine import Session, quoted, text
from toolkit.model import CUSTOMER

COLUMNS = ["column", "nulls", "null_share", "distinct", "shortest", "median", "longest", "least", "greatest", "top",
           "patterns", "sampled"]  # fmt: skip

SAMPLE = 10_000
"""Distinct values above which patterns are first looked for in a sample of about this size."""
EVERY = "true"
MAX_PATTERNS = 20
SHAPED = 60
"""Characters of a value that its pattern covers."""
_LOWER = r"[\p{Ll}\p{Lt}\p{Lm}\p{Lo}]"
_SHAPE = (
    rf"regexp_replace(regexp_replace(regexp_replace(left(value, {SHAPED}), '{_LOWER}', 'a', 'g'), "
    r"'\p{Lu}', 'A', 'g'), '\p{Nd}', '9', 'g')"
)
_SIGNS = {"a": _LOWER, "A": r"\p{Lu}", "9": r"\p{Nd}"}


def count_columns(session: Session, columns: Sequence[str], *, rows: str = "rows_") -> pd.DataFrame:
    """Count what each of the contract's `columns` contains in the session's table `rows`.

    Returns one row per column: ``nulls``, ``null_share`` (0 to 1), ``distinct``, the ``shortest``, ``median`` and
    ``longest`` text in characters, ``least`` and ``greatest`` value as text, ``top`` (list of (value, rows): at most
    five values, each in at least 1 % of the rows), ``patterns`` (list of (pattern, share of the filled cells), the most
    frequent first) and ``sampled``: whether the patterns come from a sample. Only text columns have lengths and
    patterns.
    """
    n_rows = session.scalar(f"SELECT count(*) FROM {rows}")
    counted = [_count(session, rows, name, n_rows, is_text=CUSTOMER.column(name).kind == "string") for name in columns]
    frame = pd.DataFrame(counted, columns=COLUMNS).astype(dict.fromkeys(("shortest", "median", "longest"), "Int64"))
    return frame.astype({"column": "str", "least": "str", "greatest": "str"})


def count_nulls(session: Session, columns: Sequence[str], *, rows: str) -> pd.DataFrame:
    """Count only ``nulls``, ``null_share`` and ``distinct`` of each column, as `count_columns` does."""
    counts = ", ".join(f"count({c}), count(DISTINCT {c})" for c in map(quoted, columns))
    n_rows, *found = (c[0].as_py() for c in session.table(f"SELECT count(*), {counts} FROM {rows}").columns)
    frame = pd.DataFrame({"column": columns, "nulls": [n_rows - n for n in found[::2]], "distinct": found[1::2]})
    return frame.assign(null_share=frame["nulls"] / max(n_rows, 1))


def _count(session: Session, rows: str, column: str, n_rows: int, *, is_text: bool) -> dict[str, Any]:
    name = quoted(column)
    session.run(
        f"""CREATE OR REPLACE TEMP TABLE values_ AS
            SELECT {name} AS value, count(*) AS n FROM {rows} WHERE {name} IS NOT NULL GROUP BY 1"""
    )
    shown = "{}" if is_text else "replace({}::VARCHAR, '+00', 'Z')"
    (facts,) = session.table(
        f"""SELECT n AS distinct, filled, {shown.format("least")} AS least, {shown.format("greatest")} AS greatest FROM
            (SELECT count(*) AS n, coalesce(sum(n), 0)::BIGINT AS filled, min(value) AS least, max(value) AS greatest
             FROM values_)"""
    ).to_pylist()
    top = session.table(
        f"""SELECT {shown.format("value")} AS shown, n FROM values_ WHERE n * 100 >= {n_rows}
            ORDER BY n DESC, value LIMIT 5"""
    ).to_pylist()
    filled = facts.pop("filled")
    counted = {"column": column, "nulls": n_rows - filled, "null_share": (n_rows - filled) / max(n_rows, 1), **facts}
    counted |= {"top": [(v["shown"], v["n"]) for v in top], "patterns": [], "sampled": False}
    if is_text and filled:
        counted |= _lengths(session)
        counted["patterns"], counted["sampled"] = _patterns(session, facts["distinct"])
    return counted


def _lengths(session: Session) -> dict[str, int]:
    found = session.table("SELECT length(value) AS size, sum(n)::BIGINT AS n FROM values_ GROUP BY 1 ORDER BY 1")
    sizes, up_to = found["size"].to_numpy(), np.cumsum(found["n"].to_numpy())
    middle = sizes[np.searchsorted(up_to, up_to[-1] / 2)]
    return {"shortest": int(sizes[0]), "median": int(middle), "longest": int(sizes[-1])}


def _patterns(session: Session, distinct: int) -> tuple[list[tuple[str, float]], bool]:
    """Find the patterns of all values, or of a sample if there are many and they have little in common."""
    shape, which = shaping(session, distinct)
    return [(pattern_of(shape), share) for shape, share in _shapes(session, shape, which)], which != EVERY


def shaping(session: Session, distinct: int) -> tuple[str, str]:
    """Return the SQL for the shape of a value of ``values_``, and the condition which of them to shape.

    That is `EVERY`, or a sample if there are many and they have little in common.
    """
    if distinct <= SAMPLE:
        return _SHAPE, EVERY
    part = f"hash(value) % {distinct // SAMPLE} = 0"  # the same values each time
    common = [(shape, share) for shape, share in _shapes(session, _SHAPE, part)[:3] if len(shape) < SHAPED]
    if sum(share for _, share in common) < 0.9:
        return _SHAPE, part
    # A match is much faster than a shape. Values that match no common shape are shaped, so that none is missed.
    when = " ".join(f"WHEN regexp_full_match(value, '{_expression(s)}') THEN {text(s)}" for s, _ in common)
    return f"CASE {when} ELSE {_SHAPE} END", EVERY


def _shapes(session: Session, shape: str, which: str) -> list[tuple[str, float]]:
    found = session.table(
        f"""SELECT {shape} AS shape, sum(n) / sum(sum(n)) OVER () AS share FROM values_ WHERE {which}
            GROUP BY 1 ORDER BY share DESC, shape LIMIT {MAX_PATTERNS}"""
    ).to_pylist()
    return [(s["shape"], s["share"]) for s in found]


def pattern_of(shape: str) -> str:
    """Shorten runs of five and more: ``AAAAA-9999`` is ``A{5}-9999``."""
    short = re.sub(r"([aA9])\1{4,}", lambda run: f"{run[1]}{{{len(run[0])}}}", shape)
    return short + ("…" if len(shape) == SHAPED else "")


def _expression(shape: str) -> str:
    """Return the regular expression that matches all values of a shape."""
    runs = ((_SIGNS.get(sign, rf"\x{{{ord(sign):x}}}"), len(list(run))) for sign, run in groupby(shape))
    return "".join(f"{sign}{{{n}}}" for sign, n in runs)

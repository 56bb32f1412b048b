"""Findings: one record per row and check. How conditions find them, and how they are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa

from toolkit.display import Markup, badge, escape, is_null, percent, plural, table, timestamp
from toolkit.engine import Session, quoted, to_arrow, to_frame
from toolkit.errors import InputError
from toolkit.quality.compiling import Condition
from toolkit.quality.rules import RULES

_BATCH = 100_000
_HITS = pa.schema([("row_", pa.int64()), ("other_", pa.int64())])


def find(session: Session, conditions: Sequence[Condition], typed: pd.DataFrame | None = None) -> list[Condition]:
    """Fill the table ``found_`` with a row for each row of ``rows_`` and each condition that it fails.

    Returns the conditions, with the reasons that were found with them.

    ``n`` is the condition's place in `conditions`, ``other_`` a row to compare with, or null. The conditions on one
    row run in one pass over ``rows_``, the others as a query each.

    Parameters
    ----------
    typed
        The customers as a frame, for checks that run in pandas.

    Raises
    ------
    InputError
        If such a check does not give a result for each cell.
    """
    session.run("CREATE OR REPLACE TEMP TABLE found_ (n INTEGER, row_ BIGINT, other_ BIGINT)")
    where = {n: c.where for n, c in enumerate(conditions) if c.where}
    if where:
        held = ", ".join(f"coalesce(({sql}), false) AS c{n}" for n, sql in where.items())
        listed = ", ".join(f"CASE WHEN c{n} THEN {n} END" for n in where)
        session.run(
            f"""INSERT INTO found_ SELECT n, row_, NULL FROM (
                    SELECT row_, unnest([{listed}]) AS n FROM (SELECT row_, {held} FROM rows_) AS checked
                    WHERE {" OR ".join(f"c{n}" for n in where)}) AS failed
                WHERE n IS NOT NULL"""
        )
    known = list(conditions)
    for n, condition in enumerate(conditions):
        query = condition.rows
        if condition.search is not None:
            hits = condition.search(session, condition.options)
            known[n] = replace(condition, reason=hits.attrs.get("reason", condition.reason))
            session.register("hits_", to_arrow(hits, _HITS))
        elif condition.python is not None:
            session.register("hits_", to_arrow(_in_pandas(session, condition, typed), _HITS))
        elif not query:
            continue
        session.run(f"INSERT INTO found_ SELECT {n}, row_, other_ FROM ({query or 'SELECT * FROM hits_'}) AS found")
    return known


def _in_pandas(session: Session, condition: Condition, typed: pd.DataFrame | None) -> pd.DataFrame:
    name = str(condition.column)
    if typed is not None:
        parts = iter([typed[name]])
    else:
        batches = session.batches(f"SELECT row_, {quoted(name)} FROM rows_", _BATCH)
        parts = (to_frame(pa.Table.from_batches([batch]), index="row_")[name] for batch in batches)
    found = [pd.Series(dtype="int64")]
    for cells in parts:
        try:
            pandera.SeriesSchema(checks=condition.python, nullable=True).validate(cells, lazy=True)
        except pandera.errors.SchemaErrors as error:
            found.append(error.failure_cases["index"])
    rows = pd.concat(found)
    if rows.isna().any():
        raise InputError(
            f"The rule {condition.check} cannot be checked row by row on {name}: its check fails on the column as a "
            "whole. Write a check that gives true or false for each cell."
        )
    return pd.DataFrame({"row_": rows.astype("int64")})


def read_findings(
    session: Session, conditions: Sequence[Condition], cells: pd.DataFrame, which: str = "true", limit: str = ""
) -> pd.DataFrame:
    """Return the findings of ``found_`` by row.

    Parameters
    ----------
    cells
        The customers as they came, index ``source_row``: at least the rows of the findings.
    which, limit
        SQL: which findings, and how many.

    Returns
    -------
    pandas.DataFrame
        ``column``, ``check``, ``failure_case`` (the cell), ``index`` (its ``source_row``), ``reason`` and ``other``
        (the ``source_row`` to compare with, or null).
    """
    found = session.table(f"SELECT n, row_, other_ FROM found_ WHERE {which} ORDER BY row_, n {limit}")
    texts = {
        name: pd.Series(pa.array([getattr(c, name) for c in conditions], pa.string()).take(found["n"]), dtype="str")
        for name in ("column", "check", "reason")
    }
    index = found["row_"].to_numpy()
    places, cases = cells.index.get_indexer(pd.Index(index)), np.empty(len(found), dtype=object)
    for column, at in texts["column"].groupby(texts["column"]).indices.items():
        cases[at] = cells[column].iloc[places[at]].to_numpy(dtype=object)
    other = found["other_"].to_pandas(types_mapper=lambda _: pd.Int64Dtype())
    return pd.DataFrame(
        {"column": texts["column"], "check": texts["check"], "failure_case": cases, "index": index,
         "reason": texts["reason"], "other": other}
    )  # fmt: skip


MAX_FINDINGS = 30
MAX_EXAMPLES = 3
_CELL = 40
_HARM = {rule.name: place for place, rule in enumerate(RULES)} | {"other_contract": len(RULES)}


def by_reason(
    session: Session, conditions: Sequence[Condition], found: pd.DataFrame, cells: pd.DataFrame, which: str = "true"
) -> pd.DataFrame:
    """Return one row per reason of ``found_``, the most harmful first: in the order of the rules, then of the counts.

    Failures of the contract and of the analyst's own rules come before the toolkit's rules, and what another contract
    would refuse after them.

    Parameters
    ----------
    found
        The findings that examples are taken from, which may be only the first ones.
    cells
        The customers, from which the row to compare with is shown.

    Returns
    -------
    pandas.DataFrame
        ``reason, column, check, count`` and ``examples``: list of (row, cell, other row, other cell), at most three.
    """
    counted = session.table(f"SELECT n, count(*) AS rows FROM found_ WHERE {which} GROUP BY n ORDER BY n").to_pylist()
    counts = [(conditions[c["n"]], c["rows"]) for c in counted]
    counts.sort(key=lambda pair: (_HARM.get(pair[0].check, -1), -pair[1]))
    reasons = [condition.reason for condition, _ in counts]
    examples: dict[str, list[tuple[int, Any, int | None, Any]]] = {reason: [] for reason in reasons}
    first = found[found["reason"].isin(reasons[:MAX_FINDINGS])].groupby("reason", sort=False).head(MAX_EXAMPLES)
    for f in first.to_dict("records"):
        known = not pd.isna(f["other"])
        beside = (int(f["other"]), cells.at[f["other"], f["column"]]) if known else (None, None)
        examples[f["reason"]].append((f["index"], f["failure_case"], *beside))
    rows = [(c.reason, c.column, c.check, n, examples[c.reason]) for c, n in counts]
    return pd.DataFrame(rows, columns=["reason", "column", "check", "count", "examples"])


def first_reason(reasons: pd.DataFrame) -> str:
    """Return the first of the reasons that `by_reason` gives, with its count."""
    return f"{reasons['reason'].iloc[0]} ({plural(int(reasons['count'].iloc[0]), 'row')})"


def reasons_table(failures: pd.DataFrame, warnings: pd.DataFrame, *, n_rows: int, names: Mapping[str, str]) -> Markup:
    """Show reasons as `by_reason` gives them, of `n_rows` rows; `names` are the file's own names of its columns."""
    shown = [(badge("failure", tone="bad"), f) for f in failures.head(MAX_FINDINGS).to_dict("records")]
    shown += [(badge("warning", tone="warn"), f) for f in warnings.head(MAX_FINDINGS).to_dict("records")]
    rows = [
        (kind, f["reason"], f["count"], percent(f["count"] / max(n_rows, 1)),
         names.get(f["column"], f["column"] or ""), Markup("".join(_example(*e) for e in f["examples"])))
        for kind, f in shown
    ]  # fmt: skip
    head = ["", "what", "count", "share", "column", "seen at source_row"]
    one_kind = failures.empty
    more = len(failures) + len(warnings) - len(rows)
    return table(head[one_kind:], [row[one_kind:] for row in rows], more=more)


def _example(row: int, cell: object, other: int | None, beside: object) -> str:
    first = f'<span class="row"><span class="num">{row}</span> {_cell(cell)}'
    return f"{first}{'' if other is None else f' <span class=soft>beside {other}</span> {_cell(beside)}'}</span>"


def _cell(cell: object) -> str:
    if is_null(cell):
        return ""
    shown = timestamp(cell) if isinstance(cell, pd.Timestamp) else str(cell)
    return f"<bdi class=cell>{escape(shown, limit=_CELL) or '&nbsp;'}</bdi>"

"""Findings: one record per row and check. How conditions find them, and what they are as text."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa

from toolkit.display import plural
from toolkit.engine import EngineError, Session, quoted, to_arrow, to_frame
from toolkit.errors import InputError
from toolkit.model import CUSTOMER, ID, NAME
from toolkit.quality.compiling import Condition
from toolkit.quality.rules import CAUSES, CAUSING, RULES, by_cell
from toolkit.quality.showing import MAX_MEMBERS, Show, rest_of, shown_cell
from toolkit.quality.statistics import FIRST, MANY

BROKEN = "line"
"""Name of the failure of a line that could not be parsed."""
_BATCH = 100_000
MAX_FEW = 100
"""Distinct values of the first rows up to which a column is taken to have few."""
_UNFIT = "a {} error, as of a cell that is not of the type that it wants, where TRY_CAST would give null."
_KINDS = pa.schema([("n", pa.int64()), ("name", pa.string()), ("reason", pa.string())])
HITS = pa.schema([("row_", pa.int64()), ("other_", pa.int64()), ("group_", pa.int64())])


def find(session: Session, conditions: Sequence[Condition], typed: pd.DataFrame | None = None) -> list[Condition]:
    """Fill the table ``found_`` with a row for each row of ``rows_`` and each condition that it fails.

    Returns the conditions, with the reasons that were found with them.

    ``n`` is the condition's place in `conditions`, ``other_`` a row to compare with, or null, and ``group_`` the first
    row of those that are one finding, or null. The conditions on one row run in one pass over ``rows_``, the others as
    a query each.

    Parameters
    ----------
    typed
        The customers as a frame, for checks that run in pandas.

    Raises
    ------
    InputError
        If such a check does not give a result for each cell, or an analyst's rule takes longer than it may.
    """
    session.run("CREATE OR REPLACE TEMP TABLE found_ (n INTEGER, row_ BIGINT, other_ BIGINT, group_ BIGINT)")
    where = {n: c.where for n, c in enumerate(conditions) if c.where and c.seconds is None}
    rows = {n: c.rows for n, c in enumerate(conditions) if c.rows and c.seconds is None}
    queries = [f"SELECT {n} AS n, * FROM ({sql}) AS found" for n, sql in rows.items()]
    known, together, many = list(conditions), {*where, *rows}, typed is None or len(typed) > MANY
    for n in _not_failed(session, conditions) if many else ():
        del where[n]
    if where:
        held = ", ".join(f"coalesce(({sql}), false) AS c{n}" for n, sql in where.items())
        listed = ", ".join(f"CASE WHEN c{n} THEN {n} END" for n in where)
        failed = " OR ".join(f"c{n}" for n in where)
        # A WHERE stops at the first condition that a row fails, but each is compiled twice, which takes milliseconds.
        some = f"(SELECT * FROM rows_ WHERE {' OR '.join(f'({sql})' for sql in where.values())})" if many else "rows_"
        queries.append(
            f"""SELECT n, row_ FROM (
                    SELECT row_, unnest(CASE WHEN {failed} THEN [{listed}] END) AS n
                    FROM (SELECT row_, {held} FROM {some}) AS checked) AS failed
                WHERE n IS NOT NULL"""
        )
    if queries:
        session.run(f"INSERT INTO found_ BY NAME {' UNION ALL BY NAME '.join(queries)}")
    for n, condition in enumerate(conditions):
        if n in together:
            continue
        try:
            with session.limited(condition.seconds) if condition.seconds else nullcontext():
                known[n] = _find_alone(session, n, condition, typed)
        except TimeoutError:
            raise too_slow(condition) from None
        except EngineError as error:  # its text may have a cell
            kind, _, said = str(error).partition("\n")[0].partition(" Error: ")
            why = said if kind in ("Parser", "Binder", "Catalog") else _UNFIT.format(kind)
            raise InputError(f"The rule {condition.check} cannot run: {why}") from None
    return known


def _not_failed(session: Session, conditions: Sequence[Condition]) -> set[int]:
    """Return conditions on one column that none of its few values fails: to ask this of each row takes much longer."""
    names = {*CUSTOMER.names, *(c.column or "row_" for c in conditions), "row_", "rows_", "unread "}
    alone: dict[str, dict[int, str]] = {}
    for n, c in enumerate(conditions):
        if c.where and c.seconds is None and c.column and not any(other in c.where for other in names - {c.column}):
            alone.setdefault(c.column, {})[n] = c.where
    several = {column: of for column, of in alone.items() if len(of) > 2}
    if not several:
        return set()
    counted = ", ".join(f"count(DISTINCT {quoted(c)})" for c in several)
    first = session.table(f"SELECT {counted} FROM (SELECT * FROM rows_ LIMIT {FIRST})")
    found = set[int]()
    for (column, of), n_values in zip(several.items(), first.columns, strict=True):
        if n_values[0].as_py() <= MAX_FEW:
            fails = ", ".join(f"coalesce(bool_or({sql}), false)" for sql in of.values())
            asked = session.table(f"SELECT {fails} FROM (SELECT DISTINCT {quoted(column)} FROM rows_) AS values_")
            found |= {n for n, fail in zip(of, asked.columns, strict=True) if not fail[0].as_py()}
    return found


def too_slow(rule: Condition) -> InputError:
    """Return the error of an analyst's rule that took longer than it may."""
    return InputError(
        f"The rule {rule.check} was stopped after {rule.seconds:g} s: simplify it, or give it more time with "
        "Rule(…, seconds=…)."
    )


def _find_alone(session: Session, n: int, condition: Condition, typed: pd.DataFrame | None) -> Condition:
    query = condition.rows or f"SELECT row_ FROM rows_ WHERE coalesce(({condition.where or 'false'}), false)"
    hits = condition.search(session, condition.options) if condition.search else None
    if condition.python is not None:
        hits = _in_pandas(session, condition, typed)
    if hits is not None:
        if hits.empty:  # a statement takes milliseconds
            return condition
        condition = replace(condition, reason=hits.attrs.get("reason", condition.reason))
        session.register("hits_", to_arrow(hits, HITS))
        query = "FROM hits_"
    session.run(f"INSERT INTO found_ BY NAME SELECT {n} AS n, * FROM ({query}) AS found")
    return condition


def _in_pandas(session: Session, condition: Condition, typed: pd.DataFrame | None) -> pd.DataFrame:
    name, end = str(condition.column), time.monotonic() + (condition.seconds or math.inf)
    if typed is not None:
        n_rows = _BATCH if by_cell(condition.python) else max(len(typed), 1)
        parts = (typed[name].iloc[at : at + n_rows] for at in range(0, len(typed), n_rows))
    else:
        batches = session.batches(f"SELECT row_, {quoted(name)} FROM rows_", _BATCH)
        parts = (to_frame(pa.Table.from_batches([batch]), index="row_")[name] for batch in batches)
    found = [pd.Series(dtype="int64")]
    for cells in parts:
        try:
            with _stopped_at(end):
                pandera.SeriesSchema(checks=condition.python, nullable=True).validate(cells, lazy=True)
        except pandera.errors.SchemaErrors as error:
            found.append(error.failure_cases["index"])
        if time.monotonic() > end:  # pandera takes what stops a check for a failure of the check
            raise TimeoutError
    rows = pd.concat(found)
    if rows.isna().any():
        raise InputError(
            f"The rule {condition.check} cannot be checked row by row on {name}: its check fails on the column as a "
            "whole. Write a check that gives true or false for each cell."
        )
    return pd.DataFrame({"row_": rows.astype("int64")})


@contextmanager
def _stopped_at(end: float) -> Iterator[None]:
    """Interrupt Python code, and expressions of `re`, at a time of `time.monotonic`: by a signal, as the system does.

    Only the main thread receives signals, and Windows has none of this kind; the caller looks at the time as well.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not (is_main and hasattr(signal, "setitimer") and end < math.inf):
        yield
        return

    def stop(*_: object) -> None:
        raise TimeoutError

    handler = signal.signal(signal.SIGALRM, stop)
    timer = signal.setitimer(signal.ITIMER_REAL, max(end - time.monotonic(), 1e-6))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, handler or signal.SIG_DFL)


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
        ``column``, ``check``, ``failure_case`` (the cell), ``index`` (its ``source_row``), ``reason``, ``other`` (the
        ``source_row`` to compare with, or null) and ``group`` (the first ``source_row`` of one finding, or null).
    """
    found = session.table(f"SELECT n, row_, other_, group_ FROM found_ WHERE {which} ORDER BY row_, n {limit}")
    texts = {
        name: pd.Series(pa.array([getattr(c, name) for c in conditions], pa.string()).take(found["n"]), dtype="str")
        for name in ("column", "check", "reason")
    }
    index = found["row_"].to_numpy()
    places, cases = cells.index.get_indexer(pd.Index(index)), np.empty(len(found), dtype=object)
    for column, at in texts["column"].groupby(texts["column"]).indices.items():
        cases[at] = cells[column].iloc[places[at]].to_numpy(dtype=object)
    other, group = (found[c].to_pandas(types_mapper=lambda _: pd.Int64Dtype()) for c in ("other_", "group_"))
    return pd.DataFrame(
        {"column": texts["column"], "check": texts["check"], "failure_case": cases, "index": index,
         "reason": texts["reason"], "other": other, "group": group}
    )  # fmt: skip


MAX_FINDINGS = 30
MAX_EXAMPLES = 3
_HARM = {rule.name: place for place, rule in enumerate(RULES)} | {"other_contract": len(RULES)}


def _leave_out_consequences(session: Session, conditions: Sequence[Condition]) -> set[int]:
    """Delete what several rows show only because of a cell that another finding is about; return what was there."""
    present = set(session.table("SELECT DISTINCT n FROM found_")["n"].to_pylist())
    for n in sorted(present):
        if causes := present.intersection(causes_of(n, conditions)):
            found = f"SELECT row_ FROM found_ WHERE n IN ({', '.join(map(str, causes))})"
            session.run(f"DELETE FROM found_ WHERE n = {n} AND row_ IN ({found})")
    return present


def causes_of(n: int, conditions: Sequence[Condition]) -> list[int]:
    """Return which findings of its row say why a condition's finding is there."""
    of, why = CAUSING.get(conditions[n].check, conditions[n].column), CAUSES.get(conditions[n].check, ())
    return [m for m, o in enumerate(conditions) if o.check in why and (o.column == of or o.check == "two_categories")]


def collect_bad(session: Session, conditions: Sequence[Condition], n_failing: int) -> None:
    """Add the broken lines to ``found_``; fill ``bad_`` with each row that has a failure, and all of its reasons.

    The first `n_failing` conditions are failures. What is there only because of another finding is left out, and so is
    what else a totals row lacks: it is no customer.
    """
    present = _leave_out_consequences(session, conditions)
    for n in (n for n in present if n < n_failing and conditions[n].check == "totals_row"):
        session.run(f"DELETE FROM found_ WHERE n <> {n} AND row_ IN (SELECT row_ FROM found_ WHERE n = {n})")
    kinds = [{"n": n, "name": c.column or "", "reason": c.reason} for n, c in enumerate(conditions)]
    session.register("kinds_", pa.Table.from_pylist(kinds, schema=_KINDS))
    if lines := [str(n) for n, c in enumerate(conditions) if c.check == BROKEN]:
        of_lines = f"FROM broken_ JOIN kinds_ USING (reason) WHERE n IN ({', '.join(lines)})"
        session.run(f"INSERT INTO found_ BY NAME SELECT n, row_ {of_lines}")
    session.run(
        f"""CREATE OR REPLACE TEMP TABLE bad_ AS
            SELECT row_, string_agg(reason || coalesce(' (see row ' || other_ || ')', ''), '; ' ORDER BY n) AS reasons
            FROM found_ JOIN kinds_ USING (n) WHERE n < {n_failing} GROUP BY row_"""
    )


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

    @classmethod
    def of(cls, session: Session, n_failing: int) -> Counts:
        """Count what is in ``found_`` and ``bad_``, of `collect_bad`."""
        hits = session.table(
            f"""SELECT name, count(DISTINCT row_) FILTER (n < {n_failing}) AS bad, count(DISTINCT row_) AS every
                FROM found_ JOIN kinds_ USING (n) GROUP BY name"""
        ).to_pylist()
        tables = ", ".join(f"(SELECT count(*) FROM {name})" for name in ("rows_", "broken_", "bad_"))
        warned = "SELECT count(DISTINCT row_) FROM found_ ANTI JOIN bad_ USING (row_)"
        counted = session.table(f"SELECT {tables}, ({warned})")
        n_rows, n_broken, n_bad, n_warned = (column[0].as_py() for column in counted.columns)
        columns = {h["name"]: (h["bad"], h["every"] - h["bad"]) for h in hits}
        return cls(n_rows + n_broken, n_bad, n_warned, columns, count_reasons(session))


def count_reasons(session: Session) -> list[dict[str, int]]:
    """Return for each condition of ``found_`` its place ``n``, its ``rows``, and the ``groups`` that they are in."""
    found = "SELECT n, count(*) AS rows, count(DISTINCT group_) AS groups FROM found_ GROUP BY n ORDER BY n"
    return list(session.table(found).to_pylist())


def findings_of(
    session: Session,
    conditions: Sequence[Condition],
    cells: pd.DataFrame,
    per_reason: Sequence[Mapping[str, int]],
    which: str = "true",
    limit: str = "",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the findings by row, as `read_findings`, and by reason, as `by_reason`."""
    found = read_findings(session, conditions, cells, which, limit)
    return found, by_reason(conditions, found, cells, per_reason)


def by_reason(
    conditions: Sequence[Condition], found: pd.DataFrame, cells: pd.DataFrame, per_reason: Sequence[Mapping[str, int]]
) -> pd.DataFrame:
    """Return one row per reason, the most harmful first: in the order of the rules, then of the counts.

    Failures of the contract and of the analyst's own rules come before the toolkit's rules, and what another contract
    would refuse after them.

    Parameters
    ----------
    found
        The findings that examples are taken from, which may be only the first ones.
    cells
        The customers, from which the row to compare with is shown.
    per_reason
        For each reason the place ``n`` of its condition, how many ``rows`` it is found in, and in how many ``groups``.

    Returns
    -------
    pandas.DataFrame
        ``reason, column, check, count``, ``groups`` (how many findings the rows are, 0 where each row is one),
        ``examples``: at most three findings, each a list of (row, cell), the rows of a group or a row and its other,
        and ``customers``, the names of the customers in these rows, or the ids of those without a name.
    """
    counts = [(conditions[c["n"]], c["rows"], c["groups"]) for c in per_reason]
    counts.sort(key=lambda each: (_HARM.get(each[0].check, -1), -each[1]))
    examples: dict[str, list[list[tuple[int, Any]]]] = {condition.reason: [] for condition, *_ in counts}
    shown = found[found["reason"].isin(list(examples)[:MAX_FINDINGS])]
    once = shown[shown["group"].isna() | ~shown.duplicated(["reason", "group"])]
    first = once.groupby("reason", sort=False).head(MAX_EXAMPLES)
    members = shown[shown["group"].isin(first["group"].dropna())].groupby(["reason", "group"])["index"]
    for f in first.to_dict("records"):
        rows = [f["index"], f["other"]] if pd.isna(f["group"]) else members.get_group((f["reason"], f["group"]))
        others = [(int(row), cells.at[row, f["column"]]) for row in rows[1:] if not pd.isna(row)]
        examples[f["reason"]].append([(f["index"], f["failure_case"]), *others])
    known = [cells[c] for c in (NAME, ID) if c in cells]
    listed = []
    for c, *n in counts:
        customers = {row: next((name for n in known if not pd.isna(name := n.get(row))), None)
                     for each in examples[c.reason] for row, _ in each[:MAX_MEMBERS]}  # fmt: skip
        listed.append((c.reason, c.column, c.check, *n, examples[c.reason], customers))
    return pd.DataFrame(listed, columns=["reason", "column", "check", "count", "groups", "examples", "customers"])


def finding_lines(finding: Mapping[Any, Any], show: Show) -> list[str]:
    """Return a finding of `by_reason` as text: what it is and how many rows, then its examples, indented."""
    column = finding["column"]
    return [_said(finding), *(
        "    row " + ", with row ".join(f"{r} {shown_cell(cell, column, show)}".rstrip() for r, cell in e[:MAX_MEMBERS])
        + rest_of(e) for e in finding["examples"])]  # fmt: skip


def first_reason(reasons: pd.DataFrame) -> str:
    """Return the first of the reasons that `by_reason` gives, with its count."""
    return _said(reasons.iloc[0].to_dict())


def _said(finding: Mapping[Any, Any]) -> str:
    groups = f" in {plural(finding['groups'], 'group')}" if finding["groups"] else ""
    return f"{finding['reason']} ({plural(finding['count'], 'row')}{groups})"

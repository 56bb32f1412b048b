"""Checks as conditions: what the contract forbids and what the rules look for, as SQL over the table ``rows_``.

pandera stays the one source of what the contract forbids. A check of the contract without a counterpart in SQL is an
error, never skipped. A pandera check of a rule runs in pandas beside the SQL.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial

import pandas as pd
import pandera.pandas as pandera

from toolkit.engine import Session, quoted, text, to_frame
from toolkit.errors import InputError
from toolkit.model import (
    CUSTOMER,
    ID,
    NOT_A_TIME,
    NOT_OF_TYPE,
    TIME,
    TOO_LARGE,
    UNIQUE,
    Contract,
    exceeds,
    is_oversized,
    max_row_bytes,
    reason,
    schema_for,
    too_large,
)
from toolkit.quality.rules import Rule, Search, by_cell
from toolkit.quality.statistics import repeated_hashes


@dataclass(frozen=True)
class Condition:
    """One check, ready to run over the table ``rows_``, in one of four ways.

    Attributes
    ----------
    column, check, reason
        What a finding says; no column if the finding is about a row as a whole.
    where
        SQL that is true for a row that fails: all of these run in one pass.
    rows
        A query of its own, for what only several rows show: ``row_`` and ``other_`` of each finding.
    search
        A function over the session, with its options.
    python
        A pandera check, which runs in pandas.
    seconds
        The time after which it is stopped; None for the contract's checks and the toolkit's rules.
    """

    column: str | None
    check: str
    reason: str
    where: str = ""
    rows: str = ""
    search: Search | None = None
    python: pandera.Check | None = None
    options: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None


def unread(column: str) -> str:
    """Return the quoted name of the column of ``rows_`` with the cells that are not of the column's data type.

    It is text, null for all other cells. No custom attribute can have such a name.
    """
    return quoted(f"unread {column}")


def compile_contract(
    contract: Contract, unread_columns: Collection[str] = (), *, may_be_oversized: bool = True, portable: bool = False
) -> list[Condition]:
    """Return what the contract forbids.

    Parameters
    ----------
    unread_columns
        The columns for which ``rows_`` has an `unread` column.
    may_be_oversized
        Whether a row could be larger than a request may be. To know the size of every row takes most of the time.
    portable
        Whether an engine without JSON has to know the size.

    Examples
    --------
    >>> [c.reason for c in compile_contract(Contract.named("2026-04"))][1:3]
    ['customer_id is empty', 'updated_at is empty']
    """
    schema, resource = schema_for(contract), contract.resource
    found = [Condition(ID, UNIQUE, reason(UNIQUE, ID), search=partial(repeated, resource.key))]
    for name, column in schema.columns.items():
        checks = []
        if not column.nullable:
            # A cell that is not of the column's type is null there, and it is not empty.
            there = f" AND {unread(name)} IS NULL" if name in unread_columns else ""
            checks.append(("not_nullable", f"{quoted(name)} IS NULL{there}"))
        if name in unread_columns:
            known = f"dtype('{column.dtype}')" if name in CUSTOMER.names else NOT_OF_TYPE + resource.column(name).kind
            checks.append((NOT_A_TIME if name == TIME else known, f"{unread(name)} IS NOT NULL"))
        checks += [(c.error or c.name, f"NOT ({compile_check(c, quoted(name))})") for c in column.checks]
        found += [Condition(name, check, reason(check, name), sql) for check, sql in checks]
    if may_be_oversized:
        large = (exceeds if portable else is_oversized)(max_row_bytes(contract), resource=resource)
        found.append(Condition(ID, TOO_LARGE, too_large(contract), large))
    return found


def compile_check(check: pandera.Check, cell: str) -> str:
    """Return one of pandera's checks as the SQL of what it requires of a cell that is not null.

    Raises
    ------
    InputError
        If SQL does not express it: only the contract's kinds of checks are known.
    """
    given = check._check_kwargs
    match getattr(check._check_fn, "__name__", ""):
        case "isin":
            return f"{cell} IN ({', '.join(map(text, sorted(given['allowed_values'])))})"
        case "str_length":
            bounds = [(">=", given["min_value"]), ("<=", given["max_value"])]
            return " AND ".join(f"length({cell}) {sign} {n}" for sign, n in bounds if n is not None)
    raise InputError(f"The check {check.name} of the contract has no counterpart in SQL: write one in compile_check.")


def repeated(key: tuple[str, ...], session: Session, _: Mapping[str, float]) -> pd.DataFrame:
    """Find the rows whose key another row has.

    Keys with equal hashes are the suspects, of which the keys themselves are compared.
    """
    names, known = quoted(*key), " AND ".join(f"{quoted(c)} IS NOT NULL" for c in key)
    hashes, n_rows = f"SELECT hash({names}) AS h FROM rows_ WHERE {known}", session.scalar("SELECT count(*) FROM rows_")
    suspects = repeated_hashes(session, hashes, n_rows)
    if not suspects.num_rows:
        return pd.DataFrame({"row_": []})
    session.register("suspects_", suspects)
    found = session.table(
        f"""WITH suspect AS (
                SELECT row_, {names} FROM rows_ WHERE {known} AND hash({names}) IN (SELECT h FROM suspects_)),
            repeated AS (SELECT {names}, min(row_) AS group_, min(row_, 2)[2] AS second
                         FROM suspect GROUP BY {names} HAVING count(*) > 1)
            SELECT row_, CASE WHEN row_ = group_ THEN second ELSE group_ END AS other_, group_
            FROM suspect JOIN repeated USING ({names})"""
    )
    return to_frame(found)


def other_contracts(contract: Contract) -> list[Condition]:
    """Return a condition for each column that may be null under this contract and not under another."""
    return [
        Condition(column.name, "other_contract", f"{column.name} is empty, which another contract of the vendor, "
                  f"{other.name!r}, refuses", f"{quoted(column.name)} IS NULL")
        for other in contract.others for column in other.resource.columns
        if not column.nullable and contract.resource.column(column.name).nullable
    ]  # fmt: skip


def compile_rule(rule: Rule, now: pd.Timestamp, *, in_memory: bool = True) -> Condition:
    """Return a rule as a condition.

    Parameters
    ----------
    in_memory
        Whether all rows are in a frame. Else a check sees the rows part by part, so it must judge each cell by itself.

    Raises
    ------
    InputError
        If its check is a function over a whole column and the rows are not in memory.
    """
    if rule.check is not None and not in_memory and not by_cell(rule.check):
        raise InputError(
            f"The rule {rule.name} cannot check customers that stay on disk: its check is a function over a column. "
            f"Write it with where= or element_wise=True, leave it out with choose_rules(without=[{rule.name!r}]), or "
            "validate(read_customers(…))."
        )
    where, rows = rule.filled(rule.where, now), rule.filled(rule.rows, now)
    return Condition(
        rule.column, rule.name, rule.reason, where, rows, rule.search, rule.check, rule.options, rule.seconds
    )

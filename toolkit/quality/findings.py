"""Running rules over a customer frame: one record a cell and rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
import pandera.pandas as pa

from toolkit.display import Markup, badge, escape, is_null, percent, plural, table, timestamp
from toolkit.engine import Session, to_arrow, to_frame
from toolkit.errors import InputError
from toolkit.model import CUSTOMER, TIME, Contract, settled
from toolkit.quality.rules import RULES, Rule, text_columns

FINDING_COLUMNS = ["column", "check", "failure_case", "index", "reason", "other"]


def run_rules(frame: pd.DataFrame, rules: Sequence[Rule], now: pd.Timestamp) -> pd.DataFrame:
    """Return one record a cell and rule, in the order of the rules: see `no_findings` for the columns.

    A rule whose column the frame lacks finds nothing.

    Raises
    ------
    InputError
        If a pandera check cannot be run on the column.
    """
    rules = [rule for rule in rules if rule.column in frame.columns]
    if frame.empty or not rules:
        return no_findings()
    typed = _typed(frame).set_axis(pd.RangeIndex(len(frame)))
    table = to_arrow(typed, CUSTOMER.arrow_schema(), index="row_")
    with Session({"rows_": table}) as session:
        on_rows = _where(session, [rule for rule in rules if rule.where], now)
        found = [
            _records(frame, rule, on_rows[id(rule)] if rule.where else _several(session, typed, rule, now))
            for rule in rules
        ]
    found = [f for f in found if len(f)]
    return pd.concat(found, ignore_index=True) if found else no_findings()


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    # A column of numbers is the schema's failure; to a rule it is text like the others.
    odd = [c for c in text_columns(frame) if not isinstance(frame[c].dtype, pd.StringDtype)]
    texts = {c: frame[c].map(str, na_action="ignore").astype("str") for c in odd}
    return frame.assign(**texts, **{TIME: settled(frame[TIME])})


def _where(session: Session, rules: Sequence[Rule], now: pd.Timestamp) -> dict[int, pd.DataFrame]:
    """Run all conditions in one pass."""
    if not rules:
        return {}
    conditions = [f"coalesce(({rule.filled(rule.where, now)}), false)" for rule in rules]
    named = ", ".join(f"{condition} AS r{i}" for i, condition in enumerate(conditions))
    hits = session.table(
        f"SELECT * FROM (SELECT row_, {named} FROM rows_) WHERE {' OR '.join(f'r{i}' for i in range(len(rules)))}"
    )
    hits = hits.to_pandas()
    return {id(rule): hits.loc[hits[f"r{i}"], ["row_"]] for i, rule in enumerate(rules)}


def _several(session: Session, typed: pd.DataFrame, rule: Rule, now: pd.Timestamp) -> pd.DataFrame:
    if rule.search is not None:
        return rule.search(session, rule.options)
    if rule.rows:
        return to_frame(session.table(rule.filled(rule.rows, now)))
    return pd.DataFrame({"row_": _checked(typed[rule.column], rule)})


def _checked(cells: pd.Series[Any], rule: Rule) -> Any:
    schema = pa.SeriesSchema(checks=rule.check, nullable=True)
    try:
        schema.validate(cells, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases
    else:
        return []
    if cases["index"].isna().any():
        raise InputError(
            f"The rule {rule.name} cannot be checked row by row on {rule.column}: its check fails on the column as a "
            "whole. Write a check that gives true or false for each cell."
        )
    return cases["index"].astype("int64").to_numpy()


def _records(frame: pd.DataFrame, rule: Rule, hits: pd.DataFrame) -> pd.DataFrame:
    if hits.empty:
        return no_findings()
    hits = hits.sort_values("row_")
    others = hits["other_"] if "other_" in hits else pd.Series(pd.NA, index=hits.index)
    found = findings(
        frame.index[hits["row_"]], rule.name, rule.column, frame[rule.column].iloc[hits["row_"]], rule.reason
    )
    known = others.notna().to_numpy()
    related = pd.array([pd.NA] * len(found), dtype="Int64")
    related[known] = frame.index[others[known].to_numpy(dtype="int64")].to_numpy()
    return found.assign(other=related)


def other_contracts(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Return a record for each null that this contract allows and another refuses."""
    found = [no_findings()]
    for other in contract.others:
        for column in other.resource.columns:
            strict_only = not column.nullable and contract.resource.column(column.name).nullable
            if strict_only and column.name in frame.columns:
                hits = frame.index[frame[column.name].isna()]
                why = f"{column.name} is empty, which the contract {other.name} refuses"
                found.append(findings(hits, "other_contract", column.name, None, why))
    return joined(found)


def joined(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return findings one below the other, by row."""
    filled = [part for part in parts if len(part)]
    if not filled:
        return no_findings()
    return pd.concat(filled).sort_values("index", kind="stable", ignore_index=True)


def findings(index: pd.Index[Any], check: str, column: str, cases: Any, why: str) -> pd.DataFrame:
    """Return one record for each row of `index`."""
    if index.empty:
        return no_findings()
    return pd.DataFrame(
        {
            "column": column,
            "check": check,
            "failure_case": None if cases is None else cases.to_numpy(dtype=object),
            "index": index,
            "reason": why,
            "other": pd.array([pd.NA] * len(index), dtype="Int64"),
        }
    )


def no_findings() -> pd.DataFrame:
    """Return a table of findings without rows, typed.

    ``column``, ``check``, ``failure_case`` (the cell), ``index`` (its ``source_row``), ``reason``, and ``other``: the
    row to compare with, where there is one.
    """
    return pd.DataFrame({c: [] for c in FINDING_COLUMNS}).astype(
        {"column": "str", "check": "str", "reason": "str", "failure_case": object, "index": "int64", "other": "Int64"}
    )


MAX_FINDINGS = 30
MAX_EXAMPLES = 3
_CELL = 40
_HARM = {rule.name: place for place, rule in enumerate(RULES)} | {"other_contract": len(RULES)}


def by_harm(found: pd.DataFrame, *rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row a reason of `found`, the most harmful first: in the order of the rules, then of the counts.

    A failure of the schema's or a rule of the analyst's own comes before the toolkit's rules, and what another
    contract would refuse after them.

    Parameters
    ----------
    rows
        The customers that the findings are about: a row is shown beside the one it is compared with.

    Returns
    -------
    pandas.DataFrame
        ``reason, column, check, count`` and ``examples``: list of (row, cell, other row, other cell), at most three.
    """
    each = found.groupby("reason", sort=False)
    told = each.agg(column=("column", "first"), check=("check", "first"), count=("index", "size")).reset_index()
    told = told.assign(harm=told["check"].map(_HARM).fillna(-1), less=-told["count"])
    told = told.sort_values(["harm", "less"], kind="stable", ignore_index=True).drop(columns=["harm", "less"])
    first = each.head(MAX_EXAMPLES)
    first = first[first["reason"].isin(told["reason"].head(MAX_FINDINGS))]
    examples: dict[str, list[tuple[int, Any, int | None, Any]]] = {}
    none = (None, None)
    for f in first.to_dict("records"):
        beside = next(((int(f["other"]), r.at[f["other"], f["column"]]) for r in rows if f["other"] in r.index), none)
        examples.setdefault(f["reason"], []).append((f["index"], f["failure_case"], *beside))
    told["examples"] = pd.Series([examples.get(why, []) for why in told["reason"]], dtype=object)
    return told


def worst(told: pd.DataFrame) -> str:
    """Say the first of the findings that `by_harm` gives."""
    return f"{told['reason'].iloc[0]} ({plural(int(told['count'].iloc[0]), 'row')})"


def evidence_table(failures: pd.DataFrame, warnings: pd.DataFrame, *, n_rows: int, names: Mapping[str, str]) -> Markup:
    """Show findings as `by_harm` gives them, of `n_rows` rows; `names` are the file's own names of its columns."""
    told = [(badge("failure", tone="bad"), f) for f in failures.head(MAX_FINDINGS).to_dict("records")]
    told += [(badge("warning", tone="warn"), f) for f in warnings.head(MAX_FINDINGS).to_dict("records")]
    rows = [
        (
            kind,
            f["reason"],
            f["count"],
            percent(f["count"] / max(n_rows, 1)),
            names.get(f["column"], f["column"] or ""),
            Markup("".join(_example(*e) for e in f["examples"])),
        )
        for kind, f in told
    ]
    head = ["", "what", "count", "share", "column", "seen at source_row"]
    plain = failures.empty  # all are of one kind
    more = len(failures) + len(warnings) - len(rows)
    return table(head[plain:], [row[plain:] for row in rows], more=more)


def _example(row: int, cell: object, other: int | None, beside: object) -> str:
    seen = f'<span class="row"><span class="num">{row}</span> {_cell(cell)}'
    return f"{seen}{'' if other is None else f' <span class=soft>beside {other}</span> {_cell(beside)}'}</span>"


def _cell(cell: object) -> str:
    if is_null(cell):
        return ""
    shown = timestamp(cell) if isinstance(cell, pd.Timestamp) else str(cell)
    return f"<bdi class=cell>{escape(shown, limit=_CELL) or '&nbsp;'}</bdi>"

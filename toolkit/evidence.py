"""Findings as evidence: the most harmful first, each with its count and the cells where it is seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from toolkit.display import Markup, badge, escape, is_null, percent, plural, table, timestamp
from toolkit.rules import RULES

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

"""Findings as evidence: the most harmful first, each with its count and the cells where it is seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from toolkit.display import Markup, badge, escape, is_null, percent, table, timestamp
from toolkit.rules import RULES

MAX_FINDINGS = 30
MAX_EXAMPLES = 3
_CELL = 40
_HARM = {rule.name: place for place, rule in enumerate(RULES)}


def by_harm(found: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row a reason of `found`, the most harmful first: in the order of the rules, then of the counts.

    A failure of the schema's or a rule of the analyst's own comes before the toolkit's rules.

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
    for f in first.to_dict("records"):
        known = not pd.isna(f["other"]) and f["other"] in rows.index
        beside = (int(f["other"]), rows.at[f["other"], f["column"]]) if known else (None, None)
        examples.setdefault(f["reason"], []).append((f["index"], f["failure_case"], *beside))
    told["examples"] = pd.Series([examples.get(why, []) for why in told["reason"]], dtype=object)
    return told


def worst(told: pd.DataFrame) -> str:
    """Say the first of the findings that `by_harm` gives."""
    return f"{told['count'].iloc[0]:,} × {told['reason'].iloc[0]}"


def evidence_table(failures: pd.DataFrame, warnings: pd.DataFrame, *, n_rows: int, names: Mapping[str, str]) -> Markup:
    """Show findings as `by_harm` gives them, of `n_rows` rows; `names` are the file's own names of its columns."""
    told = [(badge("failure", tone="bad"), f) for f in failures.head(MAX_FINDINGS).to_dict("records")]
    told += [(badge("warning", tone="warn"), f) for f in warnings.head(MAX_FINDINGS).to_dict("records")]
    rows = [
        (
            kind,
            f["reason"],
            f["count"],
            Markup(f'<span class="num">{percent(f["count"] / max(n_rows, 1))}</span>'),
            Markup("".join(_example(*e) for e in f["examples"])),
            names.get(f["column"], ""),
        )
        for kind, f in told
    ]
    head = ["", "what", "count", "share", "seen at source_row", "column of the file"]
    own = any(names.get(f["column"], f["column"]) != f["column"] for _, f in told)
    more = len(failures) + len(warnings) - len(rows)
    return table(head if own else head[:-1], rows if own else [row[:-1] for row in rows], more=more)


def _example(row: int, cell: object, other: int | None, beside: object) -> str:
    seen = f'<span class="row"><span class="num">{row}</span> {_cell(cell)}'
    return f"{seen}{'' if other is None else f' <span class=soft>beside {other}</span> {_cell(beside)}'}</span>"


def _cell(cell: object) -> str:
    if is_null(cell):
        return ""
    shown = timestamp(cell) if isinstance(cell, pd.Timestamp) else str(cell)
    return f"<bdi class=cell>{escape(shown, limit=_CELL) or '&nbsp;'}</bdi>"

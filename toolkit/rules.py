"""Warnings as data: what the contract allows and what will still hurt later. Failures are the schema's.

A warning never quarantines a row and never changes an exit code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.contract import CUSTOMER, ID, TIME, Contract
from toolkit.engine import to_array
from toolkit.times import settled

Mask = pd.Series  # boolean, on the frame's index

TEXT = pa.large_string()
EARLIEST = pd.Timestamp("2000-01-01", tz="UTC")


@dataclass(frozen=True)
class Rule:
    """One warning: its name, the column it points at, why it matters, and how it is found.

    Attributes
    ----------
    find
        From a customer frame and the present moment to a boolean series on the frame's index.
    """

    name: str
    column: str
    why: str
    find: Callable[[pd.DataFrame, pd.Timestamp], Mask]


def text_columns(frame: pd.DataFrame) -> list[str]:
    """Return the names of the contract's text columns that the frame has."""
    return [c.name for c in CUSTOMER.columns if c.kind == "string" and c.name in frame.columns]


def _later(frame: pd.DataFrame, now: pd.Timestamp) -> Mask:
    return frame[TIME] > now


def _early(frame: pd.DataFrame, _: pd.Timestamp) -> Mask:
    return frame[TIME] < EARLIEST


def _blank(frame: pd.DataFrame, _: pd.Timestamp) -> Mask:
    return _mask(pc.equal(pc.utf8_trim_whitespace(to_array(frame[ID], TEXT)), ""), frame)


def _stray(column: str) -> Callable[[pd.DataFrame, pd.Timestamp], Mask]:
    def find(frame: pd.DataFrame, _: pd.Timestamp) -> Mask:
        text = to_array(frame[column], TEXT)
        doubled = pc.match_substring(text, "  ")
        return _mask(pc.or_(doubled, pc.not_equal(pc.utf8_trim_whitespace(text), text)), frame)

    return find


def _near(frame: pd.DataFrame, _: pd.Timestamp) -> Mask:
    # Folded to what a person would call the same id; a group with two spellings is suspect.
    ids = to_array(frame[ID], TEXT)
    folded = pc.utf8_ltrim(pc.utf8_lower(pc.utf8_trim_whitespace(ids)), characters="0")
    if pd.Series(folded.to_pandas()).nunique() == frame[ID].nunique():
        return pd.Series(data=False, index=frame.index)
    spellings = pa.table({"folded": folded, "id": ids}).group_by("folded").aggregate([("id", "count_distinct")])
    suspect = spellings.filter(pc.greater(spellings["id_count_distinct"], 1))["folded"]
    return _mask(pc.is_in(folded, value_set=pc.drop_null(suspect)), frame)


def _orphan(frame: pd.DataFrame, _: pd.Timestamp) -> Mask:
    if not {"customer_category", "customer_subcategory"} <= set(frame.columns):
        return pd.Series(data=False, index=frame.index)
    return frame["customer_category"].isna() & frame["customer_subcategory"].notna()


def _mask(found: pa.ChunkedArray, frame: pd.DataFrame) -> Mask:
    return pd.Series(pc.fill_null(found, fill_value=False).to_numpy(), index=frame.index)


RULES: tuple[Rule, ...] = (
    Rule("blank_id", ID, "holds nothing but spaces, or nothing at all", _blank),
    Rule("near_ids", ID, "differs from another only by case, spaces or leading zeros", _near),
    Rule("future_time", TIME, "lies in the future", _later),
    Rule("early_time", TIME, "lies before 2000", _early),
    Rule("orphan_subcategory", "customer_subcategory", "stands without a category", _orphan),
    *(
        Rule("stray_spaces", c.name, "has spaces before, after or doubled within", _stray(c.name))
        for c in CUSTOMER.columns
        if c.kind == "string"
    ),
)


def find_warnings(frame: pd.DataFrame, contract: Contract, rules: Sequence[Rule], now: pd.Timestamp) -> pd.DataFrame:
    """Return one record a cell and warning: column, check, failure_case, index, reason."""
    frame = frame.assign(**{TIME: settled(frame[TIME])})
    found = []
    for rule in rules:
        if rule.column in frame.columns:
            hits = frame.index[rule.find(frame, now)]
            found.append(
                findings(hits, rule.name, rule.column, frame[rule.column].loc[hits], f"{rule.column} {rule.why}")
            )
    for other in contract.others:
        for column in other.resource.columns:
            strict_only = not column.nullable and contract.resource.column(column.name).nullable
            if strict_only and column.name in frame.columns:
                hits = frame.index[frame[column.name].isna()]
                found.append(
                    findings(
                        hits,
                        "other_contract",
                        column.name,
                        None,
                        f"{column.name} is empty, which the contract {other.name} refuses",
                    )
                )
    found = [f for f in found if len(f)]
    return pd.concat(found).sort_values("index", kind="stable", ignore_index=True) if found else no_findings()


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
        }
    )


def no_findings() -> pd.DataFrame:
    """Return a table of findings without rows, typed."""
    return pd.DataFrame({"column": [], "check": [], "failure_case": [], "index": [], "reason": []}).astype(
        {"column": "str", "check": "str", "reason": "str", "failure_case": object, "index": "int64"}
    )

"""Failures: what the contract forbids, one record a cell and rule, and the rows set aside for it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pandera.pandas as pa

from toolkit.casting import cast_column, cast_custom
from toolkit.contract import ID, TIME, Contract
from toolkit.delivery import Delivery
from toolkit.encoding import max_row_bytes, oversized
from toolkit.errors import InputError
from toolkit.finding import findings, joined
from toolkit.schema import NOT_A_TIME, NOT_OF_TYPE, TOO_LARGE, UNIQUE, reason, schema_for, too_large
from toolkit.times import settled

BROKEN = "line"


def require_usable(frame: pd.DataFrame) -> None:
    """Refuse a frame that cannot be checked row by row.

    Raises
    ------
    InputError
        If a key column is missing, the index repeats itself, or ``updated_at`` is naive or not a time.
    """
    missing = [c for c in (ID, TIME) if c not in frame.columns]
    if missing:
        raise InputError(
            f"The frame lacks {' and '.join(missing)}: every customer row needs both. "
            "Rename the columns, or read the file with a mapping."
        )
    if not frame.index.is_unique:
        raise InputError(
            "The frame's index names some rows twice, so a failure could not be led back to its "
            "row: call reset_index(drop=True) first."
        )
    times = frame[TIME].dtype
    if isinstance(times, pd.DatetimeTZDtype) or pd.api.types.is_object_dtype(times):
        return
    if pd.api.types.is_datetime64_dtype(times):
        raise InputError(
            "updated_at has no time zone: say which one it is with "
            "frame['updated_at'].dt.tz_localize('Europe/Berlin').dt.tz_convert('UTC')."
        )
    raise InputError(
        f"updated_at holds {times}, not times: parse it with pd.to_datetime(…, utc=True), "
        "or read the file with read_customers."
    )


def schema_failures(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Return what the model finds, a cell that did not parse as a time included.

    Raises
    ------
    InputError
        If a column as a whole is of another type.
    """
    stated = frame[TIME]
    unread_of, said_of = _not_of_type(frame, contract)
    frame = cast_custom(frame.assign(**{TIME: settled(stated)}), contract.resource)
    unread = frame.index[stated.notna() & frame[TIME].isna()]
    said = joined([findings(unread, NOT_A_TIME, TIME, stated.loc[unread], reason(NOT_A_TIME, TIME)), *said_of])
    try:
        schema_for(contract).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as found:
        cases = found.failure_cases
    else:
        return said
    for column, rows in {TIME: unread, **unread_of}.items():
        cases = cases[~((cases["column"] == column) & cases["index"].isin(rows))]
    whole = cases[cases["index"].isna()]
    if len(whole):
        raise InputError(
            f"{whole['column'].iloc[0]} cannot be checked row by row: it has to hold "
            f"{whole['check'].iloc[0]}. Read the file with read_customers, or convert the column."
        )
    return pd.concat([_one_a_row(cases, frame), said]).sort_values("index", kind="stable", ignore_index=True)


def _not_of_type(frame: pd.DataFrame, contract: Contract) -> tuple[dict[str, pd.Index[Any]], list[pd.DataFrame]]:
    """Return which cells of which custom column do not read as its data type, and the failures that say so."""
    unread, said = {}, []
    for column in contract.resource.custom:
        if column.name in frame:
            rows = unread[column.name] = frame.index[cast_column(frame[column.name], column)[1]]
            check = NOT_OF_TYPE + column.kind
            said.append(findings(rows, check, column.name, frame[column.name].loc[rows], reason(check, column.name)))
    return unread, said


def _one_a_row(cases: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    # pandera names a duplicate key once for each of its columns, and counts null keys as equal.
    cases = cases[["column", "check", "failure_case", "index"]]
    unique = cases["check"] == UNIQUE
    keyless = frame.index[frame[ID].isna() | frame[TIME].isna()]
    cases = cases[~unique | ((cases["column"] == ID) & ~cases["index"].isin(keyless))]
    kinds = cases[["check", "column"]].drop_duplicates()
    spoken = {(k, c): reason(k, c) for k, c in kinds.itertuples(index=False)}
    words = [spoken[pair] for pair in zip(cases["check"], cases["column"], strict=True)]
    cases = cases.assign(reason=pd.Series(words, index=cases.index, dtype="str"))
    return cases.astype({"index": frame.index.dtype}).sort_values("index", kind="stable", ignore_index=True)


def oversized_rows(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Return the rows that no request can carry."""
    large = frame.index[oversized(frame, max_row_bytes(contract), resource=contract.resource)]
    return findings(large, TOO_LARGE, ID, frame[ID].loc[large], too_large(contract))


def with_broken_lines(failures: pd.DataFrame, delivery: Delivery) -> pd.DataFrame:
    """Return the failures with those of the lines that could not be parsed, by row."""
    broken = delivery.broken
    if broken.empty:
        return failures.reset_index(drop=True)
    lines = pd.DataFrame(
        {
            "column": None,
            "check": BROKEN,
            "failure_case": None,
            "index": broken.index,
            "reason": broken["reason"].to_numpy(),
            "other": pd.array([pd.NA] * len(broken), dtype="Int64"),
        }
    )
    both = pd.concat([failures, lines]) if len(failures) else lines
    return both.sort_values("index", kind="stable", ignore_index=True)


def quarantined(bad: pd.DataFrame, failures: pd.DataFrame, delivery: Delivery) -> pd.DataFrame:
    """Return the rows with a failure and the broken lines, each once, with all of its ``reasons``."""
    broken = delivery.broken.drop(columns="reason").reindex(columns=[*bad.columns, "text"])
    rows = pd.concat([part.astype({TIME: object}) for part in (bad, broken)]).sort_index()
    reasons = failures.drop_duplicates("index").set_index("index")["reason"]
    several = failures["index"].duplicated(keep=False)
    if several.any():  # the join is slow, and most bad rows have one reason
        joined = failures[several].groupby("index")["reason"].agg("; ".join)
        reasons = joined.combine_first(reasons)
    rows.insert(len(bad.columns), "reasons", reasons.reindex(rows.index).astype("str"))
    rows.index.name = bad.index.name
    return rows

"""Custom columns from the text of a file to their data type: what does not read as it is a failure, never guessed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from toolkit.engine import to_frame
from toolkit.model.contract import Column, Kind, Resource, kind_of

_PATTERNS: dict[str, str] = {
    "integer": r"[+-]?[0-9]{1,19}",
    "float": r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?",
    "boolean": "(?i:true|false)",
    # A time without a zone is not read: only the analyst knows which one it is.
    "datetime": r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{5,8}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:?[0-9]{2})",
    "date": r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ]00:00:00)?",  # a worksheet gives a date its midnight
}
DTYPES: dict[str, Any] = {
    "string": pd.StringDtype(na_value=np.nan),
    "integer": pd.Int64Dtype(),
    "float": pd.Float64Dtype(),
    "boolean": pd.BooleanDtype(),
    "datetime": pd.DatetimeTZDtype("us", "UTC"),
    "date": pd.ArrowDtype(pa.date32()),
}
"""The dtype of each data type in a frame; each holds nulls and loses nothing."""


def cast_column(cells: pd.Series[Any], column: Column) -> tuple[pd.Series[Any], npt.NDArray[np.bool_]]:
    """Return a column in its data type, null where a cell is not of it, and which cells these are; shape (rows,).

    Infinity is no float, for JSON has none; a time without a zone is no datetime, whatever dtype the frame gives it.

    Examples
    --------
    >>> cells, unread = cast_column(pd.Series(["7", None, "7.0"]), Column("level", "integer"))
    >>> cells.tolist(), unread.tolist()
    ([7, <NA>, <NA>], [False, False, True])
    """
    kind, dtype = column.kind, DTYPES[column.kind]
    given = cells.notna().to_numpy(dtype=bool)
    if cells.dtype == dtype:
        odd = np.zeros(len(cells), dtype=bool)
        if kind == "float":
            odd = ~np.isfinite(cells.to_numpy(dtype=float, na_value=0.0))
        return cells.mask(odd) if odd.any() else cells, odd
    if kind == "datetime" and isinstance(cells.dtype, pd.DatetimeTZDtype):
        return cells.dt.tz_convert("UTC").dt.as_unit("us"), np.zeros(len(cells), dtype=bool)
    texts = cells.map(_text, na_action="ignore").astype("str")
    if kind == "string":
        return texts, np.zeros(len(cells), dtype=bool)
    read = texts.where(texts.str.fullmatch(_PATTERNS[kind]).fillna(value=False).astype(bool))
    found = _typed(read, kind).astype(dtype)
    return found, given & found.isna().to_numpy(dtype=bool)


def cast_custom(frame: pd.DataFrame, resource: Resource) -> pd.DataFrame:
    """Return the frame with its custom columns in their data types; a cell that is not of its type is null."""
    return frame.assign(**{c.name: cast_column(frame[c.name], c)[0] for c in resource.custom if c.name in frame})


def to_series(column: pa.ChunkedArray) -> pd.Series[Any]:
    """Return an Arrow column of one of the six data types as a series that loses nothing."""
    dtype = DTYPES[kind_of(column.type)]
    return pd.Series(column.to_pandas(types_mapper=lambda _: None if dtype == "datetime64[us, UTC]" else dtype))


def typed_frame(table: pa.Table, *, index: str | None = None) -> pd.DataFrame:
    """Turn an Arrow table of customers into a frame as `to_frame`, whose numbers and flags hold nulls and lose nothing.

    Examples
    --------
    >>> typed_frame(pa.table({"own": pa.array([2**53 + 1, None])}))["own"].tolist()
    [9007199254740993, <NA>]
    """
    # As pandas has it, one null makes floats of a whole column, and long numbers other numbers.
    frame = to_frame(table, index=index)
    own = [c for c in frame.columns if not (pa.types.is_string(t := table[c].type) or pa.types.is_timestamp(t))]
    return frame.assign(**{c: to_series(table[c]).set_axis(frame.index) for c in own})


def _typed(texts: pd.Series[Any], kind: Kind) -> pd.Series[Any]:
    if kind == "integer":
        # Without a float in between, which would lose the last digits of a long number beside a null.
        read = [None if pd.isna(t) else int(t) for t in texts]
        held = [n if n is not None and -(2**63) <= n < 2**63 else None for n in read]
        return pd.Series(held, texts.index, pd.Int64Dtype())
    if kind == "float":
        numbers = texts.astype("float64")
        return numbers.where(np.isfinite(numbers)).astype(pd.Float64Dtype())
    if kind == "boolean":
        return texts.str.lower().map({"true": True, "false": False})
    moments = pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=True).dt.as_unit("us")
    return moments if kind == "datetime" else moments.dt.date.astype(object).where(moments.notna(), None)


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # what pandas makes of whole numbers beside nulls
    return str(value)

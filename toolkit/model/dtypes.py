"""Columns in their data types: a cell that is not of its column's type is reported, never guessed.

Documented text columns take text only. A custom column may come as text, as from a file, and is read strictly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from toolkit.display import ShownFrame
from toolkit.engine import to_frame
from toolkit.model.contract import TIME, Column, Kind, Resource, kind_of
from toolkit.model.texts import as_text
from toolkit.model.times import parse_times, utc_times

_KINDS: dict[str, tuple[Any, str]] = {
    "string": (pd.StringDtype(na_value=np.nan), ".*"),
    "integer": (pd.Int64Dtype(), r"[+-]?[0-9]{1,19}"),
    "float": (pd.Float64Dtype(), r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?"),
    "boolean": (pd.BooleanDtype(), "(?i:true|false)"),
    "datetime": (pd.DatetimeTZDtype("us", "UTC"), ".*"),
    # A worksheet gives a date with its midnight.
    "date": (pd.ArrowDtype(pa.date32()), r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ]00:00:00)?"),
}
"""Each data type: its dtype, and the texts that are read as it."""
DTYPES = {kind: dtype for kind, (dtype, _) in _KINDS.items()}
"""The dtype of each data type in a frame; each allows nulls and loses nothing."""

Unread = npt.NDArray[np.bool_]
"""Which cells of a column are not of its data type; shape (rows,)."""


def cast_frame(frame: pd.DataFrame, resource: Resource) -> tuple[pd.DataFrame, dict[str, Unread]]:
    """Return the frame with the resource's columns in their data types, and which cells are not of their type.

    In a documented text column such a cell stays as text, elsewhere it is null. Only columns with such cells are
    listed. Other columns of the frame stay as they are.

    Examples
    --------
    >>> from toolkit.model.contract import CUSTOMER
    >>> typed, unread = cast_frame(pd.DataFrame({"customer_id": ["7", 8]}), CUSTOMER)
    >>> typed["customer_id"].tolist(), unread["customer_id"].tolist()
    (['7', '8'], [False, True])
    """
    cast = {
        c.name: cast_column(frame[c.name], c) if c in resource.custom else _documented(frame[c.name])
        for c in resource.columns
        if c.name in frame
    }
    typed = frame.assign(**{name: cells for name, (cells, _) in cast.items()})
    return typed, {name: unread for name, (_, unread) in cast.items() if unread.any()}


def _documented(cells: pd.Series[Any]) -> tuple[pd.Series[Any], Unread]:
    if isinstance(cells.dtype, pd.StringDtype):
        return cells, np.zeros(len(cells), dtype=bool)
    given = cells.notna().to_numpy(dtype=bool)
    if cells.name == TIME:
        times = utc_times(cells)
        return times, given & times.isna().to_numpy(dtype=bool)
    texts, refused = _texts(cells)
    is_text = cells.map(lambda cell: isinstance(cell, str)).to_numpy(dtype=bool)
    return texts, given & ~(is_text & ~refused)


def _texts(cells: pd.Series[Any]) -> tuple[pd.Series[Any], Unread]:
    """Return cells as text, null where they are; what has no text is shown as Python writes it, and is unread."""
    found, refused = as_text(cells)
    texts = pd.Series(found, cells.index, dtype="str").where(cells.notna())
    if refused.any():
        texts[refused] = cells.astype(object)[refused].map(ascii)
    return texts, refused


def cast_column(cells: pd.Series[Any], column: Column) -> tuple[pd.Series[Any], Unread]:
    """Return a custom column in its data type, null where a cell is not of it, and which cells these are.

    Infinity is not a float, because JSON has none. A time without a zone is not a datetime, whatever its dtype.

    Examples
    --------
    >>> cells, unread = cast_column(pd.Series(["7", None, "7.0"]), Column("level", "integer"))
    >>> cells.tolist(), unread.tolist()
    ([7, <NA>, <NA>], [False, False, True])
    """
    kind, dtype = column.kind, DTYPES[column.kind]
    none = np.zeros(len(cells), dtype=bool)
    if cells.dtype == dtype:
        infinite = ~np.isfinite(cells.to_numpy(dtype=float, na_value=0.0)) if kind == "float" else none
        return cells.mask(infinite) if infinite.any() else cells, infinite
    if kind == "datetime" and isinstance(cells.dtype, pd.DatetimeTZDtype):
        return utc_times(cells), none
    texts, refused = _texts(cells)
    if kind == "string":
        return texts, refused
    read = texts.where(texts.str.fullmatch(_KINDS[kind][1]).fillna(value=False).astype(bool))
    found = _typed(read, kind).astype(dtype)
    return found, (cells.notna() & found.isna()).to_numpy(dtype=bool)


def to_series(column: pa.ChunkedArray) -> pd.Series[Any]:
    """Return an Arrow column of one of the six data types as a series that loses nothing."""
    dtype = DTYPES[kind_of(column.type)]
    return pd.Series(column.to_pandas(types_mapper=lambda _: None if dtype == "datetime64[us, UTC]" else dtype))


def typed_frame(table: pa.Table, *, index: str | None = None) -> pd.DataFrame:
    """Turn an Arrow table of customers into a frame as `to_frame` does; numbers and flags lose nothing beside nulls.

    Examples
    --------
    >>> typed_frame(pa.table({"own": pa.array([2**53 + 1, None])}))["own"].tolist()
    [9007199254740993, <NA>]
    """
    # pandas alone turns a whole column into floats for one null, and long numbers into other numbers.
    frame = to_frame(table, index=index)
    own = [c for c in frame.columns if not (pa.types.is_string(t := table[c].type) or pa.types.is_timestamp(t))]
    return ShownFrame(frame.assign(**{c: to_series(table[c]).set_axis(frame.index) for c in own}))


def _typed(texts: pd.Series[Any], kind: Kind) -> pd.Series[Any]:
    if kind == "integer":
        # Not through a float, which would lose the last digits of a long number beside a null.
        read = [None if pd.isna(t) else int(t) for t in texts]
        held = [n if n is not None and -(2**63) <= n < 2**63 else None for n in read]
        return pd.Series(held, texts.index, pd.Int64Dtype())
    if kind == "float":
        numbers = texts.astype("float64")
        return numbers.where(np.isfinite(numbers)).astype(pd.Float64Dtype())
    if kind == "boolean":
        return texts.str.lower().map({"true": True, "false": False})
    # A time without a zone is not read: only the analyst knows which zone it is in.
    zone = "UTC" if kind == "date" else None
    moments = parse_times(pa.chunked_array([pa.array(texts, pa.large_string())]), timezone=zone).values
    moments = moments.set_axis(texts.index)
    return moments if kind == "datetime" else moments.dt.date.astype(object).where(moments.notna(), None)

"""What a typed value is as text, for every source: one table by type.

No number has an exponent: a whole number has all of its digits, a fraction the fewest that give the value in its own
type, a decimal its zeros. Dates, times and durations are ISO 8601, bytes are the UTF-8 that they hold, null and NaN are
the empty text. What is not in the table, such as a dict, has no text: it is refused, never passed to ``str()``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import date, time, timedelta
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

Refused = npt.NDArray[np.bool_]
"""Which cells have no text; shape (rows,)."""


def cell_text(cell: Any) -> str:
    """Return a value as text.

    Raises
    ------
    ValueError
        If it has none: its type is not in the table, or its bytes are not UTF-8.

    Examples
    --------
    >>> [cell_text(v) for v in (123.0, np.float32(0.1), 1e-7, True, date(2025, 1, 28), Decimal("1.50"), b"007", None)]
    ['123', '0.1', '0.0000001', 'TRUE', '2025-01-28', '1.50', '007', '']
    """
    if isinstance(cell, str):
        if not cell.isascii():
            cell.encode()  # half a character is no text
        return cell
    return _spelling(type(cell))(cell)  # type: ignore[arg-type]  # mypy does not take a type for hashable


def _refuse(cell: Any) -> str:
    raise ValueError(f"{type(cell).__name__} has no text")


def _float(cell: Any) -> str:
    return cell_text(int(cell) if cell.is_integer() else Decimal(str(cell)))


_SPELLINGS: dict[type, Callable[[Any], str]] = {
    **dict.fromkeys((type(None), type(pd.NaT), type(pd.NA)), lambda _: ""),
    **dict.fromkeys((bool, np.bool_), lambda cell: "TRUE" if cell else "FALSE"),
    **dict.fromkeys((int, np.integer), lambda cell: str(int(cell))),
    **dict.fromkeys((float, np.floating), _float),
    Decimal: lambda cell: "" if cell.is_nan() else format(cell, "f"),
    **dict.fromkeys((date, time), lambda cell: cell.isoformat()),  # a date may be a datetime or a Timestamp
    timedelta: lambda cell: pd.Timedelta(cell).isoformat(),
    **dict.fromkeys((np.datetime64, np.timedelta64), lambda cell: cell_text(pd.Series([cell])[0])),  # a pandas scalar
    **dict.fromkeys((bytes, bytearray, memoryview), lambda cell: bytes(cell).decode()),
    UUID: str,
    object: _refuse,
}


@cache
def _spelling(kind: type) -> Callable[[Any], str]:
    return next(_SPELLINGS[base] for base in kind.__mro__ if base in _SPELLINGS)


def has_text(kind: pa.DataType) -> bool:
    """Return whether values of an Arrow type can have a text.

    Examples
    --------
    >>> has_text(pa.dictionary(pa.int8(), pa.binary())), has_text(pa.list_(pa.string()))
    (True, False)
    """
    if isinstance(kind, pa.BaseExtensionType):
        return kind.extension_name in ("arrow.uuid", "arrow.json", "arrow.opaque", "arrow.bool8")
    if pa.types.is_dictionary(kind):
        return has_text(kind.value_type)
    return not pa.types.is_nested(kind) and not pa.types.is_interval(kind)


def is_short(kind: pa.DataType) -> bool:
    """Return whether each value of an Arrow type takes a few bytes: numbers, dates and times."""
    return any((pa.types.is_primitive(kind), pa.types.is_decimal(kind), pa.types.is_null(kind)))


def as_text(cells: pa.Array | pa.ChunkedArray | pd.Series[Any]) -> tuple[pa.ChunkedArray, Refused]:
    """Return a column as text, null as the empty text, and which cells have none; an Arrow type must `has_text`.

    Examples
    --------
    >>> texts, refused = as_text(pd.Series([7, [7], None], dtype=object))
    >>> texts.to_pylist(), refused.tolist()
    (['7', '', ''], [False, True, False])
    """
    if isinstance(cells, pd.Series):
        with suppress(pa.ArrowException):  # such as complex numbers, or categories of several types
            if cells.dtype != object and has_text((typed := pa.Array.from_pandas(cells)).type):
                return as_text(typed)
        return _each(cells.astype(object))
    cells = cells if isinstance(cells, pa.ChunkedArray) else pa.chunked_array([cells])
    kind = cells.type
    if pa.types.is_dictionary(kind):
        return as_text(pc.dictionary_decode(cells))
    if not isinstance(kind, pa.BaseExtensionType) and not any(is_kind(kind) for is_kind in _BY_CELL):
        if not is_short(kind):
            cells = cells.cast(pa.large_binary())  # so that the cast to text checks it
        with suppress(pa.ArrowInvalid):  # bytes that are not UTF-8
            texts = _moments(cells) if pa.types.is_temporal(kind) else cells.cast(pa.large_string())
            # Arrow writes "true", "nan", "-0" and exponents.
            if not is_short(kind) or not pc.any(pc.match_substring_regex(texts, "[a-zE]|^-0$")).as_py():
                return pc.fill_null(texts, ""), np.zeros(len(cells), dtype=bool)
    return _each(cells.to_numpy() if pa.types.is_floating(kind) else cells.to_pylist())


_BY_CELL = (pa.types.is_float16, pa.types.is_float32, pa.types.is_duration)
"""What Arrow writes otherwise: a float32 of 123456792 as 123456790, a duration as its ticks."""


def _each(cells: Iterable[Any]) -> tuple[pa.ChunkedArray, Refused]:
    texts: list[str | None] = []
    for cell in cells:
        try:
            texts.append(cell_text(cell))
        except ValueError:
            texts.append(None)
    found = pa.chunked_array([pa.array(texts, pa.large_string())])
    return pc.fill_null(found, ""), np.asarray(found.is_null(), dtype=bool)


def _moments(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return dates and times as Python's ISO 8601, in UTC if they have a zone."""
    if pa.types.is_timestamp(cells.type):
        zone = cells.type.tz and "UTC"
        cells = cells.cast(pa.timestamp(cells.type.unit, zone))
        # Nanoseconds that are not whole microseconds keep nine digits, which is no time: validation reports it.
        with suppress(pa.ArrowInvalid):
            cells = cells.cast(pa.timestamp("us", zone))
    texts = pc.replace_substring(cells.cast(pa.large_string()), " ", "T")
    return pc.replace_substring_regex(texts, r"\.0+(Z?)$", r"\1")

"""What a typed value is as text: nothing is altered, and what has no text is refused, never passed to str()."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.model import as_text, cell_text, has_text
from toolkit.model.contract import CUSTOMER, Column
from toolkit.model.dtypes import cast_column, cast_frame

BERLIN = dt.timezone(dt.timedelta(hours=2))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("00123", "00123"),
        (np.str_("é"), "é"),
        (b"00123", "00123"),
        (bytearray("Müller".encode()), "Müller"),
        (memoryview(b"7"), "7"),
        (True, "TRUE"),
        (np.bool_(False), "FALSE"),
        (2**80, "1208925819614629174706176"),
        (np.int8(3), "3"),
        (123.0, "123"),
        (-0.0, "0"),
        (2.0**60, "1152921504606846976"),
        (1e-7, "0.0000001"),
        (np.float64(0.5), "0.5"),
        (np.float32(0.1), "0.1"),
        (np.float32(123456792), "123456792"),
        (np.float16(0.1), "0.1"),
        (float("inf"), "Infinity"),
        (Decimal("1.50"), "1.50"),
        (Decimal("0E-8"), "0.00000000"),
        (Decimal("1E+3"), "1000"),
        (dt.date(2025, 1, 2), "2025-01-02"),
        (dt.datetime(2025, 1, 2, 3, tzinfo=BERLIN), "2025-01-02T03:00:00+02:00"),
        (pd.Timestamp("2025-01-02T03:00:00.123456789"), "2025-01-02T03:00:00.123456789"),
        (np.datetime64("2025-01-02T03:00"), "2025-01-02T03:00:00"),
        (dt.time(1, 2), "01:02:00"),
        (dt.timedelta(days=1, hours=2), "P1DT2H0M0S"),
        (np.timedelta64(5, "s"), "P0DT0H0M5S"),  # a numpy integer too
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        *[(null, "") for null in (None, float("nan"), pd.NA, pd.NaT, Decimal("NaN"), Decimal("sNaN"))],
        *[(null, "") for null in (np.datetime64("NaT"), np.timedelta64("NaT"), np.float32("nan"))],
    ],
)
def test_a_value_is_the_text_of_its_type(value: Any, text: str) -> None:
    assert cell_text(value) == text


NO_TEXT = [b"\xff", "\ud800", {"a": 1}, ["a"], ("a",), {1}, np.array([1]), 1j, object(), pd.Period("2025-01"),
           pd.Interval(0, 1), 10**5000, dt.UTC]  # fmt: skip


@pytest.mark.parametrize("value", NO_TEXT, ids=lambda v: type(v).__name__)
def test_a_value_of_another_type_has_no_text(value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        cell_text(value)
    cells = pd.Series(["a", None], dtype=object)
    cells.iat[1] = value
    texts, refused = as_text(cells)
    assert (texts.to_pylist(), refused.tolist()) == (["a", ""], [False, True])


@pytest.mark.parametrize(
    "cells",
    [
        pd.period_range("2025-01", periods=2, freq="M").to_series(),  # Arrow would give 660
        pd.cut(pd.Series([1, 2]), 2),
        pd.Series([1j, 2j]),
        pd.Series([["a"], ["b"]], dtype=pd.ArrowDtype(pa.list_(pa.string()))),
    ],
    ids=lambda s: str(s.dtype),
)
def test_a_column_whose_type_has_no_text_is_refused(cells: pd.Series) -> None:
    assert as_text(cells)[1].tolist() == [True, True]


MICROSECONDS = st.integers(0, 86_399_999_999)
ARROW = {
    "string": (pa.string(), st.text(st.characters(exclude_categories=["Cs"]), max_size=5)),
    "bytes": (pa.binary(), st.binary(max_size=3)),
    "three bytes": (pa.binary(3), st.binary(min_size=3, max_size=3)),
    "view": (pa.binary_view(), st.binary(max_size=3)),
    "dictionary": (pa.dictionary(pa.int32(), pa.binary()), st.binary(max_size=2)),
    "bool": (pa.bool_(), st.booleans()),
    "uint64": (pa.uint64(), st.integers(0, 2**64 - 1)),
    "double": (pa.float64(), st.floats()),
    "decimal": (pa.decimal128(20, 9), st.decimals(-(10**9), 10**9, places=9)),
    "ids of a database": (pa.decimal128(38, 0), st.decimals(-(10**30), 10**30, places=0)),
    "date": (pa.date32(), st.dates()),
    "date64": (pa.date64(), st.dates()),
    "seconds of a day": (pa.time32("s"), st.times().map(lambda t: t.replace(microsecond=0))),
    "time of day": (pa.time64("us"), st.times()),
    "local time": (pa.timestamp("us"), st.datetimes(dt.datetime(1, 1, 2))),
    "duration": (pa.duration("us"), st.timedeltas(dt.timedelta(-9999), dt.timedelta(9999))),
    "uuid": (pa.uuid(), st.uuids()),
    "null": (pa.null(), st.none()),
}


@pytest.mark.parametrize("kind", ARROW)
@settings(deadline=None, max_examples=60)
@given(st.data())
def test_arrow_gives_the_text_that_python_gives(kind: str, data: st.DataObject) -> None:
    arrow, values = ARROW[kind]
    drawn = data.draw(st.lists(st.none() | values, max_size=4))
    stored = [v.bytes if isinstance(v, uuid.UUID) else v for v in drawn]
    texts, refused = as_text(pa.array(stored, arrow))
    expected, none = as_text(pd.Series(drawn, dtype=object))
    assert (texts.to_pylist(), refused.tolist()) == (expected.to_pylist(), none.tolist())


@pytest.mark.parametrize(("arrow", "kind"), [(pa.float32(), np.float32), (pa.float16(), np.float16)])
@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_short_float_has_the_digits_of_its_own_type(arrow: pa.DataType, kind: type, data: st.DataObject) -> None:
    width = 32 if kind is np.float32 else 16
    drawn = [kind(v) for v in data.draw(st.lists(st.floats(width=width, allow_nan=False, allow_infinity=False)))]
    texts = as_text(pa.array(np.array(drawn, dtype=kind), arrow))[0].to_pylist()
    assert texts == as_text(pd.Series(np.array(drawn, dtype=kind)))[0].to_pylist() == [cell_text(v) for v in drawn]
    assert [kind(t) for t in texts] == drawn
    assert not any("e" in t for t in texts)


def test_times_have_their_zone_and_no_idle_fraction() -> None:
    nanoseconds = pa.array([1738058400123456789, 1738058400500000000, None], pa.timestamp("ns", "America/New_York"))
    found = as_text(nanoseconds)[0].to_pylist()
    assert found == ["2025-01-28T10:00:00.123456789Z", "2025-01-28T10:00:00.500000000Z", ""]
    whole = pa.array([1738058400], pa.timestamp("s", "UTC"))
    assert as_text(whole)[0].to_pylist() == ["2025-01-28T10:00:00Z"]
    assert as_text(pa.array([3_000_000], pa.date32()))[0].to_pylist() == ["10183-09-21"]  # Python has no such date


def test_a_text_that_is_no_utf8_is_refused_by_its_row() -> None:
    texts, refused = as_text(pa.array([b"a", b"\xff", None]).view(pa.string()))
    assert (texts.to_pylist(), refused.tolist()) == (["a", "", ""], [False, True, False])


def test_only_known_arrow_types_have_a_text() -> None:
    assert has_text(pa.dictionary(pa.int8(), pa.decimal128(5, 2)))
    assert has_text(pa.json_())
    nested = (pa.list_view(pa.int8()), pa.struct([]), pa.map_(pa.int8(), pa.int8()), pa.dense_union([]))
    other = (pa.month_day_nano_interval(), pa.fixed_shape_tensor(pa.int8(), [2]))
    assert not any(has_text(kind) for kind in (*nested, *other))


def test_a_frame_of_mixed_cells_is_typed_without_str() -> None:
    frame = pd.DataFrame({"customer_id": ["1", b"2", {"a": 1}, "\ud800", None, np.float32(0.1)]})
    typed, unread = cast_frame(frame, CUSTOMER)
    assert unread["customer_id"].tolist() == [False, True, True, True, False, True]
    assert typed["customer_id"].tolist()[:4] == ["1", "2", "{'a': 1}", r"'\ud800'"]
    cells, missed = cast_column(pd.Series([b"DE", b"\xff", ["x"], "é", None], dtype=object), Column("region", "string"))
    assert missed.tolist() == [False, True, True, False, False]
    assert cells.tolist()[0] == "DE"
    floats, _ = cast_column(pd.Series([0.1, 2.0], dtype="float32"), Column("level", "string"))
    assert floats.tolist() == ["0.1", "2"]

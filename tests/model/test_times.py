"""Text to times: ISO 8601 or a stated pattern, strictly, and never a guess."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from toolkit.model import parse_times, written_times


def parsed(cells: list[str | None], **options: Any) -> list[str]:
    times = parse_times(pa.chunked_array([pa.array(cells, pa.string())]), **options)
    return [
        "naive" if naive else "text" if text else "null" if pd.isna(value) else value.isoformat()
        for value, text, naive in zip(times.values, times.unparsed, times.naive, strict=True)
    ]


def test_iso_8601_is_read_strictly() -> None:
    good = {
        "2025-01-28T10:00:00Z": "2025-01-28T10:00:00+00:00",
        "2025-01-28 10:00:00.123456Z": "2025-01-28T10:00:00.123456+00:00",
        "2025-01-28T10:00+02:00": "2025-01-28T08:00:00+00:00",
        "1500-01-01T00:00:00-05:30": "1500-01-01T05:30:00+00:00",
        "9999-12-31T23:59:59.999999Z": "9999-12-31T23:59:59.999999+00:00",
        "2025-01-28T10:00:00": "naive",
        "2025-01-28": "naive",
    }
    assert dict(zip(good, parsed(list(good)), strict=True)) == good
    bad = [
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "2025-02-30",
        "2025-1-28",
        "20250128",
        "2025-01",
        "2025",
        "now",
        "today",
        "NaT",
        "2025-01-28T24:00:00Z",
        "2025-01-28T10:00:60Z",
        "2025-01-28T10",
        "2025-01-28Z",
        "2025-01-28T10:00:00.1234567Z",
        "28.01.2025",
        "2025-01-28T10:00:00+0100",
        "2025-01-28t10:00:00z",
        "1738058400",
        "٢٠٢٥-٠١-٢٨",
    ]
    assert {cell: got for cell, got in zip(bad, parsed(bad), strict=True) if got != "text"} == {}
    assert parsed([" 2025-01-28", "2025-01-28\n", "2025-01-28  10:00", None]) == ["text", "text", "text", "null"]


def test_a_pattern_never_takes_words_for_times() -> None:
    cells = ["now", "today", "NaT", "2025-01-28", "28.01.2025", "31.12.9999", "30.02.2025", None]
    assert parsed(cells, pattern="%d.%m.%Y", timezone="UTC") == [
        *["text"] * 4,
        "2025-01-28T00:00:00+00:00",
        "9999-12-31T00:00:00+00:00",
        "text",
        "null",
    ]


def test_a_local_time_that_the_clocks_skip_or_repeat_does_not_parse() -> None:
    cells = ["2025-03-30 02:30", "2025-10-26 02:30", "2025-03-30 01:59", "2025-10-26 03:00"]
    assert parsed(cells, timezone="Europe/Berlin") == [
        "text",
        "text",
        "2025-03-30T00:59:00+00:00",
        "2025-10-26T02:00:00+00:00",
    ]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Pacific/Auckland"])
def test_the_ends_of_the_calendar_do_not_stop_a_file(zone: str) -> None:
    cells = [
        "0001-01-01 00:00",
        "0001-01-01 23:00",
        "9999-12-31",
        "9999-12-31 23:59:59.999999",
        "0000-05-05",
        "2025-01-28",
    ]
    got = parsed(cells, timezone=zone)
    assert got[4] == "text"
    assert got[5].startswith("2025-01-2")
    for cell, text in zip(cells[:4], got[:4], strict=True):
        assert text == "text" or text[:4] == cell[:4]


@settings(deadline=None, max_examples=200)
@given(
    st.datetimes(min_value=dt.datetime(1, 1, 3), max_value=dt.datetime(9999, 12, 29)),
    st.integers(-23 * 60, 23 * 60).map(lambda m: dt.timezone(dt.timedelta(minutes=m))),
    st.sampled_from("T "),
)
@example(dt.datetime(1969, 12, 31, 23, 59, 59, 999999), dt.UTC, "T")
def test_what_python_writes_is_what_is_read(moment: dt.datetime, zone: dt.timezone, separator: str) -> None:
    aware = moment.replace(tzinfo=zone)
    [got] = parsed([aware.isoformat(separator)])
    assert dt.datetime.fromisoformat(got) == aware


DAYS = [
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%Y-%m-%d",
    "%Y%m%d",
    "%d%m%Y",
    "%d.%m.%y",
    "%d %b %Y",
    "%A, %d. %B %Y",
    "%j/%Y",
    "%m/%Y",
]
CLOCKS = ["", " %H:%M", " %H:%M:%S", "T%H%M%S", " %H:%M:%S.%f", " %I:%M %p", ", %I %p", " %H:%M %z", "T%H:%M:%S.%f%z"]
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Auckland"]
MOMENTS = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)).map(
    lambda moment: pd.Timestamp(moment, tz="UTC")
)


@settings(deadline=None, max_examples=400)
@given(
    st.lists(MOMENTS, min_size=1, max_size=5),
    st.none() | st.builds("{}{}".format, st.sampled_from(DAYS), st.sampled_from(CLOCKS)),
    st.sampled_from(ZONES) | st.none(),
    st.booleans(),
)
@example(
    [pd.Timestamp("2023-10-29T00:30Z"), pd.Timestamp("2023-10-29T01:30Z")], "%d.%m.%Y %H:%M", "Europe/Berlin", False
)
@example([pd.Timestamp("2075-01-01T00:00Z")], "%d.%m.%y", "UTC", False)
def test_what_is_written_is_read_as_the_same_moment(
    moments: list[pd.Timestamp], pattern: str | None, zone: str | None, dates: bool
) -> None:
    times = pd.Series(moments).dt.as_unit("us")
    texts = written_times(times, pattern=pattern, timezone=zone, dates=dates)
    cells = pa.chunked_array([pa.array(texts, pa.string())])
    assert parse_times(cells, pattern=pattern, timezone=zone, iso_too=True).values.tolist() == moments


def test_a_time_is_written_as_its_source_writes_it() -> None:
    times = pd.Series(pd.to_datetime(["2023-10-14T22:00Z", None, "2024-02-28T23:00Z"]), index=[7, 8, 9])

    def written(**options: Any) -> list[Any]:
        return written_times(times, **options).astype(object).where(times.notna(), None).tolist()

    berlin = "Europe/Berlin"
    assert written(pattern="%d.%m.%Y", timezone=berlin) == ["15.10.2023", None, "29.02.2024"]
    assert written(pattern="%m/%d/%Y %I:%M %p", timezone="UTC") == ["10/14/2023 10:00 PM", None, "02/28/2024 11:00 PM"]
    assert written(pattern="%d.%m.%Y", timezone="UTC") == ["2023-10-14 22:00:00Z", None, "2024-02-28 23:00:00Z"]
    assert written(timezone=berlin, dates=True) == ["2023-10-15", None, "2024-02-29"]
    assert written(timezone=berlin) == ["2023-10-15 00:00:00", None, "2024-02-29 00:00:00"]
    assert written() == ["2023-10-14 22:00:00Z", None, "2024-02-28 23:00:00Z"]
    assert written_times(times).index.tolist() == [7, 8, 9]

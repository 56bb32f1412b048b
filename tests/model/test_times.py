"""Text to times: ISO 8601 or a stated pattern, strictly, and never a guess."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from toolkit.model import parse_times, pattern_fault, written_times


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
        "2025-01-28 10:00+02": "2025-01-28T08:00:00+00:00",
        "2025-01-28T10:00:00.5-0330": "2025-01-28T13:30:00.500000+00:00",
        "2025-01-28t10:00:00z": "2025-01-28T10:00:00+00:00",
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
        "2025-01-28T10:00:00+1",
        "2025-01-28T10:00:00 +01:00",
        "2025-01-28T10:00:00+24:00",
        "2025-01-28T10:00:61Z",
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


def read_by(pattern: str, *cells: str) -> list[str]:
    return [text if text == "text" else text[:16] for text in parsed(list(cells), pattern=pattern, timezone="UTC")]


def test_digits_without_a_separator_have_their_full_width() -> None:
    assert read_by("%d%m%Y", "01122026", "1122026", " 1122026", "112026") == ["2026-12-01T00:00", *["text"] * 3]
    assert read_by("%Y%m%d", "20260501", "2026501", "202605", "2026 501") == ["2026-05-01T00:00", *["text"] * 3]
    assert read_by("%Y%m%dT%H%M", "20260501T0930", "20260501T930") == ["2026-05-01T09:30", "text"]
    assert read_by("%d.%m.%Y%H%M", "1.5.20260930", "1.5.2026930") == ["2026-05-01T09:30", "text"]
    assert read_by("%j%Y", "1322026", "322026", "032026") == ["2026-05-12T00:00", "text", "text"]


def test_between_separators_a_digit_may_be_missing() -> None:
    one = "2026-05-01T00:00"
    assert read_by("%d.%m.%Y", "1.5.2026", "01.05.2026", "01.5.2026", " 1.5.2026") == [one] * 4
    assert read_by("%d.%m.%Y", "1.5.26", "1.5.02026", "001.5.2026", "1.05.2026 ", "1. 5.2026") == ["text"] * 5
    assert read_by("%d%b%Y", "1May2026", "01MAY2026", "1 May 2026") == [one, one, "text"]
    assert read_by("%d.%m.%Y %H:%M", "1.5.2026 9:05", "1.5.2026 9:60", "1.5.2026 24:00", "1.5.2026 9") == [
        "2026-05-01T09:05",
        *["text"] * 3,
    ]


def test_a_second_ends_at_59_and_a_fraction_has_at_most_six_digits() -> None:
    pattern = "%d.%m.%Y %H:%M:%S.%f"
    good = [f"23.05.2026 14:35:59.{'123456'[:n]}" for n in range(1, 7)]
    assert read_by(pattern, *good) == ["2026-05-23T14:35"] * 6
    bad = ["14:35:60.0", "14:35:61.0", "14:35:00.1234567", "14:35:00.123456789", "14:35:00.", "14:35:00"]
    assert read_by(pattern, *(f"23.05.2026 {clock}" for clock in bad)) == ["text"] * 6
    assert read_by("%Y-%m-%d %H:%M:%S.%f", *(f"2026-05-23 {clock}" for clock in bad)) == ["text"] * 6


@pytest.mark.parametrize("space", [" ", "\u00a0", "\u202f", "  ", " \u00a0"])
def test_a_no_break_space_is_a_space(space: str) -> None:
    pattern = "%m/%d/%Y %I:%M %p"
    assert read_by(pattern, f"05/23/2026 2:35{space}PM", f"05/23/2026{space}2:35 am") == [
        "2026-05-23T14:35",
        "2026-05-23T02:35",
    ]
    assert read_by(pattern.replace(" %p", "\u202f%p"), f"05/23/2026{space}12:35{space}PM") == ["2026-05-23T12:35"]
    assert read_by(pattern, "05/23/2026 2:35PM", "05/23/2026\t2:35 PM", "05/23/2026\n2:35 PM") == ["text"] * 3
    assert read_by("%b %d %Y %I:%M%p", f"May{space}{space}3 2026  2:35PM") == ["2026-05-03T14:35"]


@pytest.mark.parametrize("form", ["%d.%m.%Y %H:%M%z", "%Y-%m-%d %H:%M:%S%z", "%Y%m%dT%H%M%z", "%d %b %Y %I:%M %p %z"])
def test_a_zone_has_every_usual_form(form: str) -> None:
    moment = dt.datetime(2026, 5, 23, 14, 35, tzinfo=dt.UTC)
    utc = [moment.strftime(form).replace("+0000", zone) for zone in ("Z", "z", "+00", "+0000", "+00:00", "-00")]
    assert read_by(form, *utc) == ["2026-05-23T14:35"] * 6
    others = [
        moment.strftime(form).replace("+0000", zone) for zone in ("+02", "-0330", "+05:45", "+2", "+24", "CET", "")
    ]
    assert read_by(form, *others) == ["2026-05-23T12:35", "2026-05-23T18:05", "2026-05-23T08:50", *["text"] * 4]


def test_words_that_only_look_like_a_pattern_are_text() -> None:
    # U+017F and U+212A are small s and k where case is ignored; pandas stops at them.
    assert read_by("%a %d.%m.%Y", "Sat 23.05.2026", "\u017fat 23.05.2026") == ["2026-05-23T00:00", "text"]
    assert read_by("%d. %B %Y", "23. May 2026", "23. MAY 2026", "23. Mai 2026") == [*["2026-05-23T00:00"] * 2, "text"]
    assert read_by("%d.%m.%Y, %H:%M Uhr", "23.05.2026, 14:35 uhr", "23.05.2026, 14:35") == ["2026-05-23T14:35", "text"]
    assert read_by("%d.%m.%Y 100%%", "23.05.2026 100%", "23.05.2026 100") == ["2026-05-23T00:00", "text"]


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
    assert pattern is None or pattern_fault(pattern) == ""
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


@settings(deadline=None, max_examples=400)
@given(
    st.datetimes(dt.datetime(1000, 1, 1), dt.datetime(9999, 12, 30)),
    st.builds("{}{}".format, st.sampled_from(DAYS), st.sampled_from(CLOCKS)).filter(lambda form: "%z" not in form),
    st.integers(0, 30),
    st.sampled_from(["", *"0123456789.: "]),
    st.booleans(),
)
@example(dt.datetime(2026, 12, 1), "%d%m%Y", 0, "", True)
@example(dt.datetime(2026, 5, 23, 14, 35, 0, 123456), "%d.%m.%Y %H:%M:%S.%f", 26, "7", False)
def test_what_is_read_has_all_of_its_digits(
    moment: dt.datetime, pattern: str, at: int, inserted: str, cut: bool
) -> None:
    text = moment.strftime(pattern)
    text = text[:at] + inserted + text[at + cut :]
    times = parse_times(pa.chunked_array([pa.array([text], pa.string())]), pattern=pattern, timezone="UTC")
    if text and not times.unparsed[0] and times.values[0].year > 999:
        [again] = written_times(times.values, pattern=pattern, timezone="UTC")
        assert _numbers(again) == _numbers(text)


def _numbers(text: str) -> list[str]:
    return [number.strip("0") for number in re.findall(r"\d+", text)]


def test_texts_that_were_cut_from_others_are_read_as_they_are() -> None:
    # pyarrow casts a slice to an array whose first text does not begin at the first byte.
    texts = pa.array(["0001106", "2025-10-05T10:53:00Z"], pa.large_string()).slice(1).cast(pa.string())
    times = parse_times(pa.chunked_array([texts]), pattern="%d.%m.%Y", timezone="UTC", iso_too=True)
    assert [str(t) for t in times.values] == ["2025-10-05 10:53:00+00:00"]

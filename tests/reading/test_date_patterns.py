"""How a column writes its times: found from all of its cells, and never guessed."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.model import parse_times
from toolkit.reading.date_patterns import DatePattern, infer_pattern


def inferred(*cells: str, iso_too: bool = False) -> DatePattern:
    return infer_pattern(pa.chunked_array([pa.array(cells, pa.large_string())]), iso_too=iso_too)


@pytest.mark.parametrize(
    ("cells", "state", "pattern"),
    [
        (["03-Apr-2026", "04-May-2026"], "found", "%d-%b-%Y"),
        (["March 3, 2026"], "found", "%B %d, %Y"),
        (["3/4/2026 1:05 PM", "13/4/2026 12:05 am"], "found", "%d/%m/%Y %I:%M %p"),
        (["20260304", "20261231"], "found", "%Y%m%d"),
        (["2026-03-04", "2026-03-04T10:00:00Z"], "found", None),
        (["2026-03-04 10:00:00+0100", "2026-03-04 10:00:00+00", "2026-03-04t10:00:00z"], "found", None),
        (["04/13/2026, 2:35\u202fPM", "04/14/2026, 2:35\u00a0am"], "found", "%m/%d/%Y, %I:%M %p"),
        (["13.03.2026 10:00+01", "13.03.2026 10:00Z"], "found", "%d.%m.%Y %H:%M%z"),
        (["2026-03-04T10:00:00.1234567Z"], "none", None),
        (["13.03.2026 10h05"], "none", None),
        (["2026/3/4"], "found", "%Y/%m/%d"),
        (["31.02.2026", "03.04.2026"], "ambiguous", None),
        (["26.03.04", "12.03.04"], "ambiguous", None),
        (["26.03.04", "32.03.04"], "found", "%y.%m.%d"),
        (["03/14/2026", "15/06/2026"], "mixed", None),
        (["13.04.2026", "2026-04-13T10:00"], "mixed", None),
        (["3. März 2026", "15. April 2026"], "unreadable", None),
        (["3 kwietnia 2026"], "unreadable", None),
        (["45990", "45991.5"], "unreadable", None),
        (["1764000000"], "unreadable", None),
        (["1764000000000"], "unreadable", None),
        (["3. März 2026", *["15. April 2026"] * 30], "found", "%d. %B %Y"),
        (["soon", "later"], "none", None),
        ([], "none", None),
    ],
)
def test_a_column_of_times_says_how_it_is_written(cells: list[str], state: str, pattern: str | None) -> None:
    found = inferred(*cells)
    assert (found.state, found.pattern) == (state, pattern)


def test_mixed_patterns_are_counted() -> None:
    found = inferred(*["13.04.2026"] * 3, *["2026/04/13"] * 2)
    assert [(r.pattern, r.n_cells) for r in found.readings] == [("%d.%m.%Y", 3), ("%Y/%m/%d", 2)]


def test_times_held_as_times_leave_the_pattern_to_the_texts() -> None:
    assert inferred("2026-03-04T10:00:00", "13.03.2026", iso_too=True).pattern == "%d.%m.%Y"


DAYS = st.dates(date(1970, 1, 1), date(2060, 12, 31))
SHAPES = st.sampled_from(["%d{0}%m{0}%Y", "%m{0}%d{0}%Y"])
CLOCKS = st.sampled_from(["", " %H:%M", " %H:%M:%S", "T%H:%M", ", %I:%M %p", " %H:%M %z"])


def written(days: list[date], pattern: str) -> list[str]:
    start = datetime.fromisoformat("2000-01-01T01:02:03+00:00")
    return [start.replace(year=d.year, month=d.month, day=d.day).strftime(pattern) for d in days]


@given(days=st.lists(DAYS, min_size=1, max_size=8), shape=SHAPES, sep=st.sampled_from("./-"), clock=CLOCKS)
def test_days_up_to_the_twelfth_decide_nothing(days: list[date], shape: str, sep: str, clock: str) -> None:
    early = [d.replace(day=1 + d.day % 12) for d in days]
    found = inferred(*written(early, shape.format(sep) + clock))
    assert found.state == "ambiguous"
    assert found.pattern is None
    assert {r.pattern for r in found.readings} == {f"%d{sep}%m{sep}%Y{clock}", f"%m{sep}%d{sep}%Y{clock}"}


@given(days=st.lists(DAYS, max_size=8), one=DAYS, shape=SHAPES, sep=st.sampled_from("./-"), clock=CLOCKS)
def test_one_later_day_decides_and_every_cell_parses(
    days: list[date], one: date, shape: str, sep: str, clock: str
) -> None:
    decisive = one.replace(day=13) + timedelta(days=one.day % 14)
    cells = written([*days, decisive], shape.format(sep) + clock)
    found = inferred(*cells)
    assert found.pattern == shape.format(sep) + clock
    times = parse_times(pa.chunked_array([cells]), pattern=found.pattern, timezone="UTC")
    assert times.values.notna().all()
    assert times.values.dt.date.tolist() == [*days, decisive]


def test_months_of_another_language_say_what_to_ask_for() -> None:
    found = inferred("3. März 2026", "15. April 2026")
    assert (found.n_times, found.n_naive) == (2, 2)
    assert found.notes == (
        "the months have names that are not English, which no pattern reads: ask for them as numbers",
    )

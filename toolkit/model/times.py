"""Text to times in UTC and back, in bulk: ISO 8601 or a stated pattern. What does not parse stays text.

Only a cell that has a time zone, or whose time zone is stated, becomes a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

_ISO = (
    r"^\d{4}-\d\d-\d\d(?:[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?"
    r"(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)?)?$"
)
_ZONED = r"(?:Z|[+-]\d\d:\d\d)$"
_UTC = pd.DatetimeTZDtype("us", "UTC")
# pandas allows a year 0 and years after 9999; a Timestamp, Arrow's text and the vendor's JSON do not.
_FIRST, _LAST = pd.Timestamp("0001-01-01", tz="UTC"), pd.Timestamp("9999-12-31T23:59:59.999999", tz="UTC")
_DAY = pd.Timedelta(days=1)


@dataclass(frozen=True, eq=False)
class Times:
    """Cells read as times.

    Attributes
    ----------
    values
        ``datetime64[us, UTC]``; NaT where a cell is null or does not parse.
    unparsed
        Which cells have a text that is not a time; a time without a zone is not one of them.
    naive
        Which times have no zone while none was stated.
    """

    values: pd.Series[Any]
    unparsed: pd.Series[bool]
    naive: pd.Series[bool]


def parse_times(
    cells: pa.ChunkedArray, *, pattern: str | None = None, timezone: str | None = None, iso_too: bool = False
) -> Times:
    """Parse text as times; nulls stay null.

    A local time that the clocks skip or repeat does not parse, nor does a date outside the years 1 to 9999, or a
    fraction of more than six digits.

    Parameters
    ----------
    pattern
        A pattern of strptime; None: ISO 8601, where a date alone means its midnight.
    timezone
        The time zone of times that have none.
    iso_too
        Whether ISO 8601 is parsed too, beside the pattern.

    Examples
    --------
    >>> cells = pa.chunked_array([["2025-01-28", "2025-01-28T10:00:00Z", "soon"]])
    >>> times = parse_times(cells, timezone="Europe/Berlin")
    >>> str(times.values[0]), times.unparsed.tolist()
    ('2025-01-27 23:00:00+00:00', [False, False, True])
    """
    text = pd.Series(cells, dtype="str")
    naive = pd.Series(False, index=text.index)
    parts = []
    for mask, form, zoned in _forms(cells, pattern, iso_too):
        if not mask.any():
            continue
        some = text if mask.all() else text.where(mask)
        part = pd.to_datetime(some, format=form, errors="coerce", utc=zoned).dt.as_unit("us")
        if not zoned and timezone is None:
            naive |= part.notna()
        elif not zoned:
            part = _localized(part, str(timezone))
        if zoned or timezone is not None:
            parts.append(part.where(part.between(_FIRST, _LAST)))
    values = parts.pop(0) if parts else pd.Series(pd.NaT, index=text.index, dtype="datetime64[us, UTC]")
    for part in parts:
        values = values.fillna(part)
    naive &= values.isna()
    return Times(values, text.notna() & values.isna() & ~naive, naive)


def _localized(naive: pd.Series[Any], timezone: str) -> pd.Series[Any]:
    """Convert local times to UTC; NaT if the clocks skip or repeat one."""
    naive = naive.where(naive >= _FIRST.tz_localize(None))
    # Python's time zones fail at the ends of its calendar: there, the offset of the neighbouring day is used.
    early, late = naive < _FIRST.tz_localize(None) + _DAY, naive > _LAST.tz_localize(None) - _DAY
    if (early | late).any():
        inward = _DAY * (early.astype(int) - late.astype(int))
        return _localized(naive + inward, timezone) - inward
    moments: pd.Series[Any] = naive.dt.tz_localize(timezone, ambiguous="NaT", nonexistent="NaT").dt.tz_convert("UTC")
    return moments


def _forms(
    cells: pa.ChunkedArray, pattern: str | None, iso_too: bool
) -> Iterator[tuple[npt.NDArray[np.bool_], str, bool]]:
    """Yield which cells to parse, how, and whether they have a time zone."""
    if pattern is not None:
        # A text without a digit is not a time: pandas would read "now" and "today" as the present.
        yield _matches(cells, r"\d"), pattern, "%z" in pattern
    if pattern is None or iso_too:
        iso, zoned = _matches(cells, _ISO), _matches(cells, _ZONED)
        yield iso & zoned, "ISO8601", True
        yield iso & ~zoned, "ISO8601", False


def _matches(cells: pa.ChunkedArray, regex: str) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.fill_null(pc.match_substring_regex(cells, regex), False), dtype=bool)


def utc_times(times: pd.Series[Any]) -> pd.Series[Any]:
    """Return times in UTC microseconds; a cell that is not a time with a zone, such as a text, is null.

    A text is never parsed here: pandas would guess what it means, the month first and in UTC.

    Examples
    --------
    >>> utc_times(pd.Series([pd.Timestamp("2025-01-28T10:00:00Z"), "03/04/2026"], dtype=object)).isna().tolist()
    [False, True]
    """
    if times.dtype == _UTC:
        return times
    if times.dtype == object:
        aware = times.map(lambda cell: isinstance(cell, datetime) and cell.tzinfo is not None).astype(bool)
        times = pd.to_datetime(times.where(aware), utc=True)
    in_utc: pd.Series[Any] = times.dt.tz_convert("UTC").dt.as_unit("us")
    return in_utc


def written_times(
    times: pd.Series[Any], *, pattern: str | None = None, timezone: str | None = None, dates: bool = False
) -> pd.Series[Any]:
    """Return times as people write them; the opposite of `parse_times`.

    A moment that this form cannot hold, such as a second that the pattern leaves out or an hour that the clocks
    repeat, is ISO 8601 in UTC, so that reading the text again always gives the same moment. A cell that is not a
    time keeps its text; null stays null.

    Parameters
    ----------
    times
        UTC moments, or object if some cells are text.
    pattern
        A pattern of strptime; None: ISO 8601.
    timezone
        The zone in which they are written; None: UTC, which an ISO text then names.
    dates
        Whether ISO 8601 is written without the time of day, where that is midnight.

    Examples
    --------
    >>> times = pd.Series(pd.to_datetime(["2023-10-14T22:00Z", "2023-10-15T12:30Z"]))
    >>> written_times(times, pattern="%d.%m.%Y", timezone="Europe/Berlin").tolist()
    ['15.10.2023', '2023-10-15 12:30:00Z']
    """
    moments, local = _moments(times, timezone or "UTC")
    form = pattern or ("%Y-%m-%d" if dates and timezone else None)

    def write(moment: pd.Timestamp) -> str:
        if form:
            return moment.strftime(form)
        return (moment.tz_localize(None) if timezone else moment).isoformat(" ").replace("+00:00", "Z")

    texts = local.astype(object).map(write, na_action="ignore").astype("str")
    read = parse_times(pa.chunked_array([pa.array(texts, pa.large_string())]), pattern=form, timezone=timezone)
    exact = (read.values.set_axis(times.index) == moments) & moments.notna()
    in_utc = moments.map(lambda moment: moment.isoformat(" ").replace("+00:00", "Z"), na_action="ignore")
    others = in_utc.astype(object).where(moments.notna(), times.astype(object).map(str, na_action="ignore"))
    return texts.where(exact, others).astype("str")


def are_dates(times: pd.Series[Any], timezone: str) -> bool:
    """Return whether every time is a midnight in the zone, as where people wrote dates alone.

    Examples
    --------
    >>> are_dates(pd.Series(pd.to_datetime(["2023-10-14T22:00Z", None])), "Europe/Berlin")
    True
    """
    _, local = _moments(times, timezone)
    return bool((local.isna() | (local == local.dt.normalize())).all())


def _moments(times: pd.Series[Any], timezone: str) -> tuple[pd.Series[Any], pd.Series[Any]]:
    """Return times in UTC, and in the zone; NaT at the calendar's ends, where the zone's day may be one beyond it."""
    moments = utc_times(times if isinstance(times.dtype, pd.DatetimeTZDtype) else times.astype(object))
    return moments, moments.where(moments.between(_FIRST + _DAY, _LAST - _DAY)).dt.tz_convert(timezone)

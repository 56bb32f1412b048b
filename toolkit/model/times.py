"""Text to times in UTC and back, in bulk: ISO 8601 or a stated pattern. What does not parse stays text.

Only a cell that has a time zone, or whose time zone is stated, becomes a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.errors import InputError

_ISO = (
    r"^\d{4}-\d\d-\d\d(?:[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?"
    r"(?:Z|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)?)?$"
)
_ZONED = r":\d\d(?:\.\d+)?(?:Z|[+-][\d:]+)$"
_MONTHS = "January February March April May June July August September October November December".upper().split()
_WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".upper().split()
_FIELDS = {  # what each directive of a pattern reads; a "?" lets it have one digit fewer, between separators
    "Y": r"\d{4}", "y": r"\d\d", "m": r"(?:0?[1-9]|1[0-2])", "d": r"(?:0?[1-9]| [1-9]|[12]\d|3[01])",
    "j": r"(?:[0-2]?\d?\d|3[0-6]\d)", "H": r"(?:[01]?\d|2[0-3])", "I": r"(?:0?[1-9]|1[0-2])", "M": r"[0-5]?\d",
    "S": r"[0-5]?\d", "f": r"\d{1,6}", "p": "[AP]M", "z": r"(?:Z|[+-](?:[01]\d|2[0-3]):?[0-5]\d)", "%": "%",
    "B": f"(?:{'|'.join(_MONTHS)})", "b": f"(?:{'|'.join(name[:3] for name in _MONTHS)})",
    "A": f"(?:{'|'.join(_WEEKDAYS)})", "a": f"(?:{'|'.join(name[:3] for name in _WEEKDAYS)})",
}  # fmt: skip
_SPACES = "[ \u00a0\u202f]"
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
    for texts, mask, form, zoned in _forms(cells, pattern, iso_too):
        if not mask.any():
            continue
        some = pd.Series(texts, dtype="str")
        part = pd.to_datetime(
            some if mask.all() else some.where(mask), format=form, errors="coerce", utc=zoned
        ).dt.as_unit("us")
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
) -> Iterator[tuple[pa.ChunkedArray, npt.NDArray[np.bool_], str, bool]]:
    """Yield the cells as pandas takes them, which of them to parse, how, and whether they have a time zone.

    pandas is lenient: it takes too few digits, cuts a fraction, and lets the second 61 roll over. So only cells that
    the strict form matches come to it.
    """
    # ascii_upper of pyarrow 26 takes the wrong bytes of an array that was cast from a slice: this makes a new one.
    texts = pc.ascii_upper(pc.if_else(pc.is_valid(cells), cells, pa.scalar(None, cells.type)))
    if pattern is not None:
        form = re.sub(f"{_SPACES}+", " ", pattern)
        matched = _matches(texts, pattern_regex(form))
        tidy, rest = texts, ~matched & np.asarray(cells.is_valid(), dtype=bool)
        if rest.any():
            others = pc.replace_substring_regex(texts.filter(pa.array(rest)), f"{_SPACES}+", " ")
            if form.endswith("%z"):
                others = pc.replace_substring_regex(others, r"([+-]\d\d)$", r"\100")
            tidy = pc.replace_with_mask(texts, pa.array(rest), others.combine_chunks())
            matched = _matches(tidy, pattern_regex(form))
        yield tidy, matched, form, "%z" in form
    if pattern is None or iso_too:
        iso, zoned = _matches(texts, _ISO), _matches(texts, _ZONED)
        yield texts, iso & zoned, "ISO8601", True
        yield texts, iso & ~zoned, "ISO8601", False


def _matches(cells: pa.ChunkedArray, regex: str) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.fill_null(pc.match_substring_regex(cells, regex), False), dtype=bool)


@cache
def pattern_regex(pattern: str) -> str:
    """Return the regular expression of what a pattern reads: full width where no separator divides digits, upper case.

    Examples
    --------
    >>> [bool(re.fullmatch(pattern_regex("%d.%m.%Y"), text)) for text in ("1.5.2026", "01.05.2026", "1.5.26")]
    [True, True, False]
    >>> [bool(re.fullmatch(pattern_regex("%d%m%Y"), text)) for text in ("1122026", "01122026")]
    [False, True]
    """
    tokens = re.findall("%.|[^%]", pattern)
    digits = [False, *(t.isdigit() or (t[0] == "%" and t[-1] in "YymdjHIMSf") for t in tokens), False]
    parts = [_FIELDS[t[-1]] if t[0] == "%" else re.escape(t.upper() if t.isascii() else t) for t in tokens]
    for at, part in enumerate(parts):
        if digits[at + 1] and (digits[at] or digits[at + 2]):
            parts[at] = re.sub(r"(?<!\()\?", "", part.replace("| [1-9]", ""))
    return f"^{''.join(parts)}$"


def pattern_fault(pattern: str) -> str:
    """Return why a pattern cannot be read strictly, and what to write instead; empty if it can.

    Examples
    --------
    >>> pattern_fault("%d.%m."), pattern_fault("%d.%m.%Y")
    ('it has no year, so every time would be in 1900: add %Y', '')
    """
    fields = re.findall("%(.?)", pattern.replace("%%", ""))
    clock = "".join(f for f in fields if f in "HIMSf")
    if "Z" in fields:
        return "names of zones are ambiguous; write %z, or state timezone"
    if not fields or any(f not in _FIELDS for f in fields):
        return 'write a strptime pattern, such as "%d.%m.%Y %H:%M"'
    if not {"Y", "y"}.intersection(fields):
        return "it has no year, so every time would be in 1900: add %Y"
    if ("p" in fields) != ("I" in fields):
        return "%I, the hour from 1 to 12, goes with %p, AM or PM: write both, or %H for an hour from 0 to 23 alone"
    if not re.fullmatch("([HI](M(Sf?)?)?)?", clock):
        return "write hour, minute, second and fraction in this order, as %H:%M:%S.%f; %M is the minute, %m the month"
    once = ("Yy", "mbBj", "dj", "p", "z", "aA")
    if any(sum(f in kind for f in fields) > 1 for kind in once) or ("d" in fields and not set("mbB") & set(fields)):
        return "write year, month and day once each, as %d.%m.%Y"
    return ""


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


def zoned_moment(given: datetime | None, name: str) -> pd.Timestamp:
    """Return the time that an argument gives, in UTC, or the present.

    Raises
    ------
    InputError
        If it is not a time with a zone.

    Examples
    --------
    >>> zoned_moment(pd.Timestamp("2025-01-28T11:00:00+01:00"), "now")
    Timestamp('2025-01-28 10:00:00+0000', tz='UTC')
    """
    if given is not None and not (isinstance(given, datetime) and given.tzinfo):
        raise InputError(
            f"{name} names no zone, and only you know which one is meant: it is not a datetime with a time zone, as "
            "datetime.now(UTC) is."
        )
    return pd.Timestamp(given or datetime.now(UTC)).tz_convert("UTC")

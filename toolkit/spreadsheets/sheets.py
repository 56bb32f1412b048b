"""What is known of a sheet: its filled cells with their places, each as text, and what a text alone does not say."""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from math import inf, isfinite

import pyarrow as pa

MAX_ROW, MAX_COLUMN = 1_048_576, 16_384
MAX_EXACT = 10**15
"""From here on Excel keeps 15 digits and puts zeros for the rest."""

SCHEMA = pa.schema([("row", pa.int32()), ("column", pa.int32()), ("text", pa.large_string()), ("remark", pa.string())])
"""A filled cell: row and column from 0, its text, and a remark, which is empty for a text and a plain number."""

DATES = "dates, read as ISO 8601"
TIMES = "times of day or durations"
LOGICAL = "logical values, read as TRUE and FALSE"
LONG = "numbers of more than 15 digits, which Excel rounds"
ERROR = "the Excel error "
UNREAD = "a formula whose result is not in the file"

REFUSED = 3
"""The child's exit code for a workbook that it refuses in a sentence of its own."""
PROTECTED = "is protected by a password: save it without one."


class RefusedError(Exception):
    """A workbook is refused; the message continues a sentence that begins with the file's name."""


@dataclass
class Facts:
    """What is known of a sheet beside its cells.

    Attributes
    ----------
    kind
        What it is if it is no worksheet, such as "a chart"; it has no cells then.
    hidden
        Rows that are hidden and filled, from 0.
    merged
        First and last row, first and last column of each merged area, from 0.
    note
        What the file's format does not record.
    """

    name: str
    kind: str = ""
    is_visible: bool = True
    hidden: list[int] = field(default_factory=list)
    merged: list[tuple[int, int, int, int]] = field(default_factory=list)
    note: str = ""


@dataclass
class Filled(Facts):
    """The filled cells of a sheet while it is read."""

    def __post_init__(self) -> None:
        self.rows: array[int] = array("i")
        self.columns: array[int] = array("i")
        self.texts: list[str] = []
        self.remarks: list[str] = []

    def add(self, row: int, column: int, text: str, remark: str = "") -> None:
        """Add a cell; one without text and remark is empty, and left out."""
        if text or remark:
            self.rows.append(row)
            self.columns.append(column)
            self.texts.append(text)
            self.remarks.append(remark)

    def batch(self) -> pa.RecordBatch:
        """Return the cells, of `SCHEMA`.

        Raises
        ------
        ValueError
            If one is where no sheet has cells.
        """
        for numbers, limit in ((self.rows, MAX_ROW), (self.columns, MAX_COLUMN)):
            if numbers and not 0 <= min(numbers) <= max(numbers) < limit:
                raise ValueError("no row or column has this number")
        places = [pa.Array.from_buffers(pa.int32(), len(p), [None, pa.py_buffer(p)]) for p in (self.rows, self.columns)]
        return pa.record_batch([*places, pa.array(self.texts, pa.large_string()), self.remarks], schema=SCHEMA)


# --- a value becomes text


def plain_digits(number: float) -> str:
    """Return a number as plain digits, nothing rounded.

    Examples
    --------
    >>> plain_digits(123.0), plain_digits(1e-7)
    ('123', '0.0000001')
    """
    return str(int(number)) if number.is_integer() else format(Decimal(repr(number)), "f")


def moment_text(value: date | time | timedelta) -> tuple[str, str]:
    """Return a date or time as ISO 8601, and its remark.

    Examples
    --------
    >>> moment_text(date(2025, 1, 28))[0], moment_text(timedelta(hours=30))[0]
    ('2025-01-28', 'P1DT6H0M0S')
    """
    if not isinstance(value, timedelta):
        return value.isoformat(), DATES if isinstance(value, date) else TIMES
    minutes, seconds = divmod(value.seconds, 60)
    exact = plain_digits((seconds * 10**6 + value.microseconds) / 10**6)  # one rounding
    return f"P{value.days}DT{minutes // 60}H{minutes % 60}M{exact}S", TIMES


def number_text(digits: str, form: str = "General", *, from_1904: bool = False) -> tuple[str, str]:
    """Return a number of a file as text, and its remark.

    Leading zeros that its format shows are put back; under the format of a date or time it is one.

    Examples
    --------
    >>> number_text("123.0"), number_text("7", "000"), number_text("45685.5", "d.m.yyyy")
    (('123', ''), ('007', ''), ('2025-01-28T12:00:00', 'dates, read as ISO 8601'))
    >>> number_text("1234", "#,##0")
    ('1234', 'numbers shown as #,##0, read as plain digits')
    """
    try:
        number = float(digits.replace("_", "?"))
    except ValueError:
        number = inf
    if not isfinite(number):  # not a number, whatever the file says
        return digits, ""
    text = digits if digits.isdecimal() and digits[0] != "0" else plain_digits(number)
    meaning = _meaning(form)
    if meaning == "zeros" and number.is_integer() and number >= 0:
        return text.zfill(len(form)), LONG if number >= MAX_EXACT else ""
    if meaning in ("date", "duration") and number >= 0:
        try:
            return moment_text(_moment(number, from_1904=from_1904) if meaning == "date" else _span(number))
        except OverflowError:
            pass  # beyond the year 9999
    if abs(number) >= MAX_EXACT:
        return text, LONG
    return text, f"numbers shown as {form[:60]}, read as plain digits" if meaning else ""


@lru_cache(1000)
def _meaning(form: str) -> str:
    """Return what a number format makes of a number: nothing, zeros, a date, a duration or something else."""
    if form.lower() in ("general", "standard", "@", ""):
        return ""
    if not form.strip("0"):
        return "zeros"
    # Without what stands in quotes, behind a backslash, or in brackets.
    bare = re.sub(r'"[^"]*"|[\\_*].|\[[^\]]*\]', "", form).split(";")[0].lower()
    if re.search(r"(?i)\[(h+|m+|s+)\]", form):
        return "duration"
    return "date" if re.search("[dmyhs]", bare) else "other"


def _span(days: float) -> timedelta:
    return timedelta(milliseconds=round(days * 86_400_000))


def _moment(serial: float, *, from_1904: bool) -> date | time:
    """Return what Excel shows for a number of days, to the millisecond."""
    span = _span(serial)
    if span < timedelta(days=1):
        return (datetime.min + span).time()
    # Excel counts a 29 February 1900 that never was.
    first = date(1904, 1, 1) if from_1904 else date(1899, 12, 30 if serial >= 60 else 31)
    moment = datetime(first.year, first.month, first.day) + span
    return moment.date() if moment.time() == time() else moment

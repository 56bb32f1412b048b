"""How a column of text writes its times, found from all of its cells and never guessed.

The cells are grouped into forms (``03/04/2026 10:00`` and ``16/12/2025 09:30`` have one), and a form allows a few
patterns. Each pattern is tried on each distinct day with the parser that will read the column. A pattern that some
cell of the form refutes is out: ``16/12/2025`` is no ``%m/%d/%Y``. If one pattern is left, it is found; if several are,
the column is ambiguous, because day and month may be exchanged in every cell; if none is, the column is mixed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.display import plural
from toolkit.model import parse_times

State = Literal["found", "ambiguous", "mixed", "unreadable", "none"]

DOMINANT = 0.95
"""Share of a column's times from which on their pattern is the column's, and other patterns are strays."""
LEAST = 0.5
"""Share of a column's cells that have to look like times."""
FEW = 3
"""Cells that a stated pattern may leave unread before another one is looked for."""
_LETTERS = r"\p{L}+\.?"
_DAY = "|".join(
    [
        *(rf"\d{{1,4}}{sep}\d{{1,2}}{sep}\d{{1,4}}" for sep in (r"\.", "/", "-", " ")),
        rf"(?:{_LETTERS},? )?\d{{1,2}}\.?[ /-]?{_LETTERS}[ /,-]{{0,2}}\d{{2,4}}",
        rf"{_LETTERS} \d{{1,2}},? \d{{4}}",
        rf"\d{{4}}[ /-]{_LETTERS}[ /-]\d{{1,2}}",
        r"\d{8}",
    ]
)
_DAY_AND_REST = rf"^(?P<day>{_DAY})(?P<rest>(?:$|\D|\d{{4}}(?:\d\d)?$).*)$"
_ZONE = r"(?: ?(?:[Zz]|[+-]\d\d(?::?\d\d)?|UTC|GMT))?"
_CLOCK = (
    rf"^(?:(?:,? |T| - )(?:[01]?\d|2[0-3])[:.][0-5]\d(?:[:.][0-5]\d(?:[.,]\d{{1,6}})?)?{_ZONE}(?: Uhr)?"
    r"|(?:,? |T)(?:0?[1-9]|1[0-2]):[0-5]\d(?::[0-5]\d)? [AaPp][Mm]"
    rf"|T?(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?{_ZONE})?$"
)
_NUMBERS = re.compile(r"(\d{1,4})([./ -])(\d{1,2})\2(\d{1,4})")
_WORD = re.compile(r"[^\W\d_]+")
_COMPACT = ("%Y%m%d", "%d%m%Y", "%m%d%Y")
_ORDERS = {(4, 2): ("Ymd",), (2, 4): ("dmY", "mdY"), (2, 2): ("dmy", "mdy", "ymd")}  # digits of the first and the last
_EPOCHS = {  # what numbers of this form are, and what to do
    r"^[2-7]\d{4}(?:\.\d+)?$": ("Excel's serial numbers", "format the column as a date and save again"),
    r"^[1-4]\d{9}$": ("seconds since 1970", "ask for ISO 8601 in UTC"),
    r"^[1-4]\d{12}$": ("milliseconds since 1970", "ask for ISO 8601 in UTC"),
}


@dataclass(frozen=True)
class Reading:
    """One way to read times.

    Attributes
    ----------
    pattern
        As strptime takes it; empty: ISO 8601, which needs no pattern.
    n_cells
        Cells that it reads.
    n_alone
        Cells among them that rule out another reading of the same form.
    """

    pattern: str
    n_cells: int
    n_alone: int = 0


@dataclass(frozen=True)
class DatePattern:
    """How a column writes its times.

    Attributes
    ----------
    state
        ``found``: one reading fits. ``ambiguous``: several do, and nothing decides. ``mixed``: no one pattern
        reads the column. ``unreadable``: these are times that no pattern can read. ``none``: these are no times.
    readings
        The one found; those in question; or, mixed, all that occur.
    n_cells, n_times, n_naive
        Cells that are not empty; those that look like times; those whose time names no zone.
    zone
        The zone that every cell names in letters, such as UTC.
    notes
        What to know and to do, in plain words.
    """

    state: State
    readings: tuple[Reading, ...]
    n_cells: int
    n_times: int
    n_naive: int = 0
    zone: str = ""
    notes: tuple[str, ...] = ()

    @property
    def pattern(self) -> str | None:
        """The pattern to state in a mapping; None for ISO 8601, or where none was found."""
        return self.readings[0].pattern or None if self.state == "found" else None

    @property
    def share(self) -> float:
        """Share of the cells that look like times, 0 to 1."""
        return self.n_times / self.n_cells if self.n_cells else 0.0


def infer_pattern(cells: pa.ChunkedArray, *, iso_too: bool = False) -> DatePattern:
    """Find from a whole column how its times are written; nothing is chosen that the cells do not decide.

    Parameters
    ----------
    cells
        Text; nulls and empty cells are left out.
    iso_too
        Whether the reader takes ISO 8601 besides a pattern, because the file has times as times.

    Examples
    --------
    >>> infer_pattern(pa.chunked_array([["03/04/2026", "05/06/2026"]])).state
    'ambiguous'
    >>> infer_pattern(pa.chunked_array([["03/04/2026", "05/16/2026"]])).pattern
    '%m/%d/%Y'
    """
    cells = cells.cast(pa.large_string())
    cells = cells.filter(pc.fill_null(pc.greater(pc.binary_length(cells), 0), False))
    n = len(cells)
    times = parse_times(cells)
    iso = (~times.unparsed).to_numpy(dtype=bool)
    n_iso, n_naive = int(iso.sum()), int(times.naive.sum())
    if iso_too and 0 < n_iso < n:
        found = infer_pattern(cells.filter(pa.array(~iso)))
        if found.state not in ("none", "unreadable"):
            return replace(found, n_cells=n, n_times=found.n_times + n_iso, n_naive=found.n_naive + n_naive)
    if n_iso and (iso_too or n_iso >= DOMINANT * n):
        notes = (f"{n_naive:,} of {plural(n_iso, 'time')} name no zone",) if 0 < n_naive < n_iso else ()
        return DatePattern("found", (Reading("", n_iso),), n, n_iso, n_naive, notes=(*_strays(n - n_iso), *notes))
    return _counted(cells) or _from_forms(_forms(cells), n)


def other_pattern(cells: pa.ChunkedArray, unread: pd.Series[bool], timezone: str | None) -> str | None:
    """Return the one pattern that reads every cell where the stated one leaves more than a few unread.

    Empty for ISO 8601; None if no pattern does, or several do.

    Examples
    --------
    >>> days = [f"{day}/05/2026" for day in range(1, 32)]
    >>> other_pattern(pa.chunked_array([days]), pd.Series([day > 12 for day in range(1, 32)]), "UTC")
    '%d/%m/%Y'
    """
    if unread.sum() <= FEW:
        return None
    patterns = [r.pattern for r in infer_pattern(cells.filter(pa.array(unread))).readings]
    read = [p for p in patterns if not parse_times(cells, pattern=p or None, timezone=timezone).unparsed.any()]
    return read[0] if len(read) == 1 else None


def _counted(cells: pa.ChunkedArray) -> DatePattern | None:
    """Recognise times that are counted from an epoch."""
    n = len(cells)
    for form, (what, advice) in _EPOCHS.items():
        n_times = pc.sum(pc.match_substring_regex(cells, form)).as_py() or 0
        if n and n_times >= DOMINANT * n:
            note = f"the times look like {what}, which no pattern reads: {advice}"
            return DatePattern("unreadable", (), n, n_times, n_times, notes=(note,))
    return None


@dataclass(frozen=True)
class _Form:
    """Cells of one form: what reads them, how many are read, and how many have a month that no pattern reads."""

    state: State
    readings: tuple[Reading, ...]
    n_cells: int
    n_foreign: int


def _forms(cells: pa.ChunkedArray) -> list[_Form]:
    """Group the cells that look like times by how they are written."""
    parts = pc.extract_regex(pc.replace_substring_regex(cells, "[\u00a0\u202f]", " "), _DAY_AND_REST)
    table = pa.table({"day": pc.struct_field(parts, "day"), "clock": pc.struct_field(parts, "rest")}).drop_null()
    table = table.filter(pc.match_substring_regex(table["clock"], _CLOCK))
    table = table.set_column(1, "clock", pc.replace_substring_regex(table["clock"], r"\d", "0"))
    days = table.group_by(["day", "clock"]).aggregate([([], "count_all")]).to_pandas()
    found = []
    for clock, group in days.groupby(days["clock"].map(_clock_pattern)):
        for patterns, form in group.groupby(group["day"].map(_day_patterns)):
            found.append(_form(patterns, str(clock), form["day"], form["count_all"].to_numpy()))
    return found


def _form(patterns: tuple[str, ...], clock: str, days: pd.Series[Any], counts: npt.NDArray[np.int64]) -> _Form:
    """Try each pattern on each day of a form."""
    fits = {p: _days(days, p).notna().to_numpy(dtype=bool) for p in patterns}
    some = np.logical_or.reduce([np.zeros(len(days), dtype=bool), *fits.values()])
    every = np.logical_and.reduce([some, *fits.values()])
    read = {p: fit for p, fit in fits.items() if fit.any()}
    best = [p for p, fit in read.items() if not (some & ~fit).any()]
    if {p.replace("%B", "%b") for p in best} == set(best[:1]):
        best = best[:1]  # May is a month's long and short name
    used = {p: read[p] for p in best or read}
    readings = tuple(Reading(p + clock, int(counts[f].sum()), int(counts[f & ~every].sum())) for p, f in used.items())
    state: State = "found" if len(best) == 1 else "ambiguous" if best else "mixed"
    n_foreign = int(counts[~some].sum()) if any("%b" in p for p in patterns) else 0
    return _Form(state, readings, int(counts[some].sum()), n_foreign)


def _from_forms(forms: list[_Form], n: int) -> DatePattern:
    n_foreign = sum(f.n_foreign for f in forms)
    n_times = sum(f.n_cells for f in forms) + n_foreign
    if not n_times or n_times < LEAST * n:
        return DatePattern("none", (), n, n_times)
    if n_foreign > (1 - DOMINANT) * n_times:
        note = "the months have names that are not English, which no pattern reads: ask for them as numbers"
        return DatePattern("unreadable", (), n, n_times, n_times, notes=(note,))
    main = max(forms, key=lambda f: f.n_cells)
    if main.n_cells < DOMINANT * n_times:
        readings = sorted((r for f in forms for r in f.readings), key=lambda r: -r.n_cells)
        note = "the cells are written in several ways, and a mapping states one: ask for one in the export"
        return DatePattern("mixed", tuple(readings), n, n_times, n_times, notes=(note,))
    clock = main.readings[0].pattern
    two_digits = any("%y" in r.pattern for r in main.readings)
    decisive = "a day after the 12th or a year after 31" if two_digits else "a day after the 12th"
    notes: tuple[str, ...] = {
        "ambiguous": (f"every cell can be read both ways: {decisive} would decide; otherwise ask who made the export",),
        "mixed": ("some cells can be read one way only, some only another: ask which is right",),
    }.get(main.state, ())
    if two_digits:
        notes += ("years have two digits: 69 to 99 are read as 1969 to 1999, 00 to 68 as 2000 to 2068",)
    zone = "UTC" if clock.endswith(("UTC", "GMT")) else ""
    n_naive = 0 if "%z" in clock else main.n_cells
    return DatePattern(main.state, main.readings, n, n_times, n_naive, zone, _strays(n - main.n_cells) + notes)


def _days(days: pd.Series[Any], pattern: str) -> pd.Series[Any]:
    parsed = parse_times(pa.chunked_array([pa.array(days, pa.large_string())]), pattern=pattern, timezone="UTC").values
    # Eight digits in a row are only a day if their year is plausible.
    return parsed.where(parsed.dt.year.between(*((1900, 2100) if pattern in _COMPACT else (1, 9999))))


def _day_patterns(day: str) -> tuple[str, ...]:
    """Return the patterns that a day's form allows."""
    if day.isdigit():
        return _COMPACT
    if numbers := _NUMBERS.fullmatch(day):
        first, sep, last = numbers.group(1, 2, 4)
        orders = _ORDERS.get((len(first) if len(first) > 2 else 2, len(last) if len(last) > 2 else 2), ())
        return tuple(sep.join(f"%{c}" for c in order) for order in orders)
    *weekday, month = _WORD.findall(day)
    form = re.sub(r"\d{4}", "%Y", day)
    form = "\0".join(form.rsplit(month, 1))
    for word in weekday:
        form = form.replace(word, "%a" if len(word) == 3 else "%A")
    known: list[tuple[str, ...]] = [("%d",)] if "%Y" in form else [("%d", "%y"), ("%y", "%d")]
    dated = [_filled_in(r"\d{1,2}", fields, form) for fields in known]
    return tuple(f.replace("\0", name) for f in dated for name in ("%b", "%B"))


def _filled_in(digits: str, fields: Iterable[str], form: str) -> str:
    """Replace the runs of digits, from the left, by a pattern's fields."""
    left = iter(fields)
    return re.sub(digits, lambda _: next(left), form)


def _clock_pattern(clock: str) -> str:
    """Turn what follows a day, its digits all 0, into a pattern."""
    clock = re.sub(r"(?:[Zz]|[+-]00(?::?00)?)$", "%z", clock)
    if re.fullmatch(r"T?0{4}(?:00)?(?: ?(?:%z|UTC|GMT))?", clock):
        return clock.replace("0000", "%H%M").replace("00", "%S")
    clock = re.sub(r"[AaPp][Mm]$", "%p", clock)
    return _filled_in("0+", ("%I" if clock.endswith("%p") else "%H", "%M", "%S", "%f"), clock)


def _strays(n: int) -> tuple[str, ...]:
    return (f"{plural(n, 'cell')} cannot be read this way, and will fail in validation",) if n else ()

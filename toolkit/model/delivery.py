"""A delivery: a customer frame, and what is known about its source.

Every station takes a plain frame, a `Delivery`, or the result of the station before (which carries one).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

import pandas as pd

import toolkit.display as draw
from toolkit.display import MAX_ROWS, Cell, Column, Markup, Part, Result, escape, paragraph, plural, timestamp
from toolkit.engine import EngineTable
from toolkit.errors import InputError, wrong_kind
from toolkit.model.contract import CUSTOMER, ID, TIME
from toolkit.model.times import are_dates, utc_times, written_times

DeliveryKind = Literal["full", "changes"]
Language = Literal["en", "de", "fr"]
"""Of what is written for the owner of the data."""

BROKEN_COLUMNS = (ID, "reason", "text")


def no_broken_lines() -> pd.DataFrame:
    """Return an empty table of broken lines, index ``source_row``."""
    return pd.DataFrame(columns=list(BROKEN_COLUMNS), index=pd.Index([], dtype="int64", name="source_row"), dtype="str")


@dataclass(frozen=True, eq=False, repr=False)
class Delivery(Result):
    """A customer frame and where it comes from.

    Attributes
    ----------
    frame
        The customers; the index ``source_row`` is the record's number in the file, the header counted.
        ``updated_at`` is UTC in microseconds, or object if a cell that could not be parsed keeps its text.
    source
        The file's name, or ``frame``.
    digest
        SHA-256 of the file's bytes; empty for a frame.
    kind
        ``full``: customers not in it are absent. ``changes``: other customers are not affected.
    given
        The columns that the delivery has. For a known customer, any other column keeps the value that was sent before.
    keep
        The columns whose empty cells say nothing: for a known customer they keep the value that was sent before.
    names
        Schema column to the file's own column name.
    broken
        Lines that could not be parsed: index ``source_row``, columns ``customer_id`` (if it could be read), ``reason``
        and the raw ``text``.
    held
        Ids whose rows are quarantined: neither absent nor sent.
    held_names
        The names of these customers in the quarantined rows, by id.
    n_quarantined
        Rows quarantined so far, broken lines included.
    corrections
        The named corrections that the mapping chose, with their options.
    notes
        What was detected or decided while reading, for people.
    warnings
        What is probably wrong with how the source was read: a first line that says what to do, then examples.
    datetime, timezone
        How the source writes ``updated_at``, according to the mapping.
    other_pattern
        A pattern that reads every time of the source where `datetime` does not, empty for ISO 8601; None: unknown.
    n_unread
        Times quarantined because they could not be read.
    parts
        For a folder of part-files: each file, and the number of rows before it.
    language
        Of what is written for the owner of the data.
    file
        How to read the file again: its path, its digest, and what the mapping says of its format. Empty for a frame.
    mapping
        The mapping that it was read with: ``version``, ``content``, and the file's ``header``. Empty without one.
    asked
        What the command line is given to read it so: the path, the mapping's file. Empty if no command does.
    corrected
        The corrections that were made since, with their options; each patch as it was given.
    n_total
        Rows, if the frame has only those of them that are shown: the others are in an engine.
    """

    frame: pd.DataFrame
    source: str = "frame"
    digest: str = ""
    kind: DeliveryKind = "full"
    given: tuple[str, ...] = CUSTOMER.names
    keep: tuple[str, ...] = ()
    names: dict[str, str] = field(default_factory=dict)
    broken: pd.DataFrame = field(default_factory=no_broken_lines)
    held: frozenset[str] = frozenset()
    held_names: dict[str, str] = field(default_factory=dict)
    n_quarantined: int = 0
    corrections: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    datetime: str | None = None
    timezone: str | None = None
    other_pattern: str | None = None
    n_unread: int = 0
    parts: tuple[tuple[str, int], ...] = ()
    language: Language = "en"
    file: dict[str, Any] = field(default_factory=dict)
    mapping: dict[str, Any] = field(default_factory=dict)
    asked: tuple[str, ...] = ()
    corrected: dict[str, Any] = field(default_factory=dict)
    n_total: int | None = None

    @property
    def delivery(self) -> Delivery:
        """Itself, so that a delivery can be used like any result that carries one."""
        return self

    def command(self, verb: str) -> str:
        """Return the command that reads and corrects the customers so; empty if no command does.

        A command makes the corrections of the mapping by itself.

        Examples
        --------
        >>> asked = ("crm.csv", "--mapping", "m.toml")
        >>> Delivery(pd.DataFrame(), asked=asked, corrections={"keep_last": True}).command("push")
        'toolkit push crm.csv --mapping m.toml --correct keep_last=false'
        >>> Delivery(pd.DataFrame(), asked=asked, corrected={"pad_ids": 7, "patch": ["p.csv"]}).command("push")
        'toolkit push crm.csv --mapping m.toml --correct pad_ids=7 --patch p.csv'
        """
        stated = {n: [o] if n == "patch" and isinstance(o, str) else o for n, o in self.corrections.items()}
        options: list[str] = []
        with suppress(TypeError):  # a patch that is no file, or another option that cannot be written
            for name in stated | self.corrected:
                option = self.corrected.get(name, False)
                if name == "patch" and name not in stated:
                    options += [part for path in option for part in ("--patch", path)]
                elif option != stated.get(name, False):
                    said = json.dumps(option, ensure_ascii=False, separators=(", ", " = "))  # which is TOML
                    options += ["--correct", name if option is True else f"{name}={said}"]
            return shlex.join(["toolkit", verb, *self.asked, *options]) if self.asked else ""
        return ""

    def place(self, source_row: int) -> str:
        """Give the place of a row: its number, after the name of its file if there are several.

        Examples
        --------
        >>> Delivery(pd.DataFrame(), parts=(("a.csv", 0), ("b.csv", 120))).place(125)
        'b.csv row 5'
        """
        file, start = next(((f, s) for f, s in reversed(self.parts) if s < source_row), ("", 0))
        return f"{file} row {source_row - start}".strip()

    def as_written(self, times: pd.Series[Any]) -> pd.Series[Any]:
        """Return times as the source writes them: in the mapping's pattern and zone, as text; null stays null.

        Without a pattern they are ISO 8601 in the zone, and dates alone if every time of the delivery and of `times`
        is a midnight there. A moment that this form cannot hold is ISO 8601 in UTC; a text that is not a time is kept.

        Examples
        --------
        >>> times = pd.Series(pd.to_datetime(["2023-10-14T22:00Z"]))
        >>> Delivery(pd.DataFrame(), datetime="%d.%m.%Y", timezone="Europe/Berlin").as_written(times).tolist()
        ['15.10.2023']
        """
        dates = self.timezone is not None and self._has_dates and are_dates(times, self.timezone)
        return written_times(times, pattern=self.datetime, timezone=self.timezone, dates=dates)

    @property
    def show(self) -> dict[str, Callable[[Any], object]]:
        """How a page shows the cells of ``updated_at``: as written and, smaller, the UTC moment that is sent."""
        return {TIME: self._show_time}

    def written(self, cell: object) -> object:
        """Return one cell as `as_written` does."""
        return self.as_written(pd.Series([cell]))[0] if isinstance(cell, pd.Timestamp) else cell

    def _show_time(self, cell: object) -> object:
        if not isinstance(cell, pd.Timestamp):
            return cell
        text, utc = self.written(cell), timestamp(cell)
        return text if text == utc else Markup(f'{escape(text)} <small class="soft">{utc}</small>')

    def heads(self, columns: Iterable[str]) -> list[Column]:
        """Return heads of a grid: the file's own name of each column large, ours small."""
        return [draw.head_of(c, self.names) for c in columns]

    def time_cells(self, times: pd.Series[Any]) -> list[Cell]:
        """Return times as cells: as written, the UTC moment that is sent small below, by which they are sorted."""
        moments = utc_times(times)
        order = moments.rank(method="dense").astype("Int64")
        every = zip(self.as_written(times), moments.map(timestamp), order, strict=True)
        return [Cell(t, sort=None if str(t)[:10] == u[:10] else n, soft="" if t == u else u) for t, u, n in every]

    def cells(self, rows: pd.DataFrame) -> tuple[list[Column], list[list[object]]]:
        """Return rows as a grid shows them: each one's place, then its cells, as the file names and orders them."""
        columns = [c for c in dict.fromkeys((*self.names, *self.given)) if c in self.given and c in rows.columns]
        places = [Cell(n, "" if pd.isna(n) else self.place(n).removeprefix("row ")) for n in rows.index]
        cells = [self.time_cells(rows[c]) if c == TIME else rows[c].astype(object) for c in columns]
        return [Column("Row", right=True), *self.heads(columns)], [*map(list, zip(places, *cells, strict=True))]

    @property
    def about_times(self) -> Markup:
        """Explain how a page shows times; empty where they are shown in UTC only."""
        if not (self.datetime or self.timezone):
            return Markup("")
        zone = f" ({self.timezone})" if self.timezone else ""
        return paragraph(
            f"{TIME} as the source writes it{zone}; small below it, the UTC moment that is sent", soft=True
        )

    def not_a_time(self, n_times: int) -> str:
        """Return what it means that a cell of ``updated_at`` is not a time; the source has `n_times`.

        Examples
        --------
        >>> Delivery(pd.DataFrame(), datetime="%m/%d/%Y", other_pattern="%d/%m/%Y").not_a_time(3000)
        'updated_at is not a time as %m/%d/%Y; %d/%m/%Y reads all 3,000 of them: datetime = "%d/%m/%Y" in [format]'
        """
        text = f"{TIME} is not a time as {self.datetime or 'ISO 8601, such as 2025-01-28T10:00:00Z'}"
        if "%f" in (self.datetime or "%f"):
            text += ", with at most 6 digits of a fraction"
        if self.timezone not in (None, "UTC"):
            text += f", or one that the clocks in {self.timezone} skip or repeat"
        if self.other_pattern is None:
            return text
        advice = f'datetime = "{self.other_pattern}"' if self.other_pattern else "leave out datetime"
        return f"{text}; {self.other_pattern or 'ISO 8601'} reads all {n_times:,} of them: {advice} in [format]"

    @cached_property
    def _has_dates(self) -> bool:
        return TIME not in self.frame or are_dates(self.frame[TIME], str(self.timezone))

    @property
    def n_rows(self) -> int:
        """Rows of the frame, broken lines not counted."""
        return len(self.frame) if self.n_total is None else self.n_total

    @property
    def n_broken(self) -> int:
        """Lines that could not be parsed."""
        return len(self.broken)

    def summary(self) -> str:
        """Give the delivery in one line."""
        broken = f", {plural(self.n_broken, 'broken line')} set aside" if self.n_broken else ""
        return f"{plural(self.n_rows, 'row')} from {self.source}{broken}"

    def body(self) -> str:
        """Give the delivery as an HTML fragment."""
        parts = Part(self.n_rows, "rows read", "changed", sign="="), Part(self.n_broken, "lines set aside", "bad")
        whole = {"full": "customers not in it are absent", "changes": "other customers stay as they are"}
        shown = [
            draw.headline(self.source, self.summary(), f"{self.kind} delivery: {whole[self.kind]}", parts=parts),
            draw.notes(self.warnings),
        ]
        if self.n_broken:
            broken = draw.frame_table(self.broken, name="Broken lines", index="Row", names=self.names)
            shown.append(draw.section("Broken lines", broken, note="set aside, because they could not be read"))
        heads, cells = self.cells(self.frame.head(MAX_ROWS))
        rows = draw.grid("Rows", heads, cells, more=self.n_rows - len(cells), way=draw.ALL * (self.n_total is None))
        shown.append(draw.section("Rows", self.about_times, rows))
        shown += [draw.fold("How it was read", *map(paragraph, self.notes))] if self.notes else []
        ways = draw.code("tk.profile(delivery)", "report = tk.validate(tk.correct(delivery))")
        return "".join([*shown, draw.section("What now", ways)])

    def to_frame(self) -> pd.DataFrame:
        """Give the customer frame."""
        return self.frame

    def to_dict(self) -> dict[str, Any]:
        """Give the counts and what was detected."""
        return {
            "source": self.source,
            "digest": self.digest,
            "kind": self.kind,
            "rows": self.n_rows,
            "broken": self.n_broken,
            "given": list(self.given),
            "notes": list(self.notes),
            "warnings": list(self.warnings),
        }


class CarriesDelivery(Protocol):
    """What has a delivery: a `Delivery`, a correction, a validation report."""

    @property
    def delivery(self) -> Delivery:
        """The delivery that it carries."""


Customers = pd.DataFrame | CarriesDelivery | EngineTable
"""What every station takes."""


def as_delivery(data: Customers, *, columns: tuple[str, ...] = CUSTOMER.names) -> Delivery:
    """Return the delivery that `data` carries; a plain frame becomes a full delivery.

    The one check of what every station takes: whatever this returns has a frame with the key's columns, each once.

    Parameters
    ----------
    columns
        The columns of a plain frame that count as given.

    Raises
    ------
    InputError
        If `data` is neither a frame nor carries a delivery, lacks a column of the key, or has two columns of one name.

    Examples
    --------
    >>> as_delivery("customers.csv")
    Traceback (most recent call last):
    toolkit.errors.InputError: A customer frame is wanted here, and a str was given: read_customers(path) gives one.
    """
    if isinstance(data, pd.DataFrame):
        require_key(data)
        given = tuple(c for c in columns if c in data.columns)
        if not pd.api.types.is_integer_dtype(data.index.dtype):
            data = data.reset_index(drop=True)  # a row's place in its source is a number
        return Delivery(data.rename_axis("source_row"), given=given)
    delivery = getattr(data, "delivery", None)
    if not isinstance(delivery, Delivery):
        calls = {
            "snapshot": "Ledger.of().snapshot().frame",
            "versions": "snapshot.frame",
            "engine": "read_customers(table)",
        }
        usual = "pd.DataFrame(rows)" if isinstance(data, list | dict) else "read_customers(path)"
        call = next((call for name, call in calls.items() if hasattr(data, name)), usual)
        raise wrong_kind(data, "a customer frame", call)
    require_key(delivery.frame)
    return delivery


def require_key(frame: pd.DataFrame) -> None:
    """Refuse a frame that lacks a column of the key, or has two columns of one name.

    Raises
    ------
    InputError
        Naming the columns.
    """
    if missing := [c for c in CUSTOMER.key if c not in frame.columns]:
        raise InputError(
            f"The frame lacks {' and '.join(missing)}: every customer row needs {' and '.join(CUSTOMER.key)}. Rename "
            "the columns, or read the file with a mapping: read_customers(path, mapping=…)."
        )
    if doubled := sorted({str(c) for c in frame.columns[frame.columns.duplicated()]}):
        raise InputError(
            f"The frame has several columns named {', '.join(doubled)}: keep one of each, as with "
            "frame.loc[:, ~frame.columns.duplicated()]."
        )

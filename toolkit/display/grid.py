"""Tables that are complete: all rows up to 5,000, which the page's script searches, filters, sorts and copies.

A grid is drawn from data: columns, and units of rows. A unit is one row, or several that stay together, such as twins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from toolkit.display.pieces import SYMBOLS, Tone, paragraph
from toolkit.display.texts import Markup, breakable, escape, is_null, plural, timestamp, visible

MAX_ROWS = 5_000
ALL = "to_frame() has all."
MAX_COLUMNS = 16
MAX_CELL = 120
MAX_COPIED = 1_000
"""Characters of a cell that a copy has; a longer one is cut."""
_TAGS = re.compile("<[^>]*>")
_REMOVED = re.compile("<del>.*?</del>", re.DOTALL)


@dataclass(frozen=True)
class Column:
    """A column's head: the file's own name large, ours small; `right` for numbers, which are sorted as such."""

    title: str
    small: str = ""
    right: bool = False


@dataclass(frozen=True)
class Cell:
    """A cell that needs more than its value.

    Attributes
    ----------
    value
        What is copied, and sorted by unless `sort` is given.
    shown
        What is shown instead of it.
    tone, why
        Marks the cell, with the reason in it.
    sort
        What it is sorted by: the order of the moments under dates as written.
    soft
        A line below, small: the name under an id.
    span
        How many columns it covers, up to the last one: a line that could not be split into cells.
    """

    value: object
    shown: Markup | str | None = None
    tone: Tone | None = None
    why: str = ""
    sort: object = None
    soft: object = ""
    span: int = 1


@dataclass(frozen=True)
class Unit:
    """Rows that stay together when the grid is sorted or filtered.

    Attributes
    ----------
    rows
        Their cells: values, `Cell` or `Markup`.
    facets
        The unit's values by facet, by which the grid is filtered: ``{"column": ["customer_id"]}``. A copy has those of
        the facet ``rule`` as its last column.
    tone
        The edge's colour.
    head
        A line above the rows.
    name
        By which a link finds it.
    """

    rows: Sequence[Sequence[object]]
    facets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    tone: Tone | None = None
    head: object = ""
    name: str = ""


def head_of(column: str, names: Mapping[str, str]) -> Column:
    """Return the head of a column: the file's own name and, small, ours where it is another."""
    title = names.get(column, column)
    return Column(title, "" if title == column else column)


def grid(
    name: str,
    columns: Sequence[Column | str],
    units: Iterable[Unit | Sequence[object]],
    *,
    facets: Mapping[str, str] | None = None,
    unit: str = "rows",
    more: int = 0,
    way: object = ALL,
    stacks: bool = False,
) -> Markup:
    """Render a grid.

    Parameters
    ----------
    name
        What it shows, for a screen reader and as the name of the file that is downloaded: ``Quarantined rows``.
    columns, units
        Heads and rows; a row alone is a unit without facets.
    facets
        The label of each facet that gets buttons, or a list where it has more than five values.
    unit
        What is counted.
    more, way
        How many rows are not among the units, and how one gets them.
    stacks
        On a narrow page each row becomes a card: for what is read row by row, and not compared down a column.
    """
    heads = [c if isinstance(c, Column) else Column(c) for c in columns]
    every = [u if isinstance(u, Unit) else Unit([u]) for u in units]
    firsts = [row for u in every for row in u.rows]
    right = [c.right or _numeric(row[n] for row in firsts if n < len(row)) for n, c in enumerate(heads)]
    head = "".join(_head(c, number) for c, number in zip(heads, right, strict=True))
    values: dict[str, int] = {}  # the text of each facet stands once in the page, and in the units its number
    body = "".join(_unit(u, right, values) for u in every)
    rest = paragraph(f"and {more:,} more {unit}", way, soft=True) if more else ""
    labels = escape("\n".join(f"{k}={label}" for k, label in (facets or {}).items()))
    return Markup(
        f'<div class=wrap tabindex=0 role=group aria-label="{escape(name)}"><table{" class=stack" * stacks} '
        f'data-grid="{escape(name)}" data-unit="{escape(unit)}" data-facets="{labels}" '
        f'data-names="{escape(chr(10).join(values))}"><thead><tr>{head}</tr></thead>{body}</table></div>{rest}'
    )


def frame_table(
    frame: pd.DataFrame,
    *,
    name: str = "Rows",
    index: str | None = None,
    show: Mapping[str, Callable[[Any], object]] | None = None,
    names: Mapping[str, str] | None = None,
    unit: str = "rows",
    way: object = ALL,
) -> Markup:
    """Render the rows and the first columns of a frame as a grid; its index comes first where `index` names it.

    The cells of a column in `show` go through its function first; `names` are the file's own names of columns.
    """
    seen, show, names = frame.iloc[:MAX_ROWS, :MAX_COLUMNS], show or {}, names or {}
    cells = [[_shown(v, show.get(str(c))) for v in seen.iloc[:, n].astype(object)] for n, c in enumerate(seen.columns)]
    heads = [head_of(str(c), names) for c in seen.columns]
    if index:
        cells.insert(0, list(seen.index))
        heads.insert(0, Column(index, right=True))
    rest = frame.shape[1] - seen.shape[1]
    note = paragraph(f"and {plural(rest, 'more column')}", soft=True) if rest else ""
    return Markup(grid(name, heads, zip(*cells, strict=True), unit=unit, more=len(frame) - len(seen), way=way) + note)


def _shown(value: object, function: Callable[[Any], object] | None) -> object:
    if function is None or is_null(value):
        return value
    shown = function(value)
    return Cell(value, shown if isinstance(shown, Markup) else str(shown), sort=value)


def _numeric(cells: Iterable[object]) -> bool:
    found = False  # an empty cell says nothing about its column
    for value in (c.value if isinstance(c, Cell) else c for c in cells):
        if not (number := _is_number(value)) and not is_null(value) and value != "":
            return False
        found |= number
    return found


def _head(column: Column, right: bool) -> str:
    small = f"<small> {breakable(column.small, limit=MAX_CELL)}</small>" if column.small else ""
    title, kind = breakable(column.title, limit=MAX_CELL), " class=r data-s=n" if right else " data-s=t"
    return f'<th scope=col{kind if title else ""} data-t="{escape(column.title)}"><span>{title}</span>{small}</th>'


def _unit(unit: Unit, right: Sequence[bool], values: dict[str, int]) -> str:
    facets = "".join(
        f" data-{key}={_attribute(' '.join(numbers))}"
        for key, texts in unit.facets.items()
        if (
            numbers := [str(values.setdefault(text, len(values))) for each in texts if (text := " ".join(each.split()))]
        )
    )
    head = f"<tr class=grp><td colspan={len(right)}>{escape(unit.head)}</td></tr>" if unit.head else ""
    edge, name = f" class={unit.tone}" if unit.tone else "", f" id={_attribute(unit.name)}" if unit.name else ""
    return f"<tbody{name}{edge}{facets}>{head}{''.join(_row(row, right) for row in unit.rows)}</tbody>"


def _attribute(text: str) -> str:
    return text if text.isascii() and text.isalnum() else f'"{escape(text)}"'


def _row(row: Sequence[object], right: Sequence[bool]) -> str:
    return f"<tr>{''.join(_cell(value, number) for value, number in zip(row, right, strict=False))}</tr>"


def _cell(value: object, number: bool) -> str:
    cell = value if isinstance(value, Cell) else Cell(value)
    text, raw = _said(cell.value)
    shown = cell.shown if cell.shown is not None else cell.value if isinstance(cell.value, Markup) else None
    classes = ["r"] if number else []
    if shown is None:
        classes += ["nil"] if is_null(cell.value) else []
        shown = "empty" if is_null(cell.value) else escape(text, limit=MAX_CELL * cell.span)
    plain = after = str(escape(shown))
    if isinstance(shown, Markup) and "<" in shown:
        plain, after = _TAGS.sub("", shown), _TAGS.sub("", _REMOVED.sub("", shown))
    classes += ["w"] if not number and max(len(plain), len(str(cell.soft))) > 24 else []  # it may wrap
    # The script copies `data-t`, and sorts by `data-v`, where they are not what is shown.
    classes += ["d"] if after != plain and after == escape(raw) else []
    same = isinstance(cell.value, Markup) or "nil" in classes or escape(raw) in (plain, after)
    told = "" if same else f' data-t="{escape(raw)}"'
    told += "" if is_null(cell.sort) else f" data-v={_attribute(_said(cell.sort)[1])}"
    classes += ["mark", cell.tone] if cell.tone else []
    why = f" <em>{SYMBOLS[cell.tone or 'bad']} {escape(cell.why)}</em>" if cell.why else ""
    soft = f" <small>{escape(cell.soft, limit=MAX_CELL)}</small>" if cell.soft else ""
    classed = f' class="{" ".join(classes)}"' if len(classes) > 1 else f" class={classes[0]}" if classes else ""
    classed += f" colspan={cell.span}" if cell.span > 1 else ""
    return f"<td{classed}{told}>{escape(shown)}{soft}{why}</td>"


def _said(value: object) -> tuple[str, str]:
    """Return a value as it is shown, and as it is copied."""
    if is_null(value):
        return "", ""
    if isinstance(value, pd.Timestamp):
        return (timestamp(value),) * 2
    if _is_number(value):
        return f"{value:,}", str(value)
    text = str(value)[:MAX_COPIED]
    return visible(text), text


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not is_null(value)

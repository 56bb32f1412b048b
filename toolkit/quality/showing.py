"""How findings, rows and columns are shown: in the file's words, the bad cells marked, rows of one finding together."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

import toolkit.display as draw
from toolkit.display import MAX_ROWS, Cell, Column, Markup, Part, Tone, Unit, escape, is_null, paragraph, plural
from toolkit.model import CUSTOMER, ID, NAME, TIME, UNIQUE, Delivery
from toolkit.quality.statistics import SAMPLE

WHOLE_LINE = "whole line"
"""Stands for the column of what is wrong with a line as a whole."""
MAX_MEMBERS = 5
"""The most rows of one group that are shown."""
_CELL, _LABEL = 40, 80
MAX_FOUND = 200
MAX_RAW = 150
_COMMON = 0.2
Names = Mapping[str, str]
"""The file's own names of the contract's columns, in the file's order."""
Show = Mapping[str, Callable[[Any], object]]
"""Functions that the cells of a column go through before they are shown."""


def in_words(reason: str, names: Names) -> str:
    """Return a reason with the file's names of its columns.

    Examples
    --------
    >>> in_words("customer_id is empty", {"customer_id": "Kundennummer"})
    'Kundennummer is empty'
    """
    if not names:
        return reason
    return re.sub(rf"\b({'|'.join(map(re.escape, names))})\b", lambda name: own(name[1], names), reason)


def unrun(checks: Sequence[str]) -> str:
    """Return which rules an engine could not run, in words; empty if there are none."""
    which = f"not run on this engine: {', '.join(checks)}"
    return f"{which}; a sample in a frame can be checked by them." if checks else ""


def own(column: str, names: Names) -> str:
    """Return the file's name of a column, cut to a length that a page can bear."""
    return draw.shortened(names.get(column, column), _CELL)


def file_order(columns: Iterable[str], names: Names) -> list[str]:
    """Return columns in the order of the file."""
    given = list(columns)
    return [*(c for c in names if c in given), *(c for c in given if c not in names)]


def head(column: str, names: Names) -> Column:
    """Return the head of a column: the file's name and, small, ours."""
    return draw.head_of(column, {column: own(column, names)})


def named(column: str, names: Names) -> Cell:
    """Return the name of a column as a cell: the file's and, small, ours."""
    title = head(column, names)
    return Cell(title.title, soft=title.small)


def findings_grid(sides: Mapping[Tone, pd.DataFrame], *, n_rows: int, names: Names, show: Show) -> Markup:
    """Show reasons as `by_reason` gives them, each as a part of `n_rows`: failures are ``bad``, warnings ``warn``."""
    every = [(tone, f) for tone, found in sides.items() for f in found.to_dict("records")]
    units = [_finding(f, tone, n_rows, names, show) for tone, f in every[:MAX_FOUND]]
    facets = {"severity": "Severity", "column": "Column"}
    columns = ["Check", "Column", f"Rows of {n_rows:,}", "Where"]
    return draw.grid("What was found", columns, units, facets=facets, unit="findings", more=len(every) - len(units),
                way="in .findings", stacks=True)  # fmt: skip


def _finding(f: Mapping[Any, Any], tone: Tone, n_rows: int, names: Names, show: Show) -> Unit:
    said, title = in_words(f["reason"], names), named(_place(f), names)
    severity, n = "failure" if tone == "bad" else "warning", f["count"]
    groups = f", {plural(f['groups'], 'group')}" if f["groups"] else ""
    where = [
        draw.pick(plural(n, "row") + groups, "rule", said[:_LABEL]),
        *(_example(e, f, show) for e in f["examples"]),
    ]
    row = (Cell(said, soft=f"{severity} · {f['check']}"), title,
           Cell(n, draw.meter(n / max(n_rows, 1), f"{n:,}", tone=tone), sort=n),
           Markup(f"<div class=where>{' '.join(f'<span class=b>{each}</span>' for each in where)}</div>"))  # fmt: skip
    return Unit([row], {"severity": [severity], "column": [str(title.value)]}, tone)


def _place(finding: Mapping[Any, Any]) -> str:
    return WHOLE_LINE if is_null(finding["column"]) else finding["column"]


def _example(rows: Sequence[tuple[int, Any]], f: Mapping[Any, Any], show: Show) -> Markup:
    column, said = f["column"], list[str]()
    for row, cell in rows[:MAX_MEMBERS]:
        name = "" if column == NAME and not is_null(cell) else escape(shown_cell(f["customers"].get(row), NAME, {}))
        compared = "compare " * bool(said and not f["groups"])
        value = escape(shown_cell(cell, column, show))
        said.append(f"{compared}row {row}{value and f' <bdi>{value}</bdi>'}{name and f' <small>{name}</small>'}")
    return Markup(", ".join(said) + rest_of(rows))


def rest_of(rows: Sequence[object]) -> str:
    """Say how many rows of a group are not shown."""
    return f" and {len(rows) - MAX_MEMBERS:,} more" if len(rows) > MAX_MEMBERS else ""


def shown_cell(cell: object, column: str, show: Show) -> str:
    """Return a cell as one short text."""
    cell = show[column](cell) if column in show else cell
    if is_null(cell) or isinstance(cell, Markup):
        return cell if isinstance(cell, Markup) else ""
    return draw.shortened(draw.timestamp(cell) if isinstance(cell, pd.Timestamp) else draw.visible(str(cell)), _CELL)


def rows_grid(
    name: str, rows: pd.DataFrame, found: pd.DataFrame, delivery: Delivery, tone: Tone, n_rows: int, way: str
) -> Markup:
    """Show rows as they stand in the file, with their bad cells marked; rows that are one finding stay together.

    Below the number of a row are the columns that are marked in it, for these may be out of sight.

    Parameters
    ----------
    rows
        The rows as they came, index ``source_row``; ``text`` is the raw text of a line that could not be parsed.
    found
        Their findings, as `read_findings` gives them, failures first; `tone` where it is not the tone of the rows.
    n_rows, way
        How many rows there are, and how one gets those beyond the first 5,000.
    """
    rows, names = rows.iloc[:MAX_ROWS], delivery.names
    columns = file_order((c for c in CUSTOMER.names if c in rows and (c in names or rows[c].notna().any())), names)
    columns += [str(c) for c in rows if c not in (*CUSTOMER.names, "reasons", "text") and rows[c].notna().any()]
    found = found[found["index"].isin(rows.index)]
    by_row: dict[int, list[dict[Any, Any]]] = {}
    for f in found.to_dict("records"):
        by_row.setdefault(f["index"], []).append(f)
    units: dict[int, list[int]] = {}
    for row in rows.index:
        together = (f["group"] for f in by_row.get(row, ()) if not pd.isna(f["group"]))
        units.setdefault(next(together, row), []).append(row)
    cells = {c: rows[c].astype(object).to_dict() for c in columns}
    written = delivery.as_written(rows[TIME]).to_dict() if TIME in rows else {}
    raw = rows["text"].dropna().str[:MAX_RAW].to_dict() if "text" in rows else {}
    drawn, short = [], {c: escape(own(c, names), limit=16) for c in columns}
    for members in units.values():
        marks: dict[tuple[int, str], tuple[Tone, str]] = {}
        for f in (f for row in members for f in by_row.get(row, ()) if f["check"] != UNIQUE):
            at, why = (f["index"], f["column"]), f["reason"].removeprefix(f"{f['column']} ")
            worst, *said = marks.get(at, (f.get("tone", tone),))
            marks[at] = worst, "; ".join([*said, why])
        title = Markup("")
        if any(f["check"] == UNIQUE for r in members for f in by_row.get(r, ())):
            differ = [c for c in columns if len({None if is_null(v := cells[c][r]) else v for r in members}) > 1]
            marks |= {(r, c): ("warn", "differs") for r in members for c in differ if (r, c) not in marks}
            title = _twins(cells[ID][members[0]], written[members[0]], [own(c, names) for c in differ], len(members))
        every = [f for r in members for f in by_row.get(r, ())]
        said = list(dict.fromkeys(in_words(f["reason"], names)[:_LABEL] for f in every))
        places = dict.fromkeys(own(_place(f), names) for f in every)
        lines = [
            [r, Cell(raw[r], tone=tone, why="; ".join(said), span=len(columns))] if r in raw else
            [Cell(r, soft=Markup(" <br>".join(short[c] for c in columns if (r, c) in marks))),
             *(_cell(c, cells[c][r], written.get(r), tone, *marks.get((r, c), (None, ""))) for c in columns)]
            for r in members
        ]  # fmt: skip
        drawn.append(Unit(lines, {"rule": said, "column": list(places)}, tone, title))
    heads = [Column("Row", right=True), *(head(c, names) for c in columns)]
    return draw.grid(
        name, heads, drawn, facets={"rule": "Reason", "column": "Column"}, more=n_rows - len(rows), way=way
    )


def _cell(column: str, value: object, written: object, tone: Tone, mark: Tone | None, why: str) -> object:
    if column != TIME or not isinstance(value, pd.Timestamp):
        return Cell(value, tone=mark, why=why) if mark else value
    utc = draw.timestamp(value)
    sent = "" if tone == "bad" or utc == written else f"{utc} is sent"
    order = None if str(written)[:10] == utc[:10] else utc  # a page of many rows stays small
    return Cell(written, sort=order, soft=sent, tone=mark, why=why)


def _twins(who: object, when: object, differ: Sequence[str], n: int) -> Markup:
    what = "and agree in every column: the correction drop_exact_duplicates keeps one"
    if differ:
        what = f"and differ in {' · '.join(differ)}: leave one out, or correct its key"
    return draw.joined(Markup("<b>Twins</b> · "), f"{n} rows are customer {who} changed at {when}, {what}.")


def column_cards(columns: pd.DataFrame, reasons: pd.DataFrame, n_rows: int, names: Names) -> Markup:
    """Show counted columns, each with what is unusual in it, of `by_reason`, and the picture that fits its values."""
    ordered = columns.set_index("column", drop=False).loc[file_order(columns["column"], names)]
    return draw.cards((_column(c, reasons, n_rows, names) for c in ordered.to_dict("records")), find="columns")


def _column(c: Mapping[Any, Any], reasons: pd.DataFrame, n_rows: int, names: Names) -> Markup:
    reasons = reasons[reasons["column"] == c["column"]]
    title, filled = head(c["column"], names), n_rows - c["nulls"] - c["unread"]
    parts = (Part(filled, "filled", "changed"), Part(c["unread"], "not a time", "bad"),
             Part(c["nulls"], "empty", "calm"))  # fmt: skip
    odd = (f"{in_words(r['reason'], names)} ({plural(r['count'], 'row')})" for r in reasons.to_dict("records"))
    empty = f" · <b>{c['nulls']:,}</b> empty" if c["nulls"] else ", none empty"
    empty += f" · <b>{c['unread']:,}</b> not a time" if c["unread"] else ""
    small = Markup(f" <small class='b m'>{draw.breakable(title.small)}</small>")
    figures = Markup(f"<p><b>{c['distinct']:,}</b> distinct{empty}</p>")
    return draw.card(title.title, small, draw.stack(parts, small=True), figures, draw.notes(odd),
                     _values(c, filled, n_rows), _patterns(c), _sizes(c))  # fmt: skip


def _values(c: Mapping[Any, Any], filled: int, n_rows: int) -> Markup:
    if c["top"]:
        rest, more = filled - sum(n for _, n in c["top"]), c["distinct"] - len(c["top"])
        return draw.tally(
            [*((value, n / n_rows) for value, n in c["top"]), *([(plural(more, "other"), rest / n_rows)] * (more > 0))]
        )
    if not filled:
        return Markup("")
    note = "each in one row" if c["distinct"] == filled else "each in less than 1 % of the rows"
    return paragraph(f"{draw.visible(c['least'])[:24]} … {draw.visible(c['greatest'])[:24]}, {note}", soft=True)


def _patterns(c: Mapping[Any, Any]) -> Markup:
    # Names and words have patterns too, which mean nothing.
    first, share = next(iter(c["patterns"]), (None, 0))
    if first is None or not (c["column"] == ID or (share >= _COMMON and "9" in re.sub(r"\{[0-9]+\}", "", first))):
        return Markup("")
    if share == 1:
        return paragraph(f"one pattern: {pattern_words(first)}", soft=True)
    said = draw.tally((pattern_words(pattern), share) for pattern, share in c["patterns"][:4])
    return draw.joined(said, paragraph(f"in a sample of {SAMPLE:,} or more", soft=True)) if c["sampled"] else said


def pattern_words(pattern: str) -> str:
    """Return a pattern of digits or letters alone in words, and any other as it is.

    Examples
    --------
    >>> pattern_words("9{7}"), pattern_words("AAA"), pattern_words("AA-9{5}")
    ('7 digits', '3 capitals', 'AA-9{5}')
    """
    for sign, word in (("9", "digit"), ("A", "capital"), ("a", "letter")):
        if found := re.fullmatch(rf"{sign}\{{(\d+)\}}|{sign}+", pattern):
            return plural(int(found[1] or len(pattern)), word)
    return pattern


def _sizes(c: Mapping[Any, Any]) -> Markup:
    sizes = dict.fromkeys(f"{int(c[s]):,}" for s in ("shortest", "median", "longest") if not pd.isna(c[s]))
    if len(sizes) == 3:
        return paragraph("{} to {} characters, in the middle {}".format(*[*sizes][::2], [*sizes][1]), soft=True)
    return paragraph(f"{' to '.join(sizes)} characters", soft=True) if sizes else Markup("")


def changes_grid(
    name: str,
    changes: pd.DataFrame,
    *,
    names: Names | None = None,
    written: Callable[[Any], object] = str,
    more: Sequence[str] = (),
) -> Markup:
    """Show changed cells before and after, with what was removed and what was added marked.

    Parameters
    ----------
    changes
        ``source_row, column, before, after, rule`` and, where they are known, ``customer_id`` and ``customer_name``.
    written
        How a time is written.
    more
        Further columns of `changes` to show.
    """
    names, units, known = names or {}, [], ID in changes
    for c in changes.head(MAX_ROWS).to_dict("records"):
        row = c["source_row"]
        cells = (written(c[side]) if isinstance(c[side], pd.Timestamp) else c[side] for side in ("before", "after"))
        pair = zip((c["before"], c["after"]), draw.marked_change(*cells), ("bad", "good"), strict=True)
        shown = [Cell(cell, Markup(f"<span class={side}>{text}</span>")) for cell, text, side in pair]
        title, label = named(c["column"], names), c.get(NAME)
        customer = [Cell(c.get(ID), soft="" if is_null(label) else draw.visible(str(label)))][:known]
        line = [row if row >= 0 else "", *customer, title, *shown,
                c["rule"], *(c[m] for m in more)]  # fmt: skip
        units.append(Unit([line], {"rule": [str(c["rule"])], "column": [str(title.value)]}))
    titles = (*["Customer"][:known], "Column", "Before", "After", "Rule", *(m.capitalize() for m in more))
    heads = [Column("Row", right=True), *map(Column, titles)]
    rest = len(changes) - len(units)
    return draw.grid(name, heads, units, facets={"rule": "Rule", "column": "Column"}, unit="changes", more=rest,
                stacks=True)  # fmt: skip

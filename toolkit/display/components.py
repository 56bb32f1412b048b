"""Results as text and HTML: escape, table, bar, badge; light and dark.

No script, no outside address. Colours come from JupyterLab's variables where there are any, else from
the reader's colour scheme, so the same fragment is readable in a notebook and in an exported page.
"""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from toolkit.files import replacing

Tone = Literal["good", "bad", "warn", "calm"]

MAX_ROWS = 12
MAX_COLUMNS = 16
MAX_CELL = 120
MAX_HEADING = 200
MAX_PARAGRAPH = 1_500

_LIGHT = (
    "--tk-ink:#1f2328;--tk-soft:#59636e;--tk-line:#d1d9e0;--tk-tint:#eef1f4;--tk-paper:#fff;"
    "--tk-good:#1a7f37;--tk-bad:#cf222e;--tk-warn:#9a6700;--tk-bar:#0969da"
)
_DARK = (
    "--tk-ink:#e6edf3;--tk-soft:#9198a1;--tk-line:#3d444d;--tk-tint:#262c36;--tk-paper:#0d1117;"
    "--tk-good:#3fb950;--tk-bad:#ff7b72;--tk-warn:#d29922;--tk-bar:#4493f8"
)

# A notebook's theme outranks the system's scheme: JupyterLab marks <body> with the theme it shows.
STYLE = (
    f"<style>.tk{{{_LIGHT};color:var(--tk-ink);font:13px/1.5 system-ui,sans-serif;max-width:1100px}}"
    f"@media(prefers-color-scheme:dark){{.tk{{{_DARK}}}}}"
    f"[data-jp-theme-light=true] .tk{{{_LIGHT}}}[data-jp-theme-light=false] .tk{{{_DARK}}}"
    ".tk h3{font-size:15px;font-weight:600;margin:2px 0 4px;color:var(--tk-ink)}"
    ".tk h4{font-size:13px;font-weight:600;margin:12px 0 4px;color:var(--tk-ink)}"
    ".tk p{margin:2px 0;color:var(--tk-ink)}.tk .soft{color:var(--tk-soft)}.tk .wide{overflow-x:auto}"
    ".tk table{border-collapse:collapse;margin:4px 0;font-size:12px;color:var(--tk-ink);table-layout:auto}"
    # JupyterLab aligns the cells of every table to the right, with a selector that outranks ours.
    ".tk th,.tk td{text-align:left!important;padding:3px 14px 3px 0;border:0;border-bottom:1px solid var(--tk-line);"
    "vertical-align:top;background:none;color:var(--tk-ink);white-space:pre-wrap;max-width:340px;min-width:2em;"
    "overflow-wrap:break-word}"
    ".tk th,.tk td.line{color:var(--tk-soft);white-space:nowrap}.tk td.line{color:var(--tk-ink)}"
    ".tk th{font-weight:600}.tk tr{background:none!important}"
    ".tk td.num,.tk th.num{text-align:right!important;font-variant-numeric:tabular-nums}"
    ".tk td.long{min-width:180px}.tk td.line{max-width:none}"
    ".tk .badge{display:inline-block;border:1px solid;border-radius:10px;padding:0 9px;margin:2px 6px 2px 0;"
    "font-size:12px;white-space:nowrap}"
    ".tk .good{color:var(--tk-good)}.tk .bad{color:var(--tk-bad)}.tk .warn{color:var(--tk-warn)}"
    ".tk .calm{color:var(--tk-soft)}"
    ".tk .bar{display:inline-block;width:60px;height:8px;background:var(--tk-tint);border-radius:4px}"
    ".tk .bar i{display:block;height:8px;background:var(--tk-bar);border-radius:4px}"
    ".tk td.none{color:var(--tk-soft);font-style:italic}"
    # What a file holds may be written from right to left: it must not turn the text beside it around.
    ".tk td,.tk h3,.tk h4,.tk bdi{unicode-bidi:isolate}"
    ".tk .row{display:block;white-space:nowrap}.tk .num{font-variant-numeric:tabular-nums}"
    ".tk .tally{display:grid;grid-template-columns:auto 60px auto;column-gap:8px;align-items:center;"
    "justify-content:start;white-space:nowrap}.tk .tally .num{min-width:3.6em;text-align:right}"
    ".tk .share{display:inline-grid;grid-template-columns:60px 3.6em;column-gap:8px;align-items:center}"
    ".tk .share .num{text-align:right}"
    ".tk .over{display:flex;align-items:flex-end;gap:1px;height:64px;margin:6px 0 0;"
    "border-bottom:1px solid var(--tk-line)}"
    ".tk .over i{flex:1 1 0;max-width:40px;background:var(--tk-bar);border-radius:2px 2px 0 0}"
    ".tk .ends{display:flex;justify-content:space-between;font-size:12px;color:var(--tk-soft)}"
    ".tk bdi.cell{background:var(--tk-tint);border-radius:3px;padding:0 4px;white-space:pre}"
    ".tk details{margin:12px 0 4px}.tk summary{font-weight:600;cursor:pointer;color:var(--tk-ink)}</style>"
)


class Markup(str):
    """HTML that is already escaped; everything else is text."""

    __slots__ = ()


def escape(value: object, *, limit: int | None = None) -> Markup:
    """Text of `value` for HTML, cut to `limit` characters; control characters are shown, markup is left as it is.

    Examples
    --------
    >>> escape("<b>Müller & Co</b>")
    '&lt;b&gt;Müller &amp; Co&lt;/b&gt;'
    >>> escape("Müller", limit=4)
    'Mül…'
    """
    if isinstance(value, Markup):
        return value
    text = str(value)
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    # Control and direction characters would move the text around them; show that they are there.
    text = "".join(c if c.isprintable() or c in "\n\t" else f"\\u{ord(c):04x}" for c in text)
    return Markup(html.escape(text))


def badge(text: object, *, tone: Tone = "calm") -> Markup:
    """Render a small rounded label."""
    return Markup(f'<span class="badge {tone}">{escape(text)}</span>')


def badges(counts: Iterable[tuple[int, str, Tone]]) -> Markup:
    """Render counts as labels, grey where the count is nought; a plural ``s`` goes where it is one."""
    said = ((n, word[:-1] if n == 1 and word.endswith("s") else word, tone) for n, word, tone in counts)
    return Markup("".join(badge(f"{n:,} {word}", tone=tone if n else "calm") for n, word, tone in said))


def bar(share: float) -> Markup:
    """Render a share between 0 and 1 as a bar."""
    width = max(0.0, min(1.0, share)) * 100
    return Markup(f'<span class="bar"><i style="width:{width:.1f}%"></i></span>')


def lines(texts: Iterable[object]) -> Markup:
    """Render the first text and, below it and softer, the others."""
    return Markup(
        "".join(
            f'<span class="row{" soft" if n else ""}">{escape(text, limit=60)}</span>' for n, text in enumerate(texts)
        )
    )


def share_bar(share: float) -> Markup:
    """Render a share between 0 and 1 as a bar with its figure."""
    return Markup(f'<span class="share">{bar(share)}<span class=num>{percent(share)}</span></span>')


def tally(shares: Iterable[tuple[str, float]], rest: Iterable[tuple[str, float]] = ()) -> Markup:
    """Render texts, each with its share between 0 and 1 as a bar; those of `rest` are softer."""
    rows = [
        f"<bdi{soft}>{escape(text, limit=32)}</bdi>{bar(share)}<span class=num>{percent(share)}</span>"
        for soft, part in (("", shares), (" class=soft", rest))
        for text, share in part
    ]
    return Markup(f'<div class="tally">{"".join(rows)}</div>')


def timeline(counts: Sequence[tuple[str, int]]) -> Markup:
    """Render counts by period as upright bars, the first and the last period named below."""
    most = max((n for _, n in counts), default=1) or 1
    wide = f"max-width:{max(18 * len(counts), 160)}px"
    bars = "".join(
        f'<i style="height:{max(n / most * 100, 2 if n else 0):.0f}%" title="{escape(period)}: {n:,}"></i>'
        for period, n in counts
    )
    ends = "".join(
        f"<span>{escape(period)}</span>" for period in dict.fromkeys(c[0] for c in (*counts[:1], *counts[-1:]))
    )
    return Markup(f'<div class="over" style="{wide}">{bars}</div><div class="ends" style="{wide}">{ends}</div>')


def details(summary: object, *parts: object) -> Markup:
    """Render parts that unfold below their summary; no script is needed."""
    return Markup(f"<details><summary>{escape(summary)}</summary>{''.join(escape(p) for p in parts)}</details>")


def percent(share: float) -> str:
    """Say a share between 0 and 1, so that little is not nothing and nearly all is not all.

    Examples
    --------
    >>> percent(0), percent(0.0004), percent(0.125), percent(0.9999), percent(1)
    ('0%', '<0.1%', '12.5%', '>99.9%', '100%')
    """
    if share in (0, 1):
        return f"{share:.0%}"
    return "<0.1%" if share < 0.001 else ">99.9%" if share > 0.999 else f"{share:.1%}"


def heading(text: object, *, level: Literal[3, 4] = 4) -> Markup:
    """Render a heading."""
    return Markup(f"<h{level}>{escape(text, limit=MAX_HEADING)}</h{level}>")


def paragraph(*parts: object, soft: bool = False) -> Markup:
    """Render one paragraph; the parts are joined by a space."""
    said = " ".join(escape(p, limit=MAX_PARAGRAPH) for p in parts)
    return Markup(f"<p{' class=soft' if soft else ''}>{said}</p>")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, more: int = 0) -> Markup:
    """Render rows as a table; `more` is how many rows are not shown."""
    rows = list(rows)
    body = "".join("<tr>" + "".join(_cell(v) for v in row) + "</tr>" for row in rows)
    numeric = [all(_is_number(v) for v in cells) for cells in zip(*rows, strict=True)] or [False] * len(columns)
    head = "".join(
        f"<th{' class=num' if right else ''}>{escape(c, limit=MAX_CELL)}</th>"
        for c, right in zip(columns, numeric, strict=True)
    )
    rest = paragraph(f"and {more:,} more", soft=True) if more else ""
    return Markup(f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{rest}')


def frame_table(frame: pd.DataFrame, *, index: str | None = None, limit: int = MAX_ROWS) -> Markup:
    """Render the first rows and columns of a frame, its index first where `index` names it."""
    shown = frame.iloc[:limit, :MAX_COLUMNS]
    columns = [str(c) for c in shown.columns]
    rows: list[tuple[object, ...]] = list(shown.itertuples(index=index is not None, name=None))
    rest = frame.shape[1] - shown.shape[1]
    note = paragraph(f"and {plural(rest, 'more column', 'more columns')}", soft=True) if rest else ""
    return Markup(table([index, *columns] if index else columns, rows, more=len(frame) - len(shown)) + note)


def timestamp(value: pd.Timestamp | None) -> str:
    """Show a time in UTC, without a fraction where there is none.

    Examples
    --------
    >>> timestamp(pd.Timestamp("2025-01-28T10:00:00Z"))
    '2025-01-28 10:00:00Z'
    """
    if value is None or pd.isna(value):
        return ""
    text = value.tz_convert("UTC").strftime("%Y-%m-%d %H:%M:%S.%f") if value.tzinfo else str(value)
    return text.removesuffix(".000000") + ("Z" if value.tzinfo else "")


def plural(n: int, word: str, words: str = "") -> str:
    """Say a count with its noun.

    Examples
    --------
    >>> plural(1, "row"), plural(2000, "row"), plural(2, "company", "companies")
    ('1 row', '2,000 rows', '2 companies')
    """
    return f"{n:,} {word if n == 1 else words or word + 's'}"


def page(title: str, body: str) -> str:
    """Wrap a fragment as a page of its own: no script, no outside address."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width">{STYLE}<style>:root{{color-scheme:light dark}}'
        "body{margin:24px}@media(prefers-color-scheme:dark){body{background:#0d1117}}</style></head>"
        f'<body><div class="tk">{body}</div></body></html>'
    )


def is_null(value: object) -> bool:
    """Tell whether a cell holds nothing; a cell that holds a list is one cell."""
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and value != value)


class Result(ABC):
    """The faces that every result has: one line, HTML, a frame, a dictionary, a page."""

    @abstractmethod
    def summary(self) -> str:
        """Say the result in one line, with its counts."""

    @abstractmethod
    def body(self) -> str:
        """Give the result as an HTML fragment."""

    @abstractmethod
    def to_frame(self) -> pd.DataFrame:
        """Give the result's rows as a frame."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Give the result's counts and facts, ready for JSON."""

    def to_html(self, path: str | Path) -> Path:
        """Write the result as a page that stands alone, for its user's eyes alone (0600); returns its path.

        Raises
        ------
        InputError
            If the file cannot be written; an earlier file of that name is then unharmed.
        """
        target = Path(path)
        with replacing(target) as part:
            part.write_text(page(type(self).__name__, self.body()), encoding="utf-8")
        return target

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.summary()}>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:  # noqa: ARG002 - IPython's signature
        return {"text/plain": repr(self), "text/html": f'{STYLE}<div class="tk">{self.body()}</div>'}


def _cell(value: object) -> str:
    if is_null(value):
        return '<td class="none">null</td>'
    if isinstance(value, pd.Timestamp):
        return f'<td class="line">{escape(timestamp(value))}</td>'
    if _is_number(value):
        return f'<td class="num">{value:,}</td>'
    if isinstance(value, Markup):
        return f'<td class="line">{value}</td>'
    text = str(value)
    size = "long" if len(text) > 32 else "line" if len(text) <= 24 else ""
    return f'<td class="{size}">{escape(text, limit=MAX_CELL)}</td>'


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not is_null(value)

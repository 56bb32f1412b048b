"""The parts of a page (table, badge, bar, heading, …), each escaped, and `Result`, which every result extends.

A page has no script and no outside address. `style.css` has two colours for each purpose: JupyterLab's theme chooses
between them, or the reader's colour scheme where there is no theme. So a fragment is readable in a notebook and in an
exported page.
"""

from __future__ import annotations

import html
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from toolkit.characters import printable
from toolkit.files import replacing

Tone = Literal["good", "bad", "warn", "calm"]

MAX_ROWS = 12
MAX_COLUMNS = 16
MAX_CELL = 120
MAX_HEADING = 200
MAX_PARAGRAPH = 1_500

STYLE = f"<style>{files(__package__).joinpath('style.css').read_text(encoding='utf-8')}</style>"


# JupyterLab would typeset what is between dollar signs: "$5 and $6" lost them, and TeX forged text.
_ROOT = '<div class="tk tex2jax_ignore mathjax_ignore">'


class Markup(str):
    """HTML that is already escaped; everything else is text."""

    __slots__ = ()


def escape(value: object, *, limit: int | None = None) -> Markup:
    """Return `value` as text for HTML, cut to `limit` characters; `Markup` is returned as it is.

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
    return Markup(html.escape(printable(text, keep="\n\t")))


def visible(cell: str) -> str:
    r"""Return a cell's text with what is easily overlooked: outer and doubled spaces, and control characters.

    Examples
    --------
    >>> print(visible("  Müller  & Co "), visible("Acme\u200b\n"))
    ··Müller··& Co· Acme\u200b\n
    """
    return printable(re.sub(r"^ +| +$| {2,}", lambda found: "·" * len(found[0]), cell))


def badge(text: object, *, tone: Tone = "calm") -> Markup:
    """Render a small rounded label."""
    return Markup(f'<span class="badge {tone}">{escape(text)}</span>')


def badges(counts: Iterable[tuple[int, str | tuple[str, str], Tone]]) -> Markup:
    """Render counts as labels, grey if the count is zero.

    The words are a text that fits every number (``accepted``), or a noun's singular and plural (``row``, ``rows``).

    Examples
    --------
    >>> badges([(1, ("push", "pushes"), "good"), (0, "refused", "bad")])
    '<span class="badge good">1 push</span><span class="badge calm">0 refused</span>'
    """
    forms = ((n, (words, words) if isinstance(words, str) else words, tone) for n, words, tone in counts)
    return Markup("".join(badge(plural(n, *words), tone=tone if n else "calm") for n, words, tone in forms))


def bar(share: float) -> Markup:
    """Render a share as a bar; below 0 it is empty, above 1 it is full."""
    return Markup(f'<span class="bar"><i style="width:{max(0.0, min(1.0, share)):.1%}"></i></span>')


def lines(texts: Iterable[object]) -> Markup:
    """Render the first text and, below it and softer, the others."""
    rows = (escape(text, limit=60) for text in texts)
    return Markup("".join(f'<span class="row{" soft" if n else ""}">{row}</span>' for n, row in enumerate(rows)))


def tally(shares: Iterable[tuple[str, float]], rest: Iterable[tuple[str, float]] = ()) -> Markup:
    """Render texts, each with its share between 0 and 1 as a bar and as a percentage; those of `rest` are softer."""
    rows = [
        f"<bdi{soft}>{escape(text, limit=32)}</bdi>{bar(share)}<span class=num>{percent(share)}</span>"
        for soft, part in (("", shares), (" class=soft", rest))
        for text, share in part
    ]
    return Markup(f'<div class="tally">{"".join(rows)}</div>')


def timeline(counts: Sequence[tuple[str, int]]) -> Markup:
    """Render counts by period as upright bars; the first and the last period are named below."""
    most = max((n for _, n in counts), default=1) or 1
    wide = f"max-width:{max(18 * len(counts), 160)}px"
    bars = "".join(
        f'<i style="height:{max(n / most * 100, 2 if n else 0):.0f}%" title="{escape(period)}: {n:,}"></i>'
        for period, n in counts
    )
    named = dict.fromkeys(period for period, _ in (*counts[:1], *counts[-1:]))
    ends = "".join(f"<span>{escape(period)}</span>" for period in named)
    return Markup(f'<div class="over" style="{wide}">{bars}</div><div class="ends" style="{wide}">{ends}</div>')


def details(summary: object, *parts: object) -> Markup:
    """Render parts that the reader can unfold below their summary."""
    return Markup(f"<details><summary>{escape(summary)}</summary>{''.join(escape(p) for p in parts)}</details>")


def percent(share: float) -> str:
    """Return a share between 0 and 1 as a percentage; only 0 is shown as 0 %, and only 1 as 100 %.

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
    text = " ".join(escape(p, limit=MAX_PARAGRAPH) for p in parts)
    return Markup(f"<p{' class=soft' if soft else ''}>{text}</p>")


def alerts(texts: Iterable[str]) -> Markup:
    """Render warnings, line by line."""
    parts = ((badge("warning", tone="warn"), *text.splitlines()) for text in texts)
    return Markup("".join(paragraph(label, first) + "".join(map(paragraph, rest)) for label, first, *rest in parts))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, more: int = 0) -> Markup:
    """Render rows as a table; `more` is the number of rows that are not shown."""
    rows = list(rows)
    body = "".join("<tr>" + "".join(_cell(v) for v in row) + "</tr>" for row in rows)
    numeric = [all(_is_number(v) for v in cells) for cells in zip(*rows, strict=True)] or [False] * len(columns)
    head = "".join(
        f"<th{' class=num' if right else ''}>{escape(c, limit=MAX_CELL)}</th>"
        for c, right in zip(columns, numeric, strict=True)
    )
    rest = paragraph(f"and {more:,} more", soft=True) if more else ""
    return Markup(f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{rest}')


def frame_table(
    frame: pd.DataFrame,
    *,
    index: str | None = None,
    limit: int = MAX_ROWS,
    show: Mapping[str, Callable[[Any], object]] | None = None,
) -> Markup:
    """Render the first rows and columns of a frame; its index comes first where `index` gives it a name.

    The cells of a column in `show` go through its function first.
    """
    shown = frame.iloc[:limit, :MAX_COLUMNS]
    for name, function in (show or {}).items():
        if name in shown:
            cells = pd.Series(map(function, shown[name]), index=shown.index, dtype=object)
            shown = shown.assign(**{name: cells})
    columns = [str(c) for c in shown.columns]
    rows: list[tuple[object, ...]] = list(shown.itertuples(index=index is not None, name=None))
    rest = frame.shape[1] - shown.shape[1]
    note = paragraph(f"and {plural(rest, 'more column')}", soft=True) if rest else ""
    return Markup(table([index, *columns] if index else columns, rows, more=len(frame) - len(shown)) + note)


def timestamp(value: pd.Timestamp | None) -> str:
    """Return a time as text in UTC, without the fraction if it is zero; an empty text for null.

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
    """Return a count with its noun; give `words`, the plural, where the last word does not form a regular one.

    Examples
    --------
    >>> plural(1, "row"), plural(2000, "row"), plural(1, "push"), plural(0, "push"), plural(2, "retry")
    ('1 row', '2,000 rows', '1 push', '0 pushes', '2 retries')
    >>> plural(1, "row waits", "rows wait"), plural(2, "row waits", "rows wait")
    ('1 row waits', '2 rows wait')
    """
    if not words:
        stem = re.sub("(?<=[^aeiou])y$", "ie", word)
        words = stem + ("es" if stem.endswith(("s", "x", "z", "ch", "sh")) else "s")
    return f"{n:,} {word if n == 1 else words}"


def page(title: str, body: str) -> str:
    """Return a fragment as a page of its own."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width">{STYLE}'
        "<style>body{color-scheme:light dark;margin:24px;background:light-dark(#fff,#0d1117)}</style></head>"
        f"<body>{_ROOT}{body}</div></body></html>"
    )


def is_null(value: object) -> bool:
    """Return whether a cell is null; a cell that holds a list is one cell, and is not null."""
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and value != value)


class ShownFrame(pd.DataFrame):
    """A frame that shows itself as results do; what is derived from it, such as its head, does so too."""

    @property
    def _constructor(self) -> Callable[..., ShownFrame]:
        return ShownFrame

    def __repr__(self) -> str:
        return printable(super().__repr__(), keep="\n")

    def _repr_html_(self) -> str:
        index = None if isinstance(self.index, pd.RangeIndex) else str(self.index.name or "index")
        return f"{STYLE}{_ROOT}{frame_table(self, index=index, limit=pd.options.display.max_rows or len(self))}</div>"


class Result(ABC):
    """What every result offers: one line, an HTML fragment, a frame, a dictionary, a page."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, pd.DataFrame):
                object.__setattr__(self, name, ShownFrame(value))

    @abstractmethod
    def summary(self) -> str:
        """Return the result in one line, with its counts."""

    @abstractmethod
    def body(self) -> str:
        """Return the result as an HTML fragment."""

    @abstractmethod
    def to_frame(self) -> pd.DataFrame:
        """Return the result's rows as a frame."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return the result's counts and facts, ready for JSON."""

    def to_html(self, path: str | Path) -> Path:
        """Write the result as a page that needs no other file, readable by its user only (0600); returns its path.

        Raises
        ------
        InputError
            If the file cannot be written; an earlier file of that name is then unharmed.
        """
        target, body = Path(path), self.body()
        headings = [*re.findall("<h3>(.*?)</h3>", body, re.DOTALL), type(self).__name__]
        title = f"{html.unescape(headings[0])} · {datetime.now():%Y-%m-%d %H:%M}"
        with replacing(target) as part:
            part.write_text(page(title, body), encoding="utf-8")
        return target

    def __repr__(self) -> str:
        return printable(f"<{type(self).__name__}: {self.summary()}>")

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:  # noqa: ARG002 - IPython's signature
        return {"text/plain": repr(self), "text/html": f"{STYLE}{_ROOT}{self.body()}</div>"}


def _cell(value: object) -> str:
    if is_null(value):
        return '<td class="none">null</td>'
    if isinstance(value, pd.Timestamp):
        return f'<td class="line">{escape(timestamp(value))}</td>'
    if _is_number(value):
        return f'<td class="num">{value:,}</td>'
    if isinstance(value, Markup):
        return f'<td class="line">{value}</td>'
    text = visible(str(value))
    size = "long" if len(text) > 32 else "line" if len(text) <= 24 else ""
    return f'<td class="{size}">{escape(text, limit=MAX_CELL)}</td>'


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not is_null(value)

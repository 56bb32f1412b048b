"""The pieces of a page, each drawn from plain data and escaped: headline, section, card, meter, code.

A colour never stands alone: a symbol and a number or a word are beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from toolkit.display.texts import Markup, breakable, escape, is_null, percent, visible

Tone = Literal["good", "bad", "warn", "unknown", "changed", "calm"]
SYMBOLS: dict[Tone, str] = {"good": "✓", "bad": "✕", "warn": "!", "unknown": "?", "changed": "~", "calm": "="}

MAX_HEADING = 200
MAX_PARAGRAPH = 1_500
MAX_CHANGE = 120
_PIECES = re.compile(r"(?<!\d)0+(?=\d)|\d+|[^\W\d_]+|\s+|.", re.DOTALL)
_WORDS = re.compile(r"\w+|\s+|.", re.DOTALL)
_PERIOD = re.compile(r"(\d{4}(?:-\d\d)?)[- ](\d\d|Q\d|\d\d …)")
EMPTY = Markup("<span class=nil>empty</span>")
"""Stands for a cell that is null."""


@dataclass(frozen=True)
class Part:
    """A part of a whole, in a headline or a small bar.

    Attributes
    ----------
    n
        How many; a part of zero is not shown.
    words
        What they are: ``accepted``.
    tone
        What it means.
    note
        A line below, soft.
    sign
        The symbol; by default that of the tone.
    warned
        Draw it as good with a warning: these rows can be sent.
    """

    n: int
    words: str
    tone: Tone
    note: str = ""
    sign: str = ""
    warned: bool = False


def joined(*parts: object) -> Markup:
    """Return parts one after the other, escaped unless they are `Markup`."""
    return Markup("".join(escape(part) for part in parts))


def figures(parts: Iterable[Part]) -> str:
    """Return parts in words; those of zero are left out.

    Examples
    --------
    >>> figures([Part(1_200, "accepted", "good"), Part(0, "refused", "bad"), Part(3, "unsent", "calm")])
    '1,200 accepted, 3 unsent'
    """
    return ", ".join(f"{part.n:,} {part.words}" for part in parts if part.n)


def symbol(tone: Tone, sign: str = "") -> Markup:
    """Render the symbol of a tone, which a screen reader skips: the words beside it say it."""
    return Markup(f'<span class="sy {tone}" aria-hidden=true>{escape(sign or SYMBOLS[tone])}</span>')


def badge(text: object, *, tone: Tone = "calm") -> Markup:
    """Render a small label."""
    return Markup(f'<span class="tag {tone}">{escape(text)}</span>')


def stack(parts: Iterable[Part], *, small: bool = False) -> Markup:
    """Render parts as one bar, each as wide as its share of them all.

    Examples
    --------
    >>> stack([Part(3, "good", "good"), Part(0, "bad", "bad")], small=True)
    '<div class="bar small" role=img aria-label="3 good"><i class="good" style="flex:3 0 0"></i></div>'
    """
    shown = [part for part in parts if part.n]
    said = escape(figures(shown) or "none")
    drawn = (f'<i class="{"good warn" if p.warned else p.tone}" style="flex:{p.n} 0 0"></i>' for p in shown)
    return Markup(f'<div class="bar{" small" if small else ""}" role=img aria-label="{said}">{"".join(drawn)}</div>')


def key(parts: Iterable[Part]) -> Markup:
    """Render the figures of parts, each with its symbol, its words and its note."""
    items = (
        f'<li class="{p.tone}"><b>{p.n:,}</b> <span>{symbol(p.tone, p.sign)} <bdi>{escape(p.words)}</bdi></span>'
        f"{f' <small>{escape(p.note)}</small>' if p.note else ''}</li>"
        for p in parts
        if p.n
    )
    return Markup(f"<ul class=key>{''.join(items)}</ul>")


def headline(name: object, verdict: object, *lead: object, parts: Sequence[Part] = ()) -> Markup:
    """Render the head of a result: its name, the verdict in one sentence, what to know first, and a picture.

    Parameters
    ----------
    name
        What this is, small: ``Validation of crm.csv``. It is the title of the exported page.
    verdict
        What matters most; it gets a full stop.
    lead
        Sentences below it, each a paragraph; an empty one is left out.
    parts
        What the whole consists of, drawn as one bar with its figures.
    """
    picture = stack(parts) + key(parts) if any(part.n for part in parts) else ""
    return Markup(
        f"<div class=head><h3 class=kick>{escape(name, limit=MAX_HEADING)}</h3>"
        f"<h4 class=verdict>{escape(verdict, limit=MAX_PARAGRAPH).rstrip('.')}.</h4>"
        f"{''.join(paragraph(text) for text in lead if text)}{picture}</div>"
    )


def section(title: object, *parts: object, note: object = "") -> Markup:
    """Render a part of the page with its title, and a soft note beside it."""
    beside = f" <small>{escape(note)}</small>" if note else ""
    head = f"<h5 class=title>{escape(title, limit=MAX_HEADING)}{beside}</h5>"
    return Markup(f"<section>{head}{joined(*parts)}</section>")


def fold(summary: object, *parts: object, tone: Tone | None = None, is_open: bool = False) -> Markup:
    """Render parts that the reader can unfold below their summary, or fold if they are open."""
    sign = symbol(tone) + " " if tone else ""
    return Markup(
        f"<details class=fold{' open' * is_open}><summary>{sign}{escape(summary)}</summary>{joined(*parts)}</details>"
    )


def paragraph(*parts: object, soft: bool = False) -> Markup:
    """Render one paragraph; the parts are joined by a space."""
    text = " ".join(escape(p, limit=MAX_PARAGRAPH) for p in parts)
    return Markup(f"<p{' class=soft' if soft else ''}>{text}</p>")


def notes(texts: Iterable[str], *, tone: Tone = "warn") -> Markup:
    """Render texts that must be seen, each in a box, line by line."""
    boxes = ("".join(map(paragraph, text.splitlines())) for text in texts)
    return Markup("".join(f'<div class="note {tone}">{box}</div>' for box in boxes))


def code(*lines: str) -> Markup:
    """Render lines of code that the reader can copy, each by itself."""
    return Markup("".join(f"<div class=cmd><code>{escape(line)}</code></div>" for line in lines))


def card(title: object, *parts: object, tone: Tone | None = None, sign: str = "", pick: Sequence[str] = ()) -> Markup:
    """Render a box: its title, then its parts; `tone` colours its edge and puts the symbol before the title.

    `pick` makes the whole box a button that filters the grids by a facet: its key and its value.
    """
    edged, sign = (f" edged {tone}", symbol(tone, sign) + " ") if tone else ("", "")
    chosen = f' data-pick="{_pair(*pick)}"' if pick else ""
    return Markup(f'<div class="card{edged}"{chosen}><b>{sign}{breakable(title)}</b>{joined(*parts)}</div>')


def cards(boxes: Iterable[Markup], *, tiles: bool = False, wide: bool = False, find: str = "") -> Markup:
    """Render boxes side by side, as many as fit; tiles are small ones, and wide ones have room for a line of code.

    With `find`, what they are, they can be searched.
    """
    grid = "align-items:start;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr))"
    room = f' style="{grid}"' if wide else ""
    items = "".join(f"<li>{box}</li>" for box in boxes)
    room += f' data-find="{escape(find)}"' if find else ""
    return Markup(f'<ul class="cards{" tiles" if tiles else ""}"{room}>{items}</ul>')


def pick(text: object, facet: str, value: str) -> Markup:
    """Render a text that filters the grids by a facet when it is clicked; without the script it is plain text."""
    return Markup(f'<span class=link data-pick="{_pair(facet, value)}">{escape(text)}</span>')


def gauge(share: float, limit: float, *, tone: Tone) -> Markup:
    """Render a share, 0 to 1, beside the limit that it passed, which is marked in the bar."""
    scale = min(1.0, 1.5 * max(share, limit)) or 1.0
    at = f"position:absolute;top:0;left:{limit / scale:.1%};width:2px;min-width:0;background:var(--ink)"
    bars = f'<i style="width:{share / scale:.1%}"></i><i style="{at}"></i>'
    said = f"<span>{percent(share)}, limit {limit:.0%}</span>"
    return Markup(f'<p class="meter {tone}"><u style="max-width:320px;position:relative">{bars}</u>{said}</p>')


def meter(share: float, text: object = None, *, tone: Tone | None = None) -> Markup:
    """Render a share as a small bar with a text, by default its percentage; below 0 it is empty, above 1 full."""
    width = max(0.0, min(1.0, share))
    filled = f'<i style="width:{width:.1%}"></i>' if width else ""
    beside = escape(percent(share) if text is None else text)
    return Markup(f'<span class="meter {tone or ""}"><u>{filled}</u> <span class=n>{beside}</span></span>')


def tally(shares: Iterable[tuple[object, float]]) -> Markup:
    """Render texts, each with its share between 0 and 1 as a bar and as a percentage."""
    items = (f"<li><bdi>{escape(text, limit=48)}</bdi> {meter(share)}</li>" for text, share in shares)
    return Markup(f"<ul class=tally>{''.join(items)}</ul>")


def timeline(counts: Sequence[tuple[str, int]], *, filled: Sequence[float] = ()) -> Markup:
    """Render counts by period as upright bars, with their numbers if they are few.

    Below is the last part of each period's name, or of as many as fit, and once what is before it: months and years.

    Of each bar the share that `filled` gives is full, and the rest is pale; by default all of it is full.
    """
    most = max((n for _, n in counts), default=1) or 1
    wide, few = f"max-width:{max(56 * len(counts), 160)}px", len(counts) <= 16
    texts = [f"{period}: {n:,}" for period, n in counts]
    texts = [f"{text}, {percent(share)}" for text, share in zip(texts, filled, strict=True)] if filled else texts
    said, bars, named, ends, last = escape(", ".join(texts)), [], [], "", -len(counts)
    for at, (period, n) in enumerate(counts):
        number = f' data-n="{n:,}"' if few else ""
        high = f"{max(n / most * 100, 2 if n else 0):.0f}%" + (f";--p:{filled[at]:.0%}" if filled else "")
        bars.append(f'<i style="height:{high}" title="{escape(texts[at])}"{number}></i>')
        parts = _PERIOD.fullmatch(period)
        whole, end = parts.groups() if parts else (period.split()[0], "")
        if whole in named or (at - last) * 9 < len(counts):
            whole = ""
        last = at if whole else last
        named.append(whole)
        ends += f"<span>{escape(end) if at % (len(counts) // 17 + 1) == 0 else ''}<br>{escape(whole)}</span>"
    return Markup(
        f'<div class="over" style="{wide}" role=img aria-label="{said}">{"".join(bars)}<s>{said}</s></div>'
        f'<div class="ends" style="{wide}" aria-hidden=true>{ends}</div>'
    )


def marked_change(before: object, after: object) -> tuple[Markup, Markup]:
    """Render a cell before and after a change, with what was removed and what was added marked.

    Texts of several words are compared word by word, codes part by part. Of long texts the part around the first
    difference is shown.

    Examples
    --------
    >>> marked_change("Dünenhof B.V.", "Neue Dünenhof B.V.")
    ('Dünenhof B.V.', '<ins>Neue </ins>Dünenhof B.V.')
    >>> marked_change("0001114", "1114")
    ('<del>000</del>1114', '1114')
    """
    a, b, changes = _compared(before, after)
    gone = _marked("del", ((a[i:j], kind) for kind, i, j, *_ in changes))
    come = _marked("ins", ((b[i:j], kind) for kind, *_, i, j in changes))
    return gone or EMPTY, come or EMPTY


def change_within(before: object, after: object) -> Markup:
    """Render a change as one text: what was removed, and beside it what was added.

    Examples
    --------
    >>> change_within("PL-STD-001", "PL-KEY-001")
    'PL-<del>STD</del><ins>KEY</ins>-001'
    """
    a, b, changes = _compared(before, after)
    both = (_marked("del", [(a[i:j], kind)]) + _marked("ins", [(b[k:n], kind)] * (kind != "equal"))
            for kind, i, j, k, n in changes)  # fmt: skip
    return joined(*map(Markup, both), Markup("") if b else EMPTY)


def _compared(before: object, after: object) -> tuple[list[str], list[str], list[tuple[str, int, int, int, int]]]:
    """Return the words, or the parts, of two cells, and how the first become the second."""
    old, new = ("" if is_null(cell) else visible(str(cell)) for cell in (before, after))
    start = 0
    if max(len(old), len(new)) > MAX_CHANGE:
        differ = (n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b)
        start = max(0, next(differ, min(len(old), len(new))) - 30)
    old, new = (f"{'…' * (start > 0)}{t[start:][:MAX_CHANGE]}{'…' * (len(t) > start + MAX_CHANGE)}" for t in (old, new))
    split = (_WORDS if " " in old + new else _PIECES).findall
    a, b = split(old), split(new)
    return a, b, list(SequenceMatcher(None, a, b, autojunk=False).get_opcodes())


def _marked(tag: str, parts: Iterable[tuple[list[str], str]]) -> Markup:
    texts = ((escape("".join(words)), kind == "equal") for words, kind in parts if words)
    return Markup("".join(text if same else f"<{tag}>{text}</{tag}>" for text, same in texts))


def _pair(facet: str, value: str) -> str:
    return f"{facet}\n{escape(' '.join(value.split()))}"

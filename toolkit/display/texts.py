"""How values are said: escaped for HTML, counted with their noun, as a percentage, as a time."""

from __future__ import annotations

import html
import re

import pandas as pd

from toolkit.characters import printable


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
    text = str(value) if limit is None else shortened(str(value), limit)
    return Markup(html.escape(printable(text, keep="\n\t")))


def shortened(text: str, limit: int) -> str:
    """Return a text of at most `limit` characters: a longer one is cut, and ends in an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def breakable(value: object, *, limit: int | None = None) -> Markup:
    """Return `escape(value)`, which may wrap after each underscore if it is a text, such as the name of a column."""
    return value if isinstance(value, Markup) else Markup(escape(value, limit=limit).replace("_", "_<wbr>"))


def visible(cell: str) -> str:
    r"""Return a cell's text with what is easily overlooked: outer and doubled spaces, and control characters.

    Examples
    --------
    >>> print(visible("  Müller  & Co "), visible("Acme\u200b\n"))
    ··Müller··& Co· Acme\u200b\n
    """
    return printable(re.sub(r"^ +| +$| {2,}", lambda found: "·" * len(found[0]), cell))


def plural(n: int, word: str, words: str = "") -> str:
    """Return a count with its noun; give `words`, the plural, where the last word does not form a regular one.

    Examples
    --------
    >>> plural(1, "row"), plural(2000, "row"), plural(1, "push"), plural(0, "push"), plural(2, "retry")
    ('1 row', '2,000 rows', '1 push', '0 pushes', '2 retries')
    >>> plural(1, "row waits", "rows wait"), plural(2, "row waits", "rows wait")
    ('1 row waits', '2 rows wait')
    """
    return f"{n:,} {noun(n, word, words)}"


def noun(n: int, word: str, words: str = "") -> str:
    """Return the noun of `plural`, for a count that stands elsewhere.

    Examples
    --------
    >>> noun(1, "row"), noun(2, "row")
    ('row', 'rows')
    """
    if n == 1 or words:
        return word if n == 1 else words
    stem = re.sub("(?<=[^aeiou])y$", "ie", word)
    return stem + ("es" if stem.endswith(("s", "x", "z", "ch", "sh")) else "s")


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


def is_null(value: object) -> bool:
    """Return whether a cell is null; a cell that holds a list is one cell, and is not null."""
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and value != value)

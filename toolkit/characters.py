"""Text without the characters that move, hide or overwrite the text around them."""

from __future__ import annotations

import json


def printable(text: str, *, keep: str = "") -> str:
    r"""Return a text with the code of each character that is not printable, other than those in `keep`.

    Control characters would run on a terminal and start lines that nobody wrote; direction marks turn text around. The
    codes are those of JSON, so a JSON document stays the same document.

    Examples
    --------
    >>> print(printable("fdp.\u202ecsv\x1b[2J\nError: none"))
    fdp.\u202ecsv\u001b[2J\nError: none
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else json.dumps(c)[1:-1] for c in text)

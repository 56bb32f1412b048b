r"""Python's regular expressions in the words of RE2, which SQL engines speak: the same matches, or a refusal.

Python's ``\d``, ``\w`` and ``\s`` know all of Unicode and RE2's only ASCII, so each becomes the list of its
characters; ``$`` lets a last newline pass. Whether a text matches does not hang on greed, so lazy repeats are as good
as others.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from functools import cache
from re import _constants, _parser  # type: ignore[attr-defined]  # Python's own parser, which pandas reads too
from typing import Any

_SETS: dict[Any, tuple[Callable[[str], bool], bool]] = {
    _constants.CATEGORY_DIGIT: (str.isdecimal, False),
    _constants.CATEGORY_NOT_DIGIT: (str.isdecimal, True),
    _constants.CATEGORY_SPACE: (str.isspace, False),
    _constants.CATEGORY_NOT_SPACE: (str.isspace, True),
    _constants.CATEGORY_WORD: (lambda c: c.isalnum() or c == "_", False),
    _constants.CATEGORY_NOT_WORD: (lambda c: c.isalnum() or c == "_", True),
}


def to_re2(pattern: str | re.Pattern[str]) -> str:
    r"""Return a pattern of Python's as one of RE2's, in a group of its own.

    Raises
    ------
    ValueError
        If it takes what RE2 has not: look-arounds, back-references, word boundaries, flags.

    Examples
    --------
    >>> to_re2("C[0-9]{5}$")
    '(?:C(?:[0-9]){5,5}(?:\\n?\\z))'
    """
    text, flags = (pattern, 0) if isinstance(pattern, str) else (pattern.pattern, pattern.flags)
    tree = _parser.parse(text, flags)
    if (tree.state.flags & ~(re.VERBOSE | re.UNICODE)) != 0:
        raise ValueError("has flags, which SQL does not know: write the letters out, as [Aa]")
    return _sequence(tree, last=True)


def _sequence(tree: Iterable[Any], *, last: bool) -> str:
    items = list(tree)
    said = (_item(op, value, last=last and i == len(items) - 1) for i, (op, value) in enumerate(items))
    return f"(?:{''.join(said)})"


def _item(op: Any, value: Any, *, last: bool) -> str:
    match str(op):
        case "LITERAL":
            return _letter(value)
        case "NOT_LITERAL":
            return f"[^{_letter(value)}]"
        case "ANY":
            return r"[^\n]"
        case "IN":
            return _set(value)
        case "BRANCH":
            return f"(?:{'|'.join(_sequence(branch, last=last) for branch in value[1])})"
        case "SUBPATTERN" if not value[1] and not value[2]:
            return _sequence(value[3], last=last)
        case "MAX_REPEAT" | "MIN_REPEAT":
            least, most, what = value
            upper = "" if most is _constants.MAXREPEAT else most
            return f"{_sequence(what, last=False)}{{{least},{upper}}}"
        case "AT":
            return _place(value, last=last)
    raise ValueError("looks around, refers back or has other means that SQL does not know")


def _place(value: Any, *, last: bool) -> str:
    match str(value):
        case "AT_BEGINNING" | "AT_BEGINNING_STRING":
            return r"\A"
        case "AT_END_STRING":
            return r"\z"
        case "AT_END" if last:
            return r"(?:\n?\z)"
        case "AT_END":
            raise ValueError("goes on after a $, which SQL does not know")
    raise ValueError(r"asks for the boundary of a word (\b), which SQL does not know")


def _set(members: Iterable[Any]) -> str:
    inside, negated = [], ""
    for op, value in members:
        match str(op):
            case "NEGATE":
                negated = "^"
            case "LITERAL":
                inside.append(_letter(value))
            case "RANGE":
                inside.append(f"{_letter(value[0])}-{_letter(value[1])}")
            case _:
                inside.append(_ranges(*_SETS[value]))
    return f"[{negated}{''.join(inside)}]"


def _letter(code: int) -> str:
    return chr(code) if chr(code).isascii() and chr(code).isalnum() else f"\\x{{{code:x}}}"


@cache
def _ranges(holds: Callable[[str], bool], negated: bool) -> str:
    """List the characters of a set, surrogates left out: no text holds one."""
    codes = [c for c in range(sys.maxunicode + 1) if not 0xD800 <= c < 0xE000 and holds(chr(c)) != negated]
    starts = [c for before, c in zip([-2, *codes], codes, strict=False) if c != before + 1]
    ends = [c for c, after in zip(codes, [*codes[1:], -2], strict=True) if after != c + 1]
    return "".join(f"{_letter(a)}-{_letter(b)}" for a, b in zip(starts, ends, strict=True))

"""In which encoding bytes read as words: a single-byte encoding has no other sign.

Nearly every byte means something in each encoding, so a wrong one is no error, but it puts letters together that no
language does: cp1250's ``Dvořák`` is ``Dvoøák`` in cp1252, and ø and á have no language in common. A word reads if one
of the encoding's languages has its letters beyond ASCII beside their neighbours (``letters.toml``), and if no capital
stands inside it; in an East Asian encoding, if most of its characters are common ones.
"""

from __future__ import annotations

import codecs
import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from toolkit.lazy import Library

if TYPE_CHECKING:
    import charset_normalizer
else:
    charset_normalizer = Library("charset_normalizer")

Neighbours = dict[str, tuple[str, str]]
"""A language's letters beyond ASCII, each with those before and those after it."""

_COMMON = {
    "cp949": rb"[\xb0-\xc8][\xa1-\xfe]",
    "cp932": rb"[\x81-\x83\x87-\x97].",
    "gbk": rb"[\xa1-\xa3\xb0-\xd7][\xa1-\xfe]",
    "cp950": rb"[\xa1-\xc6].",
}
"""East Asian encodings, and the bytes of their common characters."""
_WORD = re.compile(r"[A-Za-z\x80-\U0010ffff]+")
_BETWEEN = re.compile(r"[\xa0«»“”„‚‘’‹›–—…•·®©™]+")
_AT_END = "°²³´€§ªº"
_CONTROLS = re.compile("[\x80-\x9f]")
_ONE_IN = 4
"""One word in so many may be unreadable in a proposal, and of those that are unreadable as assumed."""


def better_encodings(sample: bytes, assumed: str) -> list[str]:
    r"""Return the encodings in which a sample reads as words, the likeliest first; none if it does as assumed.

    Examples
    --------
    >>> better_encodings("Łódź Świat\nDvořák a syn".encode("cp1250"), "cp1252")
    ['cp1250']
    >>> better_encodings("Müller & Søn\nGarçon".encode("cp1252"), "cp1252")
    []
    """
    against = unread_words(sample.decode(assumed, "replace"), assumed)
    if len(against) < 2 and sum(not c.isascii() for word in against for c in word) < 4:  # perhaps one misspelled word
        return []
    found: dict[str, tuple[int, str]] = {}  # of two that give one text, the first
    for encoding in (*_languages(), *_COMMON):
        try:
            text = sample.decode(encoding, "replace" if encoding == "utf-8" else "strict")
        except UnicodeDecodeError:
            continue
        words, unread = _words(text), unread_words(text, encoding)
        if against - words and _ONE_IN * len(unread) <= min(len(words), len(against)) and not _CONTROLS.search(text):
            found.setdefault(text, (len(unread), encoding))
    best = [encoding for n_unread, encoding in found.values() if n_unread == min(found.values())[0]]
    return _ranked(sample, best) if len(best) > 1 else best


def unread_words(text: str, encoding: str) -> set[str]:
    """Return the words with letters beyond ASCII that no language of the encoding has."""
    return {word for word in _words(text) if not _reads(word, encoding)}


def _words(text: str) -> set[str]:
    parts = (part.rstrip(_AT_END) for word in _WORD.findall(text) for part in _BETWEEN.split(word))
    return {part for part in parts if not part.isascii()}


def _reads(word: str, encoding: str) -> bool:
    if encoding in _COMMON:
        characters = [c.encode(encoding, "replace") for c in word if not c.isascii()]
        n_common = sum(bool(re.fullmatch(_COMMON[encoding], c, re.DOTALL)) for c in characters)
        return _ONE_IN * (len(characters) - n_common) <= len(characters) and not re.search("[a-z]", word)
    spelled = f"_{word}_"
    for before, letter, after in zip(spelled, spelled[1:], spelled[2:], strict=False):
        if letter > "\x7f" and letter.isupper() and (before.islower() or (before != "_" and after.islower())):
            return False
    spelled = spelled.lower().replace("\u0307", "")  # the dot of İ
    around = [three for three in zip(spelled, spelled[1:], spelled[2:], strict=False) if three[1] > "\x7f"]
    return any(
        all(letter in known and a in known[letter][0] and b in known[letter][1] for a, letter, b in around)
        for known in _languages()[encoding]
    )


@cache
def _languages() -> dict[str, list[Neighbours]]:
    """Return the encodings that may be assumed or proposed, each with its languages."""
    data = tomllib.loads(files(__package__).joinpath("letters.toml").read_text(encoding="utf-8"))
    lines = {name: [line.split() for line in text.splitlines()] for name, text in data["letters"].items()}
    known = {name: {letter: (before, after) for letter, before, after in rows} for name, rows in lines.items()}
    return {encoding: [known[name] for name in names.split()] for encoding, names in data["encodings"].items()}


def _ranked(sample: bytes, encodings: list[str]) -> list[str]:
    matches = charset_normalizer.from_bytes(sample, cp_isolation=encodings, threshold=1.0, enable_fallback=False)
    order = [codecs.lookup(match.encoding).name for match in matches]
    place = {name: at for at, name in enumerate(order)}
    return sorted(encodings, key=lambda encoding: place.get(codecs.lookup(encoding).name, len(order)))

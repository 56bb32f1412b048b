"""The bytes of a text file: unpacked if they are packed, their encoding, and what to do if it is not text.

A byte order mark decides the encoding. Without one, UTF-16 shows by its NULs, and otherwise every byte is tried as
UTF-8, whose form hardly another text has. What is not UTF-8 is assumed to be cp1252. Any other encoding has to be
stated in the mapping; where the letters speak for one, a warning proposes it.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from toolkit.display import shortened
from toolkit.errors import ReadingError
from toolkit.reading.letters import better_encodings, unread_words
from toolkit.reading.text_table import opened

GZIP = b"\x1f\x8b"
BLOCK = 1 << 20
SAMPLE_BYTES = 1 << 16
HIGH_BYTES = 1 << 15
"""How much of the lines with bytes beyond ASCII is looked at for words."""
ASSUMED = "cp1252"

_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_NAMES = {"utf-8": "UTF-8", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "mac_roman": "Mac Roman"}
_NAMES |= {"cp932": "cp932 (Shift-JIS)", "cp949": "cp949 (EUC-KR)", "cp950": "cp950 (Big5)"}
_SHOWN, _LONGEST = 3, 60


@dataclass(frozen=True)
class Encoding:
    """The encoding of a text file.

    Attributes
    ----------
    name
        The codec's name; a byte order mark is not part of the text that `text_of` gives.
    digest
        SHA-256 of the bytes, unpacked.
    note
        The encoding and how it is known, in words.
    warnings
        The encoding in which the letters read as words, if they do not in the one that was assumed: what to state, and
        a few cells both ways.
    """

    name: str
    digest: str
    note: str
    warnings: tuple[str, ...] = ()


def read_encoding(path: Path, stated: str | None = None) -> Encoding:
    """Return a text file's encoding, tried on every byte, and its digest.

    Raises
    ------
    ReadingError
        If the file is not text, or cannot be decoded; the message names the byte and the line.
    """
    failures: list[str] = []
    with opened(path):
        with unpacked(path) as file:
            sample = file.read(SAMPLE_BYTES)
        if not sample:
            raise ReadingError(f"{path.name} is empty: ask for the file again, or check the export.")
        candidates = _candidates(sample, stated, path)
        for name, how in candidates:
            failed_at, digest = _decoded(path, name)
            shown = _NAMES.get(name, name)
            if failed_at is None:
                note = ", ".join([shown, how, *(f"not {place}" for place in failures)])
                return Encoding(name, digest, note, _doubts(path) if how == "assumed" else ())
            failures.append(f"{shown} at byte {failed_at:,}, line {_line(path, failed_at):,}")
    advice = 'Ask how the file was written, and state it in the mapping: encoding in [format], such as "cp850".'
    if len(candidates) > 1 and (better := better_encodings(_high_lines(path), ASSUMED)):
        advice = f"But {_proposal(better)}"
    raise ReadingError(f"{path.name} cannot be decoded: it is not {', and not '.join(failures)}. {advice}")


def _candidates(sample: bytes, stated: str | None, path: Path) -> list[tuple[str, str]]:
    """Return the encodings to try, in order, each with how it is known."""
    if stated is not None:
        return [(stated, "stated by the mapping")]
    for mark, name in _MARKS.items():
        if sample.startswith(mark):
            return [(name, "by its byte order mark")]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    for name, high, low in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        # Even in a script far from Latin, delimiters, digits and line ends have a NUL for their high byte.
        if high > len(sample) / 20 and high > 20 * low:
            return [(name, "detected")]
    if sample.count(0) > len(sample) / 20:
        raise ReadingError(
            f"{path.name} is not a text file but binary data: give it the ending of what it is, or ask for "
            "the table as .csv or .xlsx."
        )
    return [("utf-8", "detected"), (ASSUMED, "assumed")]


def _decoded(path: Path, name: str) -> tuple[int | None, str]:
    """Return the first byte that does not decode, None if all do, and then the digest: one look at the bytes."""
    decoder, digest = codecs.getincrementaldecoder(name)(), hashlib.sha256()
    at, block = 0, b"\0"
    with unpacked(path) as file:
        while block:
            block = file.read(BLOCK)
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(block, final=not block)
            except UnicodeError as error:
                return at - pending + getattr(error, "start", 0), ""
            digest.update(block)
            at += len(block)
    return None, digest.hexdigest()


def _line(path: Path, byte: int) -> int:
    with unpacked(path) as file:
        return file.read(byte).count(b"\n") + 1


def _high_lines(path: Path) -> bytes:
    """Return the first lines with bytes beyond ASCII."""
    lines, size = [], 0
    with unpacked(path) as file:
        while size < HIGH_BYTES and (line := file.readline(SAMPLE_BYTES)):
            if not line.isascii():
                lines.append(line)
                size += len(line)
    return b"".join(lines)


def _doubts(path: Path) -> tuple[str, ...]:
    """Return a warning that proposes the encoding in which the letters read as words; none if they do as assumed."""
    sample = _high_lines(path)
    if not (better := better_encodings(sample, ASSUMED)):
        return ()
    cells = dict.fromkeys(re.split(rb"[\r\n,;\t]", sample))
    doubted = [cell for cell in cells if unread_words(cell.decode(ASSUMED, "replace"), ASSUMED)][:_SHOWN]
    both_ways = [f"{_cut(cell, ASSUMED)} → {_cut(cell, better[0])}" for cell in doubted]
    return ("\n".join([f"{ASSUMED} is assumed, but {_proposal(better)}", *both_ways]),)


def _proposal(encodings: list[str]) -> str:
    shown = " or ".join(_NAMES.get(name, name) for name in encodings)
    return (
        f"the letters read as words in {shown}. If the names are right in it, write "
        f'encoding = "{encodings[0]}" in [format] of the mapping.'
    )


def _cut(cell: bytes, encoding: str) -> str:
    text = cell.decode(encoding, "replace").strip(' "')
    return shortened("".join(c if c.isprintable() else "·" for c in text), _LONGEST)


@contextmanager
def unpacked(path: Path) -> Iterator[BinaryIO]:
    """Open a file's bytes, unpacked if they are gzip's, whatever its name."""
    with path.open("rb") as file:
        packed = file.read(len(GZIP)) == GZIP
        file.seek(0)
        yield gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[misc]  # it reads as a binary file does


@contextmanager
def text_of(path: Path, encoding: str, *, newline: str = "") -> Iterator[io.TextIOWrapper]:
    """Open a file as text, unpacked, behind its byte order marks; its line ends stay as they are."""
    with unpacked(path) as file:
        text = io.TextIOWrapper(file, encoding=encoding, newline=newline)
        start = 0
        while text.read(1) == "\ufeff":  # files put together by hand may have two
            start = text.tell()
        text.seek(start)
        yield text

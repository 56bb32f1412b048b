"""A text file's encoding and delimiter: detected, tried on the whole file, and said in words."""

from __future__ import annotations

import codecs
import csv
import hashlib
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from toolkit.errors import ReadingError
from toolkit.sources import HEADER_SEARCH, OLE, ZIP, opened, text_of, unpacked

BLOCK = 1 << 20
SAMPLE_BYTES = 1 << 16
SAMPLE_LINES = 200
DELIMITERS = ",;\t|"

_SIGNATURES = {
    ZIP: "an Excel workbook or a .zip: give it the ending .xlsx, or unpack it",
    OLE: "an old or a password-protected Excel workbook: save it as .xlsx without a password",
    b"%PDF": "a PDF: ask for the table as .csv or .xlsx",
    b"PAR1": "a Parquet file: give it the ending .parquet",
    b"BZh": "a .bz2 file: unpack it",
    b"\x28\xb5\x2f\xfd": "a .zst file: unpack it",
    b"SQLite format 3\0": "a database: give a query over a connection to it",
}
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_CONTROL = bytes(b for b in range(32) if b not in b"\t\n\r\f\x1a")
_SPOKEN = {"utf-8": "UTF-8", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "utf-32-le": "UTF-32", "utf-32-be": "UTF-32"}


@dataclass(frozen=True)
class Encoding:
    """What the bytes of a text file tell.

    Attributes
    ----------
    name
        The codec's name; a byte order mark is still in the text.
    has_nul
        Whether the text holds a NUL anywhere.
    digest
        SHA-256 of the bytes, unpacked.
    note
        The encoding and how it is known, in words.
    """

    name: str
    has_nul: bool
    digest: str
    note: str


def read_encoding(path: Path, stated: str | None = None) -> Encoding:
    """Return a text file's encoding, tried on every byte, and its digest.

    A byte order mark decides; else the NULs of UTF-16; else strict UTF-8, then cp1252. A file that is what its
    first candidate says is read once.

    Raises
    ------
    ReadingError
        If the file is not text, or cannot be decoded; the message names the byte and the line.
    """
    digest = hashlib.sha256()
    failures: list[str] = []
    with opened(path):
        with unpacked(path) as file:
            sample = file.read(SAMPLE_BYTES)
        if not sample:
            raise ReadingError(f"{path.name} is empty: ask for the file again, or check the export.")
        candidates, why = _candidates(sample, stated, path)
        for name in candidates:
            failed_at, has_nul = _decode(path, name, None if failures else digest)
            spoken = _SPOKEN.get(name, name)
            if failed_at is None:
                note = ", ".join([spoken, why, *(f"not {place}" for place in failures)])
                return Encoding(name, has_nul, digest.hexdigest(), note)
            failures.append(f"{spoken} at byte {failed_at:,}, line {_line(path, name, failed_at):,}")
    raise ReadingError(
        f"{path.name} cannot be decoded: it is not {', and not '.join(failures)}. Ask how the file was written, and "
        'say it in the mapping: encoding in [format], as "cp850" or "latin-1".'
    )


def _candidates(sample: bytes, stated: str | None, path: Path) -> tuple[list[str], str]:
    for signature, what in _SIGNATURES.items():
        if sample.startswith(signature):
            raise ReadingError(f"{path.name} is not a text file, it looks like {what}.")
    if stated is not None:
        return [stated], "stated by the mapping"
    for mark, name in _MARKS.items():
        if sample.startswith(mark):
            return [name], "by its byte order mark"
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    for name, high, low in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        # Even in a script far from Latin, delimiters, digits and line ends have a NUL for their high byte.
        if high > len(sample) / 20 and high > 20 * low:
            return [name], "detected"
    if len(sample.translate(None, _CONTROL)) < 0.95 * len(sample) and not _is_utf8(sample):
        raise ReadingError(f"{path.name} is not a text file but binary data: ask for the table as .csv or .xlsx.")
    return ["utf-8", "cp1252"], "detected"


def _is_utf8(sample: bytes) -> bool:
    """Tell whether a sample is UTF-8 without a NUL: a small file may hold many control characters and be text."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)  # which may end within a character
    except UnicodeDecodeError:
        return False
    return 0 not in sample


def _decode(path: Path, name: str, digest: Any) -> tuple[int | None, bool]:
    """Return the first byte that does not decode, and whether the text before it holds a NUL."""
    decoder = codecs.getincrementaldecoder(name)()
    at, failed_at, has_nul = 0, None, False
    with unpacked(path) as file:
        while True:
            block = file.read(BLOCK)
            if digest is not None:
                digest.update(block)
            if failed_at is None:
                pending = len(decoder.getstate()[0])
                try:
                    has_nul |= "\0" in decoder.decode(block, final=not block)
                except UnicodeError as error:
                    failed_at = at - pending + getattr(error, "start", 0)
            at += len(block)
            if not block:
                return failed_at, has_nul


def _line(path: Path, name: str, byte: int) -> int:
    decoder = codecs.getincrementaldecoder(name)("replace")
    n_feeds = n_returns = 0
    with unpacked(path) as file:
        while byte > 0 and (block := file.read(min(byte, BLOCK))):
            byte -= len(block)
            text = decoder.decode(block)
            n_feeds, n_returns = n_feeds + text.count("\n"), n_returns + text.count("\r")
    return max(n_feeds, n_returns) + 1


def sample_lines(path: Path, encoding: str, header_row: int | None = None) -> list[str]:
    """Return a text file's first lines, long ones cut: enough to tell the delimiter and to find the header."""
    with opened(path), text_of(path, encoding) as file:
        lines = [_cut_line(file) for _ in range((header_row or HEADER_SEARCH) + SAMPLE_LINES)]
    if lines:
        lines[0] = lines[0].lstrip("\ufeff")
    return [line for line in lines if line]


def _cut_line(file: TextIO) -> str:
    line = rest = file.readline(SAMPLE_BYTES)
    while len(rest) == SAMPLE_BYTES and not rest.endswith(("\n", "\r")):
        rest = file.readline(SAMPLE_BYTES)
    return line


def read_delimiter(lines: Sequence[str], header_row: int | None = None) -> tuple[str, str]:
    """Return the delimiter that cuts the first records most evenly, and a note that says so.

    A table of one column has none: a comma is assumed.
    """
    scores = {d: _evenness(records(lines, d), header_row) for d in DELIMITERS}
    best = max(DELIMITERS, key=lambda d: scores[d])
    if scores[best][1] < 2:
        return ",", "delimiter , assumed: one column"
    return best, f"delimiter {spoken_delimiter(best)}, detected"


def spoken_delimiter(delimiter: str) -> str:
    """Name a delimiter so that it can be seen."""
    return "tab" if delimiter == "\t" else f"'{delimiter}'"


def records(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """Cut lines into records as far as that goes, a stray quote or not."""
    found: list[list[str]] = []
    with suppress(csv.Error):  # what came before it counts
        found.extend(csv.reader(lines, delimiter=delimiter))
    return found


def _evenness(found: Sequence[Sequence[str]], header_row: int | None) -> tuple[float, int]:
    """Return the share of records as wide as the header, and the header's width; nothing for one column."""
    widths = [len(record) for record in found]
    filled = [w for w in widths[(header_row or 1) - 1 :] if w]
    if header_row is None and filled:
        # Titles above the table are few, and the header is as wide as what is under it.
        width = Counter(filled).most_common(1)[0][0]
    else:
        width = widths[header_row - 1] if header_row and header_row <= len(widths) else 0
    return (filled.count(width) / len(filled), width) if width > 1 else (0.0, 0)

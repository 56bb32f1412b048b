"""Delimited text to a table of text: one strict parser, broken records set aside, bounded memory.

A record is what a spreadsheet shows as a row: a quoted cell may run over several lines. Blank lines, and records
whose cells are all empty, are counted and skipped.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.display import plural
from toolkit.errors import ReadingError
from toolkit.model import CUSTOMER
from toolkit.reading.text_table import (
    HEADER_SEARCH,
    OLE,
    ZIP,
    BrokenLine,
    Choose,
    Table,
    find_header,
    joined_tables,
    opened,
    require_header,
    text_of,
    unpacked,
)

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


WINDOW = 1 << 19
"""Characters that are parsed at once: small enough for the processor's cache, which is twice as fast."""
MAX_CELL = 10_000_000
"""The most characters in one cell; a quote that is not closed by then is taken for a stray one."""
MAX_RECORD = 4 * MAX_CELL
MAX_REREAD = 2_000_000
"""Lines that may be read again because a quote was not closed; after that, each line stands for itself."""

# The csv module's limit belongs to the process: it is raised, never lowered.
csv.field_size_limit(max(csv.field_size_limit(), MAX_CELL))


def read_csv(
    path: Path,
    choose: Choose,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    header_row: int | None = None,
    header: Sequence[str] | None = None,
) -> Table:
    """Read delimited text, packed by gzip or not; every cell is text. See `csv_tables` for the parameters."""
    parts = csv_tables(path, choose, encoding=encoding, delimiter=delimiter, header_row=header_row, header=header)
    return joined_tables(list(parts))


def csv_tables(
    path: Path,
    choose: Choose,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    header_row: int | None = None,
    header: Sequence[str] | None = None,
) -> Iterator[Table]:
    """Read delimited text some thousand records at a time, in bounded memory; the notes of the last are complete.

    A record is broken, and set aside, if it has more or fewer cells than the header, a NUL, or a quote that does
    not belong where it stands. Cells beyond the header are allowed while they are empty. A quote that is never
    closed sets aside its own line only.

    Parameters
    ----------
    choose
        Told the header, says which columns are wanted and where they stand.
    encoding, delimiter
        None: detected.
    header_row
        The record that holds the header, counted from 1. None: the first that holds the wanted columns.
    header
        The header of a file that has none; its first record is then a customer.

    Raises
    ------
    ReadingError
        If the file is not text, cannot be decoded, or has no header.
    """
    found = read_encoding(path, encoding)
    notes = [found.note]
    lines = sample_lines(path, found.name, header_row)
    if delimiter is None:
        delimiter, said = read_delimiter(lines, 1 if header else header_row)
        notes.append(said)
    else:
        notes.append(f"delimiter {spoken_delimiter(delimiter)}, stated by the mapping")
    if header is not None:
        header_row = 0
    elif header_row is None:
        header_row = find_header(records(lines, delimiter), choose)
        if header_row > 1:
            notes.append(f"header in row {header_row}, found")
    with opened(path), text_of(path, found.name) as text:
        names = header if header is not None else _header(text, delimiter, header_row, path)
        wanted = choose(names)
        rows = _Records(delimiter, names, header_row, found.has_nul, wanted.get(CUSTOMER.key[0]))
        for cells in chain(rows.windows(text), [[]]):  # the last holds what was set aside since
            numbers, broken = rows.taken()
            columns = [_array(cells[at :: len(names)]) for at in wanted.values()]
            yield Table(
                header=tuple(names),
                cells=pa.Table.from_arrays(columns, names=list(wanted)),
                numbers=numbers,
                broken=broken,
                digest=found.digest,
                notes=(*notes, *rows.notes()),
                header_row=header_row,
            )


def _header(text: TextIO, delimiter: str, header_row: int, path: Path) -> list[str]:
    """Read as far as the header and no further; what is above it need not be a table."""
    first = text.readline().lstrip("\ufeff")
    lines = chain([first] if first else [], iter(text.readline, ""))
    try:
        above = csv.reader(lines, delimiter=delimiter)
        for _ in range(header_row - 1):
            next(above, None)
        header = next(csv.reader(lines, delimiter=delimiter, strict=True), [])
    except csv.Error:
        raise ReadingError(
            f"{path.name} has no readable header in row {header_row}: a quote there does not belong, or is never "
            "closed. Mend the line, or say in the mapping where the header is: header_row in [format]."
        ) from None
    require_header(header, path, header_row)
    return header


def _array(cells: Sequence[str]) -> pa.Array:
    if not cells or cells == [""]:  # a split of nothing is nothing
        return pa.array(cells, pa.large_string())
    # One long text, cut by Arrow, is built much faster than a text a cell; no cell holds a NUL here.
    return pc.split_pattern(pa.array(["\0".join(cells)], pa.large_string()), "\0").flatten()


class _Records:
    """The records below a header, and what was found odd among them."""

    def __init__(
        self, delimiter: str, header: Sequence[str], header_row: int, has_nul: bool, id_at: int | None
    ) -> None:
        self.broken: list[BrokenLine] = []
        self._delimiter, self._has_nul, self._id_at = delimiter, has_nul, id_at
        self._width = len(header)
        self._named = max(i for i, name in enumerate(header, start=1) if name.strip())
        self._taken = self._number = header_row
        self._skipped: list[int] = []  # numbers of blank and of broken records
        self._reread = MAX_REREAD
        self._n_long, self._longest, self._longest_at = 0, 1, 0

    def taken(self) -> tuple[npt.NDArray[np.int64], tuple[BrokenLine, ...]]:
        """Give the numbers of the records that were read since the last time, and those that were set aside."""
        first, skipped, broken = self._taken + 1, self._skipped, self.broken
        self._taken, self._skipped, self.broken = self._number, [], []
        numbers = np.arange(first, self._taken + 1, dtype=np.int64)
        return np.delete(numbers, np.array(skipped, dtype=np.int64) - first), tuple(broken)

    def notes(self) -> list[str]:
        """Say what an analyst should look at: a long record may be a quote that closed too late."""
        if not self._n_long:
            return []
        where = f"the longest has {self._longest:,} lines, in row {self._longest_at:,}"
        return [f"{plural(self._n_long, 'record')} over several lines, {where}"]

    def windows(self, text: TextIO) -> Iterator[list[str]]:
        """Yield the cells of many records at a time, in one list; each record is as wide as the header."""
        window: list[str] = []
        at_end = False
        while not at_end:
            # An open record is parsed anew with each window, so the windows grow with it.
            more = text.readlines(max(WINDOW, sum(map(len, window))))
            if more and self._number == 0:
                more[0] = more[0].lstrip("\ufeff")  # elsewhere it stands before the header
            at_end = not more
            window += more
            cells: list[str] = []
            window = window[self._parse(window, at_end, cells) :]
            if cells:
                yield cells

    def _parse(self, window: list[str], at_end: bool, cells: list[str]) -> int:
        """Add the cells of the window's records; return how many lines are done with."""
        width, has_nul = self._width, self._has_nul
        start = 0
        while start < len(window):
            stop = len(window) if self._reread > 0 else start + 1
            reader = csv.reader(map(window.__getitem__, range(start, stop)), delimiter=self._delimiter, strict=True)
            ended, number = 0, self._number
            try:
                for row in reader:
                    number += 1
                    if reader.line_num != ended + 1:
                        self._long(number, reader.line_num - ended)
                    if len(row) == width and any(row) and not (has_nul and "\0" in "".join(row)):
                        cells += row
                    else:
                        self._odd(number, row, window[start + ended : start + reader.line_num], cells)
                    ended = reader.line_num
            except csv.Error as error:
                begin, failed = start + ended, start + reader.line_num
                self._number = number
                if failed == len(window) and not at_end and sum(map(len, window[begin:])) < MAX_RECORD:
                    return begin  # the record may end in what has not been read yet
                self._number += 1
                self._set_aside_quote(window[begin], failed - begin, str(error))
                self._reread -= failed - begin - 1
                start = begin + 1
            else:
                self._number = number
                start = stop
        return len(window)

    def _long(self, number: int, n_lines: int) -> None:
        self._n_long += 1
        if n_lines > self._longest:
            self._longest, self._longest_at = n_lines, number

    def _odd(self, number: int, row: list[str], lines: list[str], cells: list[str]) -> None:
        if not any(row):
            self._skipped.append(number)
        elif self._has_nul and "\0" in "".join(row):
            self._set_aside(number, row, "a cell holds a NUL, which no text has", lines)
        elif len(row) >= self._named and not any(row[self._width :]):
            cells += (row + [""] * self._width)[: self._width]
        else:
            n = plural(len(row), "cell")
            self._set_aside(number, row, f"the line has {n} where the header has {self._width}", lines)

    def _set_aside_quote(self, line: str, n_lines: int, error: str) -> None:
        if n_lines > 1 or "unexpected end" in error:
            reason = "a quote is opened and never closed"
        elif "field limit" in error:
            reason = f"a cell is longer than {MAX_CELL:,} characters"
        else:
            reason = "text follows a closing quote"
        try:
            row = next(csv.reader([line], delimiter=self._delimiter))
        except csv.Error:
            row = []
        # The last cell may have swallowed others, so what stands there tells nothing.
        self._set_aside(self._number, row[:-1], reason, [line])

    def _set_aside(self, number: int, row: list[str], reason: str, lines: list[str]) -> None:
        self._skipped.append(number)
        at = self._id_at
        customer_id = row[at] or None if at is not None and at < len(row) else None
        self.broken.append(BrokenLine(number, customer_id, reason, "".join(lines).rstrip("\r\n")))

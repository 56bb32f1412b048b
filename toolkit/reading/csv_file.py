"""Delimited text to a table of text: broken records set aside, every record numbered, bounded memory.

A record is what a spreadsheet shows as a row: a quoted cell may run over several lines. Blank lines, and records
whose cells are all empty, are counted and skipped.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from toolkit.display import plural
from toolkit.errors import ReadingError
from toolkit.model import ID
from toolkit.reading.text_encoding import read_encoding, text_of
from toolkit.reading.text_table import BrokenLine, Choose, Table, find_header, joined_tables, opened, require_header

SAMPLE_LINES = 200
DELIMITERS = ",;\t|"
WINDOW = 1 << 20
"""Characters that are parsed at once."""
MAX_CELL = 10_000_000
"""The most characters in one cell; a quote that is not closed by then counts as a stray one."""
_CSV_LIMIT = threading.Lock()
MAX_RECORD = 4 * MAX_CELL
MAX_REREAD = 2_000_000
"""Lines that may be read again because a quote was not closed; after that, each line is a record of its own."""


def read_csv(path: Path, choose: Choose, **stated: Any) -> Table:
    """Read delimited text, packed by gzip or not; every cell is text. See `csv_tables` for what may be stated."""
    return joined_tables(list(csv_tables(path, choose, **stated)))


def csv_tables(
    path: Path,
    choose: Choose,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    header_row: int | None = None,
) -> Iterator[Table]:
    """Read delimited text some thousand records at a time, in bounded memory; the notes of the last are complete.

    A record is broken, and set aside, if it has more or fewer cells than the header, a NUL, or a quote that does
    not belong where it is. Cells beyond the header are allowed while they are empty. A quote that is never closed
    sets aside its own line only.

    Parameters
    ----------
    choose
        From the header to the columns that are wanted and their positions.
    encoding, delimiter
        None: detected.
    header_row
        The record with the header, counted from 1. None: the first with the wanted columns.

    Raises
    ------
    ReadingError
        If the file is not text, cannot be decoded, or has no header.
    """
    found = read_encoding(path, encoding)
    notes = [found.note]
    lines = _sample_lines(path, found.name, header_row)
    if delimiter is None:
        delimiter, note = _delimiter(lines, header_row)
        notes.append(note)
    else:
        notes.append(f"delimiter {_shown(delimiter)}, stated by the mapping")
    if header_row is None:
        header_row = find_header(_split_records(lines, delimiter), choose)
        if header_row > 1:
            notes.append(f"header in row {header_row}, found")
    with opened(path), text_of(path, found.name) as text:
        header = _header(text, delimiter, header_row, path)
        records = _Records(delimiter, header, header_row, choose(header))
        for cells, numbers, broken in records.windows(text):
            yield Table(
                header=tuple(header),
                cells=cells,
                numbers=numbers,
                broken=broken,
                digest=found.digest,
                notes=(*notes, *records.notes()),
                warnings=found.warnings,
                proposed_encoding=found.proposed,
                header_row=header_row,
            )


def _sample_lines(path: Path, encoding: str, header_row: int | None) -> list[str]:
    """Return a text file's first lines: enough to detect the delimiter and to find the header."""
    with opened(path), text_of(path, encoding) as text:
        lines = io.StringIO(text.read(WINDOW), newline="").readlines()
    return lines[: (header_row or 0) + SAMPLE_LINES]


def _delimiter(lines: Sequence[str], header_row: int | None = None) -> tuple[str, str]:
    """Return the delimiter that splits the first records most evenly, and a note on it.

    A table of one column has none: a comma is assumed.
    """
    scores = {d: _evenness(_split_records(lines, d), header_row) for d in DELIMITERS}
    best = max(DELIMITERS, key=lambda d: scores[d])
    if scores[best][1] < 2:
        return ",", "delimiter , assumed: one column"
    return best, f"delimiter {_shown(best)}, detected"


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let the csv module read cells up to `MAX_CELL`; its limit belongs to the process, so it is put back."""
    with _CSV_LIMIT:  # a second thread would put back this one's limit, or lose its own
        before = csv.field_size_limit(MAX_CELL)
        try:
            yield
        finally:
            csv.field_size_limit(before)


def _shown(delimiter: str) -> str:
    return "tab" if delimiter == "\t" else f"'{delimiter}'"


def _split_records(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """Split lines into records, up to the first that cannot be split."""
    found: list[list[str]] = []
    with suppress(csv.Error):
        found.extend(csv.reader(lines, delimiter=delimiter))
    return found


def _evenness(records: Sequence[Sequence[str]], header_row: int | None) -> tuple[float, int]:
    """Return the share of records as wide as the header, and the header's width; zeros for one column."""
    widths = [len(record) for record in records[(header_row or 1) - 1 :]]
    filled = [w for w in widths if w]
    # Titles above the table are few, and the header is as wide as what is under it.
    width = widths[0] if header_row and widths else max(filled, key=filled.count, default=0)
    return (filled.count(width) / len(filled), width) if width > 1 else (0.0, 0)


def _header(text: TextIO, delimiter: str, header_row: int, path: Path) -> list[str]:
    """Read up to the header, and not a line more; what is above it need not be a table."""
    lines = iter(text.readline, "")
    try:
        above = csv.reader(lines, delimiter=delimiter)
        for _ in range(header_row - 1):
            next(above, None)
        header = next(csv.reader(lines, delimiter=delimiter, strict=True), [])
    except csv.Error:
        raise ReadingError(
            f"{path.name} has no readable header in row {header_row}: a quote there does not belong, or is never "
            "closed. Fix the line, or state in the mapping where the header is: header_row in [format]."
        ) from None
    require_header(header, path, header_row)
    return header


class _Records:
    """The records below a header, parsed one window of text after the other.

    Two parsers read the same language. pyarrow's is six times as fast, but repairs or drops what is irregular and
    does not say where; the csv module's, in `_carefully`, knows the line of every record and which quote is wrong.
    So a window goes to pyarrow only if nothing in it can be read in two ways: no NUL, no lone carriage return, and
    if there are quotes, each opens at the start of a cell and closes at its end in the same line. Then a record is a
    line. If pyarrow reports that one is ragged, or one may be blank, the window is read again with care, as is every
    other window. A window begins with a record, so the parser may change with each of them; a property test keeps
    both equal.
    """

    def __init__(self, delimiter: str, header: Sequence[str], header_row: int, wanted: dict[str, int]) -> None:
        self._delimiter, self._wanted = delimiter, wanted
        self._width = len(header)
        self._named = max(i for i, name in enumerate(header, start=1) if name.strip())
        self._number = header_row
        self._skipped: list[int] = []  # numbers of the blank and the broken records of this window
        self._broken: list[BrokenLine] = []
        self._reread = MAX_REREAD
        self._n_long = 0
        self._longest = (0, 0)  # its number of lines, and its own number, negative: of two the first counts
        d = re.escape(delimiter)
        cell = rf'"(?:[^"\r\n]|"")*"|[^"\r\n{d}][^\r\n{d}]*'
        self._regular_quotes = rf"^(?:(?:{cell})?(?:{d}|\r?\n|\z))*\z"

    def notes(self) -> list[str]:
        """Return a note on long records: one may be a quote that was closed too late."""
        if not self._n_long:
            return []
        n_lines, number = self._longest
        where = f"the longest has {n_lines:,} lines, in row {-number:,}"
        return [f"{plural(self._n_long, 'record')} over several lines, {where}"]

    def windows(self, text: TextIO) -> Iterator[tuple[pa.Table, npt.NDArray[np.int64], tuple[BrokenLine, ...]]]:
        """Yield the wanted cells of many records at a time, their numbers, and the records that were set aside."""
        rest, more = "", "more"
        while more:
            # An open record is parsed again with each window, so the windows grow with it.
            more = text.read(max(WINDOW, len(rest)))
            window = rest + more + text.readline()
            first, self._skipped, self._broken = self._number + 1, [], []
            cells, rest = self._in_bulk(window), ""
            if cells is None:
                with _long_cells():
                    cells, rest = self._carefully(window, at_end=not more)
            numbers = np.arange(first, self._number + 1, dtype=np.int64)
            yield cells, np.delete(numbers, np.array(self._skipped, dtype=np.int64) - first), tuple(self._broken)

    def _in_bulk(self, window: str) -> pa.Table | None:
        """Return the cells of a window as pyarrow reads them; None if the csv module has to."""
        data = window.encode()
        # pyarrow reads no file without a byte, and drops a byte order mark, which is a text here.
        if not data or len(data) > MAX_CELL or data.startswith(codecs.BOM_UTF8) or not self._delimiter.isascii():
            return None
        if b"\0" in data or (b"\r" in data and data.count(b"\r") != data.count(b"\r\n")):
            return None
        quoted = b'"' in data
        if quoted and not pc.match_substring_regex(pa.scalar(window), self._regular_quotes).as_py():
            return None
        names = [str(at) for at in range(self._width)]
        places = [names[at] for at in self._wanted.values()]
        try:
            table = arrow_csv.read_csv(
                pa.BufferReader(data),
                read_options=arrow_csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=self._delimiter, quote_char='"' if quoted else False, ignore_empty_lines=False
                ),
                convert_options=arrow_csv.ConvertOptions(
                    check_utf8=False,
                    column_types=dict.fromkeys(names, pa.large_string()),
                    include_columns=list(dict.fromkeys(places)),
                    strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid:  # a record is wider or narrower than the header
            return None
        empty = [pc.equal(pc.binary_length(column), 0).to_numpy() for column in table.columns]
        if np.logical_and.reduce(empty).any():  # the record may be blank
            return None
        self._number += table.num_rows
        return pa.Table.from_arrays([table.column(at) for at in places], names=list(self._wanted))

    def _carefully(self, window: str, *, at_end: bool) -> tuple[pa.Table, str]:
        """Return the cells of a window, read with the csv module, and its last lines if their record is still open."""
        lines = io.StringIO(window, newline="").readlines()
        cells: list[str] = []
        n_done = self._parse(lines, at_end, "\0" in window, cells)
        columns = [_array(cells[at :: self._width]) for at in self._wanted.values()]
        return pa.Table.from_arrays(columns, names=list(self._wanted)), "".join(lines[n_done:])

    def _parse(self, window: list[str], at_end: bool, has_nul: bool, cells: list[str]) -> int:
        """Add the cells of the window's records, each as wide as the header; return how many lines are finished."""
        width = self._width
        start = 0
        while start < len(window):
            stop = len(window) if self._reread > 0 else start + 1
            reader = csv.reader(map(window.__getitem__, range(start, stop)), delimiter=self._delimiter, strict=True)
            ended, number = 0, self._number
            try:
                for row in reader:
                    number += 1
                    if reader.line_num != ended + 1:
                        self._n_long += 1
                        self._longest = max(self._longest, (reader.line_num - ended, -number))
                    if len(row) == width and any(row) and not (has_nul and "\0" in "".join(row)):
                        cells += row
                    else:
                        self._irregular(number, row, window[start + ended : start + reader.line_num], cells)
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

    def _fitted(self, row: list[str]) -> list[str] | None:
        """Return a record at the header's width; None if that would cut off a text or fill in a named column."""
        if len(row) < self._named or any(row[self._width :]):
            return None
        return (row + [""] * self._width)[: self._width]

    def _irregular(self, number: int, row: list[str], lines: list[str], cells: list[str]) -> None:
        """Skip a blank record, add one that fits the header, and set aside any other."""
        if not any(row):
            self._skipped.append(number)
        elif "\0" in "".join(row):
            self._set_aside(number, row, "a cell contains a NUL, which no text has", lines)
        elif fitted := self._fitted(row):
            cells += fitted
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
        row = (_split_records([line], self._delimiter) or [[]])[0]
        # The last cell may have swallowed others, so its text means nothing.
        self._set_aside(self._number, row[:-1], reason, [line])

    def _set_aside(self, number: int, row: list[str], reason: str, lines: list[str]) -> None:
        self._skipped.append(number)
        at = self._wanted.get(ID, len(row))
        customer_id = row[at] or None if at < len(row) else None
        self._broken.append(BrokenLine(number, customer_id, reason, "".join(lines).rstrip("\r\n")))


def _array(cells: Sequence[str]) -> pa.Array:
    if not cells or cells == [""]:  # a split of nothing is nothing
        return pa.array(cells, pa.large_string())
    # One long text, cut by Arrow, is built much faster than a text a cell; no cell contains a NUL here.
    return pc.split_pattern(pa.array(["\0".join(cells)], pa.large_string()), "\0").flatten()

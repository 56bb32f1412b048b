"""Delimited text to a table of text: broken records set aside, every record numbered, bounded memory.

A record is what a spreadsheet shows as a row: a quoted cell may run over several lines. Blank lines, and records
whose cells are all empty, are counted and skipped. In a file whose lines end in LF or CRLF, a lone CR is text.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
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
from toolkit.reading.text_encoding import Encoding, read_encoding, text_of
from toolkit.reading.text_table import BrokenLine, Choose, Table, find_header, joined_tables, opened, require_header
from toolkit.tables import original_cells, original_header

SAMPLE_LINES = 200
DELIMITERS = ",;\t|"
WINDOW = 1 << 20
"""Characters that are parsed at once."""
MAX_CELL = 10_000_000
"""The most characters in one cell; a quote that is not closed by then counts as a stray one."""
_CSV_LIMIT = threading.Lock()
MAX_RECORD = 4 * MAX_CELL
_LONE_RETURN = re.compile(r"\r(?!\n|\Z)")
_INERT = "an apostrophe before = + - or @, which keeps a spreadsheet from running a cell, not read as text"
MAX_REREAD = 100_000_000
"""Characters that may be read again because a quote was not closed; after that, each line is a record of its own."""
MAX_BROKEN = 500_000
"""Broken records of one file. With more it is no table, and the list of them would fill the memory."""


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
    records_in_cells: bool = False,
) -> Iterator[Table]:
    """Read delimited text some thousand records at a time, in bounded memory; the notes of the last are complete.

    A record is broken, and set aside, if it has more or fewer cells than the header, a NUL, a quote that does not
    belong where it is, or another record in a quoted cell. Cells beyond the header are allowed while they are empty.
    A quote that is never closed sets aside its own line only.

    Parameters
    ----------
    choose
        From the header to the columns that are wanted and their positions.
    encoding, delimiter
        None: detected.
    header_row
        The record with the header, counted from 1. None: the first with the wanted columns.
    records_in_cells
        Whether a quoted cell may contain what looks like another record.

    Raises
    ------
    ReadingError
        If the file is not text, cannot be decoded, or has no header.
    """
    found, lines, newline, delimiter, note = _opened(path, encoding, delimiter, header_row)
    notes = [found.note, note]
    if header_row is None:
        header_row = find_header(map(original_header, _split_records(lines, delimiter)), choose)
        if header_row > 1:
            notes.append(f"header in row {header_row}, found")
    if spaced := _is_spaced(lines, delimiter, header_row):
        notes.append("a space after each delimiter, not read as text")
    with opened(path), text_of(path, found.name, newline=newline) as text:
        header = original_header(written := _header(text, delimiter, header_row, path, spaced=spaced))
        records = _Records(delimiter, header, header_row, choose(header), spaced=spaced, end=newline)
        records.name, records.allow_records_in_cells = path.name, records_in_cells
        for found_cells, numbers, broken, has_apostrophe in records.windows(text):
            cells = original_cells(found_cells) if has_apostrophe else found_cells
            if (cells is not found_cells or header != written) and _INERT not in notes:
                notes.append(_INERT)
            said = ((*notes, *records.notes()), found.warnings)
            yield Table(tuple(header), cells, numbers, broken, found.digest, *said, header_row=header_row)


def first_records(
    path: Path, encoding: str | None, delimiter: str | None, n: int
) -> tuple[Encoding, str, list[list[str]]]:
    """Return how a text file is encoded, its delimiter, and its first records.

    Raises
    ------
    ReadingError
        If the file is not text, or cannot be decoded.
    """
    found, lines, _, delimiter, _ = _opened(path, encoding, delimiter, None)
    return found, delimiter, _split_records(lines, delimiter)[:n]


def _opened(
    path: Path, encoding: str | None, delimiter: str | None, header_row: int | None
) -> tuple[Encoding, list[str], str, str, str]:
    """Return the encoding, the first lines, what ends a line, the delimiter, and how that is known."""
    found = read_encoding(path, encoding)
    lines, newline = _sample_lines(path, found.name, header_row)
    if delimiter is not None:
        note = f"delimiter {_shown(delimiter)}, stated by the mapping"
    elif stated := re.fullmatch(r"sep=(.)\s*", lines[0] if lines else "", re.IGNORECASE):
        delimiter = stated[1]
        note = f"delimiter {_shown(delimiter)}, stated in the first line"
    else:
        delimiter, note = _delimiter(lines, header_row)
    return found, lines, newline, delimiter, note


def _sample_lines(path: Path, encoding: str, header_row: int | None) -> tuple[list[str], str]:
    """Return a text file's first lines, enough to detect the delimiter and to find the header, and what ends a line.

    It is what `open` calls newline: LF, also after CR; or empty, for a lone CR as well, if the first line ends so.
    """
    with opened(path), text_of(path, encoding) as text:
        sample = text.read(WINDOW)
    if re.match(r"[^\r\n]*\r(?!\n)", re.sub(r'"[^"]*"', "", sample)):
        newline = ""
    else:
        newline, sample = "\n", _LONE_RETURN.sub(" ", sample)
    return io.StringIO(sample, newline=newline).readlines()[: (header_row or 0) + SAMPLE_LINES], newline


def _delimiter(lines: Sequence[str], header_row: int | None = None) -> tuple[str, str]:
    """Return the delimiter that splits the first records into a table, and a note on it.

    A few ragged records do not decide: those delimiters count that split about as evenly as the best does. Of them
    the one is taken for which the first record, the header, is as wide as the table; then the one of more columns, for
    numbers with a decimal comma are fewer. A table of one column has no delimiter: a comma is assumed.
    """
    tables = {d: found for d in DELIMITERS if (found := _evenness(_split_records(lines, d), header_row))}
    if not tables:
        return ",", "delimiter , assumed: one column"
    enough = 0.9 * max(tables.values())[0]
    best = max(tables, key=lambda d: (tables[d][0] >= enough, *tables[d][1:]))
    return best, f"delimiter {_shown(best)}, detected"


def _is_spaced(lines: Sequence[str], delimiter: str, header_row: int) -> bool:
    """Say whether a space follows nearly each delimiter, or else each that is before a quote."""
    if delimiter == " ":
        return False
    with suppress(csv.Error):
        records = list(csv.reader(lines, delimiter=delimiter))[header_row - 1 :]
        cells = [cell for record in records for cell in record[1:] if cell]
        if cells and sum(cell.startswith(" ") for cell in cells) > 0.9 * len(cells):
            return True
    at = re.escape(delimiter)
    text = "".join(lines)
    return bool(re.search(f'{at} +"', text)) and not re.search(f'(^|{at})"', text, re.MULTILINE)


def _shown(delimiter: str) -> str:
    return "tab" if delimiter == "\t" else f"'{delimiter}'"


def _split_records(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """Split lines into records, up to the first that cannot be split."""
    found: list[list[str]] = []
    with suppress(csv.Error):
        found.extend(csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter != " "))
    return found


def _evenness(records: Sequence[Sequence[str]], header_row: int | None) -> tuple[float, bool, int] | None:
    """Return the share of records as wide as the table, whether the first is, and the width; None: one column."""
    widths = [len(record) for record in records[(header_row or 1) - 1 :]]
    filled = [w for w in widths if w]
    # Titles above the table are few, and the header is as wide as what is under it.
    width = widths[0] if header_row and widths else max(filled, key=filled.count, default=0)
    return (filled.count(width) / len(filled), filled[0] == width, width) if width > 1 else None


def _header(text: TextIO, delimiter: str, header_row: int, path: Path, *, spaced: bool) -> list[str]:
    """Read up to the header, and not a line more; what is above it need not be a table."""
    # A return in a line is no end of it, but the csv module would take it for one.
    lines = (_LONE_RETURN.sub(" ", line) for line in iter(text.readline, ""))
    try:
        above = csv.reader(lines, delimiter=delimiter)
        for _ in range(header_row - 1):
            next(above, None)
        header = next(csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=spaced), [])
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
    So a window goes to pyarrow only if nothing in it can be read in two ways: no NUL, no lone carriage return, no
    space after each delimiter, and if there are quotes, each opens at the start of a cell and closes at its end in
    the same line. Then a record is a line. If pyarrow reports that one is ragged, or one may be blank, the window is
    read again with care, as is every other window. A window begins with a record, so the parser may change with each
    of them; a property test keeps both equal.
    """

    def __init__(
        self, delimiter: str, header: Sequence[str], header_row: int, wanted: dict[str, int], *, spaced: bool, end: str
    ) -> None:
        self._delimiter, self._wanted, self._spaced, self._newline = delimiter, wanted, spaced, end
        self._width = len(header)
        self._named = max(i for i, name in enumerate(header, start=1) if name.strip())
        self._number = header_row
        self._skipped: list[int] = []  # numbers of the blank and the broken records of this window
        self._broken: list[BrokenLine] = []
        self._n_broken, self._first_broken = 0, ""
        self._reread = MAX_REREAD
        self._n_long = 0
        self.name, self.allow_records_in_cells = "", False
        self._stand_in = ""  # for the lone returns of this window
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

    def windows(self, text: TextIO) -> Iterator[tuple[pa.Table, npt.NDArray[np.int64], tuple[BrokenLine, ...], bool]]:
        """Yield the wanted cells of many records at a time, their numbers, and the records that were set aside.

        The last is whether there is an apostrophe in any of them, which is a twentieth of the time to ask of cells.
        """
        rest, more = "", "more"
        while more:
            # An open record is parsed again with each window, so the windows grow with it.
            more = text.read(max(WINDOW, len(rest)))
            window = rest + more + text.readline()
            first, self._skipped, self._broken = self._number + 1, [], []
            cells, rest = self._in_bulk(window), ""
            if cells is None:
                # The limit belongs to the process: a second thread would put back this one's, or lose its own.
                with _CSV_LIMIT:
                    before = csv.field_size_limit(MAX_CELL)
                    try:
                        cells, rest = self._carefully(window, at_end=not more)
                    finally:
                        csv.field_size_limit(before)
            numbers = np.arange(first, self._number + 1, dtype=np.int64)
            if self._skipped:
                numbers = np.delete(numbers, np.array(self._skipped, dtype=np.int64) - first)
            yield cells, numbers, tuple(self._broken), "'" in window

    def _in_bulk(self, window: str) -> pa.Table | None:
        """Return the cells of a window as pyarrow reads them; None if the csv module has to."""
        data = window.encode()
        # pyarrow reads no file without a byte, and drops a byte order mark, which is a text here.
        odd = not data or len(data) > MAX_CELL or data.startswith(codecs.BOM_UTF8)
        if odd or self._spaced or not self._delimiter.isascii():
            return None
        if b"\0" in data or (b"\r" in data and data.count(b"\r") != data.count(b"\r\n")):
            return None
        quoted = b'"' in data
        if quoted and not pc.match_substring_regex(pa.scalar(data), self._regular_quotes).as_py():
            return None
        names = [str(at) for at in range(self._width)]
        places = [names[at] for at in self._wanted.values()]
        types, once = dict.fromkeys(names, pa.large_string()), list(dict.fromkeys(places))
        read = arrow_csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names)
        parse = arrow_csv.ParseOptions(
            delimiter=self._delimiter, quote_char='"' if quoted else False, ignore_empty_lines=False
        )
        convert = arrow_csv.ConvertOptions(check_utf8=False, column_types=types, include_columns=once)
        try:
            table = arrow_csv.read_csv(pa.BufferReader(data), read, parse, convert)
        except pa.ArrowInvalid:  # a record is wider or narrower than the header
            return None
        blank = np.True_
        for column in table.columns:  # mostly the first has no empty cell
            if not (blank := blank & (pc.binary_length(column).to_numpy() == 0)).any():
                break
        else:
            return None  # a record may be blank
        self._number += table.num_rows
        return pa.Table.from_arrays([table.column(at) for at in places], names=list(self._wanted))

    def _carefully(self, window: str, *, at_end: bool) -> tuple[pa.Table, str]:
        """Return the cells of a window, read with the csv module, and its last lines if their record is still open."""
        self._stand_in = ""
        if self._newline and _LONE_RETURN.search(window):
            # The csv module would end a record there: a character that is not in the window stands in for it.
            self._stand_in = next(c for c in map(chr, range(0xFDD0, sys.maxunicode)) if c not in window)
            window = _LONE_RETURN.sub(self._stand_in, window)
        lines = io.StringIO(window, newline=self._newline).readlines()
        cells: list[str] = []
        n_done = self._parse(lines, at_end, "\0" in window, cells)
        columns = [_array(cells[at :: self._width]) for at in self._wanted.values()]
        if self._stand_in:
            columns = [pc.replace_substring(column, self._stand_in, "\r") for column in columns]
        return pa.Table.from_arrays(columns, names=list(self._wanted)), self._as_it_was("".join(lines[n_done:]))

    def _as_it_was(self, text: str) -> str:
        return text.replace(self._stand_in, "\r") if self._stand_in else text

    def _parse(self, window: list[str], at_end: bool, has_nul: bool, cells: list[str]) -> int:
        """Add the cells of the window's records, each as wide as the header; return how many lines are finished."""
        width = self._width
        start = 0
        while start < len(window):
            stop = len(window) if self._reread > 0 else start + 1
            lines = map(window.__getitem__, range(start, stop))
            reader = csv.reader(lines, delimiter=self._delimiter, strict=True, skipinitialspace=self._spaced)
            ended, number = 0, self._number
            try:
                for row in reader:
                    number += 1
                    is_short = reader.line_num == ended + 1
                    if is_short and len(row) == width and any(row) and not (has_nul and "\0" in "".join(row)):
                        cells += row
                    else:
                        self._irregular(number, row, window[start + ended : start + reader.line_num], cells)
                    ended = reader.line_num
            except csv.Error as error:
                begin, failed = start + ended, start + reader.line_num
                self._number = number
                n_read = sum(map(len, window[begin:failed]))
                if failed == len(window) and not at_end and n_read < MAX_RECORD:
                    return begin  # the record may end in what has not been read yet
                self._number += 1
                self._set_aside_quote(window[begin], failed - begin, str(error))
                self._reread -= n_read - len(window[begin])
                start = begin + 1
            else:
                self._number = number
                start = stop
        return len(window)

    def _has_record(self, cell: str) -> bool:
        """Say whether a cell has a line end and splits into a row; in prose, a space follows each comma."""
        n = 0 if self.allow_records_in_cells else cell.count(self._delimiter)
        if n < self._width - 1 or not n or not ("\n" in cell or "\r" in cell):
            return False
        return self._spaced or n > len(re.findall(rf"{re.escape(self._delimiter)}[ \r\n]", cell))

    def _irregular(self, number: int, row: list[str], lines: list[str], cells: list[str]) -> None:
        """Skip a blank record, add one that fits the header, and set aside any other."""
        if len(lines) > 1:
            self._n_long += 1
            self._longest = max(self._longest, (len(lines), -number))
        if not any(row):
            self._skipped.append(number)
        elif len(lines) > 1 and any(map(self._has_record, row)):
            reason = "a quoted cell contains another record: a quote is missing, or is one too many"
            self._set_aside(number, row, reason, lines)
        elif "\0" in "".join(row):
            self._set_aside(number, row, "a cell contains a NUL, which no text has", lines)
        elif len(row) >= self._named and not any(row[self._width :]):  # no text is cut off, no named column filled in
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
            if '\\"' in line:
                reason += r": a quote in a cell is written twice, not as \""
        row = (_split_records([line], self._delimiter) or [[]])[0]
        # The last cell may have swallowed others, so its text means nothing.
        self._set_aside(self._number, row[:-1], reason, [line])

    def _set_aside(self, number: int, row: list[str], reason: str, lines: list[str]) -> None:
        self._skipped.append(number)
        at = self._wanted.get(ID, len(row))
        customer_id = self._as_it_was(row[at]) or None if at < len(row) else None
        text = self._as_it_was("".join(lines).rstrip("\r\n"))
        self._broken.append(BrokenLine(number, customer_id, reason, text))
        self._n_broken += 1
        self._first_broken = self._first_broken or f"row {number:,}: {reason}"
        if self._n_broken > MAX_BROKEN:
            raise ReadingError(
                f"{self.name} has more than {MAX_BROKEN:,} broken records, the first in {self._first_broken}. "
                "Fix that row, or state the delimiter in the mapping: delimiter in [format]."
            )


def _array(cells: Sequence[str]) -> pa.Array:
    if not cells or cells == [""]:  # a split of nothing is nothing
        return pa.array(cells, pa.large_string())
    # One long text, cut by Arrow, is built much faster than a text a cell; no cell contains a NUL here.
    return pc.split_pattern(pa.array(["\0".join(cells)], pa.large_string()), "\0").flatten()

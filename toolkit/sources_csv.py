"""Delimited text to a table of text: one strict parser, broken records set aside, bounded memory.

A record is what a spreadsheet shows as a row: a quoted cell may run over several lines. Blank lines, and records
whose cells are all empty, are counted and skipped.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.contract import CUSTOMER
from toolkit.display import plural
from toolkit.errors import ReadingError
from toolkit.sources import (
    BrokenLine,
    Choose,
    Table,
    find_header,
    joined_tables,
    opened,
    require_header,
    text_of,
)
from toolkit.text_format import read_delimiter, read_encoding, records, sample_lines, spoken_delimiter

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

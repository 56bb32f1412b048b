"""JSON to a table of text: an array of objects, one object a line, or the body of a request to the API.

A number stays as it is written, ``true`` and ``false`` are text, null is the empty cell.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.errors import ReadingError
from toolkit.model import CUSTOMER
from toolkit.reading.text_encoding import read_encoding, text_of
from toolkit.reading.text_table import BrokenLine, Choose, Table, opened

WINDOW = 50_000
"""Records whose cells are held as Python's texts before Arrow takes them."""
MAX_KEYS = 20_000
MAX_TEXT = 10_000
"""How many characters of a broken record are kept."""
MAX_KEPT = 1_000
"""Of how many records with a cell that is no text the raw text is kept."""

_DATA = "data"


class _Pairs(list[tuple[str, Any]]):
    """An object's members as they are written, a repeated name included."""


_DECODER = json.JSONDecoder(object_pairs_hook=_Pairs, parse_float=str, parse_int=str, parse_constant=str)
_BLANK = " \t\r\n"


def read_json(path: Path, choose: Choose, *, encoding: str | None = None, lines: bool = False) -> Table:
    """Read objects, packed by gzip or not; every value is text.

    A record that is no object, names a member twice, or holds an object or a list where a text is wanted, is
    broken and set aside. Names that no object holds at first may come later.

    Parameters
    ----------
    choose
        Told the names of all members, in the order they come, says which are wanted.
    encoding
        None: detected.
    lines
        Whether each line is a record, whose number is the line's; else records count from 1.

    Raises
    ------
    ReadingError
        If the file is not JSON, or holds no records.
    """
    found = read_encoding(path, encoding)
    notes = [found.note]
    with opened(path), text_of(path, found.name) as text:
        if lines:
            records = _lines(text)
        else:
            document, note = _document(text.read().lstrip("\ufeff"), path)
            records = document
            notes.append(note)
        cells = _Cells(path.name)
        for number, record, raw in records:
            cells.add(number, record, raw)
    wanted = choose(tuple(cells.header))
    columns = {column: cells.column(at) for column, at in wanted.items()}
    numbers = np.array(cells.numbers, dtype=np.int64)
    broken = [*cells.broken]
    odd = {row: why for at in wanted.values() for row, why in cells.odd.get(at, {}).items()}
    if odd:
        keep = np.ones(len(numbers), dtype=bool)
        keep[list(odd)] = False
        ids = columns.get(CUSTOMER.key[0])
        for row, why in odd.items():
            customer_id = None if ids is None else ids[row].as_py() or None
            broken.append(BrokenLine(int(numbers[row]), customer_id, why, cells.raw.get(row, "")))
        columns = {column: values.filter(pa.array(keep)) for column, values in columns.items()}
        numbers = numbers[keep]
        broken.sort(key=lambda line: line.number)
    return Table(
        header=tuple(cells.header),
        cells=pa.table(columns),
        numbers=numbers,
        broken=tuple(broken),
        digest=found.digest,
        notes=tuple(notes),
    )


def _lines(text: Any) -> Iterator[tuple[int, Any, str]]:
    for number, line in enumerate(text, start=1):
        stripped = (line.lstrip("\ufeff") if number == 1 else line).strip(_BLANK)
        if not stripped:
            continue
        try:
            yield number, _DECODER.decode(stripped), stripped
        except (ValueError, RecursionError):
            yield number, None, stripped


def _document(text: str, path: Path) -> tuple[Iterator[tuple[int, Any, str]], str]:
    """Return the records of an array or of a request's body, and what the file is."""
    start = len(text) - len(text.lstrip(_BLANK))
    if text[start : start + 1] == "[":
        return _array(text, start + 1, path), "JSON, an array"
    try:
        document = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        more = "" if error.msg != "Extra data" else " If it holds one object a line, give it the ending .jsonl."
        raise ReadingError(_not_json(path, error.lineno) + more) from None
    except RecursionError:
        raise ReadingError(_not_json(path, 1)) from None
    members = dict(document) if isinstance(document, _Pairs) else {}
    if not isinstance(members.get(_DATA), list) or isinstance(members[_DATA], _Pairs):
        raise ReadingError(
            f'{path.name} holds no records: an array of objects is wanted, or a request\'s body with "{_DATA}".'
        )
    return ((n, record, "") for n, record in enumerate(members[_DATA], start=1)), f'JSON, a body with "{_DATA}"'


def _array(text: str, at: int, path: Path) -> Iterator[tuple[int, Any, str]]:
    # Record by record, so that only the text and the cells are held at once.
    number = 0
    while True:
        at = _after_blanks(text, at)
        if text[at : at + 1] == "]" and number == 0:
            break
        number += 1
        try:
            record, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            raise ReadingError(_not_json(path, text.count("\n", 0, at) + 1)) from None
        yield number, record, text[at : min(end, at + MAX_TEXT)] if not isinstance(record, _Pairs) else ""
        at = _after_blanks(text, end)
        if text[at : at + 1] == "]":
            break
        if text[at : at + 1] != ",":
            raise ReadingError(_not_json(path, text.count("\n", 0, at) + 1))
        at += 1
    if _after_blanks(text, at + 1) < len(text):
        raise ReadingError(_not_json(path, text.count("\n", 0, at) + 1))


def _after_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at


def _not_json(path: Path, line: int) -> str:
    return f"{path.name} is not JSON from line {line:,} on: it was cut short or written by hand. Ask for it anew."


class _Cells:
    """Records, column by column."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.header: dict[str, int] = {}
        self.numbers: list[int] = []
        self.broken: list[BrokenLine] = []
        self.odd: dict[int, dict[int, str]] = {}  # column to the records that hold no text there, and why
        self.raw: dict[int, str] = {}
        self._open: list[list[str]] = []
        self._done: list[list[pa.Array]] = []
        self._first: list[int] = []  # the record in whose window a column first came
        self._n_done = 0

    def add(self, number: int, record: Any, raw: str) -> None:
        """Take a record in, or set it aside."""
        if not isinstance(record, _Pairs):
            self._set_aside(number, "the line is not JSON" if record is None else "the record is not an object", raw)
            return
        names = {name for name, _ in record}
        if len(names) != len(record):
            self._set_aside(number, "an object names a member twice", raw)
            return
        row = len(self.numbers) - self._n_done
        for name, value in record:
            at = self.header.get(name)
            if at is None:
                name = name.encode("utf-8", "backslashreplace").decode()
                at = self._new(name)
            text, odd = _text(value)
            if odd:
                self.odd.setdefault(at, {})[len(self.numbers)] = odd
                if len(self.raw) < MAX_KEPT:
                    self.raw[len(self.numbers)] = raw[:MAX_TEXT]
            column = self._open[at]
            if len(column) < row:
                column.extend([""] * (row - len(column)))
            column.append(text)
        self.numbers.append(number)
        if row + 1 == WINDOW:
            self._close()

    def column(self, at: int) -> pa.ChunkedArray:
        """Give a column as text; where a record lacks it, the empty text."""
        self._close()
        before = [pa.array([""] * self._first[at], pa.large_string())] if self._first[at] else []
        return pa.chunked_array([*before, *self._done[at]], pa.large_string())

    def _new(self, name: str) -> int:
        if len(self.header) == MAX_KEYS:
            raise ReadingError(
                f"{self._name}: the records have more than {MAX_KEYS:,} different members; this is no table of rows."
            )
        self.header[name] = at = len(self.header)
        self._open.append([])
        self._done.append([])
        self._first.append(self._n_done)
        return at

    def _close(self) -> None:
        n = len(self.numbers) - self._n_done
        if not n:
            return
        for column, done in zip(self._open, self._done, strict=True):
            done.append(pa.array(column + [""] * (n - len(column)), pa.large_string()))
            column.clear()
        self._n_done += n

    def _set_aside(self, number: int, reason: str, raw: str) -> None:
        self.broken.append(BrokenLine(number, None, reason, raw[:MAX_TEXT]))


def _text(value: Any) -> tuple[str, str]:
    """Return a value as text, and why it cannot be one."""
    if isinstance(value, str):
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                return "", "a cell holds half a character (a lone surrogate)"
        return value, ""
    if value is None:
        return "", ""
    if isinstance(value, bool):
        return ("true" if value else "false"), ""
    return "", "a cell holds a list or an object"

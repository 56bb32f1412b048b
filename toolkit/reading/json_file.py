"""JSON to a table of text: an array of objects, objects one after the other, or the body of a request to the API.

A number stays as it is written, ``true`` and ``false`` are text, null is the empty cell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pyarrow as pa

from toolkit.errors import ReadingError
from toolkit.model import ID, cell_text, each_once
from toolkit.reading.text_encoding import read_encoding, text_of
from toolkit.reading.text_table import BrokenLine, Choose, Table, opened

MAX_TEXT = 10_000
"""How many characters of a broken record are kept."""

_DATA = "data"
_BLANK = " \t\r\n"
_VALUE = re.compile(r"[^ \t\r\n]")


def _refuse(constant: str) -> str:
    raise ValueError(f"contains {constant}, which is not JSON: have it written as null, or as a text in quotes.")


_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_refuse, object_pairs_hook=each_once)


def read_json(path: Path, choose: Choose, *, encoding: str | None = None, lines: bool = False) -> Table:
    """Read objects, packed by gzip or not; every value is text.

    A record that is not an object, or contains an object or a list instead of a text, is broken and set aside. A
    member that a record lacks is the empty text.

    Parameters
    ----------
    choose
        From the names of all members, in the order they come, to the wanted ones and their positions.
    encoding
        None: detected.
    lines
        Whether each line should be a record, whose number is then the line's. Otherwise, or if no line is an object,
        records count from 1.

    Raises
    ------
    ReadingError
        If the file is not JSON, or contains no records.
    """
    found = read_encoding(path, encoding)
    with opened(path), text_of(path, found.name) as text:
        start = text.tell()
        values, note = list(_lines(text)) if lines else [], "JSON, one object a line"
        if not any(isinstance(value, dict) for _, value in values):
            text.seek(start)
            document, note = _document(text.read(), path, lines=lines)
            values = list(enumerate(document, start=1))
    records = [(number, value) for number, value in values if isinstance(value, dict)]
    no_record = "the record is not a JSON object with each name once"
    broken = [_set_aside(number, value, no_record) for number, value in values if not isinstance(value, dict)]
    header = list(dict.fromkeys(name for _, record in records for name in record))
    wanted = {column: header[at] for column, at in choose(header).items()}
    numbers: list[int] = []
    rows: list[list[str]] = []
    for number, record in records:
        try:
            rows.append([_text(record.get(name)) for name in wanted.values()])
            numbers.append(number)
        except ValueError as error:
            why = "half a character (a lone surrogate)" if isinstance(error, UnicodeError) else "a list or an object"
            broken.append(_set_aside(number, record, f"a cell contains {why}", record.get(wanted.get(ID, ""))))
    columns = zip(*rows, strict=True) if rows else [()] * len(wanted)
    cells = pa.table({c: pa.array(texts, pa.large_string()) for c, texts in zip(wanted, columns, strict=True)})
    set_aside = tuple(sorted(broken, key=lambda line: line.number))
    places = np.array(numbers, dtype=np.int64)
    return Table(tuple(header), cells, places, set_aside, found.digest, (found.note, note), found.warnings)


def _lines(text: TextIO) -> Iterator[tuple[int, Any]]:
    """Yield the value of each line that is not blank; the line itself where it is not JSON."""
    for number, line in enumerate(text, start=1):
        if stripped := line.strip(_BLANK):
            try:
                yield number, _DECODER.decode(stripped)
            except (ValueError, RecursionError):
                yield number, stripped


def _document(text: str, path: Path, *, lines: bool) -> tuple[list[Any], str]:
    """Return the records of an array, of a request's body or of objects one after the other, and which it is."""
    values: list[Any] = []
    at = 0
    try:
        while rest := _VALUE.search(text, at):
            value, at = _DECODER.raw_decode(text, rest.start())
            values.append(value)
    except (ValueError, RecursionError) as error:
        if type(error) is ValueError:
            raise ReadingError(f"{path.name} {error}") from None
        ending = "" if lines or not values else ", or give it the ending .jsonl if it holds one object a line"
        raise ReadingError(
            f"{path.name} is not JSON from line {getattr(error, 'lineno', 1):,} on: it was cut short or written by "
            f"hand. Ask for it again{ending}."
        ) from None
    if len(values) == 1 and isinstance(values[0], list):
        return values[0], "JSON, an array"
    if len(values) == 1 and isinstance(values[0], dict) and isinstance(values[0].get(_DATA), list):
        return values[0][_DATA], f'JSON, a body with "{_DATA}"'
    if len(values) > (not lines) and all(isinstance(value, dict) for value in values):
        return values, "JSON, objects one after the other"
    raise ReadingError(f'{path.name} contains no records: give an array of objects, or a body with "{_DATA}".')


def _text(value: Any) -> str:
    """Return a value as the file writes it; a number is a text already."""
    return json.dumps(value) if isinstance(value, bool) else cell_text(value)


def _set_aside(number: int, value: Any, reason: str, customer_id: Any = None) -> BrokenLine:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    known = _encodable(customer_id) if isinstance(customer_id, str) else ""
    return BrokenLine(number, known or None, reason, _encodable(text[:MAX_TEXT]))


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()

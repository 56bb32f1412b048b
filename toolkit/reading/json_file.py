"""JSON to a table of text: an array of objects, one object a line, or the body of a request to the API.

A number stays as it is written, ``true`` and ``false`` are text, null is the empty cell.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pyarrow as pa

from toolkit.errors import ReadingError
from toolkit.model import ID
from toolkit.reading.text_encoding import read_encoding, text_of
from toolkit.reading.text_table import BrokenLine, Choose, Table, opened

MAX_TEXT = 10_000
"""How many characters of a broken record are kept."""

_DATA = "data"
_BLANK = " \t\r\n"
_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str)


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
        Whether each line is a record, whose number is the line's; otherwise records count from 1.

    Raises
    ------
    ReadingError
        If the file is not JSON, or contains no records.
    """
    found = read_encoding(path, encoding)
    notes = [found.note]
    broken: list[BrokenLine] = []
    records: list[tuple[int, dict[str, Any]]] = []
    with opened(path), text_of(path, found.name) as text:
        if lines:
            values = _lines(text)
        else:
            document, note = _document(text.read(), path)
            values = enumerate(document, start=1)
            notes.append(note)
        for number, value in values:
            if isinstance(value, dict):
                records.append((number, value))
            else:
                broken.append(_set_aside(number, value, "the record is not a JSON object"))
    header = list(dict.fromkeys(name for _, record in records for name in record))
    wanted = {column: header[at] for column, at in choose(header).items()}
    good: list[tuple[int, dict[str, Any]]] = []
    for number, record in records:
        if why := next(filter(None, (_why_not_text(record.get(name)) for name in wanted.values())), ""):
            broken.append(_set_aside(number, record, why, _text(record.get(wanted.get(ID, "")))))
        else:
            good.append((number, record))
    return Table(
        header=tuple(header),
        cells=pa.table(
            {c: pa.array([_text(r.get(name)) for _, r in good], pa.large_string()) for c, name in wanted.items()}
        ),
        numbers=np.array([number for number, _ in good], dtype=np.int64),
        broken=tuple(sorted(broken, key=lambda line: line.number)),
        digest=found.digest,
        notes=tuple(notes),
        warnings=found.warnings,
        proposed_encoding=found.proposed,
    )


def _lines(text: TextIO) -> Iterator[tuple[int, Any]]:
    """Yield the value of each line that is not blank; the line itself where it is not JSON."""
    for number, line in enumerate(text, start=1):
        if stripped := line.strip(_BLANK):
            try:
                yield number, _DECODER.decode(stripped)
            except (ValueError, RecursionError):
                yield number, stripped


def _document(text: str, path: Path) -> tuple[list[Any], str]:
    """Return the records of an array or of a request's body, and what the file is."""
    try:
        document = _DECODER.decode(text)
    except (json.JSONDecodeError, RecursionError) as error:
        lines = getattr(error, "msg", "") == "Extra data" and text.lstrip(_BLANK).startswith("{")
        raise ReadingError(
            f"{path.name} is not JSON from line {getattr(error, 'lineno', 1):,} on: it was cut short or written by "
            f"hand. Ask for it again{', or give it the ending .jsonl if it holds one object a line' if lines else ''}."
        ) from None
    note = "JSON, an array"
    if isinstance(document, dict):
        document, note = document.get(_DATA), f'JSON, a body with "{_DATA}"'
    if not isinstance(document, list):
        raise ReadingError(f'{path.name} contains no records: give an array of objects, or a body with "{_DATA}".')
    return document, note


def _why_not_text(value: Any) -> str:
    if isinstance(value, dict | list):
        return "a cell contains a list or an object"
    if isinstance(value, str) and not value.isprintable() and any("\ud800" <= c <= "\udfff" for c in value):
        return "a cell contains half a character (a lone surrogate)"
    return ""


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else ""


def _set_aside(number: int, value: Any, reason: str, customer_id: str = "") -> BrokenLine:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return BrokenLine(number, _encodable(customer_id) or None, reason, _encodable(text[:MAX_TEXT]))


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()

"""Rows to JSON in bulk: one statement on the engine, never row by row in Python.

The text of a row is what the vendor is sent, to the byte: all columns in the contract's order, nulls explicit
(the strictest reading of both contracts), times in UTC with ``Z``, text as it is in UTF-8.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.engine import Session, quoted, text
from toolkit.model.contract import CUSTOMER, Column, Contract, Resource

_CACHED = 1 << 16
"""Bytes that are searched together: what is made of them stays in the cache, which takes a third of the time."""
WORST_GROWTH = 6
"""A character of one byte may become six in JSON: \\u0000."""


@dataclass(frozen=True, eq=False)
class EncodedRows:
    """Rows as JSON texts in one buffer, each followed by a comma.

    Attributes
    ----------
    text
        All rows, one after another.
    ends
        Where each row ends in `text`, its comma included; shape (rows,).
    """

    text: memoryview
    ends: npt.NDArray[np.int64]

    def slice(self, first: int, stop: int, head: bytes = b"", tail: bytes = b"") -> bytes:
        """Return the rows from `first` up to `stop`, separated by commas, between `head` and `tail`: copied once."""
        start = int(self.ends[first - 1]) if first else 0
        return b"".join((head, self.text[start : int(self.ends[stop - 1]) - 1], tail))


def each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a JSON object, an `object_pairs_hook`; with the same name twice, it is not clear which of the two counts.

    Raises
    ------
    ValueError
        If a name occurs twice.
    """
    found = dict(members)
    if len(found) < len(members):
        raise ValueError("has an object that contains a name twice: have each name written once.")
    return found


def encode(table: pa.Table, *, resource: Resource = CUSTOMER) -> EncodedRows:
    """Encode every row of an Arrow table that has the resource's columns.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> row = {"customer_id": "007", "updated_at": datetime(2025, 1, 28, 10, tzinfo=UTC)}
    >>> rows = encode(pa.Table.from_pylist([row], schema=CUSTOMER.arrow_schema()))
    >>> rows.slice(0, 1)[:60]
    b'{"customer_id":"007","updated_at":"2025-01-28T10:00:00Z","cu'
    """
    with Session({"rows_": table}) as session:
        texts = session.table(f"SELECT {_json(resource, _bare(table, resource), end='},')} AS row FROM rows_").column(
            "row"
        )
    chunks = [chunk.cast(pa.large_string()) for chunk in texts.chunks]
    if not len(texts):
        return EncodedRows(memoryview(b""), np.zeros(0, dtype=np.int64))
    whole = chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks)  # concat_arrays would copy a single chunk too
    _, offsets, data = whole.buffers()
    ends = np.frombuffer(offsets, dtype=np.int64)[whole.offset : whole.offset + len(whole) + 1]
    return EncodedRows(memoryview(data)[int(ends[0]) :], ends[1:] - ends[0])


def _json(resource: Resource, bare: Collection[str] = (), *, end: str = "}") -> str:
    """Return the SQL for a row as JSON; the columns that are `bare` only need quotes, which halves the time."""
    parts, literal = [], "{"
    for column in resource.columns:
        literal += json.dumps(column.name, ensure_ascii=False) + ":"
        if column.name in bare:
            parts += [text(literal + '"'), _value(column)]
            literal = '",'
        else:
            parts += [text(literal), f"coalesce(to_json({_value(column)})::VARCHAR, 'null')"]
            literal = ","
    return f"concat({', '.join([*parts, text(literal[:-1] + end)])})"


def _bare(table: pa.Table, resource: Resource) -> set[str]:
    """Return the columns of texts or times without a null, and without a character that JSON escapes."""
    return {
        c.name
        for c in resource.columns
        if table[c.name].null_count == 0
        and (c.kind == "datetime" or (c.kind == "string" and not any(map(_escapes, table[c.name].chunks))))
    }


def _escapes(cells: pa.Array) -> bool:
    cells = cells.cast(pa.large_string())
    _, offsets, data = cells.buffers()
    if data is None:
        return False
    ends = np.frombuffer(offsets, dtype=np.int64)
    own = np.frombuffer(data, dtype=np.uint8)[ends[cells.offset] : ends[cells.offset + len(cells)]]
    parts = (own[at : at + _CACHED] for at in range(0, len(own), _CACHED))
    return any(part.min() < ord(" ") or (part == ord('"')).any() or (part == ord("\\")).any() for part in parts)


def max_row_bytes(contract: Contract) -> int:
    """Return the most bytes that a row may have as JSON in a request of its own."""
    return contract.max_bytes - sum(len(part) for part in contract.envelope("", "UPSERT"))


def may_be_oversized(table: pa.Table, max_bytes: int, *, resource: Resource = CUSTOMER) -> bool:
    """Return whether the longest texts of a table, together in one row, could take more than `max_bytes` as JSON."""
    texts = [table[c.name] for c in resource.columns if c.kind == "string"]
    longest = sum(pc.max(pc.binary_length(cells)).as_py() or 0 for cells in texts)
    return _fixed(resource) + WORST_GROWTH * longest > max_bytes


def is_oversized(max_bytes: int, *, resource: Resource = CUSTOMER) -> str:
    """Return an SQL condition that is true for a row of ``rows_`` that takes more than `max_bytes` as JSON.

    Only rows whose text is long enough to come near the limit are encoded, to know their exact size.
    """
    lengths = " + ".join(f"coalesce(strlen({quoted(c.name)}), 0)" for c in resource.columns if c.kind == "string")
    near = f"{_fixed(resource)} + {WORST_GROWTH} * ({lengths}) > {max_bytes}"
    return f"CASE WHEN {near} THEN strlen({_json(resource)}) > {max_bytes} ELSE false END"


def exceeds(max_bytes: int, *, resource: Resource = CUSTOMER) -> str:
    """Return the condition of `is_oversized` for an engine without JSON: the size of each value, summed."""
    sizes = " + ".join(_size(c) for c in resource.columns)
    near = " + ".join(f"coalesce(strlen({quoted(c.name)}), 0)" for c in resource.columns if c.kind == "string")
    fixed = 1 + sum(len(name) + 4 for name in resource.names)  # braces, quotes, colons and commas
    return f"{WORST_GROWTH} * ({near}) + {_fixed(resource)} > {max_bytes} AND {fixed} + {sizes} > {max_bytes}"


def _size(column: Column) -> str:
    name = quoted(column.name)
    if column.kind == "string":
        two, six = '\b\t\n\f\r"\\', "".join(chr(n) for n in range(1, 32) if n not in (8, 9, 10, 12, 13))
        size = f"2 + strlen({name})" + "".join(
            f" + {n} * (length({name}) - length(translate({name}, '{found}', '')))" for n, found in ((1, two), (5, six))
        )
    elif column.kind == "datetime":
        size = f"CASE WHEN date_trunc('second', {name}) = {name} THEN 22 ELSE 29 END"
    else:
        size = f"strlen(CAST({name} AS VARCHAR)) + {2 if column.kind == 'date' else 0}"
    return f"CASE WHEN {name} IS NULL THEN 4 ELSE {size} END"


def _fixed(resource: Resource) -> int:
    return sum(len(name) + WORST_GROWTH for name in resource.names) + 40 * len(resource.columns)


def _value(column: Column) -> str:
    name = quoted(column.name)
    if column.kind == "datetime":
        moment = f"make_timestamp(epoch_us({name}))"  # without a time zone's calendar: twice as fast
        whole, parted = (f"strftime({moment}, '%Y-%m-%dT%H:%M:%S{part}Z')" for part in ("", ".%f"))
        return f"CASE WHEN epoch_us({name}) % 1000000 = 0 THEN {whole} ELSE {parted} END"
    return name

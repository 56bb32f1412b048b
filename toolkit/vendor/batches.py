"""Rows cut into requests by rows and by bytes; each ends before the row that would pass a limit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from toolkit.errors import PlanError
from toolkit.model import ID, TIME, Contract, EncodedRows, encode

_PART = 50_000
"""Rows that are encoded at once, so that the bodies of a large plan are never all in memory."""


@dataclass(frozen=True)
class Batch:
    """One request: its rows are `first` up to `stop` of the plan."""

    number: int
    first: int
    stop: int
    n_bytes: int
    digest: str


@dataclass(frozen=True)
class Envelope:
    """What the bodies of a plan share: the contract's limits, and what surrounds the rows."""

    contract: Contract
    solution: str
    operation: str
    dry_run: bool = False

    @property
    def ends(self) -> tuple[bytes, bytes]:
        """What comes before and after the rows."""
        return self.contract.envelope(self.solution, self.operation, dry_run=self.dry_run)

    def body(self, rows: pa.Table) -> bytes:
        """Return the body that sends these rows, without regard to the limits."""
        return encode(rows, resource=self.contract.resource).slice(0, rows.num_rows, *self.ends)

    def bodies(self, rows: pa.Table) -> Iterator[tuple[int, int, bytes]]:
        """Cut rows into requests: yields (first, stop, body), each ending *before* the row that would pass a limit.

        Raises
        ------
        PlanError
            If one row alone is larger than a request may be.
        """
        head, tail = self.ends
        room = self.contract.max_bytes - len(head) - len(tail)
        first = 0
        while first < rows.num_rows:
            part = rows.slice(first, _PART)
            encoded = encode(part, resource=self.contract.resource)
            last_part = first + part.num_rows == rows.num_rows
            start = 0
            while start < part.num_rows:
                stop = _cut(encoded, start, room, self.contract.max_rows)
                if stop == start:
                    raise PlanError(
                        f"source_row {rows['source_row'][first + start]} is larger than a request may be "
                        f"({self.contract.max_bytes:,} bytes): shorten its texts."
                    )
                if stop == part.num_rows and not last_part and start:
                    break  # the part's end cut this batch off: it begins the next part
                yield first + start, first + stop, encoded.slice(start, stop, head, tail)
                start = stop
            first += start

    def batches(self, rows: pa.Table) -> tuple[Batch, ...]:
        """Return the requests that these rows need, without keeping their bodies."""
        return tuple(
            Batch(number, first, stop, len(body), hashlib.sha256(body).hexdigest())
            for number, (first, stop, body) in enumerate(self.bodies(rows))
        )


class BodyKeys(Sequence[tuple[str, str]]):
    """The keys of a body's rows, which are parsed only if an answer names rows."""

    def __init__(self, body: bytes, n_rows: int) -> None:
        self._body, self._n_rows = body, n_rows

    @cached_property
    def _read(self) -> list[tuple[str, str]]:
        return [(row[ID], row[TIME]) for row in json.loads(self._body)["data"]]

    def __len__(self) -> int:
        return self._n_rows

    def __getitem__(self, place: Any) -> Any:
        return self._read[place]


def _cut(encoded: EncodedRows, start: int, room: int, max_rows: int) -> int:
    """Return where the batch that begins at `start` ends; the last row's comma is not sent."""
    begin = int(encoded.ends[start - 1]) if start else 0
    fits = int(np.searchsorted(encoded.ends, begin + room + 1, side="right"))
    return min(fits, start + max_rows)

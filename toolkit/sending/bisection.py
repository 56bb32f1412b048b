"""The rows of one batch that still need an answer, and the pieces in which they go when no answer names a row.

Why it works as it does. The vendor refused a request as a whole and named no row, or gave a success that contradicts
itself. Sending the halves separates the good rows from the bad ones.

The pieces wait on a stack, the next one last: rows go depth first and from left to right, and at most log2(n) pieces
wait. Where a refused piece was halved and its left half was taken whole, the right half must hold the bad row; it is
halved again without a request. Pieces that were too large are halved too, but prove nothing about their rows.

A row that is refused alone proves nothing yet: a vendor under maintenance, or a wrong setting, refuses every request.
So such rows wait in `_blamed` until an answer shows that the vendor looks at rows: it took some, or named one. The
next such answer refuses all that waited. If no such answer comes, no row is refused and the search is hopeless. What
the vendor took of *other* batches counts only for a batch that is at its end; in the middle of a flood of refusals it
could be an outage that began between two batches.

The search is bounded, because each request costs time and the vendor's patience: with too many bad rows, or after too
many requests in a row that resolve nothing, the reason is hardly the rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from toolkit.sending.records import Ranges
from toolkit.vendor import Remark, Verdict

Places = npt.NDArray[np.int64]
"""Rows of a plan by their position, ascending."""

MOST_FOUND = 20
"""Rows of one batch that are searched for; with more, the reason is hardly the rows."""
_NO_PLACES = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Resolved:
    """The rows that an answer resolved: accepted (some with a warning), refused, or set aside as unresolvable."""

    accepted: Places = field(default_factory=lambda: _NO_PLACES)
    refused: dict[int, Remark] = field(default_factory=dict)
    aside: Places = field(default_factory=lambda: _NO_PLACES)
    warned: dict[int, Remark] = field(default_factory=dict)


class Bisection:
    """Halves a piece that was refused as a whole, until one row is left.

    One bad row among n takes at most 2·log2(n) + 1 requests, k of them at most 2·k·(log2(n/k) + 1) + 1. It gives up
    with more than `MOST_FOUND` bad rows, or after 4·log2(n) + 12 requests in a row that resolve nothing, or if every
    row was refused alone, unless `others_taken` says that the vendor looks at rows.

    Examples
    --------
    >>> cuts = Bisection(np.arange(4))
    >>> _ = cuts.resolve(Verdict("split")); cuts.part
    array([0, 1])
    >>> _ = cuts.resolve(Verdict("taken")); cuts.part
    array([2])
    """

    def __init__(self, places: Places) -> None:
        self._work: list[tuple[Places, bool]] = [(places, False)]  # the next last; is it the left of a refused piece?
        self._patience = 4 * math.ceil(math.log2(len(places) + 1)) + 8
        self._n_fruitless = self._n_found = 0
        self._blamed: dict[int, Remark] = {}  # refused alone, before any answer showed that the vendor looks at rows
        self._looks_at_rows = False
        self.others_taken = False  # whether the vendor took other rows of the push, and so looks at rows

    @property
    def part(self) -> Places:
        """The rows to send next; empty if all are resolved or set aside."""
        return self._work[-1][0] if self._work else _NO_PLACES

    @property
    def hopeless(self) -> bool:
        """Whether to give up: the vendor refuses too much and names no row."""
        flooded = self._n_fruitless > self._patience or self._n_found > MOST_FOUND
        return bool(self._blamed and not self._work) or (flooded and bool(self._work))

    def resolve(self, verdict: Verdict) -> Resolved:
        """Apply the verdict on `part`."""
        part, left = self._work.pop()
        self._n_fruitless += 1
        refused = {int(part[place]): refusal for place, refusal in verdict.refused.items()}
        if verdict.kind in ("split", "large"):
            if len(part) == 1:
                return Resolved(aside=part)
            self._halve(part, refused=verdict.kind == "split")
            return Resolved()
        if verdict.blamed:
            self._blamed |= refused
            self._n_found += 1
            known = self._looks_at_rows or (self.others_taken and not self._work)
            return Resolved(refused=self._released()) if known else Resolved()
        self._looks_at_rows, self._n_fruitless = True, 0
        rest = np.delete(part, list(verdict.refused)) if refused else part
        if verdict.kind == "again":
            if len(rest):
                self._work.append((rest, False))
            return Resolved(refused=self._released() | refused)
        if left and not refused and len(self.part) > 1:
            self._halve(self._work.pop()[0], refused=True)
        warned = {int(part[place]): remark for place, remark in verdict.warned.items()}
        return Resolved(rest, self._released() | refused, warned=warned)

    def halve(self) -> None:
        """Send the halves of `part` instead: as a whole it would be too large."""
        self._halve(self._work.pop()[0], refused=False)

    def hold(self) -> None:
        """Leave `part` to the analyst: the vendor may have taken it, and it must not be sent again."""
        self._work.pop()

    def _released(self) -> dict[int, Remark]:
        blamed, self._blamed = self._blamed, {}
        return blamed

    def _halve(self, part: Places, *, refused: bool) -> None:
        half = len(part) // 2
        self._work += [(part[half:], False), (part[:half], refused)]


def ranges(places: Places) -> Ranges:
    """Return ascending places as first row and row after the last.

    Examples
    --------
    >>> ranges(np.array([0, 1, 2, 7]))
    [(0, 3), (7, 8)]
    """
    breaks = np.flatnonzero(np.diff(places) != 1) + 1
    return [(int(run[0]), int(run[-1]) + 1) for run in np.split(places, breaks) if len(run)]

"""The rows of one batch that no answer settled yet, and in which pieces they go: nobody says which row is bad."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from toolkit.sending.records import Ranges
from toolkit.vendor import Refusal, Verdict

Places = npt.NDArray[np.int64]
"""Rows of a plan by their position, ascending."""

MOST_FOUND = 20
"""Rows of one batch that are searched for; with more, it is hardly the rows."""
_NOBODY = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Told:
    """What is known of rows since the last answer: accepted ones, refused ones, and those that nobody can tell."""

    accepted: Places = field(default_factory=lambda: _NOBODY)
    refused: dict[int, Refusal] = field(default_factory=dict)
    aside: Places = field(default_factory=lambda: _NOBODY)


class Bisection:
    """Halves a piece that was refused as a whole, until what is left is one row.

    One bad row among n takes at most 2·log2(n) + 1 requests, k of them at most 2·k·(log2(n/k) + 1) + 1: where the
    left half was taken whole, the right half is known to be refused, and is not sent to hear it. With more than
    `MOST_FOUND` of them, or after 4·log2(n) + 12 requests without a row settled, it gives up. So it does where every
    row was refused by itself, unless `others_taken` says that the vendor looks at rows.

    Examples
    --------
    >>> cuts = Bisection(np.arange(4))
    >>> _ = cuts.hear(Verdict("split")); cuts.part
    array([0, 1])
    >>> _ = cuts.hear(Verdict("taken")); cuts.part
    array([2])
    """

    def __init__(self, places: Places) -> None:
        self._work: list[tuple[Places, bool]] = [(places, False)]  # the next last; is it the left one of two?
        self._patience = 4 * math.ceil(math.log2(len(places) + 1)) + 8
        self._n_fruitless = self._n_found = 0
        self._blamed: dict[int, Refusal] = {}  # refused alone, while no answer shows that the vendor looks at rows
        self._understood = False
        self.others_taken = False  # whether the vendor took other rows of the push, and so looks at rows
        self.too_large, self.n_taken = False, 0  # whether a piece was, and the rows of the largest that was taken

    @property
    def part(self) -> Places:
        """The rows to send next; none when all are settled or set aside."""
        return self._work[-1][0] if self._work else _NOBODY

    @property
    def hopeless(self) -> bool:
        """Whether to give up: the vendor refuses too much, and names nobody."""
        flooded = self._n_fruitless > self._patience or self._n_found > MOST_FOUND
        return bool(self._blamed and not self._work) or (flooded and bool(self._work))

    def cut(self, most: int) -> None:
        """Halve what comes next until it has at most `most` rows, without a request."""
        while len(self.part) > max(most, 1):
            self._halve(self._work.pop()[0], told=False)

    def hear(self, verdict: Verdict) -> Told:
        """Take in what was said of `part`."""
        part, left = self._work.pop()
        self._n_fruitless += 1
        refused = {int(part[place]): refusal for place, refusal in verdict.refused.items()}
        self.too_large |= verdict.kind == "large"
        if verdict.kind in ("split", "large"):
            if len(part) == 1:
                return Told(aside=part)
            self._halve(part, told=verdict.kind == "split")
            return Told()
        if verdict.blamed:
            self._blamed |= refused
            self._n_found += 1
            # Rows of other batches tell less than rows of this one: of many, one is to be taken before any is refused.
            known = self._understood or (self.others_taken and not self._work)
            return Told(refused=self._released()) if known else Told()
        self._understood, self._n_fruitless = True, 0
        rest = np.delete(part, list(verdict.refused)) if refused else part
        if verdict.kind == "again":
            if len(rest):
                self._work.append((rest, False))
            return Told(refused=self._released() | refused)
        self.n_taken = max(self.n_taken, len(part))
        if left and not refused and len(self.part) > 1:
            self._halve(self._work.pop()[0], told=True)
        return Told(rest, self._released() | refused)

    def hold(self) -> None:
        """Leave `part` to the analyst: it may have been taken, and must not go again."""
        self._work.pop()

    def _released(self) -> dict[int, Refusal]:
        blamed, self._blamed = self._blamed, {}
        return blamed

    def _halve(self, part: Places, *, told: bool) -> None:
        half = len(part) // 2
        self._work += [(part[half:], False), (part[:half], told)]


def ranges(places: Places) -> Ranges:
    """Return ascending places as first row and row after the last.

    Examples
    --------
    >>> ranges(np.array([0, 1, 2, 7]))
    [(0, 3), (7, 8)]
    """
    if len(places) == 0:
        return []
    if places[-1] - places[0] < len(places):
        return [(int(places[0]), int(places[-1]) + 1)]
    breaks = np.flatnonzero(np.diff(places) != 1) + 1
    return [(int(run[0]), int(run[-1]) + 1) for run in np.split(places, breaks)]

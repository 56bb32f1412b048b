"""What the cells of a file's columns look like, whatever the columns are called."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.reading.date_patterns import DatePattern, infer_pattern

SAMPLE = 5_000
FEW = 300
"""The most distinct values of a column that groups rows."""
MANY_ROWS = 20
"""Rows from which on it means anything that values repeat."""


@dataclass(frozen=True)
class Content:
    """What the cells of one file column look like.

    Attributes
    ----------
    n_rows, n_filled, n_distinct
        Rows; cells that are not empty; distinct ones among them.
    values
        The distinct cells of a sample, with their counts.
    times
        How it writes times; None if it contains none.
    """

    n_rows: int
    n_filled: int
    n_distinct: int
    values: Counter[str]
    times: DatePattern | None

    @property
    def examples(self) -> tuple[str, ...]:
        """A few cells, the most frequent first."""
        return tuple(value for value, _ in self.values.most_common(3))

    @property
    def unique(self) -> float:
        """Share of the filled cells that are distinct, 0 to 1."""
        return self.n_distinct / self.n_filled if self.n_filled else 0.0

    @property
    def groups(self) -> bool:
        """Whether few values repeat, as categories do."""
        return 1 < self.n_distinct <= FEW and (self.n_rows < MANY_ROWS or self.unique <= 0.3)

    def share(self, pattern: re.Pattern[str]) -> float:
        """Return the share of the distinct cells that contain a pattern, 0 to 1."""
        return sum(pattern.search(value) is not None for value in self.values) / max(len(self.values), 1)

    def listed(self, words: set[str]) -> float:
        """Return the share of the distinct cells that are one of these words, 0 to 1."""
        return sum(value.strip().casefold() in words for value in self.values) / max(len(self.values), 1)


def read_content(cells: pa.ChunkedArray, *, iso_too: bool = False) -> Content:
    """Look at a column of text: all rows for counts and times, a sample of them for the rest."""
    filled = cells.filter(pc.greater(pc.binary_length(cells), 0))
    places = np.unique(np.linspace(0, max(len(cells) - 1, 0), min(len(cells), SAMPLE), dtype=np.int64))
    values = Counter(value for value in cells.take(pa.array(places)).to_pylist() if value.strip())
    sampled = infer_pattern(pa.chunked_array([pa.array(list(values), pa.large_string())]), iso_too=iso_too)
    times = infer_pattern(cells, iso_too=iso_too) if sampled.share >= 0.5 else None
    return Content(len(cells), len(filled), pc.count_distinct(filled).as_py(), values, times)

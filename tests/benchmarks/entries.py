"""What is measured, each entry in a process of its own: ``python -m tests.benchmarks.entries NAME ROWS [PEERS]``.

It prints one JSON list of figures as its last line, or why it could not run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass

from tests.benchmarks import checking, comparing, engines, growth, large, readiness, review, sending, start
from tests.benchmarks.figures import Figure, NotRunError

Measure = Callable[[int, str], list[Figure]]


@dataclass(frozen=True)
class Entry:
    """What is measured at once.

    Attributes
    ----------
    factor
        Times the rows that are asked for.
    limit_s
        It is stopped after so many seconds.
    peers
        Whether it runs only beside the peers' environment.
    """

    measure: Measure
    factor: float = 1
    limit_s: int = 180
    peers: bool = False


ENTRIES = {
    "diff": Entry(comparing.in_memory),
    "diff within a limit": Entry(comparing.limited, 10, 600),
    "profile": Entry(large.profiling, 10, 400),
    "encode": Entry(sending.encoding),
    "push": Entry(sending.pushing),
    "push command": Entry(sending.command, 0.1),
    "readiness": Entry(readiness.joining, limit_s=240),
    "notebook 20": Entry(large.refreshing, limit_s=600),
    "PostgreSQL": Entry(engines.on_engine("postgresql"), limit_s=240),
    "Sail": Entry(engines.on_engine("sail"), limit_s=240),
    "Sail, ten times the rows": Entry(engines.on_engine("sail"), 10, 300),
    "Spark": Entry(engines.on_engine("spark"), limit_s=600),
    "Spark, ten times the rows": Entry(engines.on_engine("spark"), 10, 900),
    "growth": Entry(growth.exponents, limit_s=600),
    "validate": Entry(checking.in_memory),
    "split": Entry(checking.beside_peers, peers=True),
    "read": Entry(checking.csv_read),
    "validate on disk": Entry(checking.on_disk, 10, 240),
    "start": Entry(start.starting),
    "review grid": Entry(review.reviewing, 0.1),
}
"""By name, in the order of the table."""


def main(name: str, rows: str, peers: str = "") -> None:
    """Measure one entry."""
    entry = ENTRIES[name]
    try:
        found = [figure.to_dict() for figure in entry.measure(int(entry.factor * int(rows)), peers)]
    except NotRunError as error:
        found = [{"work": name, "not_run": str(error)}]
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:4])

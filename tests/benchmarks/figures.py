"""A measured figure, and how to measure one: medians of several runs, of a long one fewer."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SHORT_S, LONG_S = 10, 30
"""Shorter runs are done five times, longer ones once, those in between three times."""


class NotRunError(Exception):
    """What an entry needs is not on this machine."""


@dataclass(frozen=True)
class Figure:
    """What was measured of one piece of work; with a bound, whether it holds.

    Attributes
    ----------
    value, unit
        The median, or of memory the greatest.
    runs
        How many runs there were.
    beside, peer
        What it is compared with, and the value of that.
    at_most, at_least
        The bound: of the ratio to the peer if there is one, else of the value.
    note
        What a reader must know.
    """

    work: str
    value: float
    unit: str = "s"
    runs: int = 1
    beside: str = ""
    peer: float | None = None
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The value over that of the peer, or over the bound."""
        other = self.peer if self.beside else (self.at_most or self.at_least)
        return self.value / other if other else None

    @property
    def holds(self) -> bool | None:
        """Whether the bound is kept; None without one."""
        found = self.ratio if self.beside else self.value
        if found is None or (self.at_most is None and self.at_least is None):
            return None
        return found <= self.at_most if self.at_most is not None else found >= (self.at_least or 0)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, the ratio and whether the bound holds, for JSON."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "")} | {
            "ratio": self.ratio,
            "holds": self.holds,
        }

    def __str__(self) -> str:
        """Return the line of the progress."""
        amount = f"{self.value:,.2f}" if self.value < 1000 else f"{self.value:,.0f}"
        told = f"{self.work}: {amount} {self.unit}"
        told += f", {self.ratio:.2f} of {self.beside}" if self.beside and self.ratio is not None else ""
        return told + {None: "", True: " (reached)", False: " (not reached)"}[self.holds]


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return how long a call took, and what it gave."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def times(first_s: float) -> int:
    """Return how many runs there are in all, if the first took so long."""
    return 5 if first_s < SHORT_S else 3 if first_s < LONG_S else 1


def in_turn(*works: Callable[[], Any]) -> tuple[list[float], int, list[Any]]:
    """Run the sides in turn; returns the median seconds of each, the number of runs, and what each gave last."""
    took: list[list[float]] = [[] for _ in works]
    results: list[Any] = [None] * len(works)
    while not took[0] or len(took[0]) < times(max(each[0] for each in took)):
        for side, work in enumerate(works):
            results[side] = None  # not held while the next one is made
            spent, results[side] = seconds(work)
            took[side].append(spent)
    return [median(each) for each in took], len(took[0]), results


def child(*arguments: str, python: str = sys.executable) -> Any:
    """Run Python in a process of its own, in the project's folder; returns the JSON of its last line.

    Raises
    ------
    RuntimeError
        If it fails, with its last line.
    """
    done = subprocess.run([python, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1])
    return json.loads(done.stdout.splitlines()[-1])


def children(*arguments: str) -> tuple[dict[str, Any], int]:
    """Run a child several times; returns the medians of what it gives, the greatest ``bytes``, and the number of runs.

    What it gives has its ``seconds``.
    """
    runs = [child(*arguments)]
    while len(runs) < times(runs[0]["seconds"]):
        runs.append(child(*arguments))
    merged = {name: median(run[name] for run in runs) for name in runs[0]}
    return merged | {"bytes": max(run.get("bytes", 0) for run in runs)}, len(runs)


def peak_bytes() -> int:
    """Return the most memory that this process had since it was last reset.

    VmHWM, for ru_maxrss of a child begins with what its parent had.
    """
    return 1024 * int(Path("/proc/self/status").read_text(encoding="utf-8").split("VmHWM:")[1].split()[0])


def forget_peak() -> int:
    """Let the peak begin with what is in memory now, and return that."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    return peak_bytes()

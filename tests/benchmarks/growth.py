"""How the time of each station grows with the rows: ``python -m tests.benchmarks.growth ROWS`` measures one size.

The exponent is the slope of a straight line through the logarithms: 1 is twice the time for twice the rows. Each size
has a process of its own, so that memory of one is not there for the next.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from data.make_deliveries import customer_table
from toolkit.engine import to_arrow
from toolkit.ledger import diff
from toolkit.model import CUSTOMER, empty_frame
from toolkit.pushing import plan_push
from toolkit.quality import profile, validate
from toolkit.vendor import Envelope

ROOT = Path(__file__).resolve().parents[2]


def stations(n: int) -> dict[str, Callable[[], Any]]:
    """Return what is measured, on `n` rows: a first load is planned, 1 % is changed for the diff."""
    before, after = customer_table(n), customer_table(n, changed=0.01)
    first, rows = diff(empty_frame(), before), to_arrow(before, CUSTOMER.arrow_schema())
    plan = plan_push(first)
    envelope = Envelope(plan.envelope.contract, "QP", "UPSERT")
    return {
        "diff": lambda: diff(before, after),
        "validate": lambda: validate(after, rules=()),
        "profile": lambda: profile(after)._repr_mimebundle_(),
        "encode": lambda: sum(len(body) for *_, body in envelope.bodies(rows)),
        "plan": lambda: plan_push(first),
    }


def measure(n: int) -> dict[str, float]:
    """Return the median seconds of each station."""
    found = {}
    for name, work in stations(n).items():
        took = []
        for _ in range(5 if n <= 1_000_000 else 3):
            start = time.perf_counter()
            work()
            took.append(time.perf_counter() - start)
        found[name] = median(took)
    return found


def exponents(sizes: Sequence[int]) -> dict[str, dict[str, Any]]:
    """Measure each size in a process of its own; returns by station the seconds and the fitted exponent."""
    runs = []
    for n in sizes:
        command = [sys.executable, "-m", "tests.benchmarks.growth", str(n)]
        runs.append(json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout))
    return {
        name: {
            "seconds": [run[name] for run in runs],
            "exponent": float(np.polyfit(np.log(sizes), np.log([run[name] for run in runs]), 1)[0]),
        }
        for name in runs[0]
    }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))

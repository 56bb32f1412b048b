"""How the time of each station grows with the rows: ``python -m tests.benchmarks.growth ROWS`` measures one size.

The exponent is the slope of a straight line through the logarithms: 1 is twice the time for twice the rows. Each size
has a process of its own, so that memory of one is not there for the next.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from data.make_deliveries import customer_table
from tests.benchmarks.figures import Figure, child, in_turn
from toolkit.engine import to_arrow
from toolkit.ledger import diff
from toolkit.model import CUSTOMER, empty_frame
from toolkit.pushing import plan_push
from toolkit.quality import profile, validate
from toolkit.vendor import Envelope

EXPONENT_AT_MOST = 1.1


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
    return {name: in_turn(work)[0][0] for name, work in stations(n).items()}


def exponents(n: int, _: str = "") -> list[Figure]:
    """Measure a tenth of the rows, the rows and ten times the rows, each in a process of its own."""
    sizes = (n // 10, n, 10 * n)
    runs: list[dict[str, float]] = [child("-m", "tests.benchmarks.growth", str(size)) for size in sizes]
    return [
        Figure(f"growth of {name}, {sizes[0]:,} to {sizes[-1]:,} rows",
               float(np.polyfit(np.log(sizes), np.log([run[name] for run in runs]), 1)[0]), "exponent",
               at_most=EXPONENT_AT_MOST, note=", ".join(f"{run[name]:.2f}" for run in runs) + " s")
        for name in runs[0]
    ]  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))

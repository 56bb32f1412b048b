"""Measure all in one run: ``python -m tests.benchmarks [ROWS] [PYTHON]``, as ``make bench`` does.

PYTHON is that of an environment with the peers of `peers.py`, which do not fit into the toolkit's own. Not a test: a
busy machine fails no build. It writes ``results/bench.json``, a chart ``results/bench.svg``, and the table in
``docs/speed.md``; none of them names the machine.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from statistics import median
from typing import Any

from tests.benchmarks import bench, bench_push, bench_readiness, bench_start, growth, large, showing
from tests.benchmarks.bench import FIGURES, bounded

EXPONENT_AT_MOST = 1.1
PROFILE_S, PROFILE_BYTES, NOTEBOOK_S = 6, 1_000_000_000, 20


def run(n: int, peers: str) -> dict[str, Any]:
    """Measure everything; `n` is 1,000,000 unless it is only tried whether the run ends."""
    bench.run(n, peers=peers)
    bench_push.run(n)
    runs = [large.measure("profile", 10 * n) for _ in range(3)]
    print(bounded(f"profile {10 * n:,}", median(run["seconds"] for run in runs), "s", PROFILE_S))
    print(bounded(f"profile {10 * n:,}", max(run["bytes"] for run in runs) / 1e6, "MB", PROFILE_BYTES / 1e6))
    took = median(large.measure("notebook", n)["seconds"] for _ in range(5))
    print(bounded("notebook 20", took, "s", NOTEBOOK_S))
    sizes = (n // 10, n, 10 * n)
    grown = growth.exponents(sizes)
    for name, each in grown.items():
        print(bounded(f"{name} grows", each["exponent"], "exponent", EXPONENT_AT_MOST))
    measured = bench_readiness.measure(n)
    print(bounded("readiness", measured["seconds"], "s", bench_readiness.SECONDS_AT_MOST))
    print(bounded("readiness", measured["bytes"] / 1e6, "MB", bench_readiness.BYTES_AT_MOST / 1e6))
    versions = {package: version(package) for package in ("duckdb", "pandas", "pandera", "pyarrow")}
    return {"rows": n, "versions": versions, "figures": FIGURES, "growth": {"rows": sizes, **grown},
            "start": bench_start.measure()}  # fmt: skip


if __name__ == "__main__":
    n_rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    found = run(n_rows, "".join(sys.argv[2:3]))
    showing.RESULTS.mkdir(exist_ok=True)
    (showing.RESULTS / "bench.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    showing.write(found)
    missed = [figure["name"] for figure in FIGURES if not figure.get("holds", True)]
    print(f"Beyond its bound: {', '.join(missed)}." if missed else "The bounds hold.")
    sys.exit(1 if missed else 0)

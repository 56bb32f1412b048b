"""Measure what a start costs, in processor time: `python -m tests.benchmarks.bench_start`, one JSON object."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STARTS = {
    "pandas_and_pandera": "import pandas, pandera.pandas",
    "import_toolkit": "import toolkit",
    "all_names": "import toolkit as tk; [getattr(tk, name) for name in tk.__all__]",
    "help": "from toolkit.cli import main; main(['--help'])",
}


def processor_s(code: str) -> float:
    """Return the processor time of a Python program, start of the interpreter included."""
    program = f"{code}\nimport sys, time; print(time.process_time(), file=sys.stderr)"
    # A start after the first one: the first also compiles the package, and keeps the byte code.
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return float(done.stderr.splitlines()[-1])


def measure(times: int = 7) -> dict[str, float]:
    """Return the median of each start in seconds, what all names cost over pandas and pandera, and their ratio."""
    rounds = [{name: processor_s(code) for name, code in STARTS.items()} for _ in range(times)]
    figures = {name: round(statistics.median(each[name] for each in rounds), 3) for name in STARTS}
    pandas = figures["pandas_and_pandera"]
    return figures | {
        "all_names_over_pandas_s": round(figures["all_names"] - pandas, 3),
        "all_names_ratio": round(figures["all_names"] / pandas, 2),
    }


if __name__ == "__main__":
    print(json.dumps({"start": measure()}))

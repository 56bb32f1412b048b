"""What a start costs, in processor time."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

from tests.benchmarks.figures import ROOT, Figure

HELP_AT_MOST, NAMES_AT_MOST = 0.5, 0.3
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


def starting(_n: int, _: str = "", times: int = 5) -> list[Figure]:
    """Measure each start, and what all names cost over pandas and pandera."""
    rounds = [{name: processor_s(code) for name, code in STARTS.items()} for _ in range(times)]
    took = {name: statistics.median(each[name] for each in rounds) for name in STARTS}
    unit, over = "s of processor", took["all_names"] - took["pandas_and_pandera"]
    return [
        Figure("import toolkit", took["import_toolkit"], unit, times),
        Figure("import toolkit, all names, over pandas and pandera", over, unit, times, at_most=NAMES_AT_MOST),
        Figure("toolkit --help", took["help"], unit, times, at_most=HELP_AT_MOST),
    ]

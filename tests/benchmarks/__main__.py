"""Measure all in one run: ``python -m tests.benchmarks [ROWS] [PYTHON] [ENTRY …]``, as ``make bench`` does.

PYTHON is that of an environment with the peers of `peers.py`, which do not fit into the toolkit's own. Each entry is a
process of its own with a time limit, and one that fails is shown as failed. Not a test: a busy machine fails no build.
A whole run writes ``results/bench.json``, a chart ``results/bench.svg`` and the table in ``docs/speed.md``; none of
them names the machine but for its cores and its memory.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from importlib.metadata import version
from typing import Any

from tests.benchmarks import showing
from tests.benchmarks.entries import ENTRIES
from tests.benchmarks.figures import ROOT


def measured(name: str, rows: int, peers: str) -> list[dict[str, Any]]:
    """Return the figures of an entry, or one that says why there are none."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.entries", name, str(rows), peers]
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as entry:  # fmt: skip
        try:
            told, wrong = entry.communicate(timeout=ENTRIES[name].limit_s)
            reason = "" if entry.returncode == 0 else (wrong.strip().splitlines() or [f"exit {entry.returncode}"])[-1]
        except subprocess.TimeoutExpired:
            told, reason = "", f"not done within {ENTRIES[name].limit_s} s"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(entry.pid, signal.SIGKILL)  # servers and browsers of an entry that was stopped
    found: list[dict[str, Any]] = [{"work": name, "failed": reason}] if reason else json.loads(told.splitlines()[-1])
    return found


def machine() -> str:
    """Return the machine in general words."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GB of memory, Linux"


def run(rows: int, peers: str, names: list[str]) -> dict[str, Any]:
    """Measure the entries one after another, with a line each."""
    figures, start = [], time.perf_counter()
    for number, name in enumerate(names, 1):
        began = time.perf_counter()
        found = (
            [{"work": name, "not_run": "the environment of the peers is not there: make bench makes it"}]
            if ENTRIES[name].peers and not peers
            else measured(name, rows, peers)
        )
        figures += found
        now = time.perf_counter()
        print(f"[{number}/{len(names)}] {name}: {now - began:.0f} s, {(now - start) / 60:.1f} min in all", flush=True)
        for figure in found:
            print(f"    {showing.line(figure)}", flush=True)
    versions = {package: version(package) for package in ("duckdb", "pandas", "pandera", "pyarrow")}
    return {"rows": rows, "machine": machine(), "versions": versions, "figures": figures}


if __name__ == "__main__":
    n_rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    chosen = sys.argv[3:] or list(ENTRIES)
    result = run(n_rows, "".join(sys.argv[2:3]), chosen)
    if chosen == list(ENTRIES):
        showing.RESULTS.mkdir(exist_ok=True)
        (showing.RESULTS / "bench.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        showing.write(result)
    failed = [figure["work"] for figure in result["figures"] if "failed" in figure]
    missed = [figure["work"] for figure in result["figures"] if figure.get("holds") is False]
    print(f"Not reached: {'; '.join(missed)}." if missed else "All that was asked is reached.")
    if failed:
        print(f"Failed: {'; '.join(failed)}.")
    sys.exit(1 if failed else 0)

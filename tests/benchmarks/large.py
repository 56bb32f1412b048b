"""Measured in a process of its own: ``python -m tests.benchmarks.large NAME ROWS`` prints seconds and peak memory.

- ``profile``: a frame that is in memory already, with the page that a notebook shows. Its own memory is not counted.
- ``notebook``: `20_refresh_with_what_changed` through ``toolkit run``, with the start of its kernel and the push of the
  first delivery to the sandbox.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data.make_deliveries import customer_table
from tests.benchmarks.figures import ROOT, Figure, children, forget_peak, peak_bytes
from toolkit.quality import profile
from toolkit.reading import suggest_mapping

PROFILE_S, PROFILE_BYTES, NOTEBOOK_S = 6, 1_000_000_000, 20


def profile_frame(n: int) -> dict[str, float]:
    """Profile a frame, and make its page."""
    frame = customer_table(n)
    before, start = forget_peak(), time.perf_counter()
    profile(frame)._repr_mimebundle_()
    return {"seconds": time.perf_counter() - start, "bytes": peak_bytes() - before}


def notebook(n: int) -> dict[str, float]:
    """Run the notebook on two deliveries, of which the second has 1 % changed; the first is pushed in it too."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for name, share in (("before", 0.0), ("delivery", 0.01)):
            paths[name] = Path(folder, f"{name}.csv")
            customer_table(n, changed=share).to_csv(paths[name], index=False, date_format="%Y-%m-%dT%H:%M:%SZ")
            suggest_mapping(paths[name]).to_toml(paths[name].with_suffix(".toml"))
        given = {**paths, "mapping": paths["delivery"].with_suffix(".toml")}
        book = str(ROOT / "notebooks" / "20_refresh_with_what_changed.ipynb")
        command = [sys.executable, "-m", "toolkit", "run", book,
                   *(part for name, path in given.items() for part in ("-p", f"{name}={path}")),
                   "--out", str(Path(folder, "out.ipynb"))]  # fmt: skip
        environment = os.environ | {"TOOLKIT_HOME": str(Path(folder, "home")), "PYTHONPATH": str(ROOT)}
        start = time.perf_counter()
        done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=False)
        # 1: it ran, and its last result is one that an analyst should look at
        if done.returncode not in (0, 1):
            done.check_returncode()
        return {"seconds": time.perf_counter() - start}


def profiling(n: int, _: str = "") -> list[Figure]:
    """Profile a frame, with its page."""
    found, runs = children("-m", "tests.benchmarks.large", "profile", str(n))
    work = f"profile with page, {n:,} rows"
    return [
        Figure(work, found["seconds"], runs=runs, at_most=PROFILE_S),
        Figure(f"{work}: peak", found["bytes"] / 1e6, "MB", runs, at_most=PROFILE_BYTES / 1e6, note="beside the frame"),
    ]


def refreshing(n: int, _: str = "") -> list[Figure]:
    """Run notebook 20."""
    found, runs = children("-m", "tests.benchmarks.large", "notebook", str(n))
    work = f"notebook 20 whole, {n:,} rows, 1 % changed"
    return [
        Figure(work, found["seconds"], runs=runs, at_most=NOTEBOOK_S, note="both deliveries are sent to the sandbox")
    ]


WORK: dict[str, Callable[[int], dict[str, Any]]] = {"profile": profile_frame, "notebook": notebook}


if __name__ == "__main__":
    print(json.dumps(WORK[sys.argv[1]](int(sys.argv[2]))))

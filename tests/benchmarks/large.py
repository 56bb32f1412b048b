"""Measured in a process of its own: ``python -m tests.benchmarks.large NAME ROWS`` prints seconds and peak memory.

- ``profile``: a frame that is in memory already, with the page that a notebook shows. Its own memory is not counted.
- ``notebook``: `20_refresh_with_what_changed` through ``toolkit run``, with the start of its kernel.
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
from tests.benchmarks.figures import ROOT, Figure, children, forget_peak, peak_bytes, seconds
from tests.benchmarks.sending import SANDBOX, serving
from toolkit.model.contract import CURRENT
from toolkit.quality import profile
from toolkit.reading import suggest_mapping

PROFILE_S, PROFILE_BYTES, NOTEBOOK_S = 6, 1_000_000_000, 20
REFRESH = ROOT / "notebooks" / "20_refresh_with_what_changed.ipynb"


def profile_frame(n: int) -> dict[str, float]:
    """Profile a frame, and make its page."""
    frame = customer_table(n)
    before, start = forget_peak(), time.perf_counter()
    profile(frame)._repr_mimebundle_()
    return {"seconds": time.perf_counter() - start, "bytes": peak_bytes() - before}


def notebook(n: int) -> dict[str, float]:
    """Run the notebook as a scheduler does: the ledger knows the first delivery, of the second 1 % changed.

    The first delivery is pushed before, by the command; the vendor is a sandbox in a process of its own.
    """
    with tempfile.TemporaryDirectory() as folder, serving(SANDBOX) as line:
        home = Path(folder, "home")
        given = {"TOOLKIT_HOME": str(home), "TOOLKIT_TARGET": "acme", "TOOLKIT_BASE_URL": line(),
                 "PEAK_AUTH_TOKEN": "sandbox", "TOOLKIT_CONTRACT": CURRENT.name, "PYTHONPATH": str(ROOT)}  # fmt: skip

        def toolkit(*words: str) -> None:
            done = subprocess.run([sys.executable, "-m", "toolkit", *words], cwd=folder, env=os.environ | given,
                                  stdout=subprocess.DEVNULL, check=False)  # fmt: skip
            # 1: it ran, and its last result is one that an analyst should look at
            if done.returncode not in (0, 1):
                done.check_returncode()

        for name, share in (("before", 0.0), ("delivery", 0.01)):
            path = Path(folder, f"{name}.csv")
            customer_table(n, changed=share).to_csv(path, index=False, date_format="%Y-%m-%dT%H:%M:%SZ")
            suggest_mapping(path).to_toml(path.with_suffix(".toml"))
        toolkit("push", "before.csv", "--mapping", "before.toml", "--yes", "--allow", "all")
        names = ("delivery=delivery.csv", "mapping=delivery.toml", "target=acme")
        took_s, _ = seconds(lambda: toolkit("run", str(REFRESH), *(word for name in names for word in ("-p", name)),
                                            "--out", "out.ipynb"))  # fmt: skip
        return {"seconds": took_s}


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
    return [Figure(work, found["seconds"], runs=runs, at_most=NOTEBOOK_S, note="the ledger knows the first delivery")]


WORK: dict[str, Callable[[int], dict[str, Any]]] = {"profile": profile_frame, "notebook": notebook}


if __name__ == "__main__":
    print(json.dumps(WORK[sys.argv[1]](int(sys.argv[2]))))

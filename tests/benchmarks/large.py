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
from toolkit.quality import profile
from toolkit.reading import suggest_mapping

ROOT = Path(__file__).resolve().parents[2]


def peak_bytes() -> int:
    """Return the most memory that this process had since it was last reset."""
    return 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])


def profile_frame(n: int) -> dict[str, float]:
    """Profile a frame, and make its page."""
    frame = customer_table(n)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins with what the frame takes
    before, start = peak_bytes(), time.perf_counter()
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


WORK: dict[str, Callable[[int], dict[str, Any]]] = {"profile": profile_frame, "notebook": notebook}


def measure(name: str, n: int) -> dict[str, Any]:
    """Measure one in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.large", name, str(n)]
    found: dict[str, Any] = json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)
    return found


if __name__ == "__main__":
    print(json.dumps(WORK[sys.argv[1]](int(sys.argv[2]))))

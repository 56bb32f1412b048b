"""The package as a stranger gets it: a wheel in a clean environment outside the checkout does the main job."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEADER = "customer_id,updated_at,customer_name,customer_category,customer_subcategory,customer_price_list_id,source\n"
ROWS = "".join(f"{n:05},2026-01-0{n}T10:00:00Z,Company {n},Retail,,PL-1,customer\n" for n in range(1, 5))

pytestmark = pytest.mark.slow  # it builds an environment


def test_a_wheel_outside_the_checkout_checks_pushes_and_reports(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(place), "TOOLKIT_HOME": str(place / "state")}

    def run(*command: str | Path) -> str:
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, env=environment)
        assert done.returncode in (0, 1), done.stdout + done.stderr
        return done.stdout

    tracked = subprocess.run(["git", "ls-files", "toolkit"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [name for name in tracked.stdout.split() if (ROOT / name).exists()]
    for name in [*files, "pyproject.toml", "README.md"]:  # a copy: a build folder in the checkout may hold old rooms
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "tree" / name)
    pip_wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path]
    subprocess.run([*pip_wheel, tmp_path / "tree"], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert set(files) <= set(zipfile.ZipFile(wheel).namelist())  # every room, and what is data

    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    tool = tmp_path / "env" / "bin"
    subprocess.run([tool / "python", "-m", "pip", "install", "--quiet", wheel], check=True)
    assert str(tmp_path) in run(tool / "python", "-c", "import toolkit; print(toolkit.__file__)")

    (place / "export.csv").write_text(HEADER + ROWS, encoding="utf-8")
    assert json.loads(run(tool / "toolkit", "check", "export.csv", "--json"))["good"] == 4
    pushed = run(tool / "toolkit", "push", "export.csv", "--yes", "--reason", "the first delivery", "--json")
    assert json.loads(pushed)["accepted"] == 4
    assert json.loads(run(tool / "toolkit", "report", "--json"))["accepted"] == 4
    page = "import toolkit as tk; print(tk.push_report()._repr_mimebundle_()['text/html'])"
    assert "accepted" in run(tool / "python", "-c", page)

"""Lost leading zeros on the command line: two months of one export, from the check to the pushed second month."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import toolkit
from tests.support.clocks import Clock
from toolkit import cli
from toolkit.pushing.runs import push
from toolkit.vendor.sandbox import Sandbox

HEADER = ("customer_id", "updated_at", "customer_name", "customer_category", "source")
N, LOST = 3_000, 25
NUMBERS = range(1_200, 1_200 + N)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Iterator[Sandbox]:
    monkeypatch.setattr(toolkit, "push", partial(push, pace=clock.pace, progress=False))
    with Sandbox(tmp_path / "vendor") as server:
        monkeypatch.setenv("TOOLKIT_BASE_URL", server.url)
        yield server


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main([*map(str, arguments)])
        return code, *capsys.readouterr()

    return call


def export(path: Path, ids: Sequence[str], *, day: str = "01", changed: int = 0) -> Path:
    """Write customers; the first `changed` have another category and a newer time."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(HEADER)
        for place, name in enumerate(ids):
            new = place < changed
            rows.writerow([name, f"2026-0{2 if new else 1}-{day}T00:00:00Z", f"Company {name.lstrip('0')} GmbH",
                           "Trade" if new else "Retail", "customer"])  # fmt: skip
    return path


def said(text: str, words: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if words in line]


def test_a_month_without_zeros_is_seen_blocked_with_the_cure_and_goes_through_with_it(
    run: Run, sandbox: Sandbox, tmp_path: Path
) -> None:
    whole = [f"{number:07d}" for number in NUMBERS]
    some = [name.lstrip("0") if place % (N // LOST) == 7 else name for place, name in enumerate(whole)]
    first = export(tmp_path / "january.csv", some)

    code, out, _ = run("check", first)
    assert code == 0
    places = [place + 2 for place, name in enumerate(some) if name[0] != "0"]
    assert len(places) == LOST
    shown = ", ".join(map(str, places[:3]))
    (line,) = said(out, "digits")
    assert line.startswith(
        f"warning: 25 ids have 4 digits where 2,975 have 7: correction pad_ids = 7 (25: source_row {shown}"
    )
    assert "drift" not in out
    assert "pad_ids = 7: 25" in run("corrections", first)[1]
    assert run("push", first, "--yes")[0] == 0
    assert set(sandbox.table()["customer_id"]) == set(some)

    second = export(tmp_path / "february.csv", [str(number) for number in NUMBERS], changed=40)
    _, out, _ = run("check", second)
    assert said(out, "pad_ids") == [
        "warning: 2,975 ids have 4 digits where 2,975 customers sent before have 7; padded, they match 2,975 customers "
        "sent before: correction pad_ids = 7 (2,975: source_row 2, 3, 4, 5, 6, 7, 8, 10, …)"
    ]
    assert "pad_ids = 7: 3,000" in run("corrections", second)[1]
    written = tmp_path / "february.toml"
    assert run("suggest", second, "--to", written)[0] == 0
    assert "\n# pad_ids = 7  # would change 3,000\n" in written.read_text(encoding="utf-8")

    code, out, _ = run("plan", second)
    assert code == 1
    (absent,) = said(out, "guard absent")
    cure = "2,975 new ids differ from ids before only by leading zeros: correction pad_ids = 7"
    assert absent == (
        "guard absent: 2,975 of 3,000 customers of the last delivery are gone (99.2%, more than 5%). "
        f"customer_id: {cure}. To allow it: --allow absent"
    )
    code, _, err = run("push", second, "--yes")
    assert code == 2
    assert cure in err
    assert len(sandbox.table()) == N

    assert "3,000 cells changed (pad_ids 3,000)" in run("check", second, "--correct", "pad_ids=7")[2]
    code, out, _ = run("push", second, "--correct", "pad_ids=7", "--yes", "--json")
    sent = json.loads(out)
    # 25 ids are right for the first time; of the others, the first 40 less the one that is among those 25 have changed
    n_changed = sum(name[0] == "0" for name in some[:40])
    assert (code, sent["accepted"], sent["rows"]) == (0, LOST + n_changed, LOST + n_changed)
    code, out, _ = run("diff", second, "--correct", "pad_ids=7", "--json")
    states = json.loads(out)
    assert (states["unchanged"], states["added"], states["absent"], states["newly_absent"]) == (N, 0, LOST, 0)
    assert set(sandbox.table()["customer_id"]) == {*some, *whole}


def delivered(run: Run, path: Path, names: Sequence[str]) -> Path:
    assert run("push", export(path, names), "--yes")[0] == 0
    return path


OPTIONS: dict[str, tuple[str, Any]] = {
    "trim_spaces": ("trim_spaces", "3"),
    "columns": ("trim_spaces=customer_name,source", "3"),
}

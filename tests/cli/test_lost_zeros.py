"""Lost leading zeros on the command line: two months of one export, from the check to the pushed second month."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

import toolkit
from tests.support.clocks import Clock
from toolkit import cli
from toolkit.cli.terminal import Source, corrected
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
    (line,) = said(out, "digits")
    assert line.startswith("warning: 25 ids have 4 digits where 2,975 have 7: correction pad_ids = 7 (25 rows)")
    assert "drift" not in out
    assert "pad_ids = 7: 25" in run("corrections", first)[1]
    assert run("push", first, "--yes")[0] == 0
    assert set(sandbox.table()["customer_id"]) == set(some)

    second = export(tmp_path / "february.csv", [str(number) for number in NUMBERS], changed=40)
    _, out, _ = run("check", second)
    assert said(out, "pad_ids") == [
        "warning: 2,975 ids have 4 digits where 2,975 customers sent before have 7; padded, they match 2,975 customers "
        "sent before: correction pad_ids = 7 (2,975 rows)"
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


OPTIONS = {
    "trim_spaces": {"customer_name": ["One", "Two", "Two", "n/a", "-"]},
    "trim_spaces=customer_category": {"customer_category": ["Trade", "trade", "Trade", "Trade", "Trade"]},
    "null_spellings": {"customer_name": [" One", "Two", "Two", None, None]},
    "null_spellings=-": {"customer_name": [" One", "Two", "Two", "n/a", None]},
    "null_spellings=-,n/a": {"customer_name": [" One", "Two", "Two", None, None]},
    'null_spellings=["-"]': {"customer_name": [" One", "Two", "Two", "n/a", None]},
    "merge_spellings=customer_category": {"customer_category": ["Trade"] * 5},
    "map_source=ERP=customer,Web=peak": {"source": ["customer", "customer", "customer", "peak", "customer"]},
    'map_source={ERP = "peak"}': {"source": ["peak", "peak", "peak", "Web", "customer"]},
    "source_to_customer=Web": {"source": ["ERP", "ERP", "ERP", "customer", "customer"]},
    "pad_ids=4": {"customer_id": ["0001", "0002", "0002", "0003", "0004"]},
    "keep=3,5": {"customer_id": ["1", "2", "3", "4"]},
    "keep=4": {"customer_id": ["1", "2", "3", "4"]},
    "restamp=2026-05-01T00:00:00Z": {"updated_at": ["2026-05-01T00:00:00Z"] * 5},
    "restamp=at=2026-05-01T02:00+02:00": {"updated_at": ["2026-05-01T00:00:00Z"] * 5},
    "drop_exact_duplicates=true": {"customer_id": ["1", "2", "2", "3", "4"]},
    "trim_spaces=false": {"customer_name": [" One", "Two", "Two", "n/a", "-"]},
}


@pytest.mark.parametrize("given", OPTIONS)
def test_a_correction_takes_its_option_on_the_command_line(given: str, tmp_path: Path) -> None:
    file = tmp_path / "crm.csv"
    rows = ["1, One,Trade,ERP", "2,Two,trade,ERP", "2,Two,Trade ,ERP", "3,n/a,Trade,Web", "4,-,Trade,customer"]
    lines = [row.replace(",", ",2026-01-01T00:00:00Z,", 1) for row in rows]
    file.write_text("\n".join([",".join(HEADER), *lines, ""]), encoding="utf-8")
    frame = corrected(file, Source(correct=(given,))).frame
    for column, cells in OPTIONS[given].items():
        shown = frame[column].dt.strftime("%Y-%m-%dT%H:%M:%SZ") if column == "updated_at" else frame[column]
        assert shown.astype(object).where(shown.notna(), None).tolist() == cells


def test_no_command_ignores_a_correction(run: Run, tmp_path: Path) -> None:
    file = export(tmp_path / "crm.csv", ["0000001", "0000002", "0000003", "4"])
    assert "customer_id: 0.0% null, 4 distinct" in run("profile", file)[1]
    assert "source: 100.0% null" in run("profile", file, "--correct", "null_spellings=customer")[1]
    patch = tmp_path / "fixes.csv"
    toolkit.correct(toolkit.read_customers(file), {"pad_ids": 7}).patch().write(patch)
    assert "0000004" in profile_of(file, patch)
    assert "pad_ids = 9: 4" in run("corrections", file, "--correct", "pad_ids=9")[1]
    for command, option in [("suggest", ["--correct", "trim_spaces"]), ("suggest", ["--patch", patch]),
                            ("suggest", ["--set", "source=peak"]), ("corrections", ["--patch", patch])]:  # fmt: skip
        code, _, err = run(command, file, *option)
        assert (code, err.splitlines()[-1].rpartition(": ")[2]) == (2, f"leave out {option[0]}.")
    assert "did you mean 'pad_ids'" in run("check", file, "--correct", "pad_id=7")[2]
    assert "needs the width of an id" in run("check", file, "--correct", "pad_ids")[2]


def profile_of(file: Path, patch: Path) -> str:
    delivery = toolkit.correct(toolkit.read_customers(file), Source(patch=(str(patch),)).corrections({}))
    return toolkit.profile(delivery).body()


def test_the_check_says_how_the_delivery_differs_from_what_was_sent(run: Run, tmp_path: Path) -> None:
    codes = [f"{number:07d}" for number in range(40, 100)]
    assert "drift" not in run("check", export(tmp_path / "first.csv", codes), "--json")[1]
    assert run("push", tmp_path / "first.csv", "--yes")[0] == 0
    later = export(tmp_path / "second.csv", codes[20:], changed=30)
    _, out, _ = run("check", later)
    assert said(out, "drift") == [
        "drift: customer_id: there are fewer customers (60 before, 40 now)",
        "drift: customer_category: a value is new, 'Trade' (0 before, 30 now)",
    ]
    found = json.loads(run("check", later, "--json")[1])["drift"]
    assert found == {"customers_before": 60, "customers_after": 40, "findings": {"fewer": 1, "new": 1}}
    changes = tmp_path / "changes.toml"
    changes.write_text('[delivery]\nkind = "changes"\n', encoding="utf-8")
    _, out, _ = run("check", later, "--mapping", changes)
    assert said(out, "drift") == ["drift: customer_category: a value is new, 'Trade' (0 before, 30 now)"]


def test_a_push_of_nothing_is_not_the_last_push(run: Run, tmp_path: Path) -> None:
    file = export(tmp_path / "crm.csv", ["0000001", "0000002"])
    for _ in range(2):
        assert run("push", file, "--yes")[0] == 0
    assert "2 accepted" in run("report")[1]


def test_an_unknown_push_points_to_the_list(run: Run) -> None:
    for line in ("report p-1", "snapshot --push p-1", "retract --push p-1 --reason x", "repush p-1", "revert p-1",
                 "settle p-1 --reason x --accepted all"):  # fmt: skip
        code, _, err = run(*line.split())
        assert (code, "toolkit pushes" in err) == (2, True), err

"""Twelve real deliveries of one table, replayed in order through the command line against the sandbox."""

from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path

import pytest

from tests.support.clocks import Clock
from toolkit import cli
from toolkit.pushing.runs import push
from toolkit.vendor.sandbox import Sandbox

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "sp500"
FILES = sorted(FOLDER.glob("constituents_*.csv"))
MAPPINGS = {
    "Name": {"customer_id": "Symbol", "customer_name": "Name", "customer_category": "Sector"},
    "Security": {"customer_id": "Symbol", "customer_name": "Security", "customer_category": "GICS Sector",
                 "customer_subcategory": "GICS Sub-Industry"},
}  # fmt: skip
ATTRIBUTES = ("customer_name", "customer_category", "customer_subcategory")

Company = tuple[str | None, ...]


def by_hand(file: Path) -> tuple[dict[str, Company], list[int], list[int]]:
    """The good companies, the lines that are ragged, and the lines whose key stands twice, by the csv module alone."""
    with file.open(encoding="utf-8", newline="") as text:
        header, *lines = list(csv.reader(text))
    columns = MAPPINGS["Security" if "Security" in header else "Name"]
    ragged = [n for n, line in enumerate(lines, 2) if line and len(line) != len(header)]
    rows = [(n, dict(zip(header, line, strict=True))) for n, line in enumerate(lines, 2) if len(line) == len(header)]
    ids = [row[columns["customer_id"]] for _, row in rows]
    twice = [n for n, row in rows if ids.count(row[columns["customer_id"]]) > 1 or not row[columns["customer_id"]]]
    good = {
        row[columns["customer_id"]]: tuple(row[columns[a]] or None if a in columns else None for a in ATTRIBUTES)
        for n, row in rows
        if n not in twice
    }
    return good, ragged, twice


def guards_by_hand(good: dict[str, Company], held: dict[str, Company], last: dict[str, Company]) -> list[str]:
    """The guards that must block: a fifth of the customers changed, a twentieth gone, a first id with a dash."""
    changed = [i for i in good.keys() & held.keys() if good[i] != held[i]]
    dashed = [i for i in good.keys() - held.keys() if "-" in i]
    found = {
        "changed": len(changed) > 0.2 * len(held),
        "absent": len(last.keys() - good.keys()) > 0.05 * len(last),
        "id_form": bool(held and dashed) and not any("-" in i for i in held),
    }
    return [name for name, blocks in found.items() if blocks]


def written(folder: Path, header: str) -> Path:
    mapping = folder / f"{header}.toml"
    lines = [f"{column} = {json.dumps(name)}" for column, name in MAPPINGS[header].items()]
    mapping.write_text("\n".join(["[columns]", *lines, "[constants]", 'source = "customer"']), encoding="utf-8")
    return mapping


@pytest.mark.skipif(not FILES, reason="the shared folder with the real deliveries is not on this machine")
def test_twelve_real_deliveries_send_what_is_new_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    monkeypatch.setattr("toolkit.push", partial(push, pace=clock.pace))

    def run(*arguments: str) -> tuple[int, dict]:
        capsys.readouterr()
        code = cli.main([*arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    assert len(FILES) == 12
    held: dict[str, Company] = {}  # what the vendor should hold, by hand
    last: dict[str, Company] = {}  # what the last delivery held
    with Sandbox(tmp_path / "vendor", clock=lambda: clock.now().timestamp()) as sandbox:
        monkeypatch.setenv("TOOLKIT_BASE_URL", sandbox.url)
        for number, file in enumerate(FILES):
            date = file.stem.removeprefix("constituents_")
            good, ragged, twice = by_hand(file)
            header = "Security" if "Security" in file.read_text(encoding="utf-8").splitlines()[0] else "Name"
            # A delivery says all its rows as of its date.
            given = [str(file), "--mapping", str(written(tmp_path, header)), "--set", f"updated_at={date}T00:00:00Z"]

            assert bool(ragged) == (number == 0), file.name
            if ragged + twice:  # each later command checks the rows too, and says how many are good or not
                cli.main(["check", *given])
                said = capsys.readouterr().out
                assert all(f" {line}" in said for line in ragged + twice), file.name
                held_back = len(ragged) + len(twice)
                assert f"{len(good):,} good, {held_back:,} quarantined" in said, file.name

            added = good.keys() - held.keys()
            changed = {i for i in good.keys() & held.keys() if good[i] != held[i]}
            absent = held.keys() - good.keys()
            _, compared = run("diff", *given)
            assert compared["added"] == len(added), file.name
            assert compared["changed"] == len(changed), file.name
            assert compared["absent"] == len(absent), file.name  # reported, and kept: the API has no delete
            assert compared["touched"] == len(good) - len(added) - len(changed), file.name

            before = len(sandbox.table())
            sending = ["push", *given, "--yes", "--reason", date]
            blocking = guards_by_hand(good, held, last)
            allowed = [word for name in blocking for word in ("--allow", name)]
            if blocking:  # years lie between the deliveries, so they differ by more than the guards allow
                code, refused = run(*sending)
                assert code == 2, file.name
                assert f"If this is intended: {' '.join(allowed)}, or" in refused["error"], file.name
                assert len(sandbox.table()) == before, file.name
            code, pushed = run(*sending, *allowed)
            assert code == (1 if ragged or twice else 0), file.name
            assert pushed["accepted"] == pushed["rows"] == len(added) + len(changed), file.name
            assert pushed["quarantined"] == len(ragged) + len(twice), file.name
            assert len(sandbox.table()) - before == pushed["rows"], file.name
            held.update(good)
            last = good

            _, again = run("push", *given, "--yes")
            assert again["rows"] == 0, file.name

        out = tmp_path / "snapshot.csv"
        code, kept = run("snapshot", "--out", str(out))
        assert (code, kept["customers"]) == (0, len(held))
        with out.open(encoding="utf-8", newline="") as text:
            snapshot = {r["customer_id"]: tuple(r[a] or None for a in ATTRIBUTES) for r in csv.DictReader(text)}
        table = sandbox.table().sort_values("updated_at").drop_duplicates("customer_id", keep="last")
        records = table.astype(object).where(table.notna(), None).to_dict("records")
        vendor = {r["customer_id"]: tuple(r[a] for a in ATTRIBUTES) for r in records}
        assert snapshot == held == vendor
        assert all(snapshot[i] == last[i] for i in last)

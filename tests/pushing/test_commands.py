"""The command that a plan shows: run as it is, it makes the same plan, for it names all that the plan was made with."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from toolkit import cli
from toolkit.ledger import Ledger, diff
from toolkit.model import empty_frame
from toolkit.panels import PushStation
from toolkit.pushing import plan_push
from toolkit.quality import apply_patch, correct, patch_between, validate
from toolkit.reading import Mapping, read_customers

FILE = """customer_id,updated_at,customer_name,source
17,2026-01-01T00:00:00Z, Acme ,ERP
18,2026-01-01T00:00:00Z,-,ERP
"""
MAPPING = '[constants]\ncustomer_category = "Retail"\n[corrections]\ntrim_spaces = true\nsource_to_customer = ["ERP"]\n'
CHOSEN = {"trim_spaces": True, "null_spellings": ["-", "n/a"], "pad_ids": 4, "source_to_customer": ["ERP", "CRM"]}


@pytest.mark.parametrize("chosen", [None, CHOSEN, {"map_source": {"ERP": "peak"}}, {}])
@pytest.mark.parametrize("patched", [True, False])
def test_the_command_of_a_plan_makes_the_same_plan(
    chosen: Any, patched: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("it's.csv").write_text(FILE, encoding="utf-8")
    Path("my mapping.toml").write_text(MAPPING, encoding="utf-8")
    Path("p.csv").write_text("customer_id,column,before,after\n18,customer_name,-,Best\n", encoding="utf-8")
    delivery = read_customers("it's.csv", mapping="my mapping.toml", constants={"customer_price_list_id": "PL 1"})
    done = apply_patch(correct(delivery, chosen), "p.csv") if patched else correct(delivery, chosen)
    plan = plan_push(diff(Ledger.of().snapshot(), validate(done)))
    command = shlex.split(plan.calls()[1])
    assert command[:2] == ["toolkit", "push"]
    assert PushStation(plan).calls[-1] == shlex.join(command)
    cli.main(["plan", *command[2:], "--json"])
    assert json.loads(capsys.readouterr().out)["plan"] == plan.digest


def test_what_no_command_makes_has_none(tmp_path: Path) -> None:
    file = tmp_path / "crm.csv"
    file.write_text(FILE, encoding="utf-8")
    delivery = read_customers(file)
    patch = patch_between(delivery, delivery.frame.assign(source="customer"))
    for made in (read_customers(file, mapping=Mapping(nulls=("-",))), apply_patch(delivery, patch), delivery.frame):
        assert plan_push(diff(empty_frame(), made)).calls() == ("plan = tk.plan_push(changes)", "")

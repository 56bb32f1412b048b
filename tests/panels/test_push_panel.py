"""The station Send without a browser: what must be done before it sends, its stages, and what is open on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.panels.conftest import TOKEN
from tests.support.holding import Changes, Hold
from toolkit.config import Settings
from toolkit.errors import AuthorizationError, InputError, Interrupted, SettingsError
from toolkit.ledger import Ledger, diff
from toolkit.panels import PushPanel, PushStation
from toolkit.pushing import PushPlan, plan_push
from toolkit.vendor import Sandbox

Plan = Callable[..., PushPlan]


def shown(station: PushStation) -> str:
    return json.dumps(station.view().tree(), ensure_ascii=False)


def open_items(station: PushStation) -> list[str]:
    return [words for _, words, done in station.todo() if not done]


def test_a_real_host_wants_the_guard_a_reason_the_token_and_its_name(customers) -> None:
    real = Settings(base_url="https://vendor.test", target="acme", solution="S", prefix="P_", suffix="_S")
    plan = plan_push(diff(Ledger.of(real).snapshot(), customers(3)), settings=real)
    station = PushStation(plan, settings=real)
    assert open_items(station) == [
        "Allow the guard first", "Give a reason", "Give the access token", "Type the host"]  # fmt: skip
    assert station.act("start", what="push", fields={}).startswith(
        "Still missing: Allow the guard first, Give a reason"
    )
    assert (station.run, station.focus) == (None, "allow first")
    station.act("fill", field="allow first", value=True)
    station.act("fill", field="token", value="a-token-of-this-test")
    station.act("fill", field="host", value="vendor.example")
    assert station.act("start", what="push", fields={"reason": "Go-live"}) == "Still missing: Type the host."
    station.act("fill", field="host", value="vendor.test")
    assert not open_items(station)
    assert [g.allowed for g in station.plan.guards] == [True]
    assert station.calls == (
        'plan = tk.plan_push(changes, allow=["first"])',
        'report = tk.push(plan, reason="Go-live")',
    )  # the command line takes no frame
    assert "a-token-of-this-test" not in shown(station) + str(vars(station))
    station.close()
    assert open_items(station) == ["Give the access token"]


def test_a_sandbox_wants_neither_token_nor_name(sandbox: Sandbox, customers) -> None:
    own = Settings(**sandbox.settings())
    plan = plan_push(diff(Ledger.of(own).snapshot(), customers(3)), settings=own)
    assert PushStation(plan, settings=own).todo() == []


def test_a_push_goes_through_the_stages_and_its_reason_is_kept(
    sandbox: Sandbox, settings: Settings, plan: Plan, changes: Changes
) -> None:
    sandbox.vendor.refuse = lambda row: "no such price list" if row["customer_id"] == "C00015" else None
    station = PushStation(plan(), settings=settings)
    station.changed = changes
    assert station.act("start", what="push", fields={"reason": "October"}) == "It has begun."
    report = station.run.wait()
    assert (station.stage, station.report, station.brief) == ("Report", report, "39 accepted, 1 refused")
    assert "no such price list" in shown(station)
    assert station.calls[0] == f'report = tk.push_report("{report.push}")'
    station.act("again", verb="repush", name=report.push)
    assert (station.stage, station.plan.n_rows, station.plan.reason) == ("Confirm", 1, f"repush of {report.push}")
    assert station.calls[0] == f'plan = tk.repush("{report.push}")'
    sandbox.vendor.refuse = None
    station.act("start", what="push", fields={"reason": "fixed there"})
    assert station.run.wait().ok
    reasons = station._history.frame["reason"].tolist()
    assert reasons == [f"repush of {report.push}: fixed there", "October"]
    station.act("again", verb="revert", name=report.push)
    assert station.plan.verdict == "Nothing to send"  # each customer was new


def test_a_wrong_token_is_said_and_asked_for_again_and_nothing_else_is_lost(
    settings: Settings, plan: Plan, changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEAK_AUTH_TOKEN", "a-wrong-token")
    station = PushStation(plan(), settings=settings)
    station.changed = changes
    station.act("start", what="push", fields={"reason": "October"})
    with pytest.raises(AuthorizationError):
        station.run.wait()
    assert station.stage == "Confirm"
    assert "refused the token" in shown(station)
    assert "October" in shown(station)
    assert station.act("start", what="push", fields={}) == "Still missing: Give the access token."
    station.act("start", what="push", fields={"token": TOKEN})
    assert station.run.wait().ok
    assert station.stopped is None


def test_what_is_open_is_read_from_disk_and_resumed_by_a_new_panel(
    sandbox: Sandbox, settings: Settings, plan: Plan, changes: Changes
) -> None:
    sandbox.vendor.refuse = hold = Hold(15)
    station = PushStation(plan(), settings=settings)
    station.changed = changes
    station.act("start", what="push", fields={})
    hold.reached()
    station.act("stop")
    hold.release()
    with pytest.raises(Interrupted):
        station.run.wait()
    assert station.stage == "Report"
    assert station.open_push == station.report.push
    PushStation._running.clear()  # as after a restart of the kernel
    new = PushStation(settings=settings)
    assert "is open: 20 rows wait" in shown(new)
    assert new.calls == ("report = tk.resume()", "toolkit resume")
    new.act("start", what="resume")
    assert new.run.wait().ok
    assert (new.stage, new.open_push, len(sandbox.table())) == ("Report", "", 40)


def test_a_panel_of_a_cell_that_runs_again_shows_the_push_that_goes_on(
    sandbox: Sandbox, settings: Settings, plan: Plan, changes: Changes
) -> None:
    sandbox.vendor.refuse = hold = Hold(15)
    first = PushStation(plan(), settings=settings)
    first.act("start", what="push", fields={})
    hold.reached()
    first.close()
    second = PushStation(settings=settings)
    second.changed = changes
    assert second.stage == "Sending"
    second.act("pause")
    assert "Paused: 10 of 40 rows answered" in shown(second)
    second.act("pause")
    hold.release()
    assert second.run.wait().ok
    assert second.stage == "Report"


def test_an_open_push_is_abandoned(sandbox: Sandbox, settings: Settings, plan: Plan) -> None:
    sandbox.vendor.refuse = hold = Hold(15)
    station = PushStation(plan(), settings=settings)
    station.act("start", what="push", fields={})
    hold.reached()
    station.act("stop")
    hold.release()
    with pytest.raises(Interrupted):
        station.run.wait()
    assert station.act("abandon") == "The push is closed."
    assert (station.report.state, station.open_push) == ("abandoned", "")


def test_a_dry_run_is_kept_beside_the_plan(
    monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox, changes: Changes, customers
) -> None:
    monkeypatch.setenv("PEAK_AUTH_TOKEN", TOKEN)
    with Sandbox(token=TOKEN, contract="current") as current:
        settings = Settings(base_url=current.url, target="acme-test", contract="current")
        plan = plan_push(diff(Ledger.of(settings).snapshot(), customers(12)), settings=settings)
        station = PushStation(plan, settings=settings)
        station.act("start", what="dry run")
        assert station.run.wait().state == "dry run"
        assert (station.stage, station.report, len(current.table())) == ("Confirm", None, 0)
        assert "12 accepted" in shown(station)
        station.act("start", what="push", fields={})
        assert station.run.wait().ok


def test_what_a_toolkit_toml_decides_is_confirmed_in_the_panel(
    sandbox: Sandbox, customers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PEAK_AUTH_TOKEN", TOKEN)
    file = tmp_path / "toolkit.toml"
    file.write_text(f'target = "acme-test"\nbase_url = "{sandbox.url}"\n')
    monkeypatch.setattr("toolkit.config.settings.find_file", lambda: file)
    settings = Settings()
    plan = plan_push(diff(Ledger.of(settings).snapshot(), customers(3)), settings=settings)
    station = PushStation(plan, settings=settings)
    assert open_items(station) == ["Confirm toolkit.toml"]
    assert f"{file} decides: base_url {sandbox.url}. May your token and customers' rows go there?" in shown(station)
    station.act("fill", field="confirm", value=True)
    station.act("start", what="push", fields={})
    assert station.run.wait().ok
    assert PushStation(settings=settings).todo() == []  # it was stored


def test_only_a_plan_is_taken_and_only_a_push_that_was_begun_is_waited_for(settings: Settings) -> None:
    with pytest.raises(InputError, match="A plan is wanted here"):
        PushPanel("a plan", settings=settings)
    panel = PushPanel(settings=settings)
    with pytest.raises(InputError, match="No push was begun"):
        panel.wait()
    assert (panel.plan, panel.report) == (None, None)
    assert "tk.push_history()" in repr(panel)


def test_a_token_that_no_header_can_carry_is_said_without_it(settings: Settings, plan: Plan, changes: Changes) -> None:
    station = PushStation(plan(), settings=settings)
    station.changed = changes
    station.act("start", what="push", fields={"token": "Bearer not-a-token"})
    with pytest.raises(SettingsError, match="The token in the field contains a space"):
        station.run.wait()
    assert "not-a-token" not in shown(station)
    assert station.stage == "Confirm"

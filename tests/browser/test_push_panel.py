"""The push panel in JupyterLab: a guard, two tokens, a pause, Stop while a cell runs, an interrupt, and a restart."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

import toolkit as tk
from tests.support.browser import command, open_notebook, outputs, run_cell, theme, violations, write_notebooks
from tests.support.holding import Hold

ROOT = Path(__file__).parent.parent.parent
TOKEN, WRONG = "a-token-of-this-test", "a-wrong-token-of-this-test"
START = """import time, pathlib, toolkit as tk
from dataclasses import replace
from toolkit.model.contract import CONTRACTS
CONTRACTS["2026-04"] = replace(CONTRACTS["2026-04"], max_rows=10)
use = tk.use(tk.Settings(base_url={url!r}, target={target!r}))
"""
SETUP = (
    START
    + """report = tk.validate(tk.correct(tk.read_customers("{first}.csv", mapping="{first}.toml")))
changes = tk.diff(tk.Ledger.of().snapshot(), report)"""
)
CELLS = {
    "send": [
        SETUP,
        "panel = tk.PushPanel(tk.plan_push(changes, thresholds={{'times': 0.0}}))\npanel",
        "while not pathlib.Path('go').exists(): time.sleep(0.01)",
        "print(panel.report.state, panel.plan.n_rows)",
    ],
    "wait": [
        SETUP,
        "panel = tk.PushPanel(tk.plan_push(changes))\npanel",
        "print('waits', flush=True)\npanel.wait()",
        f"{START}panel = tk.PushPanel()\npanel",
        "real = tk.Settings(base_url='https://vendor.test', target='acme', solution='S', prefix='P', suffix='S')\n"
        "tk.PushPanel(tk.plan_push(tk.diff(tk.Ledger.of(real).snapshot(), report.good), settings=real), settings=real)",
    ],
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[tk.Sandbox]:
    with tk.Sandbox(token=TOKEN) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, sandbox: tk.Sandbox) -> Path:
    folder = tmp_path_factory.mktemp("panels") / "notebooks"
    folder.mkdir()
    first = "2026-09-01_customers"
    for ending in ("csv", "toml"):
        shutil.copy(ROOT / "data" / f"{first}.{ending}", folder)
    filled = {
        name: [cell.format(url=sandbox.url, target=f"acme-{name}", first=first) for cell in cells]
        for name, cells in CELLS.items()
    }
    write_notebooks(folder, filled)
    return folder.parent


@pytest.fixture
def page(page: Page) -> Page:
    page.set_viewport_size({"width": 1300, "height": 2_400})
    page.set_default_timeout(30_000)
    return page


def panel_of(page: Page, at: int) -> Locator:
    """The panel in the output of a cell."""
    return page.locator(".jp-Cell").nth(at).locator(".tk.panel")


def begin(panel: Locator, token: str) -> None:
    panel.get_by_label("Access token").fill(token)
    panel.locator("button.go").click()


def require_readable(page: Page, panel: Locator, name: str) -> None:
    """Nothing serious or moderate in light and dark, and no bar below the panel, also where it is narrow."""
    for look in ("JupyterLab Dark", "JupyterLab Light"):
        theme(page, look)
        assert not violations(page)
        for width in (900, 1300):
            page.set_viewport_size({"width": width, "height": 2_400})
            assert panel.evaluate("e => e.scrollWidth <= e.clientWidth")
            if shots := os.environ.get("SCREENSHOTS"):  # a folder, to look at the result
                file = f"push_{name}_{width}_{look.split()[-1].lower()}.png"
                page.screenshot(path=str(Path(shots) / file), clip=panel.bounding_box())


def test_a_push_is_confirmed_paused_stopped_and_resumed(lab: str, work: Path, sandbox: tk.Sandbox, page: Page) -> None:
    open_notebook(page, lab, "send")
    run_cell(page, 0)
    run_cell(page, 1)
    panel = panel_of(page, 1)
    panel.get_by_role("heading", name="394 rows are ready for acme-send").wait_for()

    panel.locator("button.go").click()  # a guard blocks it
    tick = panel.get_by_label("Allow it: this is intended")
    expect(tick).to_be_focused()
    assert len(sandbox.requests()) == 0
    tick.check()
    expect(panel.locator(".todo .good")).to_have_text("✓ Allow the guard times")
    panel.get_by_label("Reason").fill("Go-live agreed")
    expect(panel.get_by_text('report = tk.push(plan, reason="Go-live agreed")')).to_have_count(0)  # when it is left
    panel.get_by_label("Access token").fill(WRONG)
    expect(panel.get_by_text('report = tk.push(plan, reason="Go-live agreed")')).to_be_visible()
    panel.get_by_label("Reason").focus()
    expect(panel.locator(".todo .good")).to_have_count(3)
    require_readable(page, panel, "confirm")
    begin(panel, WRONG)
    expect(panel.get_by_role("alert")).to_contain_text("refused the token (HTTP 401")
    expect(panel.get_by_label("Access token")).to_have_value("")
    expect(tick).to_be_checked()

    sandbox.vendor.refuse = hold = Hold(55)
    begin(panel, TOKEN)
    hold.reached()
    run_cell(page, 2, wait=False)  # a cell that runs until the test ends it
    page.wait_for_function("() => document.querySelectorAll('.jp-InputPrompt')[2].innerText.includes('*')")
    panel.get_by_role("button", name="Pause after this request").click()
    panel.get_by_role("heading", name=re.compile(r"^Paused: \d+ of 394 rows answered")).wait_for()
    hold.release()
    require_readable(page, panel, "sending")
    sandbox.vendor.refuse = hold = Hold(35)
    panel.get_by_role("button", name="Resume").click()
    hold.reached()
    panel.get_by_role("button", name="Stop").click()
    panel.get_by_role("heading", name=re.compile("^Stopping: ")).wait_for()
    hold.release()
    panel.get_by_text(re.compile(r"Stopped: Interrupted: \d+ of 394 rows accepted. tk.resume\(\) goes on.")).wait_for()
    assert page.locator(".jp-InputPrompt").nth(2).inner_text() == "[*]:"  # it runs still
    assert 0 < len(sandbox.table()) < 394
    (work / "notebooks" / "go").touch()

    refused: list[str] = []
    sandbox.vendor.refuse = lambda row: None if refused else refused.append("one") or "no such price list"
    begin(panel, TOKEN)
    panel.get_by_text(re.compile("^Push .* is done.$")).wait_for()
    expect(panel.get_by_role("button", name="Resume")).to_have_count(0)
    run_cell(page, 3)
    assert outputs(page)[3][0]["text"] == "done 394\n"
    assert len(sandbox.table()) == 393
    expect(panel.get_by_text("“no such price list”")).to_be_visible()
    panel.get_by_text("Earlier pushes: ").click()
    require_readable(page, panel, "report")
    panel.get_by_role("button", name=re.compile("^Repush ")).first.click()
    panel.get_by_role("heading", name="1 row is ready for acme-send").wait_for()
    picture = """() => JSON.stringify(window.jupyterapp.shell.currentWidget.content.widgets[1].model.outputs.toJSON())
        .includes('1 row is ready')"""
    page.wait_for_function(picture)
    command(page, "docmanager:save")
    saved = (work / "notebooks" / "send.ipynb").read_text(encoding="utf-8")
    assert not [token for token in (TOKEN, WRONG) if token in saved]


def test_an_interrupt_stops_a_push_that_a_cell_waits_for_and_a_restart_offers_to_resume(
    lab: str, sandbox: tk.Sandbox, page: Page
) -> None:
    open_notebook(page, lab, "wait")
    run_cell(page, 0)
    run_cell(page, 1)
    panel = panel_of(page, 1)
    sandbox.vendor.refuse = hold = Hold(55)
    begin(panel, TOKEN)
    hold.reached()
    run_cell(page, 2, wait=False)
    page.get_by_text("waits", exact=True).wait_for()  # a cell has its asterisk before the kernel has it
    command(page, "notebook:interrupt-kernel")
    panel.get_by_role("heading", name=re.compile("^Stopping: ")).wait_for()
    hold.release()
    page.wait_for_function(
        """() => window.jupyterapp.shell.currentWidget.content.widgets[2].model.outputs.toJSON()
            .some(o => o.output_type === 'error')"""
    )
    told = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(outputs(page)[2][-1]["traceback"]))
    assert re.fullmatch(r"Interrupted: \d+ of 394 rows accepted. tk.resume\(\) goes on.", told.strip())

    sandbox.vendor.refuse = None
    run_cell(page, 4)
    real = panel_of(page, 4)
    real.get_by_label("Type the host, vendor.test, to confirm").fill("vendor.test")
    real.get_by_label("Reason").focus()
    expect(real.locator(".todo .good")).to_have_text("✓ Type the host")
    real.locator("button.go").click()
    expect(real.get_by_label("Allow it: this is intended")).to_be_focused()

    sandbox.vendor.refuse = hold = Hold(15)
    begin(panel, TOKEN)  # resumes
    hold.reached()
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    hold.release()
    run_cell(page, 3)
    panel = panel_of(page, 3)
    panel.get_by_text(re.compile(r"is open: \d+ rows wait")).wait_for()
    begin(panel, TOKEN)
    panel.get_by_role("heading", name="All 394 rows were accepted").wait_for()
    assert len(sandbox.table()) == 394

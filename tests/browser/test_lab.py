"""JupyterLab in a real browser: every notebook, and what only a person at the keyboard does."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Page

import toolkit as tk
from tests.support.browser import (
    asked,
    command,
    jupyterlab,
    open_notebook,
    outputs,
    outside,
    theme,
    violations,
    write_notebooks,
)

ROOT = Path(__file__).parent.parent.parent
# tests/test_notebooks.py runs every notebook, and compares its outputs with those that are kept; a browser adds how it
# draws them: most results, the panels, and errors.
SAMPLE = ("00_tour", "05_onboard_without_code", "90_troubleshooting")
NOTEBOOKS = [
    pytest.param(path.stem, marks=[] if path.stem in SAMPLE else pytest.mark.slow)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
]
TOKEN = "a-token-of-this-test"
THEMES = ("JupyterLab Light", "JupyterLab Dark")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[tk.Sandbox]:
    with tk.Sandbox(token=TOKEN) as sandbox:
        yield sandbox


WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def lab(sandbox: tk.Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    place = tmp_path_factory.mktemp("lab")
    work = place / "work"
    shutil.copytree(ROOT / "notebooks", work / "notebooks")
    shutil.copytree(ROOT / "data", work / "data", ignore=shutil.ignore_patterns("state"))
    cells = [
        f"import toolkit as tk; tk.use(tk.Settings(base_url={sandbox.url!r}, target='acme-test'))",
        "report = tk.validate(tk.correct(tk.read_customers('../data/2026-09-01_customers.csv', "
        "mapping='../data/2026-09-01_customers.toml')))\nreport",
        "ledger = tk.Ledger.of(); changes = tk.diff(ledger.snapshot(), report)\nchanges",
        "tk.push(tk.plan_push(changes, allow=['first']), reason='September')",
        "tk.resume()",
    ]
    write_notebooks(work / "notebooks", {"typed": cells})
    with jupyterlab(place, work, TOOLKIT_HOME=str(place / "home"), PYTHONPATH=str(ROOT)) as address:
        yield address


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 12_000})
    urls = asked(page)
    page.set_default_timeout(30_000)
    yield page
    page.close()
    assert not outside(urls)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_in_jupyterlab_and_is_readable_in_light_and_dark(name: str, lab: str, page: Page) -> None:
    open_notebook(page, lab, name)
    command(page, "notebook:clear-all-cell-outputs")
    command(page, "notebook:run-all-cells")  # it ends before the last cell where a cell is to raise an error
    page.wait_for_function(
        """() => window.jupyterapp.shell.currentWidget.content.widgets.filter(c => c.model.type === 'code')
            .every(c => c.model.executionCount)"""
    )
    kept = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", 4).cells
    kinds = [[output.output_type for output in cell.outputs] for cell in kept if cell.cell_type == "code"]
    # A panel itself is not kept, only the picture beside it.
    still = [[o for o in cell if WIDGET not in o.get("data", {})] for cell in outputs(page)]
    assert [[output["output_type"] for output in cell] for cell in still] == kinds
    page.locator(".tk:visible").first.wait_for()
    shots = os.environ.get("SCREENSHOTS")  # a folder, to look at the result
    for name_ in THEMES:
        theme(page, name_)
        if shots:
            page.screenshot(path=str(Path(shots) / f"{name}_{name_.split()[-1].lower()}.png"))
        assert not violations(page, *(() if name_ == THEMES[0] else ("contrast",)))


def test_a_result_is_used_a_token_typed_and_a_push_interrupted(lab: str, sandbox: tk.Sandbox, page: Page) -> None:
    held, reached = threading.Event(), threading.Event()
    accepted = iter(range(10_000))

    def hold(row: dict[str, object]) -> None:
        if next(accepted) == 250:
            reached.set()
            held.wait(60)

    open_notebook(page, lab, "typed")
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
    page.wait_for_selector(".jp-OutputArea-output .tk table[data-grid='Quarantined rows']")
    grid = page.locator(".tk table[data-grid='Quarantined rows']").first
    tools = grid.locator("xpath=../preceding-sibling::div[1]")
    tools.get_by_label("Search").fill("0001274")
    assert tools.locator("output").inner_text() == "2 of 9 rows"

    sandbox.vendor.refuse = hold
    page.wait_for_selector("input.jp-Stdin-input[type=password]").fill(TOKEN)
    page.locator("input.jp-Stdin-input").press("Enter")
    assert reached.wait(60)
    command(page, "notebook:interrupt-kernel")
    page.wait_for_function(
        """() => window.jupyterapp.shell.currentWidget.content.widgets.filter(c => c.model.type === 'code')[3]
            .model.outputs.toJSON().some(o => o.output_type === 'error')"""
    )
    held.set()
    sandbox.vendor.refuse = lambda row: None
    error = next(o for o in outputs(page)[3] if o["output_type"] == "error")
    told = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error["traceback"]))
    assert re.search(r"Interrupted: [\d,]+ of 394 rows accepted", told)
    assert "tk.resume() goes on" in told
    assert len(told.splitlines()) == 1
    assert not outputs(page)[4]  # "run all" stopped

    page.evaluate("() => { const n = window.jupyterapp.shell.currentWidget.content; n.activeCellIndex = 4; }")
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-cell'); }")
    page.wait_for_selector("input.jp-Stdin-input[type=password]").fill(TOKEN)
    page.locator("input.jp-Stdin-input").press("Enter")
    page.wait_for_function(
        """() => window.jupyterapp.shell.currentWidget.content.widgets.filter(c => c.model.type === 'code')[4]
            .model.outputs.toJSON().some(o => o.output_type === 'execute_result')"""
    )
    assert len(sandbox.table()) == 394
    saved = page.evaluate("() => JSON.stringify(window.jupyterapp.shell.currentWidget.model.toJSON())")
    assert TOKEN not in saved
    for name in THEMES:
        theme(page, name)
        assert not violations(page)

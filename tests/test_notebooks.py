"""The notebooks run from top to bottom, headless and in a real browser, and are readable in light and dark."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Page, sync_playwright

from toolkit.cli.demo import demo
from toolkit.errors import InputError

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


def names() -> list[str]:
    return [path.stem for path in NOTEBOOKS]


def test_the_four_notebooks_are_there() -> None:
    assert names() == ["00_tour", "10_onboard_a_customer_file", "20_refresh_with_what_changed", "30_correct_and_repush"]


@pytest.mark.parametrize("name", names())
def test_a_notebook_is_a_story_in_short_cells_without_outputs(name: str) -> None:
    book = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    assert book.cells[0].source.startswith("# ")
    assert book.cells[0].source.splitlines()[0].endswith("?")  # the title is the question
    assert [c.metadata.get("tags") for c in book.cells].count(["parameters"]) == 1
    code = [c for c in book.cells if c.cell_type == "code"]
    assert all(not c.outputs and c.execution_count is None for c in code)
    assert all(len(c.source.splitlines()) <= 8 and "def " not in c.source for c in code)
    assert any("assert " in c.source for c in code)
    assert "tk.use(sandbox)" in code[1].source  # chosen once, at the top
    assert not any("settings=" in c.source for c in code)


def test_the_demo_describes_the_main_job_and_runs_every_notebook(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    demo(folder=Path("demo"))  # everything is in this folder, the sandbox's state too
    assert (tmp_path / "demo" / "sandbox" / "state" / "ledger").is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    story = capsys.readouterr().out
    assert "target sandbox · 127.0.0.1" in story.splitlines()[0]
    for words in ("First delivery", "1 refused", "DI_E_00017 price list is not known", "Second delivery", "39 accepted",
                  "no push is open", "1 entry in the ledger, from 2026-10-01_customers.xlsx"):  # fmt: skip
        assert words in story
    held, table = re.search(r"The ledger has (\d+) versions .* table has (\d+) rows", story).groups()
    assert held == table
    assert len(list((tmp_path / "demo").glob("*.html"))) == 12  # six steps of two deliveries
    done = sorted((tmp_path / "demo" / "notebooks").glob("*.ipynb"))
    assert str(done[0].parent) in story
    assert [path.stem for path in done] == names()
    for path in done:
        text = json.dumps(json.loads(path.read_text(encoding="utf-8")), ensure_ascii=False)
        assert "target sandbox" in text
        assert "127.0.0.1" in text
        assert '"output_type": "error"' not in text
        assert "stderr" not in text


def test_a_demo_empties_only_a_folder_that_a_demo_created(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine", encoding="utf-8")
    for place in (tmp_path, tmp_path / "precious.txt"):
        with pytest.raises(InputError, match="name a new folder"):
            demo(folder=place)
    assert (tmp_path / "precious.txt").read_text(encoding="utf-8") == "mine"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab all of whose folders are temporary."""
    place = tmp_path_factory.mktemp("lab")
    folders = {f"JUPYTER_{name}_DIR": str(place / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    work = place / "work"
    shutil.copytree(ROOT / "notebooks", work / "notebooks")
    shutil.copytree(ROOT / "data", work / "data", ignore=shutil.ignore_patterns("state"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}", "--ServerApp.port_retries=0",
         "--IdentityProvider.token=", "--allow-root", f"--ServerApp.root_dir={work}",
         f"--LabApp.user_settings_dir={place / 'settings'}", f"--LabApp.workspaces_dir={place / 'workspaces'}",
         "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=",
         "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate"],
        env={**os.environ, **folders, "IPYTHONDIR": str(place / "ipython")},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/api", timeout=5):
                break
            assert time.monotonic() < deadline, "JupyterLab did not start"
            assert server.poll() is None, "JupyterLab stopped"
            time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: .ci/run installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser.new_page(viewport={"width": 1280, "height": 9000})
        browser.close()


RUN_ALL = """async () => {
    const app = window.jupyterapp; await app.restored;
    const panel = app.shell.currentWidget; await panel.context.ready; await panel.sessionContext.ready;
    await app.commands.execute('notebook:run-all-cells'); }"""
OUTPUTS = """() => window.jupyterapp.shell.currentWidget.content.widgets.filter(c => c.model.type === 'code')
    .flatMap(c => c.model.outputs.toJSON().map(o => o.output_type))"""
THEME = """async (theme) => { await window.jupyterapp.commands.execute('apputils:change-theme', {theme}); }"""
# The least contrast between a text of ours and what lies behind it (WCAG 2, relative luminance).
CONTRAST = r"""() => {
    const rgb = c => c.match(/[\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
        .reduce((s, v, i) => s + v * [.2126, .7152, .0722][i], 0);
    const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
        if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
    let least = 21;
    for (const e of document.querySelectorAll('.tk *')) {
        if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
        const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
        least = Math.min(least, (a + .05) / (b + .05));
    }
    return least; }"""


@pytest.mark.parametrize("name", names())
def test_a_notebook_runs_in_jupyterlab_and_is_readable_in_light_and_dark(name: str, lab: str, page: Page) -> None:
    page.goto(f"{lab}/lab/workspaces/{name}/tree/notebooks/{name}.ipynb")
    page.wait_for_function("() => window.jupyterapp && window.jupyterapp.shell.currentWidget?.content?.widgets")
    page.evaluate(RUN_ALL)
    kinds = page.evaluate(OUTPUTS)
    assert "execute_result" in kinds
    assert "error" not in kinds
    page.wait_for_selector(".tk")
    shots = os.environ.get("SCREENSHOTS")  # a folder, to look at the result
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        page.evaluate(THEME, theme)
        page.wait_for_function(f"() => document.body.dataset.jpThemeName === '{theme}'")
        page.wait_for_selector("#jupyterlab-splash", state="detached")
        if shots:
            page.screenshot(path=str(Path(shots) / f"{name}_{theme.split()[-1].lower()}.png"))
        assert page.evaluate(CONTRAST) >= 4.5

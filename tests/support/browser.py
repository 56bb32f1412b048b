"""A real browser (Debian's Chromium, headless), JupyterLab in temporary folders, and axe-core on what is ours."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
_AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
_MARK_ALIKE = r"""() => {
    for (const parent of document.querySelectorAll('.tk table, .tk tbody, .tk ul, .tk ol')) {
        const seen = new Map();
        for (const row of parent.children) {  // alike in all but texts, and values that no style asks for
            const shape = row.outerHTML.replace(/>[^<]+/g, '>x').replace(
                / (id|for|href|title|headers|value|aria-(?:label\w*|describedby|rowindex)|data-\w+)="[^"]*"/g, ' $1');
            seen.set(shape, (seen.get(shape) ?? 0) + 1);
            row.toggleAttribute('data-alike', seen.get(shape) > 2);
        }
    } }"""
_RUN_AXE = """async kinds => {
    const options = {contrast: {runOnly: ['color-contrast']}, structure: {rules: {'color-contrast': {enabled: false}}}};
    const exclude = {contrast: [['[data-alike]']], structure: []};
    const found = [];
    for (const kind of kinds) {
        const context = {include: [['.tk']], exclude: exclude[kind]};
        found.push(...(await axe.run(context, {resultTypes: ['violations'], ...options[kind]})).violations);
    }
    return found.filter(v => v.impact !== 'minor')
        .map(v => `${v.impact} ${v.id}: ${v.nodes.slice(0, 3).map(n => n.html.slice(0, 160)).join(' | ')}`) }"""


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: .ci/run installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


def violations(page: Page, *kinds: str) -> list[str]:
    """What axe-core finds in our own output, other than what it calls minor.

    Contrast takes four fifths of the time, so it is measured on two rows of those with the same elements and classes.

    Parameters
    ----------
    kinds
        ``structure``, which no theme changes, ``contrast``, or by default both.
    """
    if not page.evaluate("() => typeof axe === 'object'"):
        page.evaluate(_AXE)
    page.evaluate(_MARK_ALIKE)
    found = page.evaluate(_RUN_AXE, kinds or ("structure", "contrast"))
    page.evaluate("() => document.querySelectorAll('[data-alike]').forEach(row => row.removeAttribute('data-alike'))")
    return found


def asked(page: Page) -> list[str]:
    """Every address that the page asks for from now on; the list grows."""
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    return urls


def outside(urls: list[str]) -> list[str]:
    return [u for u in urls if not u.startswith(("http://127.0.0.1", "ws://127.0.0.1", "file:", "data:", "blob:"))]


@contextlib.contextmanager
def jupyterlab(place: Path, work: Path, **environment: str) -> Iterator[str]:
    """The address of a JupyterLab that shows `work`; all of its own folders are in `place`."""
    folders = {f"JUPYTER_{name}_DIR": str(place / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-c", "import tests; from jupyterlab.labapp import main; main()", "--no-browser",
         f"--port={port}", "--ServerApp.port_retries=0",
         "--IdentityProvider.token=", "--allow-root", f"--ServerApp.root_dir={work}",
         f"--LabApp.user_settings_dir={place / 'settings'}", f"--LabApp.workspaces_dir={place / 'workspaces'}",
         "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=",
         "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate"],
        env={**os.environ, **folders, "IPYTHONDIR": str(place / "ipython"), **environment},
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


def write_notebooks(folder: Path, notebooks: Mapping[str, Sequence[str]]) -> None:
    """Write a notebook for each name, of these cells."""
    for name, cells in notebooks.items():
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}  # else the browser asks for one
        nbformat.write(book, folder / f"{name}.ipynb")


def run_cell(page: Page, at: int, *, wait: bool = True) -> None:
    """Run one cell of the open notebook, by its number among all cells; without `wait`, not to its end."""
    page.evaluate("at => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = at; }", at)
    page.evaluate(
        """async wait => {
            const ran = window.jupyterapp.commands.execute('notebook:run-cell');
            if (wait) await ran; }""",
        wait,
    )


def open_notebook(page: Page, lab: str, name: str) -> None:
    """Open `notebooks/NAME.ipynb` in the place of what is open, and wait until cells can run."""
    if not page.url.startswith(lab):  # to load JupyterLab takes longer than most notebooks
        page.goto(f"{lab}/lab")
        page.wait_for_function("() => window.jupyterapp")
    page.evaluate(
        """async path => { const app = window.jupyterapp; await app.restored; const last = app.shell.currentWidget;
            const panel = await app.commands.execute('docmanager:open', {path});
            await panel.context.ready; await panel.sessionContext.ready; await panel.revealed;
            if (last !== panel) last?.dispose(); }""",
        f"notebooks/{name}.ipynb",
    )


def command(page: Page, name: str, **options: str) -> None:
    """Run a command of JupyterLab to its end; of `notebook:run-all-cells`, that is the end of the last cell."""
    page.evaluate("async ([name, options]) => { await window.jupyterapp.commands.execute(name, options); }",
                  [name, options])  # fmt: skip


def theme(page: Page, name: str) -> None:
    command(page, "apputils:change-theme", theme=name)
    page.wait_for_function(f"() => document.body.dataset.jpThemeName === '{name}'")
    page.wait_for_selector("#jupyterlab-splash", state="detached")


def outputs(page: Page) -> list[list[dict[str, object]]]:
    """The outputs of each code cell, as they would be saved."""
    return page.evaluate(
        """() => window.jupyterapp.shell.currentWidget.content.widgets.filter(c => c.model.type === 'code')
            .map(c => c.model.outputs.toJSON())"""
    )

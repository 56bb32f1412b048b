"""The pictures of the README and the guide, made by `make screenshots`: results, and the steps of `tk.onboard`.

A result is the top of a page that `to_html` wrote, in a real browser; a sandbox refused two of its rows.
A step is the top of its panel in JupyterLab, where the first delivery is taken from the file to the report. Nothing
leaves the machine.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
from playwright.sync_api import Page

import toolkit as tk
from tests.support.browser import chromium, command, jupyterlab, open_notebook
from toolkit.display import Result

ROOT = Path(__file__).parent.parent
DELIVERIES = ("2026-09-01_customers.csv", "2026-10-01_customers.xlsx")
CLOSED = "PL-ENT-004"
REASON = f"customer_price_list_id {CLOSED} is closed"
WIDTH, HEIGHT = 1000, 860
PANEL_WIDTH, PANEL_HEIGHT = 960, 640
MAX_BYTES = 250_000
ONBOARD = (
    f"import toolkit as tk; sandbox = tk.Sandbox().start(); tk.use(sandbox)\nsession = tk.onboard('{DELIVERIES[0]}')"
)


def results() -> dict[str, Result]:
    """Return the results that are pictured, by the name of their picture."""
    with tk.Sandbox() as sandbox:
        tk.use(sandbox)
        ledger = tk.Ledger.of()
        files = [ROOT / "data" / name for name in DELIVERIES]
        first, second = (tk.read_customers(file, mapping=file.with_suffix(".toml")) for file in files)
        report = tk.validate(tk.correct(first))
        refused = set(report.good.query("customer_price_list_id == @CLOSED")["customer_id"].head(2))
        sandbox.vendor.refuse = lambda row: REASON if row["customer_id"] in refused else None
        pushed = tk.push(tk.plan_push(tk.diff(ledger.snapshot(), report)), reason="September", progress=False)
        sandbox.vendor.refuse = None
        tk.push(tk.repush(pushed, reason="the list is open again"), progress=False)
        later = tk.validate(tk.correct(second), before=ledger.snapshot())
        changes = tk.diff(ledger.snapshot(), later)
        return {"validation": report, "diff": changes, "plan": tk.plan_push(changes), "push": pushed}


def steps(page: Page, lab: str) -> Iterator[str]:
    """Take the first delivery from the file to the report, as an analyst who writes no code; yield each step's name."""
    open_notebook(page, lab, "onboard")
    command(page, "application:toggle-left-area")
    command(page, "notebook:run-cell")
    panel = page.locator(".tk.panel")
    go_on = panel.get_by_role("button", name="Next", exact=True)
    panel.get_by_role("heading", name="406 rows").wait_for()
    yield "file"
    go_on.click()
    panel.get_by_label("customer_name").wait_for()
    zone = panel.get_by_label("Time zone, of times that name none")
    zone.fill("Europe/Berlin")
    zone.press("Tab")
    panel.get_by_text("2026-02-21 12:50Z").first.wait_for()
    panel.get_by_role("button", name="Ignore all of them").click()
    panel.get_by_role("button", name="Do not ignore Ort").wait_for()
    yield "columns"
    go_on.click()
    panel.get_by_label("ERP of Herkunft").select_option("customer")
    for name in ("trim_spaces", "drop_exact_duplicates"):
        panel.get_by_label(f"{name} would").check()
        panel.get_by_role("status").get_by_text(f"{name} is made").wait_for(state="attached")
    yield "values"
    go_on.click()
    cell = panel.locator("review-grid tbody tr", has=page.locator("th:text-is('101')")).locator("[aria-colindex='8']")
    cell.click()
    page.keyboard.press("Enter")
    page.keyboard.type("30.06.2026 09:30")
    page.keyboard.press("Enter")
    panel.get_by_role("heading", name="8 rows are still to fix").wait_for()
    panel.locator("review-grid .wrap").evaluate("box => { box.scrollLeft = 0; }")
    yield "review"
    go_on.click()
    send = panel.get_by_role("button", name="Send 395 rows")
    send.wait_for()
    yield "send"
    send.click()
    panel.get_by_text("All 395 rows were accepted").wait_for()
    yield "report"


def taken(page: Page, picture: Path, place: str, height: int = HEIGHT) -> None:
    """Take the picture of the top of a part of the page."""
    box = page.locator(place).bounding_box() or {"x": 0, "y": 0, "width": WIDTH, "height": height}
    page.screenshot(path=picture, clip={**box, "height": min(box["height"], height)})
    if picture.stat().st_size > MAX_BYTES:
        raise SystemExit(f"{picture} has {picture.stat().st_size:,} bytes, more than {MAX_BYTES:,}.")


def main(folder: Path) -> None:
    """Write the pictures to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, chromium() as browser:
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        for name, result in results().items():
            page.goto(result.to_html(Path(place, f"{name}.html")).as_uri())
            taken(page, folder / f"{name}.png", "body")
        work = Path(place, "work", "notebooks")
        work.mkdir(parents=True)
        shutil.copy(ROOT / "data" / DELIVERIES[0], work)
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(ONBOARD)])
        book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}  # else the browser asks for one
        nbformat.write(book, work / "onboard.ipynb")
        with jupyterlab(Path(place), work.parent, PYTHONPATH=str(ROOT)) as lab:
            page.set_viewport_size({"width": PANEL_WIDTH, "height": 3_000})  # nothing is scrolled away
            for name in steps(page, lab):
                taken(page, folder / f"onboard_{name}.png", ".tk.panel", PANEL_HEIGHT)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images")

"""The review grid with 100,000 rows in JupyterLab, in a real browser: what a jump, a filter, a search, an edit take.

Milliseconds from the act to the drawn rows.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page

from tests.benchmarks.figures import ROOT, Figure
from tests.support.browser import chromium, command, jupyterlab, open_notebook, write_notebooks

STEP_MS = 200
CODE = """
import pandas as pd, toolkit as tk
from toolkit.quality import RULES
n = {rows}
place = pd.Series(range(n))
frame = pd.DataFrame({{
    "customer_id": ("C" + place.astype(str).str.zfill(7)).astype("str"),
    "updated_at": pd.Timestamp("2026-01-01T00:00:00Z") + pd.to_timedelta(place, unit="s"),
    "customer_name": ("Name of customer " + place.astype(str)).astype("str"),
    "customer_category": pd.Series(["Retail", "Industry", "Trade"])[place % 3].to_numpy(),
    "customer_subcategory": pd.Series(["Tools", "Food"])[place % 2].to_numpy(),
    "customer_price_list_id": "PL-1",
    "source": pd.Series(["customer", "ERP"])[(place % 100 == 7).astype(int)].to_numpy(),
}})
panel = tk.ReviewPanel(tk.validate(frame, rules=[r for r in RULES if r.of_a_row]))
panel
"""


def measured(page: Page, panel: Locator, rows: int) -> dict[str, list[float]]:
    table, shown = panel.locator("review-grid table"), panel.locator("output", has_text="shown")

    def taken(act: Callable[[], object], done: str) -> float:
        start = time.perf_counter()
        act()
        page.wait_for_function(done, polling="raf")
        return (time.perf_counter() - start) * 1000

    said = "() => [...document.querySelectorAll('.tk.panel output')].some(e => e.textContent.startsWith('{}'))"
    found: dict[str, list[float]] = {name: [] for name in ("jump", "scroll", "filter", "search", "edit")}
    panel.get_by_role("button", name="Show all rows").click()
    shown.get_by_text(f"{rows:,} of").wait_for()
    for part in (0.9, 0.2, 0.7, 0.45, 0.99, 0.05):
        row = int(part * (rows - 50))
        scroll = f"document.querySelector('.tk.panel review-grid .wrap').scrollTop = {row} * 46"
        heads = "[...document.querySelectorAll('.tk.panel review-grid tbody th')]"
        drawn = f"() => {heads}.some(e => e.textContent === '{row + 3}')"
        found["jump"].append(taken(lambda scroll=scroll: page.evaluate(scroll), drawn))
    for _ in range(8):  # by ten rows, from where it is
        row += 10
        scroll = f"document.querySelector('.tk.panel review-grid .wrap').scrollTop = {row} * 46"
        drawn = f"() => {heads}.some(e => e.textContent === '{row + 3}')"
        found["scroll"].append(taken(lambda scroll=scroll: page.evaluate(scroll), drawn))
    for _ in range(3):
        n_bad = f"{rows // 100:,} of"
        found["filter"].append(taken(panel.get_by_label("failure").check, said.format(n_bad)))
        found["filter"].append(taken(panel.get_by_label("failure").uncheck, said.format(f"{rows:,} of")))
    search = panel.get_by_label("Search rows")
    for text in ("customer 4711", "customer 8150"):
        other = f"() => !document.querySelector('.tk.panel output').textContent.startsWith('{rows:,} of')"
        found["search"].append(taken(lambda text=text: search.fill(text), other))
        search.fill("")
        shown.get_by_text(f"{rows:,} of").wait_for()
    panel.get_by_label("failure").check()
    table.locator("tbody th", has_text="7").first.wait_for()
    for row in (7, 107, 207):
        cell = table.locator("tr", has=page.locator(f"th:text-is('{row}')")).locator("[aria-colindex='9']")
        cell.dblclick()
        page.keyboard.type("customer")
        n = f"{rows // 100 - (row // 100 + 1):,} rows"
        left = f"() => document.querySelector('.tk.panel h4').textContent.startsWith('{n}')"
        found["edit"].append(taken(lambda: page.keyboard.press("Enter"), left))
    return found


def reviewing(n: int, _: str = "") -> list[Figure]:
    """Show a frame of `n` rows in the review panel, and take each step several times."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        place = Path(folder)
        (place / "work" / "notebooks").mkdir(parents=True)
        write_notebooks(place / "work" / "notebooks", {"review": [CODE.format(rows=n)]})
        with jupyterlab(place / "lab", place / "work", TOOLKIT_HOME=str(place / "home"), PYTHONPATH=str(ROOT)) as lab:
            page = browser.new_page(viewport={"width": 1500, "height": 2_400})
            page.set_default_timeout(60_000)
            open_notebook(page, lab, "review")
            command(page, "notebook:run-all-cells")
            panel = page.locator(".tk.panel")
            panel.locator("h4").first.wait_for()
            found = measured(page, panel, n)
    return [
        Figure(f"review grid, {n:,} rows: {name}", statistics.median(took), "ms", len(took),
               at_most=None if name == "edit" else STEP_MS)
        for name, took in found.items()
    ]  # fmt: skip

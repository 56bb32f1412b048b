"""The review grid with 100,000 rows in JupyterLab, in a real browser: what a jump, a filter, a search, an edit take.

Milliseconds from the act to the drawn rows.
"""

from __future__ import annotations

import statistics
import tempfile
import time
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


IN_PAGE = """async ([act, done, given]) => {
    const run = code => new Function('panel', 'given', code)(document.querySelector('.tk.panel'), given)
    const start = performance.now()
    run(act)
    while (!run(done)) await new Promise(requestAnimationFrame)
    return performance.now() - start }"""
SCROLL = "panel.querySelector('review-grid .wrap').scrollTop = given * 46"
DRAWN = "return [...panel.querySelectorAll('review-grid tbody th')].some(e => e.textContent === String(given + 3))"
TICK = (
    "[...panel.querySelectorAll('label')].find(e => e.textContent.startsWith('failure')).querySelector('input').click()"
)
TYPE = """const box = panel.querySelector('input[type=search]')
    Object.assign(box, {value: given}).dispatchEvent(new Event('input', {bubbles: true}))"""
FIRST = "return panel.querySelector('review-grid tbody th')?.textContent === String(given)"


def measured(page: Page, panel: Locator, rows: int) -> dict[str, list[float]]:
    """Return milliseconds by step, by the clock of the page: a test's click waits for more than a person's."""
    table, shown = panel.locator("review-grid table"), panel.locator("output", has_text="shown")

    def taken(act: str, done: str, given: object) -> float:
        return float(page.evaluate(IN_PAGE, [act, done, given]))

    found: dict[str, list[float]] = {name: [] for name in ("jump", "scroll", "filter", "search", "edit")}
    panel.get_by_role("button", name="Show all rows").click()
    shown.get_by_text(f"{rows:,} of").wait_for()
    row = 0
    for part in (0.9, 0.2, 0.7, 0.45, 0.99, 0.05):
        row = int(part * (rows - 50))
        found["jump"].append(taken(SCROLL, DRAWN, row))
    for _ in range(20):  # by a screen and a half, from where it is
        row += 30
        found["scroll"].append(taken(SCROLL, DRAWN, row))
    for _ in range(3):
        found["filter"] += [taken(TICK, FIRST, number) for number in (7, 0)]
    for number in (1711, 815, 42):
        found["search"].append(taken(TYPE.replace("given", f"'customer {number}'"), FIRST, number))
        panel.get_by_label("Search rows").fill("")
        shown.get_by_text(f"{rows:,} of").wait_for()
    panel.get_by_label("failure").check()
    table.locator("tbody th", has_text="7").first.wait_for()
    for bad in (7, 107, 207):
        cell = table.locator("tr", has=page.locator(f"th:text-is('{bad}')")).locator("[aria-colindex='9']")
        cell.dblclick()
        page.keyboard.type("customer")
        n_left, begun = rows // 100 - bad // 100 - 1, time.perf_counter()
        page.keyboard.press("Enter")
        left = f"() => document.querySelector('.tk.panel h4').textContent.startsWith('{n_left:,} rows')"
        page.wait_for_function(left, polling="raf")
        found["edit"].append((time.perf_counter() - begun) * 1000)
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

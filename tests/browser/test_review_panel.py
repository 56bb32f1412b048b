"""Values and Review in JupyterLab, in a real browser: what an analyst who writes no code does between file and push."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import openpyxl
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import open_notebook, outputs, run_cell, theme, violations, write_notebooks

ROOT = Path(__file__).parent.parent.parent
FIRST = "2026-09-01_customers"
CELLS = {
    "values": [
        "import toolkit as tk\nfrom toolkit.panels import Panel, Values, Work\n"
        f"stated = tk.Mapping.load('{FIRST}.toml')\nimport dataclasses\nstep = Values()\n"
        f"step.begin(Work(source='{FIRST}.csv', mapping=dataclasses.replace(stated, corrections={{}})))\nPanel(step)",
        "step.mapping.values, step.mapping.empty, step.mapping.corrections",
    ],
    "review": [
        "import toolkit as tk\n"
        f"report = tk.validate(tk.correct(tk.read_customers('{FIRST}.csv', mapping='{FIRST}.toml')))\n"
        "panel = tk.ReviewPanel(report)\npanel",
        "panel.patch.entries[['source_row', 'column', 'after']].fillna('').values.tolist(), panel.report.n_quarantined",
    ],
}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("review")
    (folder / "notebooks").mkdir()
    for ending in ("csv", "toml"):
        shutil.copy(ROOT / "data" / f"{FIRST}.{ending}", folder / "notebooks")
    write_notebooks(folder / "notebooks", CELLS)
    return folder


@pytest.fixture
def page(lab_page: Page) -> Page:
    lab_page.set_viewport_size({"width": 1500, "height": 2_400})
    return lab_page


def run(page: Page, at: int) -> str:
    run_cell(page, at)
    return str(outputs(page)[at][0]["data"]) if at else ""


def opened(page: Page, lab: str, name: str) -> Locator:
    open_notebook(page, lab, name)
    run(page, 0)
    panel = page.locator(".tk.panel")
    panel.locator("h4").first.wait_for()
    return panel


def require_readable(page: Page, panel: Locator, name: str) -> None:
    """Nothing serious or moderate in light and dark, and no bar below the panel, also where it is narrow."""
    for theme_ in ("JupyterLab Light", "JupyterLab Dark"):
        theme(page, theme_)
        if shots := os.environ.get("SCREENSHOTS"):  # a folder, to look at the result
            page.screenshot(path=str(Path(shots) / f"panel_{name}_{theme_.split()[-1].lower()}.png"))
        assert not violations(page)
    for width in (1160, 900, 1500):
        page.set_viewport_size({"width": width, "height": 2_400})
        wide = "e => [...e.querySelectorAll(':not(.wrap *)')].filter(x => x.getBoundingClientRect().right > " \
               "e.getBoundingClientRect().right + 1).map(x => x.outerHTML.slice(0, 200))"  # fmt: skip
        assert panel.evaluate(wide) == []


def cell(panel: Locator, row: int, column: int) -> Locator:
    found = panel.locator("review-grid tbody tr", has=panel.page.locator(f"th:text-is('{row}')"))
    return found.locator(f"[aria-colindex='{column}']")


def test_words_and_corrections_are_chosen_and_shown(lab: str, page: Page) -> None:
    panel = opened(page, lab, "values")
    panel.get_by_role("heading", name="1 word is not of the schema").wait_for()
    panel.get_by_label("ERP of Herkunft").select_option("customer")
    panel.get_by_role("heading", name="Every word is known").wait_for()
    trim = panel.get_by_label("trim_spaces would change")
    trim.check()
    assert panel.get_by_label("source_to_customer nothing to change").is_disabled()
    panel.get_by_text("Look at some").first.click()
    expect(panel.locator("details[open] li").first).to_contain_text("row ")
    panel.get_by_label("Empty cells of Firmenname").select_option("keep")
    require_readable(page, panel, "values")
    said = run(page, 1)
    for part in ("{'ERP': 'customer'}", "{'customer_name': 'keep'}", "{'trim_spaces': True}"):
        assert part in said


def test_rows_are_edited_left_out_and_taken_back_by_keyboard(lab: str, work: Path, page: Page) -> None:
    panel = opened(page, lab, "review")
    n_cells = "() => window.jupyterapp.shell.currentWidget.content.widgets.length"
    before = page.evaluate(n_cells)
    panel.get_by_role("heading", name="9 rows are still to fix; 394 can be sent").wait_for()
    cell(panel, 408, 3).wait_for()  # all that there is room for, although nothing was scrolled
    time = cell(panel, 101, 8)
    expect(time.locator(".why")).to_contain_text("is not a time")
    cell(panel, 101, 7).hover()
    page.mouse.down()
    panel.locator("review-grid .wrap").evaluate(  # rows come in before the button is up
        """box => new Promise(done => {
            box.scrollTop += 1;
            requestAnimationFrame(() => requestAnimationFrame(done)) })"""
    )
    page.mouse.up()
    page.keyboard.press("ArrowRight")
    expect(time).to_be_focused()
    described = panel.locator(f"[id='{time.get_attribute('aria-describedby')}']")
    expect(described).to_contain_text("is not a time as %d.%m.%Y %H:%M")
    page.keyboard.press("Enter")
    page.keyboard.type("01.01.2026 00:00")
    page.keyboard.press("Escape")
    expect(time).to_contain_text("31.06.2026 09:30")
    page.keyboard.press("F2")
    page.keyboard.type("30.06.2026 09:30")
    page.keyboard.press("Enter")
    panel.get_by_role("heading", name="8 rows are still to fix; 395 can be sent").wait_for()
    expect(time.locator(".why")).to_have_text("✎ was 31.06.2026 09:30")  # the bad mark is gone
    expect(time).to_be_focused()
    for key in ("b", "x", "Shift+D", "ArrowLeft"):
        page.keyboard.press(key)
    assert page.evaluate(n_cells) == before
    cell(panel, 143, 4).click()
    page.keyboard.press("Delete")
    panel.get_by_role("heading", name="6 rows are still to fix; 396 can be sent; 1 left out").wait_for()
    expect(cell(panel, 143, 2)).to_contain_text("left out")
    cell(panel, 167, 3).dblclick()
    page.keyboard.type("0001317")
    page.keyboard.press("Tab")
    panel.get_by_role("heading", name="5 rows are still to fix").wait_for()
    cell(panel, 167, 3).click()
    page.keyboard.press("Control+z")
    panel.get_by_role("heading", name="6 rows are still to fix").wait_for()
    expect(cell(panel, 167, 3).locator(".why")).to_have_text("✕ is empty")
    cell(panel, 90, 3).click()
    panel.get_by_role("button", name="Join 2 cells").click()
    panel.get_by_role("heading", name="5 rows are still to fix").wait_for()
    expect(cell(panel, 90, 4)).to_contain_text("Kettlinghaus; Sohn & Co. KG")
    panel.get_by_role("button", name="Undo row 90").click()
    panel.get_by_role("heading", name="6 rows are still to fix").wait_for()
    require_readable(page, panel, "review")

    panel.get_by_label("failure").check()
    panel.get_by_text("6 of 403 rows shown").wait_for()
    panel.get_by_label("whole line").check()  # "and" between facets
    panel.get_by_text("1 of 403 rows shown").wait_for()
    expect(panel.locator("review-grid table")).to_have_attribute("aria-rowcount", "2")
    panel.get_by_role("button", name="Show all rows").click()
    panel.get_by_text("403 of 403 rows shown").wait_for()
    panel.get_by_label("Search rows").fill("sölvang elektro a")
    panel.get_by_text("2 of 403 rows shown").wait_for()
    expect(cell(panel, 408, 3)).to_have_attribute("title", "1114 — differs from another only by case, spaces or "
                                                            "leading zeros (see row 61)")  # fmt: skip
    panel.get_by_label("Search rows").fill("0001114")
    panel.get_by_text("1 of 403 rows shown").wait_for()
    cell(panel, 61, 3).click()
    panel.get_by_role("button", name="Go to row 408").click()  # it is not among those shown
    panel.get_by_text("403 of 403 rows shown").wait_for()
    expect(cell(panel, 408, 3)).to_be_focused()

    panel.get_by_label("Review sheet for the owner of the data").fill("out.xlsx")
    panel.get_by_role("button", name="Write").click()
    panel.get_by_role("status").get_by_text("out.xlsx is written").wait_for(state="attached")
    sheet = work / "notebooks" / "out.xlsx"
    book = openpyxl.load_workbook(sheet)
    rows = book.worksheets[0]
    at = [c.value for c in rows[1]].index("Kundennummer")
    next(r for r in rows.iter_rows(min_row=2) if r[0].value == 167)[at].value = "0001317"
    book.save(sheet)
    panel.get_by_label("A patch, or a sheet that came back").fill("out.xlsx")
    panel.get_by_role("button", name="Apply").click()
    panel.get_by_role("heading", name="5 rows are still to fix").wait_for()
    panel.get_by_role("button", name="Undo row 143").click()
    panel.get_by_role("heading", name="7 rows are still to fix").wait_for()
    panel.get_by_role("button", name="Save", exact=True).click()
    panel.get_by_role("status").get_by_text("patch.csv is written").wait_for(state="attached")
    said = run(page, 1)
    edits = "[[101, 'updated_at', '2026-06-30T07:30:00Z'], [167, 'customer_id', '0001317']], 7"
    assert edits.replace(" ", "") in said.replace("\\n", "").replace(" ", "")
    assert (work / "notebooks" / "patch.csv").read_text(encoding="utf-8").count("\n") == 3

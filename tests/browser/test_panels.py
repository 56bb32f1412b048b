"""Panels in JupyterLab, in a real browser: a delivery is mapped by mouse and by keyboard; a restart loses nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Locator, Page

from tests.support.browser import command, open_notebook, outputs, run_cell, theme, violations, write_notebooks
from toolkit.display import SCRIPT, grid
from toolkit.panels import element, field_of, select, tick
from toolkit.reading import Mapping

ROOT = Path(__file__).parent.parent.parent
LIGHT, DARK = "JupyterLab Light", "JupyterLab Dark"
FIRST = "2026-09-01_customers"
STATED = Mapping.load(ROOT / "data" / f"{FIRST}.toml")
CELLS = {
    "mouse": [f'import toolkit as tk\nsession = tk.onboard("{FIRST}.csv")', "session.mapping.to_toml('mouse.toml')"],
    "keys": [
        f'import toolkit as tk; tk.use(tk.Settings(home="keys"))\npanel = tk.MappingPanel("{FIRST}.csv")\npanel',
        "panel.mapping.to_toml('keys.toml')",
    ],
    "upload": [
        "import os; os.mkdir('upload'); os.chdir('upload')\nimport toolkit as tk\n"
        "import toolkit.panels.upload as step\nstep.SLICE = 20_000\nsession = tk.onboard()",
        "session.station.step.brief",
    ],
}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("panels")
    (folder / "notebooks").mkdir()
    shutil.copy(ROOT / "data" / f"{FIRST}.csv", folder / "notebooks")
    write_notebooks(folder / "notebooks", CELLS)
    return folder


@pytest.fixture
def page(lab_page: Page) -> Page:
    lab_page.set_viewport_size({"width": 1300, "height": 3_000})
    return lab_page


def opened(page: Page, lab: str, name: str) -> Locator:
    open_notebook(page, lab, name)
    return shown(page)


def shown(page: Page) -> Locator:
    run_cell(page, 0)
    panel = page.locator(".tk.panel")
    panel.locator("h3, h4").first.wait_for()
    return panel


def n_cells(page: Page) -> int:
    return page.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets.length")


WIDE = """e => [...e.querySelectorAll(':not(.wrap *, .smp *, .steps *)')].map(x => [x.getBoundingClientRect().right, x])
    .filter(([at]) => at > e.getBoundingClientRect().right + 1).map(([, x]) => x.outerHTML.slice(0, 200))"""


def require_readable(page: Page, panel: Locator, name: str, *themes: str) -> None:
    """Nothing serious or moderate in these themes, and no bar below the panel, also where it is narrow."""
    for name_ in themes:
        theme(page, name_)
        if shots := os.environ.get("SCREENSHOTS"):  # a folder, to look at the result
            page.screenshot(path=str(Path(shots) / f"panel_{name}_{name_.split()[-1].lower()}.png"))
        assert not violations(page)
    for width in (960, 700, 1300):
        page.set_viewport_size({"width": width, "height": 3_000})
        assert panel.evaluate(WIDE) == []


def test_a_delivery_is_mapped_by_mouse_and_a_restart_loses_nothing(lab: str, work: Path, page: Page) -> None:
    panel = opened(page, lab, "mouse")
    go_on = panel.get_by_role("button", name="Next", exact=True)
    panel.get_by_label("1", exact=True).check()  # the header row
    require_readable(page, panel, "file", DARK)
    go_on.click()
    panel.get_by_role("button", name="Ignore all of them").click()
    go_on.click()
    panel.get_by_text("! Choose the time zone of Geändert am").first.wait_for()
    zone = panel.get_by_label("Time zone, of times that name none")
    assert zone.evaluate("e => e === document.activeElement")
    zone.fill("Europe/Berlim")
    zone.press("Tab")
    panel.get_by_role("alert").get_by_text("did you mean 'Europe/Berlin'").wait_for()
    zone.fill("Europe/Berlin")
    zone.press("Tab")
    panel.get_by_text("2026-02-21 12:50Z").first.wait_for()
    panel.get_by_label("customer_name").select_option("Ort")
    panel.get_by_role("button", name="Ignore Firmenname", exact=True).wait_for()
    panel.get_by_label("customer_category").select_option("Ort")
    panel.get_by_text("Ort is now customer_category: customer_name is free again.").first.wait_for()
    panel.get_by_label("customer_name").select_option("Firmenname")
    panel.get_by_label("customer_category").select_option("Kundengruppe")
    panel.get_by_role("button", name="Ignore Ort", exact=True).wait_for()
    require_readable(page, panel, "columns", DARK, LIGHT)
    panel.get_by_role("button", name="Ignore Ort").click()
    panel.get_by_role("button", name="Do not ignore Ort").wait_for()
    run_cell(page, 1)
    made = Mapping.load(work / "notebooks" / "mouse.toml")
    assert (made.columns, made.datetime, made.timezone) == (STATED.columns, STATED.datetime, STATED.timezone)

    command(page, "docmanager:save")
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    page.goto("about:blank")  # the browser is closed
    open_notebook(page, lab, "mouse")
    page.locator(".tk .still").wait_for()  # the picture, as it was last
    assert page.get_by_text("Do not ignore").count() == 0
    assert page.locator(".tk .still").get_by_text("Geändert am").first.is_visible()
    assert not page.get_by_text("model not found").is_visible()
    panel = shown(page)
    panel.get_by_text(f"A session of {FIRST}.csv was left at Columns").first.wait_for()
    panel.get_by_role("button", name="Go on").click()
    panel.get_by_text("2026-02-21 12:50Z").first.wait_for()
    panel.get_by_role("button", name="Next", exact=True).click()
    panel.get_by_role("heading", name="would change something").wait_for()
    run_cell(page, 0)  # it closes the panel of the earlier run
    page.wait_for_function("() => document.querySelectorAll('.tk.panel').length === 1")

    command(page, "docmanager:save")
    book = nbformat.read(work / "notebooks" / "mouse.ipynb", as_version=4)
    picture, widget = book.cells[0].outputs
    # What is shown where no extension draws widgets: the picture, or a line.
    assert set(picture.data) == {"text/html", "text/plain"}
    assert "text/plain" not in widget.data
    assert picture.data["text/plain"].startswith("<OnboardPanel: shown in JupyterLab; the same in code: ")
    book.cells[0].source += "  # by somebody else"
    nbformat.write(book, work / "notebooks" / "untrusted.ipynb")
    open_notebook(page, lab, "untrusted")
    trusted = "() => window.jupyterapp.shell.currentWidget.content.widgets[0].model.trusted"
    assert page.evaluate(trusted) is False
    shown_ = page.locator(".jp-OutputArea").first
    shown_.get_by_text(f"A session of {FIRST}.csv was left at Values").wait_for()
    assert shown_.locator("style, script, [data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    assert not page.get_by_text("model not found").is_visible()


def test_a_delivery_is_mapped_by_keyboard_and_no_key_is_a_command(lab: str, work: Path, page: Page) -> None:
    panel = opened(page, lab, "keys")
    before = n_cells(page)
    panel.get_by_role("button", name="Ignore Ort").focus()
    for key in ("Escape", "b", "d", "d", "x", "a"):
        page.keyboard.press(key)
    assert n_cells(page) == before
    panel.get_by_label("customer_id").focus()
    zone = panel.get_by_label("Time zone, of times that name none")
    for _ in range(6):
        if zone.evaluate("e => e === document.activeElement"):
            break
        page.keyboard.press("Tab")
    page.keyboard.type("Europe/Berlin")
    page.keyboard.press("Tab")
    panel.get_by_text("2026-02-21 12:50Z").first.wait_for()
    panel.get_by_role("button", name="Ignore all of them").focus()
    page.keyboard.press("Space")
    panel.get_by_role("button", name="Do not ignore Ort").wait_for()
    page.keyboard.press("b")
    assert n_cells(page) == before
    run_cell(page, 1)
    made = Mapping.load(work / "notebooks" / "keys.toml")
    assert (made.columns, made.datetime, made.timezone) == (STATED.columns, STATED.datetime, STATED.timezone)


def test_a_file_is_uploaded_in_slices(lab: str, work: Path, page: Page) -> None:
    panel = opened(page, lab, "upload")
    content = (ROOT / "data" / f"{FIRST}.csv").read_bytes()
    assert len(content) > 2 * 20_000
    panel.locator("input[type=file]").set_input_files({"name": "mine.csv", "mimeType": "text/csv", "buffer": content})
    panel.get_by_text("mine.csv is in the notebook's folder").first.wait_for()
    panel.get_by_role("heading", name="mine.csv, 406 rows").wait_for()
    assert not violations(page)  # the file step in the light theme
    assert (work / "notebooks" / "upload" / "mine.csv").read_bytes() == content
    run_cell(page, 1)
    assert outputs(page)[1][0]["data"]["text/plain"] == "'mine.csv, 406 rows'"


def drawn_alone(page: Page) -> None:
    """Show a panel on an empty page: `sent` are its messages, and `tell` is what the kernel would do."""
    script = (ROOT / "toolkit" / "panels" / "panel.js").read_text(encoding="utf-8")
    script = script.replace("export default", "window.it =")
    grids = SCRIPT.removeprefix("<script>").removesuffix("</script>")
    page.goto("about:blank")
    page.set_content("<div id=place></div>")
    page.add_script_tag(content=f"const setUpGrids = () => {{{grids}\n}}\n{script}")
    page.evaluate(
        """() => { window.sent = []
            const model = {send(message) { sent.push(message) }, off() {}, on(_, told) { window.tell = told }}
            window.it.render({model, el: document.querySelector('#place')}) }"""
    )


def test_a_grid_that_is_drawn_anew_has_its_tools(page: Page) -> None:
    drawn_alone(page)
    for number in (1, 2):
        rows = element("div", grid("Rows", ["One"], [[number]] * 9), key="rows")
        page.evaluate("view => tell({view})", rows.tree())
        assert page.get_by_role("searchbox").count() == 1


def test_an_answer_to_an_older_action_leaves_what_was_done_since(page: Page) -> None:
    drawn_alone(page)

    def answer(at: int | None, first: bool, second: bool, chosen: str, name: str, way: str) -> None:
        view = element(
            "div",
            tick("First", first, "tick", key="first"), tick("Second", second, "tick", key="second"),
            select({"a": "A", "b": "B"}, chosen, "choose", key="list", label="List"),
            field_of("Name", name, "name", key="name"),
            [tick(word, way == word, "go", key=word, kind="radio", name="way") for word in ("East", "West")],
        )  # fmt: skip
        page.evaluate("([view, at]) => tell({view, id: at === null ? null : sent[at].id})", [view.tree(), at])

    def shown() -> tuple[object, ...]:
        boxes = [page.get_by_label(name).is_checked() for name in ("First", "Second", "East", "West")]
        return (*boxes, page.get_by_label("List").input_value(), page.get_by_label("Name").input_value())

    answer(None, False, False, "a", "", "East")
    page.get_by_label("First").check()  # message 1; the first one asked for the view
    page.get_by_label("Second").check()
    page.get_by_label("List").select_option("b")
    page.get_by_label("West").check()
    page.get_by_label("Name").press_sequentially("An")
    answer(1, True, False, "a", "x", "East")  # and the kernel has another name meanwhile
    assert shown() == (True, True, False, True, "b", "An")
    page.get_by_label("Name").press_sequentially("n")
    answer(2, True, True, "a", "x", "East")
    assert shown() == (True, True, False, True, "b", "Ann")
    page.get_by_label("Name").blur()
    assert [message["do"] for message in page.evaluate("sent")] == ["show", "tick", "tick", "choose", "go", "name"]
    answer(3, True, True, "a", "x", "East")  # the choice was refused
    assert shown() == (True, True, False, True, "a", "Ann")
    answer(4, True, True, "a", "x", "West")
    answer(5, True, True, "a", "Anna", "West")
    assert shown() == (True, True, False, True, "a", "Anna")
    answer(None, False, True, "b", "", "East")  # it changed by itself
    assert shown() == (False, True, True, False, "b", "")


def test_what_is_typed_before_an_answer_is_sent_with_it(page: Page) -> None:
    drawn_alone(page)
    on = {"input": {"do": "filter"}}

    def answer(at: int, query: str) -> None:
        box = element("input", type="search", value=query, key="query", aria_label="Search", on=on)
        page.evaluate("([view, at]) => tell({view, id: sent[at].id})", [element("div", box).tree(), at])

    answer(0, "")
    page.get_by_label("Search").press_sequentially("Möw ")
    typed = "() => sent.slice(1).map(message => message.value)"
    assert page.evaluate(typed) == ["M"]  # without a pause, and one at a time
    page.get_by_label("Search").blur()
    answer(1, "M")
    page.wait_for_function("() => sent.length === 3")
    assert (page.evaluate(typed), page.get_by_label("Search").input_value()) == (["M", "Möw "], "Möw ")
    answer(2, "Möw ")
    page.get_by_label("Search").press("End")
    page.keyboard.type("e")
    assert page.evaluate(typed) == ["M", "Möw ", "Möw e"]

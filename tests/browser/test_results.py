"""Results as exported pages in a real browser: searched, sorted, filtered, copied, and usable without seeing."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, Locator, Page

import toolkit as tk
from tests.support.browser import violations
from tests.support.clocks import Clock
from toolkit.config import settings as current_settings
from toolkit.display import Result, fragment, grid
from toolkit.display import page as document
from toolkit.model.contract import CONTRACTS
from toolkit.vendor.sandbox import DROPPED

ONCE = {"snapshot", "status", "corrected", "patch", "patched", "drift", "revert", "schema", "settings", "mappings",
        "codes", "stopped", "open", "waiting"}  # fmt: skip
"""Pages of elements that others have too: axe looks at them once."""
DATA = Path(__file__).parent.parent.parent / "data"
FIRST, SECOND = DATA / "2026-09-01_customers.csv", DATA / "2026-10-01_customers.xlsx"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One page of each result of two deliveries, the second of which is refused in part."""
    place = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patched, tk.Sandbox(place / "sandbox") as sandbox:
        patched.setattr(current_settings, "_current", None)
        tk.use(sandbox)
        delivery = tk.read_customers(FIRST, mapping=FIRST.with_suffix(".toml"))
        report, ledger = tk.validate(tk.correct(delivery)), tk.Ledger.of()
        tk.push(tk.plan_push(tk.diff(ledger.snapshot(), report)), reason="September", progress=False)
        second = tk.correct(tk.read_customers(SECOND, mapping=SECOND.with_suffix(".toml")))
        checked = tk.validate(second, before=ledger.snapshot())
        changes = tk.diff(ledger.snapshot(), checked)
        shrunk = tk.diff(ledger.snapshot(), report.good.head(40))  # guards block this one
        plan = tk.plan_push(changes)
        tables = {name: DATA / f"2026-10-01_{name}.csv" for name in ("quotes", "sales", "merchants")}
        ready = tk.readiness(ledger, **tables, plan=plan, now=pd.Timestamp("2026-11-01T00:00:00Z"))
        # axe takes seconds for 400 rows, which have the same elements as 12.
        few, snapshot = replace(delivery, frame=delivery.frame.head(12)), ledger.snapshot()
        sandbox.vendor.refuse = lambda row: "price list is not known" if row["customer_id"] < "0001120" else None
        results = {
            "suggestion": tk.suggest_mapping(FIRST), "delivery": few, "corrected": tk.correct(few),
            "validation": report, "preview": tk.preview_corrections(few), "profile": tk.profile(delivery),
            "checked": checked, "diff": changes, "plan": plan, "blocked": tk.plan_push(shrunk),
            "report": tk.push(plan, reason="October", progress=False),
            "readiness": replace(ready, findings=ready.findings.groupby("finding").head(9)),
            "status": tk.status(), "history": tk.push_history(),
            "snapshot": replace(snapshot, frame=snapshot.frame.head(12)),
        }  # fmt: skip
        patch = tk.correct(few).patch(who="analyst")
        results |= {
            "patch": patch,
            "patched": tk.apply_patch(few, patch),
            "drift": checked.drift,
            "revert": tk.revert(results["report"]),
            "schema": tk.check_schema(),
            "settings": tk.Settings(),
            "mappings": tk.mappings(),
            "codes": tk.explain("DI_E_00017", means="closed", do="open it"),
        }
        patched.setitem(CONTRACTS, "2026-04", replace(CONTRACTS["2026-04"], max_rows=10))
        tk.use(sandbox)
        later = report.good.head(30).assign(updated_at=pd.Timestamp("2026-11-01T00:00:00Z"), customer_name="Acme")
        sandbox.vendor.troubles.extend([None, None, *[(True, DROPPED)] * 20])
        with pytest.raises(tk.errors.ToolkitError):
            tk.push(tk.plan_push(tk.diff(ledger.snapshot(), later), allow="all"), pace=Clock().pace, progress=False)
        results |= {"stopped": tk.push_report(), "open": tk.status(), "waiting": tk.push_history()}
    kinds = {kind for kind in Result.__subclasses__() if kind.__module__.startswith("toolkit.")}
    assert kinds <= {type(result) for result in results.values()}
    assert (results["stopped"].n_unknown, results["stopped"].n_unsent) == (10, 10)
    return {name: result.to_html(place / f"{name}.html") for name, result in results.items()}


@pytest.fixture
def page(page: Page) -> Iterator[Page]:
    page.set_viewport_size({"width": 1100, "height": 900})
    page.set_default_timeout(5_000)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    assert not faults


def shown(grid: Locator) -> list[list[str]]:
    """The cells of the rows that are shown, group lines left out."""
    return grid.evaluate(
        """g => [...g.tBodies].filter(b => !b.hidden).flatMap(b => [...b.rows]).filter(r => r.className != 'grp')
            .map(r => [...r.cells].map(c => c.innerText))"""
    )


def test_axe_finds_nothing_in_any_result_light_and_dark_narrow_and_wide(pages: dict[str, Path], page: Page) -> None:
    found = []
    for name, path in pages.items():
        page.goto(path.as_uri())
        assert page.locator("main h1").count() == 1
        assert path.stem == name
        both = ("light", "dark")  # 800 looks as 1300: the style changes at 640
        for width, schemes in ({420: ("dark",)} if name in ONCE else {420: both, 800: (), 1300: both}).items():
            page.set_viewport_size({"width": width, "height": 900})
            found += [f"{name}, {width} px: {fault}" for fault in violations(page, "structure")]
            for scheme in schemes:
                page.emulate_media(color_scheme=scheme)
                found += [f"{name}, {width} px, {scheme}: {fault}" for fault in violations(page, "contrast")]
            assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), (name, width)
    assert not found, "\n".join(found)


def test_rows_of_a_validation_are_searched_sorted_filtered_and_downloaded(pages: dict[str, Path], page: Page) -> None:
    page.goto(pages["validation"].as_uri())
    grid = page.locator('table[data-grid="Quarantined rows"]')
    tools = grid.locator("xpath=../preceding-sibling::div[@class='tools'][1]")
    assert len(shown(grid)) == 9
    assert tools.locator("output").inner_text() == "9 rows"

    tools.get_by_label("Search").fill("0001274")
    assert len(shown(grid)) == 2  # twins stay together
    assert tools.locator("output").inner_text() == "2 of 9 rows"
    tools.get_by_role("button", name="Clear").click()

    for chip in tools.locator(".chip").all():  # its number is that of the rows it shows, and its title says so
        n = int(chip.inner_text().split()[-1])
        chip.click()
        assert tools.locator("output").inner_text() == f"{n} of 9 rows"
        assert (len(shown(grid)), chip.get_attribute("title")) == (n, f"rows: {n}")
        chip.click()

    grid.locator("thead").get_by_role("button", name="Row").click()
    rows = [int(cells[0].split()[0]) for cells in shown(grid)]
    grid.locator("thead").get_by_role("button", name="Row").click()
    assert grid.locator("th[aria-sort=descending]").count() == 1
    assert int(shown(grid)[0][0].split()[0]) > rows[0]
    page.set_viewport_size({"width": 420, "height": 900})  # the column is out of sight there

    page.locator(".tiles").get_by_role("button", name="Geändert am").click()
    assert [cells[0].split("\n") for cells in shown(grid)] == [["101", "Geändert am"]]
    mark, box = (
        grid.locator(where).bounding_box() for where in ("tbody:not([hidden]) .mark", "tbody:not([hidden]) small")
    )
    assert mark["x"] > 420 > box["x"] + box["width"]
    with page.expect_download() as download:
        tools.get_by_role("button", name="CSV").click()
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    head, *lines = csv.reader(io.StringIO(text), delimiter=";")
    assert "Kundennummer" in head
    assert [line[head.index("Geändert am")] for line in lines] == ["31.06.2026 09:30"]
    assert "not a time" in lines[0][-1]


def test_changed_fields_are_searched_sorted_filtered_unfolded_and_downloaded(
    pages: dict[str, Path], page: Page
) -> None:
    page.goto(pages["diff"].as_uri())
    grid = page.locator('table[data-grid="Changed fields"]')
    tools = grid.locator("xpath=../preceding-sibling::div[@class='tools'][1]")
    n_all = len(shown(grid))
    tools.get_by_role("button", name="restated", exact=False).first.click()
    assert 0 < len(shown(grid)) < n_all
    assert all("restated" in " ".join(cells) for cells in shown(grid))
    tools.get_by_role("button", name="Clear").click()
    assert len(shown(grid)) == n_all

    customer = shown(grid)[-1][1].split()[0]
    tools.get_by_label("Search").fill(customer)
    assert {cells[1].split()[0] for cells in shown(grid)} == {customer}
    with page.expect_download() as download:
        tools.get_by_role("button", name="CSV").click()
    head, *lines = csv.reader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8-sig")), delimiter=";")
    assert [line[1] for line in lines] == [customer] * len(shown(grid))
    assert all(line[head.index("Before")] != line[head.index("After")] for line in lines)
    assert all("<" not in "".join(line) for line in lines)  # a change is marked on the page only
    tools.get_by_role("button", name="Clear").click()

    rows = {}
    for order in ("ascending", "descending"):
        grid.locator("thead").get_by_role("button", name="Row").click()
        assert grid.locator(f"th[aria-sort={order}]").count() == 1
        rows[order] = [int(cells[0]) for cells in shown(grid)]
    assert rows["ascending"] == sorted(rows["descending"])
    assert rows["descending"] == sorted(rows["ascending"], reverse=True)
    assert len(rows["ascending"]) == n_all

    page.get_by_role("button", name="Unfold all").click()
    assert page.locator("details.fold:not([open])").count() == 0
    page.reload()
    fold = page.locator("details.fold").first
    assert not fold.locator("table").is_visible()
    fold.locator("summary").press("Enter")
    assert fold.locator("table").is_visible()


def test_without_the_script_rows_and_counts_are_there_and_nothing_is_dead(
    pages: dict[str, Path], browser: Browser
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    for name, path in pages.items():
        page.goto(path.as_uri())
        assert page.locator("h2.verdict").inner_text(), name
        assert page.locator("button, input, select").count() == 0, name
    page.goto(pages["validation"].as_uri())
    assert page.locator('table[data-grid="Quarantined rows"] tbody tr:not(.grp)').count() == 9
    context.close()


def test_a_page_of_several_results_has_each_set_of_tools_once(page: Page, tmp_path: Path) -> None:
    cells = ["=1+1", '"=2', "\uff1d3", "-4.5", "-", "'-"]
    grids = [fragment(grid(name, ["=HYPERLINK(1)"], [[cell] for cell in cells])) for name in ("One", "Two")]
    (tmp_path / "run.html").write_text(document("Run", "".join(grids)), encoding="utf-8")
    page.goto((tmp_path / "run.html").as_uri())
    assert page.locator(".tools").count() == 2
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").first.click()
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    column = [line[0] for line in csv.reader(io.StringIO(text), delimiter=";")]
    assert column == ["'=HYPERLINK(1)", "'=1+1", '"=2', "'\uff1d3", "-4.5", "-", "''-"]


def test_five_thousand_rows_are_searched_and_sorted(page: Page, tmp_path: Path) -> None:
    n = 5_000
    frame = pd.DataFrame({"customer_id": [f"C{i % 4000:05d}" for i in range(n)], "source": ["ERP"] * n,
                          "updated_at": pd.to_datetime(["2026-01-01T00:00:00Z"] * n)})  # fmt: skip
    path = tk.validate(frame).to_html(tmp_path / "many.html")
    assert path.stat().st_size < 5_000_000
    page.goto(path.as_uri())
    grid = page.locator('table[data-grid="Quarantined rows"]')
    assert len(shown(grid)) == n
    grid.locator("xpath=../preceding-sibling::div[1]").get_by_label("Search").fill("C00007")
    assert len(shown(grid)) == 2


def test_a_narrow_page_has_cards_a_profile_is_searched_and_a_push_leads_to_its_line(
    pages: dict[str, Path], page: Page
) -> None:
    page.goto(pages["profile"].as_uri())
    page.get_by_label("Search columns").fill("PL-ENT-001")
    assert page.locator("[data-find] > li:visible").count() == 1
    page.set_viewport_size({"width": 420, "height": 900})
    findings = page.locator('table[data-grid="What was found"]')
    assert not findings.locator("thead").is_visible()
    cells = findings.locator("tbody").first.locator("td").evaluate_all("c => c.map(e => e.getBoundingClientRect().x)")
    assert len(set(cells)) == 1  # below each other

    page.goto(pages["history"].as_uri())
    page.locator("a[href^='#push-']").last.click()
    tinted = page.locator("tbody:target td").first.evaluate("e => getComputedStyle(e).backgroundColor")
    assert tinted != "rgba(0, 0, 0, 0)"
    assert page.locator("tbody:target").inner_text().count("refused") == 1


def test_a_changed_cell_of_a_plan_is_copied_as_it_is_sent(pages: dict[str, Path], page: Page) -> None:
    page.goto(pages["plan"].as_uri())
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").first.click()
    head, *lines = csv.reader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8-sig")), delimiter=";")
    sent = {line[head.index("Row")]: line for line in lines}
    assert sent["64"][head.index("Price List")] == "PL-ENT-004"  # PL-ENT-001 before
    assert sent["54"][head.index("Name")] == "Neue Weißdorn Antriebe GmbH"
    assert sent["64"][head.index("Last Change")] == "2026-09-02 13:31:00"

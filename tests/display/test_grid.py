"""Grids: complete, drawn from data, with everything a stranger's cell may hold escaped."""

from __future__ import annotations

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pages import Page
from toolkit.display import Cell, Column, Unit, frame_table, grid

COLUMNS = [Column("Row", right=True), Column("Firma", "customer_name")]


def test_a_grid_is_drawn_from_columns_and_units() -> None:
    differs = Cell("Acme B", tone="bad", why="differs")
    twins = Unit([(2, "Acme"), (9, differs)], {"rule": ["twins"]}, "bad", "Two rows")
    units = [twins, Unit([(5, None)], {"rule": ["empty", "line"]})]
    shown = Page(grid("Bad rows", COLUMNS, units, facets={"rule": "Rule"}, more=4)).grids["Bad rows"]
    assert shown.heads == ["Row", "Firma"]
    assert shown.rows == [["2", "Acme"], ["9", "Acme B ✕ differs"], ["5", "empty"]]
    assert shown.units == [{"rule": ["twins"]}, {"rule": ["empty", "line"]}]
    assert shown.facets == {"rule": "Rule"}
    assert shown.marked == [(1, "Firma", "bad")]


@given(cell=st.text(), facet=st.text(min_size=1), why=st.text(), head=st.text(min_size=1))
def test_no_text_breaks_out_of_a_cell_or_an_attribute(cell: str, facet: str, why: str, head: str) -> None:
    drawn = grid(head, [Column(head, why)], [Unit([[cell]], {"rule": [facet]}), Unit([[Cell(cell, sort=why)]])])
    page = Page(drawn)
    assert page.tags <= {"div", "table", "thead", "tbody", "tr", "th", "td", "small", "span", "wbr"}
    assert page.attributes <= {
        "class", "tabindex", "role", "aria-label", "scope",
        "data-grid", "data-unit", "data-facets", "data-s", "data-t", "data-v", "data-rule", "data-names",
    }  # fmt: skip
    assert len(next(iter(page.grids.values())).rows) == 2
    assert all(c.isprintable() or c in "\n\t" for c in drawn)


def test_columns_of_one_name_are_each_shown() -> None:
    frame = pd.DataFrame([[1, "x", 2], [3, "y", 4]], columns=["a", "b", "a"])
    assert Page(frame_table(frame)).grids["Rows"].rows == [["1", "x", "2"], ["3", "y", "4"]]


def test_a_column_of_numbers_is_one_though_some_cells_are_empty() -> None:
    frame = pd.DataFrame(
        {"value": [None, 1.5, None], "none": [None] * 3, "id": [None, "007", None], "both": [1, "x", ""]}
    )
    shown = Page(frame_table(frame, name="Rows")).grids["Rows"]
    assert dict(zip(shown.heads, shown.numbers, strict=True)) == {
        "value": True, "none": False, "id": False, "both": False
    }  # fmt: skip
    assert [row[0] for row in shown.rows] == ["empty", "1.5", "empty"]


def test_a_frame_is_shown_whole_up_to_a_bound() -> None:
    frame = pd.DataFrame({"a": range(6_000)})
    page = Page(frame_table(frame, name="Rows"))
    assert len(page.grids["Rows"].rows) == 5_000
    assert "and 1,000 more rows" in page.text

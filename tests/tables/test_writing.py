"""Tables as files: what is written reads back the same, and nothing half-written stays."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest
from openpyxl import load_workbook

from toolkit.errors import InputError
from toolkit.quality.validation import validate
from toolkit.reading.customers import read_customers
from toolkit.tables.writing import Cell, Sheet, write_sheets, write_table


@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
def test_what_is_written_reads_back_cell_for_cell(customers, tmp_path: Path, ending: str) -> None:
    frame = customers(4, customer_id=["007", "1E5", "TRUE", "NA"], customer_name=["=1+1", "@x", None, 'Mü; "a"'])
    frame.loc[3, "updated_at"] = pd.Timestamp("2026-01-01T00:00:00.000001Z")
    back = read_customers(write_table(frame, tmp_path / f"out{ending}")).frame
    pd.testing.assert_frame_equal(back, frame, check_index_type=False)


def test_parquet_keeps_the_types(customers, tmp_path: Path) -> None:
    frame = customers(2)
    back = pd.read_parquet(write_table(frame, tmp_path / "out.parquet"))
    pd.testing.assert_frame_equal(back, frame.reset_index(drop=True), check_dtype=False)
    assert str(back["updated_at"].dtype) == "datetime64[us, UTC]"


def test_no_cell_is_a_formula(customers, tmp_path: Path) -> None:
    file = write_table(customers(2, customer_name=["=HYPERLINK(1)", "x"]), tmp_path / "out.xlsx")
    assert "f" not in {cell.data_type for row in load_workbook(file).active.iter_rows() for cell in row}


def test_a_text_that_a_cell_would_cut_is_refused(customers, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"write \.csv"):
        write_table(customers(1, customer_name=["x" * 32_768]), tmp_path / "out.xlsx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["out.docx", "nowhere/out.csv", "out.xlsx"])
def test_what_cannot_be_written_leaves_what_was_there(customers, tmp_path: Path, name: str) -> None:
    (tmp_path / "out.xlsx").write_text("precious", encoding="utf-8")
    with pytest.raises(InputError, match="cannot"):
        write_table(customers(1, customer_name=["x" * 32_768]), tmp_path / name)
    assert [f.name for f in tmp_path.iterdir()] == ["out.xlsx"]
    assert (tmp_path / "out.xlsx").read_text(encoding="utf-8") == "precious"


@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "out.xlsx", "out.html"])
@pytest.mark.parametrize("left_behind", [False, True])
def test_what_is_written_is_for_its_user_alone(customers, tmp_path: Path, name: str, left_behind: bool) -> None:
    file, frame = tmp_path / name, customers(2)
    umask = os.umask(0o022)
    try:
        if left_behind:  # an earlier file, and what a killed process left of one
            part = tmp_path / f".{'0' * 16}.part{file.suffix}"
            for path, text in ((file, "earlier"), (part, "half"), (tmp_path / f".{name}.unfinished", part.name)):
                path.write_text(text, encoding="utf-8")
        validate(frame).to_html(file) if name.endswith("html") else write_table(frame, file)
    finally:
        os.umask(umask)
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_a_page_that_cannot_be_written_is_an_error_of_ours(customers, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        validate(customers(1)).to_html(tmp_path / "nowhere" / "out.html")


def test_a_sheet_has_its_colours_comments_and_widths_and_may_be_hidden(tmp_path: Path) -> None:
    rows = [[Cell("name", bold=True)], [Cell("=1+1", color="FFC7CE", comment="is a formula", wrap=True)], [7], [None]]
    sheets = {"rows": Sheet(rows, widths=[30], freeze="B2"), "kept": Sheet([["x"]], hidden=True)}
    book = load_workbook(write_sheets(sheets, tmp_path / "out.xlsx"))
    sheet = book["rows"]
    head, cell = sheet["A1"], sheet["A2"]
    assert (head.value, head.font.bold, cell.value, cell.data_type) == ("name", True, "=1+1", "s")
    assert (cell.fill.fgColor.rgb, cell.comment.text, cell.alignment.wrap_text) == ("FFFFC7CE", "is a formula", True)
    assert cell.quotePrefix
    assert (sheet["A3"].value, sheet["A4"].value) == (7, None)
    assert (sheet.column_dimensions["A"].width, sheet.freeze_panes) == (30, "B2")
    assert [s.sheet_state for s in book] == ["visible", "veryHidden"]

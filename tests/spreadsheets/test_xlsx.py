"""An .xlsx file read from its XML: what openpyxl writes comes back, and dates are those that calamine reads."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from io import BytesIO
from zipfile import ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook
from python_calamine import CalamineWorkbook

from toolkit.model import cell_text
from toolkit.spreadsheets.sheets import Filled, moment_text, plain_digits
from toolkit.spreadsheets.xlsx import read_xlsx

WIDTH = 3
XML_TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff") | st.sampled_from("\n\t"),
    max_size=8,
).filter(
    # openpyxl writes "=…" as a formula, and text of spaces alone without saying that they are meant to be kept
    lambda text: not text.startswith("=") and (not text or text.strip(" \n\t") != "")
)


def saved(book: Workbook) -> BytesIO:
    file = BytesIO()
    book.save(file)
    return file


def filled(file: BytesIO) -> Filled:
    with ZipFile(file) as archive:
        return next(read_xlsx(archive, None))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.lists(XML_TEXT, min_size=WIDTH, max_size=WIDTH), min_size=1, max_size=5))
def test_any_table_of_text_comes_back(table: list[list[str]]) -> None:
    book = Workbook()
    assert book.active is not None
    for row in table:
        book.active.append(list(row))
        for cell in book.active[book.active.max_row]:
            cell.data_type = "s" if cell.value else "n"  # a text like "#N/A" is text here, not an error
    sheet = filled(saved(book))
    places = zip(sheet.rows, sheet.columns, sheet.texts, sheet.remarks, strict=True)
    assert list(places) == [(i, j, text, "") for i, row in enumerate(table) for j, text in enumerate(row) if text]


FORMATS = [
    *("yyyy-mm-dd", "h:mm", "dd/mm/yyyy hh:mm", "[$-407]d. mmmm yyyy", "mm:ss.0", "d", "yyyy;@", "[h]:mm", "[ss]"),
    *("General", "0.00E+00", '"day" 0', "[Red]0", "@", '0"d"', "\\d0", "#,##0 [$€-407]", '_-* #,##0.00 "Mio"'),
]
NUMBERS = [0, 0.25, 1, 1.5, 59, 60.5, 61, 45685, 45685.5, 45685.4375, 45685.123456789, 3_000_000]


@pytest.mark.parametrize("is_1904", [False, True])
def test_dates_and_times_are_those_that_calamine_reads(is_1904: bool) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    book.epoch = datetime(1904, 1, 1) if is_1904 else book.epoch
    for number in NUMBERS:
        sheet.append([number] * len(FORMATS))
        for cell, form in zip(sheet[sheet.max_row], FORMATS, strict=True):
            cell.number_format = form
    file = saved(book)
    own = filled(file)
    file.seek(0)
    theirs = CalamineWorkbook.from_filelike(file).get_sheet_by_index(0).to_python()
    for row, column, text in zip(own.rows, own.columns, own.texts, strict=True):
        value = theirs[row][column]
        is_moment = isinstance(value, (date, time, timedelta))
        expected = moment_text(value)[0] if is_moment else plain_digits(float(value))
        assert text == expected, (NUMBERS[row], FORMATS[column])


@given(
    st.floats(allow_nan=False, allow_infinity=False)
    | st.dates()
    | st.times()
    | st.datetimes()
    | st.timedeltas(timedelta(-(10**5)), timedelta(10**5))
)
def test_a_value_has_the_text_that_it_has_everywhere(value: float | date | time | timedelta) -> None:
    text = plain_digits(value) if isinstance(value, float) else moment_text(value)[0]
    assert text == cell_text(value)

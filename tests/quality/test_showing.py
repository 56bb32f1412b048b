"""What the pages of checks, profiles and corrections say, read by meaning."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.support.pages import Page
from toolkit import Mapping, apply_patch, correct, diff, profile, read_customers, validate
from toolkit.display.result import SCRIPT, STYLE
from toolkit.model import empty_frame

FILE = """Zeit;Nummer;Firma;Herkunft;Ort
01.02.2024;0001;Acme AG;customer;Bonn
31.06.2024;0002;Bolt KG;customer;Ulm
01.02.2024;;Cord SE;customer;Jena
02.02.2024;0004;Dorn AG;customer;Kiel
02.02.2024;0004;Dorn KG;customer;Kiel
03.02.2024;0006;Eder AG;customer;Hof;more
04.02.2024;0007; Fink AG;customer;Hof
"""
NOW = pd.Timestamp("2026-01-01", tz="UTC")


@pytest.fixture
def delivery(tmp_path: Path):
    path = tmp_path / "crm.csv"
    path.write_text(FILE, encoding="utf-8")
    columns = {"customer_id": "Nummer", "updated_at": "Zeit", "customer_name": "Firma", "source": "Herkunft"}
    return read_customers(path, mapping=Mapping(columns=columns, datetime="%d.%m.%Y", timezone="Europe/Berlin"))


def found_in(frame: pd.DataFrame) -> list[list[str]]:
    return Page(validate(frame, now=NOW).body()).grids["What was found"].rows


def test_a_report_says_what_can_be_sent_and_marks_what_cannot(delivery) -> None:
    report = validate(delivery, now=NOW)
    page = Page(report.body())
    assert page.verdict == "2 of 7 rows can be sent; 5 are quarantined."
    assert sum(page.parts.values()) == report.n_rows
    assert page.parts["quarantined"] == report.n_quarantined
    rows = page.grids["Quarantined rows"]
    # The file's headers, in the file's order, with ours beside them.
    assert [head.split()[0] for head in rows.heads] == ["Row", "Zeit", "Nummer", "Firma", "Herkunft"]
    assert [len(u["rule"]) for u in rows.units] == [1] * 4  # the twins are one unit
    assert {row[0]: row[1:3] for row in rows.rows if len(row) > 2}["5 Firma"] == ["02.02.2024", "0004"]
    # What is marked may be out of sight: its columns are below the number of the row.
    assert all(head.split()[0] in rows.rows[at][0] for at, head, _ in rows.marked if len(rows.rows[at]) > 2)
    marked = {(rows.rows[at][0].split()[0], head, tone) for at, head, tone in rows.marked}
    assert {("3", rows.heads[1], "bad"), ("4", rows.heads[2], "bad"), ("5", rows.heads[3], "warn")} <= marked
    assert "0006;Eder AG" in next(row for row in rows.rows if row[0] == "7")[1]  # a line as it came
    assert "differ in Firma" in page.text
    assert rows.facets == {"column": "Column", "rule": "Reason"}
    assert "2 rows, 1 group" in page.text
    passed = len(report._checks) - len(report.counts) - len(report.warning_counts)
    assert f"{passed} checks found nothing" in page.text
    assert len(page.code) == 3


def test_a_cell_has_all_its_reasons_each_as_harmful_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "crm.csv"
    path.write_text(FILE + "05.02.2024;0008;Fink AG ;ERP;Hof\n", encoding="utf-8")
    columns = {"customer_id": "Nummer", "updated_at": "Zeit", "customer_name": "Firma", "source": "Herkunft"}
    mapping = Mapping(columns=columns, datetime="%d.%m.%Y", timezone="Europe/Berlin")
    page = Page(validate(read_customers(path, mapping=mapping), now=NOW).body())
    rows = page.grids["Quarantined rows"]
    row = next(row for row in rows.rows if row[0].startswith("9 "))
    assert row[0] == "9 Firma Herkunft"  # each on a line of its own
    assert "spaces" in row[3]
    assert "is shared by several" in row[3]
    assert {("Firma", "warn"), ("Herkunft", "bad")} <= {
        (head.split()[0], tone) for at, head, tone in rows.marked if rows.rows[at] is row
    }
    where = next(row[3] for row in page.grids["What was found"].rows if "is shared by several" in row[0])
    assert where.startswith("2 rows, 1 group")
    assert "compare" not in where  # both rows have it


def test_the_row_to_compare_with_is_not_counted_and_says_so(customers) -> None:
    few = customers(9, customer_category=["A"] * 7 + ["B"] * 2, customer_subcategory=["x"] * 6 + ["y"] * 3)
    found = Page(validate(few, now=NOW).body()).grids["What was found"].rows
    (where,) = (row[3] for row in found if "more than one category" in row[0])
    assert where.startswith("1 row")
    assert ", compare row " in where


def test_a_customer_without_a_name_is_known_by_its_id(customers) -> None:
    """The rows of a table in an engine have no numbers of their own."""
    few = customers(4, customer_id=["C-1", "C-2", None, None], customer_name=["Acme", None, "Bolt", None])
    where = {row[0].split(",")[0].split(" failure")[0]: row[3] for row in found_in(few)}
    assert "row 3 C-2" in where["customer_name is empty"]
    assert "row 4 Bolt" in where["customer_id is empty"]


def test_a_good_row_with_a_warning_is_shown_with_its_cell_marked(delivery) -> None:
    page = Page(validate(delivery, now=NOW).body())
    looked = page.grids["Rows to look at"]
    assert [row[0] for row in looked.rows] == ["8 Firma"]
    assert looked.marked == [(0, looked.heads[3], "warn")]
    assert "2024-02-03 23:00:00Z is sent" in looked.rows[0][1]


def test_a_profile_speaks_the_file_s_words(delivery) -> None:
    page = Page(profile(delivery, before=delivery, now=NOW).body())
    assert page.sections.index("Customers: worth a look") < page.sections.index("Columns")
    assert "4 digits" in page.text
    assert page.grids["What was found"].rows[0][0].startswith("Nummer and Zeit are shared with another row")
    assert "Cord SE" in page.grids["What was found"].rows[1][3]  # a customer without a number has a name
    assert "2024-02: 6" in page.pictures[-6] or any("2024" in said for said in page.pictures)


def test_corrections_are_shown_before_and_after_with_the_customer(delivery) -> None:
    page = Page(correct(delivery, ["trim_spaces"]).body())
    assert page.parts == {"by trim_spaces": 1}
    (row,) = page.grids["Changed cells"].rows
    assert row == ["8", "0007 Fink AG", "Firma customer_name", "·Fink AG", "Fink AG", "trim_spaces"]


def test_a_time_that_cannot_be_read_is_not_called_empty(delivery) -> None:
    found = profile(delivery, now=NOW)
    (times,) = found.columns[found.columns["column"] == "updated_at"].to_dict("records")
    assert (times["nulls"], times["unread"]) == (0, 1)
    assert "1 not a time" in Page(found.body()).text
    copies = pd.concat([delivery.frame.iloc[-1:]] * 2).reset_index(drop=True)
    assert "versions" not in Page(profile(copies, now=NOW).body()).text


def test_a_quarantined_customer_is_held_with_its_name(delivery) -> None:
    held = Page(diff(empty_frame(), validate(delivery, now=NOW)).body()).grids["Held"]
    assert ["0002", "Bolt KG"] in [row[:2] for row in held.rows]


def test_a_page_of_many_rows_stays_small(customers) -> None:
    style = len(STYLE) + len(SCRIPT)
    assert style < 15_000
    for n, most in ((1_000, 400_000), (5_000, 5_000_000)):
        pages = [
            validate(customers(n, source=["ERP"] * n), now=NOW, rules=()),
            correct(customers(n, customer_name=[f" Acme {k}" for k in range(n)]), ["trim_spaces"]),
        ]
        for page in (each.body() for each in (*pages, pages[1].patch(), apply_patch(customers(n), pages[1].patch()))):
            assert page.count("<tbody") >= n
            assert len(page) + style < most

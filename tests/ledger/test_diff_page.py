"""The page of a diff, by its meaning."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd

from tests.support.pages import Page
from toolkit.display import fragment
from toolkit.ledger import Diff, diff
from toolkit.model import Delivery

NAMES = {"customer_id": "Nr.", "customer_name": "Firma", "customer_category": "Segment", "updated_at": "Geändert"}
LATER = "2026-02-01T00:00:00Z"


def made(customers) -> Diff:
    names = [f"Acme {n}" for n in range(9)]
    before = customers(9, customer_name=names, customer_category="Öffentliche Hand")
    after = pd.concat([
        customers(4, at=LATER, customer_name=names[:4], customer_category="Öffentlicher Sektor"),
        customers(1, start=4, customer_name="<b>Bestow"),
        customers(1, start=5, at=LATER, customer_name="Acme 5", customer_category="Öffentliche Hand"),
        customers(1, start=20, customer_name=None),
    ])  # fmt: skip
    delivery = Delivery(after, "crm.csv", names=NAMES, held=frozenset({"C00006"}), datetime="%d.%m.%Y", timezone="UTC")
    return diff(before, delivery)


def test_the_page_says_what_would_be_sent_and_how_before_became_after(customers) -> None:
    shown = Page(made(customers).body())
    assert shown.verdict == "5 rows would be sent: 1 new customer and 4 changed ones."
    assert shown.pictures == ["1 added, 4 changed, 1 touched, 1 restated, 1 held, 2 absent"]
    assert "only the time is newer" in shown.text
    assert "backdated" not in shown.text  # it does not occur
    assert 'plan = tk.plan_push(changes, include=["touched"])' in shown.code


def test_a_version_that_was_sent_is_restamped_rather_than_overwritten(customers) -> None:
    code = Page(made(customers).body()).code
    restamped = code.index("changes = tk.diff(tk.Ledger.of().snapshot(), restamped)")
    assert code[restamped - 1].startswith(
        'restamped = tk.correct(report, {"restamp": {"ids": list(changes.rows("restated")'
    )
    assert code[restamped + 1] == 'plan = tk.plan_push(changes, include=["restated"])'


def test_the_good_rows_are_a_part_of_the_file(customers) -> None:
    changes, some = made(customers), replace(made(customers).delivery, n_quarantined=2)
    assert "7 rows in crm.csv" in Page(changes.body()).text
    assert "7 good of 9 rows in crm.csv" in Page(replace(changes, delivery=some).body()).text


def test_all_customers_that_are_gone_were_in_the_last_delivery(customers) -> None:
    changes = made(customers)
    for newly, words in (
        ((1, 1), "more, all since the last"),
        ((1, 0), "more, 1 of them since"),
        ((0, 0), "more; they"),
    ):
        absent = changes.absent.assign(newly=[bool(n) for n in newly])
        assert words in Page(replace(changes, absent=absent).body()).text


def test_rows_say_which_state_they_have(customers) -> None:
    rows = made(customers).rows("touched", "restated")
    assert rows["state"].to_dict() == {6: "restated", 7: "touched"}


def test_changed_fields_are_under_the_files_heads_with_their_names_and_facets(customers) -> None:
    shown = Page(made(customers).body())
    fields = shown.grids["Changed fields"]
    assert fields.heads[-1].startswith("Geändert")
    assert fields.rows[0][1:] == ["C00000 Acme 0", "Segment", "Öffentliche Hand", "Öffentlicher Sektor", "changed",
                                  "01.02.2026"]  # fmt: skip
    assert fields.units[0] == {"column": ["Segment"], "state": ["changed"], "repeat": ["0"]}
    assert ["Firma"] in [unit["column"] for unit in fields.units]
    assert "4× Segment" in shown.text
    assert "<b>Bestow" in shown.text


def test_absent_and_held_customers_have_their_names(customers) -> None:
    grids = Page(made(customers).body()).grids
    assert [row[1] for row in grids["Held"].rows] == ["Acme 6"]
    assert [row[:2] if row[0].startswith("C") else row[::-1][:2] for row in grids["Absent"].rows]
    assert {cell for row in grids["Absent"].rows for cell in row} >= {"C00007", "Acme 7", "C00008", "Acme 8"}
    assert grids["Added"].rows[0][0] == "22"


def test_a_page_of_many_changes_stays_small(customers) -> None:
    def page(n: int) -> int:
        after = customers(n, at=LATER, customer_price_list_id="PL-2")
        return len(fragment(diff(customers(n), Delivery(after, names=NAMES)).body()))

    assert page(1_000) < 400_000
    assert page(5_003) < 5_000_000


def test_the_flow_stays_in_its_picture_however_few_states_there_are(customers) -> None:
    before = customers(5)
    later = before.assign(updated_at=before["updated_at"] + pd.Timedelta(days=1))
    renamed = pd.concat([later.iloc[:1].assign(customer_category="other"), before.iloc[1:]])
    for after in (before, renamed, pd.concat([renamed, customers(9).iloc[5:]]), renamed.iloc[:2]):
        drawn = diff(before, after).body().split("<svg")[1].split("</svg>")[0]
        high = int(re.findall(r"height=(\d+)", drawn)[0])
        (top, tall), *_ = re.findall(r'y="(-?\d+)" width=9 height="(\d+)"', drawn)
        starts = [int(y) for y in re.findall(r'"M\d+ (-?\d+)C', drawn)]
        ends = [int(y) for y in re.findall(r" (-?\d+)z", drawn)]
        assert min(int(top), *starts, *ends) >= 0
        assert int(top) + int(tall) <= high

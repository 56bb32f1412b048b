"""A line with one cell too many is the row that it was before a delimiter in a cell split it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from toolkit.model import Delivery
from toolkit.quality import correct, joined_row, possible_rows
from toolkit.reading import read_customers

NAMES = ("Müller", "Kettlinghaus; Sohn & Co. KG", 'B "and" C', "Best")
MAPPING = """[columns]
customer_id = "No"
customer_name = "Name"
customer_category = "Group"
updated_at = "Changed"
source = "Origin"
[constants]
customer_price_list_id = "PL 1"
[format]
datetime = "%d.%m.%Y"
timezone = "Europe/Berlin"
[values]
source = { Kunde = "customer" }
[corrections]
pad_ids = 5
drop_exact_duplicates = true
"""


def read(folder: Path, header: str, *lines: str) -> Delivery:
    file, mapping = folder / "crm.csv", folder / "crm.toml"
    file.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    mapping.write_text(MAPPING, encoding="utf-8")
    return correct(read_customers(file, mapping=mapping)).delivery


@pytest.mark.parametrize("header", ["No;Name;Town;Group;Changed;Origin", "Town;Origin;No;Changed;Group;Name"])
@pytest.mark.parametrize("delimiter", [";", "\t", ",", "|"])
def test_the_row_is_what_it_was_whole(tmp_path: Path, header: str, delimiter: str) -> None:
    cells = {"Town": "Lübeck", "Group": "Retail", "Changed": "01.09.2026", "Origin": "Kunde"}
    names = header.split(";")
    lines = [
        delimiter.join({**cells, "No": str(n), "Name": name.replace(";", delimiter)}[head] for head in names)
        for n, name in enumerate(NAMES, start=17)
    ]
    delivery = read(tmp_path, delimiter.join(names), *lines)
    assert delivery.broken.index.tolist() == [3]
    joined = joined_row(delivery, 3)
    whole = delivery.frame.loc[[2]].assign(customer_id="00018", customer_name=NAMES[1].replace(";", delimiter))
    pd.testing.assert_frame_equal(joined, whole.set_axis([3]), check_names=False, check_dtype=False)


def test_the_cells_that_other_rows_have_say_what_was_split(tmp_path: Path) -> None:
    lines = "17;A;Ulm;Food; Drinks;01.09.2026;Kunde", '18;B;Ulm;"Food; Drinks";01.09.2026;Kunde'
    delivery = read(tmp_path, "No;Name;Town;Group;Changed;Origin", *lines)
    assert joined_row(delivery, 2)["customer_category"].tolist() == ["Food; Drinks"]


@pytest.mark.parametrize(
    "line",
    [
        "18;A;Ulm;Retail;01.09.2026",
        "18;A;B;C;Ulm;Retail;01.09.2026;Kunde",
        '18;"A;Ulm',
        "18;A\rB;C;Ulm;Retail;01.09.2026;Kunde",
        "18;A;B;Ulm;Retail;01.09.2026;" + 200_000 * "x",
    ],
)
def test_another_line_cannot_be_joined(tmp_path: Path, line: str) -> None:
    delivery = read(tmp_path, "No;Name;Town;Group;Changed;Origin", "17;A;Ulm;Retail;01.09.2026;Kunde", line)
    assert delivery.broken.index.tolist() == [3]
    assert possible_rows(delivery, 3) == []


def test_without_a_mapping_the_header_is_not_known(tmp_path: Path) -> None:
    file = tmp_path / "crm.csv"
    file.write_text("customer_id;updated_at\n17;2026-09-01T00:00:00Z\n18;A;2026-09-01T00:00:00Z\n", encoding="utf-8")
    assert possible_rows(read_customers(file), 3) == []

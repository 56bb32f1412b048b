"""as_delivery(): what every station takes, and what it says of anything else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from toolkit.config import Settings
from toolkit.errors import InputError
from toolkit.ledger import Ledger
from toolkit.model import CUSTOMER, Delivery, as_delivery
from toolkit.quality import correct, validate


def test_a_frame_is_a_full_delivery_of_the_columns_that_it_has(customers) -> None:
    delivery = as_delivery(customers(2)[["updated_at", "customer_id", "source"]])
    assert (delivery.kind, delivery.source, delivery.digest) == ("full", "frame", "")
    assert delivery.given == ("customer_id", "updated_at", "source")
    assert delivery.frame.index.tolist() == [2, 3]


def test_rows_whose_index_is_no_number_are_counted(customers) -> None:
    delivery = as_delivery(customers(2).set_index(pd.Index(["x", "y"])))
    assert delivery.frame.index.tolist() == [0, 1]
    assert delivery.frame.index.name == "source_row"


def test_what_carries_a_delivery_is_taken_for_it(customers) -> None:
    delivery = Delivery(customers(2), source="crm.csv")
    assert as_delivery(delivery) is delivery
    assert as_delivery(validate(delivery)).source == as_delivery(correct(delivery)).source == "crm.csv"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, r"None was given: read_customers\(path\)"),
        (7, r"an int was given: read_customers\(path\)"),
        ("crm.csv", r"a str was given: read_customers\(path\)"),
        (Path("crm.csv"), r"Path was given: read_customers\(path\)"),
        (["A1"], r"a list was given: pd\.DataFrame\(rows\)"),
        ({"customer_id": "A1"}, r"a dict was given: pd\.DataFrame\(rows\)"),
        (pd.Series(["A1"]), r"a Series was given: read_customers\(path\)"),
        (Settings, r"a Settings was given: read_customers\(path\)"),
        (Ledger.of, r"a Ledger was given: Ledger\.of\(\)\.snapshot\(\)\.frame gives one"),
        (lambda: Ledger.of().snapshot(), r"a Snapshot was given: snapshot\.frame gives one"),
        (pd.DataFrame(), "The frame lacks customer_id and updated_at"),
    ],
)
def test_anything_else_is_refused_with_the_call_that_gives_customers(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_delivery(given() if callable(given) else given)  # made here, in the test's own environment


@pytest.mark.parametrize("column", CUSTOMER.key)
@pytest.mark.parametrize("wrap", [Delivery, lambda frame: frame])
def test_a_frame_without_a_column_of_the_key_is_refused(customers, column: str, wrap: Any) -> None:
    with pytest.raises(InputError, match=rf"lacks {column}: .*read_customers\(path, mapping=…\)"):
        as_delivery(wrap(customers(1).drop(columns=column)))


@pytest.mark.parametrize("column", ["customer_id", "source"])
def test_a_doubled_column_is_refused_by_name(customers, column: str) -> None:
    frame = customers(2)
    doubled = pd.concat([frame, frame[[column]]], axis="columns")
    for given in (doubled, replace(Delivery(frame), frame=doubled)):
        with pytest.raises(InputError, match=f"several columns named {column}: keep one"):
            as_delivery(given)


def test_a_row_is_found_in_its_part_file() -> None:
    delivery = Delivery(pd.DataFrame(), parts=(("a.csv", 0), ("b.csv", 120)))
    assert [delivery.place(int(row)) for row in np.array([2, 120, 121])] == [
        "a.csv row 2",
        "a.csv row 120",
        "b.csv row 1",
    ]
    assert Delivery(pd.DataFrame()).place(7) == "row 7"


def test_a_delivery_shows_its_times_as_its_source_writes_them() -> None:
    midnights = pd.Series(pd.to_datetime(["2023-10-14T22:00Z", "2023-12-31T23:00Z"]))
    berlin = Delivery(pd.DataFrame({"updated_at": midnights}), timezone="Europe/Berlin")
    assert berlin.as_written(midnights).tolist() == ["2023-10-15", "2024-01-01"]
    assert replace(berlin, datetime="%d.%m.%Y").as_written(midnights).tolist() == ["15.10.2023", "01.01.2024"]
    assert replace(berlin, timezone=None).as_written(midnights)[0] == "2023-10-14 22:00:00Z"
    later = pd.Series(pd.to_datetime(["2023-10-14T22:00Z", "2023-10-15T06:30Z"]))
    assert berlin.as_written(later).tolist() == ["2023-10-15 00:00:00", "2023-10-15 08:30:00"]
    clocks = replace(berlin, frame=pd.DataFrame({"updated_at": later}))
    assert clocks.as_written(midnights)[0] == "2023-10-15 00:00:00"  # one midnight among times of day is no date alone
    mixed = pd.Series([midnights[0], "15.13.2023", None], dtype=object, index=[4, 5, 9])
    assert berlin.as_written(mixed).dropna().to_dict() == {4: "2023-10-15", 5: "15.13.2023"}
    assert berlin.as_written(mixed[:0]).empty

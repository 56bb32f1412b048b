"""seed(): customers that the vendor received before the toolkit was used, into the ledger; nothing is sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from toolkit.config import Settings
from toolkit.errors import InputError, LedgerError
from toolkit.ledger import Ledger, diff
from toolkit.pushing import seed
from toolkit.quality import validate
from toolkit.reading import read_customers

START = datetime(2026, 1, 1, tzinfo=UTC)


def names() -> dict[str, str]:
    frame = Ledger.of().snapshot().frame
    return dict(zip(frame["customer_id"], frame["customer_name"], strict=True))


def test_seeded_customers_count_as_sent(customers) -> None:
    assert seed(customers(3), reason="export of 1 March", now=START) == 3
    entry = Ledger.of().history("C00001").iloc[0]
    assert entry[["entry", "reason", "source_file", "source_row"]].tolist() == [
        "seeded", "export of 1 March", "frame", 3]  # fmt: skip
    found = diff(Ledger.of().snapshot(), customers(4))
    assert (found.n_unchanged, found.n_added) == (3, 1)


def test_a_retracted_version_comes_up_again_in_the_diff(customers) -> None:
    seed(customers(2), reason="export", now=START)
    Ledger.of().retract([("C00001", "2026-01-01T00:00:00Z")], reason="not in the UI", now=START + timedelta(hours=1))
    again = diff(Ledger.of().snapshot(), customers(2))
    assert list(again.rows("added")["customer_id"]) == ["C00001"]
    assert again.n_unchanged == 1


def test_a_ledger_with_entries_takes_more_only_if_asked_and_keeps_what_it_has(customers) -> None:
    seed(customers(1, customer_name="first"), reason="export", now=START)
    with pytest.raises(LedgerError, match=r"beside_entries=True.*Nothing was entered"):
        seed(customers(2), reason="export")
    assert Ledger.of().version == 0
    assert seed(customers(2), reason="export", beside_entries=True) == 2
    assert names()["C00000"] == "first"  # what counted before stays as it is
    assert Ledger.of().snapshot().versions.num_rows == 2


def test_rows_that_fail_validation_enter_nothing(customers) -> None:
    bad = customers(3, source=["peak", "ERP", None])
    with pytest.raises(InputError, match=r"1 row of 3 cannot be seeded \(source is not one of peak, customer: 1\)"):
        seed(bad, reason="export")
    with pytest.raises(LedgerError, match="needs a reason"):
        seed(customers(3), reason="")
    assert Ledger.of().version == -1
    assert seed(validate(bad), reason="export") == 2  # the good rows of a report


def test_the_report_of_a_file_with_a_broken_line_can_be_seeded(tmp_path: Path) -> None:
    path = tmp_path / "crm.csv"
    path.write_text("customer_id,updated_at\nA,2026-01-28T10:00:00Z\nB\n")
    with pytest.raises(InputError, match="1 row of 2 cannot be seeded"):
        seed(read_customers(path), reason="export")
    report = validate(read_customers(path))
    assert (validate(report).ok, report.delivery.n_quarantined) == (True, 1)
    assert seed(report, reason="export") == 1


@pytest.mark.parametrize("wrong", [None, 7, "old.csv", Path("old.csv"), ["C00000"], Ledger.of, Settings])
def test_what_are_no_customers_is_refused_with_the_call_that_gives_them(wrong: Any) -> None:
    given = wrong() if callable(wrong) else wrong
    with pytest.raises(
        InputError,
        match=r"A customer frame is wanted here.*(read_customers\(path\)|snapshot\(\)\.frame|pd\.DataFrame\(rows\))",
    ):
        seed(given, reason="export")
    assert Ledger.of().version == -1


@pytest.mark.parametrize("wrong", [None, 7, " ", ["export"]])
def test_a_reason_that_is_not_a_text_is_refused(customers, wrong: Any) -> None:
    with pytest.raises(LedgerError, match="needs a reason"):
        seed(customers(1), reason=wrong)
    assert Ledger.of().version == -1


def test_no_customers_leave_no_ledger(customers) -> None:
    assert seed(customers(0), reason="nobody") == 0
    assert Ledger.of().version == -1


def test_the_contract_of_the_settings_decides_what_can_be_seeded(customers) -> None:
    current = Settings(contract="current")
    with pytest.raises(InputError, match="customer_name is empty"):
        seed(customers(1, customer_name=None), reason="export", settings=current)
    assert seed(customers(1, customer_name=None), reason="export") == 1

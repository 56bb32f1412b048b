"""The ledger: what counts, through time; nothing erased; nothing entered twice."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.contract import CUSTOMER
from toolkit.delivery import Delivery
from toolkit.entries import ENTRY
from toolkit.errors import LedgerError
from toolkit.ledger import Ledger

START = datetime(2026, 1, 1, tzinfo=UTC)


def entries(*rows: tuple[str, int, str, int], operation: str = "UPSERT", plan: str = "p") -> pa.Table:
    """Rows of (customer_id, day of the version, name, hour it was accepted)."""
    columns = {
        "entry": ["accepted"] * len(rows),
        "customer_id": [r[0] for r in rows],
        "updated_at": [START + timedelta(days=r[1]) for r in rows],
        "customer_name": [r[2] for r in rows],
        "recorded_at": [START + timedelta(hours=r[3]) for r in rows],
        "operation": [operation] * len(rows),
        "plan": [plan] * len(rows),
        "position": list(range(len(rows))),
    }
    return pa.table(
        [pa.array(columns.get(f.name, [None] * len(rows)), type=f.type) for f in ENTRY], schema=ENTRY
    )  # fmt: skip


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger", "acme")


def names(ledger: Ledger, **when: object) -> dict[str, str]:
    frame = ledger.snapshot(**when).frame
    return dict(zip(frame["customer_id"], frame["customer_name"], strict=True))


def test_a_ledger_without_entries_has_an_empty_typed_snapshot(ledger: Ledger) -> None:
    snapshot = ledger.snapshot()
    assert (snapshot.n_customers, snapshot.version, snapshot.last_keys) == (0, -1, None)
    assert tuple(snapshot.frame.columns) == CUSTOMER.names
    assert str(snapshot.frame["updated_at"].dtype) == "datetime64[us, UTC]"
    assert ledger.history("A").empty
    assert not ledger.folder.exists()  # looking writes nothing


def test_a_snapshot_holds_the_newest_version_of_each_customer(ledger: Ledger) -> None:
    ledger.record(entries(("A", 1, "old", 1), ("A", 5, "new", 2), ("A", 3, "between", 3), ("B", 0, "b", 4)),
                  plan="p", through=0)  # fmt: skip
    assert names(ledger) == {"A": "new", "B": "b"}
    assert ledger.snapshot().versions.num_rows == 4


def test_as_of_is_what_had_been_accepted_and_valid_at_what_was_current(ledger: Ledger) -> None:
    ledger.record(entries(("A", 1, "one", 30), ("A", 5, "five", 40)), plan="p", through=0)
    assert names(ledger, as_of=START + timedelta(hours=29)) == {}
    assert names(ledger, as_of=START + timedelta(hours=30)) == {"A": "one"}
    assert names(ledger, valid_at="2026-01-04") == {"A": "one"}
    assert names(ledger, valid_at="2026-01-06") == {"A": "five"}
    assert names(ledger, valid_at="2026-01-01") == {}


def test_of_one_version_the_last_upsert_counts_and_the_first_append(ledger: Ledger, tmp_path: Path) -> None:
    ledger.record(entries(("A", 1, "first", 1)), plan="p", through=0)
    ledger.record(entries(("A", 1, "second", 2), plan="q"), plan="q", through=0)
    assert names(ledger) == {"A": "second"}
    appended = Ledger(tmp_path / "other", "acme")
    appended.record(entries(("A", 1, "first", 1), operation="APPEND"), plan="p", through=0)
    appended.record(entries(("A", 1, "second", 2), operation="APPEND", plan="q"), plan="q", through=0)
    assert names(appended) == {"A": "first"}


def test_a_retracted_version_counts_no_more_until_it_is_accepted_again(ledger: Ledger) -> None:
    ledger.record(entries(("A", 1, "one", 1), ("A", 2, "two", 1)), plan="p", through=0)
    n = ledger.retract([("A", "2026-01-03T00:00:00Z")], reason="not in the UI", now=START + timedelta(hours=5))
    assert (n, names(ledger)) == (1, {"A": "one"})
    assert names(ledger, as_of=START + timedelta(hours=4)) == {"A": "two"}  # nothing was erased
    assert list(ledger.history("A")["entry"]) == ["accepted", "accepted", "retracted"]
    ledger.record(entries(("A", 2, "two again", 6), plan="q"), plan="q", through=0)
    assert names(ledger) == {"A": "two again"}


def test_a_version_that_is_not_there_cannot_be_retracted_and_nothing_is_entered(ledger: Ledger) -> None:
    ledger.record(entries(("A", 1, "one", 1)), plan="p", through=0)
    with pytest.raises(LedgerError, match="no such version of B"):
        ledger.retract([("A", "2026-01-02T00:00:00Z"), ("B", "2026-01-02T00:00:00Z")], reason="")
    assert names(ledger) == {"A": "one"}


def test_receipts_enter_once(ledger: Ledger) -> None:
    ledger.record(entries(("A", 1, "one", 1)), plan="p", through=4)
    assert (ledger.recorded_through("p"), ledger.recorded_through("q")) == (4, -1)
    with pytest.raises(LedgerError, match="in the ledger already"):
        ledger.record(entries(("A", 1, "one", 1)), plan="p", through=4)
    assert len(ledger.history("A")) == 1


def test_a_first_entry_of_nulls_does_not_spoil_the_columns(ledger: Ledger) -> None:
    ledger.record(entries(("A", 1, None, 1)), plan="p", through=0)
    ledger.record(entries(("B", 1, "b", 2), plan="q"), plan="q", through=0)
    assert names(ledger)["B"] == "b"


def test_the_keys_of_the_last_full_delivery_are_kept_held_ones_included(ledger: Ledger, customers) -> None:
    ledger.record_delivery(Delivery(customers(3)), plan="p", now=START)
    changes = Delivery(customers(1, start=7), kind="changes")
    ledger.record_delivery(changes, plan="q", now=START + timedelta(hours=1))
    assert ledger.snapshot().last_keys == {"C00000", "C00001", "C00002"}
    held = Delivery(customers(1), held=frozenset(["C00009"]), n_quarantined=1, source="x.csv")
    ledger.record_delivery(held, plan="r", now=START + timedelta(hours=2))
    ledger.record_delivery(held, plan="r", now=START + timedelta(hours=3))  # once for each push
    assert ledger.snapshot().last_keys == {"C00000", "C00009"}
    assert ledger.snapshot(as_of=START).last_keys == {"C00000", "C00001", "C00002"}
    assert ledger.deliveries()[["source_file", "n_rows"]].iloc[0].tolist() == ["x.csv", 2]
    assert len(ledger.deliveries()) == 3


def test_a_ledger_of_another_target_is_refused(ledger: Ledger) -> None:
    ledger.record(entries(("A", 1, "one", 1)), plan="p", through=0)
    with pytest.raises(LedgerError, match="belongs to target 'acme', not to 'other'"):
        Ledger(ledger.folder, "other").snapshot()


def test_a_damaged_ledger_is_said_so(ledger: Ledger) -> None:
    ledger.record(entries(("A", 1, "one", 1)), plan="p", through=0)
    log = next((ledger.folder / "entries" / "_delta_log").glob("*.json"))
    log.write_text("{")
    with pytest.raises(LedgerError, match="cannot be read"):
        ledger.snapshot()


def test_a_moment_that_is_no_time_is_said_so(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="as_of is not a time"):
        ledger.snapshot(as_of="yesterdayish")


row = st.tuples(st.sampled_from("AB"), st.integers(0, 3), st.sampled_from(["x", "y", "z"]))


@settings(max_examples=25)
@given(pushes=st.lists(st.tuples(st.lists(row, min_size=1, max_size=4, unique_by=lambda r: r[:2]),
                                 st.sampled_from(["UPSERT", "APPEND"])), min_size=1, max_size=4))  # fmt: skip
def test_the_snapshot_is_what_a_table_that_took_these_pushes_would_hold(pushes: list, tmp_path_factory) -> None:
    ledger = Ledger(tmp_path_factory.mktemp("ledger"), "acme")
    table: dict[tuple[str, int], str] = {}
    for hour, (rows, operation) in enumerate(pushes):
        ledger.record(entries(*((*r, hour) for r in rows), operation=operation, plan=str(hour)), plan=str(hour),
                      through=0)  # fmt: skip
        for who, when, name in rows:
            table[who, when] = name if operation == "UPSERT" else table.get((who, when), name)
    newest = {who: name for (who, _), name in sorted(table.items())}
    assert names(ledger) == newest
    held = ledger.snapshot().versions
    versions = zip(held["customer_id"].to_pylist(), held["updated_at"].to_pylist(), held["customer_name"].to_pylist(),
                   strict=True)  # fmt: skip
    assert {(who, (when - START).days): name for who, when, name in versions} == table


def test_two_analysts_append_to_one_folder(tmp_path: Path) -> None:
    ours, theirs = Ledger(tmp_path / "shared", "acme"), Ledger(tmp_path / "shared", "acme")
    ours.record(entries(("A", 1, "a", 1)), plan="p", through=0)
    theirs.record(entries(("B", 1, "b", 1), plan="q"), plan="q", through=0)
    assert names(ours) == names(theirs) == {"A": "a", "B": "b"}
    assert pd.Index(["p", "q"]).isin(pd.concat([ours.history("A"), ours.history("B")])["plan"]).all()

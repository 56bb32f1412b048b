"""The ledger: what counts, at any time; nothing is erased; nothing enters twice."""

import contextlib
import errno
import multiprocessing
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.config.settings import Settings
from toolkit.engine import to_arrow
from toolkit.errors import InputError, LedgerError, ToolkitError
from toolkit.ledger import delta
from toolkit.ledger.diffing import diff
from toolkit.ledger.entries import entry_schema
from toolkit.ledger.ledger import Ledger
from toolkit.model.contract import CUSTOMER, Column
from toolkit.model.delivery import Delivery

START = datetime(2026, 1, 1, tzinfo=UTC)


def entries(*rows: tuple[str, int, str, int], operation: str = "UPSERT", push: str = "p") -> pa.Table:
    """Rows of (customer_id, day of the version, name, hour it was accepted)."""
    columns = {
        "entry": ["accepted"] * len(rows),
        "customer_id": [r[0] for r in rows],
        "updated_at": [START + timedelta(days=r[1]) for r in rows],
        "customer_name": [r[2] for r in rows],
        "recorded_at": [START + timedelta(hours=r[3]) for r in rows],
        "operation": [operation] * len(rows),
        "push": [push] * len(rows),
        "position": list(range(len(rows))),
    }
    schema = entry_schema(CUSTOMER)
    return pa.table([pa.array(columns.get(f.name, [None] * len(rows)), type=f.type) for f in schema], schema=schema)


def seeded(ledger: Ledger, frame: pd.DataFrame, *, reason: str = "export", now: datetime = START) -> None:
    rows = to_arrow(frame, CUSTOMER.arrow_schema()).append_column("source_row", pa.array(frame.index))
    ledger.record_seeding(rows, source="old.csv", reason=reason, now=now)


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
                  push="p", through=0)  # fmt: skip
    assert names(ledger) == {"A": "new", "B": "b"}
    assert ledger.snapshot().versions.num_rows == 4


def test_as_of_is_what_had_been_accepted_and_valid_at_what_was_current(ledger: Ledger) -> None:
    ledger.record(entries(("A", 1, "one", 30), ("A", 5, "five", 40)), push="p", through=0)
    assert names(ledger, as_of=START + timedelta(hours=29)) == {}
    assert names(ledger, as_of=START + timedelta(hours=30)) == {"A": "one"}
    assert names(ledger, valid_at="2026-01-04") == {"A": "one"}
    assert names(ledger, valid_at="2026-01-06") == {"A": "five"}
    assert names(ledger, valid_at="2026-01-01") == {}


def test_of_one_version_the_last_upsert_counts_and_the_first_append(ledger: Ledger, tmp_path: Path) -> None:
    ledger.record(entries(("A", 1, "first", 1)), push="p", through=0)
    ledger.record(entries(("A", 1, "second", 2), push="q"), push="q", through=0)
    assert names(ledger) == {"A": "second"}
    appended = Ledger(tmp_path / "other", "acme")
    appended.record(entries(("A", 1, "first", 1), operation="APPEND"), push="p", through=0)
    appended.record(entries(("A", 1, "second", 2), operation="APPEND", push="q"), push="q", through=0)
    assert names(appended) == {"A": "first"}


def test_a_retracted_version_does_not_count_until_it_is_accepted_again(ledger: Ledger) -> None:
    ledger.record(entries(("A", 1, "one", 1), ("A", 2, "two", 1)), push="p", through=0)
    n = ledger.retract([("A", "2026-01-03T00:00:00Z")], reason="not in the UI", now=START + timedelta(hours=5))
    assert (n, names(ledger)) == (1, {"A": "one"})
    assert names(ledger, as_of=START + timedelta(hours=4)) == {"A": "two"}  # nothing was erased
    assert list(ledger.history("A")["entry"]) == ["accepted", "accepted", "retracted"]
    ledger.record(entries(("A", 2, "two again", 6), push="q"), push="q", through=0)
    assert names(ledger) == {"A": "two again"}


def test_a_version_that_is_not_there_cannot_be_retracted_and_nothing_is_entered(ledger: Ledger) -> None:
    ledger.record(entries(("A", 1, "one", 1)), push="p", through=0)
    with pytest.raises(LedgerError, match="no such version of B"):
        ledger.retract([("A", "2026-01-02T00:00:00Z"), ("B", "2026-01-02T00:00:00Z")], reason="")
    assert names(ledger) == {"A": "one"}


def test_receipts_enter_once(ledger: Ledger) -> None:
    ledger.record(entries(("A", 1, "one", 1)), push="p", through=4)
    assert (ledger.recorded_through("p"), ledger.recorded_through("q")) == (4, -1)
    with pytest.raises(LedgerError, match="in the ledger already"):
        ledger.record(entries(("A", 1, "one", 1)), push="p", through=4)
    assert len(ledger.history("A")) == 1


def test_a_first_entry_of_nulls_does_not_spoil_the_columns(ledger: Ledger) -> None:
    ledger.record(entries(("A", 1, None, 1)), push="p", through=0)
    ledger.record(entries(("B", 1, "b", 2), push="q"), push="q", through=0)
    assert names(ledger)["B"] == "b"


def deliver(ledger: Ledger, delivery: Delivery, *, push: str, hours: int = 0) -> None:
    keys, now = diff(delivery.frame.head(0), delivery).keys(), START + timedelta(hours=hours)
    about = {"source": delivery.source, "source_digest": "", "kind": delivery.kind}
    ledger.claims.record(keys, about | {"n_quarantined": delivery.n_quarantined}, push=push, now=now)


def test_the_keys_of_the_last_full_delivery_are_kept_held_ones_included(ledger: Ledger, customers) -> None:
    deliver(ledger, Delivery(customers(3)), push="p")
    changes = Delivery(customers(1, start=7), kind="changes")
    deliver(ledger, changes, push="q", hours=1)
    assert ledger.snapshot().last_keys == {"C00000", "C00001", "C00002"}
    held = Delivery(customers(1), held=frozenset(["C00009"]), n_quarantined=1, source="x.csv")
    deliver(ledger, held, push="r", hours=2)
    deliver(ledger, held, push="r", hours=3)  # once for each push
    assert ledger.snapshot().last_keys == {"C00000", "C00009"}
    assert ledger.snapshot(as_of=START).last_keys == {"C00000", "C00001", "C00002"}
    assert ledger.deliveries()[["source_file", "n_rows"]].iloc[0].tolist() == ["x.csv", 2]
    assert len(ledger.deliveries()) == 3


@pytest.mark.parametrize("name", ["new [2]", "a^b", "a|b", "a\\b", "a%20b"])
def test_a_folder_that_delta_misreads_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(LedgerError, match=r"in the name of its folder.*TOOLKIT_LEDGER"):
        Ledger(tmp_path / name, "acme")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a b", "ä", "100%", "a#b", "a?b", "a*b", "'a'", "{a}"])
def test_a_folder_of_any_other_name_holds_a_ledger(tmp_path: Path, name: str) -> None:
    ledger = Ledger(tmp_path / name, "acme")
    ledger.record(entries(("A", 1, "one", 1)), push="p", through=0)
    assert names(Ledger(tmp_path / name, "acme")) == {"A": "one"}


def test_a_ledger_of_another_target_is_refused(ledger: Ledger) -> None:
    ledger.record(entries(("A", 1, "one", 1)), push="p", through=0)
    with pytest.raises(LedgerError, match="belongs to target 'acme', not to 'other'"):
        Ledger(ledger.folder, "other").snapshot()


def test_a_ledger_in_an_earlier_layout_is_refused_and_left_as_it_is(ledger: Ledger) -> None:
    folder, rows = ledger.folder / "entries", entries(("A", 1, "one", 1))
    earlier = ["plan" if name == "push" else name for name in rows.column_names]
    write_deltalake(str(folder), rows.rename_columns(earlier), name="acme")
    for call in (
        ledger.snapshot,
        ledger.pushes,
        lambda: ledger.history("A"),
        lambda: ledger.record(entries(("A", 2, "two", 2)), push="p", through=0),
    ):
        with pytest.raises(LedgerError, match=r"layout of an earlier version.*TOOLKIT_LEDGER, and seed"):
            call()
    assert len(list(folder.glob("*.parquet"))) == 1


def test_a_ledger_with_a_damaged_log_is_refused(ledger: Ledger) -> None:
    ledger.record(entries(("A", 1, "one", 1)), push="p", through=0)
    log = next((ledger.folder / "entries" / "_delta_log").glob("*.json"))
    log.write_text("{")
    with pytest.raises(LedgerError, match="cannot be read"):
        ledger.snapshot()


def test_a_version_of_the_ledger_that_does_not_exist_is_refused(ledger: Ledger) -> None:
    ledger.record(entries(("A", 1, "one", 1)), push="p", through=0)
    with pytest.raises(LedgerError, match="cannot be read"):
        ledger.keys_since(7, but_for="q")


@pytest.mark.parametrize(
    "moment", ["yesterdayish", "", " ", "NaT", pd.NaT, pd.NA, float("nan"), 20260901, 1.5, np.int64(1), True, []]
)
def test_what_is_not_a_time_is_refused(ledger: Ledger, moment: object) -> None:
    for name in ("as_of", "valid_at"):
        with pytest.raises(LedgerError, match=f"{name} is not a time: write it as 2026-09-01"):
            ledger.snapshot(**{name: moment})
    with pytest.raises(LedgerError, match="updated_at is not a time"):
        ledger.retract([("A", moment)], reason="r")


row = st.tuples(st.sampled_from("AB"), st.integers(0, 3), st.sampled_from(["x", "y", "z"]))


@settings(max_examples=10)
@given(pushes=st.lists(st.tuples(st.lists(row, min_size=1, max_size=4, unique_by=lambda r: r[:2]),
                                 st.sampled_from(["UPSERT", "APPEND"])), min_size=1, max_size=4))  # fmt: skip
def test_the_snapshot_is_what_a_table_that_took_these_pushes_would_hold(pushes: list, tmp_path_factory) -> None:
    ledger = Ledger(tmp_path_factory.mktemp("ledger"), "acme")
    table: dict[tuple[str, int], str] = {}
    for hour, (rows, operation) in enumerate(pushes):
        ledger.record(entries(*((*r, hour) for r in rows), operation=operation, push=str(hour)), push=str(hour),
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
    ours.record(entries(("A", 1, "a", 1)), push="p", through=0)
    theirs.record(entries(("B", 1, "b", 1), push="q"), push="q", through=0)
    assert names(ours) == names(theirs) == {"A": "a", "B": "b"}
    assert pd.Index(["p", "q"]).isin(pd.concat([ours.history("A"), ours.history("B")])["push"]).all()


# Two machines -------------------------------------------------------------------------------------------------------

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["toolkit.ledger.ledger"])
N_APPENDS = 6


def append_at_once(folder: Path, push: str, barrier: Any, many: int) -> None:
    delta._MANY = many
    ledger = Ledger(folder, "acme")
    barrier.wait(60)
    for number in range(N_APPENDS):
        ledger.record(entries((push, number, f"{push} {number}", number), push=push), push=push, through=number)


@pytest.mark.parametrize(
    ("attempts", "many"), [(1, 1_000), (1, 2), *(pytest.param(4, many, marks=pytest.mark.slow) for many in (1_000, 2))]
)
def test_two_machines_that_begin_a_ledger_at_once_both_end_up_in_it(tmp_path: Path, attempts: int, many: int) -> None:
    for attempt in range(attempts):  # the first commits collide nearly every time
        barrier = PROCESSES.Barrier(2)
        plans = ("p", "q")
        children = [
            PROCESSES.Process(target=append_at_once, args=(tmp_path / str(attempt), push, barrier, many))
            for push in plans
        ]
        for child in children:
            child.start()
        for child in children:
            child.join(60)
        assert [child.exitcode for child in children] == [0, 0]
        ledger = Ledger(tmp_path / str(attempt), "acme")
        for push in plans:
            assert ledger.history(push)["customer_name"].tolist() == [f"{push} {n}" for n in range(N_APPENDS)]
            assert ledger.recorded_through(push) == N_APPENDS - 1
        if many > 2 * N_APPENDS:
            assert ledger.version == 2 * N_APPENDS - 1  # one commit each, and none twice


def test_a_ledger_that_others_write_at_every_try_ends_in_an_error(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(*_: Any, **__: Any) -> None:
        raise CommitFailedError("Metadata changed since last commit.")

    monkeypatch.setattr("toolkit.ledger.delta.write_deltalake", taken)
    with pytest.raises(LedgerError, match=r"Somebody else wrote .* tries.*resume"):
        ledger.record(entries(("A", 1, "one", 1)), push="p", through=0)


def test_a_commit_that_was_reported_as_failed_but_went_through_is_not_repeated(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(*arguments: Any, **options: Any) -> None:
        write_deltalake(*arguments, **options)
        raise CommitFailedError("the connection to the share was lost")

    monkeypatch.setattr("toolkit.ledger.delta.write_deltalake", torn)
    ledger.record(entries(("A", 1, "one", 1)), push="p", through=0)
    assert len(ledger.history("A")) == 1


@pytest.mark.slow
def test_no_file_and_no_log_is_ever_deleted(ledger: Ledger) -> None:
    table = ledger.folder / "entries"
    seen: set[Path] = set()
    for number in range(102):  # a checkpoint is made at the hundredth, when old logs would be cleaned up
        ledger.record(entries(("A", number, str(number), number)), push="p", through=number)
        logs = {*(table / "_delta_log").glob("*.json")}
        seen |= {*table.glob("*.parquet"), *logs}
        if ledger.version < 99:
            for log in logs:
                os.utime(log, (0, 0))
    assert list((table / "_delta_log").glob("*.checkpoint.parquet"))
    assert len(seen) > 2 * 102
    assert all(path.exists() for path in seen)
    assert ledger.keys_since(0, but_for="").num_rows == 101  # an early version can still be read


# Merged files --------------------------------------------------------------------------------------------------------


def merging(monkeypatch: pytest.MonkeyPatch, *, at: int) -> None:
    monkeypatch.setattr("toolkit.ledger.delta._MANY", at)


def n_read(ledger: Ledger) -> int:
    """How many files a query reads."""
    return len(DeltaTable(str(ledger.folder / "entries")).file_uris())


TAILED = replace(CUSTOMER, columns=(*CUSTOMER.columns, Column("tail")))
ORDER = [("customer_id", "ascending"), ("updated_at", "ascending")]
step = st.one_of(st.lists(row, min_size=1, max_size=3, unique_by=lambda r: r[:2]), st.integers(0, 5))


def enter(folder: Path, number: int, step: Any) -> None:
    """Enter rows, from the fourth step on with a custom attribute, or take back the push of that number, if any."""
    resource = TAILED if number > 3 else CUSTOMER
    ledger = Ledger(folder, "acme", resource=resource)
    if isinstance(step, int):
        with contextlib.suppress(LedgerError):
            ledger.retract(push=str(step), reason="r", now=START)
        return
    rows = entries(*((*r, number) for r in step), push=str(number))
    rows = rows.append_column("tail", pa.array([f"tail {number}"] * len(rows))).select(entry_schema(resource).names)
    ledger.record(rows, push=str(number), through=0)


@settings(max_examples=10)
@given(steps=st.lists(step, min_size=3, max_size=9))
def test_a_merged_ledger_says_what_one_that_was_never_merged_says(steps: list, tmp_path_factory) -> None:
    told = []
    for many in (2, 1_000):
        folder, since = tmp_path_factory.mktemp("ledger"), []
        ledger = Ledger(folder, "acme", resource=TAILED)
        with pytest.MonkeyPatch.context() as monkeypatch:
            merging(monkeypatch, at=many)
            for number, content in enumerate(steps):
                since.append(ledger.version)
                enter(folder, number, content)
        entered = ledger.query("SELECT * EXCLUDE (ledger_version) FROM entries ORDER BY ledger_version, position")
        keys = [ledger.keys_since(version, but_for="1").sort_by(ORDER).to_pylist() for version in since]
        told.append((ledger.snapshot().versions.sort_by(ORDER).to_pylist(), entered.to_pylist(), keys))
        if many == 2 and ledger.version > 1:
            assert n_read(ledger) < 3
    assert told[0] == told[1]


def test_a_ledger_of_many_pushes_stays_a_few_files(ledger: Ledger) -> None:
    for number in range(60):
        ledger.record(entries(("A", number, str(number), number)), push="p", through=number)
        assert n_read(ledger) <= 25
    assert len(ledger.history("A")) == 60
    assert ledger.recorded_through("p") == 59


def test_large_files_are_not_merged(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    merging(monkeypatch, at=3)
    monkeypatch.setattr("toolkit.ledger.delta._LARGE", 100)
    for number in range(5):
        ledger.record(entries(("A", number, str(number), number)), push="p", through=number)
    assert n_read(ledger) == ledger.version + 1 == 5


@pytest.mark.parametrize("moment", ["write_table", "link", "create_checkpoint"])
def test_a_merge_that_fails_takes_nothing_from_the_rows(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    merging(monkeypatch, at=2)
    place = {"write_table": pq, "link": os, "create_checkpoint": DeltaTable}[moment]

    def failing(*_: Any, **__: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as failed:
        failed.setattr(place, moment, failing)
        for number in range(3):
            ledger.record(entries(("A", number, str(number), number)), push="p", through=number)
        ledger.retract([("A", START)], reason="by hand: no receipt tells that it went through")
        assert names(ledger) == {"A": "2"}
        assert n_read(ledger) == (2 if moment == "create_checkpoint" else 4)
    ledger.record(entries(("A", 9, "late", 9)), push="q", through=0)
    assert n_read(ledger) == 1
    assert names(ledger) == {"A": "late"}
    assert len(ledger.history("A")) == 5


def test_a_merge_gives_way_to_whoever_commits_meanwhile(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here another merge: if both went through, each row would be there twice."""
    merging(monkeypatch, at=2)
    link = os.link

    def later(*arguments: Any) -> None:
        monkeypatch.setattr(os, "link", link)
        Ledger(ledger.folder, "acme").record(entries(("A", 5, "theirs", 5)), push="q", through=0)
        link(*arguments)

    for number in range(3):
        if number == 2:
            monkeypatch.setattr(os, "link", later)
        ledger.record(entries(("A", number, str(number), number)), push="p", through=number)
    assert ledger.history("A")["customer_name"].tolist() == ["0", "1", "2", "theirs"]
    assert n_read(ledger) == 1


# Pushes --------------------------------------------------------------------------------------------------------------


def test_a_snapshot_as_of_a_push_is_what_its_end_left(ledger: Ledger, customers) -> None:
    ledger.record(entries(("A", 1, "one", 1)), push="p", through=0)
    ledger.record(entries(("A", 2, "two", 2), ("B", 1, "b", 3), push="q"), push="q", through=0)
    ledger.record(entries(("A", 3, "three", 4), push="r"), push="r", through=0)
    assert names(ledger, push="p") == {"A": "one"}
    assert names(ledger, push="q") == {"A": "two", "B": "b"}
    assert names(ledger, push="q", valid_at="2026-01-02") == {"A": "one", "B": "b"}
    deliver(ledger, Delivery(customers(1)), push="nothing taken", hours=2)
    assert names(ledger, push="nothing taken") == {"A": "two"}
    with pytest.raises(LedgerError, match=r"has no push 'x'.*push_history\(\)"):
        ledger.snapshot(push="x")
    with pytest.raises(LedgerError, match="not both"):
        ledger.snapshot(push="p", as_of="2026-01-01")


def test_the_pushes_of_all_analysts_are_listed_the_newest_first(ledger: Ledger) -> None:
    ledger.record(entries(("A", 1, "one", 1), ("A", 2, "two", 2)), push="p", through=0)
    ledger.record(entries(("B", 1, "b", 3), push="q"), push="q", through=0)
    ledger.retract([("B", START + timedelta(days=1))], reason="gone", now=START + timedelta(hours=9))
    assert ledger.pushes()[["push", "rows", "customers"]].to_numpy().tolist() == [["q", 1, 1], ["p", 2, 1]]


def test_a_retracted_push_brings_back_the_versions_before_it(ledger: Ledger) -> None:
    ledger.record(entries(("A", 1, "first", 1), ("B", 1, "b", 1)), push="p", through=0)
    ledger.record(entries(("A", 1, "overwritten", 2), ("B", 2, "b2", 2), push="q"), push="q", through=0)
    assert names(ledger) == {"A": "overwritten", "B": "b2"}
    assert ledger.retract(push="q", reason="the flush failed", now=START + timedelta(hours=5)) == 2
    assert names(ledger) == {"A": "first", "B": "b"}
    last = ledger.history("A").iloc[-1]
    assert last[["entry", "push", "reason"]].tolist() == ["retracted", "q", "the flush failed"]
    assert last["author"]
    with pytest.raises(LedgerError, match="no row of push 'q'"):  # it is retracted already
        ledger.retract(push="q", reason="again")
    ledger.record(entries(("A", 1, "overwritten", 6), push="q"), push="q", through=9)
    assert names(ledger)["A"] == "overwritten"
    assert ledger.retract(push="q", reason="once more", now=START + timedelta(hours=7)) == 1


def test_what_a_retracted_push_entered_is_not_among_the_keys_since(ledger: Ledger) -> None:
    ledger.record(entries(("A", 1, "mine", 1)), push="p", through=0)
    theirs = entries(("A", 2, "theirs", 2), ("B", 2, "theirs", 2), ("C", 2, "theirs", 2), push="q")
    ledger.record(theirs, push="q", through=0)
    assert set(ledger.keys_since(0, but_for="p")["customer_id"].to_pylist()) == {"A", "B", "C"}
    ledger.retract([("A", START + timedelta(days=2))], reason="not in the UI", now=START + timedelta(hours=3))
    assert set(ledger.keys_since(0, but_for="p")["customer_id"].to_pylist()) == {"B", "C"}
    ledger.retract(push="q", reason="the flush failed", now=START + timedelta(hours=4))
    assert ledger.keys_since(0, but_for="p").num_rows == 0


def test_a_snapshot_as_of_a_push_is_its_end_though_it_was_retracted(ledger: Ledger) -> None:
    ledger.record(entries(("A", 1, "one", 1), push="p"), push="p", through=0)
    ledger.record(entries(("B", 1, "b", 2), push="q"), push="q", through=0)
    ledger.retract(push="p", reason="the flush failed", now=START + timedelta(hours=3))
    assert names(ledger, push="p") == {"A": "one"}


def test_keys_that_are_not_pairs_of_text_and_time_are_refused(ledger: Ledger) -> None:
    ledger.record(entries(("A", 1, "one", 1)), push="p", through=0)
    with pytest.raises(LedgerError, match="updated_at is not a time: write it as"):
        ledger.retract([("A", "garbage")], reason="r")
    with pytest.raises(InputError, match="a pair of customer_id and updated_at"):
        ledger.retract(["A1C"], reason="r")
    for call in (lambda: ledger.retract([(5, START)], reason="r"), lambda: ledger.history(5)):
        with pytest.raises(InputError, match="customer_id is text, and int was given: write it in quotes"):
            call()
    assert ledger.version == 0
    assert ledger.retract([("A", "2026-01-02T01:00:00+01:00")], reason="r") == 1


@pytest.mark.parametrize("wrong", [7, Path("p"), ["p"], START, pd.DataFrame({"push": ["p"]}), Settings])
def test_what_is_no_name_of_a_push_is_refused_with_the_call_that_gives_one(ledger: Ledger, wrong: Any) -> None:
    given = wrong() if callable(wrong) else wrong
    ledger.record(entries(("A", 1, "one", 1)), push="p", through=0)
    for call in (lambda: ledger.snapshot(push=given), lambda: ledger.retract(push=given, reason="r")):
        with pytest.raises(InputError, match=r"The name of a push is wanted here.*Ledger\.of\(\)\.pushes\(\)"):
            call()


@pytest.mark.parametrize("wrong", [None, 7, "A1C", Path("a"), pd.DataFrame({"customer_id": ["A"]}), [None], [("A",)]])
def test_what_are_no_keys_is_refused(ledger: Ledger, wrong: Any) -> None:
    ledger.record(entries(("A", 1, "one", 1)), push="p", through=0)
    with pytest.raises(InputError, match="a pair of customer_id and updated_at: give a list of pairs"):
        ledger.retract(wrong, reason="r")
    assert ledger.version == 0


@pytest.mark.parametrize(
    ("what", "message"),
    [({}, "keys or a push"), ({"push": "p", "keys": [("A", START)]}, "keys or a push"),
     ({"push": "x"}, "no row of push 'x'"),
     ({"push": "p", "reason": " "}, "needs a reason"),
     ({"push": "p", "reason": None}, "needs a reason")],
)  # fmt: skip
def test_a_retraction_that_cannot_be_made_enters_nothing(ledger: Ledger, what: dict[str, Any], message: str) -> None:
    ledger.record(entries(("A", 1, "one", 1)), push="p", through=0)
    with pytest.raises(LedgerError, match=message):
        ledger.retract(**{"reason": "r", **what})
    assert ledger.version == 0


# Customers from before the toolkit was used --------------------------------------------------------------------------


def test_a_seeding_is_marked_and_has_a_name_like_a_push(ledger: Ledger, customers) -> None:
    seeded(ledger, customers(3))
    entry = ledger.history("C00001").iloc[0]
    assert entry[["entry", "reason", "source_file", "source_row"]].tolist() == ["seeded", "export", "old.csv", 3]
    assert entry["author"]
    assert entry["recorded_at"] == START
    assert ledger.pushes()["push"].str.startswith("seed-").all()
    assert ledger.snapshot().n_customers == 3


def test_without_rows_or_a_reason_nothing_is_seeded(ledger: Ledger, customers) -> None:
    seeded(ledger, customers(0))
    with pytest.raises(LedgerError, match="needs a reason"):
        seeded(ledger, customers(2), reason=" ")
    assert ledger.version == -1


def test_of_a_version_that_is_seeded_twice_the_first_counts(ledger: Ledger, customers) -> None:
    seeded(ledger, customers(2, customer_name="first"))
    seeded(ledger, customers(3, customer_name="second"), now=START + timedelta(hours=1))
    assert names(ledger) == {"C00000": "first", "C00001": "first", "C00002": "second"}
    assert ledger.pushes()["push"].nunique() == 2


@pytest.mark.parametrize("by_push", [True, False])
def test_a_seeding_of_which_a_row_was_retracted_can_be_made_again(ledger: Ledger, customers, by_push: bool) -> None:
    for hour in (1, 3):
        seeded(ledger, customers(2), now=START + timedelta(hours=hour))
        assert set(names(ledger)) == {"C00000", "C00001"}
        what = {"push": ledger.pushes()["push"].iloc[0]} if by_push else {"keys": [("C00001", "2026-01-01T00:00:00Z")]}
        ledger.retract(**what, reason="wrong export", now=START + timedelta(hours=hour + 1))
        assert set(names(ledger)) == (set() if by_push else {"C00000"})


@pytest.mark.parametrize("by_push", [True, False])
def test_a_retraction_by_a_clock_that_is_behind_takes_back_what_was_there(ledger: Ledger, by_push: bool) -> None:
    ledger.record(entries(("A", 1, "one", 12), ("B", 1, "two", 12)), push="p", through=0)
    what = {"push": "p"} if by_push else {"keys": [("A", "2026-01-02T00:00:00Z"), ("B", "2026-01-02T00:00:00Z")]}
    assert ledger.retract(**what, reason="looked", now=START) == 2  # by a clock that is twelve hours behind
    assert names(ledger) == {}
    assert ledger.history("A")["entry"].tolist() == ["accepted", "retracted"]
    with pytest.raises(LedgerError):
        ledger.retract(**what, reason="looked again", now=START)


def test_a_retraction_takes_back_nothing_that_enters_at_the_same_moment(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.record(entries(("A", 1, "one", 1), ("B", 1, "b", 1)), push="p", through=0)
    keys = [("A", "2026-01-02T00:00:00Z"), ("B", "2026-01-02T00:00:00Z")]
    monkeypatch.setattr("toolkit.ledger.delta._version", lambda _: 0)  # neither writer sees the other's commit
    ledger.record(entries(("A", 1, "again", 2), push="q"), push="q", through=0)
    ledger.retract(keys, reason="not in the UI")
    assert names(ledger) == {"A": "again"}


@pytest.mark.parametrize("by_push", [True, False])
def test_an_acceptance_counts_after_a_retraction_by_a_clock_that_is_ahead(ledger: Ledger, by_push: bool) -> None:
    ledger.record(entries(("A", 1, "one", 1), ("B", 1, "two", 1)), push="p", through=0)
    what = {"push": "p"} if by_push else {"keys": [("A", "2026-01-02T00:00:00Z")]}
    ledger.retract(**what, reason="looked", now=START + timedelta(days=2))
    ledger.record(entries(("A", 1, "again", 5), push="q"), push="q", through=0)
    ledger.record(entries(("A", 2, "later", 6), push="q"), push="q", through=1)
    assert names(ledger) == {"A": "later"} | ({} if by_push else {"B": "two"})
    assert len(ledger.snapshot().versions.filter(pc.equal(ledger.snapshot().versions["customer_id"], "A"))) == 2
    # Of a push that was taken back, what comes later counts too.
    ledger.record(entries(("A", 1, "resent", 5)), push="p", through=9)
    held = ledger.snapshot().versions.to_pylist()
    assert sorted(row["customer_name"] for row in held if row["customer_id"] == "A") == ["later", "resent"]


def test_a_seeding_counts_after_a_retraction_by_a_clock_that_is_ahead(ledger: Ledger, customers) -> None:
    seeded(ledger, customers(2), now=START)
    ledger.retract([("C00000", "2026-01-01")], reason="looked", now=START + timedelta(days=3))
    seeded(ledger, customers(2), reason="found it", now=START + timedelta(days=1))
    assert set(names(ledger)) == {"C00000", "C00001"}


@pytest.mark.parametrize("now", [datetime(2026, 1, 9), "2026-01-09", "2026-01-09T01:00:00+01:00"])
def test_a_retraction_is_dated_in_utc(ledger: Ledger, customers, now: Any) -> None:
    seeded(ledger, customers(1), now=START)
    ledger.retract([("C00000", "2026-01-01")], reason="looked", now=now)
    assert ledger.history("C00000")["recorded_at"].iloc[-1] == pd.Timestamp("2026-01-09T00:00:00Z")


def test_a_ledger_is_shared_where_it_lies_outside_the_home_by_whatever_name(tmp_path: Path) -> None:
    for folder in ("home", "shared"):
        (tmp_path / folder).mkdir()
    (tmp_path / "home" / "ledger").symlink_to(tmp_path / "shared")
    (tmp_path / "alias").symlink_to(tmp_path / "home")

    def shared(ledger: Path, home: Path = tmp_path / "home") -> bool:
        return Ledger.of(Settings(home=home, ledger=ledger)).shared

    assert shared(tmp_path / "home" / "ledger")
    assert not shared(tmp_path / "home" / "own")
    assert not shared(tmp_path / "home" / "own", tmp_path / "alias")


@pytest.mark.parametrize("damage", ["lost", "empty", "cut", "flipped", "unreadable"])
def test_a_file_of_the_ledger_that_is_lost_or_damaged_is_named(ledger: Ledger, customers, damage: str) -> None:
    seeded(ledger, customers(3, customer_name="Secret Ltd"))
    (file,) = (ledger.folder / "entries").glob("*.parquet")
    whole = file.read_bytes()
    if damage == "lost":
        file.unlink()
    elif damage == "unreadable":
        file.unlink()
        file.mkdir()
    else:
        flipped = bytes(255 - b for b in whole)
        file.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "flipped": flipped}[damage])
    for read in (
        ledger.snapshot,
        ledger.pushes,
        lambda: ledger.history("C00000"),
        lambda: ledger.retract(push="p", reason="r"),
    ):
        with pytest.raises(LedgerError, match=rf"'?{file.name}'?, which is lost.*Restore") as error:
            read()
        assert "Secret" not in str(error.value) + repr(error.value.__cause__)


@pytest.mark.parametrize("part", ["*.parquet", "_delta_log/*.json"])
def test_a_ledger_cut_or_flipped_anywhere_ends_in_no_error_but_our_own(ledger: Ledger, customers, part: str) -> None:
    seeded(ledger, customers(3))
    ledger.record(entries(("A", 1, "one", 1), ("A", 2, "two", 2)), push="p", through=0)
    for file in sorted((ledger.folder / "entries").glob(part)):
        whole = file.read_bytes()
        for at in range(0, len(whole), max(1, len(whole) // 5)):
            for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1 :]):
                file.write_bytes(damaged)
                with contextlib.suppress(ToolkitError):
                    ledger.snapshot()
        file.write_bytes(whole)
    assert ledger.snapshot().n_customers == 4


def test_a_seeded_version_is_overwritten_by_an_upsert_and_kept_by_an_append(customers, tmp_path: Path) -> None:
    for operation, name in (("UPSERT", "later"), ("APPEND", "seeded")):
        ledger = Ledger(tmp_path / operation, "acme")
        seeded(ledger, customers(1, customer_name="seeded"), now=START)
        ledger.record(entries(("C00000", 0, "later", 5), operation=operation), push="p", through=0)
        assert names(ledger) == {"C00000": name}


def test_a_snapshot_names_its_moment_and_shows_its_customers(ledger: Ledger) -> None:
    ledger.record(entries(("A", 1, "<one>", 1), ("A", 2, "two", 2)), push="p", through=0)
    snapshot = ledger.snapshot(as_of="2026-01-01T01:00:00Z", valid_at="2026-01-05")
    message = (
        "1 customer, 1 version · ledger of target acme · as of 2026-01-01 01:00:00Z · valid at 2026-01-05 00:00:00Z"
    )
    assert snapshot.summary() == message
    assert "&lt;one&gt;" in snapshot.body()
    assert snapshot.to_dict() == {"customers": 1, "versions": 1, "ledger_version": 0}
    assert snapshot.to_frame() is snapshot.frame

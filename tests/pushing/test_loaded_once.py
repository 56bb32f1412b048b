"""A push is read from the journal once, and handed from sending to recording and to the report."""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.support.place import Place, fates
from toolkit.ledger.delta import Table
from toolkit.pushing.history import push_report
from toolkit.pushing.settling import settle
from toolkit.vendor.sandbox import DROPPED, Reply


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What is read: files of rows, receipts and attempts of the journal, and the ledger's table."""
    counted: Counter[str] = Counter()
    connect, open_file, open_table = sqlite3.connect, pq.ParquetFile, Table._open

    def seen(sql: str) -> None:
        words = sql.split()
        sealed = sql.startswith(("SELECT id, push, batch,", "SELECT push, number,"))  # a check of the whole file
        if words[0] == "SELECT" and "push" in words and "FROM" in words and not sealed:
            counted[words[words.index("FROM") + 1]] += 1

    def connect_counting(*where: Any, **how: Any) -> sqlite3.Connection:
        connection = connect(*where, **how)
        connection.set_trace_callback(seen)
        return connection

    def read_counting(file: Any, *more: Any, **how: Any) -> Any:
        counted["rows" if str(file.name).endswith(".parquet") else "delivery"] += 1
        return open_file(file, *more, **how)

    def open_counting(self: Table, *version: int) -> Any:
        counted[f"ledger {self.path.name}"] += 1
        return open_table(self, *version)

    monkeypatch.setattr(sqlite3, "connect", connect_counting)
    monkeypatch.setattr(pq, "ParquetFile", read_counting)
    monkeypatch.setattr(Table, "_open", open_counting)
    return counted


def test_a_push_reads_no_rows_and_its_receipts_before_and_after_sending(place: Place, customers, reads) -> None:
    plan = place.plan(customers(3))
    reads.clear()
    assert fates(place.push(plan)) == {"accepted": 3}
    assert reads["rows"] == 0  # they are in hand
    assert reads["delivery"] == 1
    assert reads["receipt"] == 2
    assert reads["attempt"] == 4  # the list, and the rows that may have arrived
    assert reads["ledger entries"] <= 4


def test_a_resume_reads_its_rows_once(place: Place, customers, reads) -> None:
    place.sandbox.vendor.troubles.extend([None, Reply(401)])
    place.stopped(customers(600))
    reads.clear()
    assert fates(place.resume()) == {"accepted": 600}
    assert reads["rows"] == 1
    assert reads["receipt"] == 2
    assert reads["attempt"] == 4


def test_a_report_reads_everything_once(place: Place, customers, reads) -> None:
    place.push(customers(3))
    reads.clear()
    push_report(settings=place.settings)
    assert (reads["rows"], reads["receipt"]) == (1, 1)
    assert reads["attempt"] == 2


def test_a_settling_reads_its_rows_once(place: Place, customers, reads) -> None:
    place.options["operation"] = "APPEND"
    place.sandbox.vendor.troubles.append((True, DROPPED))
    mine = place.push(customers(3))
    reads.clear()
    settle(mine, accepted="all", reason="looked", settings=place.settings)
    assert reads["rows"] == 1
    assert reads["receipt"] == 2

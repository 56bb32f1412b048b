"""The engine: sessions that share a database in memory, and nothing that is in it."""

from __future__ import annotations

import gc
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest

from toolkit.engine.duckdb import EngineError, Session

ROWS = pa.table({"n": range(100_000)})


def total(_: object = None) -> int:
    with Session({"rows_": ROWS}) as session:
        session.run("CREATE TEMP TABLE kept AS FROM rows_")
        return int(session.scalar("SELECT sum(n) FROM kept"))


def test_a_session_sees_nothing_of_another() -> None:
    with Session({"rows_": ROWS}) as one, Session() as other:
        one.run("CREATE TEMP TABLE kept AS FROM rows_")
        for name in ("rows_", "kept"):
            with pytest.raises(EngineError, match="does not exist"):
                other.table(f"FROM {name}")
        other.register("rows_", ROWS.slice(0, 3))
        assert (one.table("FROM rows_").num_rows, other.table("FROM rows_").num_rows) == (100_000, 3)
    with Session() as later, pytest.raises(EngineError, match="does not exist"):
        later.table("FROM kept")


def test_a_session_that_ends_lets_its_tables_go() -> None:
    before = pa.total_allocated_bytes()
    for _ in range(20):
        with Session({"rows_": pa.table({"n": pa.array(range(100_000))})}) as session:
            session.scalar("SELECT sum(n) FROM rows_")
    gc.collect()
    assert pa.total_allocated_bytes() - before < 800_000  # one of the twenty tables


def test_sessions_of_many_threads_do_not_meet() -> None:
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(total, range(40))) == {sum(range(100_000))}


def test_a_process_that_was_forked_has_a_database_of_its_own() -> None:
    total()  # the parent has its threads by now, which no fork takes along
    found: Any = multiprocessing.get_context("fork").SimpleQueue()
    child = multiprocessing.get_context("fork").Process(target=lambda: found.put(total()))
    child.start()
    child.join(30)
    try:
        assert child.exitcode == 0
    finally:
        child.kill()
    assert found.get() == sum(range(100_000))

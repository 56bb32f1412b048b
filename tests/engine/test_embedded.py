"""The engine: sessions share a database in memory, and nothing that is in it; it loads nothing from outside."""

from __future__ import annotations

import gc
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from toolkit.engine import EngineError, Session, quoted
from toolkit.engine import text as sql_text

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


def test_a_session_that_ends_frees_its_tables() -> None:
    before = pa.total_allocated_bytes()
    for _ in range(20):
        with Session({"rows_": pa.table({"n": pa.array(range(100_000))})}) as session:
            session.scalar("SELECT sum(n) FROM rows_")
    gc.collect()
    assert pa.total_allocated_bytes() - before < 800_000  # one of the twenty tables


@pytest.mark.parametrize("how", [{}, {"files": True}, {"memory_limit": "100MB"}])
def test_every_session_gives_times_in_utc_and_draws_no_progress(how: dict[str, Any]) -> None:
    with Session(**how) as session:
        settings = session.table("SELECT current_setting('TimeZone'), current_setting('enable_progress_bar')")
        assert [column[0].as_py() for column in settings.columns] == ["UTC", False]
        assert session.table("SELECT now() AS at").schema.field("at").type == pa.timestamp("us", "UTC")


def test_sessions_of_many_threads_share_nothing() -> None:
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(total, range(40))) == {sum(range(100_000))}


def test_a_process_that_was_forked_has_a_database_of_its_own() -> None:
    total()  # now the parent has threads, which a fork lacks
    found: Any = multiprocessing.get_context("fork").SimpleQueue()
    child = multiprocessing.get_context("fork").Process(target=lambda: found.put(total()))
    child.start()
    child.join(30)
    try:
        assert child.exitcode == 0
    finally:
        child.kill()
    assert found.get() == sum(range(100_000))


@pytest.mark.parametrize("memory_limit", [None, "1GB"])
def test_no_extension_is_installed_or_loaded(memory_limit: str | None) -> None:
    with Session(memory_limit=memory_limit) as session:
        found = session.table("SELECT name, value FROM duckdb_settings() WHERE name LIKE 'auto%_known_extensions'")
        assert set(found["value"].to_pylist()) == {"false"}
        assert found.num_rows == 2
        with pytest.raises(EngineError, match="excel extension"):
            session.table("FROM read_xlsx('customers.xlsx')")


REACHES_OUT = [
    "FROM read_text('{0}')",
    "FROM read_csv('{0}')",
    "FROM read_blob('{0}')",
    "FROM glob('/*')",
    "FROM '{0}'",
    "COPY (SELECT 1) TO '{0}.csv'",
    "ATTACH '{0}.duckdb'",
    "INSTALL excel",
    "LOAD excel",
    "SET enable_external_access = true",
    "SET allow_community_extensions = true",
    "EXPORT DATABASE '{0}_folder'",
]


@pytest.mark.parametrize("sql", REACHES_OUT)
def test_a_session_of_tables_reads_and_writes_no_file(tmp_path: Path, sql: str) -> None:
    outside = tmp_path / "outside"
    outside.write_text("a,b", encoding="utf-8")
    with Session(files=True) as before:  # another session of this process may: it says so
        assert before.scalar(f"SELECT content FROM read_text('{outside}')") == "a,b"
    with Session({"rows_": ROWS}) as session, pytest.raises(EngineError):
        session.run(sql.format(outside))
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]


@pytest.mark.parametrize("session", [{}, {"files": True}, {"memory_limit": "1GB"}], ids=["tables", "files", "folder"])
def test_no_session_takes_a_community_extension(session: dict[str, Any]) -> None:
    with Session(**session) as opened:
        settings = (
            "SELECT value FROM duckdb_settings() WHERE name LIKE 'allow_%ed_extensions' OR name LIKE 'allow_comm%'"
        )
        assert opened.table(settings)["value"].to_pylist() == ["false", "false"]


@pytest.mark.parametrize("text", ["O'Neill", 'a "b"', "NUL \0 inside", "\\", "ß\u200b"])
def test_texts_and_names_reach_the_engine_as_they_are(text: str) -> None:
    name = text.replace("\0", "")  # which no column can have
    with Session({"rows_": pa.table({name: [text]})}) as session:
        assert session.scalar(f"SELECT {quoted(name)} = {sql_text(text)} FROM rows_") is True


def test_a_table_that_was_not_given_is_missing_whatever_python_holds() -> None:
    outside = pa.table({"n": [1]})
    with Session() as session, pytest.raises(EngineError, match="outside does not exist"):
        session.table("FROM outside")
    assert outside.num_rows == 1

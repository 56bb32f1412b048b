"""Every engine's session: the same face, and nothing left behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pyarrow as pa
import pytest

import toolkit as tk
from tests.support.engines import DATA, SCRATCH, Served, address
from toolkit.engine import Engine, PostgresSession, RemoteSession, spark_connect
from toolkit.errors import InputError
from toolkit.quality import Rule

ROWS = pa.table({"n": [1, 2, 3, 4, 5], "text": ["it's", "a\\b", "É😀", None, ""]})


def test_names_of_a_session_stand_for_what_lies_in_the_engine(served: Served) -> None:
    with served.engine.session() as session:
        session.register("rows_", ROWS)
        session.create("kept_", """SELECT r.n, r."text" FROM rows_ AS r WHERE r.n < 4""")
        assert session.table("SELECT * FROM kept_ ORDER BY n").to_pydict() == ROWS.slice(0, 3).to_pydict()
        assert session.scalar("""SELECT n FROM rows_ WHERE "text" = 'it''s'""") == 1
        assert session.scalar(r"""SELECT n FROM rows_ WHERE "text" = 'a\b'""") == 2
        session.create("kept_", "SELECT count(*) AS n FROM rows_")
        assert session.scalar("SELECT n FROM kept_") == 5
        session.register("rows_", ROWS.slice(0, 1))
        assert session.scalar("SELECT count(*) AS n FROM rows_") == 1
    assert served.left() == []


def test_batches_keep_the_order_and_other_statements_run_meanwhile(served: Served) -> None:
    with served.engine.session() as session:
        session.register("rows_", pa.table({"n": range(1000)}))
        sizes, seen = [], []
        for batch in session.batches("SELECT n FROM rows_ ORDER BY n DESC", 300):
            sizes.append(batch.num_rows)
            seen += batch["n"].to_pylist()
        assert seen == [*range(999, -1, -1)]
        assert max(sizes) <= 300


def test_nothing_is_left_after_an_error_or_an_interrupt(served: Served) -> None:
    def stopped(by: type[BaseException]) -> None:
        with served.engine.session() as session:
            session.create("kept_", "SELECT 1 AS n")
            raise by

    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error):
            stopped(error)
    assert served.left() == []


def test_a_later_run_clears_what_a_crash_left_and_no_live_run(served: Served) -> None:
    if served.kind == "duckdb":
        return  # what it makes is in memory
    with served.engine.session() as live, served.engine.session() as later:
        assert isinstance(live, RemoteSession)
        live.create("kept_", "SELECT 1 AS n")
        for name in ("tk_0badc0de_rows_", "tk_0badc0de_lease_1000", "tk_0badc0de_lease_2000", "mine"):
            live._execute(f"CREATE TABLE {SCRATCH}.{name} AS SELECT 1 AS n")
        later.create("kept_", "SELECT 2 AS n")
        left = later.names_in(SCRATCH)
        assert "mine" in left
        assert not [name for name in left if "0badc0de" in name]
        assert live.scalar("SELECT n FROM kept_") == 1
        live._execute(f"DROP TABLE {SCRATCH}.mine")
    assert served.left() == []


def test_a_lease_is_renewed_before_the_old_one_goes(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    if served.kind == "duckdb":
        return
    with served.engine.session() as session:
        assert isinstance(session, RemoteSession)
        session.create("a_", "SELECT 1 AS n")
        monkeypatch.setattr("toolkit.engine.session.RENEWED_S", -1)
        monkeypatch.setattr("toolkit.engine.session.LEASE_S", 100_000)
        session.create("b_", "SELECT 2 AS n")
        leases = [name for name in session.names_in(SCRATCH) if "_lease_" in name]
        assert leases == [session._lease.partition(".")[2]]
        monkeypatch.setattr("toolkit.engine.session.LEASE_S", 200_000)
        assert session.scalar("SELECT n FROM a_") == 1  # reading renews it too
        assert session._lease.partition(".")[2] not in leases
        monkeypatch.setattr("toolkit.engine.session.RENEWED_S", 3_600)
        session._execute(f"DROP TABLE {session._known['a_']}")
        with pytest.raises(InputError, match="What this run held is gone, as after a day without use: diff"):
            session.scalar("SELECT n FROM a_")
    assert served.left() == []


def test_a_table_that_is_not_there_is_one_sentence_with_the_nearest_name(served: Served) -> None:
    if served.kind == "duckdb":
        return
    there = served.load(ROWS)
    with pytest.raises(InputError, match=f"has no table {there.sql}x, did you mean '{there.sql.partition('.')[2]}'"):
        tk.table(served.engine, there.sql + "x")
    schema, _, name = there.sql.partition(".")
    with pytest.raises(InputError, match=f"has no schema {schema}s, did you mean '{schema}'"):
        tk.table(served.engine, f"{schema}s.{name}")
    with pytest.raises(InputError, match="nope"):
        tk.table(served.engine, f"SELECT nope FROM {there.sql}")
    if served.kind == "postgresql":  # which proposes a name; Spark's own sentence lists the columns
        with pytest.raises(InputError, match=r'Perhaps you meant to reference the column "\w+\.n"'):
            tk.table(served.engine, f"SELECT nn FROM {there.sql}")
    with pytest.raises(InputError, match="An engine is wanted here"):
        tk.table("postgresql://", "t")  # type: ignore[arg-type]
    assert tk.table(served.engine, f"SELECT n FROM {there.sql}").sql.startswith("SELECT")


def test_a_query_may_begin_and_end_with_a_comment(served: Served) -> None:
    for sql in ("-- mine\nSELECT 1 AS n -- 'one'", " /* a\n; */ SELECT 1 AS n;", "VALUES (1)"):
        named = tk.table(served.engine, sql)
        assert named.name.startswith("the query on ")
        assert named.first(2).column(0).to_pylist() == [1]


@pytest.mark.parametrize("scratch", [None, 7, "", "Sc", "my scratch", "a.b", 'x"y', "sc; drop table t"])
def test_scratch_is_the_plain_name_of_a_schema(scratch: object) -> None:
    for connect in (tk.engine.postgres, tk.engine.spark):
        with pytest.raises(InputError, match=r"scratch cannot be .*: give the name of a schema alone"):
            connect("sc://127.0.0.1:1", scratch=scratch)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("postgresql://me:s3c@ret@127.0.0.1/db", "no host has the name in its address. In a password, write @ as %40"),
        ("postgresql://me:s3cret@127.0.0.1:s3/db", "the port in its address is no number"),
        ("s3cret", "write its address as postgresql://user@host/database"),
        (None, "write its address as postgresql://"), (5, "write its address as postgresql://"),
        ("sc://127.0.0.1:1/;token=s3cret", "at 127.0.0.1:1: Connection refused"),
        ("sc://no.invalid/;token=s3cret", "at no.invalid:15002: Name"),
        ("sc://127.0.0.1:s3", "write its address as sc://host:15002"), ("http://s3cret", "write its address as sc://"),
        (b"sc://s3", "write its address as sc://"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_address_is_said_without_its_password(address: object, said: str) -> None:
    spark = said.startswith("at ") or "sc://" in said
    with pytest.raises(InputError) as raised:
        (tk.engine.spark if spark else tk.engine.postgres)(address, scratch="s")  # type: ignore[arg-type]
    assert f"cannot be reached{' ' if said.startswith('at ') else ': '}{said}" in str(raised.value)
    assert "s3" not in str(raised.value)


@pytest.mark.parametrize(
    "address",
    ["postgresql://me:s3cret@127.0.0.1:1/db", "postgresql:/me:s3cret@host/db", "postgresql://me:s3 cret@127.0.0.1:1/db",
     "postgresql://me:s3cret@[::1/db", "sc://127.0.0.1:1/;token=s3cret", "s3cret"],
)  # fmt: skip
def test_an_engine_that_cannot_be_reached_is_one_sentence_without_its_password(address: str) -> None:
    connect = tk.engine.spark if address.startswith("sc:") else tk.engine.postgres
    with pytest.raises(InputError, match="cannot be reached") as raised:
        connect(address, scratch="s")
    assert "s3" not in str(raised.value)
    assert "s3" not in repr(raised.value.__context__) or raised.value.__suppress_context__


@pytest.mark.parametrize(
    ("connect", "address", "install"),
    [
        (tk.engine.postgres, "postgresql://127.0.0.1:1", r"pip install 'customer-toolkit\[warehouse\]'"),
        (tk.engine.spark, "sc://127.0.0.1:1", r"pip install 'customer-toolkit\[spark\]'"),
        (tk.engine.snowflake, "snowflake://me:s3cret@a/db", r"pip install 'customer-toolkit\[snowflake\]'"),
        (
            tk.engine.redshift,
            "redshift://me:s3cret@127.0.0.1:1/db",
            r"pip install .*\[warehouse\]' dbc, then dbc ",
        ),
    ],
)
def test_a_missing_driver_is_one_sentence_with_the_command(
    connect: Callable[..., Engine], address: str, install: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("adbc_driver_postgresql.dbapi", "adbc_driver_snowflake.dbapi", "pyspark.sql.connect.session"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with pytest.raises(InputError, match=rf"^\w+ needs a (driver|client): {install}") as raised:
        connect(address, scratch="s")
    assert "s3cret" not in str(raised.value)


def test_an_error_in_the_last_row_is_an_error_and_names_no_value(served: Served) -> None:
    if served.kind != "postgresql":
        return
    query = "SELECT CAST(CASE WHEN n < 999 THEN '1' ELSE 's3cret' END AS BIGINT) AS n FROM rows_ ORDER BY n"
    with served.engine.session() as session:
        session.register("rows_", pa.table({"n": range(1000)}))
        for read in (session.table, lambda sql: list(session.batches(sql, 10))):
            with pytest.raises(InputError, match="PostgreSQL says: an error with the code") as raised:
                read(query)  # type: ignore[operator]
            assert "s3cret" not in str(raised.value)


UNREADABLE = {
    "postgresql": ["CAST(x AS BIGINT)", "CAST(x AS DATE)"],
    "sail": ["CAST(x AS TIMESTAMPTZ)", "CAST(x AS DATE)", "CAST(x AS BIGINT)"],
}
UNREADABLE["spark"] = UNREADABLE["sail"]


def test_a_cell_is_neither_in_a_message_nor_in_its_cause_nor_in_a_log(
    served: Served, capfd: pytest.CaptureFixture[str]
) -> None:
    for sql in UNREADABLE.get(served.kind, []):
        with served.engine.session() as session, pytest.raises(InputError, match="says: an error ") as raised:
            session.table(f"SELECT {sql} AS n FROM (SELECT 'Meier, Hauptstr. 5' AS x) AS t")
        assert "Meier" not in str(raised.value)
        assert raised.value.__cause__ is None
        assert raised.value.__suppress_context__
    if served.kind in ("sail", "spark"):
        for sql in (
            "SELECT nope FROM (SELECT 1 AS n) AS t",
            "SELECT * FROM nope",
            "SELECT nope(1) AS n",
            "SELECT nope,",
        ):
            with pytest.raises(InputError, match=r"Spark says: .*(nope|expected|Syntax error)"):
                tk.table(served.engine, sql)
    assert "Meier" not in "".join(capfd.readouterr())


def test_what_another_role_left_does_not_stop_a_run(served: Served) -> None:
    if served.kind != "postgresql":
        return
    role, left = f"bert_{os.getpid()}", ["tk_0badc0de_lease_1000", "tk_0badc0de_rows_"]
    with served.engine.session() as owner:
        assert isinstance(owner, PostgresSession)
        for sql in (f"CREATE ROLE {role} LOGIN", f"CREATE SCHEMA {role}", f"GRANT ALL ON SCHEMA {role} TO {role}",
                    *(f"CREATE TABLE {role}.{name} AS SELECT 1 AS n" for name in left)):  # fmt: skip
            owner._execute(sql)
        with PostgresSession(owner._uri.replace("postgres@", f"{role}@"), role) as session:
            session.create("kept_", "SELECT 1 AS n")
            assert session.scalar("SELECT n FROM kept_") == 1
        assert sorted(owner.names_in(role)) == left
        owner._execute(f"DROP SCHEMA {role} CASCADE")
        owner._execute(f"DROP ROLE {role}")


def test_the_time_zone_of_a_session_of_ones_own_comes_back(
    served: Served, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if served.kind not in ("sail", "spark"):
        return
    zone, there = "spark.sql.session.timeZone", address(served.kind, tmp_path_factory)
    mine = spark_connect.connect.SparkSession.builder.remote(there).getOrCreate()
    mine.conf.set(zone, "Europe/Berlin")
    given = tk.engine.spark(mine, scratch=SCRATCH)
    first, second = given.session(), given.session()
    assert mine.conf.get(zone) == "UTC"
    first.__exit__(None, None, None)  # not in reverse order
    assert mine.conf.get(zone) == "UTC"
    second.__exit__(None, None, None)
    assert mine.conf.get(zone) == "Europe/Berlin"
    with served.engine.session() as own:  # by its address: not the session that is active
        assert own.scalar("SELECT CAST(CAST('2026-01-01' AS TIMESTAMPTZ) AS BIGINT) AS n") == 1767225600
        assert mine.conf.get(zone) == "Europe/Berlin"
    assert mine.sql("SELECT 1 AS n").toArrow().num_rows == 1
    mine.stop()


def test_a_spark_that_is_gone_is_one_sentence_soon(
    served: Served, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    if served.kind != "sail":
        return
    monkeypatch.setattr("toolkit.engine.spark_connect.PATIENCE", {"max_retries": 0})
    with forwarded(address(served.kind, tmp_path_factory)) as (place, cut):
        there = tk.table(tk.engine.spark(place, scratch=SCRATCH), "SELECT 'A' AS customer_id, now() AS updated_at")
        rule, limited = Rule("short", "customer_id", "x", where="length(customer_id) < 2"), RemoteSession.limited
        monkeypatch.setattr(RemoteSession, "limited", lambda self, seconds: cut() or limited(self, seconds))
        with (
            pytest.warns(UserWarning, match="RETRIES"),
            pytest.raises(InputError, match=r"^Spark says: .* is cleared later\.$"),
        ):
            tk.validate(there, rules=[rule])
    with forwarded(address(served.kind, tmp_path_factory)) as (place, cut):
        engine = tk.engine.spark(place, scratch=SCRATCH)
        with engine.session() as session:
            cut()
            with pytest.warns(UserWarning, match="RETRIES"), pytest.raises(InputError, match="connection was lost"):
                session.scalar("SELECT 1 AS n")
        with pytest.raises(
            InputError, match=f"Spark cannot be reached at {place[5:]}: no Spark Connect server answers"
        ):
            engine.session()


def test_a_script_that_holds_a_diff_ends_and_leaves_nothing(
    served: Served, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if served.kind != "sail":
        return
    script = f"""
import tempfile, toolkit as tk
folder = tempfile.TemporaryDirectory()  # its end is registered before that of the session
engine = tk.engine.spark({address(served.kind, tmp_path_factory)!r}, scratch={SCRATCH!r})
one = tk.table(engine, "SELECT 'A' AS customer_id, now() AS updated_at")
changes = tk.diff(one, one)
print(changes.count("changed"))
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, timeout=100, check=True)
    assert done.stdout == b"0\n"
    assert served.left() == []


@contextmanager
def forwarded(there: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """An address on the way to a server, and what cuts the way."""
    found, open_ = [socket.create_server(("127.0.0.1", 0))], threading.Event()
    host, port = there.removeprefix("sc://").split(":")

    def pass_on(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)

    def serve() -> None:
        with suppress(OSError):
            while True:
                mine = found[0].accept()[0]
                if open_.is_set():
                    mine.close()
                    continue
                theirs = socket.create_connection((host, int(port)))
                found.extend((mine, theirs))
                for pair in ((mine, theirs), (theirs, mine)):
                    threading.Thread(target=pass_on, args=pair, daemon=True).start()

    def cut() -> None:
        open_.set()
        for each in found[1:]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"sc://127.0.0.1:{found[0].getsockname()[1]}", cut
    finally:
        cut()
        found[0].shutdown(socket.SHUT_RDWR)
        for each in found:
            each.close()


def test_an_interrupt_stops_the_statement_and_stays_an_interrupt(served: Served) -> None:
    if served.kind != "postgresql":
        return
    stop = """SELECT count(pg_cancel_backend(pid)) AS n FROM pg_stat_activity
              WHERE query LIKE '%pg_sleep(60)%' AND wait_event = 'PgSleep'"""

    def cancel() -> None:
        with served.engine.session() as other:
            assert isinstance(other, RemoteSession)
            while not done.is_set() and not other._fetch(stop)["n"][0].as_py():
                pass  # once, and while it sleeps: before, it is not heard, and later it stops what cleans up

    def run() -> None:
        with served.engine.session() as session:
            assert isinstance(session, RemoteSession)
            session.create("kept_", "SELECT 1 AS n")
            with session._said():
                session._execute("SELECT CAST(pg_sleep(60) AS text)")

    done = threading.Event()
    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run()
    done.set()
    thread.join()
    assert served.left() == []


def test_what_a_reader_may_not_do_or_misspells_is_one_sentence(served: Served) -> None:
    if served.kind != "postgresql":
        return
    there, role = served.load(ROWS), f"reader_{os.getpid()}"
    with served.engine.session() as owner:
        assert isinstance(owner, RemoteSession)
        address = owner._uri.replace("postgres@", f"{role}@")  # type: ignore[attr-defined]
        for sql in (f"CREATE ROLE {role} LOGIN", f"GRANT USAGE ON SCHEMA {DATA} TO {role}", f"CREATE SCHEMA {role}"):
            owner._execute(sql)
        reader = Engine("PostgreSQL", lambda: PostgresSession(address, role))
        with pytest.raises(InputError, match="permission denied for table"):
            tk.table(reader, there.sql)
        for sql in (f"SELECT * FROM {there.sql} WHERE", "SELECT 1 AS n; SELECT 2 AS n"):
            with pytest.raises(InputError, match="PostgreSQL says: syntax error at or near"):
                tk.table(reader, sql)
        for scratch, why in (
            (role, "permission denied for schema"),
            ("nowhere", '"nowhere" does not'),
        ):
            with PostgresSession(address, scratch) as session, pytest.raises(InputError, match=why) as raised:
                session.create("kept_", "SELECT 1 AS n")
            assert f"The schema {scratch} cannot hold temporary results: name as scratch" in str(raised.value)
        owner._execute(f"GRANT ALL ON SCHEMA {role} TO {role}")  # its own it may use, though it may not create one
        with reader.session() as session:
            session.create("kept_", "SELECT 1 AS n")
            assert session.scalar("SELECT n FROM kept_") == 1
        owner._execute(f"DROP SCHEMA {role}")  # which is empty
        owner._execute(f"REVOKE ALL ON SCHEMA {DATA} FROM {role}")
        owner._execute(f"DROP ROLE {role}")


def test_a_connection_that_is_lost_is_one_sentence(served: Served) -> None:
    if served.kind != "postgresql":
        return
    with served.engine.session() as session, served.engine.session() as other:
        assert isinstance(session, RemoteSession)
        assert isinstance(other, RemoteSession)
        pid = session._fetch("SELECT pg_backend_pid() AS n")["n"][0]
        other._fetch(f"SELECT pg_terminate_backend({pid}, 5000) AS n")
        for _ in range(2):
            with pytest.raises(InputError, match="PostgreSQL says: the connection was lost"):
                session.scalar("SELECT 1 AS n")

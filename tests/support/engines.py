"""Engines for tests: PostgreSQL and Sail on loopback, and DuckDB with Parquet files.

A server is a process of its own, ``python -m tests.support.engines NAME PID FILE``: it writes its address to the file
and ends with the process PID, which is pytest's own, or the one that started xdist's workers. So all workers share one
server, whichever of them needs it first, and a killed test run leaves none behind.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot.tokens
from filelock import FileLock

import toolkit as tk
from toolkit.engine import Engine, EngineTable, RemoteSession
from toolkit.engine.dialect import WORDS

# Workers share a server, but not the schema in which a test looks for what was left behind.
SCRATCH, DATA = f"scratch_{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}", "data"
BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@dataclass
class Served:
    """An engine, and a way to put tables into it."""

    kind: str
    engine: Engine
    files: Path | None = None
    numbers: Iterator[int] = field(default_factory=count)

    def load(self, table: pa.Table) -> EngineTable:
        """Put a table under a name of its own."""
        name = f"t{next(self.numbers)}_{os.getpid()}"
        if self.files:
            pq.write_table(table, self.files / f"{name}.parquet")
            return tk.table(self.engine, self.files / f"{name}.parquet")
        with self.engine.session() as session:
            if isinstance(session, RemoteSession):
                session._execute(f"CREATE SCHEMA IF NOT EXISTS {DATA}")
                session._put(f"{DATA}.{name}", table)
        return tk.table(self.engine, f"{DATA}.{name}")

    def left(self) -> list[str]:
        """What a run left in the scratch schema."""
        with self.engine.session() as session:
            names = session.names_in(SCRATCH) if isinstance(session, RemoteSession) else []
            return [name for name in names if name.startswith("tk_")]


BEYOND = {"QUALIFY", "ASOF", "SEMI", "ANTI", "FILTER", "UNNEST", "LATERAL", "PIVOT", "EXCLUDE", "USING", "ILIKE"}
KEYWORDS = frozenset(sqlglot.tokens.Tokenizer.KEYWORDS) | BEYOND
_TOKEN = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*"|::|[A-Za-z_]\w*)(\()?""")


def beyond(sql: str, *, own: str = "") -> set[str]:
    """The keywords and functions of a statement that are not in the portable subset; `own` is the dialect's."""
    found = {
        token.lower()
        for token, called in _TOKEN.findall(sql)
        if token[0] not in "'\"" and (called or token == "::" or token.upper() in KEYWORDS)
    }
    return found - WORDS - set(re.findall(r"\w+", own.lower()))


@pytest.fixture(scope="session", autouse=True)
def portable() -> Iterator[None]:
    """Every statement that a station sends to an engine is in the portable subset."""
    write = RemoteSession.written

    def checked(session: RemoteSession, sql: str) -> str:
        own = session.dialect.clock + session.dialect.number + " regexp_instr ltrim rtrim" * session.dialect.posix
        more = beyond(sql, own=own)
        assert not more, f"not in the portable subset: {more}: {sql[:200]}"
        return write(session, sql)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RemoteSession, "written", checked)
        yield


# Who has such a warehouse runs the suite on it: TOOLKIT_TEST_SNOWFLAKE=snowflake://… make test.
OWN = {kind: uri for kind in ("snowflake", "redshift") if (uri := os.environ.get(f"TOOLKIT_TEST_{kind.upper()}"))}
KINDS = ["duckdb", "postgresql", "sail", pytest.param("spark", marks=pytest.mark.slow), *OWN]


@pytest.fixture(scope="session", params=KINDS)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """Each engine in turn; its server is shared by all tests and all workers."""
    if request.param == "duckdb":
        return Served("duckdb", tk.engine.duckdb(memory_limit="100MB"), tmp_path_factory.mktemp("tables"))
    if request.param in OWN:
        return Served(request.param, getattr(tk.engine, request.param)(OWN[request.param], scratch=SCRATCH))
    connect: Callable[..., Engine] = tk.engine.postgres if request.param == "postgresql" else tk.engine.spark
    return Served(request.param, connect(address(request.param, tmp_path_factory), scratch=SCRATCH))


def address(kind: str, factory: pytest.TempPathFactory) -> str:
    """Return the address of a server; the first who asks starts it."""
    worker = "PYTEST_XDIST_WORKER" in os.environ
    folder, whole = factory.getbasetemp(), os.getpid()
    if worker:
        folder, whole = folder.parent, os.getppid()
    file = folder / f"{kind}.address"
    with FileLock(folder / f"{kind}.lock"):
        if not file.exists():
            command = [sys.executable, "-m", "tests.support.engines", kind, str(whole), str(file)]
            with (folder / f"{kind}.log").open("w") as log:
                server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            while not file.exists():
                assert server.poll() is None, (folder / f"{kind}.log").read_text()
                time.sleep(0.05)
    return file.read_text()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def serve(kind: str, whole: int, file: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix=f"{kind}-"))
    try:
        uri, stop = {"postgresql": _postgresql, "sail": _sail, "spark": _spark}[kind](folder)
        part = file.with_suffix(".part")
        part.write_text(uri)
        part.rename(file)
        while alive(whole):
            time.sleep(0.5)
        stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _postgresql(folder: Path) -> tuple[str, Callable[[], object]]:
    """PostgreSQL refuses root; what it writes is gone with the test run, so nothing is flushed to the disk."""
    user = "postgres" if os.getuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    data, port = folder / "data", free_port()

    def run(program: str, *arguments: str) -> None:
        command = [str(BINARIES[-1] / program), "-D", str(data), *arguments]
        subprocess.run(command, user=user, check=True, stdout=subprocess.DEVNULL, cwd=folder)

    run("initdb", "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust", "-N", "-U", "postgres")
    options = f"-p {port} -c fsync=off -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    run("pg_ctl", "start", "-w", "-l", str(folder / "log"), "-o", options)
    return f"postgresql://postgres@127.0.0.1:{port}/postgres", lambda: run("pg_ctl", "stop", "-m", "immediate")


def _sail(folder: Path) -> tuple[str, Callable[[], object]]:
    """Sail with its workers behind loopback ports, so that rows are serialised and shuffled."""
    os.environ |= {"SAIL_MODE": "local-cluster", "RUST_LOG": "error"}
    os.chdir(folder)  # for the files of its tables
    from pysail.spark import SparkConnectServer  # noqa: PLC0415 - it reads the mode when it is imported

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    return "sc://{}:{}".format(*server.listening_address), server.stop


def _spark(folder: Path) -> tuple[str, Callable[[], object]]:
    """A standalone cluster of one master and two workers, with Spark Connect; pyspark has an environment of its own."""
    home = next(Path(os.environ.get("SPARK_ENV", ".venv-spark")).resolve().glob("lib/python3*/site-packages/pyspark"))
    master, port, ui = free_port(), free_port(), free_port()
    settings = os.environ | {"SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1"}
    started: list[subprocess.Popen[bytes]] = []

    def start(program: str, kind: str, *arguments: str) -> None:
        command = [str(home / "bin" / program), *(["--class"] if program == "spark-submit" else []), kind, *arguments]
        started.append(subprocess.Popen(command, env=settings, cwd=folder, start_new_session=True))

    def stop() -> None:
        for process in started:
            os.killpg(process.pid, signal.SIGKILL)

    deploy, local = "org.apache.spark.deploy", ["--host", "127.0.0.1", "--webui-port", str(ui)]
    start("spark-class", f"{deploy}.master.Master", *local, "--port", str(master))
    wait_for(master)
    for work in ("one", "two"):
        limits = ["--cores", "1", "--memory", "900m", "--work-dir", str(folder / work)]
        start("spark-class", f"{deploy}.worker.Worker", *limits, *local, f"spark://127.0.0.1:{master}")
    given = {
        "spark.connect.grpc.binding.port": port, "spark.driver.host": "127.0.0.1", "spark.ui.enabled": "false",
        "spark.executor.memory": "700m", "spark.driver.memory": "900m", "spark.sql.shuffle.partitions": 4,
        "spark.sql.warehouse.dir": folder / "warehouse",
    }  # fmt: skip
    server, url = "org.apache.spark.sql.connect.service.SparkConnectServer", f"spark://127.0.0.1:{master}"
    conf = [part for key, value in given.items() for part in ("--conf", f"{key}={value}")]
    start("spark-submit", server, "--master", url, *conf, "spark-internal")
    wait_for(port)
    return f"sc://127.0.0.1:{port}", stop


def wait_for(port: int) -> None:
    while True:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))

"""The diff and the checks on other engines, beside DuckDB on the same tables; each server runs for the entry alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.benchmarks.comparing import NO_LIMIT, written
from tests.benchmarks.figures import ROOT, Figure, NotRunError, in_turn
from tests.support.engines import BINARIES
from toolkit.engine import EngineTable, RemoteSession, duckdb, postgres, spark
from toolkit.ledger import diff
from toolkit.quality import validate

SPARK = Path(os.environ.get("SPARK_ENV", ROOT / ".venv-spark"))
LONG_ROWS = 5_000_000
"""From so many rows on, what a cold cluster takes longer is a small part."""
NAMES = {"sail": "Sail", "postgresql": "PostgreSQL", "spark": "a Spark cluster"}


def address(kind: str, folder: str) -> str:
    """Start a server that ends with this process, as clients of Spark end after their last word to it."""
    file, log = Path(folder, "address"), Path(folder, "log")
    command = [sys.executable, "-W", "ignore", "-m", "tests.support.engines", kind, str(os.getpid()), str(file)]
    with log.open("w") as told:
        started = subprocess.Popen(command, cwd=ROOT, stdout=told, stderr=told, start_new_session=True)
    while not file.exists():
        if started.poll() is not None:
            raise RuntimeError(log.read_text().strip().splitlines()[-1])
        time.sleep(0.05)
    return file.read_text()


def tables(kind: str, uri: str, paths: tuple[Path, Path]) -> list[EngineTable]:
    """Name the two tables on an engine; PostgreSQL reads no files, so they are loaded into it."""
    if kind != "postgresql":
        engine = spark(uri, scratch="scratch")
        return [EngineTable(engine, f"SELECT * FROM parquet.`{path}`") for path in paths]
    engine, names = postgres(uri, scratch="scratch"), ("data.before", "data.after")
    with engine.session() as session:
        assert isinstance(session, RemoteSession)
        session._execute("CREATE SCHEMA data")
        for name, path in zip(names, paths, strict=True):
            session._put(name, pq.read_table(path))
    return [EngineTable(engine, name) for name in names]


def on_engine(kind: str) -> Callable[[int, str], list[Figure]]:
    """Return the entry of an engine: both stations on it and on DuckDB, on the same rows."""

    def measure(n: int, _: str = "") -> list[Figure]:
        if kind == "postgresql" and not BINARIES:
            raise NotRunError("PostgreSQL is not installed")
        if kind == "spark" and not (shutil.which("java") and SPARK.exists()):
            raise NotRunError("a cluster needs Java 17 and the environment .venv-spark, which make test-engines makes")
        with written(n) as paths, tempfile.TemporaryDirectory() as folder:
            near = [EngineTable(duckdb(memory_limit=NO_LIMIT), str(path)) for path in paths]
            far, found = tables(kind, address(kind, folder), paths), []
            works: dict[str, Callable[[list[EngineTable]], Any]] = {
                f"diff {n:,} × {n:,}": lambda of: diff(*of).n_changed,
                f"validate {n:,} rows": lambda of: validate(of[1], rules=()).n_quarantined,
            }
            for work, run in works.items():
                if warm := kind == "spark" and n < LONG_ROWS:
                    run(far)  # a cold cluster takes twice as long, to compile what it runs
                (far_s, near_s), runs, (there, here_too) = in_turn(
                    lambda: run(far),  # noqa: B023 - called at once
                    lambda: run(near),  # noqa: B023
                )
                assert there == here_too
                note = "after a first run, in which the cluster compiles" if warm else ""
                figure = Figure(f"{work} on {NAMES[kind]}", far_s, runs=runs, beside="DuckDB", peer=near_s, note=note)
                found.append(figure)
        return found

    return measure

"""Parquet files as tables: compared where they lie, within a memory limit, and refused in one sentence."""

from __future__ import annotations

import gc
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import toolkit as tk
from tests.engine.test_comparing import assert_equal, both
from toolkit.engine import Session
from toolkit.errors import InputError
from toolkit.model import typed_frame

ROWS = 160_000
"""Enough that a comparison does not fit in 70 MB."""


def write(path: Path, select: str, *, groups: int = 20_000) -> Path:
    with Session(files=True) as session:
        session.run(f"COPY ({select}) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE {groups})")
    return path


def customers(path: Path, start: int, *, every: int = 0) -> Path:
    newer = f"CASE WHEN i % {every} = 0 THEN 1 ELSE 0 END" if every else "0"
    cells = f"""'C-' || lpad(i::VARCHAR, 9, '0') AS customer_id, md5(i::VARCHAR) || {newer} AS customer_name,
        TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_seconds({newer}) AS updated_at, 'peak' AS source,
        repeat(md5(i::VARCHAR), 3) AS customer_category"""
    return write(path, f"SELECT {cells} FROM range({start}, {start + ROWS}) AS t(i)")


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_files_and_folders_differ_as_their_frames_do(tmp_path: Path, seed: int) -> None:
    before, after = both(seed)
    engine, folder = tk.engine.duckdb(), tmp_path / "it's [a] folder"
    folder.mkdir(exist_ok=True)
    for n, part in enumerate((after.slice(0, 30), after.slice(30, 0), after.slice(30))):
        pq.write_table(part.select(part.column_names[:: -1 if n else 1]), folder / f"{n}.parquet")
    (folder / "_SUCCESS").touch()
    pq.write_table(before, tmp_path / "before.parquet")
    found = tk.diff(tk.table(engine, tmp_path / "before.parquet"), tk.table(engine, str(folder)))
    assert_equal(found, tk.diff(typed_frame(before), typed_frame(after)))
    rows = found.rows("added")  # which are numbered as in the files, one after the other
    assert rows["customer_id"].tolist() == after["customer_id"].take(pa.array(rows.index - 1)).to_pylist()


def test_a_comparison_is_bounded_by_its_memory_limit(tmp_path: Path) -> None:
    engine = tk.engine.duckdb(memory_limit="70MB")
    before, after = customers(tmp_path / "b.parquet", 0), customers(tmp_path / "a.parquet", 60, every=100)
    found = tk.diff(tk.table(engine, before), tk.table(engine, after))
    counts = (found.n_added, found.n_changed, found.n_absent, found.count("unchanged"))
    assert counts == (60, ROWS // 100 - 1, 60, ROWS - 59 - ROWS // 100)
    session = found.found.session
    assert isinstance(session, Session)
    folder = session.folder
    assert folder.exists()
    del session, found
    gc.collect()
    assert not folder.exists()

    def in_memory_alone() -> Session:
        opened = tk.engine.duckdb(memory_limit="40MB").session()
        assert isinstance(opened, Session)
        opened.run("SET max_temp_directory_size = '0KB'")
        return opened

    other = tk.engine.Engine("DuckDB", in_memory_alone)
    with pytest.raises(InputError, match=r"not enough memory: .*raise memory_limit"):
        tk.diff(tk.table(other, before), tk.table(other, after))


def test_a_start_without_other_engines_extras_checks_and_compares_files(tmp_path: Path) -> None:
    rows = write(
        tmp_path / "a.parquet",
        """SELECT 1 AS customer_id, TIMESTAMPTZ 'infinity' AS updated_at
        UNION ALL SELECT 2, TIMESTAMPTZ '2026-01-01 00:00:00+00'""",
    )
    code = """import sys; sys.modules["sqlglot"] = sys.modules["pyspark"] = None
import pandas as pd, toolkit as tk
table = tk.table(tk.engine.duckdb(), sys.argv[1])
report = tk.validate(table)
print(report.counts, tk.profile(table).n_rows, tk.diff(tk.diff(report.table, report).rows("added").iloc[:0], report))"""
    done = subprocess.run([sys.executable, "-c", code, str(rows)], capture_output=True, text=True, check=False)
    assert "'updated_at is not a time': 1" in done.stdout, done.stderr
    assert "1 added" in done.stdout


def test_what_is_no_table_is_one_sentence(tmp_path: Path) -> None:
    rows = pa.table({"customer_id": ["1"], "updated_at": ["x"]})
    (tmp_path / "crm.csv").write_text("customer_id,updated_at\n", encoding="utf-8")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 of customer 4711")
    for name in ("empty", "parts"):
        (tmp_path / name).mkdir()
    pq.write_table(rows, tmp_path / "parts" / "1.parquet")
    pq.write_table(rows.append_column("source", rows["updated_at"]), tmp_path / "parts" / "2.parquet")
    write_deltalake(str(tmp_path / "lake"), rows)
    engine = tk.engine.duckdb()
    for name, said in {
        "part": "There is no file or folder .*part, did you mean 'parts'",
        "crm.csv": r"crm.csv is not Parquet: make it so first, validate\('.*crm.csv', good='good.parquet'\)",
        "torn.parquet": r"torn.parquet is damaged, or not Parquet \(DuckDB says: InvalidInputException",
        "empty": "empty is not Parquet",
        "parts": "The files in parts have not the same columns",
        "lake": r"lake is a Delta table, .*: name the files that count, table\(engine, f\"FROM read_parquet",
    }.items():
        with pytest.raises(InputError, match=said) as raised:
            tk.table(engine, tmp_path / name)
        assert "4711" not in str(raised.value)
    call = re.search(r'f"(FROM .*)"\)', str(raised.value))
    assert call is not None
    files = [str(path) for path in (tmp_path / "lake").glob("*.parquet")]
    lake = tk.table(engine, re.sub(r"\{.*\}", str(files), call[1]))
    with pytest.raises(InputError, match="has updated_at as string"):
        tk.diff(lake, lake)
    with pytest.raises(InputError, match=r"memory_limit cannot be 'much': write a size"):
        tk.table(tk.engine.duckdb(memory_limit="much"), "x")
    with pytest.raises(InputError, match=r"DuckDB says: ConversionException\.$"):
        tk.profile(tk.table(engine, f"SELECT customer_id, CAST(updated_at AS TIMESTAMPTZ) AS updated_at FROM "
                                    f"read_parquet('{tmp_path}/parts/1.parquet')"))  # fmt: skip

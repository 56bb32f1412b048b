"""Checks, profile and reading, as ratios against peers. Both sides must count the same."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow.parquet as pq

from data.make_deliveries import customer_table, write_large_csv
from tests.benchmarks.figures import Figure, child, children, in_turn
from toolkit.engine import to_arrow
from toolkit.model import CUSTOMER, Customer
from toolkit.quality import profile, validate
from toolkit.reading import read_csv, read_customers

NOW = pd.Timestamp("2026-11-24T10:00:00Z")
# Times pandas as text: CSV parsed to text, read to a delivery, and that with each cell in quotes.
PARSED_AT_MOST, READ_AT_MOST, QUOTED_AT_MOST = 0.5, 1.0, 1.2
# Validation, times pandera on the same model: a clean table, and one with 1 % of bad rows; and that times dataframely.
CLEAN_AT_MOST, BAD_AT_MOST, DATAFRAMELY_AT_MOST = 0.8, 0.6, 3.0
# Ten times the rows as Parquet on disk: times a script of SQL by hand, and bytes of memory.
ON_DISK_AT_MOST, MEMORY_AT_MOST = 2.0, 1_000_000_000
PROFILED_AT_MOST, ALL_RULES_AT_MOST = 1.2, 4.0  # seconds for a million rows: with the page, all rules
PEERS = "tests/benchmarks/peers.py"
ON_DISK = """
import json, sys, time
from toolkit.quality import validate
start = time.perf_counter()
found = validate(sys.argv[1], rules=())
# VmHWM, for ru_maxrss of a child begins with what its parent had.
peak = 1024 * int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
print(json.dumps({"rows": found.n_rows, "bad": found.n_quarantined, "seconds": time.perf_counter() - start,
                  "bytes": peak}))
"""
BY_HAND = """
import json, sys, tempfile, time
import duckdb, pandas
start = time.perf_counter()
rows = f"(FROM read_parquet('{sys.argv[1]}', file_row_number=true))"
texts = "customer_id customer_name customer_category customer_subcategory customer_price_list_id source"
size = " + ".join(f"coalesce(strlen({name}), 0)" for name in texts.split())
with tempfile.TemporaryDirectory() as folder, duckdb.connect(f"{folder}/rows.duckdb") as connection:
    connection.execute(f"SET memory_limit='500MB'; SET temp_directory='{folder}'; SET threads=2")
    connection.execute("SET preserve_insertion_order=false; SET enable_progress_bar=false; SET TimeZone='UTC'")
    bad = connection.sql(f'''
        WITH repeated AS (SELECT customer_id, updated_at FROM {rows} WHERE customer_id <> '' AND updated_at IS NOT NULL
                       GROUP BY ALL HAVING count(*) > 1)
        SELECT file_row_number + 1 AS source_row, r.*, coalesce(customer_id, '') = '' AS no_id,
               updated_at IS NULL AS no_time, source NOT IN ('peak', 'customer', '') AS odd_source,
               repeated.customer_id IS NOT NULL AS twice, {size} > 160000 AS large
        FROM {rows} AS r LEFT JOIN repeated USING (customer_id, updated_at)
        WHERE no_id OR no_time OR odd_source OR twice OR large ORDER BY 1''').to_arrow_table().to_pandas()
    n_rows = connection.sql(f"SELECT count(*) FROM {rows}").fetchall()[0][0]
# VmHWM, for ru_maxrss of a child begins with what its parent had.
peak = 1024 * int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
print(json.dumps({"rows": n_rows, "bad": len(bad), "seconds": time.perf_counter() - start,
                  "bytes": peak}))
"""


def with_bad_rows(table: pd.DataFrame) -> pd.DataFrame:
    """A customer table of which 1 % of the rows have no id, an unknown source, or another row's key."""
    bad = np.random.default_rng(7).permutation(len(table))[: len(table) // 100]
    no_id, odd_source, twice = np.array_split(bad, 3)
    table = table.copy()
    table.iloc[no_id, table.columns.get_loc("customer_id")] = None
    table.iloc[odd_source, table.columns.get_loc("source")] = "ERP"
    for column in CUSTOMER.key:
        at = table.columns.get_loc(column)
        table.iloc[twice, at] = table.iloc[(twice + 1) % len(table), at].to_numpy()
    return table


def failure_cases(table: pd.DataFrame) -> int:
    """How many failures plain pandera finds."""
    try:
        Customer.validate(table, lazy=True)
    except pandera.errors.SchemaErrors as found:
        return len(found.failure_cases)
    return 0


def in_memory(n: int, _: str = "") -> list[Figure]:
    """Validate a clean table and one with bad rows, beside plain pandera; then by all rules, and profile the table."""
    clean = customer_table(n, changed=0.01)
    bad, found = with_bad_rows(clean), []
    for work, table, at_most, n_bad in (
        ("validate, clean", clean, CLEAN_AT_MOST, 0),
        ("validate, 1 % bad rows", bad, BAD_AT_MOST, n // 100),
    ):
        (ours_s, pandera_s), runs, (report, _cases) = in_turn(
            lambda: validate(table, now=NOW, rules=()),  # noqa: B023 - called at once
            lambda: failure_cases(table),  # noqa: B023
        )
        assert report.n_quarantined >= n_bad
        assert n_bad or report.n_good == n
        found.append(
            Figure(f"{work}, {n:,} rows", ours_s, runs=runs, beside="pandera", peer=pandera_s, at_most=at_most)
        )
    (rules_s, profile_s), runs, _results = in_turn(
        lambda: validate(clean, now=NOW), lambda: profile(clean)._repr_mimebundle_()
    )
    found.append(Figure(f"validate by all rules, {n:,} rows", rules_s, runs=runs, at_most=ALL_RULES_AT_MOST))
    return [*found, Figure(f"profile with page, {n:,} rows", profile_s, runs=runs, at_most=PROFILED_AT_MOST)]


def beside_peers(n: int, python: str = "") -> list[Figure]:
    """Validate and profile a table with bad rows, here and in the peers' environment; theirs and ours split it."""
    table = with_bad_rows(customer_table(n, changed=0.01))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        table.to_parquet(path)
        peers = child(PEERS, "validate", str(path), python=python)
    (split_s,), runs, (report,) = in_turn(lambda: split(table))
    assert report.n_quarantined == peers["dataframely"]["bad"]
    some = table.head(peers["ydata-profiling"]["rows"])
    (profile_s,), n_profiled, _ = in_turn(lambda: profile(some)._repr_mimebundle_())
    work = f"validate and split, 1 % bad rows, {n:,} rows"
    theirs = {name: found["seconds"] for name, found in peers.items()}
    return [
        Figure(work, split_s, runs=runs, beside="dataframely", peer=theirs["dataframely"], at_most=DATAFRAMELY_AT_MOST),
        Figure(work, split_s, runs=runs, beside="pointblank", peer=theirs["pointblank"]),
        Figure(f"profile with page, {len(some):,} rows", profile_s, runs=n_profiled, beside="ydata-profiling",
               peer=theirs["ydata-profiling"]),
    ]  # fmt: skip


def split(table: pd.DataFrame) -> Any:
    """Validate a table, and take its good rows."""
    report = validate(table, now=NOW, rules=())
    assert len(report.good) == report.n_good
    return report


def csv_read(n: int, _: str = "") -> list[Figure]:
    """Read CSV as pandas does and as we do, in turn."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        plain, quoted = write_large_csv(Path(folder, "plain.csv"), n), Path(folder, "quoted.csv")
        pd.read_csv(plain, dtype=str, keep_default_na=False).to_csv(quoted, index=False, quoting=csv.QUOTE_ALL)
        works: list[tuple[str, Path, Callable[[Path], Any], float]] = [
            ("parse CSV", plain, lambda path: read_csv(path, lambda header: {c: at for at, c in enumerate(header)}),
             PARSED_AT_MOST),
            ("read CSV", plain, read_customers, READ_AT_MOST),
            ("read CSV, all cells quoted", quoted, read_customers, QUOTED_AT_MOST),
        ]  # fmt: skip
        for work, path, ours, at_most in works:
            (ours_s, pandas_s), runs, (read, _theirs) = in_turn(
                lambda: ours(path),  # noqa: B023 - called at once
                lambda: pd.read_csv(path, dtype=str, keep_default_na=False),  # noqa: B023
            )
            assert len(read.numbers if work == "parse CSV" else read.frame) == n
            found.append(Figure(f"{work}, {n:,} rows", ours_s, runs=runs, beside="pandas as text", peer=pandas_s,
                                at_most=at_most))  # fmt: skip
    return found


def write_parquet(path: Path, n: int) -> None:
    """Write `n` customers of which 1 % are bad, in parts."""
    part = with_bad_rows(customer_table(min(n, 1_000_000)))
    with pq.ParquetWriter(path, CUSTOMER.arrow_schema()) as writer:
        for number in range(-(-n // len(part))):
            ids = part["customer_id"] + f"-{number}"
            writer.write_table(to_arrow(part.assign(customer_id=ids), CUSTOMER.arrow_schema()))


def on_disk(n: int, _: str = "") -> list[Figure]:
    """Validate a Parquet file of `n` rows, and check it with SQL by hand, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.parquet"
        write_parquet(path, n)
        ours, runs = children("-c", ON_DISK, str(path))
        theirs, _n = children("-c", BY_HAND, str(path))
    assert (ours["rows"], ours["bad"]) == (theirs["rows"], theirs["bad"])
    work = f"validate {n:,} rows of Parquet"
    return [
        Figure(work, ours["seconds"], runs=runs, beside="SQL by hand", peer=theirs["seconds"], at_most=ON_DISK_AT_MOST),
        Figure(f"{work}: peak", ours["bytes"] / 1e6, "MB", runs, at_most=MEMORY_AT_MOST / 1e6),
    ]

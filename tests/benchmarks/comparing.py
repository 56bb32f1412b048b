"""The diff: in memory beside a script of SQL and pointblank, and in the engine under a memory limit.

``python -m tests.benchmarks.comparing LIMIT BEFORE AFTER`` compares two Parquet files in a process of its own.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.parquet as pq

import toolkit as tk
from data.make_deliveries import customer_table
from tests.benchmarks.figures import Figure, child, children, in_turn, peak_bytes, seconds
from toolkit.engine import to_arrow
from toolkit.ledger import diff
from toolkit.model import CUSTOMER

AT_MOST = 1.0  # times the hand-written script
LIMITED_AT_MOST, LIMITED_BYTES = 2.0, 1_000_000_000  # times the time without a limit, and bytes
LIMIT, NO_LIMIT = "512MB", "100GB"
PEERS = "tests/benchmarks/peers.py"
STATES = ("added", "changed", "touched", "restated", "backdated", "unchanged")


def by_hand(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, int]:
    """What an analyst who knows SQL would write: duplicate check, states, one record a changed field."""
    attributes = CUSTOMER.attributes
    differs = " OR ".join(f"a.{c} IS DISTINCT FROM b.{c}" for c in attributes)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone='UTC'")
        connection.register("b", before)
        connection.register("a", after)
        twice = connection.sql(
            "SELECT customer_id, updated_at FROM a GROUP BY ALL HAVING count(*) > 1"
        ).to_arrow_table()  # fmt: skip
        states = connection.sql(
            f"""SELECT coalesce(a.customer_id, b.customer_id) AS customer_id,
                CASE WHEN b.customer_id IS NULL THEN 'added' WHEN a.customer_id IS NULL THEN 'absent'
                     WHEN a.updated_at < b.updated_at THEN 'backdated'
                     WHEN a.updated_at = b.updated_at THEN CASE WHEN {differs} THEN 'restated' ELSE 'unchanged' END
                     WHEN {differs} THEN 'changed' ELSE 'touched' END AS state
                FROM a FULL JOIN b ON a.customer_id = b.customer_id"""
        ).to_arrow_table()
        fields = connection.sql(
            " UNION ALL ".join(
                f"""SELECT a.customer_id, '{c}' AS "column", b.{c} AS before, a.{c} AS after
                    FROM a JOIN b ON a.customer_id = b.customer_id
                    WHERE a.{c} IS DISTINCT FROM b.{c} AND a.updated_at >= b.updated_at"""
                for c in attributes
            )
        ).to_arrow_table()
    counted = states.group_by("state").aggregate([("state", "count")]).to_pylist()
    return {"twice": len(twice), "fields": len(fields), **{c["state"]: c["state_count"] for c in counted}}


@contextmanager
def written(n: int) -> Iterator[tuple[Path, Path]]:
    """Two deliveries of `n` customers as Parquet, the second with 1 % changed."""
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder, "before.parquet"), Path(folder, "after.parquet")
        for path, share in zip(paths, (0.0, 0.01), strict=True):
            pq.write_table(to_arrow(customer_table(n, changed=share), CUSTOMER.arrow_schema()), path)
        yield paths


def in_memory(n: int, peers: str = "") -> list[Figure]:
    """Compare two frames; the script of SQL yields as much, pointblank only counts."""
    before, after = customer_table(n), customer_table(n, changed=0.01)
    (ours_s, sql_s), runs, (ours, other) = in_turn(lambda: diff(before, after), lambda: by_hand(before, after))
    counts = {state: ours.count(state) for state in STATES}
    assert {state: other.get(state, 0) for state in STATES} == counts
    assert (other["twice"], other["fields"]) == (0, len(ours.fields))
    work = f"diff {n:,} × {n:,}"
    found = [Figure(work, ours_s, runs=runs, beside="DuckDB by hand", peer=sql_s, at_most=AT_MOST)]
    if peers:
        with written(n) as paths:
            theirs = child(PEERS, "compare", *map(str, paths), python=peers)
        assert theirs["changed"] == ours.n_changed
        found.append(Figure(work, ours_s, runs=runs, beside="pointblank's compare", peer=theirs["seconds"],
                            note="it yields no changed fields"))  # fmt: skip
    return found


def limited(n: int, peers: str = "") -> list[Figure]:
    """Compare two Parquet files in the embedded engine, with a memory limit and without one."""
    module = "tests.benchmarks.comparing"
    with written(n) as paths:
        small, runs = children("-m", module, LIMIT, *map(str, paths))
        free, _ = children("-m", module, NO_LIMIT, *map(str, paths))
    assert small["changed"] == free["changed"] == n // 100
    work = f"diff {n:,} × {n:,} from Parquet, {LIMIT} limit"
    return [
        Figure(work, small["seconds"], runs=runs, beside="no limit", peer=free["seconds"], at_most=LIMITED_AT_MOST),
        Figure(f"{work}: peak", small["bytes"] / 1e6, "MB", runs, at_most=LIMITED_BYTES / 1e6),
        Figure(f"diff {n:,} × {n:,} from Parquet, no limit: peak", free["bytes"] / 1e6, "MB", runs),
    ]


def compare_files(limit: str, before: str, after: str) -> dict[str, Any]:
    """Compare two Parquet files in this process."""
    engine = tk.engine.duckdb(memory_limit=limit)
    took, found = seconds(lambda: tk.diff(tk.table(engine, before), tk.table(engine, after)))
    return {"seconds": took, "bytes": peak_bytes(), "changed": found.n_changed}


if __name__ == "__main__":
    print(json.dumps(compare_files(*sys.argv[1:4])))

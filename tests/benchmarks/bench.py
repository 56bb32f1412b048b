"""Speed, as ratios against peers measured in one run: ``make bench``. Not a test: a busy machine fails no build.

``python -m tests.bench [ROWS] [PYTHON]``. Each figure is the best of three; both sides of a pair must count the same.
PYTHON is that of an environment with the peers of `peers.py`, which do not fit into the toolkit's own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from data.make_deliveries import customer_table, write_large_csv
from toolkit.engine.duckdb import to_arrow
from toolkit.ledger.diffing import diff
from toolkit.model.contract import CUSTOMER
from toolkit.model.encoding import encode
from toolkit.model.schema import Customer
from toolkit.quality.profiling import profile
from toolkit.quality.validation import validate
from toolkit.reading.customers import read_customers

NOW = pd.Timestamp("2026-11-24T10:00:00Z")
DIFF_AT_MOST = 1.5  # times the hand-written script
ENCODED_AT_LEAST = 1_000_000  # rows a second
SCANNED_AT_MOST = 2_000_000_000  # bytes of memory, for ten times the rows
PEERS = Path(__file__).with_name("peers.py")
SCAN = """
import json, resource, sys, time
from toolkit.quality import scan
start = time.perf_counter()
found = scan(sys.argv[1], rules=())
assert found.ok
print(json.dumps({"rows": found.n_rows, "seconds": time.perf_counter() - start,
                  "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
found.close()
"""


def best(function: Callable[[], Any], *, times: int = 3) -> tuple[float, Any]:
    """The shortest time of several, in seconds, and what came out."""
    took, result = [], None
    for _ in range(times):
        start = time.perf_counter()
        result = function()
        took.append(time.perf_counter() - start)
    return min(took), result


def pair(what: str, ours_s: float, peer: str, peer_s: float) -> str:
    """One line of the table."""
    return f"{what:<9} {ours_s:6.2f} s   {peer:<18} {peer_s:6.2f} s   ratio {ours_s / peer_s:5.2f}"


def diff_by_hand(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, int]:
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


def beside_peers(table: pd.DataFrame, python: str, say: Callable[[str], None]) -> None:
    """Validate and profile a table with bad rows, here and in the peers' environment."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        table.to_parquet(path)
        told = subprocess.run([python, str(PEERS), str(path)], capture_output=True, text=True, check=True).stdout
    peers = json.loads(told)
    report_s, report = best(lambda: validate(table, now=NOW, rules=()))
    assert report.n_quarantined == peers["dataframely"]["bad"]
    for name in ("dataframely", "pointblank"):
        say(pair("bad rows", report_s, name, peers[name]["seconds"]))
    some = table.head(peers["ydata-profiling"]["rows"])
    profile_s, _ = best(lambda: profile(some)._repr_mimebundle_())
    said = f" ({len(some):,} rows)"
    say(pair("profile", profile_s, "ydata-profiling", peers["ydata-profiling"]["seconds"]) + said)


def scanned(n: int, say: Callable[[str], None]) -> bool:
    """Scan a Parquet file of `n` rows in a process of its own, which tells what it took."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.parquet"
        part = customer_table(min(n, 1_000_000))
        with pq.ParquetWriter(path, to_arrow(part, CUSTOMER.arrow_schema()).schema) as writer:
            for number in range(-(-n // len(part))):
                ids = part["customer_id"] + f"-{number}"
                writer.write_table(to_arrow(part.assign(customer_id=ids), CUSTOMER.arrow_schema()))
        told = subprocess.run(
            [sys.executable, "-c", SCAN, str(path)], capture_output=True, text=True, check=True, cwd=PEERS.parent.parent
        ).stdout
    found = json.loads(told)
    say(f"scan       {found['seconds']:6.2f} s   {found['rows']:,} rows of Parquet, at most "
        f"{found['bytes'] / 1e6:,.0f} MB (at most {SCANNED_AT_MOST / 1e6:,.0f})")  # fmt: skip
    return bool(found["bytes"] <= SCANNED_AT_MOST)


def run(n: int, say: Callable[[str], None] = print, *, peers: str = "") -> bool:
    """Measure everything on `n` rows; returns whether the bounds of the project hold."""
    before, after = customer_table(n), customer_table(n, changed=0.01)
    say(f"{n:,} rows, 1 % changed · duckdb {duckdb.__version__} · pandas {pd.__version__}")

    by_hand_s, by_hand = best(lambda: diff_by_hand(before, after))
    ours_s, ours = best(lambda: diff(before, after))
    counts = {s: getattr(ours, f"n_{s}") for s in ("added", "changed", "touched", "restated", "backdated", "unchanged")}
    assert {s: by_hand.get(s, 0) for s in counts} == counts
    assert (by_hand["twice"], by_hand["fields"]) == (0, len(ours.fields))
    ratio = ours_s / by_hand_s
    say(pair("diff", ours_s, "by hand in DuckDB", by_hand_s) + f" (at most {DIFF_AT_MOST})")

    rows = to_arrow(after, CUSTOMER.arrow_schema())
    encode_s, encoded = best(lambda: encode(rows))
    part = after.head(min(n, 50_000)).assign(updated_at=lambda f: f["updated_at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    part = part[list(CUSTOMER.names)].astype(object).where(lambda f: f.notna(), None)
    plain_s, plain = best(lambda: json.dumps(part.to_dict("records"), ensure_ascii=False, separators=(",", ":")))
    assert json.loads(plain)[: min(n, 50)] == json.loads(b"[" + encoded.slice(0, min(n, 50)) + b"]")
    rate, plain_rate = n / encode_s, len(part) / plain_s
    say(
        f"encode     {encode_s:6.2f} s   {rate:,.0f} rows/s (at least {ENCODED_AT_LEAST:,})   "
        f"to_dict + json {plain_rate:,.0f} rows/s   {rate / plain_rate:4.1f} times"
    )

    validate_s, report = best(lambda: validate(after, now=NOW, rules=()))
    warned_s, _ = best(lambda: validate(after, now=NOW), times=1)
    pandera_s, _ = best(lambda: Customer.validate(after, lazy=True))
    assert report.n_good == n
    say(pair("validate", validate_s, "pandera alone", pandera_s) + f" (with all warnings {warned_s:.2f} s)")

    profile_s, _ = best(lambda: profile(after)._repr_mimebundle_())
    say(f"profile    {profile_s:6.2f} s   with its HTML")
    if peers:
        beside_peers(with_bad_rows(after), peers, say)

    with tempfile.TemporaryDirectory() as folder:
        path = write_large_csv(Path(folder) / "large.csv", n)
        size_mb = path.stat().st_size / 1e6
        read_s, delivery = best(lambda: read_customers(path))
        pandas_s, frame = best(lambda: pd.read_csv(path, dtype=str, keep_default_na=False))
        assert delivery.n_rows == len(frame) == n
    say(pair("read", read_s, "pandas as text", pandas_s) + f" ({size_mb:,.0f} MB of CSV)")
    bounded = scanned(10 * n, say)
    return bounded and ratio <= DIFF_AT_MOST and rate >= ENCODED_AT_LEAST


if __name__ == "__main__":
    held = run(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, peers="".join(sys.argv[2:3]))
    print("The bounds hold." if held else "A bound does not hold.")
    sys.exit(0 if held else 1)

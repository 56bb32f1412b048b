"""Readiness of ten times as many quotes as there are versions of customers.

Both are Parquet on disk. A quarter of the customers have more than one version, a tenth of the quotes have a customer
that is missing, and a tenth of each feature is empty. The bounds are 15 seconds and 2 GB for 1,000,000 versions.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.benchmarks.figures import Figure, children
from toolkit.model import CUSTOMER

SECONDS_AT_MOST, BYTES_AT_MOST = 15, 2_000_000_000
FIRST, SPAN_S = 1_704_067_200, 63_072_000  # the two years from 2024-01-01
PART = 1_000_000
JOIN = """
import json, sys, time
from toolkit.training import readiness
start, processor = time.perf_counter(), time.process_time()
found = readiness(sys.argv[1], sys.argv[2])
# VmHWM, for ru_maxrss of a child begins with what its parent had.
peak = 1024 * int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
print(json.dumps({"quotes": found.n_quotes, "seconds": time.perf_counter() - start,
                  "processor_seconds": time.process_time() - processor, "bytes": peak}))
"""


def ids(numbers: np.ndarray) -> pa.Array:
    return pc.binary_join_element_wise("C", pc.utf8_lpad(pa.array(numbers).cast(pa.string()), 8, padding="0"), "")


def moments(rng: np.random.Generator, n: int) -> pa.Array:
    return pa.array(FIRST + rng.integers(SPAN_S, size=n)).cast(pa.timestamp("s")).cast(pa.timestamp("us", tz="UTC"))


def write_tables(folder: Path, n: int) -> tuple[Path, Path]:
    """Write `n` versions of three quarters as many customers, and ten times as many quotes."""
    rng, n_customers = np.random.default_rng(7), n * 3 // 4
    lists = pa.array([f"PL-{number}" for number in range(5)])
    number = np.concatenate([np.arange(n_customers), rng.integers(n_customers // 3, size=n - n_customers)])
    words = {
        c: pa.array([*(f"{c} {k}" for k in range(9)), None]).take(rng.integers(10, size=n)) for c in CUSTOMER.names
    }
    versions = words | {CUSTOMER.names[0]: ids(number), "updated_at": moments(rng, n)}
    versions["customer_price_list_id"] = lists.take(pa.array(number % 5))
    pq.write_table(pa.table(versions), folder / "versions.parquet")
    writer = None
    for start in range(0, 10 * n, PART):
        size = min(PART, 10 * n - start)
        of = rng.integers(n_customers * 10 // 9, size=size)  # a tenth is beyond the last customer
        price_list = np.where(rng.random(size) < 0.02, (of + 1) % 5, of % 5)
        part = pa.table({"customer_id": ids(of), "quoted_at": moments(rng, size),
                         "price_list_id": lists.take(pa.array(price_list)), "value": rng.random(size)})  # fmt: skip
        writer = writer or pq.ParquetWriter(folder / "quotes.parquet", part.schema)
        writer.write_table(part)
    if writer:
        writer.close()
    return folder / "versions.parquet", folder / "quotes.parquet"


def joining(n: int, _: str = "") -> list[Figure]:
    """Join `n` versions and ten times as many quotes, each run in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        found, runs = children("-c", JOIN, *map(str, write_tables(Path(folder), n)))
    assert found["quotes"] == 10 * n
    work, note = f"readiness, {10 * n:,} quotes, {n:,} versions", f"{found['processor_seconds']:.1f} s of processor"
    return [
        Figure(work, found["seconds"], runs=runs, at_most=SECONDS_AT_MOST, note=note),
        Figure(f"{work}: peak", found["bytes"] / 1e6, "MB", runs, at_most=BYTES_AT_MOST / 1e6),
    ]

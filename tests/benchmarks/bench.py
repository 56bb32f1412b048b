"""Speed, as ratios against peers in one run: most of `tests.benchmarks`. Both sides must count the same."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow.parquet as pq

from data.make_deliveries import customer_table, write_large_csv
from toolkit.engine import to_arrow
from toolkit.ledger.diffing import diff
from toolkit.model.contract import CUSTOMER
from toolkit.model.json_rows import encode
from toolkit.model.schema import Customer
from toolkit.quality.profiling import profile
from toolkit.quality.validation import validate
from toolkit.reading import read_csv, read_customers

NOW = pd.Timestamp("2026-11-24T10:00:00Z")
DIFF_AT_MOST = 1.0  # times the hand-written script
ENCODED_AT_LEAST = 2_500_000  # rows a second
# Times pandas as text: CSV parsed to text, read to a delivery, and that with each cell in quotes.
PARSED_AT_MOST, READ_AT_MOST, QUOTED_AT_MOST = 0.5, 1.0, 1.2
# Validation, times pandera on the same model: a clean table, and one with 1 % of bad rows; and that times dataframely.
CLEAN_AT_MOST, BAD_AT_MOST, DATAFRAMELY_AT_MOST = 0.8, 0.6, 3.0
# Ten times the rows as Parquet on disk: times a script of SQL by hand, and bytes of memory.
ON_DISK_AT_MOST, MEMORY_AT_MOST = 2.0, 1_000_000_000
PROFILED_AT_MOST = 1.2  # seconds, for a million rows and their page
PEERS = Path(__file__).with_name("peers.py")
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
FIGURES: list[dict[str, Any]] = []
"""What was measured in this run: name, seconds, the peer and its seconds, their ratio, the bound, whether it holds."""


def best(function: Callable[[], Any], *, times: int = 3) -> tuple[float, Any]:
    """The shortest time of several, in seconds, and what came out."""
    took, result = [], None
    for _ in range(times):
        start = time.perf_counter()
        result = function()
        took.append(time.perf_counter() - start)
    return min(took), result


def in_turn(ours: Callable[[], Any], peers: Callable[[], Any], *, times: int = 5) -> tuple[float, float, Any]:
    """The medians of both sides, in seconds, measured in turn, and what ours gave."""
    took: tuple[list[float], list[float]] = ([], [])
    result = None
    for _ in range(times):
        seconds, result = best(ours, times=1)
        took[0].append(seconds)
        took[1].append(best(peers, times=1)[0])
    return median(took[0]), median(took[1]), result


def pair(what: str, ours_s: float, peer: str, peer_s: float, *, at_most: float | None = None) -> str:
    """One line of the table; the figure is kept for the JSON."""
    ratio = ours_s / peer_s
    figure = {"name": what, "seconds": ours_s, "peer": peer, "peer_seconds": peer_s, "ratio": ratio}
    FIGURES.append(figure if at_most is None else {**figure, "at_most": at_most, "holds": ratio <= at_most})
    bound = "" if at_most is None else f" (at most {at_most})"
    return f"{what:<9} {ours_s:6.2f} s   {peer:<18} {peer_s:6.2f} s   ratio {ratio:5.2f}{bound}"


def bounded(what: str, value: float, unit: str, at_most: float) -> str:
    """One line of the table for a figure without a peer; the figure is kept for the JSON."""
    FIGURES.append({"name": what, "value": value, "unit": unit, "at_most": at_most, "holds": value <= at_most})
    return f"{what:<9} {value:9,.2f} {unit} (at most {at_most:,})"


def csv_read(n: int, say: Callable[[str], None]) -> None:
    """Read CSV as pandas does and as we do, in turn."""
    with tempfile.TemporaryDirectory() as folder:
        plain, quoted = write_large_csv(Path(folder, "plain.csv"), n), Path(folder, "quoted.csv")
        pd.read_csv(plain, dtype=str, keep_default_na=False).to_csv(quoted, index=False, quoting=csv.QUOTE_ALL)
        for what, path, ours, bound in [
            ("parse", plain, lambda path: read_csv(path, lambda header: {c: at for at, c in enumerate(header)}),
             PARSED_AT_MOST),
            ("read", plain, read_customers, READ_AT_MOST),
            ("quoted", quoted, read_customers, QUOTED_AT_MOST),
        ]:  # fmt: skip
            ours_s, pandas_s, found = in_turn(
                lambda: ours(path),  # noqa: B023 - called at once
                lambda: pd.read_csv(path, dtype=str, keep_default_na=False),  # noqa: B023
            )
            assert len(found.numbers if what == "parse" else found.frame) == n
            line = pair(what, ours_s, "pandas as text", pandas_s, at_most=bound)
            say(f"{line}; {path.stat().st_size / 1e6:,.0f} MB of CSV")


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


def failure_cases(table: pd.DataFrame) -> int:
    """How many failures plain pandera finds."""
    try:
        Customer.validate(table, lazy=True)
    except pandera.errors.SchemaErrors as found:
        return len(found.failure_cases)
    return 0


def in_memory(clean: pd.DataFrame, say: Callable[[str], None]) -> None:
    """Validate a clean table and one with bad rows, beside plain pandera; profile the clean one."""
    ours_s, pandera_s, report = in_turn(lambda: validate(clean, now=NOW, rules=()), lambda: failure_cases(clean))
    assert report.n_good == len(clean)
    say(pair("validate", ours_s, "pandera", pandera_s, at_most=CLEAN_AT_MOST))
    bad = with_bad_rows(clean)
    ours_s, pandera_s, report = in_turn(lambda: validate(bad, now=NOW, rules=()), lambda: failure_cases(bad))
    assert report.n_quarantined >= len(clean) // 100
    say(pair("bad rows", ours_s, "pandera", pandera_s, at_most=BAD_AT_MOST))
    warned_s, _ = best(lambda: validate(clean, now=NOW), times=1)
    say(f"warnings   {warned_s:6.2f} s   all rules")
    profile_s = median(best(lambda: profile(clean)._repr_mimebundle_(), times=1)[0] for _ in range(5))
    say(bounded("profile", profile_s * 1_000_000 / len(clean), "s a million rows", PROFILED_AT_MOST))


def beside_peers(table: pd.DataFrame, python: str, say: Callable[[str], None]) -> None:
    """Validate and profile a table with bad rows, here and in the peers' environment; theirs and ours split it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        table.to_parquet(path)
        told = subprocess.run([python, str(PEERS), str(path)], capture_output=True, text=True, check=True).stdout
    peers = json.loads(told)
    took = []
    for _ in range(5):
        seconds, report = best(lambda: split(table), times=1)
        took.append(seconds)
    assert report.n_quarantined == peers["dataframely"]["bad"]
    say(pair("split", median(took), "dataframely", peers["dataframely"]["seconds"], at_most=DATAFRAMELY_AT_MOST))
    say(pair("split", median(took), "pointblank", peers["pointblank"]["seconds"]))
    some = table.head(peers["ydata-profiling"]["rows"])
    profile_s, _ = best(lambda: profile(some)._repr_mimebundle_())
    rows = f" ({len(some):,} rows)"
    say(pair("profiled", profile_s, "ydata-profiling", peers["ydata-profiling"]["seconds"]) + rows)


def split(table: pd.DataFrame) -> Any:
    """Validate a table, and take its good rows."""
    report = validate(table, now=NOW, rules=())
    assert len(report.good) == report.n_good
    return report


def on_disk(n: int, say: Callable[[str], None]) -> None:
    """Validate a Parquet file of `n` rows, and check it with SQL by hand, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.parquet"
        part = with_bad_rows(customer_table(min(n, 1_000_000)))
        with pq.ParquetWriter(path, to_arrow(part, CUSTOMER.arrow_schema()).schema) as writer:
            for number in range(-(-n // len(part))):
                ids = part["customer_id"] + f"-{number}"
                writer.write_table(to_arrow(part.assign(customer_id=ids), CUSTOMER.arrow_schema()))
        runs: dict[str, list[dict[str, Any]]] = {ON_DISK: [], BY_HAND: []}
        for _ in range(5):
            for script, found in runs.items():
                command = [sys.executable, "-c", script, str(path)]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=PEERS.parents[2])
                found.append(json.loads(done.stdout))
    assert len({(each["rows"], each["bad"]) for found in runs.values() for each in found}) == 1
    ours_s, by_hand_s = (median(each["seconds"] for each in found) for found in runs.values())
    say(pair("on disk", ours_s, "SQL by hand", by_hand_s, at_most=ON_DISK_AT_MOST) + f" ({n:,} rows of Parquet)")
    say(bounded("memory", max(each["bytes"] for each in runs[ON_DISK]) / 1e6, "MB", MEMORY_AT_MOST / 1e6))


def run(n: int, say: Callable[[str], None] = print, *, peers: str = "") -> bool:
    """Measure everything on `n` rows; returns whether the bounds of the project hold."""
    before, after = customer_table(n), customer_table(n, changed=0.01)
    say(f"{n:,} rows, 1 % changed · duckdb {duckdb.__version__} · pandas {pd.__version__}")

    by_hand = diff_by_hand(before, after)
    ours_s, by_hand_s, ours = in_turn(lambda: diff(before, after), lambda: diff_by_hand(before, after))
    counts = {s: ours.count(s) for s in ("added", "changed", "touched", "restated", "backdated", "unchanged")}
    assert {s: by_hand.get(s, 0) for s in counts} == counts
    assert (by_hand["twice"], by_hand["fields"]) == (0, len(ours.fields))
    say(pair("diff", ours_s, "by hand in DuckDB", by_hand_s, at_most=DIFF_AT_MOST))

    rows = to_arrow(after, CUSTOMER.arrow_schema())
    encode_s, _, encoded = in_turn(lambda: encode(rows), lambda: None)
    part = after.head(min(n, 50_000)).assign(updated_at=lambda f: f["updated_at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    part = part[list(CUSTOMER.names)].astype(object).where(lambda f: f.notna(), None)
    plain_s, plain = best(lambda: json.dumps(part.to_dict("records"), ensure_ascii=False, separators=(",", ":")))
    assert json.loads(plain)[: min(n, 50)] == json.loads(b"[" + encoded.slice(0, min(n, 50)) + b"]")
    rate, plain_rate = n / encode_s, len(part) / plain_s
    FIGURES.append({"name": "encode", "value": rate, "unit": "rows/s", "at_least": ENCODED_AT_LEAST,
                    "holds": rate >= ENCODED_AT_LEAST})  # fmt: skip
    say(
        f"encode     {encode_s:6.2f} s   {rate:,.0f} rows/s (at least {ENCODED_AT_LEAST:,})   "
        f"to_dict + json {plain_rate:,.0f} rows/s   {rate / plain_rate:4.1f} times"
    )

    in_memory(after, say)
    if peers:
        beside_peers(with_bad_rows(after), peers, say)

    csv_read(n, say)
    on_disk(10 * n, say)
    return all(figure.get("holds", True) for figure in FIGURES)

"""What the peers take for the same work, in an environment of their own: ``make bench`` runs it there.

``python peers.py validate TABLE.parquet``; the table is a customer table with bad rows. Prints one JSON object: peer to
seconds and, where the peer counts them, bad rows. ``python peers.py compare BEFORE.parquet AFTER.parquet`` prints the
seconds of pointblank's compare, and how many customers changed. Nothing of the toolkit is imported: ydata-profiling
refuses the pandas that the toolkit needs.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

import dataframely as dy
import pandas as pd
import pointblank as pb
import polars as pl
from ydata_profiling import ProfileReport

PROFILED = 100_000  # ydata-profiling takes half a minute for a million rows


class Customer(dy.Schema):
    customer_id = dy.String(nullable=False)
    updated_at = dy.Datetime(nullable=False, time_zone="UTC", time_unit="us")
    customer_name = dy.String(nullable=True)
    customer_category = dy.String(nullable=True)
    customer_subcategory = dy.String(nullable=True)
    customer_price_list_id = dy.String(nullable=True)
    source = dy.String(nullable=True, check=lambda c: c.is_in(["peak", "customer"]))

    @dy.rule()
    def unique_key(cls) -> pl.Expr:
        return pl.len().over("customer_id", "updated_at") == 1


def timed(function: Callable[[], Any], times: int = 5) -> tuple[float, Any]:
    took, result = [], None
    for _ in range(times):
        start = time.perf_counter()
        result = function()
        took.append(time.perf_counter() - start)
    return median(took), result


def interrogate(table: pl.DataFrame) -> Any:
    return (
        pb.Validate(table)
        .col_vals_not_null(columns=["customer_id", "updated_at"])
        .col_vals_in_set(columns="source", set=["peak", "customer", None])
        .rows_distinct(columns_subset=["customer_id", "updated_at"])
        .interrogate(get_first_n=500)
    )


def profiled(frame: pd.DataFrame) -> str:
    return ProfileReport(frame, minimal=True, progress_bar=False).to_html()


def compare(before: str, after: str) -> None:
    """Compare the customers of two tables."""
    tables = pl.read_parquet(before), pl.read_parquet(after)
    took, found = timed(lambda: pb.compare(*tables, keys="customer_id"))
    json.dump({"seconds": took, "changed": found.n_changed}, sys.stdout)


def validate(path: str) -> None:
    """Split and profile a table."""
    table = pl.read_parquet(path)
    filter_s, (good, failures) = timed(lambda: Customer.filter(table))
    details_s, _ = timed(lambda: failures.details())
    pointblank_s, _ = timed(lambda: interrogate(table))
    frame = pd.read_parquet(path).head(PROFILED)
    profile_s, _ = timed(lambda: profiled(frame), 1)
    json.dump(
        {
            "dataframely": {"seconds": filter_s + details_s, "bad": len(table) - len(good)},
            "pointblank": {"seconds": pointblank_s},
            "ydata-profiling": {"seconds": profile_s, "rows": len(frame)},
        },
        sys.stdout,
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    {"validate": validate, "compare": compare}[sys.argv[1]](*sys.argv[2:])

"""Whatever a table has, its report is that of the frame: DuckDB's own text and the portable one say the same."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some

import toolkit as tk
from tests.engine.test_validation import SHARED, same_order, told
from tests.support.engines import Served
from toolkit.model import CUSTOMER

SIGNS = "aAzZ09 \t\n\u00a0\u2028\u200b\u0085\x07\x0b'\"\\#=.-@$%_éÉßİıΣςÃ¼â€😀\u0301\ufeff\uff21"
TEXTS = some.one_of(
    some.none(),
    some.text(SIGNS, max_size=6),
    some.sampled_from(["n/a", "Total", "#N/A", "1E5", "007", "7", "Retail", "retail", "peak", "customer", "a@b.de"]),
    some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4),
)
MOMENTS = ["2026-01-01", "2026-01-01T00:00:00.000001", "1999-12-31", "2101-01-01"]
TIMES = some.sampled_from([None, *(pd.Timestamp(each, tz="UTC") for each in MOMENTS)])
ROWS = some.lists(some.tuples(TEXTS, TIMES, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS), min_size=1, max_size=40)


# Without shrinking: each try is some twenty statements on a server.
@settings(
    max_examples=3, derandomize=True, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(drawn=ROWS)
def test_any_table_has_the_report_of_its_frame(served: Served, drawn: list[tuple[object, ...]]) -> None:
    columns = [pa.array([row[i] for row in drawn], field.type) for i, field in enumerate(CUSTOMER.arrow_schema())]
    table = pa.Table.from_arrays(columns, schema=CUSTOMER.arrow_schema())
    local, there = (
        told(tk.validate(same_order(table), rules=SHARED)),
        told(tk.validate(served.load(table), rules=SHARED)),
    )
    for part, said in local.items():
        assert there[part] == said, part

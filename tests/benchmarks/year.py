"""A year of daily deliveries, simulated: ``python -m tests.benchmarks.year [CUSTOMERS DAYS]``.

The diff, the plan, the journal, the ledger and the requests are the toolkit's own. Only the vendor, which takes
everything, and the time are simulated, so that a year of pushes takes minutes: the time that a push would take is
counted from its requests and the contract's rate. Each day 2 % of the customers change and 0.2 % are new. The rows
and requests are the same in each run; sizes differ by a few bytes, and the seconds are this machine's.
Without arguments it writes its table into ``docs/scale.md``.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from unittest import mock

import pandas as pd

from data.make_deliveries import customer_table
from tests.benchmarks.showing import write_between
from toolkit.config import Settings
from toolkit.ledger import Ledger, diff
from toolkit.model import NAME, TIME
from toolkit.pushing import plan_push, push
from toolkit.sending import Pace
from toolkit.vendor import Answer, Client

CHANGED, NEW = 0.02, 0.002
PAGE = Path(__file__).resolve().parents[2] / "docs" / "scale.md"
BEGIN, END = "<!-- year -->", "<!-- end of year -->"
START = datetime(2026, 1, 1, 6, tzinfo=UTC)


@dataclass(frozen=True)
class Day:
    """What the end of one day shows: rows sent and requests of the day, bytes kept so far, seconds of diff and push."""

    day: int
    n_rows: int
    n_requests: int
    journal_bytes: int
    ledger_bytes: int
    n_ledger_files: int
    diff_s: float
    push_s: float


def size(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def simulate(n: int, days: int) -> Iterator[Day]:
    """Push a full delivery each day, the first load on day 0; yield what each day left."""
    n_changed, n_new = max(1, int(n * CHANGED)), max(1, int(n * NEW))
    frame = customer_table(n + days * n_new)
    clock, now = itertools.count(), START
    pace = Pace(now=lambda: now, clock=lambda: float(next(clock)), sleep=lambda _: None)
    answer = Answer(200, b'{"failed": []}', left=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(Client, "send", return_value=answer),  # a vendor that takes everything at once
    ):
        ledger = Path(folder, "ledger")
        settings = Settings(home=Path(folder, "home"), ledger=ledger, contract="current", base_url="http://127.0.0.1:9")
        for day in range(days):
            now = START + timedelta(days=day)
            if day:
                rows = [(day * n_changed + place) % n for place in range(n_changed)]
                frame.iloc[rows, frame.columns.get_loc(TIME)] = pd.Timestamp(now)
                frame.iloc[rows, frame.columns.get_loc(NAME)] = f"Renamed on day {day}"
            start = time.perf_counter()
            changes = diff(Ledger.of(settings).snapshot(), frame.iloc[: n + day * n_new])
            diff_s = time.perf_counter() - start
            plan = plan_push(changes, settings=settings, allow="all")
            push(plan, settings=settings, schema_check=False, pace=pace, progress=False)
            push_s = time.perf_counter() - start - diff_s
            yield Day(day, plan.n_rows, plan.n_batches, size(settings.home), size(ledger),
                      sum(1 for _ in ledger.rglob("*.parquet")), diff_s, push_s)  # fmt: skip


def table(days: list[Day]) -> str:
    """Return the first day, the ends of quarters and the last day as a table in Markdown."""
    last = days[-1].day
    shown = sorted({0, 1, last, *(last * quarter // 4 for quarter in (1, 2, 3))} & {day.day for day in days})
    columns = (
        "day, rows sent, requests, at 50 a second, diff, plan and push, journal MB, ledger MB, files of the ledger"
    )
    lines = [f"| {columns.replace(', ', ' | ')} |", "|---" * 9 + "|"]
    for each in (days[number] for number in shown):
        near = days[max(each.day - 3, 1 if each.day else 0) : each.day + 4]  # one day alone may be disturbed
        diff_s, push_s = (median(getattr(day, name) for day in near) for name in ("diff_s", "push_s"))
        took = f"{each.n_requests / 50:,.2f} s | {diff_s:.1f} s | {push_s:.1f} s"
        sizes = f"{each.journal_bytes / 1e6:,.1f} | {each.ledger_bytes / 1e6:,.1f} | {each.n_ledger_files:,}"
        lines.append(f"| {each.day} | {each.n_rows:,} | {each.n_requests:,} | {took} | {sizes} |")
    return "\n".join(lines)


if __name__ == "__main__":
    n_customers, n_days = (int(given) for given in (sys.argv[1:] or ["2000", "365"]))
    year = list(simulate(n_customers, n_days))
    print(text := table(year))
    if not sys.argv[1:]:
        write_between(PAGE, text, BEGIN, END)

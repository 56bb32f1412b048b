"""The benchmark runs, and both sides of each pair count the same; what it measures is no test's business."""

from tests.benchmarks import growth, showing, year
from tests.benchmarks.bench import run
from tests.benchmarks.bench_readiness import measure


def test_the_benchmark_compares_like_with_like() -> None:
    lines: list[str] = []
    run(2_000, say=lines.append)
    reading = ["parse", "read", "quoted"]
    assert [line.split()[0] for line in lines[1:]] == [
        "diff", "encode", "validate", "bad", "warnings", "profile", *reading, "on", "memory"
    ]  # fmt: skip


def test_a_year_pushes_what_changed_and_its_ledger_grows() -> None:
    first, second, third = year.simulate(3_000, 3)
    assert (first.n_rows, first.n_requests) == (3_000, 2)
    assert (second.n_rows, third.n_rows, third.n_requests) == (6 + 1, 6 + 1, 1)
    assert first.ledger_bytes < second.ledger_bytes < third.ledger_bytes
    assert year.table([first, second, third]).splitlines()[2].startswith("| 0 | 3,000 | 2 | 0.04 s |")


def test_growth_is_measured_at_each_station() -> None:
    assert growth.measure(500).keys() == {"diff", "validate", "profile", "encode", "plan"}


def test_a_figure_beyond_its_bound_shows_it_in_table_and_chart() -> None:
    pair = {"name": "diff", "peer": "SQL & more", "ratio": 1.25, "at_most": 1.0, "holds": False}
    found = {"rows": 10, "figures": [pair, {"name": "encode", "value": 3e6, "unit": "rows/s", "at_least": 2_500_000}]}
    assert "| diff | SQL & more | 1.25 | at most 1, **not reached** |" in showing.table(found)
    assert "| encode | 3,000,000 rows/s | at least 2,500,000 |" in showing.table(found)
    assert "diff beside SQL &amp; more" in showing.chart(found)


def test_the_benchmark_of_readiness_joins_every_quote() -> None:
    assert measure(400, times=1)["quotes"] == 4_000

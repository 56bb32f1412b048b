"""The benchmark runs, and both sides of each pair count the same; what it measures is no test's business."""

from collections.abc import Callable

import pytest

from tests.benchmarks import checking, comparing, figures, growth, readiness, sending, showing, year
from tests.benchmarks.figures import Figure


@pytest.fixture(autouse=True)
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One run of what is measured, where a benchmark takes the median of several."""
    monkeypatch.setattr(figures, "times", lambda _: 1)


@pytest.mark.parametrize(
    ("measure", "works"),
    [
        (comparing.in_memory, ["diff"]),
        (sending.encoding, ["encode", "encode"]),
        (checking.in_memory, ["validate", "validate", "validate", "profile"]),
        (checking.csv_read, ["parse", "read", "read"]),
    ],
)
def test_the_benchmark_compares_like_with_like(measure: Callable[[int], list[Figure]], works: list[str]) -> None:
    assert [figure.work.replace(",", "").split()[0] for figure in measure(2_000)] == works


def test_the_benchmark_in_the_engine_finds_the_same_with_a_memory_limit() -> None:
    found, peak, _ = comparing.limited(400)
    assert found.beside == "no limit"
    assert peak.unit == "MB"


def test_a_year_pushes_what_changed_and_its_ledger_grows() -> None:
    first, second, third = year.simulate(3_000, 3)
    assert (first.n_rows, first.n_requests) == (3_000, 2)
    assert (second.n_rows, third.n_rows, third.n_requests) == (60 + 6, 60 + 6, 1)
    assert first.ledger_bytes < second.ledger_bytes < third.ledger_bytes
    assert year.table([first, second, third]).splitlines()[2].startswith("| 0 | 3,000 | 2 | 0.04 s |")


def test_growth_is_measured_at_each_station() -> None:
    assert growth.measure(500).keys() == {"diff", "validate", "profile", "encode", "plan"}


def test_a_figure_beyond_its_bound_shows_it_in_table_and_chart() -> None:
    both = [
        Figure("diff", 2.5, beside="SQL & more", peer=2.0, at_most=1.0),
        Figure("encode", 3e6, "rows/s", at_least=2_500_000),
    ]
    listed = [*(figure.to_dict() for figure in both), {"work": "Sail", "failed": "not done within 3 s"}]
    found = {"rows": 10, "machine": "2 cores", "figures": listed}
    assert "| diff | 2.50 s | SQL & more | 1.25 | at most 1 times | **not reached** | 1 |  |" in showing.table(found)
    assert "| encode | 3,000,000 rows/s |  | 1.20 | at least 2,500,000 rows/s | reached | 1 |" in showing.table(found)
    assert "| Sail | failed |  |  |  |  |  | not done within 3 s |" in showing.table(found)
    assert "diff beside SQL &amp; more" in showing.chart(found)


def test_the_benchmark_of_readiness_joins_every_quote() -> None:
    assert "4,000 quotes, 400 versions" in readiness.joining(400)[0].work

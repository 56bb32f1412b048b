"""The benchmark runs, and both sides of each pair count the same; what it measures is no test's business."""

from tests.benchmarks.bench import run
from tests.benchmarks.bench_readiness import measure


def test_the_benchmark_compares_like_with_like() -> None:
    lines: list[str] = []
    run(2_000, say=lines.append)
    reading = ["parse", "read", "quoted"]
    assert [line.split()[0] for line in lines[1:]] == [
        "diff", "encode", "validate", "bad", "warnings", "profile", *reading, "on", "memory"
    ]  # fmt: skip


def test_the_benchmark_of_readiness_joins_every_quote() -> None:
    assert measure(400, times=1)["quotes"] == 4_000

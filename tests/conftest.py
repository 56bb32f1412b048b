"""What tests share: an environment of their own, frames, and a pace that waits for nothing."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import settings as hypothesis_settings

from tests.support.clocks import Clock
from tests.support.engines import portable, served  # noqa: F401 - fixtures
from toolkit.engine import embedded

collect_ignore = [
    "benchmarks/peers.py",  # runs in an environment of its own: make bench
    "support/frozen_kernel.py",  # stops the clock of who imports it
]

hypothesis_settings.register_profile("house", deadline=None)  # a shared machine is slow at times
hypothesis_settings.load_profile("house")


def pytest_xdist_auto_num_workers() -> int:
    """Return more workers than processors: a fifth of the time, tests wait for a browser, a kernel or a process."""
    return round((os.cpu_count() or 1) * 1.5)


def pytest_collection_finish() -> None:
    """Thousands of tests are no garbage: to look through them again and again takes 4 % of the processor's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Each worker has its processor: a second thread would take 30 % more of it for statements on a few rows."""
    for files in (False, True):
        embedded._database(os.getpid(), files=files).execute("SET threads=1")


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting, token or state of the developer's reaches a test, and no test reaches theirs."""
    for name in [n for n in os.environ if n.startswith("TOOLKIT_")] + ["PEAK_AUTH_TOKEN", "API_KEY"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TOOLKIT_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("toolkit.config.settings._current", None)  # what `use` chose ends with the test


@pytest.fixture
def clock() -> Clock:
    return Clock()


Customers = Callable[..., pd.DataFrame]


@pytest.fixture
def customers() -> Customers:
    """`customers(3)` makes three; keyword arguments set columns."""

    def make(n: int, *, start: int = 0, at: str = "2026-01-01T00:00:00Z", **columns: object) -> pd.DataFrame:
        index = pd.RangeIndex(start + 2, start + n + 2, name="source_row")
        frame = pd.DataFrame(
            {
                "customer_id": [f"C{start + i:05d}" for i in range(n)],
                "updated_at": pd.Series([pd.Timestamp(at)] * n, dtype="datetime64[us, UTC]"),
                "customer_name": [f'Müller & Söhne "{start + i}"' for i in range(n)],
                "customer_category": ["Retail"] * n,
                "customer_subcategory": [None] * n,
                "customer_price_list_id": ["PL-1"] * n,
                "source": ["customer"] * n,
            }
        )
        text = {c: "str" for c in frame.columns if c != "updated_at"}
        return frame.assign(**columns).astype(text).set_index(index)

    return make

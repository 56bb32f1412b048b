"""Sandboxes with an analyst, a colleague who shares the ledger, and a vendor that records what it took."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clocks import Clock
from tests.support.faults import Recorder
from tests.support.killing import REFUSED, small_batches
from tests.support.place import Place, vendor
from toolkit.model.contract import CONTRACTS


@pytest.fixture
def place(clock: Clock) -> Iterator[Place]:
    with vendor(clock) as sandbox:
        yield Place(sandbox, clock)


@pytest.fixture
def colleague(place: Place, tmp_path: Path) -> Place:
    place.options["ledger"] = tmp_path / "shared"
    return Place(place.sandbox, place.clock, {**place.options, "home": tmp_path / "colleague"})


@pytest.fixture
def checker(clock: Clock) -> Iterator[Place]:
    with vendor(clock, contract="current") as sandbox:
        yield Place(sandbox, clock, {"contract": "current"})


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    monkeypatch.setitem(CONTRACTS, "2026-04", CONTRACTS["2026-04"])
    small_batches()
    recorder = Recorder(refused=REFUSED)
    yield recorder
    recorder.stop()

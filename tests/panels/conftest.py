"""A sandbox that holds answers, an analyst's plan of forty customers in requests of ten, shown at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from tests.support.holding import Changes
from toolkit.config import Settings
from toolkit.ledger import Ledger, diff
from toolkit.model.contract import CONTRACTS
from toolkit.panels import background_push
from toolkit.pushing import PushPlan, plan_push
from toolkit.sending import Pace
from toolkit.vendor import Sandbox

TOKEN = "the-right-token"


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    monkeypatch.setitem(CONTRACTS, "2026-04", replace(CONTRACTS["2026-04"], max_rows=10))
    monkeypatch.setattr(background_push, "_SHOWN_EVERY_S", 0.0)
    monkeypatch.setattr(background_push, "Pace", partial(Pace, connections=1, jitter=lambda: 0.0))
    with Sandbox(token=TOKEN) as sandbox:
        yield sandbox


@pytest.fixture
def settings(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("PEAK_AUTH_TOKEN", TOKEN)
    return Settings(base_url=sandbox.url, target="acme-test")


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
def plan(settings: Settings, customers) -> Callable[..., PushPlan]:
    def make(n: int = 40, **rows: Any) -> PushPlan:
        return plan_push(diff(Ledger.of(settings).snapshot(), customers(n, **rows)), settings=settings)

    return make

"""What the tests of sending share: `begin(3)` opens a push of three new customers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.sending import Push
from toolkit.config.settings import Settings
from toolkit.ledger.diffing import diff
from toolkit.model.schema import empty_frame
from toolkit.pushing.planning import plan_push


@pytest.fixture
def begin(tmp_path: Path, customers, clock) -> Callable[..., Push]:
    def start(n_rows: int, **options: object) -> Push:
        plan = plan_push(diff(empty_frame(), customers(n_rows)), settings=Settings(**options))
        return Push(tmp_path, plan, clock)

    return start

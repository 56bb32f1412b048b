"""A sandbox and an analyst who pushes to it, on one clock that moves only when somebody sleeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

import pandas as pd
import pytest

from tests.support.clocks import Clock
from toolkit.config.settings import Settings
from toolkit.errors import (
    StoppedError,
)
from toolkit.ledger.diffing import Diff, diff
from toolkit.ledger.ledger import Ledger
from toolkit.model.delivery import Customers, Delivery
from toolkit.pushing.history import push_report
from toolkit.pushing.planning import PushPlan, plan_push
from toolkit.pushing.report import PushReport
from toolkit.pushing.runs import abandon, push, resume
from toolkit.quality.patches import Patch, patch_between
from toolkit.sending.sender import Sender
from toolkit.tables.writing import cells_as_text
from toolkit.vendor.sandbox import Assumptions, Sandbox

KEY = ["customer_id", "updated_at"]


BAD = {"C00001", "C00004"}


class Died(BaseException):
    """The process ended here."""


@dataclass
class Place:
    """A sandbox and an analyst's settings for it, on one clock that moves only when somebody sleeps."""

    sandbox: Sandbox
    clock: Clock
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return Settings(**{"base_url": self.sandbox.url, **self.options})

    def plan(self, frame: Customers, **more: Any) -> PushPlan:
        return self.plan_of(diff(Ledger.of(self.settings).snapshot(), frame), **more)

    def plan_of(self, changes: Diff, **more: Any) -> PushPlan:
        return plan_push(changes, settings=self.settings, **{"allow": "all", **more})

    def push(self, plan: PushPlan | pd.DataFrame | Delivery, **more: Any) -> PushReport:
        made = self.plan(plan) if isinstance(plan, pd.DataFrame | Delivery) else plan
        options = {"pace": self.clock.pace, "progress": False, "schema_check": False, **more}
        return push(made, settings=self.settings, **options)

    def resume(self) -> PushReport:
        return resume(settings=self.settings, pace=self.clock.pace, progress=False, schema_check=False)

    def abandon(self) -> PushReport:
        return abandon(settings=self.settings, pace=self.clock.pace)

    def died(self, plan: PushPlan | pd.DataFrame | Delivery) -> PushReport:
        """Push, and die before the first request: the push stays open."""
        with patch.object(Sender, "run", side_effect=Died), pytest.raises(Died):
            self.push(plan)
        return push_report(settings=self.settings)

    def stopped(self, plan: PushPlan | pd.DataFrame | Delivery) -> PushReport:
        """Push, expecting a stop; returns the report that the error carries."""
        with pytest.raises(StoppedError) as error:
            self.push(plan)
        return error.value.report

    def require_agreement(self) -> None:
        """The ledger holds exactly the versions that the vendor's table holds, cell by cell."""
        held = Ledger.of(self.settings).snapshot().versions.to_pandas()
        pd.testing.assert_frame_equal(
            ordered(held), ordered(self.sandbox.table()), check_dtype=False, check_column_type=False
        )

    @property
    def table(self) -> set[str]:
        return set(self.sandbox.table()["customer_id"])

    @property
    def n_requests(self) -> int:
        return len(self.sandbox.requests())


def ordered(frame: pd.DataFrame) -> pd.DataFrame:
    columns = sorted(frame.columns)
    whole = frame[columns].sort_values(KEY).reset_index(drop=True)
    return whole.astype(object).where(whole.notna(), None)


def fates(report: PushReport) -> dict[str, int]:
    return {f: report.count(f) for f in ("accepted", "refused", "unknown", "unsent") if report.count(f)}


@contextmanager
def vendor(clock: Clock, *, contract: str = "2026-04", token: str = "sandbox", **assumed: Any) -> Iterator[Sandbox]:
    with Sandbox(
        contract=contract, token=token, assumptions=Assumptions(**assumed), clock=lambda: clock.now().timestamp()
    ) as sandbox:
        yield sandbox


def edited(report: PushReport, cells: dict[str, dict[str, Any]]) -> Patch:
    """The patch that an analyst makes who edits cells of a push, customer by customer."""
    rows = report.rows[list(report.origin.given)]
    before, after = cells_as_text(rows), cells_as_text(rows)
    for who, values in cells.items():
        for column, value in values.items():
            after.loc[after["customer_id"] == who, column] = value if value is None else str(value)
    return patch_between(replace(report.origin, frame=before), replace(report.origin, frame=after))


def refuse_bad(row: dict[str, Any]) -> str | None:
    return "no such price list" if row["customer_id"] in BAD else None


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt

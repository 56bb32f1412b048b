"""kill -9 at every step of a push and of a resume: the plan arrives whole, and nothing is sent twice without need."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from tests.clocks import Clock
from tests.faults import Recorder, Steps, watched
from toolkit.contract import CONTRACTS, CUSTOMER
from toolkit.diffing import diff
from toolkit.errors import NothingOpenError
from toolkit.ledger import Ledger
from toolkit.planning import PushPlan, plan_push
from toolkit.pushing import push, resume, status
from toolkit.settings import Settings

N_ROWS, ROWS_A_BATCH = 40, 4
REFUSED = "C00017"
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.test_killing", "tests.test_pushing"])


def small_batches() -> None:
    CONTRACTS["2026-04"] = replace(CONTRACTS["2026-04"], max_rows=ROWS_A_BATCH)


@dataclass
class Run:
    """A run of its own: a home, and a vendor that nobody else talks to."""

    name: str
    home: Path
    vendor: Recorder

    @property
    def settings(self) -> Settings:
        return Settings(base_url=f"{self.vendor.url}/{self.name}", home=self.home)

    def plan(self, frame: pd.DataFrame) -> PushPlan:
        return plan_push(diff(Ledger.of(self.settings).snapshot(), frame), settings=self.settings)

    def go(self, plan: PushPlan | None) -> None:
        """Push the plan, or resume where there is none."""
        options: dict[str, Any] = {"settings": self.settings, "pace": Clock().pace, "progress": False}
        resume(**options) if plan is None else push(plan, schema_check=False, **options)

    def die(self, plan: PushPlan | None, at: int) -> bool:
        """Do the same in a process that is killed at a step; False if it ended before."""
        child = PROCESSES.Process(target=work_and_die, args=(self.settings.base_url, self.home, plan, at))
        child.start()
        child.join(60)
        assert child.exitcode in (0, -signal.SIGKILL)
        return child.exitcode != 0

    def in_flight(self) -> set[str]:
        """Digests of the bodies whose attempt the journal began and did not end."""
        path = self.home / "targets" / "sandbox" / "journal.sqlite"
        if not path.exists():
            return set()
        with closing(sqlite3.connect(path)) as journal:
            try:
                return {d for (d,) in journal.execute("SELECT digest FROM attempt WHERE answered_at IS NULL")}
            except sqlite3.OperationalError:  # no table yet
                return set()

    def finish(self, plan: PushPlan) -> None:
        """What an analyst does: resume; where no push was opened, push."""
        try:
            self.go(None)
        except NothingOpenError:
            if status(settings=self.settings).pushes.empty:
                self.go(plan)

    def check(self, plan: PushPlan, in_flight: set[str]) -> None:
        taken = Counter(hashlib.sha256(body).hexdigest() for body in self.vendor.taken[self.name])
        assert set(taken) == {b.digest for b in plan.batches}  # to the byte
        again = {digest for digest, n in taken.items() if n > 1}
        assert again <= in_flight
        table = self.vendor.table(self.name)
        assert {customer_id for customer_id, _ in table} == set(plan.to_frame()["customer_id"]) - {REFUSED}
        held = Ledger.of(self.settings).snapshot().versions.to_pandas()
        held["updated_at"] = held["updated_at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        rows = held.astype(object).where(held.notna(), None)[list(CUSTOMER.names)].to_dict("records")
        assert sorted(rows, key=str) == sorted(table.values(), key=str)
        folder = Ledger.of(self.settings).folder
        entries = pa.table(DeltaTable(str(folder / "entries")).get_add_actions(flatten=True))
        assert sum(entries["num_records"].to_pylist()) == len(table)  # each version once
        assert len(Ledger.of(self.settings).deliveries()) == 1
        found = status(settings=self.settings).pushes
        assert found[["state", "rows", "accepted", "refused"]].to_numpy().tolist() == [["done", N_ROWS, N_ROWS - 1, 1]]


def kill(step: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def work_and_die(base_url: str, home: Path, plan: PushPlan | None, at: int) -> None:
    """Run in a process forked from one that has imported everything, and started nothing."""
    small_batches()
    with watched(Steps(kill, at=at)):
        Run(base_url.rsplit("/", 1)[-1], home, Address(base_url.rsplit("/", 1)[0])).go(plan)  # type: ignore[arg-type]


@dataclass
class Address:
    url: str


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    monkeypatch.setitem(CONTRACTS, "2026-04", CONTRACTS["2026-04"])
    small_batches()
    recorder = Recorder(refused=REFUSED)
    yield recorder
    recorder.stop()


def count_steps(vendor: Recorder, folder: Path, frame: pd.DataFrame, *, killed_at: int = 0) -> list[str]:
    """What a push, or the resume of one that was killed, does; step by step."""
    run = Run(f"count-{killed_at}", folder / f"count-{killed_at}", vendor)
    plan, steps = run.plan(frame), Steps(kill, at=0)
    if killed_at:
        assert run.die(plan, killed_at)
    with watched(steps):
        run.go(None if killed_at else plan)
    run.check(plan, {b.digest for b in plan.batches})
    return steps.names


SHARE = 24
"""One in so many steps is tried each time, the others by `make test-all`."""
SHARES = [pytest.param(n, marks=[pytest.mark.slow] if n else []) for n in range(SHARE)]


@pytest.mark.parametrize("share", SHARES)
def test_a_push_killed_at_any_step_arrives_whole_after_a_resume(vendor, tmp_path, customers, share: int) -> None:
    frame = customers(N_ROWS)
    names = count_steps(vendor, tmp_path, frame)
    assert len(names) > 300
    n_died = 0
    for at in range(1 + share, len(names) + 1, SHARE):
        run = Run(f"push-{at}", tmp_path / f"push-{at}", vendor)
        plan = run.plan(frame)
        n_died += run.die(plan, at)  # a run may take a few steps less than the one that was counted
        in_flight = run.in_flight()
        run.finish(plan)
        try:
            run.check(plan, in_flight)
        except AssertionError as error:
            error.add_note(f"killed at step {at}: {names[at - 1]}")
            raise
    assert n_died * SHARE > 300  # over all shares, so many distinct points

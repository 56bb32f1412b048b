"""kill -9 at every step of a push and of a resume: the plan arrives whole, and nothing is sent twice without need."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.support.clocks import Clock
from tests.support.faults import Recorder
from tests.support.killing import N_ROWS, REFUSED, ROWS_A_BATCH, Kill, Run
from toolkit.model.contract import Operation
from toolkit.pushing.planning import PushPlan
from toolkit.pushing.report import PushReport
from toolkit.pushing.settling import settle


@dataclass
class Death:
    """A push that was killed: what it left here and at the vendor, and the steps that its resume takes."""

    run: Run
    plan: PushPlan
    steps: list[str] = field(default_factory=list)

    def again(self, name: str, folder: Path, recorder: Recorder) -> Run:
        """The same death, to go on from once more."""
        home = Path(shutil.copytree(self.run.home, folder / name))
        recorder.taken[name] = list(self.run.vendor.taken[self.run.name])
        recorder.asked[name] = self.run.vendor.asked[self.run.name]
        return replace(
            self.run, name=name, home=home, vendor=recorder, left={**self.run.left}, deaths=[*self.run.deaths]
        )


Known = dict[str, Any]
"""What the shares of a matrix find out once for all of them."""


@pytest.fixture(scope="module")
def known() -> Known:
    return {}


def steps_of_push(
    known: Known, recorder: Recorder, folder: Path, frame: pd.DataFrame, operation: Operation = "UPSERT"
) -> list[str]:
    if operation not in known:
        run = Run(f"whole-{operation}", folder / f"whole-{operation}", recorder, operation)
        plan = run.plan(frame)
        known[operation] = run.steps(plan)
        run.check(plan)
    return known[operation]


FIRST = (
    Kill(1, only="ledger write, before"),  # of the delivery: nothing was sent yet
    Kill(12, only="net second half, after"),  # of the body with the refused row: its head is sent before it
    Kill(2, only="ledger write, before"),  # of the rows: all is answered
    Kill(2, only="ledger write, after"),
)
"""Where a push is killed whose resume is killed as well."""


def deaths(known: Known, recorder: Recorder, folder: Path, frame: pd.DataFrame) -> list[Death]:
    if "deaths" not in known:
        known["deaths"] = []
        for n, kill in enumerate(FIRST):
            run = Run(f"first-{n}", folder / f"first-{n}", recorder)
            death = Death(run, run.plan(frame))
            run.die(death.plan, kill)
            whole = death.again(f"whole-{n}", folder, recorder)
            death.steps = whole.steps(None)
            whole.check(death.plan)
            known["deaths"].append(death)
        in_flight = [list(death.run.left.values()) for death in known["deaths"]]
        assert in_flight == [[], [death.plan.batches[int(REFUSED[1:]) // ROWS_A_BATCH].digest], [], []]
    return known["deaths"]


@contextmanager
def killed(run: Run) -> Iterator[None]:
    """Say of a failure at which steps its process was killed."""
    try:
        yield
    except Exception as error:
        error.add_note(f"killed at {' and '.join(run.deaths)}")
        raise


SHARE = 160
"""One in so many steps is tried each time, the others by `make test-all`."""
SHARES = [pytest.param(n, marks=[pytest.mark.slow] if n else []) for n in range(SHARE)]


@pytest.mark.parametrize("share", SHARES)
def test_a_push_killed_at_any_step_arrives_whole_after_a_resume(
    recorder, known, tmp_path, customers, share: int
) -> None:
    frame = customers(N_ROWS)
    names = steps_of_push(known, recorder, tmp_path, frame)
    assert len(names) > 300
    for at in range(1 + share, len(names) + 1, SHARE):
        run = Run(f"push-{at}", tmp_path / f"push-{at}", recorder)
        plan = run.plan(frame)
        with killed(run):
            run.die(plan, Kill(at))
            run.finish(plan)
            run.check(plan)


@pytest.mark.parametrize("share", SHARES)
def test_a_resume_killed_at_any_step_is_resumed_again(recorder, known, tmp_path, customers, share: int) -> None:
    points = [
        (death, at)
        for death in deaths(known, recorder, tmp_path, customers(N_ROWS))
        for at in range(1, len(death.steps) + 1)
    ]
    assert len(points) > 600
    for death, at in points[share::SHARE]:
        run = death.again(f"{death.run.name}-{at}", tmp_path, recorder)
        with killed(run):
            run.die(None, Kill(at))
            run.finish(death.plan)
            run.check(death.plan)


def in_flight(run: Run, plan: PushPlan) -> set[str]:
    """The customers of the bodies in flight at a death."""
    batches = [b for b in plan.batches if b.digest in run.left.values()]
    return {c for b in batches for c in plan.rows["customer_id"][b.first : b.stop].to_pylist()}


def settled_by_looking(run: Run, plan: PushPlan, report: PushReport | None) -> None:
    """What was in flight is held, also by one more resume, until an analyst looks at the vendor's table."""
    assert report is not None
    n_asked = run.vendor.asked[run.name]
    for said in (report, run.go(None)):
        assert set(said.rows.loc[said.rows["fate"] == "unknown", "customer_id"]) == in_flight(run, plan)
        assert (said.state, said.n_unsent) == ("open", 0)
    assert run.vendor.asked[run.name] == n_asked
    arrived = in_flight(run, plan) & {customer_id for customer_id, _ in run.vendor.table(run.name)}
    looked: dict[str, Any] = {"reason": "looked", "settings": run.settings, "pace": Clock().pace}
    done = settle(report, accepted=arrived, refused=in_flight(run, plan) - arrived, **looked)
    assert (done.state, done.n_unknown, done.n_unsent) == ("done", 0, 0)


@pytest.mark.parametrize("share", SHARES[::5])  # its steps are those of an upsert: one in five will do
def test_an_append_killed_at_any_step_sends_nothing_twice(recorder, known, tmp_path, customers, share: int) -> None:
    frame = customers(N_ROWS)
    names = steps_of_push(known, recorder, tmp_path, frame, "APPEND")
    for at in range(1 + share, len(names) + 1, SHARE):
        run = Run(f"append-{at}", tmp_path / f"append-{at}", recorder, "APPEND")
        plan = run.plan(frame)
        with killed(run):
            run.die(plan, Kill(at))
            report = run.finish(plan)
            if run.left:
                settled_by_looking(run, plan, report)
            assert run.held() | {REFUSED} | in_flight(run, plan) == set(frame["customer_id"])
            run.go(run.plan(frame))  # what did not arrive, and once more the refused row
            assert run.held() == set(frame["customer_id"]) - {REFUSED}
            rows = (row["customer_id"] for body in recorder.taken[run.name] for row in json.loads(body)["data"])
            assert {n for customer_id, n in Counter(rows).items() if customer_id != REFUSED} == {1}

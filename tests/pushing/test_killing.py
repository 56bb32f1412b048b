"""kill -9 at every step of a push and of a resume: the plan arrives whole, and nothing is sent twice without need."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from tests.support.clocks import Clock
from tests.support.faults import Recorder, Steps, watched
from toolkit.config.settings import Settings
from toolkit.errors import NothingOpenError
from toolkit.ledger.diffing import diff
from toolkit.ledger.ledger import Ledger
from toolkit.model.contract import CONTRACTS, CUSTOMER, Operation
from toolkit.pushing.planning import PushPlan, plan_push
from toolkit.pushing.report import PushReport
from toolkit.pushing.runs import push, resume, status
from toolkit.pushing.settling import settle

N_ROWS, ROWS_A_BATCH = 40, 4
REFUSED = "C00017"
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.test_killing", "tests.test_pushing"])


def small_batches() -> None:
    CONTRACTS["2026-04"] = replace(CONTRACTS["2026-04"], max_rows=ROWS_A_BATCH)


@dataclass(frozen=True)
class Kill:
    """At which step a process is killed: the n-th, or the n-th of this name."""

    at: int = 0
    only: str = ""


@dataclass
class Run:
    """A run of its own: a home, and a vendor that nobody else talks to.

    `left` holds each attempt that a death left without an answer, by its number: the digest of its body.
    """

    name: str
    home: Path
    vendor: Recorder
    operation: Operation = "UPSERT"
    left: dict[int, str] = field(default_factory=dict)
    deaths: list[str] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        return Settings(base_url=f"{self.vendor.url}/{self.name}", home=self.home, operation=self.operation)

    def plan(self, frame: pd.DataFrame) -> PushPlan:
        return plan_push(diff(Ledger.of(self.settings).snapshot(), frame), settings=self.settings)

    def go(self, plan: PushPlan | None) -> PushReport:
        """Push the plan, or resume where there is none."""
        options: dict[str, Any] = {"settings": self.settings, "pace": Clock().pace, "progress": False}
        return resume(**options) if plan is None else push(plan, schema_check=False, **options)

    def steps(self, plan: PushPlan | None, kill: Kill | None = None) -> list[str]:
        """Do the same in a process of its own; returns its steps, or the one at which it was killed."""
        heard, says = PROCESSES.Pipe(duplex=False)
        where = self.name, self.home, Address(self.vendor.url), self.operation
        child = PROCESSES.Process(target=work_and_die, args=(where, plan, kill or Kill(), says))
        child.start()
        says.close()
        child.join(60)
        assert child.exitcode in (0, -signal.SIGKILL)
        return heard.recv()

    def die(self, plan: PushPlan | None, kill: Kill) -> None:
        """Be killed at a step, and look at what that left."""
        (step,) = self.steps(plan, kill)
        self.vendor.come_to_rest()
        begun = {n: digest for n, digest in self._unanswered().items() if n not in self.left}
        assert len(begun) <= 1  # over one connection
        self.left |= begun
        self.deaths.append(f"{step} ({kill.at})")

    def _unanswered(self) -> dict[int, str]:
        """Attempts that the journal began and did not end; of a copy, for a look alone would mend the file."""
        with tempfile.TemporaryDirectory() as folder:
            for part in (self.home / "targets" / "sandbox").glob("journal.sqlite*"):
                shutil.copy(part, folder)
            with closing(sqlite3.connect(Path(folder, "journal.sqlite"))) as journal:
                if not journal.execute("SELECT 1 FROM sqlite_master WHERE name = 'attempt'").fetchone():
                    return {}
                return dict(journal.execute("SELECT id, digest FROM attempt WHERE answered_at IS NULL"))

    def finish(self, plan: PushPlan) -> PushReport | None:
        """What an analyst does: resume; where no push was opened, push. None where all was done."""
        try:
            return self.go(None)
        except NothingOpenError:
            return self.go(plan) if status(settings=self.settings).pushes.empty else None

    def check(self, plan: PushPlan) -> None:
        """All arrived, and a body more than once only if a death had it in flight, once for each."""
        taken = Counter(hashlib.sha256(body).hexdigest() for body in self.vendor.taken[self.name])
        assert set(taken) == {b.digest for b in plan.batches}  # to the byte
        assert taken - Counter(self.left.values()) <= Counter(set(taken))
        assert self.held() == set(plan.to_frame()["customer_id"]) - {REFUSED}
        assert len(Ledger.of(self.settings).deliveries()) == 1
        found = status(settings=self.settings).pushes
        assert found[["state", "rows", "accepted", "refused"]].to_numpy().tolist() == [["done", N_ROWS, N_ROWS - 1, 1]]

    def held(self) -> set[str]:
        """The customers that the vendor's table holds: as the ledger does, each version once."""
        table = self.vendor.table(self.name)
        held = Ledger.of(self.settings).snapshot().versions.to_pandas()
        held["updated_at"] = held["updated_at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        rows = held.astype(object).where(held.notna(), None)[list(CUSTOMER.names)].to_dict("records")
        assert sorted(rows, key=str) == sorted(table.values(), key=str)
        folder = Ledger.of(self.settings).folder / "entries"
        entries = pa.table(DeltaTable(str(folder)).get_add_actions(flatten=True)) if folder.exists() else None
        assert (sum(entries["num_records"].to_pylist()) if entries else 0) == len(table)
        return {customer_id for customer_id, _ in table}


@dataclass
class Address:
    """The vendor, as far as another process needs it."""

    url: str


def work_and_die(where: tuple[Any, ...], plan: PushPlan | None, kill: Kill, says: Connection) -> None:
    """Run in a process forked from one that has imported everything, and started nothing."""

    def die(step: str) -> None:
        says.send([step])
        os.kill(os.getpid(), signal.SIGKILL)

    small_batches()
    steps = Steps(die, at=kill.at, only=kill.only)
    with watched(steps):
        Run(*where).go(plan)
    says.send(steps.names)


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    monkeypatch.setitem(CONTRACTS, "2026-04", CONTRACTS["2026-04"])
    small_batches()
    recorder = Recorder(refused=REFUSED)
    yield recorder
    recorder.stop()


@dataclass
class Death:
    """A push that was killed: what it left here and at the vendor, and the steps that its resume takes."""

    run: Run
    plan: PushPlan
    steps: list[str] = field(default_factory=list)

    def again(self, name: str, folder: Path, vendor: Recorder) -> Run:
        """The same death, to go on from once more."""
        home = Path(shutil.copytree(self.run.home, folder / name))
        vendor.taken[name] = list(self.run.vendor.taken[self.run.name])
        vendor.asked[name] = self.run.vendor.asked[self.run.name]
        return replace(self.run, name=name, home=home, vendor=vendor, left={**self.run.left}, deaths=[*self.run.deaths])


Known = dict[str, Any]
"""What the shares of a matrix find out once for all of them."""


@pytest.fixture(scope="module")
def known() -> Known:
    return {}


def steps_of_push(
    known: Known, vendor: Recorder, folder: Path, frame: pd.DataFrame, operation: Operation = "UPSERT"
) -> list[str]:
    if operation not in known:
        run = Run(f"whole-{operation}", folder / f"whole-{operation}", vendor, operation)
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


def deaths(known: Known, vendor: Recorder, folder: Path, frame: pd.DataFrame) -> list[Death]:
    if "deaths" not in known:
        known["deaths"] = []
        for n, kill in enumerate(FIRST):
            run = Run(f"first-{n}", folder / f"first-{n}", vendor)
            death = Death(run, run.plan(frame))
            run.die(death.plan, kill)
            whole = death.again(f"whole-{n}", folder, vendor)
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


SHARE = 80
"""One in so many steps is tried each time, the others by `make test-all`."""
SHARES = [pytest.param(n, marks=[pytest.mark.slow] if n else []) for n in range(SHARE)]


@pytest.mark.parametrize("share", SHARES)
def test_a_push_killed_at_any_step_arrives_whole_after_a_resume(vendor, known, tmp_path, customers, share: int) -> None:
    frame = customers(N_ROWS)
    names = steps_of_push(known, vendor, tmp_path, frame)
    assert len(names) > 300
    for at in range(1 + share, len(names) + 1, SHARE):
        run = Run(f"push-{at}", tmp_path / f"push-{at}", vendor)
        plan = run.plan(frame)
        with killed(run):
            run.die(plan, Kill(at))
            run.finish(plan)
            run.check(plan)


@pytest.mark.parametrize("share", SHARES)
def test_a_resume_killed_at_any_step_is_resumed_again(vendor, known, tmp_path, customers, share: int) -> None:
    points = [
        (death, at)
        for death in deaths(known, vendor, tmp_path, customers(N_ROWS))
        for at in range(1, len(death.steps) + 1)
    ]
    assert len(points) > 600
    for death, at in points[share::SHARE]:
        run = death.again(f"{death.run.name}-{at}", tmp_path, vendor)
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
def test_an_append_killed_at_any_step_sends_nothing_twice(vendor, known, tmp_path, customers, share: int) -> None:
    frame = customers(N_ROWS)
    names = steps_of_push(known, vendor, tmp_path, frame, "APPEND")
    for at in range(1 + share, len(names) + 1, SHARE):
        run = Run(f"append-{at}", tmp_path / f"append-{at}", vendor, "APPEND")
        plan = run.plan(frame)
        with killed(run):
            run.die(plan, Kill(at))
            report = run.finish(plan)
            if run.left:
                settled_by_looking(run, plan, report)
            assert run.held() | {REFUSED} | in_flight(run, plan) == set(frame["customer_id"])
            run.go(run.plan(frame))  # what did not arrive, and once more the refused row
            assert run.held() == set(frame["customer_id"]) - {REFUSED}
            rows = (row["customer_id"] for body in vendor.taken[run.name] for row in json.loads(body)["data"])
            assert {n for customer_id, n in Counter(rows).items() if customer_id != REFUSED} == {1}

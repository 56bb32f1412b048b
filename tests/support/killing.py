"""Pushes in processes of their own, which are killed at a step, as `kill -9` does."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import signal
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from deltalake import DeltaTable

from tests.support.clocks import Clock
from tests.support.faults import Recorder, Steps, watched
from tests.support.place import Place
from toolkit.config.settings import Settings
from toolkit.errors import NothingOpenError
from toolkit.ledger.diffing import diff
from toolkit.ledger.ledger import Ledger
from toolkit.model.contract import CONTRACTS, CUSTOMER, Operation
from toolkit.pushing.history import status
from toolkit.pushing.planning import PushPlan, plan_push
from toolkit.pushing.report import PushReport
from toolkit.pushing.runs import push, resume
from toolkit.sending.journal import Journal
from toolkit.sending.sender import Connections

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.support.killing"])  # so that a process need not import pandas first

N_ROWS, ROWS_A_BATCH = 40, 4


REFUSED = "C00017"


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
        options["schema_check"] = False
        return resume(**options) if plan is None else push(plan, **options)

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


# Where a push is killed: a method, at which call of it, and whether before or after its work.
DEATHS = {
    "before anything is sent": (Journal, "begin", 1, False),
    "before an attempt of the second batch": (Journal, "begin", 2, False),
    "with the second batch in flight": (Connections, "start", 2, False),
    "with an answer that was not written down": (Journal, "end", 2, False),
    "after the last answer, before the ledger": (Ledger, "record", 1, False),
    "after the ledger, before the close": (Ledger, "record", 1, True),
}


def push_and_die(death: str, plan: PushPlan, options: dict[str, Any]) -> None:
    """Run in a process of its own, which is killed as `kill -9` does."""
    owner, name, call, after = DEATHS[death]
    whole, calls = getattr(owner, name), []

    def deadly(*args: Any, **more: Any) -> Any:
        calls.append(name)
        if len(calls) == call and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = whole(*args, **more)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, deadly)
    push(plan, settings=Settings(**options), pace=Clock().pace, progress=False, schema_check=False)


def kill_a_push(place: Place, death: str, plan: PushPlan) -> None:
    options = {"base_url": place.sandbox.url, "home": place.settings.home, **place.options}
    child = PROCESSES.Process(target=push_and_die, args=(death, plan, options))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL

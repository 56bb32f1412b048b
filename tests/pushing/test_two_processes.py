"""Two processes that send to one target at once share its rate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Barrier
from pathlib import Path

from tests.support.faults import Recorder
from tests.support.killing import PROCESSES
from toolkit.config.settings import Settings
from toolkit.ledger.diffing import diff
from toolkit.model.contract import CONTRACTS, CURRENT
from toolkit.model.schema import empty_frame
from toolkit.pushing.planning import PushPlan, plan_push
from toolkit.pushing.runs import dry_run, push
from toolkit.sending.pacing import Limiter, Pace

SMALL = replace(CURRENT, max_rows=2)
N_REQUESTS = 70
MEET_AT = (3, 30, 50)


class SharedClock:
    """One clock for all processes: it moves only where one of them sleeps. Notes when each start was due.

    It stands still for a process that waits for its start: else the other may move it past that start, which then is
    late, and needs no sleep by which it could be noted.
    """

    def __init__(self, seconds: Synchronized[float], meeting: Barrier) -> None:
        self._seconds, self._meeting = seconds, meeting
        self._read, self._stands = 0.0, False
        self.due: list[float] = []

    def clock(self) -> float:
        if not self._stands:
            self._read = self._seconds.value
        return self._read

    def sleep(self, seconds: float) -> None:
        self._read = self.clock() + seconds
        with self._seconds.get_lock():
            self._seconds.value = max(self._seconds.value, self._read)

    def start(self, wait: Callable[[int], None], n: int) -> None:
        self.clock()
        self._stands = True
        wait(n)
        self._stands = False
        self.due.append(self._read)
        if len(self.due) in MEET_AT:  # neither runs ahead of the other
            self._meeting.wait(60)


@dataclass(frozen=True, kw_only=True)
class NotedPace(Pace):
    """A pace whose starts the shared clock notes."""

    shared: SharedClock

    def limiter(self, per_s: float, folder: Path) -> Limiter:
        limiter = super().limiter(per_s, folder)
        limiter.wait = partial(self.shared.start, limiter.wait)
        return limiter


def send(kind: str, plan: PushPlan, settings: Settings, seconds: Synchronized[float], meeting: Barrier, says) -> None:
    CONTRACTS[CURRENT.name] = SMALL
    shared = SharedClock(seconds, meeting)
    pace = NotedPace(clock=shared.clock, sleep=shared.sleep, jitter=lambda: 0.0, connections=1, shared=shared)
    more = {"settings": settings, "pace": pace, "progress": False}
    report = push(plan, schema_check=False, **more) if kind == "push" else dry_run(plan, **more)
    says.send((kind, report.counts["accepted"], shared.due))


def test_a_push_and_a_dry_run_at_once_keep_to_one_rate(tmp_path: Path, customers, monkeypatch) -> None:
    monkeypatch.setitem(CONTRACTS, CURRENT.name, SMALL)
    vendor = Recorder()
    settings = Settings(base_url=f"{vendor.url}/both", home=tmp_path / "home", contract=CURRENT.name)
    plan = plan_push(diff(empty_frame(), customers(N_REQUESTS * SMALL.max_rows)), settings=settings)
    assert plan.n_batches == N_REQUESTS
    seconds, meeting, pipes = PROCESSES.Value("d", 0.0), PROCESSES.Barrier(2), []
    children = []
    for kind in ("push", "dry run"):
        heard, says = PROCESSES.Pipe(duplex=False)
        pipes.append(heard)
        children.append(PROCESSES.Process(target=send, args=(kind, plan, settings, seconds, meeting, says)))
        children[-1].start()
        says.close()
    heard = [pipe.recv() for pipe in pipes]
    for child in children:
        child.join(60)
    vendor.stop()
    assert [(kind, n) for kind, n, _ in heard] == [(k, plan.n_rows) for k in ("push", "dry run")]
    assert len(vendor.taken["both"]) == 2 * N_REQUESTS  # what it was too busy for is sent again
    ours, theirs = (due for *_, due in heard)
    assert max(ours[0], theirs[0]) < min(ours[-1], theirs[-1])  # at once
    due = sorted(ours + theirs)
    assert len(due) >= 2 * N_REQUESTS
    assert all(later - earlier >= 1 for earlier, later in zip(due, due[50:], strict=False))

"""A push against a vendor that is a function from rows to answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from toolkit.errors import StoppedError
from toolkit.pushing.planning import PushPlan
from toolkit.pushing.report import PushReport, report_of
from toolkit.sending.journal import Journal
from toolkit.sending.records import PushRecord
from toolkit.sending.sender import Sender
from toolkit.vendor.answers import Answer

Vendor = Callable[[list[dict]], Answer]
LOST = Answer(None, left=True, problem="broke the connection")
NEVER_LEFT = Answer(None, left=False, problem="cannot be reached")


def ok(**more: object) -> Answer:
    return Answer(200, json.dumps(more).encode())


class Fake:
    """A client whose vendor is a function; keeps each body, and the table that an UPSERT vendor would hold."""

    host, url = "vendor.test", "https://vendor.test/api"

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.bodies: list[bytes] = []
        self.sizes: list[int] = []

    def send(self, body: bytes) -> Answer:
        rows = json.loads(body)["data"]
        self.bodies.append(body)
        self.sizes.append(len(rows))
        return self.vendor(rows)


class Push:
    """An open push of a plan, sent as often as a test likes."""

    def __init__(self, folder: Path, plan: PushPlan, clock) -> None:
        self.journal = Journal(folder, plan.target, clock=clock.now)
        self.clock, self.plan = clock, plan
        self.record: PushRecord = self.journal.open_push(plan.new_push())

    def send(self, vendor: Vendor) -> Fake:
        client = Fake(vendor)
        self.error = self.run(client)
        return client

    def run(self, client: Any) -> StoppedError | None:
        """Send what waits over this client; returns what stopped it."""
        push, envelope = self.journal.load(self.record.id), self.plan.envelope
        try:
            Sender(self.journal, push, client, envelope, self.clock.pace, progress=False).run()
        except StoppedError as error:
            return error
        return None

    @property
    def report(self) -> PushReport:
        return report_of(self.journal.load(self.record.id))

    @property
    def fates(self) -> dict[str, int]:
        report = self.report
        return {f: report.count(f) for f in ("accepted", "refused", "unknown", "unsent") if report.count(f)}


def script(*answers: Answer) -> Vendor:
    waiting: Iterator[Answer] = iter(answers)
    return lambda rows: next(waiting, ok())

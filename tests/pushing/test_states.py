"""Edits, pushes, crashes, outages, refusals, a colleague, reverts, in any order, against a model of the vendor."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.support.clocks import Clock
from tests.support.place import Place, vendor
from toolkit.errors import NothingOpenError, OpenPushError, StoppedError
from toolkit.ledger.delta import Table
from toolkit.ledger.ledger import Ledger
from toolkit.model.contract import CONTRACTS
from toolkit.pushing.planning import PushPlan
from toolkit.pushing.report import PushReport
from toolkit.pushing.repushing import plan_correction, repush, revert
from toolkit.sending.journal import Journal
from toolkit.sending.records import FATES
from toolkit.vendor.sandbox import DROPPED, Reply

IDS = [f"C{i}" for i in range(6)]
START = pd.Timestamp("2026-01-01T00:00:00Z")
Key = tuple[str, pd.Timestamp]

TROUBLES: dict[str, list[Any]] = {
    "none": [],
    "outage": [Reply(401)],
    "busy": [Reply(503), Reply(429)],
    "torn": [(True, Reply(502, b"<html>")), (True, DROPPED)],
    "taken, and never said": [(True, DROPPED)] * 30,
    "lost on the way": [DROPPED] * 30,
}
troubles = st.tuples(st.sampled_from(sorted(TROUBLES)), st.integers(0, 3))
crashes = st.tuples(st.sampled_from(["begin", "end", "record"]), st.integers(1, 3), st.booleans())
people = st.sampled_from(["me", "colleague"])
some_ids = st.sets(st.sampled_from(IDS), max_size=3)


class Crash(BaseException):
    """The process dies: nothing after it is written, whatever a `finally` tries."""


@contextlib.contextmanager
def dying(at: tuple[str, int, bool] | None) -> Iterator[None]:
    """Die at the n-th call of a method, before or after its work."""
    if at is None:
        yield
        return
    name, call, after = at
    owner = Ledger if name == "record" else Journal
    whole, calls, dead = getattr(owner, name), [], []

    def deadly(*args: Any, **more: Any) -> Any:
        calls.append(name)
        if len(calls) == call and not after:
            dead.append(True)
        if dead:
            raise Crash
        result = whole(*args, **more)
        if len(calls) == call:
            dead.append(True)
            raise Crash
        return result

    def silenced(write: Callable[..., Any]) -> Callable[..., Any]:
        def do(*args: Any, **more: Any) -> Any:
            if dead:
                raise Crash
            return write(*args, **more)

        return do

    with (
        patch.object(Journal, "together", silenced(Journal.together)),
        patch.object(Table, "append", silenced(Table.append)),
        patch.object(owner, name, deadly),
    ):
        yield


class Traffic(RuleBasedStateMachine):
    """Two analysts with a machine each, one ledger, one vendor; the model is what their reports say was accepted."""

    moved = False  # whether anything was sent since the last look

    @initialize()
    def begin(self) -> None:
        self.stack = contextlib.ExitStack()
        folder = Path(tempfile.mkdtemp(prefix="states-"))
        self.stack.callback(shutil.rmtree, folder, ignore_errors=True)
        # Two rows a request, so that a push has several; the vendor's own limits are wider.
        self.stack.enter_context(patch.dict(CONTRACTS, {"2026-04": replace(CONTRACTS["2026-04"], max_rows=2)}))
        self.clock = Clock()
        self.sandbox = self.stack.enter_context(vendor(self.clock))
        options = {"ledger": folder / "shared"}
        self.places = {
            who: Place(self.sandbox, self.clock, {**options, "home": folder / who}) for who in ("me", "colleague")
        }
        self.ledger = Ledger.of(self.places["me"].settings)
        self.file: dict[str, tuple[pd.Timestamp, str]] = {}
        self.days = 0
        self.model: dict[Key, str] = {}
        self.pushes: dict[str, dict[Key, str]] = {}  # what each push brought in
        self.mine: dict[str, str] = {}  # whose push it is
        self.open: dict[str, str] = {}  # who has an open push, and its name
        self.crashed: set[str] = set()
        self.edit({"C0", "C1", "C2"}, "first")

    def teardown(self) -> None:
        for who in list(getattr(self, "open", ())):  # a quiet end: whatever is open is resumed, and both sides agree
            self.resume(who, ("none", 0), set(), None)
            assert who not in self.open
        self.the_ledger_explains_every_row_of_the_vendor()
        if hasattr(self, "stack"):
            if not self.waiting_to_be_known():
                self.places["me"].require_agreement()
            self.stack.close()

    @rule(ids=some_ids, name=st.sampled_from("abc"))
    def edit(self, ids: set[str], name: str) -> None:
        self.days += 1
        self.file |= {who: (START + pd.Timedelta(days=self.days), name) for who in ids}

    @rule(who=people, trouble=troubles, refused=some_ids, crash=st.none() | crashes)
    def push(self, who: str, trouble: tuple[str, int], refused: set[str], crash: Any) -> None:
        place = self.places[who]
        plan = place.plan(self.frame())
        if who in self.open:
            with pytest.raises(OpenPushError):
                place.push(plan)
            return
        self.make_way(who, lambda: place.push(plan), refused_by=self.claims(who) if plan.n_rows else [])
        waiting = {(c, t): n for c, (t, n) in self.file.items() if self.model.get((c, t)) is None}
        held = {c: max(t for c2, t in self.model if c2 == c) for c, _ in self.model}
        last = {c: self.model[c, t] for c, t in held.items()}
        expected = {k for k, n in waiting.items() if k[0] not in held or (k[1] > held[k[0]] and n != last[k[0]])}
        if not self.crashed:
            assert set(keyed(plan.to_frame())) == expected  # what the vendor has not, and no more
        taken = self.table()
        report = self.run(who, lambda: place.push(plan), trouble, refused, crash)
        if report is not None and trouble[0] in ("none", "busy", "torn"):
            assert {k[0] for k in keyed(report.rows[report.rows["fate"] == "refused"])} == {
                key[0] for key in keyed(plan.to_frame()) if key[0] in refused and key not in taken
            }
            assert report.state == "done"

    @precondition(lambda self: self.open)
    @rule(who=people, trouble=troubles, refused=some_ids, crash=st.none() | crashes)
    def resume(self, who: str, trouble: tuple[str, int], refused: set[str], crash: Any) -> None:
        place = self.places[who]
        if who not in self.open:
            with pytest.raises(NothingOpenError):
                place.resume()
            return
        with self.journal(who) as journal:
            since = pd.Timestamp(journal.require_open().opened_at)
        self.make_way(who, place.resume, refused_by=[c for c in self.claims(who) if c["since"] > since])
        self.run(who, place.resume, trouble, refused, crash)

    @precondition(lambda self: self.open)
    @rule(who=people)
    def abandon(self, who: str) -> None:
        if who in self.open:
            self.run(who, self.places[who].abandon, ("none", 0), set(), None)

    @precondition(lambda self: self.pushes and not self.open)
    @rule(who=people, data=st.data(), trouble=troubles)
    def revert(self, who: str, data: st.DataObject, trouble: tuple[str, int]) -> None:
        name = data.draw(st.sampled_from(list(self.pushes)))
        if not self.pushes[name]:
            return
        theirs, before = self.pushes[name], {}
        for (c, t), n in sorted(self.model.items()):
            if (c, t) not in theirs:
                before[c] = n
        done = revert(name, settings=self.places[who].settings, now=self.now())
        sent = set(done.to_frame()["customer_id"])
        assert sent | set(done.not_sent["customer_id"]) == {c for c, _ in theirs}
        if self.send(who, done, trouble):
            assert {c: n for c, n in self.shown().items() if c in sent} == {c: before[c] for c in sent}

    @precondition(lambda self: self.model and not self.open)
    @rule(who=people, data=st.data(), name=st.sampled_from("abc"), trouble=troubles)
    def correct(self, who: str, data: st.DataObject, name: str, trouble: tuple[str, int]) -> None:
        customer = data.draw(st.sampled_from(sorted({c for c, _ in self.model})))
        cells = {customer: {"customer_name": name}}
        done = plan_correction(cells, reason="by hand", settings=self.places[who].settings, now=self.now())
        assert done.n_rows == (self.shown_by_model()[customer] != name)
        if self.send(who, done, trouble):
            assert self.shown()[customer] == name

    @precondition(lambda self: self.mine and not self.open)
    @rule(data=st.data(), trouble=troubles)
    def repush(self, data: st.DataObject, trouble: tuple[str, int]) -> None:
        name = data.draw(st.sampled_from(list(self.mine)))
        who = self.mine[name]
        done = repush(name, settings=self.places[who].settings)
        assert not set(keyed(done.to_frame())) & set(self.model)  # nothing twice
        self.send(who, done, trouble)

    @invariant()
    def the_ledger_explains_every_row_of_the_vendor(self) -> None:
        if not self.moved:
            return
        self.moved = False
        held, table = keyed(Ledger.versions(self.ledger).to_pandas()), self.table()
        assert held.items() <= table.items()  # nothing that the vendor has not, or has otherwise
        if not self.crashed:
            assert held == self.model
        unexplained = table.keys() - held.keys()
        if unexplained:
            assert unexplained <= self.waiting_to_be_known()
        entries = self.ledger.query("SELECT count(*) AS n, count(DISTINCT (push, position)) AS once FROM entries")
        assert entries["n"] == entries["once"]

    def claims(self, who: str) -> list[dict[str, Any]]:
        """The claims of the other one on the ledger."""
        return [claim for claim in self.ledger.claims.open() if claim["push"] != self.open.get(who)]

    def make_way(self, who: str, verb: Callable[[], Any], *, refused_by: list[dict[str, Any]]) -> None:
        """Be refused beside the other's push, and release it, as one would of a machine that is lost."""
        if refused_by:
            with pytest.raises(OpenPushError, match=refused_by[0]["push"]):
                verb()
        for claim in refused_by:
            self.ledger.claims.release(claim["push"], reason="the machine is lost")

    def send(self, who: str, done: PushPlan, trouble: tuple[str, int]) -> bool:
        """Push, and return whether all of it went; a push of which nothing was taken closes by itself."""
        report = self.run(who, lambda: self.places[who].push(done), trouble, set(), None)
        return who not in self.open and report is not None and report.counts["accepted"] == report.n_rows

    def run(
        self, who: str, verb: Callable[[], PushReport], trouble: tuple[str, int], refused: set[str], crash: Any
    ) -> PushReport | None:
        self.moved = True
        kind, after = trouble
        self.sandbox.vendor.troubles.extend([None] * after + TROUBLES[kind])
        taken = self.table()  # what it took, and perhaps never answered, it does not refuse later

        def refuse(row: dict[str, Any]) -> str | None:
            known = (row["customer_id"], pd.Timestamp(row["updated_at"])) in taken
            return "not this one" if row["customer_id"] in refused and not known else None

        self.sandbox.vendor.refuse = refuse
        report: PushReport | None = None
        try:
            with dying(crash):
                report = verb()
        except StoppedError as stop:
            report = stop.report
        except Crash:
            self.crashed.add(who)
        finally:
            self.sandbox.vendor.troubles.clear()
        self.open.pop(who, None)
        with self.journal(who) as journal:
            record = journal.open_record()
            if record is not None:
                self.open[who] = record.id
            elif report is None and (closed := journal.pushes()):  # it died at its very end
                self.absorb(who, closed[0].id, accepted(journal, closed[0].id))
                self.crashed.discard(who)
        if report is not None:
            assert sum(report.counts.values()) == report.n_rows
            assert (report.state == "open") == (who in self.open)
            self.absorb(who, report.push, keyed(report.rows[report.rows["fate"] == "accepted"]))
            self.crashed.discard(who)
        return report

    def absorb(self, who: str, push: str, rows: dict[Key, str]) -> None:
        if not self.crashed:  # who knows all that was accepted sends nothing of it again
            assert not (rows.keys() - self.pushes.get(push, {}).keys()) & self.model.keys()
        self.mine[push] = who
        self.pushes[push] = rows
        self.model |= rows

    def waiting_to_be_known(self) -> set[Key]:
        """The rows that left without an answer, and those that a crash kept out of the ledger."""
        found: set[Key] = set()
        for who in self.places:
            with self.journal(who) as journal:
                for record in journal.pushes():
                    kinds = ("unknown", "accepted") if who in self.crashed else ("unknown",)
                    found |= set(accepted(journal, record.id, kinds))
        return found

    @contextlib.contextmanager
    def journal(self, who: str) -> Iterator[Journal]:
        chosen = self.places[who].settings
        with Journal(chosen.target_folder(), chosen.target, clock=self.clock.now) as journal:
            yield journal

    def frame(self) -> pd.DataFrame:
        rows = [(c, t, n, None, None, None, "customer") for c, (t, n) in sorted(self.file.items())]
        names = ["customer_id", "updated_at", "customer_name", "customer_category", "customer_subcategory",
                 "customer_price_list_id", "source"]  # fmt: skip
        frame = pd.DataFrame(rows, columns=names, index=pd.RangeIndex(2, len(rows) + 2, name="source_row"))
        text = {c: "str" for c in names if c != "updated_at"}
        return frame.astype(text | {"updated_at": "datetime64[us, UTC]"})

    def now(self) -> datetime:
        self.days += 1
        return (START + timedelta(days=self.days)).to_pydatetime()

    def table(self) -> dict[Key, str]:
        frame = self.sandbox.table()
        return keyed(frame.assign(updated_at=pd.to_datetime(frame["updated_at"], utc=True, format="ISO8601")))

    def shown(self) -> dict[str, str]:
        return {c: n for (c, _), n in sorted(self.table().items())}

    def shown_by_model(self) -> dict[str, str]:
        return {c: n for (c, _), n in sorted(self.model.items())}


def keyed(frame: pd.DataFrame) -> dict[Key, str]:
    times = pd.to_datetime(frame["updated_at"], utc=True)
    return dict(zip(zip(frame["customer_id"], times, strict=True), frame["customer_name"], strict=True))


def accepted(journal: Journal, push: str, kinds: tuple[str, ...] = ("accepted",)) -> dict[Key, str]:
    loaded = journal.load(push)
    rows, fates = loaded.rows.to_pandas(), loaded.fates
    return keyed(rows.loc[pd.Index([FATES[f] for f in fates], dtype=str).isin(kinds)])


# A step is a real push, so that to shrink a failure takes minutes: that is left to who looks for its cause.
BOUNDED = settings(
    max_examples=8, stateful_step_count=8, phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck), deadline=None,
)  # fmt: skip


def test_the_vendors_table_is_what_was_accepted_and_the_ledger_explains_it() -> None:
    run_state_machine_as_test(Traffic, settings=BOUNDED)


@pytest.mark.slow
def test_both_sides_agree_after_long_runs() -> None:
    run_state_machine_as_test(Traffic, settings=settings(BOUNDED, max_examples=60, stateful_step_count=25))

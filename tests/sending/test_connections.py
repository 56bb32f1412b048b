"""A push over several connections: no body leaves before its attempt is entered, and every stop keeps the answers."""

from __future__ import annotations

import hashlib
import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.clocks import Clock
from tests.support.sending import LOST, Fake, Push, ok
from toolkit.config.settings import Settings
from toolkit.errors import AuthorizationError, JournalError, StoppedError, UnreachableError
from toolkit.ledger.diffing import diff
from toolkit.model.schema import empty_frame
from toolkit.pushing.planning import plan_push
from toolkit.sending.sender import Sender
from toolkit.vendor.answers import Answer

Begin = Callable[..., Push]


def send(push: Push, vendor: Callable[[list[dict]], Answer], *, connections: int = 4, **pace) -> Fake:
    client = Fake(vendor)
    paced = replace(push.clock.pace, connections=connections, **pace)
    push.error = None
    try:
        Sender(push.journal, push.journal.load(push.record.id), client, push.plan.envelope, paced, progress=False).run()
    except StoppedError as error:
        push.error = error
    return client


def test_several_connections_send_every_batch_once_and_wait_for_the_first_answer(begin: Begin) -> None:
    push = begin(5_200)
    under_way, most, first = Counter(), Counter(), threading.Event()
    together = threading.Barrier(4)

    def vendor(rows: list[dict]) -> Answer:
        under_way["now"] += 1
        most["now"] = max(most["now"], under_way["now"])
        if first.is_set() and under_way["sent"] < 4:
            under_way["sent"] += 1
            together.wait(timeout=20)  # four are under way at once, or this breaks
        elif not first.is_set():
            assert most["now"] == 1  # no other follows before the first answer
            first.set()
        under_way["now"] -= 1
        return ok()

    client = send(push, vendor)
    assert push.fates == {"accepted": 5_200}
    assert sorted(client.sizes) == [200] + [500] * 10


def test_no_body_leaves_before_its_attempt_is_entered_and_no_more_than_a_few_are_made(begin: Begin) -> None:
    push, begun, unentered, lead = begin(12_000), [], [], []
    enter = push.journal.begin
    push.journal.begin = lambda *a: (begun.append(a[3]), enter(*a))[1]

    class Watching(Fake):
        def send(self, body: bytes) -> Answer:
            if hashlib.sha256(body).hexdigest() not in begun:
                unentered.append(body)
            lead.append(len(begun) - len(self.bodies))
            return super().send(body)

    client = Watching(lambda rows: ok())
    paced = replace(push.clock.pace, connections=4)
    Sender(push.journal, push.journal.load(push.record.id), client, push.plan.envelope, paced, progress=False).run()
    assert (push.fates, len(client.bodies), unentered) == ({"accepted": 12_000}, 24, [])
    assert max(lead) <= 4


def test_a_stop_keeps_the_answers_that_are_still_to_come(begin: Begin) -> None:
    push = begin(4_000)
    refused, n = threading.Event(), Counter()

    def vendor(rows: list[dict]) -> Answer:
        n["sent"] += 1
        if rows[0]["customer_id"] == "C00500":
            refused.set()
            return Answer(401)
        if rows[0]["customer_id"] != "C00000":
            assert refused.wait(20)  # they answer after the stop
        return ok()

    send(push, vendor)
    assert isinstance(push.error, AuthorizationError)
    assert "unknown" not in push.fates
    assert push.fates["accepted"] + push.fates["unsent"] == 4_000
    assert push.fates["accepted"] == 500 * (n["sent"] - 1)
    send(push, lambda rows: ok())
    assert push.fates == {"accepted": 4_000}


def test_an_interrupt_keeps_the_answers_that_come_soon(begin: Begin) -> None:
    push = begin(4_000)
    n = Counter()

    def vendor(rows: list[dict]) -> Answer:
        n["sent"] += 1
        if rows[0]["customer_id"] == "C00500":
            raise KeyboardInterrupt
        return ok()

    with pytest.raises(KeyboardInterrupt):
        send(push, vendor)
    fates = push.fates
    assert fates["unknown"] == 500  # the one that was interrupted
    assert fates["accepted"] == 500 * (n["sent"] - 1)


def test_an_attempt_that_is_interrupted_before_it_leaves_is_not_unknown(begin: Begin) -> None:
    push = begin(1_200, operation="APPEND")

    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send(push, lambda rows: ok(), connections=1, sleep=stop)
    assert push.fates == {"accepted": 500, "unsent": 700}
    assert push.journal.attempts(push.record.id)["answer"].tolist() == ["{}", "it was not sent"]


def test_an_outage_is_tried_with_one_request_at_a_time_and_given_up(begin: Begin) -> None:
    push = begin(6_000)
    n = Counter()

    def vendor(rows: list[dict]) -> Answer:
        n["sent"] += 1
        return ok() if n["sent"] == 1 else Answer(429)

    client = send(push, vendor)
    assert isinstance(push.error, UnreachableError)
    assert re.search(r"The last \d+ requests failed: HTTP 429, .* Wait a few minutes, then resume", str(push.error))
    assert len(client.bodies) <= 1 + 4 * 2 + 6
    assert push.fates == {"accepted": 500, "unsent": 5_500}


def test_a_wait_that_is_asked_for_holds_every_connection(begin: Begin) -> None:
    push, starts = begin(4_000), []

    def vendor(rows: list[dict]) -> Answer:
        starts.append(push.clock.seconds)
        return Answer(429, retry_after="60") if len(starts) == 3 else ok()

    send(push, vendor)
    assert push.fates == {"accepted": 4_000}
    (asked,) = [n for n, start in enumerate(starts) if start >= 60][:1]
    assert 3 <= asked <= 6  # those that were under way, and no other, went before
    assert all(start >= 60 for start in starts[asked:])


def test_a_stop_at_a_wait_that_is_too_long_keeps_what_was_under_way(begin: Begin) -> None:
    push, sent, lock = begin(4_000, operation="APPEND"), Counter(), threading.Lock()

    def vendor(rows: list[dict]) -> Answer:
        with lock:
            sent["requests"] += 1
            first = sent["requests"] == 1
        return ok() if first else Answer(429, retry_after="300") if rows[0]["customer_id"] == "C01000" else ok()

    client = send(push, vendor)
    assert "asks to wait until" in str(push.error)
    assert len(client.sizes) <= 5
    assert push.fates == {"accepted": 500 * (len(client.sizes) - 1), "unsent": 4_000 - 500 * (len(client.sizes) - 1)}
    send(push, lambda rows: ok())
    assert push.fates == {"accepted": 4_000}


def test_an_outage_during_an_append_is_not_walked_through_to_the_end(begin: Begin) -> None:
    push = begin(20_000, operation="APPEND")
    n = Counter()

    def vendor(rows: list[dict]) -> Answer:
        n["sent"] += 1
        return ok() if n["sent"] < 5 else LOST

    send(push, vendor, connections=1)
    assert isinstance(push.error, UnreachableError)
    assert push.fates == {"accepted": 2_000, "unknown": 2_500, "unsent": 15_500}


def test_retries_are_bounded_over_the_whole_push(begin: Begin) -> None:
    push = begin(25_000)
    n = Counter()

    def vendor(rows: list[dict]) -> Answer:  # of each batch, the first try fails: half of all requests
        n[rows[0]["customer_id"]] += 1
        return ok() if n[rows[0]["customer_id"]] == 2 else Answer(500)

    send(push, vendor, connections=1)
    assert isinstance(push.error, UnreachableError)
    assert 20 <= push.report.n_accepted / 500 <= 30
    assert "Gave up: all retries of this push are used up. The last request failed: HTTP 500" in str(push.error)
    send(push, lambda rows: ok())
    assert push.fates == {"accepted": 25_000}


def test_a_busy_vendor_is_left_alone_by_all_connections(begin: Begin, clock: Clock) -> None:
    push, starts = begin(3_000), []
    busy = Counter()

    def vendor(rows: list[dict]) -> Answer:
        starts.append(clock.seconds)
        busy["n"] += 1
        return Answer(429, retry_after="9") if busy["n"] == 2 else ok()

    send(push, vendor, connections=2)
    assert push.fates == {"accepted": 3_000}
    assert any(later - earlier > 9 for earlier, later in pairwise(starts))


def test_a_lower_limit_of_the_vendor_confuses_no_rows(begin: Begin) -> None:
    push, refused = begin(4_000), {"C00600", "C03999"}
    small = lambda rows: ok(failed=[{"index": i} for i, r in enumerate(rows) if r["customer_id"] in refused])  # noqa: E731
    send(push, lambda rows: Answer(413) if len(rows) > 130 else small(rows))
    assert push.fates == {"accepted": 3_998, "refused": 2}
    assert set(push.report.refused["customer_id"]) == refused


def test_a_row_that_is_too_large_alone_is_refused_and_said(begin: Begin) -> None:
    push = begin(1_200)
    send(push, lambda rows: Answer(413) if any(r["customer_id"] == "C00007" for r in rows) else ok(), connections=1)
    assert (push.fates, push.error) == ({"accepted": 1_199, "refused": 1}, None)
    assert "too large for a request (HTTP 413" in push.report.refused["message"].iloc[0]


def test_a_row_of_which_the_answer_contradicts_itself_is_set_aside_as_unknown(begin: Begin) -> None:
    push = begin(600)
    bad = "C00007"
    send(
        push,
        lambda rows: ok(success=False) if any(r["customer_id"] == bad for r in rows) else ok(success=True),
        connections=1,
    )
    assert push.fates == {"accepted": 599, "unknown": 1}
    assert "success is false" in str(push.error)


kinds = st.sampled_from(["ok", "lost", "busy", "cut", "index", "bare", "400", "413", "500", "denied"])


@pytest.mark.slow
@hypothesis_settings(max_examples=15)
@given(
    said=st.lists(kinds, max_size=25),
    bad=st.sets(st.integers(0, 59), max_size=3),
    connections=st.integers(2, 4),
    operation=st.sampled_from(["UPSERT", "APPEND"]),
)
def test_over_several_connections_fates_add_up_and_no_acceptance_is_made_up(
    said: list[str], bad: set[int], connections: int, operation: str, tmp_path_factory
) -> None:
    n, clock = 60, Clock()
    frame = empty_frame().reindex(range(2, n + 2))
    frame = frame.assign(customer_id=[f"C{i}" for i in range(n)], customer_name="x" * 99_000).astype(
        {"customer_id": "str", "customer_name": "str"}
    )
    frame["updated_at"] = frame["updated_at"].fillna(clock.now())
    chosen = Settings(operation=operation)
    push = Push(tmp_path_factory.mktemp("push"), plan_push(diff(empty_frame(), frame), settings=chosen), clock)
    assert push.plan.n_batches >= 6
    table, lock, todo = Counter(), threading.Lock(), iter(said)

    def vendor(rows: list[dict]) -> Answer:
        with lock:
            kind = next(todo, "index")
            wrong = [i for i, r in enumerate(rows) if int(r["customer_id"][1:]) in bad]
            status = {"busy": 503, "413": 413}.get(kind) or (400 if kind == "400" and wrong else None)
            if status:
                return Answer(status)
            table.update(r["customer_id"] for i, r in enumerate(rows) if i not in wrong)
        if kind in ("lost", "cut", "500"):
            return {"lost": LOST, "cut": Answer(200, b'{"failed": ['), "500": Answer(500)}[kind]
        if kind == "denied":
            return ok(success=False)
        return ok(failed=["?" if kind == "bare" else {"index": i} for i in wrong])

    for _ in range(4):
        send(push, vendor, connections=connections)
        fates = push.fates
        assert sum(fates.values()) == n
        accepted = set(push.report.rows.loc[lambda r: r["fate"] == "accepted", "customer_id"])
        assert accepted <= set(table)


def test_of_two_stops_at_once_the_first_is_reported(begin: Begin) -> None:
    push, both, entered_401 = begin(3_000), threading.Barrier(2), threading.Event()
    enter = push.journal.end

    def entered(*args, status, **more) -> None:
        enter(*args, status=status, **more)
        if status == 401:
            entered_401.set()

    push.journal.end = entered

    def vendor(rows: list[dict]) -> Answer:
        if rows[0]["customer_id"] == "C00000":
            return ok()
        if both.wait(timeout=20):  # the other of the two
            assert entered_401.wait(20)
        return Answer(401)

    send(push, vendor, connections=2)
    assert isinstance(push.error, AuthorizationError)
    assert push.fates == {"accepted": 500, "unsent": 2_500}
    assert (push.journal.attempts(push.record.id)["status"] == 401).sum() == 2


def test_a_journal_that_cannot_be_written_ends_the_wait_for_answers(begin: Begin) -> None:
    push, both, failed = begin(3_000), threading.Barrier(2), threading.Event()

    def vendor(rows: list[dict]) -> Answer:
        if rows[0]["customer_id"] != "C00000":
            both.wait(timeout=20)
        if rows[0]["customer_id"] == "C01000":
            failed.wait(timeout=20)
        return ok()

    enter, entered = push.journal.end, []

    def full(*args, **more) -> None:
        entered.append(args)
        if len(entered) > 1:
            failed.set()
            raise JournalError("free space")
        enter(*args, **more)

    push.journal.end = full
    with pytest.raises(JournalError, match="free space"):
        send(push, vendor, connections=2)
    assert push.fates == {"accepted": 500, "unknown": 1_000, "unsent": 1_500}
    assert len(entered) == 3  # the third, which came while the others were waited for, failed as well


def test_an_interrupt_does_not_wait_for_an_answer_that_never_comes(begin: Begin, monkeypatch) -> None:
    push, never, flying = begin(3_000), threading.Event(), threading.Event()
    monkeypatch.setattr("toolkit.sending.sender._GRACE_S", 0.01)

    def vendor(rows: list[dict]) -> Answer:
        if rows[0]["customer_id"] == "C00500":
            flying.set()
            never.wait(20)
        elif rows[0]["customer_id"] == "C01000":
            assert flying.wait(20)
            raise KeyboardInterrupt
        return ok()

    with pytest.raises(KeyboardInterrupt):
        send(push, vendor, connections=2)
    never.set()
    assert push.fates == {"accepted": 500, "unknown": 1_000, "unsent": 1_500}


def test_an_interrupt_of_the_wait_after_a_stop_keeps_its_reason(begin: Begin) -> None:
    push, stopped, flying = begin(3_000), threading.Event(), threading.Event()

    def vendor(rows: list[dict]) -> Answer:
        if rows[0]["customer_id"] == "C00500":
            flying.set()
            assert stopped.wait(20)
            raise KeyboardInterrupt  # as it would come while this answer is awaited
        if rows[0]["customer_id"] == "C01000":
            assert flying.wait(20)
            return Answer(401, b"expired")
        return ok()

    enter = push.journal.end

    def entered(*args, **more) -> None:
        enter(*args, **more)
        if more["status"] == 401:
            stopped.set()

    push.journal.end = entered
    send(push, vendor, connections=2)
    assert isinstance(push.error, AuthorizationError)
    assert push.fates == {"accepted": 500, "unknown": 500, "unsent": 2_000}

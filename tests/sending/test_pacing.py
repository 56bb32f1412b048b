"""The rate, for all who share it; the waits between attempts; the breaker; the connections."""

from __future__ import annotations

import stat
import threading
from datetime import UTC, datetime
from itertools import cycle, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clocks import Clock
from toolkit.config.settings import Settings
from toolkit.errors import JournalError
from toolkit.sending.bisection import Bisection
from toolkit.sending.pacing import Breaker, Limiter, Pace, Retries, asked_s, until
from toolkit.sending.sender import Connections, _Batch
from toolkit.vendor.answers import Answer
from toolkit.vendor.connection import pace_folder


@given(delays=st.lists(st.floats(0, 0.7), min_size=60, max_size=200))
def test_no_second_has_more_starts_than_the_rate_after_any_delay(delays: list[float]) -> None:
    clock, starts = Clock(), []
    limiter = Limiter(50, clock=clock.clock, sleep=clock.sleep)
    for delay in [*delays, *[0.0] * 60]:
        limiter.wait()
        starts.append(clock.seconds)
        clock.seconds += delay if delay > 0.65 else delay / 100
    assert all(later - earlier >= 1 for earlier, later in zip(starts, starts[50:], strict=False))


@given(delays=st.lists(st.floats(0, 0.7), min_size=60, max_size=200), sizes=st.lists(st.integers(1, 4), min_size=1))
def test_no_second_has_more_starts_than_the_rate_if_they_are_reserved_together(
    delays: list[float], sizes: list[int]
) -> None:
    clock, starts = Clock(), []
    limiter = Limiter(50, clock=clock.clock, sleep=clock.sleep)
    groups = cycle(sizes)
    left = 0
    for delay in [*delays, *[0.0] * 60]:
        left = left or next(groups)
        limiter.wait(left)
        left -= 1
        starts.append(clock.seconds)
        clock.seconds += delay if delay > 0.65 else delay / 20  # longer and shorter than the gap
    assert all(later - earlier >= 1 - 1e-9 for earlier, later in zip(starts, starts[50:], strict=False))


@pytest.mark.parametrize(("stated", "holds"), [({}, False), ({"max_requests_per_s": 46}, True)])
@pytest.mark.parametrize("n_held", [2, 3, 4])
def test_a_lower_rate_keeps_what_a_proxy_bunches_within_the_contract(
    stated: dict[str, float], holds: bool, n_held: int
) -> None:
    clock, starts = Clock(), []
    contract = Settings(**stated).documented
    limiter = Limiter(contract.max_requests_per_s, clock=clock.clock, sleep=clock.sleep)
    for _ in range(240):
        limiter.wait()
        starts.append(clock.seconds)
    # The proxy holds as many requests as there are connections, and passes them on at once.
    arrived = np.repeat(starts[n_held - 1 :: n_held], n_held)
    most = max(int(((arrived >= at) & (arrived < at + 1)).sum()) for at in arrived)
    assert (most <= 50) == (holds or n_held == 2)


def test_starts_reserved_together_are_those_that_one_after_another_would_get() -> None:
    together, alone = Clock(), Clock()
    for clock, sizes in ((together, [4, 3, 2, 1]), (alone, [1, 1, 1, 1])):
        limiter = Limiter(50, clock=clock.clock, sleep=clock.sleep)
        for n in sizes * 5:
            limiter.wait(n)
    assert together.slept == pytest.approx(alone.slept)


def test_the_starts_after_a_short_delay_catch_up(clock: Clock) -> None:
    limiter = Limiter(50, clock=clock.clock, sleep=clock.sleep)
    for n in range(500):
        limiter.wait()
        clock.seconds += 0.1 if n % 50 == 0 else 0  # as where rows are encoded
    assert 499 / 49 <= clock.seconds < 10 * 1.05


def test_those_who_share_a_file_share_the_rate(clock: Clock, tmp_path: Path) -> None:
    pace = clock.pace
    limiters = [pace.limiter(50, tmp_path) for _ in range(3)]
    starts = []
    for n in range(160):
        limiters[n % 3].wait()
        starts.append(clock.seconds)
    assert all(later - earlier >= 1 for earlier, later in zip(starts, starts[50:], strict=False))


def test_a_pace_that_was_halved_is_kept_for_all_who_share_it_and_regained_in_small_steps(
    clock: Clock, tmp_path: Path
) -> None:
    first, second = (clock.pace.limiter(50, tmp_path) for _ in range(2))
    first.wait()
    first.slow()
    first.slow()
    second.wait()
    assert (first.pace, second.pace, second.slowed) == (12.5, 12.5, True)
    second.regain()
    later = clock.pace.limiter(50, tmp_path)  # of the next push
    later.wait()
    assert later.pace == pytest.approx(12.6)
    for _ in range(1_000):
        later.regain()
    assert (later.pace, later.slowed) == (50, False)
    first.wait()
    assert first.pace == 50


def test_starts_at_a_lowered_pace_are_evenly_spaced_and_make_up_for_no_delay(clock: Clock) -> None:
    limiter = Limiter(50, clock=clock.clock, sleep=clock.sleep)
    for _ in range(3):
        limiter.slow()
    starts = []
    for n in range(40):
        limiter.wait()
        starts.append(clock.seconds)
        clock.seconds += 0.4 if n % 5 == 0 else 0
    assert min(later - earlier for earlier, later in pairwise(starts)) >= 1 / 6.25
    for _ in range(40):
        limiter.slow()
    assert limiter.pace == 0.1  # and no less


def test_a_lower_rate_than_that_of_the_others_is_kept_to_and_slows_nobody_else(clock: Clock, tmp_path: Path) -> None:
    ours, theirs = clock.pace.limiter(2, tmp_path), clock.pace.limiter(50, tmp_path)
    starts = []
    for _ in range(10):
        ours.wait()
        starts.append(clock.seconds)
        theirs.wait()
    assert min(later - earlier for earlier, later in zip(starts, starts[2:], strict=False)) >= 1
    assert (theirs.pace, theirs.slowed) == (50, False)


NAMES = {"target": "acme", "solution": "QP", "prefix": "QP_", "suffix": "_OOTB"}


def test_the_pace_of_a_host_is_one_for_all_homes_of_a_user_and_that_of_a_sandbox_its_own(
    tmp_path: Path, clock: Clock
) -> None:
    def folder(home: str, url: str) -> Path:
        return pace_folder(Settings(base_url=url, home=tmp_path / home, **NAMES))

    first = folder("one", "https://acme.example")
    assert folder("two", "https://acme.example") == first  # with another home
    assert folder("two", "https://other.example") != first
    assert folder("one", "http://127.0.0.1:1").is_relative_to(tmp_path / "one")
    clock.pace.limiter(50, first).wait()
    assert stat.S_IMODE(first.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in first.iterdir()} == {0o600}


@pytest.mark.parametrize("kept", ["", "nonsense", "[1e9, 1e9]", "[NaN, 1e9]", "{}", "[null]", "[" * 100_000, "[NaN]"])
def test_a_file_that_is_damaged_or_from_before_a_restart_delays_nothing(clock: Clock, tmp_path: Path, kept) -> None:
    (tmp_path / "pace").write_text(kept)
    limiter = clock.pace.limiter(50, tmp_path)
    limiter.wait()
    assert clock.slept == []
    limiter.wait()
    assert clock.slept == pytest.approx([1 / 49], abs=1e-3)


@pytest.mark.parametrize("name", ["pace", "pace.lock"])
def test_a_pace_that_cannot_be_kept_sends_nothing(clock: Clock, tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(JournalError, match=r"pace.*permissions"):
        clock.pace.limiter(50, tmp_path).wait()


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        (None, 0.0), ("", 0.0), ("0", 0.0), (" 7 ", 7.0), ("-3", 0.0), ("1.5", 0.0), ("soon", 0.0), ("300", 300.0),
        ("1000000000", 1e9),
        ("9" * 400, float("inf")),
        ("Tue, 24 Nov 2026 00:00:20 GMT", 20.0), ("Tue, 24 Nov 2026 00:00:20", 20.0),
        ("Mon, 23 Nov 2026 00:00:20 GMT", 0.0), ("Tue, 24 Nov 2026 01:00:20 +0100", 20.0),
        ("Tue, 24 Nov 99999 00:00:20 GMT", 0.0),
    ],
)  # fmt: skip
def test_retry_after_is_read_in_either_form(said: str | None, asked: float) -> None:
    assert asked_s(said, datetime(2026, 11, 24, tzinfo=UTC)) == asked


@given(said=st.text(max_size=40) | st.integers().map(str), attempt=st.integers(1, 60), jitter=st.floats(0, 1))
def test_a_wait_is_never_shorter_than_asked_and_at_most_half_a_minute_longer(
    said: str, attempt: int, jitter: float
) -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC)
    asked = asked_s(said, now)
    assert 0 <= asked <= Retries().wait_s(attempt, asked, jitter) <= asked + 30
    assert until(asked, now).startswith(("until ", "for more than a year"))


def test_a_breaker_begins_with_one_request_opens_after_five_failures_and_closes_after_a_success() -> None:
    breaker = Breaker()
    assert breaker.slots(4) == 1
    breaker.succeed()
    assert breaker.slots(4) == 4
    for _ in range(4):
        breaker.fail()
    assert (breaker.open, breaker.slots(4)) == (False, 4)
    breaker.fail()
    assert (breaker.open, breaker.slots(4)) == (True, 1)
    breaker.succeed()
    assert (breaker.open, breaker.slots(4)) == (False, 4)


def test_a_budget_of_retries_is_used_up_by_failures_and_earned_by_successes() -> None:
    breaker = Breaker(budget=2)
    assert [breaker.spend() for _ in range(3)] == [True, True, False]
    for _ in range(10):
        breaker.succeed()
    assert breaker.spend()


def test_connections_send_at_once_and_give_back_answers_and_errors() -> None:
    gate = threading.Barrier(3, timeout=20)

    def send(body: bytes) -> Answer:
        gate.wait()  # three at a time, or never
        if body == b"2":
            raise ValueError("two")
        return Answer(200, body)

    connections = Connections(send)
    for n in range(3):
        connections.start(_Batch(n, Bisection(np.arange(1)), body=str(n).encode()))
    received = {}
    while len(received) < 3:
        received |= {batch.number: answer for batch, answer in connections.finished(patience_s=20)}
    assert isinstance(received.pop(2), ValueError)
    assert received == {0: Answer(200, b"0"), 1: Answer(200, b"1")}


def test_connections_without_an_answer_are_not_awaited_too_long() -> None:
    connections = Connections(lambda body: Answer(200))
    assert list(connections.finished(patience_s=0)) == []
    assert list(connections.finished(patience_s=0.01)) == []


def test_a_pace_has_a_few_connections() -> None:
    assert 2 <= Pace().connections <= 8

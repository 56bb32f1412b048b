"""One push against a vendor that is a function from body to answer: fates, receipts, waits, resends."""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.clocks import Clock
from tests.support.sending import LOST, NEVER_LEFT, Fake, Push, ok, script
from toolkit.config.settings import Settings
from toolkit.errors import (
    AddressError,
    AuthorizationError,
    PlanError,
    StoppedError,
    UnreachableError,
)
from toolkit.ledger.diffing import diff
from toolkit.model.schema import empty_frame
from toolkit.pushing.planning import as_dry_run, plan_push
from toolkit.sending.journal import Journal
from toolkit.sending.sender import Sender
from toolkit.vendor.answers import Answer


def test_every_batch_is_sent_once_in_order_under_the_rate(begin, clock) -> None:
    push = begin(1_200)
    client = push.send(script())
    assert (push.fates, client.sizes) == ({"accepted": 1_200}, [500, 500, 200])
    sent = [row["customer_id"] for body in client.bodies for row in json.loads(body)["data"]]
    assert sent == list(push.plan.to_frame()["customer_id"])
    assert clock.slept == pytest.approx([1 / 49, 1 / 49], abs=1e-4)


def test_no_second_holds_more_than_fifty_requests(begin, clock) -> None:
    push, starts = begin(30_500), []
    push.send(lambda rows: (starts.append(clock.seconds), ok())[1])
    assert len(starts) == 61
    assert all(later - earlier >= 1 for earlier, later in zip(starts, starts[50:], strict=False))


def test_a_refused_row_has_its_place_in_the_source(begin) -> None:
    push = begin(3)
    push.send(script(ok(failed=[{"index": 1, "code": "DI_E_00002", "category": "schema", "message": "name"}])))
    assert push.fates == {"accepted": 2, "refused": 1}
    row = push.report.refused.iloc[0]
    assert [row[c] for c in ("source_row", "customer_id", "code", "category", "message")] == [
        3, "C00001", "DI_E_00002", "schema", "name",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "trouble", [Answer(429), Answer(503), Answer(500, b"<html>"), LOST, NEVER_LEFT, Answer(200, b"")]
)
def test_passing_trouble_is_tried_again_with_the_same_bytes(begin, trouble: Answer) -> None:
    push = begin(3)
    client = push.send(script(trouble, trouble))
    assert (push.fates, len(client.bodies), len(set(client.bodies))) == ({"accepted": 3}, 3, 1)


def test_retry_after_is_honoured_up_to_two_minutes(begin, clock) -> None:
    push = begin(1)
    push.send(script(Answer(429, retry_after="7"), Answer(503, retry_after="120"), Answer(500, retry_after="40")))
    assert [s for s in clock.slept if s > 1] == pytest.approx([7.5, 121.0, 42.0])
    assert push.fates == {"accepted": 1}


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose clock shows another time than UTC: an hour later, for it is winter."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("300", "until 01:05:00 CET (00:05:00 UTC), 5 minutes"),
        ("121", "until 01:02:01 CET (00:02:01 UTC), 3 minutes"),
        ("86400", "until 2026-11-25 01:00:00 CET (00:00:00 UTC), 24 hours"),
        ("Tue, 24 Nov 2026 00:05:00 GMT", "until 01:05:00 CET (00:05:00 UTC), 5 minutes"),
        ("1000000000", "for more than a year"),
        ("9" * 400, "for more than a year"),
        ("Fri, 31 Dec 9999 23:59:59 GMT", "for more than a year"),
    ],
)
def test_a_push_that_is_asked_to_wait_longer_stops_and_says_until_when(
    begin, clock, berlin: None, status: int, asked: str, said: str
) -> None:
    push = begin(501, operation="APPEND")
    client = push.send(script(ok(), Answer(status, retry_after=asked)))
    assert len(client.bodies) == 2  # it is not asked again
    assert max(clock.slept) < 1
    assert str(push.error).startswith(f"vendor.test asks to wait {said} (HTTP {status}, ")
    assert str(push.error).endswith("After that, resume; or abandon the push and push again.")
    assert push.fates == {"accepted": 500, "unsent": 1}
    push.send(script())
    assert push.fates == {"accepted": 501}


@pytest.mark.parametrize("asked", ["-5", "-1000000000", "0", "soon", "", "1e3", "Mon, 23 Nov 2026 00:00:00 GMT"])
def test_a_wait_that_asks_for_nothing_is_as_if_nobody_asked(begin, clock, asked: str) -> None:
    push = begin(1)
    push.send(script(Answer(429, retry_after=asked)))
    assert (push.fates, push.error) == ({"accepted": 1}, None)
    assert max(clock.slept) <= 0.5


@pytest.mark.parametrize(("progress", "asked", "shown"), [(True, "45", 1), (True, "2", 0), (False, "45", 0)])
def test_a_long_wait_that_the_vendor_asks_for_is_shown_once(
    begin, clock, berlin: None, capsys: pytest.CaptureFixture[str], progress: bool, asked: str, shown: int
) -> None:
    push = begin(1)
    client = Fake(script(Answer(429, retry_after=asked)))
    sender = Sender(push.journal, push.journal.load(push.record.id), client, push.plan.envelope, clock.pace,
                    progress=progress)  # fmt: skip
    sender.run()
    said = [line for line in capsys.readouterr().err.splitlines() if "asks to wait" in line]
    assert said == ["vendor.test asks to wait until 01:00:45 CET (00:00:45 UTC), 45 seconds."] * shown
    assert push.fates == {"accepted": 1}


class Strict:
    """A vendor that takes so many requests a second, evenly spaced or in each second of the clock."""

    def __init__(self, clock: Clock, per_s: float, *, spaced: bool, status: int = 429, retry_after: str | None) -> None:
        self._clock, self._per_s, self._spaced = clock, per_s, spaced
        self._answer = Answer(status, retry_after=retry_after)
        self.taken: list[float] = []
        self.n_turned_away = 0

    def __call__(self, rows: list[dict]) -> Answer:
        now = self._clock.seconds
        recent = [at for at in self.taken if at > now - (1 / self._per_s if self._spaced else 1) + 1e-9]
        if len(recent) >= (1 if self._spaced else self._per_s):
            self.n_turned_away += 1
            return self._answer
        self.taken.append(now)
        return ok()


@pytest.mark.parametrize("spaced", [True, False])
@pytest.mark.parametrize(("status", "retry_after"), [(429, None), (429, "1"), (503, "1"), (503, None)])
@pytest.mark.parametrize("operation", ["UPSERT", "APPEND"])
def test_a_push_ends_by_itself_at_the_pace_that_the_vendor_allows(
    begin, clock, spaced: bool, status: int, retry_after: str | None, operation: str
) -> None:
    push = begin(20_000, operation=operation)
    vendor = Strict(clock, 5, spaced=spaced, status=status, retry_after=retry_after)
    push.send(vendor)
    assert push.error is None
    held = 500 * vendor.n_turned_away if (status, retry_after, operation) == (503, None, "APPEND") else 0
    assert push.fates == {"accepted": 20_000 - held} | ({"unknown": held} if held else {})
    assert vendor.n_turned_away <= 8
    assert clock.seconds < 40 / 5 * 3


def test_a_long_push_to_a_strict_vendor_stays_near_its_limit(begin, clock) -> None:
    push = begin(60_000)
    vendor = Strict(clock, 5, spaced=True, retry_after=None)
    push.send(vendor)
    assert (push.fates, push.error) == ({"accepted": 60_000}, None)
    assert vendor.n_turned_away <= 12
    assert clock.seconds < 120 / 5 * 1.6


def noted(
    push: Push, vendor: Callable[[list[dict]], Answer], folder: Path, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    limiter = push.clock.pace.limiter(50, folder)
    sender = Sender(push.journal, push.journal.load(push.record.id), Fake(vendor), push.plan.envelope,
                    push.clock.pace, progress=True, limiter=limiter)  # fmt: skip
    push.error = None
    try:
        sender.run()
    except StoppedError as error:
        push.error = error
    return capsys.readouterr().err.splitlines()


def test_it_is_said_that_the_vendor_limits_the_rate_and_to_what_and_the_pace_is_kept(
    begin, clock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    push = begin(10_000)
    vendor = Strict(clock, 5, spaced=True, retry_after=None)
    first, last = noted(push, vendor, tmp_path, capsys)
    assert first.startswith("vendor.test limits the rate to fewer than 50 requests a second (HTTP 429).")
    found = re.fullmatch(
        r"vendor.test limits the rate to fewer than (\S+) requests a second \(HTTP 429\). "
        r"The next push begins at (\S+)\.",
        last,
    )
    assert found
    assert 5 < float(found[1]) < 10
    assert 2.5 <= float(found[2]) < 7
    other = Push(tmp_path / "other", push.plan, clock)
    vendor.n_turned_away = 0
    noted(other, vendor, tmp_path, capsys)
    assert vendor.n_turned_away <= 2
    assert other.fates == {"accepted": 10_000}


def test_the_progress_shows_the_pace_that_the_vendor_allows(
    begin, clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    noted(begin(10_000), Strict(clock, 5, spaced=True, retry_after=None), tmp_path, capsys)
    shown = [float(pace) for pace in re.findall(r"the vendor limits the rate: (\S+) requests/s", terminal.getvalue())]
    pace = 50.0
    for gained in (0, 0.1, 0.1, 0.1):  # in the first two seconds, one request gets through between two halvings
        pace = (pace + gained) / 2
    assert shown[0] == float(f"{pace:.2g}") == 3.2
    assert shown == sorted(shown)  # below the vendor's 5 nothing is turned away, so the pace only rises
    assert 4.5 < shown[-1] < 5


def test_who_gives_up_says_to_what_the_vendor_limits_the_rate(begin) -> None:
    push, n = begin(2_000), iter(range(100))
    push.send(lambda rows: ok() if next(n) < 2 else Answer(429))
    assert "limits the rate to fewer than 50 requests a second (HTTP 429). Wait a few minutes" in str(push.error)
    assert push.fates == {"accepted": 1_000, "unsent": 1_000}


@pytest.mark.parametrize("trouble", [Answer(500), LOST, NEVER_LEFT, Answer(503), Answer(429)])
def test_a_batchs_tries_do_not_count_while_others_get_through(begin, trouble: Answer) -> None:
    push, n_bad = begin(15_000), iter(range(100))

    def vendor(rows: list[dict]) -> Answer:
        if rows[0]["customer_id"] == "C00500" and next(n_bad) < 9:
            return trouble
        push.clock.seconds += 2
        return ok()

    pace = replace(push.clock.pace, connections=2)  # others go while it waits
    Sender(push.journal, push.journal.load(push.record.id), Fake(vendor), push.plan.envelope, pace,
           progress=False).run()  # fmt: skip
    assert push.fates == {"accepted": 15_000}


def test_a_fault_that_lasts_stops_at_the_first_answer(begin) -> None:
    push = begin(1_200)
    fault = Answer(None, left=False, problem="the proxy wants a password: set HTTPS_PROXY", lasting=True)
    client = push.send(lambda rows: fault)
    assert len(client.bodies) == 1
    assert str(push.error) == ("Nothing can be sent: the proxy wants a password: set HTTPS_PROXY, then push again.")
    push.send(script(ok(), fault))
    assert str(push.error).endswith("then resume; or abandon the push and push again.")
    assert push.fates == {"accepted": 500, "unsent": 700}


def test_retry_after_may_be_a_date(begin, clock) -> None:
    push = begin(1)
    date = (clock.now() + timedelta(seconds=9)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    push.send(script(Answer(503, retry_after=date)))
    assert any(8 < s < 9.6 for s in clock.slept)


@pytest.mark.parametrize(
    ("trouble", "fates", "error"),
    [
        (LOST, {"unknown": 3}, UnreachableError),
        (Answer(200, b"<html>"), {"unknown": 3}, UnreachableError),
        (Answer(500), {"unknown": 3}, UnreachableError),
        (NEVER_LEFT, {"unsent": 3}, UnreachableError),
        (Answer(503), {"unknown": 3}, UnreachableError),
        (Answer(503, retry_after="1"), {"unsent": 3}, UnreachableError),
        (Answer(429), {"unsent": 3}, UnreachableError),
        (Answer(401), {"unsent": 3}, AuthorizationError),
        (Answer(403), {"unsent": 3}, AuthorizationError),
        (Answer(404), {"unsent": 3}, AddressError),
        (Answer(409), {"unsent": 3}, StoppedError),
        (Answer(302), {"unsent": 3}, StoppedError),
        (Answer(303), {"unknown": 3}, StoppedError),
    ],
)
def test_lasting_trouble_stops_the_push_and_blames_no_row(begin, trouble: Answer, fates: dict, error: type) -> None:
    push = begin(3)
    client = push.send(lambda rows: trouble)
    assert (push.fates, type(push.error)) == (fates, error)
    assert len(client.bodies) == (6 if error is UnreachableError else 1)
    assert ("then push again." if fates == {"unsent": 3} else "then resume; or abandon") in str(push.error)
    assert ("Wait a few minutes" in str(push.error)) == (trouble.status == 429 or bool(trouble.retry_after))
    push.send(script())  # which sends all of them
    assert push.fates == {"accepted": 3}


def test_what_was_accepted_before_a_stop_is_not_sent_again(begin) -> None:
    push = begin(1_200)
    push.send(script(ok(), Answer(401)))
    assert push.fates == {"accepted": 500, "unsent": 700}
    assert push.send(script()).sizes == [500, 200]


def test_an_append_whose_answer_is_lost_is_held_and_never_sent_again(begin) -> None:
    push = begin(600, operation="APPEND")
    assert push.send(script(LOST)).sizes == [500, 100]
    assert push.fates == {"accepted": 100, "unknown": 500}
    assert push.send(script()).sizes == []


def test_an_append_that_ends_with_a_held_piece_says_which_rows_were_not_sent(begin) -> None:
    push = begin(2, operation="APPEND")
    bad = Answer(400, b'{"message": "bad"}')
    assert push.send(script(bad, bad, Answer(502, b"oops"))).sizes == [2, 1, 1]
    assert (push.fates, type(push.error)) == ({"unsent": 1, "unknown": 1}, StoppedError)


@pytest.mark.parametrize(
    ("said", "fates"),
    [
        ({"failed": [], "accepted": 3}, {"accepted": 100, "unknown": 500}),
        ({"failed": [{"message": "one is bad"}]}, {"accepted": 100, "unknown": 500}),
        ({"success": False, "failed": [{"index": 0}]}, {"accepted": 100, "refused": 1, "unknown": 499}),
        ({"success": False, "failed": [0]}, {"accepted": 100, "unknown": 500}),
        ({"success": "false", "message": "the table is locked"}, {"accepted": 100, "unknown": 500}),
        ({"results": [{"index": 0, "status": "failed"}]}, {"accepted": 100, "unknown": 500}),
    ],
)
@pytest.mark.parametrize("status", [200, 207])
def test_an_append_that_does_not_add_up_is_held_and_never_sent_again(
    begin, said: dict, fates: dict, status: int
) -> None:
    push = begin(600, operation="APPEND")
    assert push.send(script(Answer(status, json.dumps(said).encode()))).sizes == [500, 100]
    assert (push.fates, push.error) == (fates, None)
    assert push.send(script()).sizes == []


def test_an_append_that_never_adds_up_stops_and_says_how_to_settle_its_rows(begin) -> None:
    push = begin(10_000, operation="APPEND")
    client = push.send(lambda rows: ok(failed=[], accepted=3))
    assert f"toolkit settle {push.record.id}" in str(push.error)
    assert len(client.sizes) == len(set(client.bodies)) < 20
    assert push.fates == {"unknown": sum(client.sizes), "unsent": 10_000 - sum(client.sizes)}


@pytest.mark.parametrize(
    "said",
    [
        Answer(200, b'{"success": "false", "message": "the table is locked"}'),
        Answer(200, b'{"code": "DI_E_00012", "category": "VALIDATION", "message": "unknown solution"}'),
        Answer(207, b'{"requestId": "r-1"}'),
    ],
)
def test_an_upsert_whose_successes_all_deny_themselves_accepts_nothing_and_can_be_resumed(begin, said: Answer) -> None:
    push = begin(500)
    client = push.send(lambda rows: said)
    assert isinstance(push.error, StoppedError)
    assert len(client.sizes) < 60
    assert push.fates == {"unknown": 500}
    push.send(script())
    assert (push.fates, push.error) == ({"accepted": 500}, None)


def test_a_single_row_of_an_append_that_does_not_add_up_is_unknown(begin) -> None:
    push = begin(1, operation="APPEND")
    assert push.send(script(ok(failed=[], accepted=3))).sizes == [1]
    assert push.fates == {"unknown": 1}


def test_a_success_that_denies_itself_makes_the_rows_it_does_not_name_unknown(begin) -> None:
    push = begin(3)
    push.send(script(ok(success=False, failed=[{"index": 0}]), Answer(401)))
    assert push.fates == {"refused": 1, "unknown": 2}  # and not unsent


def test_a_success_that_names_nobody_is_resolved_by_halves(begin) -> None:
    bad = {"C00003"}

    def vendor(rows: list[dict]) -> Answer:
        if any(r["customer_id"] in bad for r in rows):
            return ok(failed=[{"message": "a row has no price list"}])
        return ok()

    push = begin(8)
    client = push.send(vendor)
    assert push.fates == {"accepted": 7, "refused": 1}
    assert list(push.report.refused["source_row"]) == [5]
    assert client.sizes == [8, 4, 2, 1, 1, 4]  # the second two are known to hold it, and are not sent to find out


def test_one_bad_row_is_found_within_the_bound(begin) -> None:
    push = begin(500)
    client = push.send(
        lambda rows: Answer(400, b'{"message": "no"}') if any(r["customer_id"] == "C00317" for r in rows) else ok()
    )
    assert push.fates == {"accepted": 499, "refused": 1}
    assert len(client.sizes) <= 2 * 9 + 1


def test_a_refused_request_that_names_rows_is_sent_again_without_them(begin) -> None:
    def vendor(rows: list[dict]) -> Answer:
        places = [i for i, r in enumerate(rows) if r["customer_id"] in ("C00001", "C00004")]
        return Answer(422, json.dumps({"failed": [{"index": i} for i in places]}).encode()) if places else ok()

    push = begin(6)
    assert push.send(vendor).sizes == [6, 4]
    assert push.fates == {"accepted": 4, "refused": 2}


def test_a_request_that_is_too_large_is_halved_and_blames_no_row(begin) -> None:
    push = begin(8)
    client = push.send(lambda rows: Answer(413) if len(rows) > 2 else ok())
    assert (push.fates, max(client.sizes[-1:])) == ({"accepted": 8}, 2)


@pytest.mark.parametrize(("most", "n_rows"), [(300, 200), (3_000, 1_600), (30_000, 6_000)])
def test_a_size_that_passes_is_kept_for_the_push(begin, most: int, n_rows: int) -> None:
    push = begin(n_rows)
    client = Fake(lambda rows: ok())
    client.send = lambda body: Answer(413) if len(body) > most else Fake.send(client, body)
    assert push.run(client) is None
    assert push.fates == {"accepted": n_rows}
    n_refused = (push.journal.attempts(push.record.id)["status"] == 413).sum()
    assert n_refused <= 12 + 0.02 * len(client.sizes)
    assert max(client.sizes) >= max(1, 0.3 * most / 250)


def test_rows_that_are_too_large_alone_do_not_keep_the_requests_small(begin) -> None:
    push, large = begin(20_000), {"C00007", "C00707", "C01207"}
    client = push.send(lambda rows: Answer(413) if large & {r["customer_id"] for r in rows} else ok())
    assert (push.fates, push.error) == ({"accepted": 19_997, "refused": 3}, None)
    assert client.sizes[-1] == 500
    assert len(client.sizes) < 1_000


def test_a_vendor_that_refuses_everything_without_a_name_is_not_the_rows_fault(begin) -> None:
    push = begin(500)
    client = push.send(lambda rows: Answer(400, b'{"message": "unknown solution"}'))
    assert "TOOLKIT_SOLUTION" in str(push.error)
    assert len(client.sizes) < 60
    assert push.report.n_accepted == 0


def test_a_crash_leaves_what_was_in_flight_unknown_and_the_rest_unsent(begin) -> None:
    push = begin(1_200)

    class Killed(BaseException):
        pass

    def vendor(rows: list[dict]) -> Answer:
        if rows[0]["customer_id"] == "C00500":
            raise Killed
        return ok()

    with pytest.raises(Killed):
        push.send(vendor)
    assert push.fates == {"accepted": 500, "unknown": 500, "unsent": 200}
    digest = push.journal.attempts(push.record.id)["digest"].iloc[-1]
    push.send(script())
    assert push.fates == {"accepted": 1_200}
    assert push.journal.attempts(push.record.id)["digest"].tolist()[1:3] == [digest, digest]


DOWN = Answer(400, b'{"message": "the tenant is being maintained"}')


def test_rows_that_may_have_been_taken_are_not_refused_by_what_is_said_of_a_request(begin) -> None:
    push = begin(2)
    push.send(script(LOST, DOWN, DOWN, DOWN))
    assert push.fates == {"unknown": 2}
    assert "being maintained" in str(push.error)
    push.send(script())
    assert push.fates == {"accepted": 2}


@pytest.mark.parametrize("n_rows", [1, 3, 600])
def test_a_vendor_that_refuses_every_request_refuses_no_row(begin, n_rows: int) -> None:
    push = begin(n_rows)
    client = push.send(lambda rows: DOWN)
    assert push.fates == {"unsent": n_rows}
    assert "names no row" in str(push.error)
    assert len(client.bodies) < 60
    push.send(script())
    assert push.fates == {"accepted": n_rows}


def test_a_bad_row_among_good_ones_is_found_though_nobody_names_it(begin) -> None:
    push = begin(600)
    bad = {"C00000", "C00007"}
    push.send(lambda rows: DOWN if bad & {r["customer_id"] for r in rows} else ok())
    assert push.fates == {"accepted": 598, "refused": 2}
    assert set(push.report.refused["customer_id"]) == bad
    assert push.report.refused["message"].str.contains("being maintained").all()


@pytest.mark.parametrize("trouble", [DOWN, Answer(413)])
def test_a_bad_row_alone_in_its_batch_is_refused_where_the_vendor_took_others(begin, trouble: Answer) -> None:
    push = begin(501)
    push.send(lambda rows: trouble if rows[-1]["customer_id"] == "C00500" else ok())
    assert (push.fates, push.error) == ({"accepted": 500, "refused": 1}, None)


def test_rows_taken_before_a_resume_show_that_the_vendor_looks_at_rows(begin) -> None:
    push = begin(501)
    push.send(script(ok(), Answer(401)))
    push.send(lambda rows: DOWN)
    assert (push.fates, push.error) == ({"accepted": 500, "refused": 1}, None)


def test_a_vendor_that_goes_down_between_two_batches_refuses_no_row(begin) -> None:
    push = begin(1_000)
    push.send(lambda rows: ok() if rows[0]["customer_id"] == "C00000" else DOWN)
    assert push.fates == {"accepted": 500, "unsent": 500}
    assert "names no row" in str(push.error)


def test_a_row_that_is_too_large_by_itself_is_refused_and_the_push_ends(begin) -> None:
    push = begin(8)
    push.send(lambda rows: Answer(413) if any(r["customer_id"] == "C00003" for r in rows) else ok())
    assert (push.fates, push.error) == ({"accepted": 7, "refused": 1}, None)
    assert "too large for a request" in push.report.refused["message"].iloc[0]


def test_where_every_request_is_too_large_no_row_is_blamed(begin) -> None:
    push = begin(4)
    push.send(lambda rows: Answer(413))
    assert (push.fates, "names no row" in str(push.error)) == ({"unsent": 4}, True)


def test_an_entry_about_a_row_that_was_not_sent_refuses_nobody(begin) -> None:
    push = begin(1)
    push.send(lambda rows: ok(failed=[{"customer_id": "SOMEBODY", "message": "no"}]))
    assert push.fates == {"unknown": 1}
    assert "was not sent" in str(push.error)


def test_rows_that_no_answer_resolves_are_named_with_what_to_do(begin) -> None:
    push = begin(8)
    push.send(lambda rows: ok(failed=[], accepted=99))
    wanted = ("8 rows", "source_row 2, 3, 4, 5, 6, …", f"toolkit settle {push.record.id}")
    assert all(said in str(push.error) for said in wanted)
    assert "journal" not in str(push.error)
    assert push.fates == {"unknown": 8}


def test_an_answer_of_no_known_kind_says_what_can_be_done(begin) -> None:
    push = begin(1)
    push.send(lambda rows: Answer(409))
    assert "HTTP 409" in str(push.error)
    assert "ask the vendor" in str(push.error)
    assert "journal" not in str(push.error)


class Interrupted:
    """The journal's connection, with an interrupt right after its n-th statement."""

    def __init__(self, database, at: int) -> None:
        self._database, self._at, self.n = database, at, 0

    def __getattr__(self, name: str):
        found = getattr(self._database, name)
        if not name.startswith("execute"):
            return found

        def counted(*args):
            result = found(*args)
            self.n += 1
            if self.n == self._at:
                raise KeyboardInterrupt
            return result

        return counted


def test_an_interrupt_at_any_statement_loses_no_fate_and_makes_none_up(customers, clock, tmp_path: Path) -> None:
    plan = plan_push(diff(empty_frame(), customers(1_200)), settings=Settings(operation="APPEND"))

    def interrupted(at: int) -> tuple[Push, Fake, int]:
        push = Push(tmp_path / str(at), plan, clock)
        push.journal._db = Interrupted(push.journal._db, at)
        client = Fake(script())
        with contextlib.suppress(KeyboardInterrupt):
            Sender(
                push.journal, push.journal.load(push.record.id), client, plan.envelope, clock.pace, progress=False
            ).run()
        return push, client, push.journal._db.n

    n_statements = interrupted(-1)[2]
    assert n_statements > 15
    for at in range(1, n_statements + 1):
        push, client, _ = interrupted(at)
        assert not push.journal._db.in_transaction, at
        with Journal(tmp_path / str(at), plan.target, clock=clock.now) as fresh:
            assert (fresh.fates(push.record)[0] == push.journal.fates(push.record)[0]).all(), at
        known, n_sent = push.fates, sum(client.sizes)
        assert known.get("accepted", 0) + known.get("unknown", 0) == n_sent, at  # what did not leave is not unknown
        assert known.get("accepted", 0) <= n_sent, at
        again = push.send(script())
        assert sum(again.sizes) == known.get("unsent", 0), at


def test_an_attempt_whose_entry_is_interrupted_did_not_leave(begin) -> None:
    push = begin(1_200, operation="APPEND")
    entered = push.journal.begin

    def interrupt(*args) -> int:
        number = entered(*args)
        if number == 2:
            raise KeyboardInterrupt  # as it would come when the disk has taken it
        return number

    push.journal.begin = interrupt
    with pytest.raises(KeyboardInterrupt):
        push.send(script())
    assert push.fates == {"accepted": 500, "unsent": 700}


def dry(folder: Path, frame, clock, **options: object) -> Push:
    settings = Settings(contract="current", **options)
    return Push(folder, as_dry_run(plan_push(diff(empty_frame(), frame), settings=settings)), clock)


def test_the_message_after_a_stopped_dry_run_does_not_mention_a_push(customers, clock, tmp_path: Path) -> None:
    stops = {
        "token": script(Answer(401)),
        "nothing at": script(Answer(404)),
        "names no row (": script(Answer(302)),
        "Gave up": lambda rows: NEVER_LEFT,
        "whole requests": lambda rows: Answer(400),
        "No answer says": lambda rows: ok(failed=[], accepted=99),
    }
    for n, (words, vendor) in enumerate(stops.items()):
        push = dry(tmp_path / str(n), customers(8), clock)
        push.send(vendor)
        assert words in str(push.error)
        assert "ake the dry run again" in str(push.error)
        assert not re.search("resume|abandon|settle", str(push.error))


def test_a_dry_run_of_an_append_asks_again_where_an_answer_was_lost(customers, clock, tmp_path: Path) -> None:
    push = dry(tmp_path, customers(8), clock, operation="APPEND")
    again = push.send(script(LOST))
    assert (push.fates, push.error, again.sizes) == ({"accepted": 8}, None, [8, 8])


def test_unsent_rows_are_not_to_be_settled(begin) -> None:
    push, other = begin(3), Answer(400, b'{"failed": [{"customer_id": "OTHER"}]}')
    push.send(lambda rows: other if "C00001" in str(rows) else ok())
    assert push.fates == {"accepted": 2, "unsent": 1}
    assert "No answer says what became of 1 row" in str(push.error)
    assert "settle" not in str(push.error)


def test_a_body_that_is_not_the_planned_one_is_not_sent(begin) -> None:
    push = begin(3)
    push.journal._db.execute("UPDATE batch SET digest = 'another'")
    with pytest.raises(PlanError, match="plan again"):
        push.send(script())
    assert push.fates == {"unsent": 3}


answers = st.sampled_from(["ok", "lost", "cut", "busy", "index", "key", "bare", "400", "400 named", "401", "413"])


def check_any_answers(folder: Callable[[], Path], profile: settings) -> None:
    """Whatever is answered, the fates add up, and the accepted rows are those that the vendor took."""

    @profile
    @example(seed=["lost", "413"], bad=set(), n=1)  # taken, its answer lost, and then too large
    @example(seed=["lost", "413", "413"], bad=set(), n=2)
    @given(seed=st.lists(answers, max_size=12), bad=st.sets(st.integers(0, 11), max_size=4), n=st.integers(1, 12))
    def check(seed: list[str], bad: set[int], n: int) -> None:
        require_sound_fates(folder(), seed, bad, n)

    check()


def test_whatever_is_answered_the_fates_add_up_and_the_accepted_rows_are_the_vendors(tmp_path_factory) -> None:
    check_any_answers(lambda: tmp_path_factory.mktemp("push"), settings(max_examples=8))


@pytest.mark.slow
def test_whatever_is_answered_the_fates_add_up_in_depth(tmp_path_factory) -> None:
    check_any_answers(lambda: tmp_path_factory.mktemp("push"), settings(max_examples=150))


def require_sound_fates(folder: Path, seed: list[str], bad: set[int], n: int) -> None:
    frame = empty_frame().reindex(range(2, n + 2))
    frame = frame.assign(customer_id=[f"C{i}" for i in range(n)]).astype({"customer_id": "str"})
    frame["updated_at"] = frame["updated_at"].fillna(Clock().now())
    clock = Clock()
    push = Push(folder, plan_push(diff(empty_frame(), frame)), clock)
    table: set[str] = set()
    todo = iter(seed)

    def vendor(rows: list[dict]) -> Answer:
        kind = next(todo, "index")
        wrong = [i for i, r in enumerate(rows) if int(r["customer_id"][1:]) in bad]
        good = {r["customer_id"] for i, r in enumerate(rows) if i not in wrong}
        if kind in ("busy", "401", "413", "400", "400 named") and (kind != "400" or wrong):
            named = [{"index": i} for i in wrong] if kind == "400 named" else []
            if kind == "400 named" and not wrong:
                table.update(good)
                return ok()
            status = {"busy": 503, "401": 401, "413": 413}.get(kind, 400)
            return Answer(status, json.dumps({"failed": named}).encode())
        table.update(good)
        if kind == "lost":
            return LOST
        if kind == "cut":
            return Answer(200, b'{"failed": [')
        entry = {"key": lambda i: {"customer_id": rows[i]["customer_id"]}, "bare": lambda i: "something"}
        return ok(failed=[entry.get(kind, lambda i: {"index": i})(i) for i in wrong])

    for _ in range(len(seed) + 2):
        push.send(vendor)
        assert sum(push.fates.values()) == n
        accepted = push.report.rows.loc[lambda r: r["fate"] == "accepted", "customer_id"]
        assert set(accepted) <= table  # never accepted unless the vendor took it
    assert not {"unknown", "unsent"} & set(push.fates) or push.error
    if push.error is None:
        assert set(push.report.rows.loc[lambda r: r["fate"] == "accepted", "customer_id"]) == table

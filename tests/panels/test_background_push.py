"""A push in a thread of its own: followed, paused, stopped, interrupted, and what it says when it cannot go on."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from functools import partial

import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr

from tests.support.holding import Changes, Hold
from toolkit.config import Answers, Settings
from toolkit.errors import AuthorizationError, GuardError, Interrupted, JournalError, SettingsError, UnreachableError
from toolkit.panels import BackgroundPush
from toolkit.pushing import PushPlan, push, push_report, resume
from toolkit.vendor import Sandbox
from toolkit.vendor.sandbox import Reply

Plan = Callable[..., PushPlan]


def posts(sandbox: Sandbox) -> int:
    return int((sandbox.requests()["method"] == "POST").sum())


def begun(plan: PushPlan, settings: Settings, changes: Changes) -> BackgroundPush:
    return BackgroundPush(partial(push, plan, settings=settings), changed=changes).start()


def test_a_push_is_followed_to_its_end(sandbox: Sandbox, settings: Settings, plan: Plan, changes: Changes) -> None:
    sandbox.vendor.refuse = lambda row: "no such price list" if row["customer_id"] == "C00015" else None
    sandbox.vendor.troubles.extend([None, Reply(503, b"", {"retry-after": "0"})])  # after the schema request
    run = begun(plan(), settings, changes)
    report = run.wait()
    assert report.counts == run.counts == {"accepted": 39, "refused": 1, "unknown": 0, "unsent": 0}
    assert run.report is report
    assert (run.n_requests, run.n_retries) == (5, 1)
    rate, left_s = run.speed
    assert rate > 0
    assert left_s == 0
    assert changes.n > 5


def test_a_pause_lets_the_request_under_way_end_and_begins_no_other(
    sandbox: Sandbox, settings: Settings, plan: Plan, changes: Changes
) -> None:
    sandbox.vendor.refuse = hold = Hold(5)
    run = begun(plan(), settings, changes)
    hold.reached()
    run.pause()
    hold.release()
    changes.until(lambda: run.n_requests == 1)
    changes.pass_by()
    assert (posts(sandbox), run.counts["accepted"], run.over) == (1, 10, False)
    speed = run.speed
    changes.pass_by()
    assert run.speed == speed  # a pause does not count
    run.pause()
    assert run.wait().ok
    assert posts(sandbox) == 4


def test_a_stop_leaves_the_push_open_and_a_resume_sends_the_rest(
    sandbox: Sandbox, settings: Settings, plan: Plan, changes: Changes
) -> None:
    sandbox.vendor.refuse = hold = Hold(15)
    run = begun(plan(), settings, changes)
    hold.reached()
    run.stopped.set()
    hold.release()
    with pytest.raises(Interrupted, match=r"Interrupted: 20 of 40 rows accepted. tk.resume\(\) goes on.") as stopped:
        run.wait()
    assert stopped.value.report is run.report
    assert run.report.state == "open"
    assert posts(sandbox) == 2
    assert len(stopped.value._render_traceback_()) == 1
    again = BackgroundPush(partial(resume, settings=settings), what="resume", changed=changes).start()
    assert again.wait().ok
    assert len(sandbox.table()) == 40
    assert posts(sandbox) == 4


def test_a_stop_ends_a_wait_that_the_vendor_asked_for_and_a_pause(
    sandbox: Sandbox, settings: Settings, plan: Plan, changes: Changes
) -> None:
    sandbox.vendor.troubles.extend([None, None, Reply(503, b"", {"retry-after": "100"})])
    run = begun(plan(), settings, changes)
    changes.until(lambda: any("asks to wait" in note for note in run.notes))
    run.stopped.set()
    with pytest.raises(Interrupted, match="10 of 40 rows accepted"):
        run.wait()
    paused = BackgroundPush(partial(resume, settings=settings), changed=changes)
    paused.pause()
    paused.start()
    changes.until(lambda: paused.counts)
    paused.stopped.set()
    with pytest.raises(Interrupted, match="10 of 40"):
        paused.wait()
    assert push_report(settings=settings).state == "open"


def test_an_interrupt_of_who_waits_stops_the_push(
    sandbox: Sandbox, settings: Settings, plan: Plan, changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.vendor.refuse = hold = Hold(15)
    run = begun(plan(), settings, changes)
    wait = run._ended.wait

    def interrupted(timeout: float) -> bool:
        monkeypatch.setattr(run._ended, "wait", wait)
        hold.reached()
        threading.Timer(0, lambda: (changes.until(run.stopped.is_set), hold.release())).start()
        raise KeyboardInterrupt

    monkeypatch.setattr(run._ended, "wait", interrupted)
    with pytest.raises(Interrupted, match="20 of 40 rows accepted"):
        run.wait()
    assert run.over


def test_a_wrong_token_stops_it_and_the_right_one_is_taken_before_that_of_the_environment(
    settings: Settings, plan: Plan, changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEAK_AUTH_TOKEN", "a-wrong-token")
    run = begun(plan(), settings, changes)
    with pytest.raises(AuthorizationError, match="refused the token") as refused:
        run.wait()
    assert run.report.state == "abandoned"
    assert "a-wrong-token" not in str(refused.value)
    given = Answers(token=SecretStr("the-right-token"))
    right = BackgroundPush(partial(push, plan(), settings=settings), given=given, changed=changes).start()
    assert right.wait().ok
    assert given.token is None


def test_nothing_asks_at_a_prompt(
    settings: Settings, plan: Plan, changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PEAK_AUTH_TOKEN")
    monkeypatch.setattr("toolkit.config.credentials.at_terminal", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda _: pytest.fail("asked"))
    assert settings.questions().wants_token
    with pytest.raises(SettingsError, match="There is no token for"):
        begun(plan(), settings, changes).wait()


def test_what_keeps_a_push_from_going_on_is_said_in_the_words_of_the_errors(
    sandbox: Sandbox, settings: Settings, plan: Plan, changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    future = plan(at="2999-01-01T00:00:00Z")
    with pytest.raises(GuardError, match="1 guard blocked the push"):
        begun(future, settings, changes).wait()
    with monkeypatch.context() as full:
        full.setattr(pq, "write_table", _full)
        with pytest.raises(JournalError, match="No space left on device"):
            begun(plan(), settings, changes).wait()
    assert posts(sandbox) == 0
    sandbox.vendor.troubles.extend([None, None, *[Reply(200, cut=-1)] * 6])
    cut = begun(plan(), settings, changes)
    with pytest.raises(UnreachableError, match="Gave up after 6 tries"):
        cut.wait()
    assert cut.counts == {"accepted": 10, "refused": 0, "unknown": 10, "unsent": 20}
    assert cut.report.counts == cut.counts


def _full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_nothing_of_the_thread_is_printed_and_what_it_warns_of_is_kept(
    settings: Settings, plan: Plan, changes: Changes, monkeypatch: pytest.MonkeyPatch, capfd, recwarn
) -> None:
    monkeypatch.setenv("API_KEY", os.environ["PEAK_AUTH_TOKEN"])
    monkeypatch.delenv("PEAK_AUTH_TOKEN")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr("toolkit.progress.SHOWN_AFTER_S", -1.0)
    run = begun(plan(), settings, changes)
    assert run.wait().ok
    assert run.notes == ["The token comes from API_KEY, which other programs use too: set PEAK_AUTH_TOKEN instead."]
    assert capfd.readouterr() == ("", "")
    assert not [w for w in recwarn if "API_KEY" in str(w.message)]


def test_a_display_that_fails_does_not_stop_a_push(settings: Settings, plan: Plan) -> None:
    def broken(**_: object) -> None:
        raise ValueError("no widget")

    assert BackgroundPush(partial(push, plan(), settings=settings), changed=broken).start().wait().ok

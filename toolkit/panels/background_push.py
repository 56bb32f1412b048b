"""`BackgroundPush`: a push in a thread of its own, without a widget; the kernel stays free meanwhile.

The thread does what `push` does in a cell, with the same journal, lock and sender. Nothing of it is printed: warnings and
notes are kept for whoever shows them. After a restart of the kernel the journal knows what was sent; this object is gone.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Self

import numpy as np

from toolkit.config import Answers
from toolkit.display import Tone
from toolkit.errors import Interrupted
from toolkit.progress import Clock, listened
from toolkit.results import PushReport
from toolkit.sending import FATES, Fate, Pace, Steering, Step

_SHOWN_EVERY_S = 0.25
_ALIVE_EVERY_S = 1.0
_POLL_S = 0.1


class BackgroundPush(Steering):
    """A push, a resume or a dry run in a thread.

    Parameters
    ----------
    work
        Sends, given ``pace=``: ``partial(push, plan, settings=settings)``.
    what
        ``push``, ``resume`` or ``dry run``.
    given
        The token and the yes that would else be asked for at a prompt.
    changed
        Called from the thread when something is new, at most four times a second, and at the end.

    Attributes
    ----------
    over
        Whether it has ended.
    report
        The report, once it has ended; also of a push that stopped before its end.
    error
        What stopped it, if anything did.
    counts
        Rows of each fate.
    n_requests, n_batches, n_retries
        Answers so far, batches of the push, and requests that were, or are, made again.
    batches
        What became of each batch so far, as the tone that shows it.
    sending
        The batches under way, and since when.
    pace
        Requests a second that are allowed at present.
    notes
        What the sender said and warned of.
    answers
        The last answers, newest first: when, tone, and what.
    """

    def __init__(
        self,
        work: Callable[..., PushReport],
        *,
        what: str = "push",
        given: Answers | None = None,
        changed: Callable[[], None] = lambda: None,
        clock: Clock = time.monotonic,
    ) -> None:
        super().__init__()
        self.changed, self.what, self._work, self._clock = changed, what, work, clock
        self._given, self.over = given or Answers(), False
        self.report: PushReport | None = None
        self.error: BaseException | None = None
        self.counts: dict[Fate, int] = {}
        self.n_requests = self.n_batches = self.n_retries = 0
        self.batches: dict[int, Tone] = {}
        self.sending: dict[int, float] = {}
        self.pace = 0.0
        self.notes: list[str] = []
        self.answers: deque[tuple[str, Tone, str]] = deque(maxlen=6)
        self._taken_in, self._shown_at, self._is_new = threading.Event(), float("-inf"), False
        self._began, self._waited_s, self._paused_at, self._n_before = clock(), 0.0, 0.0, 0
        # In the context of who starts it, a message to a panel comes back to the thread that the panel's come from: a
        # running cell does not hold up Stop.
        self._thread = threading.Thread(target=contextvars.copy_context().run, args=(self._run,), daemon=True)

    def start(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def pause(self) -> None:
        """Begin no further request; those under way come to their end."""
        if not self.paused:
            self.paused, self._paused_at, self._is_new = True, self._clock(), True

    def proceed(self) -> None:
        """Go on after a pause."""
        if self.paused:
            self._waited_s += self._clock() - self._paused_at
            self.paused, self._is_new = False, True

    def wait(self) -> PushReport:
        """Wait until it has ended, and return its report; an interrupt of the kernel stops it.

        Raises
        ------
        Interrupted
            If it was stopped; its `report` says what was done.
        ToolkitError
            What stopped it else, as in `push`.
        """
        interrupted = False
        while not self._taken_in.is_set():
            try:
                self._taken_in.wait(_POLL_S)
            except KeyboardInterrupt:  # again and again, if need be: the thread ends within seconds
                interrupted = True
                self.stop()
        if self.error is not None:
            raise self.error
        assert self.report is not None  # noqa: S101 - for mypy
        if interrupted:
            stop = Interrupted("Interrupted: the push had ended already, panel.report says what became of its rows.")
            stop.report = self.report
            raise stop
        return self.report

    @property
    def rate(self) -> float:
        """Answers a second, pauses left out; 0 before the first one."""
        return self.n_requests / self._elapsed_s if self.n_requests else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds that the rest takes at the speed so far; None if that is not known yet."""
        left = self.counts.get("unsent", 0) + self.counts.get("unknown", 0)
        done = sum(self.counts.values()) - left - self._n_before
        return left * self._elapsed_s / done if done > 0 else None

    def check(self) -> None:
        """Show what is new, and raise KeyboardInterrupt if it is stopped."""
        self._show()
        super().check()

    def sleep(self, seconds: float) -> None:
        """Wait, until it is stopped at most; what is new is shown before a long wait."""
        if seconds > _SHOWN_EVERY_S:
            self._show(at_once=True)
        super().sleep(seconds)

    def heard(self, step: Step) -> None:
        """Count a step of the sender."""
        self.counts = dict(zip(FATES, np.bincount(step.fates, minlength=len(FATES)).tolist(), strict=True))
        self.n_batches, self.pace, self._is_new = step.n_batches, step.pace, True
        if step.batch < 0:
            self._began, self._n_before = self._clock(), self.counts["accepted"] + self.counts["refused"]
        elif not step.verdict:
            self.sending[step.batch] = self._clock()
        else:
            self._answered(step)

    def _answered(self, step: Step) -> None:
        self.n_requests += 1
        self.sending.pop(step.batch, None)
        again = step.verdict in ("retry", "lost")
        self.n_retries += again
        before = self.batches.get(step.batch)
        tone: Tone = "bad" if step.n_refused or before == "bad" else "warn" if again or before == "warn" else "good"
        self.batches[step.batch] = tone
        refused = f", {step.n_refused:,} refused" if step.n_refused else ""
        said = f": {step.message}" if step.message else ""
        what = f"{step.status or 'no answer'} request {step.batch + 1} · {step.n_rows:,} rows{refused}{said}"
        now: Tone = "bad" if step.n_refused else "warn" if again or (step.status or 500) >= 400 else "good"
        self.answers.appendleft((f"{datetime.now().astimezone():%H:%M:%S}", now, what))

    @property
    def _elapsed_s(self) -> float:
        now = self._paused_at if self.paused else self._clock()
        return max(now - self._began - self._waited_s, 1e-3)

    def _run(self) -> None:
        try:
            with self._given.given(), listened(self._note):
                self.report = self._work(pace=Pace(steering=self, sleep=self.sleep))
        except BaseException as error:  # noqa: BLE001 - nobody sees what a thread raises: it is shown, and `wait` raises it
            self.error, self.report = error, getattr(error, "report", None)
        self._given.token, self.over = None, True
        self._show(at_once=True)
        self._taken_in.set()

    def _note(self, text: str) -> None:
        self.notes.append(text)
        self._is_new = True

    def _show(self, *, at_once: bool = False) -> None:
        now = self._clock()
        if not at_once and now - self._shown_at < (_SHOWN_EVERY_S if self._is_new else _ALIVE_EVERY_S):
            return
        self._shown_at, self._is_new = now, False
        with suppress(Exception):  # a display that fails does not stop a push
            self.changed()

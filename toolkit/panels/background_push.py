"""`BackgroundPush`: a push in a thread of its own, without a widget; the kernel stays free meanwhile.

The thread does what `push` does in a cell, with the same journal, lock and sender. Nothing of it is printed: warnings
and notes are kept for whoever shows them. After a restart of the kernel this object is
gone, and the journal knows what was sent.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self

import numpy as np
import numpy.typing as npt

from toolkit.config import Answers
from toolkit.errors import Interrupted
from toolkit.results import PushReport
from toolkit.sending import FATES, Fate, Pace, Steering

_SHOWN_EVERY_S = 0.5
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
        Called from the thread, twice a second at most, and at the end.

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
    n_requests, n_retries
        Answers so far, and how many of them mean that the request is made again.
    pace
        Requests a second that are allowed at present.
    notes
        What the sender said and warned of.
    """

    def __init__(
        self,
        work: Callable[..., PushReport],
        *,
        what: str = "push",
        given: Answers | None = None,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__()
        self.what, self.changed, self._work, self._given = what, changed, work, given or Answers()
        self.notes = self._given.notes
        self.report: PushReport | None = None
        self.error: BaseException | None = None
        self.over = False
        self.counts: dict[Fate, int] = {}
        self.n_requests, self.n_retries, self.pace = 0, 0, 0.0
        self._ended, self._shown_at = threading.Event(), float("-inf")
        self._began, self._waited_s, self._paused_at, self._n_before = time.monotonic(), 0.0, 0.0, 0
        # In the context of who starts it, a message to a panel comes back to the thread that the panel's come from: a
        # running cell does not hold up Stop.
        self._thread = threading.Thread(target=contextvars.copy_context().run, args=(self._run,), daemon=True)

    def start(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def pause(self) -> None:
        """Begin no further request, while those under way come to their end; or go on after that."""
        now = time.monotonic()
        if self.paused:
            self._waited_s += now - self._paused_at
        self.paused, self._paused_at = not self.paused, now

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
        while not self._ended.is_set():
            try:
                self._ended.wait(_POLL_S)
            except KeyboardInterrupt:  # again and again, if need be: the thread ends within seconds
                interrupted = True
                self.stopped.set()
                self._show()
        if interrupted and self.error is None:
            self.error = Interrupted("Interrupted: the push had ended already; panel.report says what became of it.")
            self.error.report = self.report
        if self.error is not None or self.report is None:
            raise self.error or Interrupted()
        return self.report

    @property
    def speed(self) -> tuple[float, float | None]:
        """Answers a second, pauses left out, and the seconds that the rest takes like this, if that is known yet."""
        now = self._paused_at if self.paused else time.monotonic()
        elapsed_s = max(now - self._began - self._waited_s, 1e-3)
        left = self.counts.get("unsent", 0) + self.counts.get("unknown", 0)
        done = sum(self.counts.values()) - left - self._n_before
        return self.n_requests / elapsed_s, left * elapsed_s / done if done > 0 else None

    def sleep(self, seconds: float) -> None:
        """Wait, until it is stopped at most; how far it is is shown before."""
        if time.monotonic() - self._shown_at >= _SHOWN_EVERY_S:
            self._show()
        super().sleep(seconds)

    def heard(self, fates: npt.NDArray[np.int8], pace: float, verdict: str) -> None:
        """Count an answer."""
        self.counts = dict(zip(FATES, np.bincount(fates, minlength=len(FATES)).tolist(), strict=True))
        self.pace = pace
        if not verdict:
            self._began, self._n_before = time.monotonic(), self.counts["accepted"] + self.counts["refused"]
        else:
            self.n_requests, self.n_retries = self.n_requests + 1, self.n_retries + (verdict in ("retry", "lost"))

    def _run(self) -> None:
        try:
            self._given.give()
            self.report = self._work(pace=Pace(steering=self, sleep=self.sleep))
        except BaseException as error:  # nobody sees what a thread raises: it is shown, and `wait` raises it
            self.error, self.report = error, getattr(error, "report", None)
        self._given.token, self.over = None, True
        self._show()
        self._ended.set()

    def _show(self) -> None:
        self._shown_at = time.monotonic()
        with suppress(Exception):  # a display that fails does not stop a push
            self.changed()

"""Following a push from another thread, pausing it and stopping it.

The sender calls `check` between requests and while it waits, and `heard` after each attempt and each answer. What runs
in the sender's own thread alone needs neither: an interrupt stops it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Step:
    """What the sender did last: it began, sent a request, or read an answer.

    Attributes
    ----------
    fates
        The present fate of each row, as its place in `FATES`; it goes on to change.
    n_batches
        Batches of the push.
    pace
        Requests a second that are allowed at present.
    batch
        The number of the batch; -1 when the sender begins.
    verdict
        What the answer means; empty if the request was just sent.
    status, message
        Its HTTP status, if there was an answer, and the first reason that it gave.
    n_rows, n_refused
        Rows of the request, and how many of them were refused.
    """

    fates: npt.NDArray[np.int8]
    n_batches: int
    pace: float
    batch: int = -1
    verdict: str = ""
    status: int | None = None
    message: str = ""
    n_rows: int = 0
    n_refused: int = 0


class Steering:
    """Pauses and stops a push from another thread; a `Pace` has one, and its `sleep` may be that of the pace.

    Examples
    --------
    >>> steering = Steering()
    >>> steering.stop()
    >>> steering.sleep(3600)
    Traceback (most recent call last):
        ...
    KeyboardInterrupt
    """

    def __init__(self) -> None:
        self.paused = False
        self._stopped = threading.Event()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Stop as an interrupt does: no further request is made, and the answers under way are awaited for a moment."""
        self._stopped.set()

    def sleep(self, seconds: float) -> None:
        """Wait, until it is stopped at most.

        Raises
        ------
        KeyboardInterrupt
            If it is stopped.
        """
        if self._stopped.wait(seconds):
            raise KeyboardInterrupt

    def check(self) -> None:
        """Raise KeyboardInterrupt if it is stopped."""
        self.sleep(0)

    def heard(self, step: Step) -> None:
        """Take note of a step, in the sender's thread."""

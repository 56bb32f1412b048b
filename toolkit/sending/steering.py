"""Following a push from another thread, pausing it and stopping it.

The sender calls `sleep` between requests and while it waits, and `heard` when it is answered.
"""

from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt


class Steering:
    """Pauses and stops a push from another thread; a `Pace` has one, and its `sleep` may be that of the pace.

    Attributes
    ----------
    paused
        No further request begins while it is true.
    stopped
        Once it is set, the push stops as after an interrupt: no further request is made, and the answers under way are
        awaited for a moment.

    Examples
    --------
    >>> steering = Steering()
    >>> steering.stopped.set()
    >>> try:
    ...     steering.sleep(3600)
    ... except KeyboardInterrupt:
    ...     print("stopped")
    stopped
    """

    def __init__(self) -> None:
        self.paused, self.stopped = False, threading.Event()

    def sleep(self, seconds: float) -> None:
        """Wait, until it is stopped at most.

        Raises
        ------
        KeyboardInterrupt
            If it is stopped.
        """
        if self.stopped.wait(seconds):
            raise KeyboardInterrupt

    def heard(self, fates: npt.NDArray[np.int8], pace: float, verdict: str) -> None:
        """Take note of an answer, in the sender's thread.

        Parameters
        ----------
        fates
            The present fate of each row, as its place in `FATES`; it goes on to change.
        pace
            Requests a second that are allowed at present.
        verdict
            What the answer means; empty when the sender begins.
        """

"""A vendor that holds an answer until the test releases it, and a test that waits for what a thread does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class Hold:
    """Set as ``sandbox.vendor.refuse``: the answer that has the n-th row waits, and so do those after it."""

    def __init__(self, row: int) -> None:
        self._row, self._n, self._turn = row, 0, threading.Lock()
        self._reached, self._released = threading.Event(), threading.Event()

    def __call__(self, row: dict[str, Any]) -> None:
        with self._turn:
            self._n += 1
            held = self._n >= self._row
        if held:
            self._reached.set()
            self._released.wait(60)

    def reached(self) -> None:
        assert self._reached.wait(60)

    def release(self) -> None:
        self._released.set()


class Changes:
    """Called at each change; waits until something holds."""

    def __init__(self) -> None:
        self.n, self._turn = 0, threading.Condition()

    def __call__(self, **_: object) -> None:
        with self._turn:
            self.n += 1
            self._turn.notify_all()

    def until(self, holds: Callable[[], object]) -> None:
        with self._turn:
            assert self._turn.wait_for(holds, timeout=60)

    def pass_by(self, n: int = 3) -> None:
        seen = self.n
        self.until(lambda: self.n >= seen + n)

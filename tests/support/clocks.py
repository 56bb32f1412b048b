"""A clock for tests, which moves only when a caller sleeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from toolkit.sending.pacing import Pace


class Clock:
    """A clock that moves only when a caller sleeps, and by a microsecond when `now` is read."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        self.seconds += 1e-6
        return datetime(2026, 11, 24, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def clock(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    @property
    def pace(self) -> Pace:
        """With one connection, so that requests come in an order that a test can name."""
        return Pace(now=self.now, clock=self.clock, sleep=self.sleep, jitter=lambda: 1.0, connections=1)

"""When the next request may go: under the contract's rate, and after a wait where the vendor asks for one.

Times are seconds. Clock, sleep and jitter are arguments, so that tests wait for nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass
class Limiter:
    """Keep starts at least 1/`per_s` seconds apart, so that no second holds more than `per_s` of them.

    Examples
    --------
    >>> waits = []
    >>> limiter = Limiter(50, clock=lambda: 0.0, sleep=waits.append)
    >>> limiter.wait(); limiter.wait()
    >>> [round(w, 2) for w in waits]
    [0.02]
    """

    per_s: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _next: float = field(default=float("-inf"), init=False)

    def wait(self) -> None:
        """Wait for the next start."""
        now = self.clock()
        if now < self._next:
            self.sleep(self._next - now)
        self._next = max(now, self._next) + 1 / self.per_s


@dataclass(frozen=True)
class Retries:
    """How often and how long: full jitter over a doubling wait, ``Retry-After`` honoured and clamped.

    Attributes
    ----------
    attempts
        Requests for one body, the first one included.
    first_s, longest_s
        The wait after the first failure at most, and after any.
    """

    attempts: int = 6
    first_s: float = 0.5
    longest_s: float = 30.0

    def wait_s(self, attempt: int, retry_after: str | None, jitter: float, now: datetime | None = None) -> float:
        """Return how long to wait after failed attempt number `attempt` (from 1), in seconds.

        Parameters
        ----------
        jitter
            A random number between 0 and 1.

        Examples
        --------
        >>> Retries().wait_s(3, None, 0.5), Retries().wait_s(1, "7", 0.0), Retries().wait_s(1, "9999", 0.0)
        (1.0, 7.0, 30.0)
        """
        backoff = jitter * min(self.longest_s, self.first_s * 2.0 ** (attempt - 1))
        asked = _asked_s(retry_after, now or datetime.now(UTC))
        return min(self.longest_s, asked + backoff) if asked is not None else backoff


def _asked_s(retry_after: str | None, now: datetime) -> float | None:
    if not retry_after:
        return None
    try:
        return max(0.0, float(int(retry_after.strip())))
    except (ValueError, OverflowError):
        pass
    try:
        when = parsedate_to_datetime(retry_after)
    except (ValueError, TypeError):
        return None
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())

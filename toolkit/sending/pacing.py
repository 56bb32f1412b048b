"""When the next request may go: under the contract's rate, and after a wait where the vendor asks for one.

Times are seconds. Clock, sleep and jitter are arguments, so that tests wait for nothing.
"""

from __future__ import annotations

import json
import math
import os
import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from filelock import FileLock, Timeout

from toolkit.errors import JournalError

_STALE_S = 5.0
"""A start kept for later than this is from before the machine's clock began anew."""
_LOCKED_S = 10.0
_MADE_UP_S = 0.5
_MOST_KEPT = 100
_KEPT_BYTES = 4096


@dataclass
class Limiter:
    """Let no second hold more than `per_s` starts, whichever process makes them, and keep them apart.

    What a short hold-up cost is made up for by starts that follow sooner, as long as that holds. Two hundredths of
    the rate are left out, for what the way to the vendor may squeeze together.

    Attributes
    ----------
    path
        A file that all who share the rate read and write, a lock beside it; None for a limiter of one's own.

    Raises
    ------
    JournalError
        If the file cannot be used.

    Examples
    --------
    >>> waits = []
    >>> limiter = Limiter(50, clock=lambda: 0.0, sleep=waits.append)
    >>> limiter.wait(); limiter.wait(); limiter.wait()
    >>> [round(w, 2) for w in waits]
    [0.02, 0.04]
    """

    per_s: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    path: Path | None = None
    _starts: list[float] = field(default_factory=list, init=False)  # the last ones, and when the next would be in time
    _own: list[float] = field(default_factory=list, init=False)  # those reserved that are still to come

    def __post_init__(self) -> None:
        self._gap_s = 1 / (0.98 * self.per_s)
        self._n = math.ceil(min(self.per_s, _MOST_KEPT))
        self._lock = FileLock(self.path.with_suffix(".lock"), timeout=_LOCKED_S, mode=0o600) if self.path else None

    def wait(self, n: int = 1) -> None:
        """Wait for the next start, of `n` that are to follow each other: these are reserved in one go."""
        now = self.clock()
        if not self._own or now - self._own[0] > self._gap_s:  # held up: what is late must not go at once
            self._own = self._reserved(n) if self._lock is None else self._reserved_by_all(self._lock, n)
        if (gap := self._own.pop(0) - self.clock()) > 0:
            self.sleep(gap)

    def _reserved(self, n: int) -> list[float]:
        return [self._next() for _ in range(n)]

    def _next(self) -> float:
        now = self.clock()
        *kept, due = self._starts or [now]
        start = max(now, due)
        if kept:
            start = max(start, kept[-1] + self._gap_s / 4)
        if len(kept) == self._n:
            start = max(start, kept[0] + self._n * self._gap_s)
        due = (due if now - due < _MADE_UP_S else now) + self._gap_s
        self._starts = [*[*kept, start][-self._n :], due]
        return start

    def _reserved_by_all(self, lock: FileLock, n: int) -> list[float]:
        path = self.path or Path()
        try:
            with lock, os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0) as file:
                self._starts = _kept(file.read(_KEPT_BYTES))
                if self._starts and max(self._starts) > self.clock() + _STALE_S:
                    self._starts = []
                starts = self._reserved(n)
                file.seek(0)  # written over and never cut, which a file system would take for a reason to sync
                file.write(json.dumps(self._starts).encode().ljust(_KEPT_BYTES))
        except (OSError, Timeout, NotImplementedError) as error:
            raise JournalError(
                f"The pace that all requests to the target share cannot be kept in {path} ({error}): mend the "
                "folder's permissions, or remove the file and its lock. Nothing more was sent."
            ) from error
        return starts


def _kept(content: bytes) -> list[float]:
    try:
        return [float(start) for start in json.loads(content)]
    except (ValueError, TypeError, RecursionError):
        return []


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


@dataclass(frozen=True)
class Pace:
    """How a push waits: every source of time and chance, so that tests wait for nothing.

    Attributes
    ----------
    now
        The present moment, UTC.
    clock, sleep
        Seconds of a steady clock that all processes of the machine share, and how to let them pass.
    jitter
        A random number between 0 and 1.
    mark
        Six hexadecimal digits, which tell two pushes of one plan apart.
    connections
        Requests under way at once, at most; with one, everything happens in the caller's thread.
    """

    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random
    mark: Callable[[], str] = field(default=lambda: secrets.token_hex(3))
    retries: Retries = field(default_factory=Retries)
    connections: int = 4

    def limiter(self, per_s: float, folder: Path) -> Limiter:
        """Return the limiter that all requests to the target of this folder share."""
        return Limiter(per_s, clock=self.clock, sleep=self.sleep, path=folder / "pace")


def _asked_s(retry_after: str | None, now: datetime) -> float | None:
    if not retry_after:
        return None
    try:
        return max(0.0, float(int(retry_after.strip())))
    except (ValueError, OverflowError):
        pass
    try:
        when = parsedate_to_datetime(retry_after)
        aware = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0.0, (aware - now).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


@dataclass
class Breaker:
    """Opens after failures in a row, and lets one request at a time try until one succeeds.

    It begins with one request as well: a wrong token or address is told by the first answer, before others follow.

    Attributes
    ----------
    threshold
        Failures in a row that open it.
    budget
        Retries that may be spent; `earned` more for each success, never more than it began with.

    Examples
    --------
    >>> breaker = Breaker(threshold=2)
    >>> breaker.succeed(); breaker.slots(4)
    4
    >>> breaker.fail(); breaker.fail(); breaker.open, breaker.slots(4)
    (True, 1)
    """

    threshold: int = 5
    budget: float = 20.0
    earned: float = 0.2
    n_failed: int = field(default=0, init=False)
    _steady: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._full = self.budget

    @property
    def open(self) -> bool:
        """Whether the last requests all failed."""
        return self.n_failed >= self.threshold

    def slots(self, connections: int) -> int:
        """Return how many requests may be under way."""
        return connections if self._steady and not self.open else 1

    def succeed(self) -> None:
        """Note an answer that could be read."""
        self.n_failed, self._steady = 0, True
        self.budget = min(self._full, self.budget + self.earned)

    def fail(self) -> None:
        """Note a request that failed in passing, or whose answer was lost."""
        self.n_failed += 1

    def spend(self) -> bool:
        """Take a retry from the budget; False if it is used up."""
        self.budget -= 1
        return self.budget >= 0

"""Whether the vendor is well: how many requests may be under way, and whether to try again at all."""

from __future__ import annotations

from dataclasses import dataclass, field


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

"""A session of an engine outside the process: statements go out in its dialect, Arrow tables come back.

What a session makes lies in the scratch schema that the user names, under names that begin with ``tk_`` and the run's
own eight digits, and is dropped at its end. A crash leaves it behind: so the first thing that a run makes is a table
whose name carries when its lease ends, by the engine's clock (``tk_1f2e3d4c_lease_1796032776``). It is renewed between
statements; a later run drops what a run whose lease has ended left, and never what another run holds. A lease is a name
and not a row, because a name is made at once on every engine, while Spark cannot update a row.
"""

from __future__ import annotations

import re
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from toolkit.engine.dialect import Dialect, relation_of
from toolkit.engine.embedded import Session, stopping
from toolkit.errors import InputError

LEASE_S = 86_400
"""Seconds that a lease lasts: longer than any one statement, between which it is renewed."""
RENEWED_S = 3_600
LOST = "the connection was lost. Run this again once the server is there; what it left is cleared later."
_OURS = re.compile(r"tk_([0-9a-f]{8})_(?:lease_(\d+)$)?")


class RemoteSession(ABC):
    """A connection to an engine, as a context manager, with the same face as DuckDB's `Session`.

    SQL is in the portable subset (`toolkit.engine.dialect`). The bare names that `register`, `create` and `relation`
    made known stand in it for what lies in the engine.
    """

    dialect: Dialect

    def __init__(self, scratch: str) -> None:
        if not isinstance(scratch, str) or not re.fullmatch("[a-z_][a-z0-9_]*", scratch):
            raise InputError(
                f"scratch cannot be {scratch!r}: give the name of a schema alone, of small letters, digits and _, such "
                "as toolkit_scratch."
            )
        self._scratch, self._run_id = scratch, secrets.token_hex(4)
        self._known: dict[str, str] = {}
        self._lease, self._leased_at = "", 0.0

    @abstractmethod
    def _execute(self, sql: str) -> None:
        """Run a statement of the engine's own."""

    @abstractmethod
    def _fetch(self, sql: str) -> pa.Table:
        """Run a query of the engine's own."""

    @abstractmethod
    def _stream(self, sql: str, n_rows: int) -> Iterator[pa.RecordBatch]:
        """Run a query of the engine's own and yield its rows in their order."""

    @abstractmethod
    def _put(self, place: str, table: pa.Table) -> None:
        """Make a table of a small table's rows."""

    @abstractmethod
    def _stop(self) -> None:
        """Stop the statement that runs, from another thread."""

    @abstractmethod
    def _close(self) -> None:
        """End the connection."""

    @abstractmethod
    def _reason(self, error: Exception) -> str | None:
        """Say what went wrong without a value of a row; None if it is no error of the engine."""

    @abstractmethod
    def names_in(self, schema: str) -> list[str]:
        """Return the tables of a schema; empty if there is no such schema."""

    @abstractmethod
    def schemas(self) -> list[str]:
        """Return the names of all schemas."""

    def written(self, sql: str) -> str:
        """Return a statement as the engine gets it."""
        return self.dialect.write(sql, self._known)

    def table(self, sql: str) -> pa.Table:
        """Run a query and return all of its rows."""
        with self._said():
            return self._fetch(self.written(sql))

    def scalar(self, sql: str) -> Any:
        """Run a query and return the one value of its one row."""
        return self.table(sql).column(0)[0].as_py()

    def batches(self, sql: str, n_rows: int) -> Iterator[pa.RecordBatch]:
        """Run a query and yield its rows, at most `n_rows` at a time.

        On Spark it is run once for each page, so it ends with an ORDER BY that tells all of its rows apart.
        """
        with self._said():
            yield from self._stream(self.written(sql), n_rows)

    def limited(self, seconds: float) -> AbstractContextManager[None]:
        """Stop the statement that runs after so many seconds, with a TimeoutError."""
        return stopping(self._stop, seconds)

    def register(self, name: str, table: pa.Table) -> None:
        """Bring a small table into the engine under a name; it replaces an earlier one of this name."""
        with self._placed(name) as place:
            self._put(place, table)

    def create(self, name: str, select: str) -> None:
        """Keep the rows of a query in the scratch schema under a name; they replace earlier ones of this name."""
        sql = self.written(select)
        with self._placed(name) as place:
            self._create(place, sql)

    def relation(self, sql: str) -> str:
        """Make a table's name, or a query, of the engine's own dialect known; returns its name for ``FROM``."""
        name = f"source_{len(self._known)}"
        self._known[name] = relation_of(sql)
        return name

    def __enter__(self) -> RemoteSession:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):  # the connection is gone, or a statement was interrupted: a later run clears it
            ours = [place for place in self._known.values() if place.startswith(self._place(""))]
            for place in [*ours, self._lease] if self._lease else ours:
                self._execute(f"DROP TABLE IF EXISTS {place}")
        with suppress(Exception):
            self._close()

    def _place(self, name: str) -> str:
        return f"{self._scratch}.tk_{self._run_id}_{name}"

    def _create(self, place: str, select: str) -> None:
        self._execute(f"CREATE TABLE {place} AS {select}")

    @contextmanager
    def _placed(self, name: str) -> Iterator[str]:
        """Give the place of a table of the run, which is held and free; the name stands for it."""
        with self._said():
            if not self._lease:
                self._renew()
            if name in self._known:
                self._execute(f"DROP TABLE IF EXISTS {self._known[name]}")
            self._known[name] = self._place(name)
            yield self._known[name]

    def _renew(self) -> None:
        """Take the run's lease, after clearing what runs left whose lease has ended; or take it once more."""
        now = self._fetch(f"SELECT {self.dialect.clock} AS now").column(0)[0].as_py()
        if not self._lease:
            names = self.names_in(self._scratch)
            if not names:
                with suppress(Exception):  # it may be there, for somebody who may not create one
                    self._execute(f"CREATE SCHEMA IF NOT EXISTS {self._scratch}")
            for name in _ended(names, now):
                with suppress(InputError), self._said():  # it is another role's, who will clear it
                    self._execute(f"DROP TABLE IF EXISTS {self._scratch}.{name}")
        earlier, self._lease, self._leased_at = self._lease, self._place(f"lease_{now + LEASE_S}"), time.monotonic()
        try:
            self._create(self._lease, "SELECT 1 AS held")
        except Exception as error:
            if (reason := self._reason(error)) is None:
                raise
            raise InputError(
                f"The schema {self._scratch} cannot hold temporary results: name as scratch one where you may create "
                f"tables. {self.dialect.name} says: {reason}"
            ) from None
        if earlier and earlier != self._lease:
            self._execute(f"DROP TABLE IF EXISTS {earlier}")

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            if self._lease and time.monotonic() - self._leased_at > RENEWED_S:
                self._renew()
            yield
        except Exception as error:  # its own text may have a cell
            if (reason := self._reason(error)) is None:
                raise
            if self._place("").partition(".")[2] in reason:
                reason += " What this run held is gone, as after a day without use: diff, or validate, again."
            raise InputError(f"{self.dialect.name} says: {reason}") from None


def _ended(names: Iterable[str], now: int) -> list[str]:
    """Return the tables of runs whose last lease has ended, their leases last.

    Examples
    --------
    >>> _ended(["tk_00000001_lease_5", "tk_00000001_a_", "tk_00000002_lease_9", "tk_00000002_a_", "mine"], 7)
    ['tk_00000001_a_', 'tk_00000001_lease_5']
    """
    found, ends = {name: match for name in names if (match := _OURS.match(name))}, dict[str, int]()
    for match in found.values():
        ends[match[1]] = max(ends.get(match[1], 0), int(match[2] or 0))
    return sorted(
        (name for name, match in found.items() if 0 < ends[match[1]] < now), key=lambda name: "_lease_" in name
    )


AnySession = Session | RemoteSession
"""What a station runs its SQL on."""


@dataclass(frozen=True)
class Engine:
    """An engine that holds tables, as `postgres` and `spark` return it.

    Attributes
    ----------
    name
        What it is called in messages.
    """

    name: str
    session: Callable[[], AnySession] = field(repr=False)
    """Open a session, a context manager."""


def opened(name: str, session: Callable[[], AnySession]) -> Engine:
    """Return an engine once it has answered.

    Raises
    ------
    InputError
        If it cannot be reached.
    """
    with session() as tried:
        tried.scalar("SELECT 1 AS one")
    return Engine(name, session)

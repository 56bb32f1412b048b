"""The journal: what was tried and what was answered, written before and after each attempt.

One SQLite file for each target (WAL, ``synchronous=FULL``), the rows of each push beside it as Parquet. A row's
fate is derived, never guessed: *accepted* or *refused* if an answer, or the analyst, said so; *unknown* if an attempt
left and no answer could be read; else *unsent*. Damage is told, never read: rows by their file's digest, the rest by
seals. But for the lock, the only module that imports sqlite3.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import socket
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from toolkit.errors import JournalError, NothingOpenError, OpenPushError
from toolkit.sending.kept_rows import KeptRows
from toolkit.sending.records import FATES, SETTLED, NewPush, PushRecord, Ranges, Receipt
from toolkit.tables import author

TABLES = """
CREATE TABLE IF NOT EXISTS push (
    id TEXT PRIMARY KEY, plan TEXT NOT NULL, target TEXT NOT NULL, state TEXT NOT NULL,
    opened_at TEXT NOT NULL, closed_at TEXT, author TEXT, host TEXT, process INTEGER, n_rows INTEGER NOT NULL,
    n_batches INTEGER NOT NULL, label TEXT NOT NULL, facts TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS one_open_push ON push (target) WHERE state = 'open';
CREATE TABLE IF NOT EXISTS batch (
    push TEXT NOT NULL REFERENCES push, number INTEGER NOT NULL, first INTEGER NOT NULL, stop INTEGER NOT NULL,
    digest TEXT NOT NULL, PRIMARY KEY (push, number));
CREATE TABLE IF NOT EXISTS attempt (
    id INTEGER PRIMARY KEY AUTOINCREMENT, push TEXT NOT NULL REFERENCES push, batch INTEGER NOT NULL,
    rows TEXT NOT NULL, digest TEXT NOT NULL, sent_at TEXT NOT NULL,
    answered_at TEXT, status INTEGER, verdict TEXT, answer TEXT);
CREATE TABLE IF NOT EXISTS receipt (
    id INTEGER PRIMARY KEY AUTOINCREMENT, push TEXT NOT NULL REFERENCES push, batch INTEGER NOT NULL,
    attempt INTEGER, first INTEGER NOT NULL, stop INTEGER NOT NULL, fate TEXT NOT NULL, at TEXT NOT NULL,
    code TEXT, category TEXT, message TEXT, "column" TEXT);
CREATE INDEX IF NOT EXISTS receipt_push ON receipt (push);
CREATE INDEX IF NOT EXISTS attempt_push ON attempt (push);
CREATE TABLE IF NOT EXISTS seal (of TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""

# Each table, by whom its rows are sealed together, and its columns.
PUSH = "id, plan, target, state, opened_at, closed_at, author, host, process, n_rows, n_batches, label, facts"
"""The columns of a push, as `PushRecord` has them."""
_LIST = {"push": ("target", PUSH)}
_PARTS = {
    "batch": ("push", "push, number, first, stop, digest"),
    "attempt": ("push", "id, push, batch, rows, digest, sent_at, answered_at, status, verdict, answer"),
    "receipt": ("push", 'id, push, batch, attempt, first, stop, fate, at, code, category, message, "column"'),
}
LIST, PARTS = (
    {table: f"SELECT {columns} FROM {table} WHERE {owner} = ?" for table, (owner, columns) in tables.items()}
    for tables in (_LIST, _PARTS)
)
"""What the seal of a target covers, and that of a push, as queries."""


def mixed(value: int, table: str, *row: object) -> int:
    """Mix a table row into a seal; mixed in a second time, it is out again."""
    digest = hashlib.blake2b(repr((table, *row)).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return value ^ int.from_bytes(digest) >> 1  # SQLite counts to 2**63


def triggers() -> str:
    """Return what keeps the seals, for a connection that knows the function `mixed`."""
    statements = []
    for table, (owner, columns) in (_LIST | _PARTS).items():
        new, old = (", ".join(f"{side}.{c}" for c in columns.split(", ")) for side in ("NEW", "OLD"))
        added = f"mixed({{}}, '{table}', {new})"
        for event, value in (
            ("INSERT", added.format("value")),
            ("UPDATE", added.format(f"mixed(value, '{table}', {old})")),
        ):
            statements.append(
                f"CREATE TEMP TRIGGER {event}_{table} AFTER {event} ON main.{table} "
                f"BEGIN UPDATE seal SET value = {value} WHERE of = NEW.{owner}; END;"
            )
    return "\n".join(statements)


MAX_ANSWER_CHARACTERS = 64_000

_WAY_OUT = (
    "restore its folder from a copy; or move the folder aside, diff and plan anew: the ledger says what was accepted"
)


class Journal:
    """The journal of one target.

    Parameters
    ----------
    folder
        The target's own folder; private to the user.
    clock
        The present moment, UTC.

    Raises
    ------
    JournalError
        If the file cannot be opened or is no journal.
    """

    def __init__(
        self,
        folder: Path,
        target: str,
        *,
        clock: Callable[[], datetime],
        mark: Callable[[], str] = lambda: secrets.token_hex(3),
    ) -> None:
        self.path = folder / "journal.sqlite"
        self.kept = KeptRows(folder / "rows")
        self._target = target
        self._clock, self._mark = clock, mark
        self._whole: set[str] = set()
        with contextlib.ExitStack() as stack:
            try:
                (folder / "rows").mkdir(mode=0o700, parents=True, exist_ok=True)
                self.path.touch(mode=0o600)
                self._db = sqlite3.connect(self.path, timeout=10, isolation_level=None)
                stack.callback(self._db.close)
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=FULL")
                known = next((folder / "rows").glob("*.parquet"), None)
                if known and not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'push'").fetchone():
                    raise sqlite3.DatabaseError(f"it is empty, though {known.name} belongs to it")
                self._db.executescript(TABLES)
                self._db.create_function("mixed", -1, mixed, deterministic=True)
                self._db.executescript(triggers())
            except (sqlite3.Error, OSError, UnicodeError) as error:  # an error's own words may be damaged
                raise JournalError(
                    f"The journal {self.path} cannot be opened ({error}): mend the folder's permissions, or {_WAY_OUT}."
                ) from error
            if not self._read("SELECT of FROM seal UNION SELECT id FROM push LIMIT ?", 1):
                with self._transaction():  # it is new
                    self._db.execute("INSERT OR IGNORE INTO seal VALUES (?, 0)", (target,))
            self._require_whole(LIST, target)
            stack.pop_all()

    def open_push(self, new: NewPush) -> PushRecord:
        """Enter a new push: its rows first, then its record, so that a crash leaves files nobody names at worst.

        Raises
        ------
        OpenPushError
            If another push to this target is still open.
        """
        self.refuse_if_open()
        push = f"{new.plan[:12]}-{self._mark()}"
        facts = {**new.facts, "kept": self.kept.keep(push, new.rows, new.delivery)}
        who = (author(), socket.gethostname(), os.getpid())
        what = (new.rows.num_rows, len(new.batches), new.label, json.dumps(facts))
        with self._transaction():
            self.refuse_if_open()  # others may have been quicker
            self._db.execute("INSERT INTO seal VALUES (?, 0)", (push,))
            self._db.execute(
                "INSERT INTO push VALUES (?,?,?,'open',?,NULL,?,?,?,?,?,?,?)",
                (push, new.plan, self._target, self._now(), *who, *what),
            )
            self._db.executemany(
                "INSERT INTO batch VALUES (?,?,?,?,?)",
                [(push, b.number, b.first, b.stop, b.digest) for b in new.batches],
            )
        return self.push(push)

    def open_record(self) -> PushRecord | None:
        """Return the open push, if there is one."""
        # Without its index, which no seal covers.
        found = self._read("SELECT id FROM push WHERE target = ? AND +state = 'open'", self._target)
        return self.push(found[0][0]) if found else None

    def push(self, push: str) -> PushRecord:
        """Return the record of a push."""
        found = self._read(f"SELECT {PUSH} FROM push WHERE id = ?", push)
        if not found:
            raise NothingOpenError(f"The journal of target {self._target} has no push {push}.")
        self._require_whole(PARTS, push)
        return PushRecord(*[*found[0][:-1], json.loads(found[0][-1])])

    def pushes(self) -> list[PushRecord]:
        """Return every push, newest first."""
        found = self._read("SELECT id FROM push WHERE target = ? ORDER BY rowid DESC", self._target)
        return [self.push(push) for (push,) in found]

    def settled(self) -> list[PushRecord]:
        """Return the closed pushes of which an analyst settled rows, oldest first."""
        found = self._read(
            "SELECT id FROM push WHERE +state <> 'open' AND id IN (SELECT push FROM receipt WHERE code = ?) "
            "ORDER BY rowid",
            SETTLED,
        )
        return [self.push(push) for (push,) in found]

    def last(self) -> PushRecord:
        """Return the newest push."""
        found = self._read("SELECT id FROM push WHERE target = ? ORDER BY rowid DESC LIMIT 1", self._target)
        if not found:
            raise NothingOpenError(f"Nothing was pushed to target {self._target} from here yet.")
        return self.push(found[0][0])

    def require_open(self) -> PushRecord:
        """Return the open push.

        Raises
        ------
        NothingOpenError
            If there is none.
        """
        record = self.open_record()
        if record is None:
            raise NothingOpenError(f"There is no open push to target {self._target}: nothing waits.")
        return record

    def rows(self, push: str) -> pa.Table:
        """Return the rows of a push, in the order of its plan."""
        return self.kept.rows(self.push(push))

    def batches(self, push: str) -> list[tuple[int, int, int, str]]:
        """Return (number, first row, row after the last, digest of the body) of each batch."""
        return self._read("SELECT number, first, stop, digest FROM batch WHERE push = ? ORDER BY number", push)

    def together(self) -> contextlib.AbstractContextManager[None]:
        """Enter what follows, all of it or nothing, in one write to the disk."""
        return self._transaction()

    def begin(self, push: str, batch: int, rows: Ranges, digest: str) -> int:
        """Enter an attempt, before it is made; returns its number."""
        with self._transaction():
            cursor = self._db.execute(
                "INSERT INTO attempt (push, batch, rows, digest, sent_at) VALUES (?,?,?,?,?)",
                (push, batch, json.dumps(rows), digest, self._now()),
            )
        return int(cursor.lastrowid or 0)

    def end(
        self,
        push: str,
        batch: int,
        attempt: int,
        *,
        status: int | None,
        verdict: str,
        answer: str,
        receipts: Iterable[Receipt],
    ) -> None:
        """Enter the answer to an attempt and what it said of the rows, both or neither."""
        now, said = self._now(), attrgetter("code", "category", "message", "column")
        with self._transaction():
            self._db.execute(
                "UPDATE attempt SET answered_at = ?, status = ?, verdict = ?, answer = ? WHERE id = ?",
                (now, status, verdict, answer[:MAX_ANSWER_CHARACTERS], attempt),
            )
            self._db.executemany(
                'INSERT INTO receipt (push, batch, attempt, first, stop, fate, at, code, category, message, "column")'
                " VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                [(push, batch, attempt, r.first, r.stop, r.fate, now, *said(r)) for r in receipts],
            )

    def enter(self, push: str, receipts: Iterable[Receipt]) -> None:
        """Enter what became of rows, where no answer says it."""
        columns = "push, batch, first, stop, fate, at, code, category, message"
        with self._transaction():
            self._db.executemany(
                f"INSERT INTO receipt ({columns}) VALUES (?,?,?,?,?,?,?,?,?)",
                [
                    (push, r.batch, r.first, r.stop, r.fate, self._now(), r.code, r.category, r.message)
                    for r in receipts
                ],
            )

    def close(self, push: str, *, state: Literal["done", "abandoned"]) -> None:
        """Close a push: nothing of it waits any more."""
        with self._transaction():
            self._db.execute("UPDATE push SET state = ?, closed_at = ? WHERE id = ?", (state, self._now(), push))

    def receipts(self, push: str) -> list[Receipt]:
        """Return what answers said, oldest first."""
        code, category, message, column = (f"coalesce({c}, '')" for c in ("code", "category", "message", '"column"'))
        columns = f"first, stop, fate, {code}, {category}, {message}, at, batch, id, {column}"
        found = self._read(f"SELECT {columns} FROM receipt WHERE push = ? ORDER BY id", push)
        return [Receipt(*row) for row in found]

    def attempts(self, push: str) -> pd.DataFrame:
        """Return each attempt: batch, when it was sent and answered, status, verdict, the answer's raw text."""
        columns = ["id", "batch", "sent_at", "answered_at", "status", "verdict", "digest", "answer"]
        found = self._read(f"SELECT {', '.join(columns)} FROM attempt WHERE push = ? ORDER BY id", push)
        return pd.DataFrame(found, columns=columns)

    def fates(self, push: str) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_]]:
        """Return each row's fate (its place in `FATES`), and whether the row is settled: not to be sent again."""
        n_rows = self.push(push).n_rows
        fates = np.full(n_rows, FATES.index("unsent"), dtype=np.int8)
        settled = np.zeros(n_rows, dtype=np.bool_)
        # An attempt without an answer (a crash) may have left, as one whose answer could not be read.
        left = "SELECT rows FROM attempt WHERE push = ? AND coalesce(verdict, 'lost') = 'lost'"
        for (rows,) in self._read(left, push):
            for first, stop in json.loads(rows):
                fates[first:stop] = FATES.index("unknown")
        for receipt in self.receipts(push):
            fates[receipt.first : receipt.stop] = FATES.index(receipt.fate)
            settled[receipt.first : receipt.stop] = True
        return fates, settled

    def nothing_taken(self, push: str) -> bool:
        """Whether the vendor took no request of a push: each row is unsent, and no answer named one.

        So it is after a wrong token, a wrong address, or an outage from the first request on: an attempt is there, and
        its answer says that it was not taken. An attempt without a readable answer may have been taken.
        """
        left = "SELECT 1 FROM attempt WHERE push = ? AND coalesce(verdict, 'lost') = 'lost' LIMIT 1"
        return not self.receipts(push) and not self._read(left, push)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def refuse_if_open(self) -> None:
        """Refuse to begin a push over an open one.

        Raises
        ------
        OpenPushError
            If a push to this target is still open.
        """
        record = self.open_record()
        if record is not None:
            raise OpenPushError(
                f"Push {record.id} to target {record.target} is still open: {record.author} began it at "
                f"{record.opened_at[:19]}Z on {record.host}. Go on with 'resume', or close it with 'abandon'."
            )

    def _sealed(self, queries: dict[str, str], of: str) -> int:
        value = 0
        for table, query in queries.items():
            for row in self._read(query, of):
                value = mixed(value, table, *row)
        return value

    def _require_whole(self, queries: dict[str, str], of: str) -> None:
        """Refuse what is not as the journal left it; a seal that is missing is a damage like any other."""
        if of in self._whole:
            return
        with self._transaction("BEGIN"):  # one moment, should another process be writing
            seal = self._read("SELECT value FROM seal WHERE of = ?", of)
            if not seal or seal[0][0] != self._sealed(queries, of):
                raise JournalError(f"The journal {self.path} is damaged: {_WAY_OUT}.")
        self._whole.add(of)

    def _read(self, sql: str, value: str | int) -> list[Any]:
        try:
            return self._db.execute(sql, (value,)).fetchall()
        except (sqlite3.Error, UnicodeError) as error:
            raise JournalError(f"The journal {self.path} cannot be read ({error}): {_WAY_OUT}.") from error

    def _now(self) -> str:
        return self._clock().isoformat(timespec="microseconds")

    @contextlib.contextmanager
    def _transaction(self, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
        if self._db.in_transaction:  # a part of what is entered together
            yield
            return
        try:
            try:
                self._db.execute(begin)
                yield
                self._db.execute("COMMIT")
            except BaseException:  # an interrupt too, wherever it comes: what is not whole is not kept
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise
        except (sqlite3.Error, UnicodeError) as error:
            raise JournalError(
                f"The journal {self.path} cannot be written ({error}): free space or mend its permissions, then resume."
            ) from error

"""The journal: what was tried and what was answered, written before and after each attempt.

One SQLite file for each target (WAL, ``synchronous=FULL``), the rows of each push beside it as Parquet. A row's
fate is derived, never guessed: *accepted* or *refused* if an answer, or the analyst, said so; *unknown* if an attempt
left and no answer could be read; else *unsent*. SQLite finds damaged pages, and a digest a damaged file of rows; both
are a JournalError. This is the only module that imports sqlite3.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from toolkit.errors import JournalError, NothingOpenError, OpenPushError
from toolkit.sending.kept_rows import KeptRows
from toolkit.sending.records import FATES, SETTLED, LoadedPush, NewPush, PushRecord, Ranges, Receipt
from toolkit.tables import author

LAYOUT = 1
"""The number of this layout of the tables, kept in the file; another number is refused."""
TABLES = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS push (
    id TEXT PRIMARY KEY, plan TEXT NOT NULL, target TEXT NOT NULL, state TEXT NOT NULL,
    opened_at TEXT NOT NULL, closed_at TEXT, author TEXT, host TEXT, n_rows INTEGER NOT NULL,
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
    code TEXT NOT NULL, category TEXT NOT NULL, message TEXT NOT NULL, "column" TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS receipt_push ON receipt (push);
CREATE INDEX IF NOT EXISTS attempt_push ON attempt (push);
PRAGMA user_version = {LAYOUT};
COMMIT;
"""
_PUSH = "id, plan, target, state, opened_at, closed_at, author, host, n_rows, n_batches, label, facts"
_RECEIPT = 'first, stop, fate, code, category, message, at, batch, id, "column"'
"""The columns of a push and of a receipt, in the order of `PushRecord` and `Receipt`."""

_OPEN = "target = ? AND state = 'open'"
_MAY_HAVE_ARRIVED = "FROM attempt WHERE push = ? AND coalesce(verdict, 'lost') = 'lost'"
"""Attempts whose answer could not be read, or that a crash left without an answer."""

MAX_ANSWER_CHARACTERS = 64_000

_WAY_OUT = (
    "restore its folder from a copy; or move the folder aside, then diff and plan again: the ledger knows what was "
    "accepted, except by a push that did not end; before an APPEND look into the vendor's table"
)


class Journal:
    """The journal of one target.

    Parameters
    ----------
    folder
        The target's own folder; private to the user. None keeps everything in memory, for a dry run.
    clock
        The present moment, UTC.

    Raises
    ------
    JournalError
        If the file cannot be opened, is not a journal, or has another layout.
    """

    def __init__(
        self,
        folder: Path | None,
        target: str,
        *,
        clock: Callable[[], datetime],
        mark: Callable[[], str] = lambda: secrets.token_hex(3),
    ) -> None:
        self.path = folder / "journal.sqlite" if folder else Path(":memory:")
        self.kept = KeptRows(folder / "rows" if folder else None)
        self._target = target
        self._clock, self._mark = clock, mark
        with contextlib.ExitStack() as stack:
            try:
                if folder:
                    (folder / "rows").mkdir(mode=0o700, parents=True, exist_ok=True)
                    self.path.touch(mode=0o600)
                self._db = sqlite3.connect(self.path, timeout=10, isolation_level=None)
                stack.callback(self._db.close)
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=FULL")
                # Looked for first: another process may make the tables now, and then keep rows.
                kept = next((folder / "rows").glob("*.parquet"), None) if folder else None
                if not self._db.execute("SELECT 1 FROM sqlite_master").fetchone():
                    if kept:
                        raise sqlite3.DatabaseError(f"it is empty, although {kept.name} belongs to it")
                    self._db.executescript(TABLES)
                if self._db.execute("PRAGMA user_version").fetchone() != (LAYOUT,):
                    raise sqlite3.DatabaseError("another version of the toolkit wrote it")
            except (sqlite3.Error, OSError) as error:
                raise JournalError(
                    f"The journal {self.path} cannot be opened ({error}): free disk space, fix the folder's "
                    f"permissions, or {_WAY_OUT}."
                ) from error
            stack.pop_all()

    def open_push(self, new: NewPush) -> PushRecord:
        """Enter a new push: first its rows, then its record, so that a crash leaves at worst files without a record.

        Raises
        ------
        OpenPushError
            If another push to this target is still open.
        """
        self.refuse_if_open()
        push = f"{new.plan[:12]}-{self._mark()}"
        facts = {**new.facts, "kept": self.kept.keep(push, new.rows, new.keys)}
        who = (author(), socket.gethostname(), new.rows.num_rows, len(new.batches), new.label, json.dumps(facts))
        with self.together():
            self.refuse_if_open()  # another process may have been quicker
            self._db.execute(
                "INSERT INTO push VALUES (?,?,?,'open',?,NULL,?,?,?,?,?,?)",
                (push, new.plan, self._target, self._now(), *who),
            )
            self._db.executemany(
                "INSERT INTO batch VALUES (?,?,?,?,?)",
                [(push, b.number, b.first, b.stop, b.digest) for b in new.batches],
            )
        return self.push(push)

    def open_record(self) -> PushRecord | None:
        """Return the open push, if there is one."""
        return next(self._pushes(_OPEN, self._target), None)

    def push(self, push: str) -> PushRecord:
        """Return the record of a push.

        Raises
        ------
        NothingOpenError
            If the journal has no such push.
        """
        return self._one(
            "id = ?", push, f"The journal of target {self._target} has no push {push}: see 'toolkit pushes'."
        )

    def pushes(self) -> list[PushRecord]:
        """Return every push, newest first."""
        return list(self._pushes("target = ? ORDER BY rowid DESC", self._target))

    def settled(self) -> list[PushRecord]:
        """Return the closed pushes of which an analyst settled rows, oldest first."""
        where = "state <> 'open' AND id IN (SELECT push FROM receipt WHERE code = ?) ORDER BY rowid"
        return list(self._pushes(where, SETTLED))

    def last(self) -> PushRecord:
        """Return the newest push that had rows to send.

        Raises
        ------
        NothingOpenError
            If there is none.
        """
        none = f"Nothing was pushed to target {self._target} from here yet."
        return self._one("target = ? AND n_rows > 0 ORDER BY rowid DESC LIMIT 1", self._target, none)

    def require_open(self) -> PushRecord:
        """Return the open push.

        Raises
        ------
        NothingOpenError
            If there is none.
        """
        none = f"There is no open push to target {self._target}: nothing is waiting to be sent."
        return self._one(_OPEN, self._target, none)

    def refuse_if_open(self) -> None:
        """Refuse to begin a push while another one is open.

        Raises
        ------
        OpenPushError
            If a push to this target is still open.
        """
        record = self.open_record()
        if record is not None:
            raise OpenPushError(
                f"Push {record.id} to target {record.target} is still open: {record.author} began it at "
                f"{record.opened_at[:19]}Z on {record.host}. Continue it with 'resume', or close it with 'abandon'."
            )

    def load(self, push: str, *, rows: pa.Table | None = None) -> LoadedPush:
        """Return all that is kept of a push; its rows are read only if they are not in hand already."""
        record = self.push(push)
        receipts = self.receipts(push)
        fates, final = self.fates(record, receipts)
        kept = self.kept.rows(record) if rows is None else rows
        batches = [(first, stop) for _, first, stop, _ in self.batches(push)]
        return LoadedPush(record, kept, receipts, self.attempts(push), fates, final, batches)

    def batches(self, push: str) -> list[tuple[int, int, int, str]]:
        """Return (number, first row, row after the last, digest of the body) of each batch."""
        return self._read("SELECT number, first, stop, digest FROM batch WHERE push = ? ORDER BY number", push)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Write what is entered inside it in one transaction: all of it or nothing."""
        if self._db.in_transaction:  # a part of what is entered together
            yield
            return
        try:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except BaseException:  # also an interrupt between two statements: an incomplete entry is not kept
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise
        except (sqlite3.Error, UnicodeError) as error:  # a text from a terminal may hold half a character
            raise JournalError(
                f"The journal {self.path} cannot be written ({error}): free disk space or fix its permissions, then "
                "resume."
            ) from error

    def begin(self, push: str, batch: int, rows: Ranges, digest: str) -> int:
        """Enter an attempt before it is made; returns its number."""
        with self.together():
            cursor = self._db.execute(
                "INSERT INTO attempt (push, batch, rows, digest, sent_at) VALUES (?,?,?,?,?)",
                (push, batch, json.dumps(rows), digest, self._now()),
            )
        return int(cursor.lastrowid or 0)

    def end(
        self, push: str, attempt: int, *, status: int | None, verdict: str, answer: str, receipts: Iterable[Receipt]
    ) -> None:
        """Enter the answer to an attempt and what it said of the rows: both or neither."""
        with self.together():
            self._db.execute(
                "UPDATE attempt SET answered_at = ?, status = ?, verdict = ?, answer = ? WHERE id = ?",
                (self._now(), status, verdict, answer[:MAX_ANSWER_CHARACTERS], attempt),
            )
            self.enter(push, receipts, attempt=attempt)

    def enter(self, push: str, receipts: Iterable[Receipt], *, attempt: int | None = None) -> None:
        """Enter what became of rows; `attempt` is the one whose answer said so, None if no answer did."""
        now = self._now()
        with self.together():
            self._db.executemany(
                'INSERT INTO receipt (push, batch, attempt, first, stop, fate, at, code, category, message, "column")'
                " VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                [
                    (push, r.batch, attempt, r.first, r.stop, r.fate, now, r.code, r.category, r.message, r.column)
                    for r in receipts
                ],
            )

    def close(self, push: str, *, state: Literal["done", "abandoned"]) -> None:
        """Close a push: nothing of it will be sent any more."""
        with self.together():
            self._db.execute("UPDATE push SET state = ?, closed_at = ? WHERE id = ?", (state, self._now(), push))

    def receipts(self, push: str) -> list[Receipt]:
        """Return what is known to have become of rows, oldest first."""
        return [Receipt(*row) for row in self._read(f"SELECT {_RECEIPT} FROM receipt WHERE push = ? ORDER BY id", push)]

    def attempts(self, push: str) -> pd.DataFrame:
        """Return each attempt: batch, when it was sent and answered, status, verdict, the answer's raw text."""
        columns = ["id", "batch", "sent_at", "answered_at", "status", "verdict", "digest", "answer"]
        found = self._read(f"SELECT {', '.join(columns)} FROM attempt WHERE push = ? ORDER BY id", push)
        return pd.DataFrame(found, columns=columns)

    def fates(
        self, record: PushRecord, receipts: Iterable[Receipt] | None = None
    ) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_]]:
        """Return each row's fate (its place in `FATES`), and whether it is final: such a row is not sent again.

        The receipts of the push are read if they are not in hand already.
        """
        fates = np.full(record.n_rows, FATES.index("unsent"), dtype=np.int8)
        final = np.zeros(record.n_rows, dtype=np.bool_)
        for (rows,) in self._read(f"SELECT rows {_MAY_HAVE_ARRIVED}", record.id):
            for first, stop in json.loads(rows):
                fates[first:stop] = FATES.index("unknown")
        for receipt in self.receipts(record.id) if receipts is None else receipts:
            fates[receipt.first : receipt.stop] = FATES.index(receipt.fate)
            final[receipt.first : receipt.stop] = True
        return fates, final

    def nothing_taken(self, push: str) -> bool:
        """Whether the vendor took no request of a push: each row is unsent, and no answer named one.

        It is true after a wrong token, a wrong address, or an outage from the first request on: each attempt has an
        answer which shows that it was not taken. An attempt without a readable answer may have been taken.
        """
        return not self.receipts(push) and not self._read(f"SELECT 1 {_MAY_HAVE_ARRIVED} LIMIT 1", push)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def _pushes(self, where: str, value: str) -> Iterator[PushRecord]:
        for *columns, facts in self._read(f"SELECT {_PUSH} FROM push WHERE {where}", value):
            yield PushRecord(*[*columns, json.loads(facts)])

    def _one(self, where: str, value: str, none: str) -> PushRecord:
        for record in self._pushes(where, value):
            return record
        raise NothingOpenError(none)

    def _read(self, sql: str, value: str) -> list[Any]:
        try:
            return self._db.execute(sql, (value,)).fetchall()
        except sqlite3.Error as error:
            raise JournalError(f"The journal {self.path} cannot be read ({error}): {_WAY_OUT}.") from error

    def _now(self) -> str:
        return self._clock().isoformat(timespec="microseconds")

"""The journal: what was tried and what was answered, written before and after each attempt.

One SQLite file for each target (WAL, ``synchronous=FULL``), the rows of each push beside it as Parquet. A row's
fate is derived, never guessed: *accepted* or *refused* if an answer said so; *unknown* if an attempt left and no
answer could be read; else *unsent*. The only module that imports sqlite3.
"""

from __future__ import annotations

import contextlib
import getpass
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
import pyarrow.parquet as pq

from toolkit.errors import JournalError, NothingOpenError, OpenPushError
from toolkit.planning import PushPlan
from toolkit.receipts import FATES, PushRecord, Ranges, Receipt

MAX_ANSWER_CHARACTERS = 64_000

_TABLES = """
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
"""


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

    def __init__(self, folder: Path, target: str, *, clock: Callable[[], datetime]) -> None:
        self.path = folder / "journal.sqlite"
        self._rows = folder / "rows"
        self._target = target
        self._clock = clock
        try:
            self._rows.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.touch(mode=0o600)
            self._db = sqlite3.connect(self.path, timeout=10, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_TABLES)
            if len(self._db.execute("SELECT * FROM receipt LIMIT 0").description) == 11:
                self._db.execute('ALTER TABLE receipt ADD COLUMN "column" TEXT')  # a journal from before it
        except (sqlite3.Error, OSError) as error:
            raise JournalError(
                f"The journal {self.path} cannot be opened ({error}): mend the folder's permissions, or "
                "move the damaged file aside and look there for an open push."
            ) from error

    def open_push(self, plan: PushPlan, *, reason: str = "", ledger_version: int = -1) -> PushRecord:
        """Enter a new push: its rows first, then its record, so that a crash leaves a file nobody names at worst.

        Raises
        ------
        OpenPushError
            If another push to this target is still open.
        """
        self.refuse_if_open()
        push = f"{plan.digest[:12]}-{secrets.token_hex(3)}"
        self._keep_rows(push, plan.rows)
        facts = {
            "contract": plan.envelope.contract.name,
            "solution": plan.envelope.solution,
            "operation": plan.envelope.operation,
            "address": plan.address,
            "n_left_out": plan.n_left_out,
            "left_out": plan.left_out,
            "n_quarantined": plan.delivery.n_quarantined,
            "source": plan.delivery.source,
            "reason": reason,
            "ledger_version": ledger_version,
        }
        who = (getpass.getuser(), socket.gethostname(), os.getpid())
        what = (plan.n_rows, plan.n_batches, plan.label, json.dumps(facts))
        try:
            with self._transaction():
                self._db.execute(
                    "INSERT INTO push VALUES (?,?,?,'open',?,NULL,?,?,?,?,?,?,?)",
                    (push, plan.digest, self._target, self._now(), *who, *what),
                )
                self._db.executemany(
                    "INSERT INTO batch VALUES (?,?,?,?,?)",
                    [(push, b.number, b.first, b.stop, b.digest) for b in plan.batches],
                )
        except sqlite3.IntegrityError:
            self.refuse_if_open()
            raise
        return self.push(push)

    def open_record(self) -> PushRecord | None:
        """Return the open push, if there is one."""
        found = self._read("SELECT id FROM push WHERE target = ? AND state = 'open'", self._target)
        return self.push(found[0][0]) if found else None

    def push(self, push: str) -> PushRecord:
        """Return the record of a push."""
        found = self._read("SELECT * FROM push WHERE id = ?", push)
        if not found:
            raise NothingOpenError(f"The journal of target {self._target} has no push {push}.")
        return PushRecord(*[*found[0][:-1], json.loads(found[0][-1])])

    def pushes(self) -> list[PushRecord]:
        """Return every push, newest first."""
        found = self._read("SELECT id FROM push WHERE target = ? ORDER BY rowid DESC", self._target)
        return [self.push(push) for (push,) in found]

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
        try:
            return pq.read_table(self._rows / f"{push}.parquet")
        except (OSError, pa.ArrowException) as error:
            raise JournalError(
                f"The rows of push {push} in {self._rows} cannot be read: restore the file, or abandon "
                "the push and plan it anew from its source."
            ) from error

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

    def leave_out(self, push: str, receipts: list[Receipt]) -> None:
        """Enter that rows will not be sent by this push after all, each with its fate as it stands."""
        with self._transaction():
            self._db.executemany(
                "INSERT INTO receipt (push, batch, first, stop, fate, at, message) VALUES (?,-1,?,?,?,?,?)",
                [(push, r.first, r.stop, r.fate, self._now(), r.message) for r in receipts],
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

    def _keep_rows(self, push: str, rows: pa.Table) -> None:
        path = self._rows / f"{push}.parquet"
        part = path.with_suffix(".part")
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                pq.write_table(rows, file, compression="zstd")
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as error:
            raise JournalError(
                f"The rows of the push cannot be kept in {self._rows} ({error.strerror}): free space "
                "or mend the folder's permissions. Nothing was sent."
            ) from error

    def _read(self, sql: str, value: str) -> list[Any]:
        try:
            return self._db.execute(sql, (value,)).fetchall()
        except sqlite3.Error as error:
            why = f"The journal {self.path} cannot be read ({error}): restore it, or move it aside and plan anew."
            raise JournalError(why) from error

    def _now(self) -> str:
        return self._clock().isoformat(timespec="microseconds")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        if self._db.in_transaction:  # a part of what is entered together
            yield
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except BaseException as error:  # an interrupt too: what is not whole is not kept
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            if isinstance(error, sqlite3.IntegrityError) or not isinstance(error, sqlite3.Error):
                raise
            why = (
                f"The journal {self.path} cannot be written ({error}): free space or mend its permissions, then resume."
            )
            raise JournalError(why) from error


@contextlib.contextmanager
def only_pusher(folder: Path, target: str) -> Iterator[None]:
    """Hold the right to push to a target; the system gives it back when the process dies.

    Raises
    ------
    OpenPushError
        If another process of this machine is pushing to the target right now.
    """
    holder = folder / "pusher.json"
    with contextlib.ExitStack() as stack:
        try:
            lock = sqlite3.connect(folder / "pusher.lock", timeout=0, isolation_level=None)
            stack.callback(lock.close)
            lock.execute("BEGIN EXCLUSIVE")
            holder.write_text(json.dumps({"process": os.getpid(), "host": socket.gethostname()}), encoding="utf-8")
        except (sqlite3.Error, OSError) as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
                raise OpenPushError(
                    f"Another process is pushing to target {target} right now{_named(holder)}: wait until it ends."
                ) from None
            raise JournalError(
                f"The folder {folder} cannot be used ({error}): mend the folder's permissions, or remove pusher.lock "
                "and pusher.json there. Nothing was sent."
            ) from error
        yield


def _named(holder: Path) -> str:
    try:
        who = json.loads(holder.read_text(encoding="utf-8"))
        return f" (process {int(who['process'])} on {who['host']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""

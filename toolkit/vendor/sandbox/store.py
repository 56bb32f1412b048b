"""What the sandbox keeps: one SQLite file with the buffer, the tables, and a log of requests."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from toolkit.errors import SandboxError
from toolkit.vendor.sandbox.checking import COLUMNS, KEY, Attribute

_TABLES = """
CREATE TABLE IF NOT EXISTS buffer (id INTEGER PRIMARY KEY, name TEXT, operation TEXT, at REAL, row TEXT);
CREATE TABLE IF NOT EXISTS written (name TEXT, customer_id TEXT, updated_at TEXT, row TEXT,
    PRIMARY KEY (name, customer_id, updated_at)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attribute (name TEXT, column_ TEXT, facts TEXT, PRIMARY KEY (name, column_));
CREATE TABLE IF NOT EXISTS request (at REAL, method TEXT, path TEXT, status INTEGER, n_rows INTEGER, digest TEXT);
"""


class Store:
    """One file, open in one process or several; each call is one transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._db = sqlite3.connect(path, timeout=30, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_TABLES)
        except (sqlite3.Error, OSError) as error:
            raise SandboxError(
                f"The sandbox's file {path} cannot be opened ({error}): free disk space, or choose another folder."
            ) from error

    def buffer(self, name: str, operation: str, rows: Iterable[dict[str, Any]], at: float) -> None:
        """Store accepted rows; `flush` writes them to the tables."""
        self._write("INSERT INTO buffer (name, operation, at, row) VALUES (?, ?, ?, ?)",
                    [(name, operation, at, json.dumps(row, ensure_ascii=False)) for row in rows])  # fmt: skip

    def flush(self) -> int:
        """Write the buffer to the tables in the order of arrival; returns the number of rows."""
        with self._lock, self._db:
            rows = self._db.execute("SELECT id, name, operation, row FROM buffer ORDER BY id").fetchall()
            for operation, verb in (("UPSERT", "REPLACE"), ("APPEND", "IGNORE")):
                keyed = [
                    (name, row["customer_id"], _utc(row["updated_at"]), text)
                    for _, name, said, text in rows
                    if said == operation and (row := json.loads(text))
                ]
                self._db.executemany(f"INSERT OR {verb} INTO written VALUES (?, ?, ?, ?)", keyed)
            self._db.executemany("DELETE FROM buffer WHERE id = ?", [(row[0],) for row in rows])
        return len(rows)

    def oldest_in_buffer(self) -> float | None:
        """Return when the oldest row in the buffer came."""
        oldest: float | None = self._read("SELECT min(at) FROM (SELECT at FROM buffer ORDER BY id LIMIT 1)")[0][0]
        return oldest

    def table(self, name: str) -> pd.DataFrame:
        """Return a table's rows, every version, in the order of their keys."""
        found = self._read("SELECT row FROM written WHERE name = ? ORDER BY customer_id, updated_at", name)
        columns = [*COLUMNS, *self.attributes(name)]
        frame = pd.DataFrame([json.loads(row) for (row,) in found], columns=columns)
        times = pd.to_datetime(frame["updated_at"], utc=True, format="ISO8601").dt.as_unit("us")
        text = {c: "str" for c in COLUMNS if c not in KEY[1:]}
        return frame.assign(updated_at=times).astype(text)

    def names(self) -> list[str]:
        """Return the names of the tables that hold rows or custom columns."""
        return [n for (n,) in self._read("SELECT name FROM written UNION SELECT name FROM attribute ORDER BY name")]

    def attributes(self, name: str) -> dict[str, Attribute]:
        """Return the custom columns of a table."""
        found = self._read("SELECT facts FROM attribute WHERE name = ? ORDER BY rowid", name)
        return {a.name: a for a in (Attribute(**json.loads(facts)) for (facts,) in found)}

    def add_attribute(self, name: str, attribute: Attribute) -> bool:
        """Add a custom column; False if it exists."""
        facts = json.dumps(attribute.__dict__, ensure_ascii=False)
        return self._write("INSERT OR IGNORE INTO attribute VALUES (?, ?, ?)", [(name, attribute.name, facts)]) == 1

    def log(self, at: float, method: str, path: str, status: int, n_rows: int, digest: str) -> None:
        """Log a request, without its headers."""
        self._write("INSERT INTO request VALUES (?, ?, ?, ?, ?, ?)", [(at, method, path, status, n_rows, digest)])

    def requests(self) -> pd.DataFrame:
        """Return the log of requests."""
        with self._lock:
            return pd.read_sql_query("SELECT * FROM request ORDER BY rowid", self._db)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _write(self, sql: str, rows: list[tuple[Any, ...]]) -> int:
        with self._lock, self._db:
            return self._db.executemany(sql, rows).rowcount

    def _read(self, sql: str, *values: str) -> list[Any]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()


def _utc(text: str) -> str:
    """Return a time in one spelling, so that a version has one key however it was written."""
    time = pd.Timestamp(text)
    return (time.tz_localize("UTC") if time.tzinfo is None else time.tz_convert("UTC")).isoformat()

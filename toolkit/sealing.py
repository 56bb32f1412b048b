"""What the journal keeps, as tables, and the seals that show a change which the journal did not make.

SQLite finds a damaged page, not a damaged number: a single bit may turn row 12 accepted into row 4,108. So each table
row is hashed, and the exclusive or of the hashes of a push (its batches, attempts and receipts), as of the list of
pushes, is kept beside them by triggers, in the transaction that changes them.
"""

from __future__ import annotations

import hashlib

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

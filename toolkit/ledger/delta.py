"""A table in a folder that several machines can write to (Delta Lake); it is only ever appended to.

Commits are atomic and nothing is erased: no data file is vacuumed, no log is cleaned up. The only module that imports
deltalake.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from toolkit.engine import EngineError, Session
from toolkit.errors import LedgerError
from toolkit.files import sync_folder
from toolkit.model import kind_of

VERSION = "ledger_version"
"""The column with the version of the table that its rows made, as their writer saw it: the order of entering."""
_UNUSABLE = re.compile(r"[\[\]^|\\]|%[0-9A-Fa-f]{2}")
"""What deltalake 1.6 misreads in a path, or panics at."""
_TRIES = 10
"""Appends do not conflict, but two that create the table, or add a column, at once do: one of them tries again."""
_AGAIN = "repeat the command, or resume the push: what the vendor accepted is in the journal."
_KEEP_LOGS = PostCommitHookProperties(cleanup_expired_logs=False)  # by default, logs older than 30 days are deleted


def require_usable_folder(folder: Path) -> None:
    """Refuse a folder that cannot contain a Delta table.

    Raises
    ------
    LedgerError
        If its name has a character that Delta tables do not allow.
    """
    if found := _UNUSABLE.search(folder.as_posix()):
        raise LedgerError(
            f"The ledger cannot be in {folder}: a Delta table allows no {found[0]!r} in the name of its folder. Choose "
            "another folder with TOOLKIT_LEDGER."
        )


@dataclass(frozen=True)
class Table:
    """One table of a target, created by the first write.

    Parameters
    ----------
    path
        Its folder.
    target
        The target that it belongs to; a table of another target is refused.
    schema
        Its columns. A column that older files lack is null, one that newer files add is left alone.
    private
        Whether only this user can read the folders that it creates.
    """

    path: Path
    target: str
    schema: pa.Schema
    private: bool = False

    @property
    def version(self) -> int:
        """The number of writes minus one; -1 if there is none."""
        return _version(self._open())

    def query(self, sql: str, *parameters: Any, after: int = -1) -> pa.Table:
        """Run SQL over the table, as ``entries``; the parameters are ``$2``, ``$3`` and so on.

        Parameters
        ----------
        after
            Read only what was added after this version.
        """
        table = self._open()
        files = self._files(table)
        if files and after >= 0:
            files -= self._files(self._open(after))
        source = "FROM read_parquet($1, union_by_name=true)" if files else "FROM nothing WHERE $1 IS NULL"
        with Session({"nothing": self.schema.empty_table()}) as session:  # for the columns that older files lack
            try:
                return session.table(
                    f"WITH entries AS ({source} UNION ALL BY NAME FROM nothing) {sql}",
                    [sorted(files) or None, *parameters],
                )
            except EngineError as error:  # its own words may contain a customer's values
                if (damaged := _unreadable(files, session)) is None:
                    raise
                raise LedgerError(
                    f"The ledger in {self.path} cannot be read: its file {damaged} is lost or damaged "
                    f"({type(error).__name__}). Restore the folder from a copy, or choose another one with "
                    "TOOLKIT_LEDGER."
                ) from None

    def through(self, writer: str) -> int:
        """Return the number of this writer's last append; -1 for none."""
        return _last_number(self._open(), writer)

    def append(self, rows: pa.Table, *, writer: str = "", number: int = 0) -> bool:
        """Append rows in one commit; returns False if this writer has appended this number, or a later one, before.

        Raises
        ------
        LedgerError
            If the table cannot be written, or is another target's.
        """
        marks = [Transaction(writer, number)] if writer else []
        for tries in range(_TRIES):
            table = self._open()
            if writer and number <= _last_number(table, writer):
                return tries > 0  # after a try, it is our own: reported as failed, but it went through
            try:
                for folder in reversed([self.path, *self.path.parents]):  # mkdir's mode is not applied to parents
                    folder.mkdir(mode=0o700 if self.private else 0o777, exist_ok=True)
                before = set(self.path.glob("*.parquet"))
                write_deltalake(
                    str(self.path),
                    _at_version(rows.cast(self.schema), _version(table) + 1),
                    mode="append",
                    name=self.target,
                    schema_mode="merge",
                    commit_properties=CommitProperties(app_transactions=marks),
                    post_commithook_properties=_KEEP_LOGS,
                )
                self._sync(before)
                return True
            except CommitFailedError:
                continue
            except (DeltaError, OSError) as error:
                with contextlib.suppress(LedgerError):
                    if writer and number <= self.through(writer):  # only the checkpoint after it failed
                        return True
                raise LedgerError(
                    f"The ledger in {self.path} cannot be written ({type(error).__name__}): free space or fix its "
                    f"permissions, then {_AGAIN}"
                ) from error
        raise LedgerError(
            f"Somebody else wrote to the ledger in {self.path} at each of {_TRIES} tries: when they are done, {_AGAIN}"
        )

    def _sync(self, before: set[Path]) -> None:
        """Bring a commit to the disk, which deltalake does not do: the journal closes a push once its rows are here."""
        log = self.path / "_delta_log"
        for path in [*(set(self.path.glob("*.parquet")) - before), max(log.glob("*.json"))]:
            with path.open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(self.path)
        sync_folder(log)

    def _files(self, table: DeltaTable | None) -> set[str]:
        # Escaped, since the engine reads a path as a pattern.
        names = [] if table is None else pa.table(table.get_add_actions())["path"].to_pylist()
        return {glob.escape(str(self.path / unquote(name))) for name in names}

    def _open(self, version: int | None = None) -> DeltaTable | None:
        try:
            table = DeltaTable(str(self.path), version=version)
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            raise LedgerError(
                f"The ledger in {self.path} cannot be read ({type(error).__name__}): restore it from a copy, or choose "
                "another one with TOOLKIT_LEDGER."
            ) from error
        if table.metadata().name != self.target:
            raise LedgerError(
                f"The ledger in {self.path} belongs to target {table.metadata().name!r}, not to "
                f"{self.target!r}: check TOOLKIT_TARGET and TOOLKIT_LEDGER."
            )
        if not pa.table(table.get_add_actions()).num_rows:
            return None  # created, and nothing written yet
        self._require_columns(pa.schema(table.schema()))
        return table

    def _require_columns(self, columns: pa.Schema) -> None:
        """Refuse a table of another layout, and one with a column of another data type, which would change values."""
        if not {"push", VERSION} <= set(columns.names):
            raise LedgerError(
                f"The ledger in {self.path} has the layout of an earlier version of the toolkit: choose a new folder "
                "with TOOLKIT_LEDGER, and seed it with the customers that the vendor has."
            )
        wanted = {field.name: field.type for field in self.schema}
        differing = [
            f"{field.name} as {kind_of(field.type)}, not {kind_of(wanted[field.name])}"
            for field in columns
            if field.type != wanted.get(field.name, field.type)
        ]
        if differing:
            raise LedgerError(
                f"The ledger in {self.path} has {'; '.join(differing)}: give the data_type under [[attributes]] in "
                "toolkit.toml as it was sent. If the vendor's column has another type now, choose a new ledger with "
                "TOOLKIT_LEDGER, and seed it with the customers."
            )


def _version(table: DeltaTable | None) -> int:
    return -1 if table is None else int(table.version())


def _last_number(table: DeltaTable | None, writer: str) -> int:
    found = None if table is None else table.transaction_version(writer)
    return -1 if found is None else int(found)


def _at_version(rows: pa.Table, version: int) -> pa.Table:
    place = rows.schema.get_field_index(VERSION)
    return rows.set_column(place, VERSION, pa.repeat(pa.scalar(version, pa.int64()), len(rows)))


def _unreadable(files: set[str], session: Session) -> str | None:
    for file in sorted(files):
        try:
            session.table("FROM read_parquet($1)", [file])
        except EngineError:
            return Path(file).name
    return None

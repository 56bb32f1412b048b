"""A table in a folder that several machines can write to (Delta Lake); it is only ever appended to.

Commits are atomic and nothing is erased: no data file is vacuumed, no log is cleaned up. Small files are merged into
larger ones, and stay where they are. The only module that imports deltalake.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from toolkit.engine import EngineError, Session
from toolkit.errors import LedgerError
from toolkit.files import is_special, keep, sync_folder
from toolkit.model import kind_of

VERSION = "ledger_version"
"""The column with the version of the table that its rows made, as their writer saw it: the order of entering."""
_UNUSABLE = re.compile(r"[\[\]^|\\]|%[0-9A-Fa-f]{2}")
"""What deltalake 1.6 misreads in a path, or panics at."""
_TRIES = 10
"""Appends do not conflict, but two that create the table, or add a column, at once do: one of them tries again."""
_AGAIN = "repeat the command, or resume the push: what the vendor accepted is in the journal."
_LOG = "_delta_log"
_MARGIN = 200_000
"""More bytes than a commit and a data file take besides the rows."""
_MANY, _LARGE = 24, 1 << 20
"""Merge once so many files are smaller than so many bytes: each costs each query about a millisecond. Larger ones stay
as they are, so that what was merged is not written again and again, and a merge holds few rows in memory."""
_NO_FILES = pa.table({"path": pa.array([], pa.string()), "size_bytes": pa.array([], pa.int64())})
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
        Whether only this user can read the folders and files that it creates; if not, they get the mode of the folder
        that the tables of all targets are in.
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
        files = self._files(self._added(table, after) if after >= 0 else _adds(table)["path"].to_pylist())
        return self._rows(table, files, sql, *parameters)

    def _rows(self, table: DeltaTable | None, files: set[str], sql: str, *parameters: Any) -> pa.Table:
        options = "union_by_name=true, hive_partitioning=false"
        source = f"FROM read_parquet($1, {options})" if files else "FROM nothing WHERE $1 IS NULL"
        # `nothing` has the columns that older files lack.
        with Session({"nothing": self.schema.empty_table()}, files=True) as session:
            try:
                if table and files:
                    self._require_types(table, files, session)
                return session.table(
                    f"WITH entries AS ({source} UNION ALL BY NAME FROM nothing) {sql}",
                    [sorted(files) or None, *parameters],
                )
            except EngineError as error:  # its own words may contain a customer's values
                if (damaged := _unreadable(files, session)) is None:
                    raise
                why = f"has the file {damaged}, which is lost or damaged ({type(error).__name__})"
                raise self._refused(why) from None

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
                before = self._made()
                self._require_space(rows.nbytes)
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
                if sum(size < _LARGE for size in _adds(table)["size_bytes"].to_pylist()) >= _MANY:
                    with contextlib.suppress(DeltaError, OSError, LedgerError):  # if not now, the next append tries it
                        self._merge(DeltaTable(str(self.path)))
                return True
            except CommitFailedError:
                continue
            except (DeltaError, OSError) as error:
                with contextlib.suppress(LedgerError):
                    if writer and number <= self.through(writer):  # only the checkpoint after it failed
                        return True
                why = getattr(error, "strerror", type(error).__name__)
                raise LedgerError(
                    f"The ledger in {self.path} cannot be written ({why}): free space or fix its permissions, then "
                    f"{_AGAIN}"
                ) from error
        raise LedgerError(
            f"Somebody else wrote to the ledger in {self.path} at each of {_TRIES} tries: when they are done, {_AGAIN}"
        )

    # deltalake's own `compact` (1.6) lets two at once through: both add the merged rows, which then are there twice. So
    # the commit is made here, by the protocol: a link, as deltalake's own commits are, fails if somebody was faster.
    def _merge(self, table: DeltaTable) -> None:
        """Merge the small files, and the log, of which each push adds some and each query reads all."""
        small = [add["path"] for add in _adds(table).to_pylist() if add["size_bytes"] < _LARGE]
        rows = self._rows(table, self._files(small), "FROM entries")
        schema = pa.schema([field for field in pa.schema(table.schema()) if field.name in rows.column_names])
        before, name = self._inside(), f"merged-{uuid4()}.parquet"
        merged, commit = self.path / name, self.path / f"{name}.json"
        self._require_space(rows.nbytes)
        keep(merged, lambda file: pq.write_table(rows.select(schema.names).cast(schema), file))
        known = merged.stat()
        add = {"path": name, "partitionValues": {}, "size": known.st_size, "dataChange": False}
        actions = [
            {"commitInfo": {"operation": "OPTIMIZE"}},
            *({"remove": {"path": path, "dataChange": False}} for path in small),
            {"add": add | {"modificationTime": int(known.st_mtime * 1000)}},
        ]
        keep(commit, lambda file: file.write("\n".join(map(json.dumps, actions)).encode()))
        for path in (merged, commit):
            self._permit(path)
        try:
            os.link(commit, self.path / _LOG / f"{_version(table) + 1:020}.json")
        finally:
            commit.unlink()
        DeltaTable(str(self.path)).create_checkpoint()
        self._sync(before)

    def _require_space(self, n_bytes: int) -> None:
        disk = shutil.disk_usage(self.path)  # deltalake panics if it is full; some disks do not know
        if disk.total and disk.free < n_bytes + _MARGIN:
            raise OSError(errno.ENOSPC, "No space left on device")

    def _made(self) -> set[Path]:
        """Make the folders that are missing, and return the files that are there."""
        for folder in reversed([self.path / _LOG, self.path, *self.path.parents]):
            if not folder.exists():  # mkdir's mode is not applied to parents
                folder.mkdir(mode=0o700 if self.private else 0o777, exist_ok=True)
                if folder.is_relative_to(self.path.parent):
                    self._permit(folder)
        return self._inside()

    def _inside(self) -> set[Path]:
        return {path for kind in ("*.parquet", f"{_LOG}/*.json", f"{_LOG}/*.parquet") for path in self.path.glob(kind)}

    def _permit(self, path: Path) -> None:
        """Give a new file or folder its mode: deltalake and the umask would choose another one."""
        mode = 0o700 if self.private else stat.S_IMODE(self.path.parent.parent.stat().st_mode)
        with contextlib.suppress(OSError):  # a colleague's, who wrote at the same moment; or the disk knows no modes
            path.chmod(mode if path.is_dir() else mode & 0o666)

    def _sync(self, before: set[Path]) -> None:
        """Bring a commit to the disk, which deltalake does not do: the journal closes a push once its rows are here."""
        for path in self._inside() - before:
            self._permit(path)
            with contextlib.suppress(PermissionError), path.open("rb") as file:  # a colleague's
                os.fsync(file.fileno())
        self._permit(self.path / _LOG / "_last_checkpoint")
        sync_folder(self.path)
        sync_folder(self.path / _LOG)

    def _added(self, table: DeltaTable | None, after: int) -> list[str]:
        """Return the files that later commits added, but for those of a merge: their rows are not new."""
        if after > (newest := _version(table)):
            raise self._refused(f"has no version {after}, which a push names")
        lines = []
        try:
            for version in range(after + 1, newest + 1):
                log = self.path / _LOG / f"{version:020}.json"
                lines += [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
            return [line["add"]["path"] for line in lines if line.get("add", {}).get("dataChange")]
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._damaged(error) from error

    def _files(self, logged: Iterable[str]) -> set[str]:
        """Return the paths of files, escaped, since the engine reads a path as a pattern."""
        if not (named := set(map(unquote, logged))):
            return set()
        # The log may name any file of the machine, another tenant's ledger too.
        for name in named - {entry.name for entry in os.scandir(self.path) if entry.is_file(follow_symlinks=False)}:
            raise self._refused(f"names {name[:300]!r}, which is lost, or no file of its folder: somebody changed it")
        return {glob.escape(str(self.path / name)) for name in named}

    def _require_types(self, table: DeltaTable, files: set[str], session: Session) -> None:
        """Refuse a file that has a column in another data type than the log says: the engine would convert it."""
        session.register("logged", pa.schema(table.schema()).empty_table())
        for wrong in session.table(
            """SELECT parse_filename(file_name) AS file, name FROM parquet_schema($1)
               ANTI JOIN (DESCRIBE logged) ON name = column_name AND duckdb_type = column_type WHERE column_id > 0""",
            [sorted(files)],
        ).to_pylist():
            raise self._refused(
                f"has {wrong['name']!r} of {wrong['file']} in another data type than its log says: somebody changed it"
            )

    def _refused(self, why: str) -> LedgerError:
        return LedgerError(
            f"The ledger in {self.path} cannot be read: it {why}. Restore the folder from a copy, or choose another "
            "one with TOOLKIT_LEDGER."
        )

    def _damaged(self, error: Exception) -> LedgerError:
        return self._refused(f"is damaged, or you may not read it ({type(error).__name__})")

    def _open(self) -> DeltaTable | None:
        log = self.path / _LOG
        try:
            special = [path.name for path in (self.path, log) if is_special(path)]
            for name in special or (_special_in(log) if log.is_dir() else ()):
                raise self._refused(f"contains a link or a pipe, {name!r}: somebody changed it")
            table = DeltaTable(str(self.path))
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            raise self._damaged(error) from error
        if table.metadata().name != self.target:
            raise LedgerError(
                f"The ledger in {self.path} belongs to target {table.metadata().name!r}, not to "
                f"{self.target!r}: check TOOLKIT_TARGET and TOOLKIT_LEDGER."
            )
        if not _adds(table).num_rows:
            return None  # created, and nothing written yet
        self._require_columns(pa.schema(table.schema()))
        if table.protocol().min_reader_version > 1:  # rows may be deleted, or columns renamed, by the log alone
            raise self._refused("leaves out rows or renames columns: another program changed it")
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


def _special_in(folder: Path) -> Iterator[str]:
    """Give the names of what is no file below a folder; a listing says so without a look at each of a year's files."""
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _special_in(Path(entry.path))
        elif not entry.is_file(follow_symlinks=False):
            yield entry.name


def _version(table: DeltaTable | None) -> int:
    return -1 if table is None else int(table.version())


def _adds(table: DeltaTable | None) -> pa.Table:
    """Return the files of a table: ``path`` and ``size_bytes``."""
    return _NO_FILES if table is None else pa.table(table.get_add_actions())


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

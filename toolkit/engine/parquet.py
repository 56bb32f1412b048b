"""Parquet files as tables of the DuckDB inside the process: they stay where they are, and need not fit in memory."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from itertools import accumulate
from pathlib import Path

from toolkit.engine.dialect import is_query
from toolkit.engine.embedded import EngineError, Session, text
from toolkit.engine.session import Engine
from toolkit.errors import InputError, did_you_mean
from toolkit.files import parts_in

_SAID = ("BinderException", "CatalogException", "IOException", "ParserException")
"""Errors whose first line names what the statement names, and no value of a row."""


@cache
def duckdb(*, memory_limit: str = "500MB") -> Engine:
    """Name the DuckDB inside the process, for Parquet files: ``table(engine, "exports/customers.parquet")``.

    Parameters
    ----------
    memory_limit
        How much memory it uses before it writes to the system's temporary folder; Python uses some 200 MB beside it.

    Examples
    --------
    >>> duckdb(memory_limit="512MB")
    Engine(name='DuckDB')
    """
    return Engine("DuckDB", partial(FileSession, memory_limit=memory_limit))


class FileSession(Session):
    """A session whose tables are Parquet files, or folders of them."""

    def relation(self, sql: str) -> str:
        """Return the rows of a file, a folder of files, or a query, for ``FROM``.

        Raises
        ------
        InputError
            If there is no such file, it is not Parquet, or the files of a folder have not the same columns.
        """
        if is_query(sql):
            return super().relation(sql)
        files = _files(Path(sql))
        named = "SELECT list_sort(list(name)) AS names FROM parquet_schema({}) GROUP BY file_name"
        if files.count(",") and self.scalar(f"SELECT count(DISTINCT names) FROM ({named.format(files)})") > 1:
            raise InputError(f"The files in {Path(sql).name} have not the same columns: name one, or a query of them.")
        return f"read_parquet({files}, hive_partitioning=false)"

    def lay(self, name: str, cells: str, path: str) -> None:
        """Make a relation of the rows of files, where they lie, with ``row_``, which counts on from file to file."""
        sizes = self.table(f"SELECT num_rows FROM parquet_file_metadata({_files(Path(path))}) ORDER BY file_name")
        starts = [0, *accumulate(sizes.column(0).to_pylist())][:-1]
        number = f"{starts}[CAST(file_index AS BIGINT) + 1]" if len(starts) > 1 else "0"
        number += " + file_row_number + 1 AS row_"
        self.run(f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT {number}, {cells} FROM {self.relation(path)} AS r")

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            with super()._said():
                yield
        except EngineError as error:
            kind = type(error).__name__
            raise InputError(f"DuckDB says: {str(error).splitlines()[0] if kind in _SAID else f'{kind}.'}") from None


def _files(path: Path) -> str:
    """Return the SQL of the list of files, by name, that a path is or contains."""
    inside = parts_in(path) if path.is_dir() else [path]
    if not path.exists():
        near = did_you_mean(path.name, [p.name for p in path.absolute().parent.glob("*")]) or "."
        raise InputError(f"There is no file or folder {path}{near}")
    if (path / "_delta_log").exists():
        raise InputError(
            f"{path.name} is a Delta table, whose folder keeps deleted rows too: name the files that count, "
            f'table(engine, f"FROM read_parquet({{DeltaTable({str(path)!r}).file_uris()}})").'
        )
    if {p.suffix.lower() for p in inside} != {".parquet"}:
        raise InputError(f"{path.name} is not Parquet: make it so first, validate({str(path)!r}, good='good.parquet').")
    return f"[{', '.join(text(glob.escape(str(p))) for p in inside)}]"

"""A table of an engine, or a query there: what goes wherever a frame goes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from toolkit.engine.dialect import is_query
from toolkit.engine.embedded import Session, quoted
from toolkit.engine.parquet import FileSession
from toolkit.engine.session import AnySession, Engine
from toolkit.errors import InputError, did_you_mean, wrong_kind


@dataclass(frozen=True)
class EngineTable:
    """A table of an engine, or a query in the engine's own SQL.

    Attributes
    ----------
    sql
        The table's name as the engine writes it, or the query; for DuckDB, a path.
    """

    engine: Engine
    sql: str

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return f"the query on {self.engine.name}" if is_query(self.sql) else Path(self.sql).name

    def schema(self, session: AnySession) -> pa.Schema:
        """Return its columns, as a session of its engine gives them.

        Raises
        ------
        InputError
            If there is no such table, or it may not be read.
        """
        source = session.relation(self.sql)
        try:
            return session.table(f"SELECT * FROM {source} AS r LIMIT 0").schema
        except InputError as error:
            if isinstance(session, FileSession) and not is_query(self.sql):
                raise InputError(f"{self.name} is damaged, or not Parquet ({error})") from None
            if is_query(self.sql) or isinstance(session, Session):
                raise
            place, _, name = self.sql.rpartition(".")
            known = session.names_in(place) if place else []
            if name in known:
                raise
            if place and not known and "." not in place:  # a dot: in a catalog, whose schemas are not asked for
                schemas = session.schemas()
                if place.casefold() not in map(str.casefold, schemas):
                    near = did_you_mean(place, schemas) or "."
                    raise InputError(f"{self.engine.name} has no schema {place}{near} ({error})") from None
            near = did_you_mean(name, known) or "."
            raise InputError(f"{self.engine.name} has no table {self.sql}{near} ({error})") from None

    def number(self, session: AnySession, name: str, cells: str) -> None:
        """Make a relation of these cells of each row, and ``row_``, which names it; files stay where they are."""
        if isinstance(session, FileSession) and not is_query(self.sql):
            session.lay(name, cells, self.sql)
        else:
            number = f"CAST({session.dialect.number} AS BIGINT) AS row_"
            session.create(name, f"SELECT {number}, {cells} FROM {session.relation(self.sql)} AS r")

    def first(self, n_rows: int) -> pa.Table:
        """Return some rows of it, at most so many; what Arrow has no type of its own for is text."""
        with self.engine.session() as session:
            names = [(quoted(f.name), isinstance(f.type, pa.BaseExtensionType)) for f in self.schema(session)]
            cells = ", ".join(f"{session.dialect.text(name)} AS {name}" if odd else name for name, odd in names)
            return session.table(f"SELECT {cells} FROM {session.relation(self.sql)} AS r LIMIT {n_rows}")


def table_of(data: object) -> EngineTable | None:
    """Return the table that `data` is, or that it carries as a report does; None if there is none."""
    found = getattr(data, "table", data)
    return found if isinstance(found, EngineTable) else None


def table(engine: Engine, sql: str | Path) -> EngineTable:
    """Name a table of an engine, or a query there, for the stations that take a frame.

    Parameters
    ----------
    engine
        What `duckdb`, `postgres` or `spark` returned.
    sql
        A table's name, such as ``sales.customers``, or a query that begins with SELECT or WITH, in the engine's SQL;
        for DuckDB, the path of a Parquet file, or of a folder of them, in the place of a name.

    Raises
    ------
    InputError
        If there is no such table, or it may not be read.
    """
    if not isinstance(engine, Engine):
        raise wrong_kind(engine, "an engine", "toolkit.engine.postgres(uri, scratch=…)")
    if not isinstance(sql, str | Path):
        raise wrong_kind(sql, "a table's name, or a query,", 'table(engine, "sales.customers")')
    named = EngineTable(engine, str(sql))
    with engine.session() as session:
        named.schema(session)
    return named

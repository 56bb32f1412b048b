"""Tables of quotes, sales, merchants and customer versions, made known to an engine with the same columns each time.

A column is named by its role (``id``, ``moment``, ``price_list`` …), whatever its own name is. An empty text is null,
and a ``moment`` is in UTC. Parquet stays on disk if its columns are of the right types already, and a table of an
engine stays there; other tables are read as `read_customers` reads a source.
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.display import plural
from toolkit.engine import CALENDAR, FLOATS, AnySession, EngineTable, quoted, text
from toolkit.errors import ReadingError, did_you_mean
from toolkit.model import parse_times
from toolkit.reading import Mapping, kind_of, open_source, parquet_fields

Refers = str | Path | pd.DataFrame | EngineTable | Any
"""A table that refers to customers: a file, a frame of pandas or polars, an Arrow table, a table of an engine."""
OPTIONAL = ("merchant", "price_list", "name", "quantity", "price", "value")
"""The roles whose column a table may lack."""
_NUMBERS = OPTIONAL[3:]
_BOUNDS = {"DOUBLE": FLOATS, "TIMESTAMPTZ": CALENDAR}
_BOUNDS["TIMESTAMP"] = CALENDAR.replace("TIMESTAMPTZ", "TIMESTAMP").replace("+00:00", "")
"""What of a type Python has, and a sum can be made of: engines have infinite times and numbers too."""
_CURES = {"time": "write it as 2026-01-31, or as 2026-01-31T12:00:00Z", "number": "write it as 1234.5, without a unit"}


class Stage:
    """What makes tables known to a session, and what it noticed about them.

    Attributes
    ----------
    own
        The vendor's name of a column to what the analyst's tables call it.
    far
        Whether the session is of an engine that holds some of the tables.
    headers
        The names of all columns so far, in lower case.
    notes
        What was assumed or could not be read, for people.
    texts
        The columns of an engine's tables that are text there, and are read as times or numbers.
    """

    def __init__(self, session: AnySession, own: dict[str, str], *, far: bool) -> None:
        self.session, self.own, self.far = session, own, far
        self.headers, self.notes, self.texts = set[str](), list[str](), list[str]()

    def table(self, table: str, data: Refers, roles: dict[str, str]) -> tuple[str, str]:
        """Make `data` known to the session; return its name for people, and its query.

        Parameters
        ----------
        roles
            Each role to the vendor's name of its column.

        Raises
        ------
        InputError
            If `data` is no table, or lacks a column that is needed.
        """
        path = Path(data) if isinstance(data, str | Path) else None
        name = data.name if isinstance(data, EngineTable) else path.name if path else table.rstrip("_")
        choose, fields = partial(self._choose, roles=roles, name=name), dict[str, pa.Field]()
        if isinstance(data, EngineTable):
            schema, source = data.schema(self.session), self.session.relation(data.sql)
            fields = {role: schema.field(at) for role, at in choose(schema.names).items()}
            texts = {role: field.name for role, field in fields.items() if pa.types.is_string(field.type)}
            self.texts += [f"{texts[role]} of {name}" for role in ("moment", *_NUMBERS) if role in texts]
        elif path and not self.far and kind_of(path) == ".parquet":
            source = f"read_parquet({text(glob.escape(str(path)))}, hive_partitioning=false)"
            fields, _ = parquet_fields(path, choose)
        if not fields or None in (self._cell(role, field) for role, field in fields.items()):
            given, source = open_source(data, choose, mapping=Mapping()), f"given_{table}"
            lost = plural(len(given.broken), "record")
            self.notes += [*given.warnings, *([f"{name}: {lost} could not be read."] if given.broken else [])]
            read = pa.table({r: self._typed(r, given.cells[r], name, roles[r]) for r in given.cells.column_names})
            self.session.register(source, read)
            fields = {field.name: field for field in read.schema}
        if "moment" in fields and getattr(fields["moment"].type, "tz", "") is None:
            self.notes.append(f"The times of {name} name no time zone: they are taken as UTC.")
        cells = {role: f"CAST(NULL AS {'DOUBLE' if role in _NUMBERS else 'VARCHAR'})" for role in roles}
        cells |= {role: str(self._cell(role, field)) for role, field in fields.items()}
        if "value" not in fields and "price" in roles:
            cells["value"] = f"{cells['quantity']} * {cells['price']}"
        return name, f"(SELECT {', '.join(f'{cell} AS {role}' for role, cell in cells.items())} FROM {source} AS given)"

    def _choose(self, header: Sequence[str], *, roles: dict[str, str], name: str) -> dict[str, int]:
        places = {column.strip().casefold(): at for at, column in reversed([*enumerate(header)])}
        self.headers |= places.keys()
        found = {}
        for role, column in roles.items():
            own = self.own.get(column, column)
            found[role] = places.get(own.strip().casefold(), places.get(column, -1))
            if found[role] < 0 and role not in OPTIONAL:
                near = did_you_mean(own, header) or "."
                way = f'columns={{"{column}": "…"}}, on the command line --column={column}=…'
                raise ReadingError(f"{name} lacks the column {own}{near} Name it: {way}.")
        return {role: at for role, at in found.items() if at >= 0}

    def _cell(self, role: str, field: pa.Field) -> str | None:
        """Return the SQL of a column as its role has it; None if SQL is not enough to read its type."""
        kind, name, is_a = field.type, quoted(field.name), pa.types
        to, known = "VARCHAR", is_a.is_string(kind) or is_a.is_large_string(kind) or is_a.is_integer(kind)
        if role == "moment":
            to, known = "TIMESTAMPTZ" if self.far else "TIMESTAMP", is_a.is_timestamp(kind) or is_a.is_date(kind)
        elif role in _NUMBERS:
            to, known = "DOUBLE", is_a.is_primitive(kind) or is_a.is_decimal(kind)
        zoned = role == "moment" and not self.far and getattr(kind, "tz", None)  # no calendar is asked for its zone
        cell = f"make_timestamp(epoch_us({name}))" if zoned else f"CAST({name} AS {to})"
        bounded = f"CASE WHEN {cell} {_BOUNDS.get(to)} THEN {cell} END"
        return (f"nullif({cell}, '')" if to == "VARCHAR" else bounded) if known or self.far else None

    def _typed(self, role: str, texts: Any, name: str, column: str) -> Any:
        """Return a column that was read as text in the type of its role; what is not of it is null, and noted."""
        if role not in ("moment", *_NUMBERS):
            return texts
        texts, what = pc.if_else(pc.equal(texts, ""), None, texts), "time" if role == "moment" else "number"
        if role == "moment":
            zone = None if parse_times(texts).naive.any() else "UTC"
            found = pa.array(parse_times(texts, timezone="UTC").values).cast(pa.timestamp("us", zone))
        else:
            found = pa.array(pd.to_numeric(pd.Series(texts, dtype="str"), errors="coerce"), from_pandas=True)
        if n := found.null_count - texts.null_count:
            column = self.own.get(column, column)
            self.notes.append(f"{name}: {plural(n, 'cell')} of {column} could not be read as a {what}: {_CURES[what]}.")
        return found

"""Tables of quotes, sales, merchants and customer versions, made known to an engine with the same columns each time.

A column is named by its role (``id``, ``moment``, ``price_list`` …), whatever its own name is. An empty text is null,
and a ``moment`` is in UTC. Parquet stays on disk if its columns are of the right types already.
"""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from toolkit.display import plural
from toolkit.engine import Session, quoted, text
from toolkit.errors import InputError, ReadingError, did_you_mean
from toolkit.model import as_text, parse_times
from toolkit.reading import TEXT, arrow_reader, kind_of, parquet_fields, read_csv

Refers = str | Path | pd.DataFrame | Any
"""A table that refers to customers: a .csv or .parquet file, a frame of pandas or polars, an Arrow table."""
_NUMBERS = ("quantity", "price", "value")
OPTIONAL = ("merchant", "price_list", *_NUMBERS)
"""The roles whose column a table may lack."""


class Stage:
    """What makes tables known to a session, and what it noticed about them.

    Attributes
    ----------
    own
        The vendor's name of a column to what the analyst's tables call it.
    unused
        The vendor's names in `own` that no table had so far.
    notes
        What was assumed or could not be read, for people.
    """

    def __init__(self, session: Session, own: Mapping[str, str]) -> None:
        self.session, self.own, self.unused, self.notes = session, own, set(own), list[str]()

    def table(self, table: str, data: Refers, roles: Mapping[str, str]) -> str:
        """Make `data` known as `table`, with a column for each role; returns the name of the data.

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
        name = path.name if path else table
        choose = partial(self._choose, roles=roles, name=name)
        if path and kind_of(path) == ".parquet":
            fields, _ = parquet_fields(path, choose)
            if all(_cell(role, "", field.type) for role, field in fields.items()):
                lying = f"read_parquet({text(glob.escape(str(path)))})"
                self._view(table, lying, {role: (f.name, f.type) for role, f in fields.items()}, roles, name)
                return name
            whole = pq.read_table(path, columns=sorted({field.name for field in fields.values()}))
            columns = {role: whole[field.name] for role, field in fields.items()}
        elif path and kind_of(path) in TEXT:
            read = read_csv(path, choose)
            columns = {role: read.cells[role] for role in read.cells.column_names}
            self.notes += [f"{plural(len(read.broken), 'line')} of {name} could not be read."] if read.broken else []
        elif path:
            raise InputError(f"{name} is neither .csv nor .parquet: export it as one of them, or give a frame.")
        elif isinstance(data, pd.DataFrame):
            columns = {role: data.iloc[:, at] for role, at in choose([str(c) for c in data.columns]).items()}
        else:
            whole = arrow_reader(data).read_all()
            columns = {role: whole.column(at) for role, at in choose(whole.column_names).items()}
        typed = pa.table({role: self._typed(role, cells, name) for role, cells in columns.items()})
        self.session.register(f"{table}_given", typed)
        self._view(table, f"{table}_given", {f.name: (f.name, f.type) for f in typed.schema}, roles, name)
        return name

    def _choose(self, header: Sequence[str], *, roles: Mapping[str, str], name: str) -> dict[str, int]:
        places = {column.strip().casefold(): at for at, column in reversed([*enumerate(header)])}
        found = {}
        for role, column in roles.items():
            known = [each for each in (self.own.get(column, column), column) if each.casefold() in places]
            if known:
                found[role] = places[known[0].casefold()]
                self.unused -= {column} if known[0] == self.own.get(column) else set()
            elif role not in OPTIONAL:
                own = self.own.get(column, column)
                near = did_you_mean(own, header) or "."
                raise ReadingError(f"{name} lacks the column {own}{near} Say which one it is, as in {column}=….")
        return found

    def _view(
        self,
        table: str,
        source: str,
        fields: Mapping[str, tuple[str, pa.DataType]],
        roles: Mapping[str, str],
        name: str,
    ) -> None:
        """Name what `source` has by its roles; a role that it lacks is null."""
        cells = {role: _cell(role, quoted(column), kind) for role, (column, kind) in fields.items()}
        if "moment" in fields and getattr(fields["moment"][1], "tz", None) is None:
            self.notes.append(f"The times of {name} name no time zone: they are taken as UTC.")
        if "value" not in cells and {"quantity", "price"} <= cells.keys():
            cells["value"] = f"{cells['quantity']} * {cells['price']}"
        lacking = {role: f"CAST(NULL AS {'DOUBLE' if role in _NUMBERS else 'VARCHAR'})" for role in roles}
        columns = ", ".join(f"{cell} AS {role}" for role, cell in {**lacking, **cells}.items())
        self.session.run(f"CREATE TEMP VIEW {table} AS SELECT {columns} FROM {source}")

    def _typed(self, role: str, cells: Any, name: str) -> Any:
        """Return a column in memory in a type that `_cell` reads; what is not of its type is null, and noted."""
        if isinstance(cells, pd.Series) and cells.dtype != object:
            cells = pa.array(cells, from_pandas=True)
        if isinstance(cells, pa.Array | pa.ChunkedArray) and _cell(role, "", cells.type):
            return cells
        texts = as_text(cells)[0]
        if role in _NUMBERS:
            return pa.array(pd.to_numeric(pd.Series(texts, dtype="str"), errors="coerce"), from_pandas=True)
        if role != "moment":
            return texts
        texts = pc.if_else(pc.equal(texts, ""), None, texts)
        times = parse_times(texts, timezone="UTC")
        if n := int(times.unparsed.sum()):
            self.notes.append(f"{plural(n, 'time')} of {name} could not be read: write them as ISO 8601.")
        naive = parse_times(texts).naive.any()
        return pa.array(times.values).cast(pa.timestamp("us", None if naive else "UTC"))


def _cell(role: str, name: str, kind: pa.DataType) -> str | None:
    """Return the SQL for a column as its role has it; None if SQL is not enough to read the type."""
    if role == "moment":
        if pa.types.is_timestamp(kind) and kind.tz:
            return f"make_timestamp(epoch_us({name}))"  # no calendar is asked for a zone
        return f"CAST({name} AS TIMESTAMP)" if pa.types.is_timestamp(kind) or pa.types.is_date(kind) else None
    if role in _NUMBERS:
        return f"CAST({name} AS DOUBLE)" if pa.types.is_primitive(kind) or pa.types.is_decimal(kind) else None
    plain = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)
    return f"nullif(CAST({name} AS VARCHAR), '')" if plain else None

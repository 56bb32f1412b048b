"""Snowflake and Redshift, written by their documentation. Nobody has run them: docs/engines.md says how to.

The only module that imports Snowflake's driver. Redshift's is no package of Python's: the drivers' manager finds it.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from toolkit.engine.adbc import AdbcSession
from toolkit.engine.dialect import REDSHIFT, SNOWFLAKE
from toolkit.engine.session import Engine, opened
from toolkit.lazy import Library

if TYPE_CHECKING:
    from adbc_driver_manager import dbapi as manager
    from adbc_driver_snowflake import dbapi
else:
    dbapi, manager = Library("adbc_driver_snowflake.dbapi"), Library("adbc_driver_manager.dbapi")


def snowflake(uri: str, *, scratch: str) -> Engine:
    """Name a Snowflake database whose tables the stations take. Written by its documentation, not run.

    Parameters
    ----------
    uri
        Such as ``snowflake://user:password@account/database/schema?warehouse=NAME``.
    scratch
        The schema for what a run holds until its end; created if the user may. Nothing is written elsewhere.

    Raises
    ------
    InputError
        If the driver is not installed, or the database cannot be reached.
    """
    return opened("Snowflake", partial(SnowflakeSession, uri, scratch))


def redshift(uri: str, *, scratch: str) -> Engine:
    """Name a Redshift database whose tables the stations take. Written by its documentation, not run.

    Parameters
    ----------
    uri
        Such as ``redshift://user:password@host:5439/database``.
    scratch
        The schema for what a run holds until its end; created if the user may. Nothing is written elsewhere.

    Raises
    ------
    InputError
        If the driver is not installed, or the database cannot be reached.
    """
    return opened("Redshift", partial(RedshiftSession, uri, scratch))


def _as_known(kind: pa.DataType) -> pa.DataType:
    """Return the type that a result of DuckDB has for whole numbers, which Snowflake has as decimals, and for times."""
    if pa.types.is_decimal(kind) and kind.scale == 0:
        return pa.int64()
    return pa.timestamp("us", "UTC") if pa.types.is_timestamp(kind) and kind.tz else kind


class _WarehouseSession(AdbcSession):
    def _fetch(self, sql: str) -> pa.Table:
        found = super()._fetch(sql)
        with suppress(pa.ArrowInvalid):  # more than 18 digits stay what they are
            return found.cast(pa.schema([field.with_type(_as_known(field.type)) for field in found.schema]))
        return found


class SnowflakeSession(_WarehouseSession):
    """A connection to a Snowflake database, where names without quotes are of upper-case letters."""

    dialect = SNOWFLAKE
    install = "pip install 'customer-toolkit[snowflake]'"
    form = "snowflake://user:password@account/database/schema?warehouse=NAME"
    zone = "ALTER SESSION SET TIMEZONE = 'UTC'"
    listing = "SELECT lower(table_name) FROM information_schema.tables WHERE lower(table_schema) = lower({})"

    def _opened(self) -> Any:
        times = {"adbc.snowflake.sql.client_option.max_timestamp_precision": "microseconds"}  # else those overflow
        return dbapi.connect(self._uri, db_kwargs=times, autocommit=True)

    def _put(self, place: str, table: pa.Table) -> None:
        super()._put(place.upper(), table)


class RedshiftSession(_WarehouseSession):
    """A connection to a Redshift database."""

    dialect = REDSHIFT
    install = "pip install 'customer-toolkit[warehouse]' dbc, then dbc install redshift"
    form = "redshift://user:password@host:5439/database"
    listing = "SELECT table_name FROM svv_tables WHERE table_schema = lower({})"

    def _opened(self) -> Any:
        return manager.connect("redshift", self._uri, autocommit=True)

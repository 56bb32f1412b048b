"""The engines that run SQL: DuckDB inside the process, others beside it. Tables are Arrow tables.

May import: `errors`, `lazy`, `files`. Other packages give an engine tables and SQL, and never use its library.
"""

from toolkit.engine.embedded import EngineError, Session, quoted, text, to_arrow, to_frame
from toolkit.engine.dialect import (
    CALENDAR,
    FLOATS,
    DUCKDB,
    POSTGRESQL,
    REDSHIFT,
    SNOWFLAKE,
    SPARK,
    WORDS,
    Dialect,
    UnwritableError,
)
from toolkit.engine.session import AnySession, Engine, RemoteSession
from toolkit.engine.parquet import duckdb
from toolkit.engine.relation import EngineTable, table, table_of
from toolkit.engine.postgresql import PostgresSession, postgres
from toolkit.engine.spark_connect import SparkSession, spark
from toolkit.engine.warehouses import RedshiftSession, SnowflakeSession, redshift, snowflake

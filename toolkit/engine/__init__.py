"""The engines that run SQL: DuckDB inside the process, others beside it. Tables are Arrow tables.

May import: `errors`, `lazy`, `files`. Other packages give an engine tables and SQL, and never use its library.
"""

from toolkit.engine.embedded import EngineError, Session, quoted, text, to_arrow, to_frame
from toolkit.engine.dialect import CALENDAR, FLOATS, DUCKDB, POSTGRESQL, SPARK, Dialect, UnwritableError
from toolkit.engine.session import LOST, AnySession, Engine, RemoteSession
from toolkit.engine.parquet import duckdb
from toolkit.engine.relation import EngineTable, table, table_of
from toolkit.engine.adbc import PostgresSession, postgres, redshift, snowflake
from toolkit.engine.spark_connect import SparkSession, spark

"""The engine that runs SQL: DuckDB, inside the process. Tables go in and come out as Arrow.

May import: `errors`, `files`. Other packages give it tables and SQL and never use DuckDB itself.
"""

from toolkit.engine.duckdb import EngineError, Session, quoted, text, to_arrow, to_frame

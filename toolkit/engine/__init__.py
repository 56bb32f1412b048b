"""Where SQL runs: embedded DuckDB, fed with Arrow tables and answering in them.

May import: `errors`, `files`. Others hand it tables and SQL, and never see DuckDB itself.
"""

from toolkit.engine.duckdb import EngineError, Session, quoted, text, to_array, to_arrow, to_frame

__all__ = [
    "EngineError",
    "Session",
    "quoted",
    "text",
    "to_array",
    "to_arrow",
    "to_frame",
]

"""Tables as files (.csv, .parquet, .xlsx) that are whole or not there at all, and who wrote them.

May import: `errors`, `files`, `engine`.
"""

from toolkit.tables.author import author
from toolkit.tables.writing import (
    cells_as_text,
    fits_cell,
    text_cell,
    times_as_text,
    with_times_as_text,
    write_sheets,
    write_table,
)

__all__ = [
    "author",
    "cells_as_text",
    "fits_cell",
    "text_cell",
    "times_as_text",
    "with_times_as_text",
    "write_sheets",
    "write_table",
]

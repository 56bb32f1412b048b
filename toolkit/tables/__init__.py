"""Tables as files (.csv, .parquet, .xlsx) that are complete or not there at all, and who wrote them.

May import: `errors`, `files`, `engine`. No other package writes workbooks.
"""

from toolkit.tables.author import author
from toolkit.tables.mapped import on_disk
from toolkit.tables.writing import ENDINGS, Cell, Sheet, cells_as_text, fits_cell, inert_sql, original_cells
from toolkit.tables.writing import original_header, times_as_text, write_sheets, write_table

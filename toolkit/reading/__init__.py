"""A source becomes a delivery: any file, folder, frame or query, through a mapping; nothing is guessed.

May import: `config`, `model` and what is below.
"""

from toolkit.reading.arrow import arrow_reader, parquet_fields, parquet_tables, stream_tables
from toolkit.reading.csv_file import csv_tables, read_csv
from toolkit.reading.customers import TEXT, as_mapping, choose_columns, open_source, read_again, read_customers
from toolkit.reading.customers import to_delivery
from toolkit.reading.mapping import NULL_SPELLINGS, Mapping
from toolkit.reading.part_files import kind_of
from toolkit.reading.suggestion import MappingSuggestion, suggest_mapping
from toolkit.reading.text_table import Table, joined_tables
from toolkit.reading.workbook import read_excel

"""A source becomes a delivery: any file, folder, frame or query, through a mapping; nothing is guessed.

May import: `config`, `model` and what is below.
"""

from toolkit.reading.arrow import arrow_reader, parquet_fields, parquet_tables, stream_tables
from toolkit.reading.csv_file import DELIMITERS, csv_tables, read_csv
from toolkit.reading.customers import ENDINGS, TEXT, Start, as_mapping, choose_columns, open_source, read_again
from toolkit.reading.customers import read_customers, read_start, readable_files, source_name, to_delivery
from toolkit.reading.mapping import NULL_SPELLINGS, Mapping
from toolkit.reading.part_files import kind_of
from toolkit.reading.remembered import Mappings, Remembered, mappings, recall, remember
from toolkit.reading.suggestion import Candidate, MappingSuggestion, Proposal, doubts, suggest_mapping
from toolkit.reading.text_table import Table, joined_tables
from toolkit.reading.workbook import read_excel

"""read_customers(): a file, mapped and typed by the schema, nothing guessed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from toolkit.contract import CUSTOMER
from toolkit.delivery import Delivery
from toolkit.errors import MappingError, ReadingError, did_you_mean
from toolkit.mapping import Mapping
from toolkit.sources import EXCEL_ENDINGS, Table, require_file
from toolkit.sources_csv import read_csv
from toolkit.sources_excel import read_excel
from toolkit.times import Times, parse_times

_TIME = CUSTOMER.key[1]


def read_customers(
    path: str | Path,
    *,
    mapping: Mapping | str | Path | None = None,
    constants: dict[str, str] | None = None,
) -> Delivery:
    """Read a customer file; every cell is text until the schema types it.

    Cells are not trimmed, nothing is guessed: ``00123`` stays what it is, only an empty cell is null, and a cell
    of ``updated_at`` that is not a time keeps its text and fails in validation.

    Parameters
    ----------
    path
        A .csv, .tsv, .txt or .xlsx file.
    mapping
        A `Mapping` or its TOML file. Without one, columns go by their canonical names in any case, and times are
        ISO 8601.
    constants
        Schema column to the value of every row, over the mapping.

    Returns
    -------
    Delivery
        All seven columns: text as ``str``, ``updated_at`` in UTC microseconds, or object where a cell did not
        parse. The index ``source_row`` is the record's number in the file, header and blank lines counted. A
        column that the file does not give is null and not in ``given``. Ragged and broken lines are in
        ``broken``.

    Raises
    ------
    ReadingError
        If the file is not a readable customer table, or a time names no zone and none is stated.
    MappingError
        If the mapping cannot be used, or does not fit the file.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "crm.csv")
    ...     _ = file.write_text("Customer_ID;updated_at\\n00123;2025-01-28T10:00:00Z\\n")
    ...     delivery = read_customers(file, constants={"source": "customer"})
    >>> delivery.given, delivery.frame["customer_id"].tolist()
    (('customer_id', 'updated_at', 'source'), ['00123'])
    >>> delivery.notes
    ('UTF-8, detected', 'delimiter ;, detected')
    """
    path = Path(path)
    rules = mapping if isinstance(mapping, Mapping) else Mapping() if mapping is None else Mapping.load(mapping)
    if constants:
        rules = rules.with_constants(constants)
    require_file(path)
    headers: list[str] = []
    choose = partial(_choose, headers=headers, mapping=rules, path=path)
    if path.suffix.lower() in EXCEL_ENDINGS:
        table = read_excel(path, choose, sheet=rules.sheet, header_row=rules.header_row)
    else:
        table = read_csv(
            path, choose, encoding=rules.encoding, delimiter=rules.delimiter, header_row=rules.header_row
        )
    if not len(table.numbers) and not table.broken:
        raise ReadingError(f"{path.name} has a header and no rows below it: ask for the file again.")
    return _delivery(table, rules, path, headers)

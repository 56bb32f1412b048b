"""A line with one cell too many, as the row that it probably is: a delimiter stands in a cell without quotes."""

from __future__ import annotations

import csv

import pandas as pd

from toolkit.model import ID, NAME, TIME, Delivery
from toolkit.quality.correcting import PATCH, correct
from toolkit.reading import DELIMITERS, Mapping, read_customers


def possible_rows(delivery: Delivery, row: int) -> list[list[str]]:
    """Return the rows that a broken line may be: in each, two neighbours of its cells are joined.

    Empty unless the line has one cell more than the header, which is known of what a mapping read.
    """
    header, (reason, text) = delivery.mapping.get("header", ()), map(str, delivery.broken.loc[row, ["reason", "text"]])
    is_one_more = f"has {len(header) + 1} cells where" in reason and len(text) < 100_000  # the module takes 131,072
    for delimiter in DELIMITERS if is_one_more else "":
        cells = next(csv.reader(text.splitlines(keepends=True), delimiter=delimiter), [])
        if len(cells) == len(header) + 1:
            return [[*cells[:at], delimiter.join(cells[at : at + 2]), *cells[at + 2 :]] for at in range(len(header))]
    return []


def joined_row(delivery: Delivery, row: int) -> pd.DataFrame:
    """Return the row that a broken line with one cell too many probably is, read and corrected as the delivery was.

    The likeliest has the most cells that other rows have too, and a time; a name is likelier than another cell to
    have a delimiter in it.
    """
    rows, header = possible_rows(delivery, row), delivery.mapping["header"]
    cells = pd.DataFrame(rows, columns=header, dtype="str")[[*delivery.names.values()]]
    tried = read_customers(cells, mapping=Mapping.of(delivery.mapping["content"] | {"sheet": None}))
    frame = correct(tried, {n: o for n, o in delivery.corrected.items() if n not in (PATCH, "keep")}).frame
    fits = (tried.frame[ID] == delivery.broken.at[row, ID]).astype(float)  # as it was before corrections
    fits += frame[TIME].map(lambda time: isinstance(time, pd.Timestamp))
    for column in set(delivery.names) - {ID, TIME, NAME}:
        fits += frame[column].isin(delivery.frame[column])
    fits += (frame.index == (header.index(delivery.names[NAME]) if NAME in delivery.names else -1)) / 2
    return frame.loc[[fits.idxmax()]].set_axis([row])

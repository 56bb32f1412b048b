"""Patches: corrections as a file that is looked at, kept, and applied again to the next delivery."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from toolkit.author import author
from toolkit.contract import CUSTOMER, ID
from toolkit.corrections import WHOLE_ROW, changes_between
from toolkit.delivery import Customers, Delivery, as_delivery
from toolkit.display import Result, frame_table, heading, paragraph, plural
from toolkit.errors import CorrectionError, InputError, ReadingError, did_you_mean
from toolkit.sources_csv import read_csv
from toolkit.writing import times_as_text, write_table

PATCH_COLUMNS = (ID, "column", "before", "after", "rule", "who", "when", "source_row", "delivery")
_MARK = re.compile(r'\\*""')


@dataclass(frozen=True, eq=False, repr=False)
class Patch(Result):
    """Corrections, cell by cell, as text.

    Attributes
    ----------
    entries
        One row a cell: ``customer_id`` (as it was before), ``column``, ``before``, ``after`` (null where the cell is
        empty), ``rule``, ``who``, ``when`` (UTC), and the place where it was made: ``source_row`` and ``delivery``,
        the source's digest. A dropped row has the column ``(row)``.
    """

    entries: pd.DataFrame

    @property
    def n_entries(self) -> int:
        """Cells, a dropped row counted as one."""
        return len(self.entries)

    def summary(self) -> str:
        """Say its size and its makers in one line."""
        who = ", ".join(self.entries["who"].dropna().unique()[:5])
        return f"{plural(self.n_entries, 'cell')} of {plural(self.entries[ID].nunique(), 'customer')}, by {who or '?'}"

    def body(self) -> str:
        """Give the entries as an HTML fragment."""
        return heading(f"Patch of {plural(self.n_entries, 'cell')}", level=3) + (
            frame_table(self.entries.drop(columns="delivery")) if self.n_entries else paragraph("No cell.", soft=True)
        )

    def to_frame(self) -> pd.DataFrame:
        """Give the entries."""
        return self.entries

    def to_dict(self) -> dict[str, Any]:
        """Give the counts."""
        return {
            "cells": self.n_entries,
            "by_rule": {str(k): int(v) for k, v in self.entries["rule"].value_counts().items()},
        }

    def write(self, path: str | Path) -> Path:
        r"""Write the patch as .csv or .parquet; returns its path.

        In CSV an empty cell is null, and an empty text is ``""``; a text that looks like that has a backslash before.

        Raises
        ------
        InputError
            If the file cannot be written, or has another ending.
        """
        target = Path(path)
        if target.suffix.lower() not in (".csv", ".parquet"):
            raise InputError(f"{target.name} cannot be written: a patch has a name that ends in .csv or .parquet.")
        frame = self.entries
        if target.suffix.lower() == ".csv":
            frame = frame.assign(**{c: frame[c].map(_marked, na_action="ignore") for c in ("before", "after")})
        return write_table(frame, target)


def patch_between(
    before: Customers, after: Customers, *, rule: str = "by hand", who: str | None = None, when: datetime | None = None
) -> Patch:
    """Return the patch that makes `after` of `before`: edit cells, and get a patch.

    Parameters
    ----------
    before, after
        The same rows by index; a row that `after` lacks was dropped.
    who, when
        By default the present user and moment; another moment names its zone.

    Raises
    ------
    InputError
        If `when` is no time with a zone.
    CorrectionError
        If `after` has rows or columns that `before` lacks.

    Examples
    --------
    >>> before = pd.DataFrame({"customer_id": ["A"], "customer_name": ["Acme Ldt"],
    ...                        "updated_at": pd.to_datetime(["2025-01-28T10:00:00Z"])})
    >>> patch_between(before, before.assign(customer_name="Acme Ltd"), who="jo").entries["after"].tolist()
    ['Acme Ltd']
    """
    old, new = as_delivery(before), as_delivery(after)
    if len(more := new.frame.index.difference(old.frame.index)):
        raise CorrectionError(f"Row {more[0]} is new: a patch changes and drops rows, it adds none.")
    if more_columns := [c for c in new.frame.columns if c not in old.frame.columns]:
        raise CorrectionError(f"{more_columns[0]!r} is a new column: a patch changes the cells of those there are.")
    changes = changes_between(old.frame, new.frame, rule)
    return patch_of(changes, old.frame[ID].reindex(changes["source_row"]), delivery=old, who=who, when=when)


def patch_of(
    changes: pd.DataFrame, ids: Any, *, delivery: Delivery, who: str | None = None, when: datetime | None = None
) -> Patch:
    """Return changes, as `correct` lists them, as a patch; `ids` holds the customer of each."""
    if when is not None and not (isinstance(when, datetime) and when.tzinfo):
        raise InputError("when names no zone, and only you know which one is meant: give it as datetime.now(UTC) does.")
    moment = pd.Timestamp(when) if when is not None else pd.Timestamp.now("UTC")
    entries = pd.DataFrame(
        {
            ID: np.asarray(ids, dtype=object),
            "column": changes["column"].to_numpy(dtype=object),
            "before": times_as_text(changes["before"].astype(object)).to_numpy(dtype=object),
            "after": times_as_text(changes["after"].astype(object)).to_numpy(dtype=object),
            "rule": changes["rule"].to_numpy(dtype=object),
            "who": who or author(),
            "when": moment.tz_convert("UTC").strftime("%Y-%m-%dT%H:%M:%SZ"),
            "source_row": changes["source_row"].to_numpy(),
            "delivery": delivery.digest,
        }
    )
    return Patch(_typed(entries))


def read_patch(path: str | Path) -> Patch:
    """Read a patch that `Patch.write` wrote, or that was written by hand.

    Only ``customer_id, column, before, after`` have to be there.

    Raises
    ------
    CorrectionError
        If there is no such file, it lacks a column, or it names a column that customers do not have.
    """
    path = Path(path)
    try:
        if path.suffix.lower() == ".parquet":
            frame = pd.read_parquet(path)
        elif path.exists():
            frame = _from_csv(path)
        else:
            raise FileNotFoundError
    except FileNotFoundError:
        near = did_you_mean(path.name, (p.name for p in path.parent.glob(f"*{path.suffix}"))) or "."
        raise CorrectionError(f"There is no patch {path}{near} Check the path.") from None
    except (OSError, ValueError, pa.ArrowException, ReadingError):
        raise CorrectionError(
            f"{path.name} is not a patch that can be read: write one with Patch.write, or ask for it again."
        ) from None
    if lacking := [c for c in PATCH_COLUMNS[:4] if c not in frame.columns]:
        raise CorrectionError(f"{path.name} is no patch: it lacks the columns {', '.join(lacking)}.")
    for name in sorted(set(frame["column"].dropna()) - {*CUSTOMER.names, WHOLE_ROW}):
        near = did_you_mean(name, CUSTOMER.names)
        if near or not (name.isidentifier() and name.islower()):  # a custom attribute may have any such name
            raise CorrectionError(f"{path.name} names {name!r}, no column of ours{near or '.'}")
    defaults: dict[str, Any] = {"rule": path.stem, "who": "", "when": "", "source_row": -1, "delivery": ""}
    entries = frame.assign(**{c: v for c, v in defaults.items() if c not in frame.columns})
    return Patch(_typed(entries.fillna(defaults)[list(PATCH_COLUMNS)]))


def _from_csv(path: Path) -> pd.DataFrame:
    # A spreadsheet may have saved it anew, with its own delimiter and encoding.
    table = read_csv(path, lambda header: {name: at for at, name in enumerate(header)}, header_row=1)
    if table.broken:
        line = table.broken[0]
        raise CorrectionError(f"{path.name}: row {line.number:,} cannot be read, {line.reason}. Mend it by hand.")
    frame: pd.DataFrame = table.cells.to_pandas().astype("str")
    frame = frame.mask(frame == "")
    marked = {c: frame[c].map(_unmarked, na_action="ignore").astype("str") for c in ("before", "after") if c in frame}
    return frame.assign(**marked)


def _typed(entries: pd.DataFrame) -> pd.DataFrame:
    kinds: Mapping[str, Any] = {c: "int64" if c == "source_row" else "str" for c in PATCH_COLUMNS}
    rows = pd.to_numeric(entries["source_row"], errors="coerce").fillna(-1)
    return entries.assign(source_row=rows)[list(PATCH_COLUMNS)].astype(kinds).reset_index(drop=True)


def _marked(text: str) -> str:
    return '""' if not text else "\\" + text if _MARK.fullmatch(text) else text


def _unmarked(text: str) -> str:
    return "" if text == '""' else text[1:] if _MARK.fullmatch(text) else text

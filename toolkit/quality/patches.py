"""Patches: corrections as a file that is looked at, kept, and applied again to the next delivery."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from toolkit.display import Result, badges, frame_table, heading, paragraph, plural
from toolkit.errors import CorrectionError, InputError, ReadingError, did_you_mean
from toolkit.model import CUSTOMER, ID, TIME, Customers, Delivery, as_delivery, parse_times
from toolkit.quality.corrections import WHOLE_ROW, changes_between
from toolkit.reading import read_csv
from toolkit.tables import author, cells_as_text, times_as_text, write_table

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


Status = Literal["applied", "done", "stale", "unknown"]


@dataclass(frozen=True, eq=False, repr=False)
class Patched(Result):
    """What `apply_patch` did.

    Attributes
    ----------
    delivery
        The customers with the patch applied, for the next station.
    entries
        The patch's entries with their ``status``: *applied*; *done*, the cell holds ``after`` already; *stale*, it
        holds neither ``before`` nor ``after`` and is left; *unknown*, the customer is not in this delivery.
    """

    delivery: Delivery
    entries: pd.DataFrame

    @property
    def frame(self) -> pd.DataFrame:
        """The customers with the patch applied."""
        return self.delivery.frame

    def count(self, status: Status) -> int:
        """Count the entries of a status."""
        return int((self.entries["status"] == status).sum())

    @property
    def n_applied(self) -> int:
        """Entries that changed a cell."""
        return self.count("applied")

    @property
    def n_done(self) -> int:
        """Entries whose cell holds the new value already."""
        return self.count("done")

    @property
    def n_stale(self) -> int:
        """Entries whose cell holds something else: left as it is."""
        return self.count("stale")

    @property
    def n_unknown(self) -> int:
        """Entries of customers that are not in this delivery."""
        return self.count("unknown")

    def summary(self) -> str:
        """Say the counts in one line."""
        return (
            f"{self.n_applied:,} applied, {self.n_done:,} done before, {self.n_stale:,} stale, "
            f"{self.n_unknown:,} of customers that are not in {self.delivery.source}"
        )

    def body(self) -> str:
        """Give the counts and the stale entries as an HTML fragment."""
        stale = self.entries[self.entries["status"] == "stale"]
        shown = ["source_row", ID, "column", "before", "after", "rule", "who"]
        parts = [
            heading(f"Patch applied to {self.delivery.source}", level=3),
            badges(
                [
                    (self.n_applied, "applied", "good"),
                    (self.n_done, "done before", "good"),
                    (self.n_stale, "stale", "warn"),
                    (self.n_unknown, "not in the delivery", "calm"),
                ]
            ),
        ]
        if len(stale):
            parts += [heading("Stale: the cell holds something else now, and was left"), frame_table(stale[shown])]
        return "".join(parts)

    def to_frame(self) -> pd.DataFrame:
        """Give the entries with their status."""
        return self.entries

    def to_dict(self) -> dict[str, Any]:
        """Give the counts."""
        return {"applied": self.n_applied, "done": self.n_done, "stale": self.n_stale, "unknown": self.n_unknown}


def apply_patch(data: Customers, patch: Patch | str | Path) -> Patched:
    """Apply a patch to a delivery.

    In the delivery that it was made from, an entry goes by its row; in any other by its customer, to every row of
    theirs. A row is dropped in its own delivery only. A line that was set aside comes back as a row where the patch
    fills its cells.

    Raises
    ------
    CorrectionError
        If the patch is a file that cannot be read.
    """
    delivery = as_delivery(data)
    chosen = patch if isinstance(patch, Patch) else read_patch(patch)
    entries = chosen.entries.reset_index(drop=True)
    own = (entries["delivery"] == delivery.digest) & (entries["source_row"] >= 0)
    if not delivery.digest:
        own &= False
    frame, broken = _with_mended_lines(delivery, entries[own])
    text = cells_as_text(frame)
    status = pd.Series("unknown", index=entries.index, dtype=object)
    final = entries.groupby(["delivery", "source_row", ID, "column"], dropna=False)["after"].transform("last")
    dropped: set[Any] = set()
    for _, step in entries.groupby((entries["rule"] != entries["rule"].shift()).cumsum()):
        pairs = _pairs(step, own, text)
        for column, some in pairs.groupby("column", sort=False):
            if column == WHOLE_ROW:
                dropped |= set(some["row"])
                status[some["entry"]] = "applied"
            elif column in text.columns and column in delivery.given:
                _apply_cells(text, str(column), some, entries, final, status)
            else:
                status[some["entry"]] = "stale"  # the delivery says nothing of this column
        gone = own & (entries["column"] == WHOLE_ROW) & (status == "unknown")
        status[gone & entries.index.isin(step.index)] = "done"
    kept = text.loc[~text.index.isin(dropped)]
    broken = broken.loc[~broken.index.isin(entries.loc[own & (entries["column"] == WHOLE_ROW), "source_row"])]
    after = replace(delivery, frame=_typed_frame(kept, frame, delivery), broken=broken)
    return Patched(after, entries.assign(status=status.astype("str")))


def _pairs(step: pd.DataFrame, own: pd.Series[bool], text: pd.DataFrame) -> pd.DataFrame:
    """Return which entry speaks of which row: ``entry, row, column``."""
    mine = own[step.index]
    exact = step[mine & step["source_row"].isin(text.index)]
    found = [pd.DataFrame({"entry": exact.index, "row": exact["source_row"].to_numpy()})]
    others = step[~mine & step[ID].notna() & (step["column"] != WHOLE_ROW)]
    if len(others):
        rows = pd.DataFrame({"row": text.index, "id": text[ID].to_numpy()}).dropna()
        ids = pd.DataFrame({"entry": others.index, "id": others[ID].to_numpy()})
        # An id that was mended is done where the new one stands.
        moved = others[(others["column"] == ID) & others["after"].notna() & ~others[ID].isin(rows["id"])]
        ids = pd.concat([ids, pd.DataFrame({"entry": moved.index, "id": moved["after"].to_numpy()})])
        found.append(ids.merge(rows, on="id")[["entry", "row"]])
    pairs = pd.concat(found)
    return pairs.assign(column=step["column"].reindex(pairs["entry"]).to_numpy())


def _apply_cells(
    text: pd.DataFrame, column: str, some: pd.DataFrame, entries: pd.DataFrame, final: Any, status: pd.Series[Any]
) -> None:
    rows, at = some["row"].to_numpy(), some["entry"].to_numpy()
    cells = text.loc[rows, column].to_numpy(dtype=object)
    wanted = {name: entries[name].to_numpy(dtype=object)[at] for name in ("before", "after")}
    is_before, is_after = _same(cells, wanted["before"]), _same(cells, wanted["after"])
    is_after |= _same(cells, final.to_numpy(dtype=object)[at])
    hit = is_before & ~is_after
    text.loc[rows[hit], column] = wanted["after"][hit]
    for verdict, mask in (("stale", ~hit & ~is_after), ("done", is_after), ("applied", hit)):
        status[at[mask]] = verdict


def _same(one: Any, other: Any) -> Any:
    return (one == other) | (pd.isna(one) & pd.isna(other))


def _with_mended_lines(delivery: Delivery, own: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the frame with rows for the broken lines that the patch fills, and the lines that stay broken."""
    broken = delivery.broken
    mended = broken[broken.index.isin(own.loc[own["column"] != WHOLE_ROW, "source_row"])]
    if mended.empty:
        return delivery.frame, broken
    rows = pd.DataFrame(index=mended.index, columns=delivery.frame.columns, dtype=object).assign(**{ID: mended[ID]})
    frame = pd.concat([delivery.frame.astype(object), rows]).sort_index()
    return frame, broken.drop(index=mended.index)


def _typed_frame(text: pd.DataFrame, frame: pd.DataFrame, delivery: Delivery) -> pd.DataFrame:
    """Give the columns their types back; a time that the patch wrote is parsed as the source's times are."""
    stated = times_as_text(frame[TIME].astype(object)).reindex(text.index)
    moved = ~_same(text[TIME].to_numpy(dtype=object), stated.to_numpy(dtype=object))
    times = frame[TIME].reindex(text.index).astype(object)
    if moved.any():
        cells = pa.chunked_array([pa.array(text.loc[moved, TIME], pa.string(), from_pandas=True)])
        parsed = parse_times(cells, pattern=delivery.datetime, timezone=delivery.timezone, iso_too=True)
        unread = (parsed.unparsed | parsed.naive).to_numpy()
        values = parsed.values.astype(object).to_numpy().copy()
        values[unread] = text.loc[moved, TIME].to_numpy()[unread]
        times[moved] = values
    if times.map(lambda cell: pd.isna(cell) or isinstance(cell, pd.Timestamp)).all():
        times = pd.to_datetime(times, utc=True).astype("datetime64[us, UTC]")
    texts = {c: text[c].astype("str") for c in text.columns if c != TIME}
    return pd.DataFrame({c: times if c == TIME else texts[c] for c in frame.columns}, index=text.index)

"""Patches: corrections as a file that people read and keep, and that is applied again to the next delivery."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from toolkit.display import Markup, Part, Result, code, headline, joined, plural, section
from toolkit.errors import CorrectionError, InputError, wrong_kind
from toolkit.model import ID, TIME, Customers, Delivery, empty_frame, zoned_moment
from toolkit.quality.corrections import WHOLE_ROW, change_parts, changes_between, counted, usable
from toolkit.quality.review_sheet import as_times, changes_in
from toolkit.quality.showing import changes_grid
from toolkit.reading import read_csv
from toolkit.tables import author, cells_as_text, times_as_text, write_table

PATCH_COLUMNS = (ID, "column", "before", "after", "rule", "who", "when", "source_row", "delivery")


@dataclass(frozen=True, eq=False, repr=False)
class Patch(Result):
    """Corrections, cell by cell, as text.

    Attributes
    ----------
    entries
        One row for each cell: ``customer_id`` (as it was before), ``column``, ``before``, ``after`` (null if the cell
        is empty), ``rule``, ``who``, ``when`` (UTC), and the place where it was made: ``source_row`` and
        ``delivery``, the source's digest. A dropped row has the column ``(row)``.
    origin
        The delivery that it was made from, without rows; of a patch that was read from a .csv, nothing is known of it.
    """

    entries: pd.DataFrame
    origin: Delivery = field(default_factory=lambda: Delivery(empty_frame()))

    @property
    def n_entries(self) -> int:
        """Number of cells; a dropped row counts as one."""
        return len(self.entries)

    @property
    def has_findings(self) -> bool:
        """Whether nothing is in it: a review sheet came back as it was sent out."""
        return not self.n_entries

    def summary(self) -> str:
        """Return its size and its authors in one line."""
        who = ", ".join(self.entries["who"].dropna().unique()[:5])
        return f"{counted(self.entries)}, of {plural(self.entries[ID].nunique(), 'customer')}, by {who or '?'}"

    def body(self) -> str:
        """Return the entries as an HTML fragment."""
        return joined(
            headline("Patch", self.summary(), parts=change_parts(self.entries)),
            section("Entries", _shown(self.entries, self.origin, "who", "when")) if self.n_entries else "",
            section("What now", code('patch.write("patch.csv")', "patched = tk.apply_patch(delivery, patch)")),
        )

    def to_frame(self) -> pd.DataFrame:
        """Return the entries."""
        return self.entries

    def to_dict(self) -> dict[str, Any]:
        """Return the counts."""
        by_rule = self.entries["rule"].value_counts().to_dict()
        return {"cells": self.n_entries, "by_rule": {str(rule): int(n) for rule, n in by_rule.items()}}

    def write(self, path: str | Path) -> Path:
        """Write the patch as .csv; returns its path.

        Raises
        ------
        InputError
            If the file cannot be written, or its name has another ending.
        """
        target = Path(path)
        if target.suffix.lower() != ".csv":
            raise InputError(f"{target.name} cannot be written: give the patch a name that ends in .csv.")
        return write_table(self.entries, target)


def patch_between(
    before: Customers, after: Customers, *, rule: str = "by hand", who: str | None = None, when: datetime | None = None
) -> Patch:
    """Return the patch that turns `before` into `after`: edit cells in a copy of the frame, and get a patch.

    Parameters
    ----------
    before, after
        The same rows by index; a row that `after` lacks was dropped.
    who, when
        By default the present user and moment; another moment names its zone.

    Raises
    ------
    InputError
        If `before` or `after` has no customers, or `when` is not a time with a zone.
    CorrectionError
        If `after` has rows or columns that `before` lacks.

    Examples
    --------
    >>> before = pd.DataFrame({"customer_id": ["A"], "customer_name": ["Acme Ldt"],
    ...                        "updated_at": pd.to_datetime(["2025-01-28T10:00:00Z"])})
    >>> patch_between(before, before.assign(customer_name="Acme Ltd"), who="jo").entries["after"].tolist()
    ['Acme Ltd']
    """
    old, new = usable(before), usable(after)
    if len(more := new.frame.index.difference(old.frame.index)):
        raise CorrectionError(f"Row {more[0]} is new: a patch changes and drops rows, it does not add any.")
    if more_columns := [c for c in new.frame.columns if c not in old.frame.columns]:
        raise CorrectionError(f"{more_columns[0]!r} is a new column: a patch changes cells, it does not add a column.")
    changes = changes_between(old.frame, new.frame, rule)
    return patch_of(changes, old.frame[ID], delivery=old, who=who, when=when)


def patch_of(
    changes: pd.DataFrame, ids: pd.Series[Any], *, delivery: Delivery, who: str | None = None, when: Any = None
) -> Patch:
    """Return changes, as `correct` lists them, as a patch of one entry for each cell.

    A cell that several corrections changed goes from its first value to its last. `ids` are the customers before any
    change, by row: by these ids the next delivery, which was not corrected yet, is matched.
    """
    cell = ["source_row", "column"]
    last = changes.drop_duplicates(cell, keep="last")[[*cell, "after", "rule"]]
    net = changes.drop_duplicates(cell)[[*cell, "before"]].merge(last, on=cell)
    entries = net.assign(
        **{ID: ids.reindex(net["source_row"]).to_numpy(object)},
        before=times_as_text(net["before"].astype(object)),
        after=times_as_text(net["after"].astype(object)),
        who=who or author(),
        when=zoned_moment(when, "when").strftime("%Y-%m-%dT%H:%M:%SZ"),
        delivery=delivery.digest,
    )
    return Patch(_typed(entries), replace(delivery, frame=delivery.frame.head(0)))


def read_patch(path: str | Path, *, who: str | None = None) -> Patch:
    """Read a patch that `Patch.write` wrote, or that a person wrote as .csv; or a review sheet (.xlsx) that came back.

    Of a .csv, only the columns ``customer_id, column, before, after`` have to be there.

    Parameters
    ----------
    who
        Who made it, where the file does not say so; for a review sheet by default the present user.

    Raises
    ------
    ReadingError
        If there is no such file, or it is not a readable .csv or workbook.
    CorrectionError
        If it lacks a column, or has a row that cannot be read; for a review sheet as `read_review_sheet` says.
    """
    if not isinstance(path, str | Path):
        raise wrong_kind(path, "a patch, or the path of one", "patch_between(before, after)")
    path = Path(path)
    if path.suffix.lower() == ".xlsx":
        return read_review_sheet(path, who=who)
    # A spreadsheet may have saved it again, with its own delimiter and encoding.
    table = read_csv(path, lambda names: {n: at for at, n in enumerate(names)}, header_row=1, records_in_cells=True)
    if table.broken:
        line = table.broken[0]
        raise CorrectionError(f"{path.name}: row {line.number:,} cannot be read, {line.reason}. Correct it by hand.")
    if lacking := [c for c in PATCH_COLUMNS[:4] if c not in table.header]:
        raise CorrectionError(f"{path.name} is not a patch: it lacks the columns {', '.join(lacking)}.")
    defaults = {"rule": path.stem, "who": who or "", "when": "", "source_row": "", "delivery": ""}
    entries = table.cells.to_pandas().astype("str")
    entries = entries.mask(entries == "")
    return Patch(_typed(entries.assign(**{c: v for c, v in defaults.items() if c not in entries}).fillna(defaults)))


def read_review_sheet(path: str | Path, *, who: str | None = None, when: datetime | None = None) -> Patch:
    """Read a review sheet that came back, as a patch of the cells that were changed in it.

    The data owner may move rows and columns, and add others; a row that is deleted stays as it was. A time is read
    as the source's times are, so it may be written as in the source.

    Parameters
    ----------
    who, when
        By default the present user and moment; another moment names its zone.

    Raises
    ------
    ReadingError
        If there is no such file, or it is not a readable workbook.
    MappingError
        If a sheet of it has another name or is gone.
    CorrectionError
        If it is not a workbook that `ValidationReport.to_excel` wrote, lacks a column, or has a row twice or one that
        was not sent out.
    """
    if not isinstance(path, str | Path):
        raise wrong_kind(path, "the path of a review sheet", 'validate(data).to_excel("review.xlsx")')
    changes, ids, delivery = changes_in(Path(path))
    return patch_of(changes, ids, delivery=delivery, who=who, when=when)


def _shown(entries: pd.DataFrame, delivery: Delivery, *more: str) -> Markup:
    """Show entries in the source's words: a time is text in them, in UTC."""
    times = {s: as_times(entries.loc[entries["column"] == TIME, s], delivery) for s in ("before", "after")}
    cells = {s: found.reindex(entries.index).fillna(entries[s]) for s, found in times.items()}
    return changes_grid("Entries", entries.assign(**cells), names=delivery.names, written=delivery.written, more=more)


def _typed(entries: pd.DataFrame) -> pd.DataFrame:
    """Return the entries in the patch's columns and types; an empty text is null, as in a .csv."""
    rows = pd.to_numeric(entries["source_row"], errors="coerce").fillna(-1).astype("int64")
    texts = entries[list(PATCH_COLUMNS)].astype("str")
    cells = texts[["before", "after"]]
    return texts.assign(source_row=rows, **cells.mask(cells == "")).reset_index(drop=True)


@dataclass(frozen=True, eq=False, repr=False)
class Patched(Result):
    """What `apply_patch` did.

    Attributes
    ----------
    delivery
        The customers with the patch applied, for the next station.
    entries
        The patch's entries with their ``status``: *applied*; *done*, the cell has the new value already; *stale*, the
        cell has neither value, or the delivery lacks the column, and nothing was changed; *unknown*, the delivery has
        no row of the customer, or the entry drops a row of another delivery.
    n_applied, n_done, n_stale, n_unknown
        Entries by status.
    """

    delivery: Delivery
    entries: pd.DataFrame
    n_applied: int
    n_done: int
    n_stale: int
    n_unknown: int

    @property
    def frame(self) -> pd.DataFrame:
        """The customers with the patch applied."""
        return self.delivery.frame

    def summary(self) -> str:
        """Return the counts in one line."""
        return (
            f"{self.n_applied:,} applied, {self.n_done:,} done before, {self.n_stale:,} stale, "
            f"{self.n_unknown:,} without a row in {self.delivery.source}"
        )

    def body(self) -> str:
        """Return the counts and the stale entries as an HTML fragment."""
        parts = [
            Part(self.n_applied, "applied", "good"),
            Part(self.n_done, "done before", "calm", "the cell has the new value already"),
            Part(self.n_stale, "stale", "warn", "the cell has another value now, or the delivery lacks the column"),
            Part(self.n_unknown, "without a row", "unknown", "no row of the customer, or a drop in another file"),
        ]
        order = self.entries.sort_values("status", key=lambda s: s != "stale", kind="stable")
        entries = _shown(order, self.delivery, "who", "status")
        verdict = f"{self.n_applied:,} of {plural(len(self.entries), 'entry')} applied"
        return joined(
            headline(f"Patch applied to {self.delivery.source}", verdict, parts=parts),
            section("Entries", entries, note="stale ones first") if len(self.entries) else "",
            section("What now", code("report = tk.validate(patched)")),
        )

    def to_frame(self) -> pd.DataFrame:
        """Return the entries with their status."""
        return self.entries

    def to_dict(self) -> dict[str, Any]:
        """Return the counts."""
        return {"applied": self.n_applied, "done": self.n_done, "stale": self.n_stale, "unknown": self.n_unknown}


def apply_patch(data: Customers, patch: Patch | str | Path) -> Patched:
    """Apply a patch to a delivery.

    In the delivery that it was made from, an entry is matched by its row; in any other by its customer, to each of
    the customer's rows. A row is dropped in its own delivery only. A line that was set aside because it could not be
    parsed becomes a row if the patch fills its cells.

    Raises
    ------
    InputError
        If `data` has no customers, or `patch` is neither a patch nor the path of one that can be read.
    """
    delivery = usable(data)
    entries = (patch if isinstance(patch, Patch) else read_patch(patch)).entries.reset_index(drop=True)
    own = (entries["delivery"] == delivery.digest) & (entries["source_row"] >= 0) & (delivery.digest != "")
    is_drop = entries["column"] == WHOLE_ROW
    to_drop = entries.loc[own & is_drop, "source_row"]
    frame, broken = _with_filled_lines(delivery, entries[own & ~is_drop])
    status = pd.Series("unknown", index=entries.index, dtype=object)
    status[to_drop.index] = np.where(to_drop.isin(frame.index.union(broken.index)), "applied", "done")
    pairs = _matches(entries, own & ~is_drop, ~own & ~is_drop, frame[ID])
    for column, some in pairs.groupby("column", sort=False):
        if column in frame.columns and column in delivery.given:
            frame = frame.assign(**{str(column): _patched(frame[column], some, status, delivery)})
        else:
            status[some["entry"]] = "stale"
    frame, broken = (part.loc[~part.index.isin(to_drop)] for part in (frame, broken))
    counts = {f"n_{name}": int((status == name).sum()) for name in ("applied", "done", "stale", "unknown")}
    given = [*delivery.corrected.get("patch", ()), patch if isinstance(patch, Patch) else str(patch)]
    patched = replace(delivery, frame=frame, broken=broken, corrected=delivery.corrected | {"patch": given})
    return Patched(patched, entries.assign(status=status.astype("str")), **counts)


def _matches(
    entries: pd.DataFrame, by_row: pd.Series[bool], by_id: pd.Series[bool], ids: pd.Series[Any]
) -> pd.DataFrame:
    """Return which entry is about which row: ``row``, ``entry`` and the entry's ``column, before, after``."""
    entries = entries.assign(entry=entries.index, row=entries["source_row"])
    exact = entries[by_row & entries["row"].isin(ids.index)]
    others = entries[by_id & entries[ID].notna()].drop(columns="row")
    # A customer whose id the patch corrects may have the correct id already.
    renamed = others[others["column"] == ID].drop_duplicates(ID).set_index(ID)["after"]
    who = others[ID].where(others[ID].isin(ids), others[ID].map(renamed))
    rows = pd.DataFrame({"row": ids.index, "id": ids.to_numpy()}).dropna()
    matched = others.assign(id=who).dropna(subset="id").merge(rows, on="id")
    return pd.concat([exact, matched])[["row", "entry", "column", "before", "after"]]


def _patched(cells: pd.Series[Any], some: pd.DataFrame, status: pd.Series[Any], delivery: Delivery) -> pd.Series[Any]:
    """Return a column with the new values, and note in `status` what became of each entry."""
    texts = cells_as_text(cells.to_frame())[cells.name]
    now = texts.loc[some["row"]].replace("", None).to_numpy(object)
    was, wanted = (_same(now, some[name].to_numpy(object)) for name in ("before", "after"))
    for name, hit in (("stale", ~was & ~wanted), ("done", wanted), ("applied", was & ~wanted)):
        status[some.loc[hit, "entry"]] = name
    new = some[was & ~wanted].drop_duplicates("row", keep="last").set_index("row")["after"]
    if cells.name != TIME:
        texts.loc[new.index] = new
        return texts.astype("str")
    times = cells.astype(object)
    times.loc[new.index] = as_times(new, delivery)
    if times.map(lambda cell: pd.isna(cell) or isinstance(cell, pd.Timestamp)).all():
        return pd.to_datetime(times, utc=True).astype("datetime64[us, UTC]")
    return times


def _same(one: Any, other: Any) -> Any:
    return (one == other) | (pd.isna(one) & pd.isna(other))


def _with_filled_lines(delivery: Delivery, own: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the frame with rows for the broken lines that the patch fills, and the lines that stay broken."""
    filled = delivery.broken.index.isin(own["source_row"])
    if not filled.any():
        return delivery.frame, delivery.broken
    rows = delivery.broken.loc[filled, [ID]].reindex(columns=delivery.frame.columns).astype(object)
    frame = pd.concat([delivery.frame.astype(object), rows]).sort_index()
    texts = frame.drop(columns=TIME).astype("str")
    return frame.assign(**texts), delivery.broken[~filled]

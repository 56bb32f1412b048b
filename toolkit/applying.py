"""apply_patch(): a patch to a delivery, its own or the next one; what no longer fits is said and left."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa

from toolkit.contract import ID, TIME
from toolkit.corrections import WHOLE_ROW
from toolkit.delivery import Customers, Delivery, as_delivery
from toolkit.display import Result, badges, frame_table, heading
from toolkit.patching import Patch, read_patch
from toolkit.times import parse_times
from toolkit.writing import cells_as_text, times_as_text

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

"""Rows sent again on purpose: ad-hoc corrections, and what a push did not bring in.

Each gives a `Repush`: a plan to look at and to hand to `push`, and what it leaves out, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from toolkit.applying import apply_patch
from toolkit.casting import cast_column, typed_frame
from toolkit.contract import CUSTOMER, ID, TIME, Column, Resource
from toolkit.delivery import Delivery
from toolkit.display import plural
from toolkit.engine import Session, to_array, to_arrow
from toolkit.entries import required
from toolkit.errors import CorrectionError, OpenPushError, did_you_mean
from toolkit.journal import Journal
from toolkit.ledger import Ledger
from toolkit.mending import read_corrections
from toolkit.patching import Patch
from toolkit.receipts import FATES
from toolkit.replanning import Repush, left_out_rows, plan_anew, restamped
from toolkit.reporting import REFUSAL_COLUMNS, PushReport, name_of, origin_of
from toolkit.settings import Settings
from toolkit.times import parse_times

Cells = Mapping[str, Mapping[str, Any]]
"""Customer id to column to new value, None for null."""


def correct_customers(
    cells: Cells, *, reason: str, settings: Settings | None = None, now: datetime | None = None, **planning: Any
) -> Repush:
    """Plan a new version of some customers, from what the ledger holds and the cells given.

    Parameters
    ----------
    cells
        Customer id to column to new value, None for null: ``{"CUST-001": {"customer_category": "Retail"}}``.
        The other columns stay as they are.
    reason
        Why, for the ledger.
    now
        The new ``updated_at``, by default the present; later where a version of the customer is.
    planning
        What `plan_push` takes besides.

    Raises
    ------
    CorrectionError
        If `cells` is no mapping, there is no reason, a customer is not in the ledger, a column cannot be corrected, or
        a value is of another type.
    """
    chosen = settings or Settings()
    if not isinstance(cells, Mapping):
        raise CorrectionError(
            "Corrections are given as customer id to column to new value, "
            f"{{'CUST-001': {{'{CUSTOMER.attributes[0]}': 'New'}}}}, and no {type(cells).__name__}."
        )
    required(reason, "A correction", error=CorrectionError)
    snapshot = Ledger.of(chosen).snapshot()
    held = snapshot.frame.set_index(ID, drop=False)
    unknown = [who for who in cells if who not in held.index]
    if unknown:
        raise CorrectionError(
            f"The ledger of target {chosen.target} holds no customer {', '.join(map(repr, unknown[:5]))}: send "
            "a new one as a delivery. Nothing was planned."
        )
    frame = _with_cells(held.loc[list(cells)], cells, chosen.documented.resource).set_index(
        pd.RangeIndex(1, len(cells) + 1, name="source_row")
    )
    return plan_anew(
        Delivery(restamped(frame, snapshot.versions, now), source="correction", kind="changes"),
        snapshot,
        reason=reason,
        settings=chosen,
        whys={"touched": "nothing differs from what the ledger holds"},
        **planning,
    )


def repush(
    push: str | PushReport,
    *,
    mended: str | Path | Patch | pd.DataFrame | Cells | None = None,
    whole: bool = False,
    reason: str = "",
    settings: Settings | None = None,
    **planning: Any,
) -> Repush:
    """Plan to send again what a push did not bring in: refused, unknown and unsent rows.

    Parameters
    ----------
    push
        A closed push of this machine: its name or its report.
    mended
        What to send instead of the rows as they were: the workbook that `PushReport.to_excel` wrote and the data owner
        mended, or a patch; rows by ``source_row`` (a column, or the index); or cells, as `correct_customers` takes
        them. What is not named goes as it was.
    whole
        Send the accepted rows too, under the versions that they had; those that are mended come out as ``restated``,
        and are sent with ``include=["restated"]`` only.
    reason
        Why, for the ledger, after the push's name.
    planning
        What `plan_push` takes besides, as `include`.

    Raises
    ------
    InputError
        If `push` is neither a name nor a report.
    OpenPushError
        If the push is still open: `resume` sends what waits.
    CorrectionError
        If `mended` names a row or a column that the push does not have, or a cell of a patch holds something else.
    """
    chosen = settings or Settings()
    name = name_of(push)
    folder = chosen.target_folder()
    with Journal(folder, chosen.target, clock=lambda: datetime.now(UTC)) as journal:
        record = journal.push(name)
        if record.state == "open":
            raise OpenPushError(
                f"Push {name} is still open: resume() sends what waits, or abandon() closes it; then repush the rest."
            )
        rows = typed_frame(journal.rows(name), index="source_row").drop(columns="state")
        fates = pd.Series(journal.fates(name)[0], index=rows.index).map(dict(enumerate(FATES)))
    held_back = (fates == "unknown") & (record.facts["operation"] != "UPSERT")
    wanted = rows[((fates != "accepted") | whole) & ~held_back]
    resource = chosen.documented.resource
    left_out = [left_out_rows(rows[held_back], "unknown, and an APPEND must not send it twice: settle it first")]
    if isinstance(mended, str | Path | Patch):
        patched = _patched(origin_of(record, wanted), mended)
        dropped = wanted[~wanted.index.isin(patched.index)]
        left_out.append(left_out_rows(dropped, "dropped, as the mended sheet says"))
        wanted = patched.assign(
            **{c.name: _cast(patched[c.name], c.name, resource) for c in resource.custom if c.name in patched}
        )
    else:
        wanted = _mended(wanted, mended, resource)
    snapshot = Ledger.of(chosen).snapshot()
    if whole:
        snapshot = replace(snapshot, versions=_without(snapshot.versions, wanted))
    return plan_anew(
        replace(origin_of(record, wanted), digest=""),  # it is not the file that was delivered
        snapshot,
        reason=f"repush of {name}" + (f": {reason}" if reason else ""),
        settings=chosen,
        left_out=pd.concat(left_out, ignore_index=True),
        whys={"unchanged": "the ledger holds this very version"},
        **planning,
    )


def _with_cells(frame: pd.DataFrame, cells: Cells, resource: Resource) -> pd.DataFrame:
    """Write cells into rows that are indexed by customer id; each of these has its row."""
    allowed = [c for c in frame.columns if c not in CUSTOMER.key]
    after = frame.copy()
    for who, values in cells.items():
        if not isinstance(values, Mapping):
            raise CorrectionError(f"What is new of {who} is given as column to value: {{'{allowed[0]}': 'New'}}.")
        for column, value in values.items():
            if column not in allowed:
                raise CorrectionError(
                    f"{column!r} is no column that can be corrected{did_you_mean(str(column), allowed) or '.'} "
                    f"The columns are {', '.join(allowed)}; the key is not corrected, and {TIME} is set anew."
                )
            if isinstance(frame[column].dtype, pd.StringDtype) and not (value is None or isinstance(value, str)):
                raise CorrectionError(
                    f"The new {column} of {who} is no text: write it in quotes, so that no zero or sign is lost, "
                    "or None for null."
                )
            after.loc[who, column] = _cast(pd.Series([value], dtype=object), column, resource, f" of {who}").iloc[0]
    return after


def _patched(rows: Delivery, mended: str | Path | Patch) -> pd.DataFrame:
    """Apply what the data owner sent back; it says nothing of rows that are not sent again."""
    patch = mended if isinstance(mended, Patch) else read_corrections(mended)
    done = apply_patch(rows, patch)
    if done.n_stale or done.n_unknown:
        odd = done.entries[done.entries["status"].isin(["stale", "unknown"])]
        places = ", ".join(map(str, odd["source_row"].unique()[:5]))
        raise CorrectionError(
            f"{plural(len(odd), 'cell')} of the mended rows cannot be applied: they are of rows that the push does not "
            f"send again, or hold something else by now (source_row {places}). Nothing was planned."
        )
    return done.frame


def _cast(cells: pd.Series[Any], column: str, resource: Resource, whose: str = "") -> pd.Series[Any]:
    """Read cells as their column's data type, as `validate` reads those of a file."""
    known = next((c for c in resource.columns if c.name == column), Column(column))
    read, unread = cast_column(cells, known)
    if unread.any():
        raise CorrectionError(f"The new {column}{whose} is not written as {known.kind}.")
    return read


def _mended(rows: pd.DataFrame, mended: pd.DataFrame | Cells | None, resource: Resource) -> pd.DataFrame:
    if mended is None:
        return rows
    if isinstance(mended, Mapping):
        unknown = [who for who in mended if who not in set(rows[ID])]
        if unknown:
            raise CorrectionError(f"The push has no row to send again of {', '.join(map(repr, unknown[:5]))}.")
        by_id = rows.set_index(ID, drop=False)
        return _with_cells(by_id, mended, resource).set_index(rows.index)
    if not isinstance(mended, pd.DataFrame):
        raise CorrectionError(f"The mended rows are a frame, or cells by customer_id, and no {type(mended).__name__}.")
    frame = mended.set_index("source_row") if "source_row" in mended.columns else mended
    if frame.index.name != "source_row" or not frame.index.is_unique:
        raise CorrectionError("The mended rows do not say which they are: keep source_row in the sheet, each once.")
    known = [*rows.columns, "state", "fate", *REFUSAL_COLUMNS]
    if strange := [c for c in frame.columns if c not in known]:
        raise CorrectionError(
            f"The push has no column {strange[0]!r}{did_you_mean(str(strange[0]), rows.columns) or '.'} Mended can be "
            f"{', '.join(rows.columns)}; drop the other columns."
        )
    planned = rows.reindex(frame.index)
    strangers = planned[ID].isna() | (planned[ID] != frame[ID] if ID in frame.columns else False)
    if strangers.any():
        named = ", ".join(map(str, frame.index[strangers][:5]))
        raise CorrectionError(
            f"The push does not send such a row again: source_row {named}. It counts as in the file that was pushed, "
            "and the customer's id is the one that was planned."
        )
    after = rows.copy()
    try:
        for column in [c for c in rows.columns if c in frame.columns]:
            cells = frame[column].mask(frame[column] == "")  # an empty cell is null
            read = _times(cells) if column == TIME else _cast(cells, column, resource)
            after.loc[frame.index, column] = read
    except (ValueError, TypeError):
        raise CorrectionError(f"A mended {column} is none: write times as 2026-09-01T10:00:00Z.") from None
    return after


def _times(cells: pd.Series[Any]) -> pd.Series[Any]:
    """Read times that say their zone; none is guessed."""
    read = parse_times(to_array(cells.astype("str"), pa.string()))
    if (read.unparsed | read.naive).any():
        raise ValueError
    return read.values.set_axis(cells.index)


def _without(versions: pa.Table, rows: pd.DataFrame) -> pa.Table:
    """Take out the versions that say just what these rows say, so that they count as not sent."""
    with Session({"held": versions, "sent": to_arrow(rows, versions.schema)}) as session:
        return session.table("FROM held EXCEPT FROM sent")

"""Rows sent again on purpose: ad-hoc corrections, and what a push did not bring in.

Each gives a `Repush`: a plan to look at and to hand to `push`, and what it leaves out, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from toolkit.config import Settings, current
from toolkit.display import Result, badges, frame_table, heading, paragraph, plural
from toolkit.engine import Session, quoted, to_array, to_arrow, to_frame
from toolkit.errors import CorrectionError, InputError, LedgerError, OpenPushError, PlanError, did_you_mean
from toolkit.ledger import RETRACTED, STANDS, WAYS_IN, Ledger, Snapshot, diff, required
from toolkit.model import CUSTOMER, ID, TIME, Column, Delivery, Resource, cast_column, parse_times, typed_frame
from toolkit.pushing.guards import ALL, GUARDS, chosen_names
from toolkit.pushing.planning import PushPlan, plan_push
from toolkit.pushing.report import REFUSAL_COLUMNS, PushReport, name_of, origin_of
from toolkit.quality import Patch, apply_patch, read_corrections, validate
from toolkit.sending import FATES, Journal

LEFT_OUT = ["source_row", *CUSTOMER.key, "why"]


@dataclass(frozen=True, eq=False, repr=False)
class Repush(Result):
    """A plan to send rows anew; `push` takes it as it stands.

    Attributes
    ----------
    plan
        What is sent.
    left_out
        What is not: ``source_row, customer_id, updated_at`` and ``why``.
    reason
        What the ledger will say of each row.
    """

    plan: PushPlan
    left_out: pd.DataFrame
    reason: str

    @property
    def fields(self) -> pd.DataFrame:
        """The changed fields, against what the ledger holds."""
        return self.plan.changes.fields

    @property
    def n_rows(self) -> int:
        """Rows to send."""
        return self.plan.n_rows

    @property
    def n_left_out(self) -> int:
        """Rows left out."""
        return len(self.left_out)

    def summary(self) -> str:
        """Say it in one line."""
        rows = plural(self.n_rows, "row")
        return f"{rows} to send, {self.n_left_out:,} left out · {self.reason} · {self.plan.label}"

    def body(self) -> str:
        """Give what changes, what is left out and the plan as an HTML fragment."""
        parts = [
            heading(self.reason[:1].upper() + self.reason[1:], level=3),
            badges([(self.n_rows, "to send", "good"), (self.n_left_out, "left out", "warn")]),
        ]
        if self.n_left_out:
            parts += [heading("Left out"), frame_table(self.left_out)]
        if not self.n_rows:
            parts.append(paragraph("There is nothing to send."))
        return "".join([*parts, self.plan.body()])

    def to_frame(self) -> pd.DataFrame:
        """Give the rows to send, index ``source_row``."""
        return self.plan.to_frame()

    def to_dict(self) -> dict[str, Any]:
        """Give the plan's counts, the reason, and what is left out."""
        left_out = self.left_out.astype({TIME: "str"}).to_dict("records")
        return {**self.plan.to_dict(), "reason": self.reason, "left_out_rows": left_out}


def plan_anew(
    delivery: Delivery,
    before: Snapshot,
    *,
    reason: str,
    settings: Settings,
    left_out: pd.DataFrame | None = None,
    whys: Mapping[str, str] | None = None,
    allow: str | Iterable[str] | None = (),
    **planning: Any,
) -> Repush:
    """Validate, compare and plan rows; what is not sent is named with its reason.

    Parameters
    ----------
    left_out
        What was left out before, columns `LEFT_OUT`.
    whys
        State to why its rows are not sent, over the usual words.
    allow
        As `plan_push` takes it, beside what does not hold for such rows.

    Raises
    ------
    PlanError
        If the rows or the ledger have a custom attribute that the settings do not list: a new version would lack it.
    """
    listed = settings.documented.resource.names
    if unlisted := [c for c in delivery.frame.columns if c not in listed]:
        raise PlanError(
            f"The rows have custom attributes that the settings do not list ({', '.join(unlisted)}), and what is sent "
            "anew would empty them: list them under [[attributes]] in toolkit.toml. Nothing was planned."
        )
    given = tuple(c for c in settings.documented.resource.names if c in delivery.frame.columns)
    report = validate(replace(delivery, given=given), settings=settings, rules=())
    changes = diff(before, report)
    # These rows were named one by one, so what holds back a delivery that looks wrong does not hold back them.
    allowed = [*chosen_names(allow, "allow", [*GUARDS, ALL]), *(GUARDS.keys() - {"first"})]
    plan = plan_push(changes, settings=settings, allow=allowed, **planning)
    sent = plan.rows["source_row"].to_pylist()
    unsent = changes.states[~changes.states.index.isin(sent)]
    said = [left_out_rows(report.quarantine, report.quarantine["reasons"])]
    for state, rows in unsent.groupby(unsent, observed=True):
        why = (whys or {}).get(str(state), f"{state}: {WAYS_IN[str(state)]}")
        said.append(left_out_rows(changes.delivery.frame.loc[rows.index], why))
    return Repush(plan, pd.concat([left_out, *said], ignore_index=True), reason)


def restamped(frame: pd.DataFrame, versions: pa.Table, now: datetime | None) -> pd.DataFrame:
    """Give rows a new time: the present, or a second after the customer's last version where that is later.

    Parameters
    ----------
    frame
        One row a customer, index ``source_row``.
    versions
        Every version that counts.
    """
    moment = pd.Timestamp(now or datetime.now(UTC)).floor("s")
    if moment.tzinfo is None:
        raise InputError("now has no zone, and only you know which one is meant: give it as datetime.now(UTC) does.")
    last = versions.select(list(CUSTOMER.key)).group_by(ID).aggregate([(TIME, "max")])
    newest = to_frame(last).set_index(ID)[f"{TIME}_max"]
    after = frame[ID].map(newest).dt.floor("s") + pd.Timedelta(seconds=1)
    return frame.assign(**{TIME: after.clip(lower=moment).dt.as_unit("us")})


def left_out_rows(rows: pd.DataFrame, why: Any) -> pd.DataFrame:
    """Return rows, index ``source_row``, as `Repush.left_out` lists them."""
    return rows[list(CUSTOMER.key)].assign(why=why).reset_index()[LEFT_OUT]


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
    chosen = current(settings)
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
    chosen = current(settings)
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


FIRST = "first added by this push: the API has no delete"
SINCE = "changed again since, by "
GONE = "retracted since: it did not arrive"
OLDER = "an older version was added: it cannot be removed, and what is shown is as before"
SAME = "what stood before says the same"


def revert(
    push: str | PushReport,
    *,
    reason: str = "",
    settings: Settings | None = None,
    now: datetime | None = None,
    **planning: Any,
) -> Repush:
    """Plan new versions of the customers that a push changed, with what stood before it.

    A customer that the push first added cannot be removed, and one that was changed again since is left as it is:
    both are left out, with their reason.

    Parameters
    ----------
    push
        Its name or its report; on a shared ledger, another analyst's too.
    reason
        Why, for the ledger, after the push's name.
    now
        The new ``updated_at``, by default the present; later where a version of the customer is.
    planning
        What `plan_push` takes besides.

    Raises
    ------
    InputError
        If `push` is neither a name nor a report.
    LedgerError
        If the ledger holds no row of the push.
    """
    chosen = current(settings)
    name = name_of(push)
    ledger = Ledger.of(chosen)
    snapshot = ledger.snapshot()
    with Session({"now_": snapshot.versions, "before_": ledger.versions(but_for=name)}) as session:
        pairs = session.table(_pairs(ledger.resource))
    touched = to_frame(ledger.query(_TOUCHED, name), index="source_row")
    if touched.empty:
        raise LedgerError(f"The ledger of target {chosen.target} holds no row of push {name!r}: look at pushes().")
    found = touched.merge(typed_frame(pairs), how="left", on=ID).set_axis(touched.index)
    why = pd.Series("", index=found.index)
    for words, applies in (
        (SAME, found["same"].fillna(value=False).astype(bool)),
        (FIRST, found["same"].isna()),
        (OLDER, found["newest"] > found[TIME]),
        (GONE, found["retracted"]),
        (SINCE + found["later_push"], found["later_push"].notna()),
    ):
        why = why.mask(applies, words)
    restored = found.loc[why == "", list(ledger.resource.names)]
    return plan_anew(
        Delivery(restamped(restored, snapshot.versions, now), source=f"revert of {name}", kind="changes"),
        snapshot,
        reason=f"revert of {name}" + (f": {reason}" if reason else ""),
        settings=chosen,
        left_out=left_out_rows(found[why != ""], why[why != ""]),
        **planning,
    )


# The customers of a push: the last version that it brought in, whether that was retracted, who came after it. What came
# after changes nothing of what is shown where it was taken back itself, or is older.
_TOUCHED = f"""FROM (
    WITH mine AS (
        SELECT customer_id, coalesce(max(updated_at) FILTER (stands), max(updated_at)) AS updated_at,
               max(recorded_at) AS at_, NOT bool_or(stands) AS retracted
        FROM (SELECT *, {STANDS} AS stands FROM entries e WHERE plan = $2 AND entry <> '{RETRACTED}')
        GROUP BY customer_id
    ), later AS (
        SELECT e.customer_id, max_by(e.plan, e.recorded_at) AS later_push
        FROM entries e JOIN mine ON e.customer_id = mine.customer_id AND e.recorded_at >= at_
        WHERE e.entry <> '{RETRACTED}' AND e.plan IS DISTINCT FROM $2 AND {STANDS}
          AND e.updated_at >= mine.updated_at
        GROUP BY e.customer_id
    )
    SELECT row_number() OVER (ORDER BY customer_id) AS source_row, customer_id, updated_at, later_push, retracted
    FROM mine LEFT JOIN later USING (customer_id) ORDER BY source_row)"""
_NEWEST = "(FROM {0} QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY updated_at DESC) = 1)"


def _pairs(resource: Resource) -> str:
    """Return the SQL of what stood before, and whether what stands now says the same."""
    return f"""SELECT b.customer_id, {", ".join("b." + quoted(c) for c in resource.attributes)}, n.updated_at AS newest,
    {" AND ".join(f"b.{quoted(c)} IS NOT DISTINCT FROM n.{quoted(c)}" for c in resource.attributes)} AS same
    FROM {_NEWEST.format("before_")} b JOIN {_NEWEST.format("now_")} n ON b.customer_id = n.customer_id"""

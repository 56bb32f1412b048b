"""Rows sent again on purpose: a correction by hand, what a push did not bring in, what stood before a push.

Each gives a plan to look at and to hand to `push`; `PushPlan.not_sent` lists what it leaves out, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa

from toolkit.config import Settings, current
from toolkit.display import plural
from toolkit.engine import Session, quoted, to_arrow, to_frame
from toolkit.errors import CorrectionError, LedgerError, OpenPushError, did_you_mean, wrong_kind
from toolkit.ledger import LISTED, RETRACTED, STANDS, Ledger, Snapshot, diff, required
from toolkit.model import CUSTOMER, ID, TIME, Delivery, Resource, typed_frame, zoned_moment
from toolkit.pushing.guards import ALL, GUARDS, chosen_names
from toolkit.pushing.planning import NOT_SENT, PushPlan, plan_push
from toolkit.pushing.report import PushReport, name_of, report_of
from toolkit.quality import Patch, apply_patch, validate
from toolkit.sending import Journal, Pace

Cells = Mapping[str, Mapping[str, Any]]
"""Customer id to column to new value, None for null."""


def plan_correction(
    cells: Cells, *, reason: str, settings: Settings | None = None, now: datetime | None = None, **planning: Any
) -> PushPlan:
    """Plan a new version of some customers: what the ledger holds, with the given cells.

    Parameters
    ----------
    cells
        Customer id to column to new value, None for null. The other columns stay as they are.
    reason
        Why, for the ledger.
    now
        The new ``updated_at``, by default the present; a second after the customer's last version if that is later.
    planning
        Further options of `plan_push`.

    Raises
    ------
    InputError
        If `cells` is not a mapping.
    CorrectionError
        If there is no reason, a customer is not in the ledger, a column cannot be corrected,
        or a text is given as a number.
    """
    if not isinstance(cells, Mapping):
        how = f"{{'CUST-001': {{'{CUSTOMER.attributes[0]}': 'New'}}}}"
        raise wrong_kind(cells, "a dictionary of customer id to column to new value", how)
    required(reason, "A correction", error=CorrectionError)
    chosen = current(settings)
    snapshot = Ledger.of(chosen).snapshot()
    held = snapshot.frame.set_index(ID, drop=False)
    if unknown := [who for who in cells if who not in held.index]:
        raise CorrectionError(
            f"The ledger of target {chosen.target} has no customer {', '.join(map(repr, unknown[:5]))}: send "
            "a new one as a delivery. Nothing was planned."
        )
    after = _with_cells(held.loc[list(cells)], cells).set_index(pd.RangeIndex(1, len(cells) + 1, name="source_row"))
    return _plan_again(
        Delivery(_restamped(after, snapshot.versions, now), source="correction", kind="changes"),
        snapshot,
        reason=reason,
        settings=chosen,
        **planning,
    )


def repush(
    push: str | PushReport,
    *,
    patch: Patch | None = None,
    whole: bool = False,
    reason: str = "",
    settings: Settings | None = None,
    **planning: Any,
) -> PushPlan:
    """Plan to send again what a push did not bring in: refused, unknown and unsent rows.

    Parameters
    ----------
    push
        A closed push of this machine: its name or its report.
    patch
        What to change in the rows: `read_review_sheet` makes one of the review sheet that the data owner sent back,
        `patch_between` of edited rows. Rows and cells that it does not name go as they were.
    whole
        Send the accepted rows too, under the versions that they had; one that the patch changes is ``restated``, and
        sent only with ``include=["restated"]``.
    reason
        Why, for the ledger, after the name of the push.
    planning
        Further options of `plan_push`, such as `include`.

    Raises
    ------
    InputError
        If `push` is neither a name nor a report, or `patch` is not a patch.
    OpenPushError
        If the push is still open: `resume` sends what waits.
    CorrectionError
        If the patch changes rows that the push does not send again, or cells that hold something else.
    """
    name = name_of(push)
    if not isinstance(patch, Patch | None):
        raise wrong_kind(patch, "a patch", "read_review_sheet(path) or patch_between(before, after)")
    chosen = current(settings)
    with Journal(chosen.target_folder(), chosen.target, clock=Pace().now) as journal:
        if journal.push(name).state == "open":
            raise OpenPushError(
                f"Push {name} is still open: resume sends what waits, abandon closes it; then repush the rest."
            )
        sent = report_of(journal.load(name))
    fates = sent.rows["fate"]
    held_back = (fates == "unknown") & (sent.operation != "UPSERT")
    rows = sent.rows[list(sent.origin.given)]
    wanted = replace(sent.origin, frame=rows[((fates != "accepted") | whole) & ~held_back])
    excluded = [_excluded(rows[held_back], "unknown", "an APPEND must not send it twice: settle it first")]
    if patch is not None:
        patched = apply_patch(wanted, patch)
        unfit = patched.entries[patched.entries["status"].isin(["stale", "unknown"])]
        if len(unfit):
            places = ", ".join(map(str, unfit["source_row"].unique()[:5]))
            raise CorrectionError(
                f"{plural(len(unfit), 'cell')} of the patch cannot be applied: their rows are not sent again, or the "
                f"cells hold something else by now (source_row {places}). Nothing was planned."
            )
        dropped = wanted.frame[~wanted.frame.index.isin(patched.frame.index)]
        excluded.append(_excluded(dropped, "dropped", "dropped by the patch"))
        wanted = patched.delivery
    return _plan_again(
        replace(wanted, digest=""),  # these rows are not the file that was delivered
        Ledger.of(chosen).snapshot(),
        reason=f"repush of {name}" + (f": {reason}" if reason else ""),
        settings=chosen,
        excluded=excluded,
        resend=whole,
        **planning,
    )


def revert(
    push: str | PushReport,
    *,
    reason: str = "",
    settings: Settings | None = None,
    now: datetime | None = None,
    **planning: Any,
) -> PushPlan:
    """Plan new versions of the customers that a push changed, with the values from before it.

    A customer that the push added first cannot be removed, and one that was changed again since stays as it is: both
    are left out, with the reason.

    Parameters
    ----------
    push
        Its name or its report; on a shared ledger, another analyst's too.
    reason
        Why, for the ledger, after the name of the push.
    now
        The new ``updated_at``, by default the present; a second after the customer's last version if that is later.
    planning
        Further options of `plan_push`.

    Raises
    ------
    InputError
        If `push` is neither a name nor a report.
    LedgerError
        If the ledger has no row of the push.
    """
    name, chosen = name_of(push), current(settings)
    ledger = Ledger.of(chosen)
    snapshot = ledger.snapshot()
    with Session({"now_": snapshot.versions, "before_": ledger.versions(but_for=name)}) as session:
        pairs = session.table(_pairs(ledger.resource))
    touched = to_frame(ledger.query(_TOUCHED, name), index="source_row")
    if touched.empty:
        raise LedgerError(f"The ledger of target {chosen.target} has no row of push {name!r}: {LISTED}.")
    found = touched.merge(typed_frame(pairs), how="left", on=ID).set_axis(touched.index)
    why = pd.Series("", index=found.index)
    for words, applies in (
        ("what stood before says the same", found["same"].fillna(value=False).astype(bool)),
        ("first added by this push: the API has no delete", found["same"].isna()),
        (
            "an older version was added: it cannot be removed, and what is shown is as before",
            found["newest"] > found[TIME],
        ),
        ("retracted since: it did not arrive", found["retracted"]),
        ("changed again since, by " + found["later_push"], found["later_push"].notna()),
    ):
        why = why.mask(applies, words)
    restored = found.loc[why == "", list(ledger.resource.names)]
    return _plan_again(
        Delivery(_restamped(restored, snapshot.versions, now), source=f"revert of {name}", kind="changes"),
        snapshot,
        reason=f"revert of {name}" + (f": {reason}" if reason else ""),
        settings=chosen,
        excluded=[_excluded(found[why != ""], "not reverted", why[why != ""])],
        **planning,
    )


def _plan_again(
    delivery: Delivery,
    before: Snapshot,
    *,
    reason: str,
    settings: Settings,
    excluded: Sequence[pd.DataFrame] = (),
    resend: bool = False,
    allow: str | Iterable[str] | None = (),
    **planning: Any,
) -> PushPlan:
    """Validate, compare and plan rows; each row that is not sent is listed with the reason.

    Parameters
    ----------
    excluded
        What is not sent, by `_excluded`.
    resend
        Send versions that the ledger holds with the very same cells.
    """
    report = validate(replace(delivery, given=tuple(delivery.frame.columns)), settings=settings, rules=())
    if resend:
        with Session({"held": before.versions, "sent": to_arrow(report.good, before.versions.schema)}) as session:
            before = replace(before, versions=session.table("FROM held EXCEPT FROM sent"))
    changes = diff(before, report)
    # The guards check whether a delivery looks wrong as a whole; these rows were named one by one.
    allowed = [*chosen_names(allow, "allow", "guard", [*GUARDS, ALL]), *(GUARDS.keys() - {"first"})]
    plan = plan_push(changes, settings=settings, allow=allowed, **planning)
    quarantined = _excluded(report.quarantine, "quarantined", report.quarantine["reasons"])
    return replace(plan, reason=reason, excluded=pd.concat([*excluded, quarantined], ignore_index=True))


def _excluded(rows: pd.DataFrame, state: str, why: Any) -> pd.DataFrame:
    """Return rows, index ``source_row``, as `PushPlan.not_sent` lists them."""
    return rows.assign(state=state, why=why).reset_index().reindex(columns=NOT_SENT)


def _restamped(frame: pd.DataFrame, versions: pa.Table, now: datetime | None) -> pd.DataFrame:
    """Give customers, one row each, a new time: the present, or a second after the last of all their versions."""
    moment = zoned_moment(now, "now").floor("s")
    last = versions.select(list(CUSTOMER.key)).group_by(ID).aggregate([(TIME, "max")])
    newest = to_frame(last).set_index(ID)[f"{TIME}_max"]
    after = frame[ID].map(newest).dt.floor("s") + pd.Timedelta(seconds=1)
    return frame.assign(**{TIME: after.clip(lower=moment).dt.as_unit("us")})


def _with_cells(frame: pd.DataFrame, cells: Cells) -> pd.DataFrame:
    """Write cells into rows that are indexed by customer id; each customer of the cells has a row."""
    allowed = [c for c in frame.columns if c not in CUSTOMER.key]
    custom = [c for c in allowed if not isinstance(frame[c].dtype, pd.StringDtype)]
    after = frame.astype(dict.fromkeys(custom, object))  # validation reads their cells by their data type
    for who, values in cells.items():
        if not isinstance(values, Mapping):
            raise CorrectionError(f"The new cells of {who} are given as column to value: {{'{allowed[0]}': 'New'}}.")
        for name, value in values.items():
            if name not in allowed:
                raise CorrectionError(
                    f"{name!r} is not a column that can be corrected{did_you_mean(str(name), allowed) or '.'} The "
                    f"columns are {', '.join(allowed)}; the key is not corrected, and {TIME} is set automatically."
                )
            if name not in custom and not isinstance(value, str | None):
                raise CorrectionError(
                    f"The new {name} of {who} is not text: write it in quotes, so that no zero is lost, or None for "
                    "null."
                )
            after.loc[who, name] = value
    return after


# The customers of a push: the last version that it brought in, whether that was retracted, and which push came after
# it. A later push changes nothing that is shown if it was retracted itself, or brought an older version.
_TOUCHED = f"""FROM (
    WITH mine AS (
        SELECT {ID}, coalesce(max({TIME}) FILTER (stands), max({TIME})) AS {TIME},
               max(recorded_at) AS at_, NOT bool_or(stands) AS retracted
        FROM (SELECT *, {STANDS} AS stands FROM entries e WHERE push = $2 AND entry <> '{RETRACTED}')
        GROUP BY {ID}
    ), later AS (
        SELECT e.{ID}, max_by(e.push, e.recorded_at) AS later_push
        FROM entries e JOIN mine ON e.{ID} = mine.{ID} AND e.recorded_at >= at_
        WHERE e.entry <> '{RETRACTED}' AND e.push IS DISTINCT FROM $2 AND {STANDS}
          AND e.{TIME} >= mine.{TIME}
        GROUP BY e.{ID}
    )
    SELECT row_number() OVER (ORDER BY {ID}) AS source_row, {ID}, {TIME}, later_push, retracted
    FROM mine LEFT JOIN later USING ({ID}) ORDER BY source_row)"""
_NEWEST = f"(FROM {{0}} QUALIFY row_number() OVER (PARTITION BY {ID} ORDER BY {TIME} DESC) = 1)"


def _pairs(resource: Resource) -> str:
    """Return the SQL of the values before the push, and whether the present ones are the same."""
    return f"""SELECT b.{ID}, {", ".join("b." + quoted(c) for c in resource.attributes)}, n.{TIME} AS newest,
    {" AND ".join(f"b.{quoted(c)} IS NOT DISTINCT FROM n.{quoted(c)}" for c in resource.attributes)} AS same
    FROM {_NEWEST.format("before_")} b JOIN {_NEWEST.format("now_")} n ON b.{ID} = n.{ID}"""

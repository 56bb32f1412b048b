"""revert(): plan the versions that restore what stood before a push. The API has no delete, so nothing goes back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pandas as pd

from toolkit.casting import typed_frame
from toolkit.contract import ID, TIME, Resource
from toolkit.delivery import Delivery
from toolkit.engine import Session, quoted, to_frame
from toolkit.entries import RETRACTED, STANDS
from toolkit.errors import LedgerError
from toolkit.ledger import Ledger
from toolkit.replanning import Repush, left_out_rows, plan_anew, restamped
from toolkit.reporting import PushReport, name_of
from toolkit.settings import Settings

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
    chosen = settings or Settings()
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

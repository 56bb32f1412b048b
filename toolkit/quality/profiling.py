"""profile(): what a delivery looks like, its customers first and then its columns, before anything is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from toolkit.display import Result, badges, heading, paragraph, plural, timeline
from toolkit.engine import Session, to_arrow, to_frame
from toolkit.model import CUSTOMER, ID, TIME, Customers, as_delivery, settled
from toolkit.quality.drifting import Before, Drift, drift
from toolkit.quality.findings import by_harm, evidence_table, run_rules, worst
from toolkit.quality.rules import RULES, Rule
from toolkit.quality.statistics import SHAPED, columns_table, count_columns
from toolkit.quality.validation import require_usable

MAX_BARS = 40
"""Bars of the time line at most: what lies further out is lumped at its ends."""
_SIZES = (1, 3, 12, 120, 1_200, 12_000)  # months of a period: the last holds all years that there are

_TWINS = f"""
    WITH keys AS (SELECT {ID}, {TIME}, min(row_) AS a, max(row_) AS b FROM rows_ WHERE {ID} IS NOT NULL
                  AND {TIME} IS NOT NULL GROUP BY ALL HAVING count(*) > 1)
    SELECT row_, CASE WHEN row_ = a THEN b ELSE a END AS other_ FROM rows_ JOIN keys USING ({ID}, {TIME})"""
# Those of the rules that look at customers, and that a million rows can be asked within the second.
_KEPT = ("near_ids", "future_time", "early_time", "equal_names", "orphan_subcategory", "two_categories")
CUSTOMER_RULES = (
    Rule("no_id", ID, "is empty", where=f"{ID} IS NULL"),
    Rule("twin_keys", ID, f"and {TIME} are those of another row", rows=_TWINS),
    *(rule for rule in RULES if rule.name in _KEPT),
)
"""What a profile says of the customers; everything else is for `validate`."""


@dataclass(frozen=True, eq=False, repr=False)
class Profile(Result):
    """What `profile` counted.

    Attributes
    ----------
    findings
        What is odd about the customers, as `ValidationReport.warnings`: one record a cell and rule.
    columns
        One row a column: ``nulls``, ``null_share`` (0 to 1), ``distinct``, length of the ``shortest``, ``median``
        and ``longest`` text, ``least`` and ``greatest`` value, ``top`` (list of (value, rows), at most five, those in
        1 % of the rows or more), ``patterns`` (list of (pattern, share of the filled cells), where ``A`` and ``a``
        stand for a letter, ``9`` for a digit and ``9{5}`` for five of them) and ``sampled``: whether the patterns are
        those of a sample, as they are where many values have little in common.
    times
        Rows by period of ``updated_at``: ``period`` (a month, a quarter, a year or years), ``rows``.
    n_versioned
        Customers that have several rows.
    drift
        How the delivery differs from what was sent before; None where it was not given.
    """

    findings: pd.DataFrame
    columns: pd.DataFrame
    times: pd.DataFrame
    told: pd.DataFrame
    n_rows: int
    n_customers: int
    n_versioned: int
    n_broken: int
    source: str
    names: dict[str, str]
    drift: Drift | None = None

    def summary(self) -> str:
        """Say the size in one line."""
        return f"{plural(self.n_rows, 'row')} of {plural(self.n_customers, 'customer')} from {self.source}"

    @property
    def verdict(self) -> str:
        """What matters most, in one line."""
        if not self.n_rows:
            return "There are no rows."
        several = f", {self.n_versioned:,} of them with several versions" if self.n_versioned else ""
        odd = f"; to look at first: {worst(self.told)}" if len(self.told) else ""
        return f"{plural(self.n_rows, 'row')} of {plural(self.n_customers, 'customer')}{several}{odd}."

    def body(self) -> str:
        """Give the customers, the time line and the columns as an HTML fragment."""
        parts: list[str] = [
            heading(f"Profile of {self.source}", level=3),
            paragraph(self.verdict),
            badges(
                [
                    (self.n_rows, ("row", "rows"), "good"),
                    (self.n_customers, ("customer", "customers"), "good"),
                    (self.n_versioned, "with several versions", "calm"),
                    (self.n_broken, ("broken line", "broken lines"), "bad"),
                ]
            ),
        ]
        if len(self.told):
            table = evidence_table(self.told.head(0), self.told, n_rows=self.n_rows, names=self.names)
            parts += [heading("Customers: worth a look"), table]
        if self.drift is not None:
            parts.append(self.drift.body())
        if len(self.times):
            counts = list(self.times.itertuples(index=False, name=None))
            most = max(counts, key=lambda count: count[1])
            parts += [heading(f"Rows by {TIME}: at most {most[1]:,}, {most[0]}"), timeline(counts)]
        if self.n_rows:
            parts += [heading("Columns"), columns_table(self.columns, self.n_rows, self.names)]
        return "".join(parts)

    def to_frame(self) -> pd.DataFrame:
        """Give one row a column."""
        return self.columns

    def to_dict(self) -> dict[str, Any]:
        """Give the counts; values of the columns are left to the frame."""
        return {
            "rows": self.n_rows,
            "customers": self.n_customers,
            "customers_with_several_versions": self.n_versioned,
            "broken": self.n_broken,
            "findings": dict(zip(self.told["reason"], map(int, self.told["count"]), strict=True)),
            "columns": {
                str(c["column"]): {"nulls": c["nulls"], "null_share": c["null_share"], "distinct": c["distinct"]}
                for c in self.columns.to_dict("records")
            },
            **({} if self.drift is None else {"drift": self.drift.to_dict()}),
        }


def profile(data: Customers, *, before: Before | None = None, now: pd.Timestamp | None = None) -> Profile:
    """Count what a delivery holds: its customers, its times, its columns.

    Parameters
    ----------
    data
        A frame, a `Delivery`, or what carries one. Cells that did not parse as times count as null here.
    before
        What was sent before, as `drift` takes it.
    now
        The moment that "in the future" is measured from, UTC; by default the present.

    Raises
    ------
    InputError
        If a key column is missing, the index repeats itself, or ``updated_at`` is naive or not a time.

    Examples
    --------
    >>> frame = pd.DataFrame({"customer_id": ["A-1", "B-2"], "customer_category": ["Enterprise", None],
    ...                       "updated_at": pd.to_datetime(["2025-01-28T10:00:00Z"] * 2)})
    >>> columns = profile(frame).columns.set_index("column")
    >>> columns["null_share"]["customer_category"], columns["patterns"]["customer_id"]
    (np.float64(0.5), [('A-9', 1.0)])
    """
    delivery = as_delivery(data)
    require_usable(delivery.frame)
    frame = delivery.frame.assign(**{TIME: settled(delivery.frame[TIME])})
    with Session({"rows_": to_arrow(frame, CUSTOMER.arrow_schema())}) as session:
        columns = count_columns(session, [c for c in CUSTOMER.names if c in frame.columns])
        several = f"SELECT count(*) FROM (SELECT 1 FROM rows_ WHERE {ID} IS NOT NULL GROUP BY {ID} HAVING count(*) > 1)"
        (ids,) = columns[columns["column"] == ID].to_dict("records")
        needless = _needless(ids, len(frame))
        n_versioned = 0 if "twin_keys" in needless else session.scalar(several)
        months = to_frame(
            session.table(
                f"""SELECT year({TIME}) * 12 + month({TIME}) - 1 AS month, count(*) AS rows FROM rows_
                    WHERE {TIME} IS NOT NULL GROUP BY 1 ORDER BY 1"""
            )
        )
    rules = [rule for rule in CUSTOMER_RULES if rule.name not in needless]
    findings = run_rules(frame, rules, now or pd.Timestamp.now("UTC"))
    return Profile(
        findings=findings,
        columns=columns,
        times=_periods(months),
        told=by_harm(findings, frame),
        n_rows=len(frame),
        n_customers=ids["distinct"],
        n_versioned=n_versioned,
        n_broken=delivery.n_broken,
        source=delivery.source,
        names=delivery.names,
        drift=None if before is None else drift(before, delivery),
    )


def _needless(ids: Mapping[Any, Any], n_rows: int) -> set[str]:
    """Name the rules that cannot find anything, as the ids have been counted: they are the slower ones."""
    once = {"twin_keys"} if ids["distinct"] == n_rows - ids["nulls"] else set()
    # Another case, a space and a zero more each make another pattern.
    one_form = (
        len(ids["patterns"]) <= 1 and not ids["sampled"] and not pd.isna(ids["longest"]) and ids["longest"] < SHAPED
    )
    return once | ({"near_ids"} if one_form else set())


def _periods(months: pd.DataFrame) -> pd.DataFrame:
    """Count by the shortest of the `_SIZES` that shows all rows but 1 % at either end in `MAX_BARS`."""
    if months.empty:
        return pd.DataFrame({"period": pd.Series(dtype="str"), "rows": pd.Series(dtype="int64")})
    share = months["rows"].cumsum() / months["rows"].sum()
    low, high = (int(months["month"].iloc[share.searchsorted(at)]) for at in (0.01, 0.99))
    size = next(size for size in _SIZES if high // size - low // size < MAX_BARS - 2)
    counted = months["rows"].groupby(months["month"] // size).sum()
    first, last = low // size, high // size
    if counted.index[-1] - counted.index[0] < MAX_BARS:
        first, last = int(counted.index[0]), int(counted.index[-1])
    shown = counted.reindex(range(first, last + 1), fill_value=0)
    earlier, later = counted[counted.index < first].sum(), counted[counted.index > last].sum()
    periods = [(_name(first + n, size), rows) for n, rows in enumerate(shown)]
    periods = [(f"before {periods[0][0]}", earlier)] * bool(earlier) + periods
    periods += [(f"after {periods[-1][0]}", later)] * bool(later)
    return pd.DataFrame(periods, columns=["period", "rows"]).astype({"period": "str"})


def _name(period: int, size: int) -> str:
    year, month = divmod(period * size, 12)
    if size > 12:
        return f"{year:04d} to {year + size // 12 - 1:04d}"
    return f"{year:04d}" + {1: f"-{month + 1:02d}", 3: f" Q{month // 3 + 1}", 12: ""}[size]

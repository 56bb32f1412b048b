"""profile(): what a delivery looks like before anything is checked: its customers, its times, its columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pandas as pd

from toolkit.config import current
from toolkit.display import Part, Result, Tone, headline, noun, plural, section, timeline
from toolkit.engine import DUCKDB, AnySession, Session, quoted, table_of, to_arrow, to_frame
from toolkit.model import CUSTOMER, ID, TIME, Customers, Delivery, cast_frame, zoned_moment
from toolkit.progress import step
from toolkit.quality.compiling import compile_rule, repeated
from toolkit.quality.corrections import require_times, usable
from toolkit.quality.drifting import Before, Drift, drift
from toolkit.quality.findings import count_reasons, find, findings_of, first_reason
from toolkit.quality.flagging import Lying, flagged, lying, way_of
from toolkit.quality.rules import RULES, Rule
from toolkit.quality.showing import column_cards, findings_grid, in_words, unrun
from toolkit.quality.statistics import SHAPED, count_columns

MAX_BARS = 40
"""The most bars of the time line; rows outside it are counted in a bar at each end."""
_SIZES = (1, 3, 12, 120, 1_200, 12_000)  # months of a period; the last covers all years

# The rules about customers that take less than a second for a million rows.
_FAIL = ("no_id", "twin_keys")
_KEPT = ("near_ids", "future_time", "early_time", "equal_names", "orphan_subcategory", "two_categories")
CUSTOMER_RULES = (
    Rule("no_id", ID, "is empty", where=f"{ID} IS NULL", seconds=None),
    Rule("twin_keys", ID, f"and {TIME} are shared with another row", search=partial(repeated, CUSTOMER.key)),
    *(rule for rule in RULES if rule.name in _KEPT),
)
"""The rules whose findings a profile shows; the others are left to `validate`."""


@dataclass(frozen=True, eq=False, repr=False)
class Profile(Result):
    """What `profile` counted.

    Attributes
    ----------
    findings
        What is unusual about the customers, as `ValidationReport.warnings`: one record per row and rule.
    columns
        One row per column: ``nulls``, ``null_share`` (0 to 1), ``unread`` (cells that are not times), ``distinct``,
        length of the ``shortest``, ``median`` and ``longest`` text, ``least`` and ``greatest`` value, ``top`` (list of
        (value, rows): at most five values, each in at least 1 % of the rows), ``patterns`` (list of (pattern, share of
        the filled cells), where ``A`` and ``a`` mean a letter, ``9`` a digit and ``9{5}`` five digits) and ``sampled``:
        whether the patterns come from a sample, which is so if many values have little in common.
    times
        Rows by period of ``updated_at``: ``period`` (a day, a month, a quarter, a year or years), ``rows``.
    reasons
        One row per reason of the findings: ``reason, column, check, count`` and ``examples``.
    n_versioned
        Customers with more than one row.
    n_copies
        Rows that share their id and time with others and agree with all of these in every column: they are harmless.
    drift
        How the delivery differs from what was sent before; None if that was not given.
    not_run
        For a table of an engine: the rules that did not run there, because they compare texts letter by letter.
    """

    findings: pd.DataFrame
    columns: pd.DataFrame
    times: pd.DataFrame
    reasons: pd.DataFrame
    n_rows: int
    n_customers: int
    n_versioned: int
    n_copies: int
    n_broken: int
    source: str
    names: dict[str, str]
    drift: Drift | None = None
    not_run: tuple[str, ...] = ()

    def summary(self) -> str:
        """Return the size in one line."""
        return f"{plural(self.n_rows, 'row')} of {plural(self.n_customers, 'customer')} from {self.source}"

    @property
    def verdict(self) -> str:
        """What matters most, in one line."""
        if not self.n_rows:
            return "There are no rows."
        first = f"; to look at first: {first_reason(self.reasons)}" if len(self.reasons) else ""
        return f"{self._size}{first}."

    @property
    def _size(self) -> str:
        several = f", {self.n_versioned:,} of them with several rows" if self.n_versioned else ""
        several += f" ({plural(self.n_copies, 'row')} are exact copies)" if self.n_copies else ""
        return f"{plural(self.n_rows, 'row')} of {plural(self.n_customers, 'customer')}{several}"

    def body(self) -> str:
        """Return the customers, the time line and the columns as an HTML fragment."""
        counted, names = self.reasons.set_index("check")["count"], self.names
        nameless, n_single = int(counted.get("no_id", 0)), self.n_customers - self.n_versioned
        n_differ = int(counted.get("twin_keys", 0)) - self.n_copies
        n_rest = self.n_rows - n_single - nameless - n_differ - self.n_copies
        parts = [
            Part(n_single, f"{noun(n_single, 'customer')} with one row", "changed", sign="="),
            Part(n_rest, f"{noun(n_rest, 'row')} of customers with several", "calm"),
            Part(self.n_copies, "rows are exact copies", "calm", "drop_exact_duplicates keeps one of each"),
            Part(n_differ, "rows share id and time, and differ", "bad"),
            Part(nameless, f"{noun(nameless, 'row')} without a customer", "bad"),
            Part(self.n_broken, f"{noun(self.n_broken, 'line')} that cannot be read", "bad"),
        ]
        first = f"To look at first: {in_words(first_reason(self.reasons), names)}." if len(self.reasons) else ""
        shown: list[str] = [headline(f"Profile of {self.source}", self._size, first, parts=parts)]
        if len(self.reasons) or self.not_run:
            fails = self.reasons["check"].isin(_FAIL)
            sides: dict[Tone, pd.DataFrame] = {"bad": self.reasons[fails], "warn": self.reasons[~fails]}
            table = findings_grid(sides, n_rows=self.n_rows, names=names, show={})
            shown.append(section("Customers: worth a look", table, note=unrun(self.not_run)))
        if self.drift is not None:
            shown.append(self.drift.part())
        if len(self.times):
            counts = list(self.times.itertuples(index=False, name=None))
            most = max(counts, key=lambda count: count[1])
            note = f"rows by {names.get(TIME, TIME)}, UTC: at most {most[1]:,}, {most[0]}"
            shown.append(section("When they changed", timeline(counts), note=note))
        if self.n_rows:
            boxes = column_cards(self.columns, self.reasons, self.n_rows, names)
            shown.append(section("Columns", boxes))
        return "".join(shown)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per column."""
        return self.columns

    def to_dict(self) -> dict[str, Any]:
        """Return the counts, without values of the columns."""
        return {
            "rows": self.n_rows,
            "customers": self.n_customers,
            "customers_with_several_rows": self.n_versioned,
            "exact_copies": self.n_copies,
            "broken": self.n_broken,
            "findings": dict(zip(self.reasons["reason"], map(int, self.reasons["count"]), strict=True)),
            "columns": {
                str(c["column"]): {"nulls": c["nulls"], "null_share": c["null_share"], "distinct": c["distinct"]}
                for c in self.columns.to_dict("records")
            },
            **({"not_run": list(self.not_run)} if self.not_run else {}),
            **({} if self.drift is None else {"drift": self.drift.to_dict()}),
        }


@step("Profiling")
def profile(data: Customers, *, before: Before | None = None, now: pd.Timestamp | None = None) -> Profile:
    """Count what a delivery contains: its customers, its times, its columns.

    Parameters
    ----------
    data
        A frame, a `Delivery`, or a result with one; or a table of an engine, which counts it itself.
    before
        What was sent before, as `drift` takes it.
    now
        The moment from which "in the future" counts, UTC; by default the present.

    Raises
    ------
    InputError
        If `data` is not customers, a key column is missing, a column or an index entry is there twice, or
        ``updated_at`` has no time zone or is not a time.

    Examples
    --------
    >>> frame = pd.DataFrame({"customer_id": ["A-1", "B-2"], "customer_category": ["Enterprise", None],
    ...                       "updated_at": pd.to_datetime(["2025-01-28T10:00:00Z"] * 2)})
    >>> columns = profile(frame).columns.set_index("column")
    >>> columns["null_share"]["customer_category"], columns["patterns"]["customer_id"]
    (np.float64(0.5), [('A-9', 1.0)])
    """
    moment = zoned_moment(now, "now")
    drifted = None if before is None else drift(before, data)
    if (table := table_of(data)) is not None:
        with lying(table, current(None), None) as lies:
            n_unread = lies.session.scalar(f"SELECT count(_unread_{TIME}) AS n FROM {lies.rows} AS r")
            found = _profile(lies.session, lies.rows, lies.delivery, n_unread, partial(_findings_there, lies, moment))
        return replace(found, source=getattr(data, "described", lies.delivery).source, drift=drifted)
    delivery = usable(data)
    require_times(delivery.frame)
    frame = cast_frame(delivery.frame, CUSTOMER)[0]
    given = replace(delivery, given=tuple(frame.columns))
    with Session({"rows_": to_arrow(frame, CUSTOMER.arrow_schema(), index="row_")}) as session:
        n_unread = int((frame[TIME].isna() & delivery.frame[TIME].notna()).sum())
        found = _profile(
            session, "rows_", given, n_unread, partial(_findings_here, session, frame, delivery.frame, moment)
        )
    return replace(found, drift=drifted)


_COPIES = f"""SELECT coalesce(sum(n), 0) AS n FROM (
    SELECT {ID}, {TIME}, count(*) AS forms, sum(n) AS n FROM (
        SELECT {{0}}, count(*) AS n FROM flagged_ AS f WHERE {ID} IS NOT NULL AND {TIME} IS NOT NULL GROUP BY {{0}}
    ) AS each_ GROUP BY {ID}, {TIME}) AS keys_ WHERE forms = 1 AND n > 1"""
"""How many flagged rows share their key only with rows that agree in every column."""


Findings = tuple[pd.DataFrame, pd.DataFrame, tuple[str, ...], int]
"""The findings, one row per reason, the rules that did not run, and how many rows are exact copies of others."""


FindIn = Callable[[Sequence[Rule]], Findings]


def _profile(session: AnySession, rows: str, delivery: Delivery, n_unread: int, find_in: FindIn) -> Profile:
    columns = count_columns(session, [c for c in CUSTOMER.names if c in delivery.given], rows=rows)
    n_rows = session.scalar(f"SELECT count(*) AS n FROM {rows} AS r")
    columns["unread"] = (columns["column"] == TIME) * n_unread
    columns["nulls"] -= columns["unread"]
    columns["null_share"] = columns["nulls"] / max(n_rows, 1)
    (ids,) = columns[columns["column"] == ID].to_dict("records")
    needless = _needless(ids, n_rows)
    rules = [r for r in CUSTOMER_RULES if r.name not in needless and r.column in delivery.given]
    findings, reasons, not_run, n_copies = find_in(rules)
    return Profile(
        findings=findings,
        columns=columns.drop(columns="repeated"),
        times=_periods(_days(session, rows)),
        reasons=reasons,
        n_rows=n_rows,
        n_customers=ids["distinct"],
        n_versioned=ids["repeated"],
        n_copies=n_copies,
        n_broken=delivery.n_broken,
        source=delivery.source,
        names=delivery.names,
        not_run=not_run,
    )


def _findings_here(
    session: Session, frame: pd.DataFrame, given: pd.DataFrame, now: pd.Timestamp, rules: Sequence[Rule]
) -> Findings:
    conditions = [compile_rule(rule, now) for rule in rules]
    find(session, conditions)
    findings, reasons = findings_of(session, conditions, frame, count_reasons(session))
    twins = given.loc[findings.loc[findings["check"] == "twin_keys", "index"]]
    forms = twins.drop_duplicates().groupby([*CUSTOMER.key]).size()
    agree = twins.set_index([*CUSTOMER.key]).index.isin(forms.index[forms == 1])
    return findings, reasons, (), int(agree.sum())


def _findings_there(rows: Lying, now: pd.Timestamp, rules: Sequence[Rule]) -> Findings:
    ways = [(condition, way_of(condition, rows)) for condition in (compile_rule(rule, now) for rule in rules)]
    conditions, known = [c for c, way in ways if way is not None], [way for _, way in ways if way is not None]
    with flagged(rows, conditions, known, 0) as (shown, counts):
        cells = shown.cells("SELECT row_ FROM rows_")
        findings, reasons = findings_of(shown.session, conditions, cells, counts.reasons)
        n_copies = rows.session.scalar(_COPIES.format(", ".join(map(quoted, rows.columns)))) if known else 0
    return findings, reasons, tuple(c.check for c, way in ways if way is None), int(n_copies)


def _days(session: AnySession, rows: str) -> pd.DataFrame:
    """Count by day: its number, as if every month had 31."""
    utc, part = f"r.{TIME}", "CAST(date_part('{}', utc) AS BIGINT)"
    if session.dialect is DUCKDB:  # without a time zone's calendar
        utc, part = f"make_timestamp(epoch_us({utc}))", "{}(utc)"
    year, month, day = map(part.format, ("YEAR", "MONTH", "DAY"))
    times = f"SELECT {utc} AS utc FROM {rows} AS r WHERE r.{TIME} IS NOT NULL"
    days = f"SELECT ({year} * 12 + {month} - 1) * 31 + {day} - 1 AS of_day FROM ({times}) AS times"
    return to_frame(
        session.table(f"""SELECT of_day AS day, count(*) AS "rows" FROM ({days}) AS days_
        GROUP BY of_day ORDER BY of_day""")
    )


def _needless(ids: Mapping[Any, Any], n_rows: int) -> set[str]:
    """Return the rules that cannot find anything, to judge by the counts of the ids: they are the slow ones."""
    once = {"twin_keys"} if ids["distinct"] == n_rows - ids["nulls"] else set()
    # Another case, one more space or one more zero would be another pattern.
    one_form = (
        len(ids["patterns"]) <= 1 and not ids["sampled"] and not pd.isna(ids["longest"]) and ids["longest"] < SHAPED
    )
    return once | ({"near_ids"} if one_form else set())


def _periods(days: pd.DataFrame) -> pd.DataFrame:
    """Count by day if `MAX_BARS` show all, else by the shortest of the `_SIZES` that shows all but 1 % at each end."""
    if days.empty:
        return pd.DataFrame({"period": pd.Series(dtype="str"), "rows": pd.Series(dtype="int64")})
    if days["day"].iloc[-1] - days["day"].iloc[0] < MAX_BARS:
        names = (f"{day // 372:04d}-{day // 31 % 12 + 1:02d}-{day % 31 + 1:02d}" for day in days["day"])
        counted = pd.Series(days["rows"].to_numpy(), pd.PeriodIndex(list(names), freq="D"))
        shown = counted.reindex(pd.period_range(counted.index[0], counted.index[-1]), fill_value=0)
        return pd.DataFrame({"period": shown.index.astype("str"), "rows": shown.to_numpy()})
    months = days["rows"].groupby(days["day"] // 31).sum()
    share = months.cumsum() / months.sum()
    low, high = (int(months.index[int(share.searchsorted(at))]) for at in (0.01, 0.99))
    size = next(size for size in _SIZES if high // size - low // size < MAX_BARS - 2)
    counted = months.groupby(months.index // size).sum()
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

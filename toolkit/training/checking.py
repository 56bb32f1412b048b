"""readiness(): whether quotes and sales are ready to train the vendor's model, each quote as of its date."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib.resources import files
from typing import Any

import pandas as pd

import toolkit.display as draw
from toolkit.display import Cell, Markup, Part, Result, frame_table, meter, paragraph, percent, plural
from toolkit.engine import EngineTable, Session
from toolkit.errors import InputError, did_you_mean, wrong_kind
from toolkit.ledger import Ledger, Snapshot
from toolkit.model import FEATURES, MERCHANTS, QUOTES, SALES, VERSIONS, Customers, as_delivery, zoned_moment
from toolkit.progress import step
from toolkit.pushing import PushPlan
from toolkit.training.counting import LISTED, after_push, count
from toolkit.training.staging import Refers, Stage

Versions = Customers | Ledger | Refers
"""Every version of the customers: a ledger, a snapshot, what the stations take, or a table."""
MAX_BARS = 36
MAX_MONTHS = 1_200
MAX_NAMED = 3
_WORDS = tomllib.loads(files(__package__).joinpath("findings.toml").read_text(encoding="utf-8"))
_STATES, _FINDINGS, _NONE = _WORDS["states"], _WORDS["findings"], _WORDS["none"]
_HEADS = {"id": "Customer", "detail": "Instead", "first_at": "First", "last_at": "Last", "version_at": "Version"}
_HEADS |= {name: name.capitalize() for name in ("name", "quotes", "sales", "value")} | {"after": "After the push"}
_COUNTS = "n_quotes n_ready states lacking stale_months notes totals"


@dataclass(frozen=True, eq=False, repr=False)
class Readiness(Result):
    """What `readiness` counted.

    Attributes
    ----------
    cells
        Quotes by ``month`` (its first moment; null without a date), ``category`` of the customer at that time,
        ``state``, and for each feature whether the customer's version lacked it (1 or 0, null without a version).
    findings
        One row for each finding and customer, or merchant: ``finding``, ``id``, ``name``, ``detail``, ``quotes``,
        ``sales``, ``value``, ``first_at`` and ``last_at`` of these, ``version_at`` (of the first version if quotes are
        before it, else of the newest). ``detail`` is the id that CUSTOMER has instead, whose name and version these
        are then; or a customer's price list, and that of its quote instead.
        At most 100,000 rows of each finding.
    totals
        Of each finding, complete: ``ids`` (customers or merchants), ``quotes``, ``sales``, ``value``.
    notes
        What was assumed or could not be read.
    after
        The same after the push of the plan; None without a plan.
    """

    cells: pd.DataFrame
    findings: pd.DataFrame
    totals: dict[str, dict[str, Any]]
    source: str
    stale_months: int
    notes: tuple[str, ...] = ()
    after: Readiness | None = None

    @cached_property
    def states(self) -> dict[str, int]:
        """Quotes by what they are, each once.

        ``ready``: every feature was filled as of the date. ``late``: one was empty then, and is filled now.
        ``incomplete``: it still is empty. ``early``: dated before the customer's first version. ``rewritten``: the id
        differs from a customer's only by leading zeros, case or spaces. ``missing``: there is no such customer.
        ``unusable``: no id, or no date that can be read.
        """
        # Only beside all of CUSTOMER it is known which of the missing ones are there in another form.
        lost = {name: self.count(name, "quotes") for name in ("missing", "rewritten")}
        counts = self.cells.groupby("state")["quotes"].sum().to_dict() | lost
        return {state: int(counts.get(state, 0)) for state in _STATES}

    @property
    def n_quotes(self) -> int:
        """Quotes."""
        return sum(self.states.values())

    @property
    def n_ready(self) -> int:
        """Quotes of which every feature was filled as of their date."""
        return self.states["ready"]

    def count(self, finding: str, what: str = "ids") -> int:
        """Count the customers, or merchants, of a finding; or its ``quotes`` or ``sales``."""
        return int(self.totals.get(finding, {}).get(what, 0))

    def shares(self, by: str) -> pd.DataFrame:
        """Return the ``quotes`` by ``month`` or ``category``, how many are ``ready``, and their ``share`` (0 to 1)."""
        if by not in ("month", "category"):
            raise InputError(f"shares cannot be by {by!r}: write month or category.")
        cells = self.cells.assign(ready=self.cells["quotes"].where(self.cells["state"] == "ready", 0))
        found = cells.groupby(by)[["quotes", "ready"]].sum().assign(share=lambda f: f["ready"] / f["quotes"])
        return found if by != "month" else found.rename(lambda m: f"{m:%Y-%m}")

    @property
    def lacking(self) -> dict[str, int]:
        """Quotes whose customer had a version at that time that lacks a feature, by feature; most first."""
        known = self.cells[self.cells["state"].isin(["ready", "late", "incomplete"])]
        found = known[[*FEATURES]].mul(known["quotes"], axis=0).sum().sort_values(ascending=False)
        return {str(name): int(n) for name, n in found.items()}

    @property
    def has_findings(self) -> bool:
        """Whether a quote is not ready, or something is found other than customers that were never quoted."""
        return self.n_ready < self.n_quotes or bool(self.totals.keys() - {"never"})

    def summary(self) -> str:
        """Return the share of the quotes that are ready in one line, before and after the plan."""
        return " · ".join([*self._verdicts, self.source])

    @property
    def _verdicts(self) -> list[str]:
        now, after, n = self.n_ready, (self.after or self).n_ready, self.n_quotes
        have, more = plural(n, "quote has", "quotes have"), plural(after - now, "more quote has", "more quotes have")
        shares = [percent(ready / max(n, 1)) for ready in (now, after)]
        said = f"{now:,} of {have} every feature as of their date ({shares[0]})"
        return [said, *[f"after this push {more} every feature ({now:,} → {after:,}, {shares[1]})"] * bool(self.after)]

    def lines(self) -> dict[str, str]:
        """Return each finding in one line with its figures, the most harmful first."""
        found = {}
        for name in filter(self.totals.get, _FINDINGS):
            of, (n, n_quotes, n_sales, value) = _FINDINGS[name], self.totals[name].values()
            who = plural(n, of["words"], of["plural"]).format(self.stale_months)
            figures = [n_quotes and plural(n_quotes, "quote"), n_sales and plural(n_sales, "sale")]
            figures += [value and f"worth {value:,.2f}"]
            left = f" · {self.after.count(name):,} after the push" if self.after and self.after.count(name) != n else ""
            found[name] = ": ".join(filter(None, [who, ", ".join(filter(None, figures))])) + left
        return found

    def body(self) -> str:
        """Return the verdict, the states of the quotes, the time line and the findings as an HTML fragment."""
        said = [f"{text[0].upper()}{text[1:]}." for text in self._verdicts]
        said += [f"Empty most often: {name}, in {plural(n, 'quote')}." for name, n in [*self.lacking.items()][:1] if n]
        shown: list[str] = [draw.headline(f"Readiness of {self.source}", *said, parts=self._parts)]
        if self.after:
            both = zip(self._parts, self.after._parts, strict=True)
            moved = " · ".join(f"{old.words}: {old.n:,} → {new.n:,}" for old, new in both if old.n != new.n)
            shown.append(draw.section("After the push", draw.stack(self.after._parts), paragraph(moved or "as now")))
        shown.append(draw.notes(self.notes))
        bars: list[tuple[str, int, float]] = []
        for month, n, _, share in self.shares("month").tail(MAX_BARS).itertuples():
            if bars and (gap := pd.Period(bars[-1][0]) + 1) < pd.Period(month):  # one empty bar for all months between
                bars.append((f"{gap} …", 0, 0.0))
            bars.append((month, n, share))
        if bars:
            line = draw.timeline([bar[:2] for bar in bars], filled=[share for *_, share in bars])
            every = draw.fold("Every month", self._by("month"))
            shown.append(draw.section("By month", line, every, note="quotes; of each bar the full part is ready"))
            shown.append(draw.section("By category", self._by("category"), note="of the customer at that time"))
        folds = [self._fold(*each, is_open=n == 0) for n, each in enumerate(self.lines().items())]
        return "".join([*shown, draw.section("Findings", *folds, note=_WORDS["note"]) if folds else ""])

    @property
    def _parts(self) -> list[Part]:
        return [Part(self.states[state], of["words"], of["tone"], of["note"]) for state, of in _STATES.items()]

    def _by(self, by: str) -> Markup:
        """Render by month or category how many of the quotes are ready, and how many after the push."""
        sides = []
        for side in filter(None, (self, self.after)):
            known = side.shares(by)[["ready", "quotes"]]
            known.loc[_NONE[by]] = [0, side.n_quotes - known["quotes"].sum()]  # ready are only those with both
            sides.append(known[known["quotes"] > 0])
        every = pd.concat(sides, axis=1).fillna(0).astype(int)
        rows = [(name, *map(_share, counts[::2], counts[1::2])) for name, *counts in every.itertuples()]
        return draw.grid(f"By {by}", [by.capitalize(), "Ready", "After the push"][: 1 + len(sides)], rows)

    def _fold(self, finding: str, line: str, *, is_open: bool) -> Markup:
        """Render the customers or merchants of a finding, and what to do about them."""
        rows, of = self.findings[self.findings["finding"] == finding].drop(columns="finding"), _FINDINGS[finding]
        group, said = {finding, *(_STATES if finding in _STATES else ())}, [of["do"]]
        if self.after and max(self.count(finding), *map(self.after.count, group)) <= LISTED:  # else not all are there
            still = rows["id"].isin(self.after.findings.query("finding in @group")["id"])
            if not still.all():
                rows = rows.assign(after=still.map({True: "still open", False: "solved"}))
                rest = ", ".join(rows["id"][still]) if sum(still) <= MAX_NAMED else f"{sum(still):,}"
                said = [f"Still open: {rest}. {of['do']}"] if any(still) else []
                said.insert(0, f"This push solves {sum(~still):,} of the {len(still):,}.")
        some = [c for c in rows if (rows[c].notna() & ~rows[c].isin([0, ""])).any()]
        heads = {**_HEADS, "id": "Merchant"} if finding == "merchant" else _HEADS
        table = frame_table(rows[some].rename(columns=heads), name=line, show={"Value": "{:,.2f}".format})
        check = draw.badge(of["check"], tone=of["tone"]) if of["check"] else ""
        return draw.fold(draw.joined(line, " ", check), *map(paragraph, said), table, tone=of["tone"], is_open=is_open)

    def to_frame(self) -> pd.DataFrame:
        """Return the findings."""
        return self.findings

    def to_dict(self) -> dict[str, Any]:
        """Return the counts, without values of the columns."""
        found = {name.removeprefix("n_"): getattr(self, name) for name in _COUNTS.split()}
        return found | ({"after": self.after.to_dict()} if self.after else {})


def _share(ready: int, n: int) -> Cell:
    text = f"{ready:,} of {n:,} ({percent(ready / n)})" if n else "none"
    return Cell(ready / max(n, 1), meter(ready / max(n, 1), text))


@step("Joining quotes with customers")
def readiness(
    customers: Versions,
    quotes: Refers,
    sales: Refers | None = None,
    *,
    merchants: Refers | None = None,
    plan: PushPlan | None = None,
    columns: Mapping[str, str] | None = None,
    stale_months: int = 12,
    now: pd.Timestamp | None = None,
) -> Readiness:
    """Check whether quotes and sales can train the vendor's model: each is joined with its customer as of its date.

    Parameters
    ----------
    customers
        Every version of the customers: a `Ledger`, a snapshot of it, or a table with the contract's columns. Where the
        table has only the newest version of each customer, quotes before it count as too early.
    quotes, sales
        Tables that refer to customers, one row for each line: a .csv or .parquet file, a frame, or an Arrow table.
        Parquet does not have to fit in memory.
    merchants
        The table of merchants that quotes refer to.
    plan
        A plan of a push: counts everything after it as well, see `Readiness.after`.
    columns
        What the tables call the vendor's columns: ``{"quoted_at": "Offer date"}``. By default as the vendor does, in
        any case: ``customer_id``, ``quoted_at``, ``sold_at``, ``merchant_id``, ``price_list_id``; ``value``, or
        ``quantity`` times ``selling_price``, is what is at stake.
    stale_months
        A customer is stale if its newest version is older than so many months.
    now
        The moment from which they count, UTC; by default the present.

    Raises
    ------
    InputError
        If an argument is of another kind, or a table lacks a column.

    Examples
    --------
    >>> customers = pd.DataFrame({"customer_id": ["007"], "updated_at": pd.to_datetime(["2025-03-01T00:00Z"]),
    ...                           "customer_category": ["Retail"], "customer_subcategory": ["Wood"]})
    >>> quotes = pd.DataFrame({"customer_id": ["007", "007", "7"],
    ...                        "quoted_at": pd.to_datetime(["2025-02-01T00:00Z"] + ["2025-04-01T00:00Z"] * 2)})
    >>> found = readiness(customers, quotes)
    >>> found
    <Readiness: 1 of 3 quotes have every feature as of their date (33.3%) · quotes>
    >>> {state: n for state, n in found.states.items() if n}
    {'ready': 1, 'early': 1, 'rewritten': 1}
    """
    own = {} if columns is None else columns
    if not isinstance(plan, PushPlan | None):
        raise wrong_kind(plan, "a plan", "plan_push(changes)")
    if not isinstance(own, Mapping) or not all(isinstance(name, str) for pair in own.items() for name in pair):
        raise wrong_kind(columns, "a dict of columns", '{"quoted_at": "Offer date"}')
    if isinstance(stale_months, bool) or not isinstance(stale_months, int) or not 1 <= stale_months <= MAX_MONTHS:
        raise InputError(f"stale_months is a number of months, 1 to {MAX_MONTHS:,}.")
    held: Any = as_delivery(customers).frame if hasattr(customers, "delivery") else customers
    held = held.versions() if isinstance(held, Ledger) else held.versions if isinstance(held, Snapshot) else held
    names = ("versions_", "quotes_", "sales_", "merchants_", "planned_")
    roles = dict(zip(names, (VERSIONS, QUOTES, SALES, MERCHANTS, VERSIONS), strict=True))
    tables = dict(zip(names, (held, quotes, sales, merchants, plan and plan.rows), strict=True))
    known = {column for of in roles.values() for column in of.values()}
    engines = {data.engine for data in tables.values() if isinstance(data, EngineTable)}
    if len(engines) > 1:
        raise InputError("The tables are in several engines: give those of one, and the others as frames or files.")
    with engines.pop().session() if (far := bool(engines)) else Session(memory_limit="1GB") as session:
        stage = Stage(session, dict(own), far=far)
        wanted = [name for name, data in tables.items() if data is not None or name in ("versions_", "quotes_")]
        staged = {name: stage.table(name, tables[name], roles[name]) for name in wanted}
        for column, mine in own.items():
            if column not in known or mine.strip().casefold() not in stage.headers:
                near = did_you_mean(mine, stage.headers) if column in known else did_you_mean(column, known)
                raise InputError(f"columns: no table here has {mine!r} for {column!r}{near or '.'}")
        queries = {name: query for name, (_, query) in staged.items()}
        queries.setdefault("sales_", "(SELECT id, moment, value FROM quotes_ WHERE 1 = 0)")
        queries.setdefault("planned_", "(SELECT id, name FROM versions_ WHERE 1 = 0)")
        source = " and ".join(staged[name][0] for name in ("quotes_", "sales_") if name in staged)
        moment = zoned_moment(now, "now") - pd.DateOffset(months=stale_months)
        whole = partial(Readiness, source=source, stale_months=stale_months, notes=tuple(stage.notes))
        try:
            found = whole(**count(session, queries, stale=moment))
        except InputError as error:
            if not stage.texts:
                raise
            raise InputError(
                f"{error} A cell of {' or '.join(stage.texts)} may be unreadable: convert the column in a query, "
                'tk.table(engine, "SELECT …").'
            ) from None
        if plan is None:
            return found
        queries["versions_"] = after_push(queries["versions_"], queries["planned_"], plan.envelope.operation)
        return replace(found, after=whole(**count(session, queries, stale=moment)))

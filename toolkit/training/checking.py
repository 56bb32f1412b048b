"""readiness(): whether quotes and sales are ready to train the vendor's model, each quote as of its date."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

import toolkit.display as draw
from toolkit.display import Cell, Markup, Part, Result, frame_table, meter, paragraph, percent, plural
from toolkit.engine import Session
from toolkit.errors import InputError, did_you_mean, wrong_kind
from toolkit.ledger import Ledger, Snapshot
from toolkit.model import FEATURES, MERCHANTS, QUOTES, SALES, VERSIONS, Customers, as_delivery
from toolkit.progress import step
from toolkit.pushing import PushPlan
from toolkit.training.counting import after_push, count
from toolkit.training.staging import Refers, Stage

Versions = Customers | Ledger | Refers
"""Every version of the customers: a ledger, a snapshot, what the stations take, or a table."""
MAX_BARS = 36
_WORDS = tomllib.loads(files(__package__).joinpath("findings.toml").read_text(encoding="utf-8"))
_STATES, _FINDINGS = _WORDS["states"], _WORDS["findings"]
_HEADS = {"near": "In CUSTOMER", "quotes": "Quotes", "sales": "Sales", "value": "Value", "first_at": "First",
          "last_at": "Last", "version_at": "Version"}  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class Readiness(Result):
    """What `readiness` counted.

    Attributes
    ----------
    cells
        Quotes by ``month`` (counted from year 0; null without a date), ``category`` of the customer at that time,
        ``state``, and for each feature whether the customer's version lacked it (1 or 0, null without a version).
    findings
        One row for each finding and customer, or merchant: ``finding``, ``id``, ``quotes``, ``sales``, ``value``,
        ``first_at`` and ``last_at`` of these, ``version_at`` (of the first version if quotes are before it, else of the
        newest), ``near`` (the id that CUSTOMER has instead). At most 100,000 of each finding.
    totals
        One row for each finding, complete: ``finding``, ``ids``, ``quotes``, ``sales``, ``value``.
    price_lists
        One row for each pair that differs: ``its_price_list`` (the customer's at that time), ``price_list`` (the
        quote's), ``quotes``, ``customers``.
    notes
        What was assumed or could not be read.
    after
        The same after the push of the plan; None without a plan.
    """

    cells: pd.DataFrame
    findings: pd.DataFrame
    totals: pd.DataFrame
    price_lists: pd.DataFrame
    n_customers: int
    n_versions: int
    n_sales: int
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
        counts = self.cells.groupby("state")["quotes"].sum().to_dict()
        # Only beside all of CUSTOMER it is known which of the missing ones are there in another form.
        counts["rewritten"] = self._total("rewritten", "quotes")
        counts["missing"] = counts.get("missing", 0) - counts["rewritten"]
        return {state: int(counts.get(state, 0)) for state in _STATES}

    @property
    def n_quotes(self) -> int:
        """Quotes."""
        return sum(self.states.values())

    @property
    def n_ready(self) -> int:
        """Quotes of which every feature was filled as of their date."""
        return self.states["ready"]

    @property
    def share(self) -> float:
        """The share of the quotes that are ready, 0 to 1; 1 if there are none."""
        return self.n_ready / self.n_quotes if self.n_quotes else 1.0

    def shares(self, by: str) -> pd.DataFrame:
        """Return the ``quotes`` by ``month`` or ``category``, how many are ``ready``, and their ``share``."""
        ready = self.cells["quotes"].where(self.cells["state"] == "ready", 0)
        found = self.cells.assign(ready=ready).groupby(by)[["quotes", "ready"]].sum().reset_index()
        if by == "month":
            found["month"] = [f"{m // 12:04.0f}-{m % 12 + 1:02.0f}" for m in found["month"]]
        return found.assign(share=found["ready"] / found["quotes"])

    @property
    def features(self) -> pd.DataFrame:
        """Each ``feature``, the ``quotes`` whose customer lacked it at that time, and their ``share``; most first."""
        known = self.cells[self.cells["state"].isin(["ready", "late", "incomplete"])]
        lacking = [(name, int((known[name] * known["quotes"]).sum())) for name in FEATURES]
        found = pd.DataFrame(lacking, columns=["feature", "quotes"]).sort_values(
            "quotes", ascending=False, kind="stable"
        )
        return found.assign(share=found["quotes"] / max(known["quotes"].sum(), 1)).reset_index(drop=True)

    def count(self, finding: str) -> int:
        """Count the customers, or merchants, of a finding."""
        return int(self._total(finding, "ids"))

    def _total(self, finding: str, what: str) -> Any:
        found = self.totals.loc[self.totals["finding"] == finding, what]
        return 0 if found.isna().all() else found.iloc[0]

    @property
    def has_findings(self) -> bool:
        """Whether a quote is not ready, or something is found other than customers that were never quoted."""
        return self.n_ready < self.n_quotes or any(self.count(name) for name in _FINDINGS if name != "never")

    def summary(self) -> str:
        """Return the share of the quotes that are ready in one line, before and after the plan."""
        return " · ".join([self._verdict, *([self._gain] if self.after else []), self.source])

    @property
    def _verdict(self) -> str:
        have = plural(self.n_quotes, "quote has", "quotes have")
        return f"{self.n_ready:,} of {have} every feature as of the date ({percent(self.share)})"

    @property
    def _gain(self) -> str:
        after = self.after or self
        more = plural(after.n_ready - self.n_ready, "more quote has", "more quotes have")
        return f"after this push {more} all features ({self.n_ready:,} → {after.n_ready:,}, {percent(after.share)})"

    def lines(self) -> list[str]:
        """Return each finding in one line, with its figures."""
        return [f"{self._title(name)}: {self._figures(name)}" for name in _FINDINGS if self.count(name)]

    def _title(self, finding: str) -> str:
        words = _FINDINGS[finding]["words"], _FINDINGS[finding]["plural"]
        return plural(self.count(finding), *words).format(self.stale_months)

    def _figures(self, finding: str) -> str:
        n_quotes, n_sales, value = (self._total(finding, c) for c in ("quotes", "sales", "value"))
        parts = [plural(int(n), word) for n, word in ((n_quotes, "quote"), (n_sales, "sale")) if n]
        return ", ".join([*parts, *([f"worth {value:,.2f}"] if value else [])]) or "no quotes"

    def body(self) -> str:
        """Return the verdict, the states of the quotes, the time line and the findings as an HTML fragment."""
        most, gain = self.features.iloc[0], f"{self._gain[0].upper()}{self._gain[1:]}." if self.after else ""
        lacking = (
            f"Empty most often: {most['feature']}, in {plural(most['quotes'], 'quote')}." if most["quotes"] else ""
        )
        parts = [Part(self.states[state], w["words"], w["tone"], w["note"]) for state, w in _STATES.items()]
        head = draw.headline(f"Readiness of {self.source}", f"{self._verdict}.", gain, lacking, parts=parts)
        shown: list[str] = [head, draw.notes(self.notes)]
        if self.after:
            both = [(w["words"], self.states[state], self.after.states[state]) for state, w in _STATES.items()]
            rows = [(*line, line[2] - line[1]) for line in both if line[1] or line[2]]
            grid = draw.grid("Before and after", ["Quotes", "Before", "After", "Difference"], rows, unit="states")
            shown.append(draw.section("Before and after the push", grid))
        if len(months := self.shares("month").tail(MAX_BARS)):
            line = draw.timeline(
                list(zip(months["month"], months["quotes"], strict=True)), filled=list(months["share"])
            )
            every = draw.fold("Every month", self._by("month"))
            shown.append(draw.section("By month", line, every, note="quotes; of each bar the full part is ready"))
            shown.append(draw.section("By category", self._by("category"), note="of the customer at that time"))
        folds = [self._fold(name) for name in _FINDINGS if self.count(name)]
        return "".join([*shown, draw.section("Findings", *folds) if folds else ""])

    def _by(self, by: str) -> Markup:
        """Render the quotes by month or category, with the share that is ready, and that after the push."""
        sides = [("Ready", self), ("Ready after the push", self.after)]
        shares = {head: side.shares(by).set_index(by) for head, side in sides if side is not None}
        rows = []
        for name, n in shares["Ready"]["quotes"].items():
            at = [side["share"].get(name, 0.0) for side in shares.values()]
            rows.append((name, n, *(Cell(share, meter(share)) for share in at)))
        return draw.grid(f"By {by}", [by.capitalize(), "Quotes", *shares], rows, unit="rows")

    def _fold(self, finding: str) -> Markup:
        """Render the customers or merchants of a finding, and what to do about them."""
        rows, words = self.findings[self.findings["finding"] == finding].drop(columns="finding"), _FINDINGS[finding]
        rows = rows.loc[:, [c for c in rows if (rows[c].notna() & ~rows[c].isin([0, ""])).any()]]
        names = {"id": "Merchant" if finding == "merchant" else "Customer", **_HEADS}
        table = frame_table(
            rows, name=words["plural"].format(self.stale_months), names=names, show={"value": "{:,.2f}".format}
        )
        pairs = ""
        if finding == "price_list":
            heads = {"its_price_list": "The customer's", "price_list": "The quote's"}
            pairs = frame_table(self.price_lists, name="Price lists", names=_HEADS | heads, unit="pairs")
        check = draw.badge(words["check"], tone=words["tone"]) if words["check"] else ""
        summary = draw.joined(f"{self._title(finding)}: {self._figures(finding)} ", check)
        return draw.fold(summary, paragraph(words["do"]), pairs, table, tone=words["tone"])

    def to_frame(self) -> pd.DataFrame:
        """Return the findings."""
        return self.findings

    def to_dict(self) -> dict[str, Any]:
        """Return the counts, without values of the columns."""
        return {
            "quotes": self.n_quotes,
            "ready": self.n_ready,
            "share": self.share,
            "states": self.states,
            "sales": self.n_sales,
            "customers": self.n_customers,
            "versions": self.n_versions,
            "findings": self.totals.fillna({"value": 0.0}).set_index("finding").to_dict("index"),
            "features": self.features.set_index("feature").to_dict("index"),
            "price_lists_that_differ": len(self.price_lists),
            "stale_months": self.stale_months,
            "notes": list(self.notes),
            **({"after": self.after.to_dict()} if self.after else {}),
        }


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
    <Readiness: 1 of 3 quotes have every feature as of the date (33.3%) · quotes>
    >>> {state: n for state, n in found.states.items() if n}
    {'ready': 1, 'early': 1, 'rewritten': 1}
    """
    if not isinstance(plan, PushPlan | None):
        raise wrong_kind(plan, "a plan", "plan_push(changes)")
    own = {} if columns is None else columns
    if not isinstance(own, Mapping):
        raise wrong_kind(columns, "a dict of columns", 'columns={"quoted_at": "Offer date"}')
    if isinstance(stale_months, bool) or not isinstance(stale_months, int) or stale_months < 1:
        raise InputError("stale_months is a number of months, 1 or more.")
    stale = (now or pd.Timestamp.now("UTC")).tz_convert("UTC") - pd.DateOffset(months=stale_months)
    counted = partial(count, stale=stale, merchants=merchants is not None)
    with (
        TemporaryDirectory(prefix="readiness-", ignore_cleanup_errors=True) as folder,
        Session(folder=Path(folder)) as session,
    ):
        stage = Stage(session, own)
        stage.table("versions", _versions(customers), VERSIONS)
        names = [stage.table("quotes", quotes, QUOTES)]
        if sales is not None:
            names.append(stage.table("sales", sales, SALES))
        else:
            session.run("CREATE TEMP VIEW sales AS SELECT * FROM quotes WHERE 1 = 0")
        if merchants is not None:
            stage.table("merchants", merchants, MERCHANTS)
        for column in sorted(stage.unused):
            near = did_you_mean(column, [*QUOTES.values(), *SALES.values(), *MERCHANTS.values()]) or "."
            raise InputError(f"columns: no table here has {own[column]!r} for {column}{near}")
        whole = partial(Readiness, source=" and ".join(names), stale_months=stale_months, notes=tuple(stage.notes))
        found = whole(**counted(session, "versions"))
        if plan is not None:
            stage.table("planned", plan.rows, VERSIONS)
            session.run(f"CREATE TEMP VIEW after_push AS {after_push(plan.envelope.operation)}")
            found = replace(found, after=whole(**counted(session, "after_push")))
    return found


def _versions(customers: Versions) -> Any:
    """Return the versions that count in a ledger or a snapshot, or the rows of what carries a delivery."""
    if isinstance(customers, Ledger):
        return customers.versions()
    if isinstance(customers, Snapshot):
        return customers.versions
    return as_delivery(customers).frame if hasattr(customers, "delivery") else customers

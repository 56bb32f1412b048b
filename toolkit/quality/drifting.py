"""drift(): how a table of customers as a whole differs from an earlier one, with the figures of both sides.

`diff` finds which customers changed; `drift` finds what no single row shows: fewer customers, ids of another form, a
column that became empty, a category under a new name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import pandas as pd

import toolkit.display as draw
from toolkit.config import current
from toolkit.display import MAX_ROWS, Cell, Markup, Part, Result, Unit, joined, meter, paragraph, percent, plural
from toolkit.engine import AnySession, EngineTable, Session, quoted, table_of, to_arrow
from toolkit.errors import InputError
from toolkit.model import CUSTOMER, ID, TIME, Customers, Delivery, utc_times
from toolkit.progress import step
from toolkit.quality.corrections import require_times, usable
from toolkit.quality.flagging import lying
from toolkit.quality.id_forms import find_unlike, say_unlike
from toolkit.quality.rules import FOLDED_ID
from toolkit.quality.showing import in_words, named
from toolkit.quality.statistics import count_nulls

KINDS = ("fewer", "missing", "rewritten", "form", "nulls", "renamed", "gone", "new")
"""What may have drifted, the most harmful first."""
_TEXTS, _COUNTS = ("kind", "column", "what", "value_before", "value_after"), ("n_before", "n_after")
MIN_FORM_SHARE = 0.01
_MEANING = "How the customers as a whole differ from those before, which no single row shows."
MAX_VALUES = 1_000
"""Distinct values beyond which a column is not a list of categories; nor is it one if most values occur only once."""


class HasFrame(Protocol):
    """A table of customers with its facts, such as a snapshot of the ledger."""

    @property
    def frame(self) -> pd.DataFrame:
        """The customers."""


Before = HasFrame | Customers
"""The earlier table: a frame, what carries a delivery, or what has a frame, such as a snapshot."""


@dataclass(frozen=True, eq=False, repr=False)
class Drift(Result):
    """What `drift` found.

    Attributes
    ----------
    findings
        One row for each finding, the most harmful first: ``kind``, ``column``, ``what`` in plain words, the values it
        is about (``value_before``, ``value_after``; empty where there is none), and the figures of both sides:
        customers ``n_before`` and ``n_after``, and their shares (0 to 1) of the customers of the side. Kinds:
        ``fewer`` customers, or many ``missing``; ids ``rewritten`` (equal except for case, spaces or leading zeros)
        or of another ``form``; ``nulls`` that became many more; categories ``renamed``, ``gone`` and ``new``.
    columns
        One row for each column: ``null_before`` and ``null_after`` (shares, 0 to 1), ``distinct_before``,
        ``distinct_after``.
    n_before, n_after
        Customers of the sides, each counted once, with its newest version.
    names
        The file's own names of its columns.
    """

    findings: pd.DataFrame
    columns: pd.DataFrame
    n_before: int
    n_after: int
    before: str
    after: str
    names: dict[str, str] = field(default_factory=dict)

    @property
    def n_findings(self) -> int:
        """Number of findings."""
        return len(self.findings)

    def summary(self) -> str:
        """Return the sizes of the sides and the worst finding in one line."""
        if not self.n_before:
            return "nothing was sent before"
        sizes = f"{plural(self.n_before, 'customer')} before, {self.n_after:,} now"
        if not self.n_findings:
            return f"{sizes}; nothing drifted"
        worst = self.findings.iloc[0]
        which = ", the worst" if self.n_findings > 1 else ""
        return f"{sizes}; {plural(self.n_findings, 'finding')}{which}: {worst['column']}, {worst['what']}"

    def body(self) -> str:
        """Return the findings and the columns of both sides as an HTML fragment."""
        name, n_drifted = f"Drift from {self.before} to {self.after}", self.findings["column"].nunique()
        parts = [Part(len(self.columns) - n_drifted, "columns as before", "good"),
                 Part(n_drifted, "with a finding", "warn")]  # fmt: skip
        return draw.headline(name, self._verdict, _MEANING, parts=parts * bool(self.n_before)) + self._tables()

    def part(self) -> Markup:
        """Return the drift as a section of the page of another result."""
        return draw.section(
            "Drift", paragraph(f"{self._verdict}."), self._tables(), note=f"{_MEANING} From {self.before}."
        )

    @property
    def _verdict(self) -> str:
        return in_words(self.summary() if self.n_before else "Nothing was sent before: no drift to show", self.names)

    def _tables(self) -> Markup:
        if not self.n_before:
            return Markup("")
        units = [Unit([(name, f["what"], _side(f, "before"), _side(f, "after"))], {"column": [str(name.value)]}, "warn")
                 for f in self.findings.head(MAX_ROWS).to_dict("records")
                 for name in [named(f["column"], self.names)]]  # fmt: skip
        heads, more = ["Column", "What", "Before", "Now"], self.n_findings - len(units)
        found = draw.grid("Drift", heads, units, facets={"column": "Column"}, unit="findings", more=more)
        sides = [(named(column, self.names), *(Cell(share, meter(share)) for share in (was, now)), *distinct)
                 for column, was, now, *distinct in self.columns.itertuples(index=False, name=None)]  # fmt: skip
        heads = ["Column", "Empty before", "Empty now", "Distinct before", "Distinct now"]
        return joined(
            found if units else "",
            draw.fold("Every column, both sides", draw.grid("Columns before and now", heads, sides, unit="columns")),
        )

    def lines(self, *kinds: str) -> list[str]:
        """Return each finding in one line, with its values and figures; of these kinds, by default of all."""
        wanted = self.findings["kind"].isin(kinds or KINDS)
        return [_line(f) for f in self.findings[wanted].to_dict("records")]

    def to_frame(self) -> pd.DataFrame:
        """Return the findings."""
        return self.findings

    def to_dict(self) -> dict[str, Any]:
        """Return the counts; the values are in the frame only."""
        kinds = dict(Counter(self.findings["kind"]))
        return {"customers_before": self.n_before, "customers_after": self.n_after, "findings": kinds}


@step("Comparing")
def drift(before: Before, after: Customers, *, jump: float = 0.1, fall: float = 0.1) -> Drift:
    """Compare a table of customers as a whole with an earlier one.

    Each customer counts once, with its newest version. A delivery of changes contains only some of the customers:
    nothing can be fewer, missing or gone in it. A column that the delivery does not give is not compared.

    Parameters
    ----------
    before
        A frame, what carries a delivery, a snapshot, or a table of an engine. If one of the two is such a table, it
        stays there, and the other one goes in.
    jump
        By how much (0 to 1) the share of nulls in a column must rise to be a finding.
    fall
        Which share (0 to 1) of the customers must be gone to be a finding.

    Raises
    ------
    InputError
        If one of the two is not a table of customers with their key, or its times have no zone.

    Examples
    --------
    >>> old = pd.DataFrame({"customer_id": ["1", "2"], "customer_category": ["Retail", "Retail"],
    ...                     "updated_at": pd.to_datetime(["2025-01-28T10:00:00Z"] * 2)})
    >>> drift(old, old.assign(customer_category="Shops")).findings[["kind", "value_before", "value_after"]].values
    array([['renamed', 'Retail', 'Shops']], dtype=object)
    """
    tables = table_of(before), table_of(after)
    with ExitStack() as stack:
        engines = [table.engine for table in tables if table is not None]
        if len(engines) > 1 and engines[0] is not engines[1]:
            raise InputError("The two tables are in two engines: bring one of them to the other.")
        session: AnySession = engines[0].session() if engines else Session()
        stack.enter_context(session)
        olds, old = _laid(stack, session, before, tables[0], "old_")
        news, new = _laid(stack, session, after, tables[1], "new_")
        given = [c for c in CUSTOMER.names if c in old.given and c in new.given]
        (before_, n_before), (after_, n_after) = _newest(session, olds, "before_"), _newest(session, news, "after_")
        sides, sizes = (before_, after_), (n_before, n_after)
        counted = [count_nulls(session, given, rows=rows, unique=ID) for rows in sides]
        columns = counted[0].merge(counted[1], on="column", suffixes=("_before", "_after"))
        whole = new.kind == "full"
        found = [
            *_customers(session, sides, sizes, fall, whole=whole),
            *_nulls(columns, jump),
            *(f for c in columns.to_dict("records") for f in _categories(session, sides, c, n_before, whole=whole)),
        ]
    found.sort(key=lambda f: (KINDS.index(f[0]), -max(f[5], f[6])))
    findings = pd.DataFrame(found if sizes[0] else [], columns=[*_TEXTS, *_COUNTS])
    findings = findings.astype(dict.fromkeys(_TEXTS, "str") | dict.fromkeys(_COUNTS, "int64"))
    for side, size in zip(("before", "after"), sizes, strict=True):
        findings[f"share_{side}"] = findings[f"n_{side}"] / max(size, 1)
    kept = ["column", "null_before", "null_after", "distinct_before", "distinct_after"]
    return Drift(findings, columns[kept], *sizes, old.source, new.source, new.names)


def _laid(
    stack: ExitStack, session: AnySession, data: Any, table: EngineTable | None, name: str
) -> tuple[str, Delivery]:
    """Make one of the two tables known to the session: a table of its engine stays there, a frame goes in."""
    if table is not None:
        lies = stack.enter_context(lying(table, current(None), None, session=session))
        return lies.rows, replace(getattr(data, "described", lies.delivery), given=lies.delivery.given)
    side = earlier(data) if name == "old_" else usable(data)
    require_times(side.frame)
    typed = side.frame.assign(**{TIME: utc_times(side.frame[TIME])})
    session.register(name, to_arrow(typed, CUSTOMER.arrow_schema()))
    given = side.frame.columns if name == "old_" else [c for c in side.given if c in side.frame.columns]
    return name, replace(side, given=tuple(given))


def earlier(before: Before) -> Delivery:
    """Return the earlier table, as `drift` takes it, as a delivery.

    Raises
    ------
    InputError
        If it is not a table of customers with their key.
    """
    frame = None if hasattr(before, "delivery") else getattr(before, "frame", None)
    if not isinstance(frame, pd.DataFrame):
        return usable(before)  # type: ignore[arg-type]  # it refuses what is not customers
    return replace(usable(frame.reset_index(drop=True)), source=f"the {type(before).__name__.lower()}")


Finding = tuple[str, str, str, str, str, int, int]
"""One row of `Drift.findings`, without the shares."""
Sides = tuple[str, str]
"""The newest versions before and after, as queries in parentheses."""
Sizes = tuple[int, int]
"""Customers before and after."""


def _newest(session: AnySession, rows: str, newest: str) -> tuple[str, int]:
    """Return the newest version of each customer, as a query or the table `newest`, and their number."""
    some = f"FROM {rows} AS r WHERE r.{ID} IS NOT NULL"
    n_rows, n = session.table(f"SELECT count(*) AS n_rows, count(DISTINCT r.{ID}) AS n {some}").to_pylist()[0].values()
    if n == n_rows:
        return f"(SELECT r.* {some})", n
    last = f"row_number() OVER (PARTITION BY r.{ID} ORDER BY r.{TIME} DESC NULLS LAST) AS rank_"
    session.create(newest, f"SELECT v.* FROM (SELECT r.*, {last} {some}) AS v WHERE v.rank_ = 1")
    return newest, n


def _customers(session: AnySession, sides: Sides, sizes: Sizes, fall: float, *, whole: bool) -> list[Finding]:
    written, (before, after), (n_before, n_after) = session.dialect.condition, sides, sizes
    for name, one, other in (("only_before", before, after), ("only_after", after, before)):
        there = f"SELECT 1 AS there FROM {other} AS o WHERE o.{ID} = r.{ID}"
        only = f"(SELECT r.{ID} FROM {one} AS r WHERE NOT EXISTS ({there}))"
        session.create(name, f"SELECT {ID} AS id, {written(FOLDED_ID, {ID: ID})} AS folded FROM {only} AS r")
    session.create(
        "pairs_",
        """SELECT b.id AS before_id, a.id AS after_id FROM only_before AS b
            JOIN only_after AS a ON a.folded = b.folded WHERE a.folded <> ''""",
    )
    lost, rewritten = (
        session.scalar(f"SELECT count(DISTINCT {side}_id) AS n FROM pairs_") for side in ("before", "after")
    )
    missing = session.scalar("SELECT count(*) AS n FROM only_before") - lost
    found: list[Finding] = []
    if whole and n_after < n_before * (1 - fall):
        found.append(("fewer", ID, "there are fewer customers", "", "", n_before, n_after))
    elif whole and missing > n_before * fall:
        found.append(("missing", ID, "many customers are no longer there", "", "", n_before, n_before - missing))
    unlike = find_unlike(session, every=True, rows=after, before=before)
    if rewritten:
        zeros = written("ltrim(before_id, '0') = ltrim(after_id, '0')", {c: c for c in ("before_id", "after_id")})
        others = session.scalar(f"SELECT count(*) AS n FROM pairs_ WHERE NOT ({zeros})")
        how = "case, spaces or leading zeros" if others else "leading zeros"
        said = f"{plural(rewritten, 'new id differs', 'new ids differ')} from ids before only by {how}"
        said += f": correction pad_ids = {unlike.width}" if unlike and unlike.width else ""
        found.append(("rewritten", ID, said, "", "", lost, rewritten))
    if unlike:  # the others are the finding above
        there = "SELECT 1 AS there FROM pairs_ AS p WHERE p.after_id = o.value"
        session.create("other_", f"SELECT o.* FROM odd_ AS o WHERE NOT EXISTS ({there})")
        n = session.scalar("SELECT count(*) AS n FROM other_")
        if n and n >= n_after * MIN_FORM_SHARE:
            found.append(("form", ID, say_unlike(session, unlike, ids="other_"), "", "", 0, n))
    return found


def _nulls(columns: pd.DataFrame, jump: float) -> list[Finding]:
    risen = columns[columns["null_after"] - columns["null_before"] >= jump]
    texts = {True: "is empty in every row", False: "is empty more often"}
    return [
        ("nulls", c["column"], texts[c["null_after"] == 1], "", "", c["nulls_before"], c["nulls_after"])
        for c in risen.to_dict("records")
    ]


def _categories(
    session: AnySession, sides: Sides, counted: Mapping[Any, Any], n_before: int, *, whole: bool
) -> list[Finding]:
    column, n_values = counted["column"], (counted["distinct_before"], counted["distinct_after"])
    # A column that became empty or filled is a finding of the nulls.
    if column in CUSTOMER.key or not all(n_values) or max(n_values) > MAX_VALUES:
        return []
    if n_values[0] * 2 > n_before - counted["nulls_before"]:
        return []
    before, after = (_values(session, column, rows) for rows in sides)
    gone, new = before.keys() - after.keys(), after.keys() - before.keys()
    renamed = _renamed(session, sides, column, before, gone, new) if gone and new else {}
    left, come = gone - renamed.keys(), new - set(renamed.values())
    return [
        *(("renamed", column, "a value has another name", a, b, before[a], after[b]) for a, b in renamed.items()),
        *(("gone", column, "a value is gone", value, "", before[value], 0) for value in sorted(left) if whole),
        *(("new", column, "a value is new", "", value, 0, after[value]) for value in sorted(come)),
    ]


def _values(session: AnySession, column: str, rows: str) -> dict[str, int]:
    name = f"r.{quoted(column)}"
    some = f"FROM {rows} AS r WHERE {name} IS NOT NULL GROUP BY {name}"
    found = session.table(f"SELECT {name} AS value, count(*) AS n {some}")
    return dict(zip(found["value"].to_pylist(), found["n"].to_pylist(), strict=True))


def _renamed(
    session: AnySession, sides: Sides, column: str, before: dict[str, int], gone: set[str], new: set[str]
) -> dict[str, str]:
    """Pair a value that is gone with the new value that at least half of its customers have now."""
    old, now = f"b.{quoted(column)}", f"a.{quoted(column)}"
    moves = session.table(
        f"""SELECT {old} AS was, {now} AS became, count(*) AS n
            FROM {sides[0]} AS b JOIN {sides[1]} AS a ON a.{ID} = b.{ID}
            WHERE {old} <> {now} GROUP BY {old}, {now} ORDER BY n DESC, was, became"""
    ).to_pylist()
    pairs: dict[str, str] = {}
    for move in moves:
        was, became = move["was"], move["became"]
        if was in gone - pairs.keys() and became in new - set(pairs.values()) and move["n"] * 2 >= before[was]:
            pairs[was] = became
    return pairs


def _line(finding: Mapping[Any, Any]) -> str:
    f = finding
    values = " → ".join(repr(f[side]) for side in ("value_before", "value_after") if f[side])
    figures = "" if f["kind"] in ("rewritten", "form") else f" ({f['n_before']:,} before, {f['n_after']:,} now)"
    return f"{f['column']}: {f['what']}{values and f', {values}'}{figures}"


def _side(finding: Mapping[Any, Any], side: str) -> Cell:
    n, share, value = (finding[f"{what}_{side}"] for what in ("n", "share", "value"))
    figures = f"{n:,} · {percent(share)}"
    return Cell(value, soft=figures) if value else Cell(figures, sort=n)

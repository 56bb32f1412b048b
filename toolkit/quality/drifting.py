"""drift(): how a table of customers as a whole differs from an earlier one, with the figures of both sides.

`diff` finds which customers changed; `drift` finds what no single row shows: fewer customers, ids of another form, a
column that became empty, a category under a new name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import pandas as pd

from toolkit.display import (
    MAX_ROWS,
    Cell,
    Markup,
    Result,
    Unit,
    fold,
    grid,
    headline,
    joined,
    meter,
    paragraph,
    percent,
    plural,
    section,
)
from toolkit.engine import Session, quoted, to_arrow
from toolkit.model import CUSTOMER, ID, TIME, Customers, Delivery, utc_times
from toolkit.progress import step
from toolkit.quality.corrections import require_times, usable
from toolkit.quality.id_forms import find_unlike, say_unlike
from toolkit.quality.rules import FOLDED_ID
from toolkit.quality.statistics import count_nulls

KINDS = ("fewer", "missing", "rewritten", "form", "nulls", "renamed", "gone", "new")
"""What may have drifted, the most harmful first."""
_TEXTS, _COUNTS = ("kind", "column", "what", "value_before", "value_after"), ("n_before", "n_after")
MIN_FORM_SHARE = 0.01
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
    """

    findings: pd.DataFrame
    columns: pd.DataFrame
    n_before: int
    n_after: int
    before: str
    after: str

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
        return f"{sizes}; {plural(self.n_findings, 'finding')}, the worst: {worst['column']}, {worst['what']}"

    def body(self) -> str:
        """Return the findings and the columns of both sides as an HTML fragment."""
        return headline(f"Drift from {self.before} to {self.after}", f"{self._verdict}.") + self._tables()

    def part(self) -> Markup:
        """Return the drift as a section of the page of another result."""
        return section(
            "Drift", paragraph(f"{self._verdict}."), self._tables(), note=f"from {self.before} to {self.after}"
        )

    @property
    def _verdict(self) -> str:
        return self.summary() if self.n_before else "Nothing was sent before: there is no drift to show"

    def _tables(self) -> Markup:
        if not self.n_before:
            return Markup("")
        units = [
            Unit([(f["column"], f["what"], _side(f, "before"), _side(f, "after"))], {"column": [f["column"]]}, "warn")
            for f in self.findings.head(MAX_ROWS).to_dict("records")
        ]
        found = grid("Drift", ["Column", "What", "Before", "Now"], units, facets={"column": "Column"}, unit="findings",
                     more=self.n_findings - len(units)) if units else ""  # fmt: skip
        sides = [(column, *(Cell(share, meter(share)) for share in (was, now)), *distinct)
                 for column, was, now, *distinct in self.columns.itertuples(index=False, name=None)]  # fmt: skip
        heads = ["Column", "Empty before", "Empty now", "Distinct before", "Distinct now"]
        return joined(
            found, fold("Every column, both sides", grid("Columns before and now", heads, sides, unit="columns"))
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
        A frame, what carries a delivery, or a snapshot.
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
    old, new = earlier(before), usable(after)
    given = [c for c in CUSTOMER.names if c in old.frame.columns and c in new.given and c in new.frame.columns]
    with Session({"old_": _typed(old.frame), "new_": _typed(new.frame)}) as session:
        sizes = _newest(session, "old_", "before_"), _newest(session, "new_", "after_")
        counted = [count_nulls(session, given, rows=rows) for rows in ("before_", "after_")]
        columns = counted[0].merge(counted[1], on="column", suffixes=("_before", "_after"))
        columns = columns.rename(columns={f"null_share_{side}": f"null_{side}" for side in ("before", "after")})
        whole = new.kind == "full"
        found = [
            *_customers(session, sizes, fall, whole=whole),
            *_nulls(columns, jump),
            *(f for c in given for f in _categories(session, c, whole=whole)),
        ]
    found.sort(key=lambda f: (KINDS.index(f[0]), -max(f[5], f[6])))
    findings = pd.DataFrame(found if sizes[0] else [], columns=[*_TEXTS, *_COUNTS])
    findings = findings.astype(dict.fromkeys(_TEXTS, "str") | dict.fromkeys(_COUNTS, "int64"))
    for side, size in zip(("before", "after"), sizes, strict=True):
        findings[f"share_{side}"] = findings[f"n_{side}"] / max(size, 1)
    kept = ["column", "null_before", "null_after", "distinct_before", "distinct_after"]
    return Drift(findings, columns[kept], *sizes, old.source, new.source)


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
Sizes = tuple[int, int]
"""Customers before and after."""


def _typed(frame: pd.DataFrame) -> Any:
    require_times(frame)
    return to_arrow(frame.assign(**{TIME: utc_times(frame[TIME])}), CUSTOMER.arrow_schema())


def _newest(session: Session, rows: str, newest: str) -> int:
    """Make a view of the newest version of each customer and return their number."""
    once = session.scalar(f"SELECT count({ID}) = count(DISTINCT {ID}) FROM {rows}")
    last = f"row_number() OVER (PARTITION BY {ID} ORDER BY {TIME} DESC NULLS LAST) = 1"
    kept = "" if once else f"QUALIFY {last}"
    session.run(f"CREATE TEMP VIEW {newest} AS SELECT * FROM {rows} WHERE {ID} IS NOT NULL {kept}")
    return int(session.scalar(f"SELECT count(*) FROM {newest}"))


def _customers(session: Session, sizes: Sizes, fall: float, *, whole: bool) -> list[Finding]:
    for one, other in (("before", "after"), ("after", "before")):
        session.run(
            f"""CREATE TEMP TABLE only_{one} AS SELECT {ID} AS id, {FOLDED_ID} AS folded
                FROM {one}_ ANTI JOIN {other}_ USING ({ID})"""
        )
    session.run(
        """CREATE TEMP TABLE pairs_ AS SELECT b.id AS before_id, a.id AS after_id
            FROM only_before AS b JOIN only_after AS a USING (folded) WHERE folded <> ''"""
    )
    n_before, n_after = sizes
    lost, rewritten = (int(session.scalar(f"SELECT count(DISTINCT {s}_id) FROM pairs_")) for s in ("before", "after"))
    missing = int(session.scalar("SELECT count(*) FROM only_before")) - lost
    found: list[Finding] = []
    if whole and n_after < n_before * (1 - fall):
        found.append(("fewer", ID, "there are fewer customers", "", "", n_before, n_after))
    elif whole and missing > n_before * fall:
        found.append(("missing", ID, "many customers are no longer there", "", "", n_before, n_before - missing))
    session.run("CREATE TEMP VIEW rows_ AS FROM after_")
    unlike = find_unlike(session, every=True)
    if rewritten:
        zeros = session.scalar("SELECT bool_and(ltrim(before_id, '0') = ltrim(after_id, '0')) FROM pairs_")
        how = "leading zeros" if zeros else "case, spaces or leading zeros"
        said = f"{plural(rewritten, 'new id differs', 'new ids differ')} from ids before only by {how}"
        said += f": correction pad_ids = {unlike.width}" if unlike and unlike.width else ""
        found.append(("rewritten", ID, said, "", "", lost, rewritten))
    if unlike:
        session.run("DELETE FROM odd_ WHERE value IN (SELECT after_id FROM pairs_)")  # they are the finding above
        n = int(session.scalar("SELECT count(*) FROM odd_"))
        if n and n >= n_after * MIN_FORM_SHARE:
            found.append(("form", ID, say_unlike(session, unlike), "", "", 0, n))
    return found


def _nulls(columns: pd.DataFrame, jump: float) -> list[Finding]:
    risen = columns[columns["null_after"] - columns["null_before"] >= jump]
    texts = {True: "is empty in every row", False: "is empty more often"}
    return [
        ("nulls", c["column"], texts[c["null_after"] == 1], "", "", c["nulls_before"], c["nulls_after"])
        for c in risen.to_dict("records")
    ]


def _categories(session: Session, column: str, *, whole: bool) -> list[Finding]:
    if column in CUSTOMER.key:
        return []
    before, after = (_values(session, column, rows) for rows in ("before_", "after_"))
    # A column that became empty or filled is a finding of the nulls.
    if not before or not after or len(before) * 2 > sum(before.values()) or max(len(before), len(after)) > MAX_VALUES:
        return []
    gone, new = before.keys() - after.keys(), after.keys() - before.keys()
    renamed = _renamed(session, column, before, gone, new) if gone and new else {}
    left, come = gone - renamed.keys(), new - set(renamed.values())
    return [
        *(("renamed", column, "a value has another name", a, b, before[a], after[b]) for a, b in renamed.items()),
        *(("gone", column, "a value is gone", value, "", before[value], 0) for value in sorted(left) if whole),
        *(("new", column, "a value is new", "", value, 0, after[value]) for value in sorted(come)),
    ]


def _values(session: Session, column: str, rows: str) -> dict[str, int]:
    name = quoted(column)
    some = f"{rows} WHERE {name} IS NOT NULL GROUP BY 1 LIMIT {MAX_VALUES + 1}"
    found = session.table(f"SELECT {name} AS value, count(*) AS n FROM {some}")
    return dict(zip(found["value"].to_pylist(), found["n"].to_pylist(), strict=True))


def _renamed(session: Session, column: str, before: dict[str, int], gone: set[str], new: set[str]) -> dict[str, str]:
    """Pair a value that is gone with the new value that at least half of its customers have now."""
    name = quoted(column)
    moves = session.table(
        f"""SELECT b.{name} AS a, a.{name} AS b, count(*) AS n FROM before_ AS b JOIN after_ AS a USING ({ID})
            WHERE b.{name} IS DISTINCT FROM a.{name} GROUP BY ALL ORDER BY n DESC, 1, 2"""
    ).to_pylist()
    pairs: dict[str, str] = {}
    for move in moves:
        free = move["a"] in gone - pairs.keys() and move["b"] in new - set(pairs.values())
        if free and move["n"] * 2 >= before[move["a"]]:
            pairs[move["a"]] = move["b"]
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

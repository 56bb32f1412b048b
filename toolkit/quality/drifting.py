"""drift(): how a delivery as a whole differs from what was sent before, with the figures of both sides.

`diff` tells which customers changed; this tells what no single row shows: fewer customers, ids of another form, a
column that emptied, a category under a new name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from rapidfuzz import fuzz, process

from toolkit.display import Markup, Result, details, heading, lines, paragraph, percent, plural, share_bar, table
from toolkit.engine import Session, quoted, to_arrow
from toolkit.model import CUSTOMER, ID, TIME, Customers, Sent, as_delivery, utc_times
from toolkit.quality.rules import FOLDED_ID
from toolkit.quality.statistics import count_columns

FINDINGS = [
    "kind",
    "column",
    "what",
    "value_before",
    "value_after",
    "n_before",
    "n_after",
    "share_before",
    "share_after",
]
_DTYPES = (
    dict.fromkeys(FINDINGS[:5], "str") | dict.fromkeys(FINDINGS[5:7], "int64") | dict.fromkeys(FINDINGS[7:], "float64")
)
KINDS = ("fewer", "missing", "rewritten", "form", "nulls", "renamed", "gone", "new")
"""What may have drifted, in the order of harm."""
MAX_SHOWN = 30
MAX_VALUES = 1_000
"""Distinct values beyond which a column is no list of categories."""
MIN_FORM_SHARE = 0.01
_CATEGORIES = tuple(c.name for c in CUSTOMER.columns if not c.key and c.name != "customer_name")

Before = Sent | Customers
"""What was sent before: a snapshot, a frame, or what carries a delivery."""


@dataclass(frozen=True, eq=False, repr=False)
class Drift(Result):
    """What `drift` found.

    Attributes
    ----------
    findings
        One row a finding, the most harmful first: ``kind``, ``column``, ``what`` in plain words, the values it is
        about (``value_before``, ``value_after``; empty where there is none), and the figures of both sides: customers
        ``n_before`` and ``n_after``, and their shares (0 to 1) of the customers of the side. Kinds: ``fewer``
        customers, or many ``missing``; ids ``rewritten`` (the same but for case, spaces or leading zeros) or of
        another ``form``; ``nulls`` that jumped; categories ``renamed``, ``gone`` and ``new``.
    columns
        One row a column: ``null_before`` and ``null_after`` (shares, 0 to 1), ``distinct_before``, ``distinct_after``.
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
        """Findings."""
        return len(self.findings)

    def summary(self) -> str:
        """Say the sizes of the sides and the worst finding in one line."""
        if not self.n_before:
            return "nothing was sent before"
        sizes = f"{plural(self.n_before, 'customer')} before, {self.n_after:,} now"
        if not self.n_findings:
            return f"{sizes}; nothing drifted"
        worst = self.findings.iloc[0]
        return f"{sizes}; {plural(self.n_findings, 'finding')}, the worst: {worst['column']}, {worst['what']}"

    def body(self) -> str:
        """Give the findings and the columns of both sides as an HTML fragment."""
        if not self.n_before:
            return paragraph("Nothing was sent before: there is no drift to show.", soft=True)
        shown = self.findings.head(MAX_SHOWN).to_dict("records")
        rows = [(f["column"], f["what"], _side(f, "before"), _side(f, "after")) for f in shown]
        sides = [
            (c["column"], *(share_bar(c[f"null_{side}"]) for side in ("before", "after")), c["distinct_before"],
             c["distinct_after"])
            for c in self.columns.to_dict("records")
        ]  # fmt: skip
        return "".join(
            [
                heading(f"Drift from {self.before} to {self.after}"),
                paragraph(f"{self.summary()}."),
                table(["column", "what", "before", "now"], rows, more=self.n_findings - len(shown)) if rows else "",
                details(
                    "Every column, both sides",
                    table(["column", "null before", "null now", "distinct before", "distinct now"], sides),
                ),
            ]
        )

    def to_frame(self) -> pd.DataFrame:
        """Give the findings."""
        return self.findings

    def to_dict(self) -> dict[str, Any]:
        """Give the counts; the values are left to the frame."""
        kinds = self.findings["kind"].value_counts()
        return {
            "customers_before": self.n_before,
            "customers_after": self.n_after,
            "findings": {kind: int(kinds[kind]) for kind in KINDS if kind in kinds},
        }


def drift(before: Before, after: Customers, *, jump: float = 0.1, fall: float = 0.1) -> Drift:
    """Compare a delivery as a whole with what was sent before.

    Each customer counts once, with its newest version. A delivery of changes says nothing about the customers that
    it leaves out: there, nothing is fewer, missing or gone. A column that the delivery does not give is left out.

    Parameters
    ----------
    before
        A snapshot, a frame, or what carries a delivery.
    jump
        By how much (0 to 1) the share of nulls of a column must rise.
    fall
        Which share (0 to 1) of the customers must be gone.

    Raises
    ------
    KeyError
        If a frame lacks a key column.

    Examples
    --------
    >>> old = pd.DataFrame({"customer_id": ["1", "2"], "customer_category": ["Retail", "Retail"],
    ...                     "updated_at": pd.to_datetime(["2025-01-28T10:00:00Z"] * 2)})
    >>> drift(old, old.assign(customer_category="Shops")).findings[["kind", "value_before", "value_after"]].values
    array([['renamed', 'Retail', 'Shops']], dtype=object)
    """
    delivery = as_delivery(after)
    old, name = _before(before)
    given = [c for c in CUSTOMER.names if c in old.columns and c in delivery.given and c in delivery.frame.columns]
    with Session({"old_": _typed(old), "new_": _typed(delivery.frame)}) as session:
        sizes = _newest(session, "old_", "before_"), _newest(session, "new_", "after_")
        n_before, n_after = sizes
        columns = _both(session, given)
        whole = delivery.kind == "full"
        found = [
            *_customers(session, sizes, fall, whole=whole),
            *_forms(columns, sizes, whole=whole),
            *_nulls(columns, jump),
            *(f for c in _CATEGORIES if c in given for f in _categories(session, c, sizes, whole=whole)),
        ]
    findings = pd.DataFrame(found if n_before else [], columns=FINDINGS).astype(_DTYPES)
    place = findings["kind"].map({kind: n for n, kind in enumerate(KINDS)})
    most = -findings[["n_before", "n_after"]].max(axis="columns")
    order = pd.DataFrame({"place": place, "most": most}).sort_values(["place", "most"], kind="stable").index
    kept = ["column", "null_before", "null_after", "distinct_before", "distinct_after"]
    return Drift(findings.loc[order].reset_index(drop=True), columns[kept], n_before, n_after, name, delivery.source)


Finding = tuple[str, str, str, str, str, int, int, float, float]
"""One row of `Drift.findings`."""
Sizes = tuple[int, int]
"""Customers before and after."""


def _found(
    kind: str, column: str, what: str, counts: Sizes, sizes: Sizes, values: tuple[str, str] = ("", "")
) -> Finding:
    shares = [n / max(size, 1) for n, size in zip(counts, sizes, strict=True)]
    return (kind, column, what, *values, *counts, shares[0], shares[1])


def _before(data: Before) -> tuple[pd.DataFrame, str]:
    if isinstance(data, Sent):
        return data.frame, "the snapshot"
    delivery = as_delivery(data)
    return delivery.frame, delivery.source


def _typed(frame: pd.DataFrame) -> Any:
    return to_arrow(frame.assign(**{TIME: utc_times(frame[TIME])}), CUSTOMER.arrow_schema())


def _newest(session: Session, rows: str, newest: str) -> int:
    """Make a table of the newest version of each customer and return their number."""
    once = session.scalar(f"SELECT count(*) = count(DISTINCT {ID}) FROM {rows}")
    last = f"{ID} IS NULL OR row_number() OVER (PARTITION BY {ID} ORDER BY {TIME} DESC NULLS LAST) = 1"
    session.run(f"CREATE TEMP VIEW {newest} AS SELECT * FROM {rows} {'' if once else f'QUALIFY {last}'}")
    return int(session.scalar(f"SELECT count({ID}) FROM {newest}"))


def _both(session: Session, given: Sequence[str]) -> pd.DataFrame:
    sides = [count_columns(session, given, rows=rows) for rows in ("before_", "after_")]
    both = sides[0].merge(sides[1], on="column", suffixes=("_before", "_after"))
    return both.rename(columns={f"null_share_{side}": f"null_{side}" for side in ("before", "after")})


def _customers(session: Session, sizes: Sizes, fall: float, *, whole: bool) -> list[Finding]:
    for one, other in (("before", "after"), ("after", "before")):
        session.run(
            f"""CREATE TEMP TABLE only_{one} AS SELECT {ID} AS id, {FOLDED_ID} AS folded
                FROM {one}_ ANTI JOIN {other}_ USING ({ID}) WHERE {ID} IS NOT NULL"""
        )
    missing = session.scalar("SELECT count(*) FROM only_before")
    pairs = "FROM only_before AS b JOIN only_after AS a USING (folded) WHERE folded <> ''"
    lost, rewritten = (int(session.scalar(f"SELECT count(DISTINCT {s}.id) {pairs}")) for s in "ba")
    n_before, n_after = sizes
    found = []
    if whole and n_after < n_before * (1 - fall):
        found.append(_found("fewer", ID, "there are fewer customers", sizes, sizes))
    elif whole and missing > n_before * fall:
        kept = (n_before, n_before - missing)
        found.append(_found("missing", ID, "many customers are no longer there", kept, (n_before, n_before)))
    if rewritten:
        why = "ids are those of before but for case, spaces or leading zeros"
        found.append(_found("rewritten", ID, why, (lost, rewritten), sizes))
    return found


def _forms(columns: pd.DataFrame, sizes: Sizes, *, whole: bool) -> list[Finding]:
    (ids,) = columns[columns["column"] == ID].to_dict("records")
    before, after = dict(ids["patterns_before"]), dict(ids["patterns_after"])
    new = [p for p, share in after.items() if p not in before and share >= MIN_FORM_SHARE]
    gone = [p for p, share in before.items() if p not in after and share >= MIN_FORM_SHARE and whole]
    return [
        *(_found("form", ID, "ids of a new form", (0, round(after[p] * sizes[1])), sizes, ("", p)) for p in new),
        *(_found("form", ID, "a form of ids is gone", (round(before[p] * sizes[0]), 0), sizes, (p, "")) for p in gone),
    ]


def _nulls(columns: pd.DataFrame, jump: float) -> list[Finding]:
    return [
        ("nulls", c["column"], "is empty in every row" if c["null_after"] == 1 else "is empty more often", "", "",
         c["nulls_before"], c["nulls_after"], c["null_before"], c["null_after"])
        for c in columns.to_dict("records")
        if c["null_after"] - c["null_before"] >= jump
    ]  # fmt: skip


def _categories(session: Session, column: str, sizes: Sizes, *, whole: bool) -> list[Finding]:
    before, after = (_values(session, column, rows) for rows in ("before_", "after_"))
    if not before or not after or max(len(before), len(after)) > MAX_VALUES:
        return []  # emptied or filled as a whole, which the nulls tell, or no list of categories
    gone, new = before.keys() - after.keys(), after.keys() - before.keys()
    renamed = _renamed(session, column, before, gone, new)
    left = gone - renamed.keys() if whole else set()
    come = new - set(renamed.values())
    return [
        *(_found("renamed", column, "a value goes by another name", (before[a], after[b]), sizes, (a, b))
          for a, b in renamed.items()),
        *(_found("gone", column, "a value is gone", (before[v], 0), sizes, (v, "")) for v in sorted(left)),
        *(_found("new", column, "a value is new", (0, after[v]), sizes, ("", v)) for v in sorted(come)),
    ]  # fmt: skip


def _values(session: Session, column: str, rows: str) -> dict[str, int]:
    name = quoted(column)
    found = session.table(
        f"""SELECT {name} AS value, count(*) AS n FROM {rows} WHERE {name} IS NOT NULL AND {ID} IS NOT NULL
            GROUP BY 1 LIMIT {MAX_VALUES + 1}"""
    )
    return dict(zip(found["value"].to_pylist(), found["n"].to_pylist(), strict=True))


def _renamed(session: Session, column: str, before: dict[str, int], gone: set[str], new: set[str]) -> dict[str, str]:
    """Pair what is gone with what is new: by the customers they share, half of them at least, else by spelling."""
    if not gone or not new:
        return {}
    moves = session.table(
        f"""SELECT b.{column} AS a, a.{column} AS b, count(*) AS n FROM before_ AS b JOIN after_ AS a USING ({ID})
            WHERE b.{column} IS DISTINCT FROM a.{column} GROUP BY ALL ORDER BY n DESC, 1, 2"""
    ).to_pylist()
    pairs: dict[str, str] = {}
    for move in moves:
        free = move["a"] in gone - pairs.keys() and move["b"] in new - set(pairs.values())
        if free and move["n"] * 2 >= before[move["a"]]:
            pairs[move["a"]] = move["b"]
    for value in sorted(gone - pairs.keys()):
        # PL-1 and PL-2 are nearly the same spelling, and two price lists.
        alike = [v for v in sorted(new - set(pairs.values())) if _digits(v) == _digits(value)]
        nearest = process.extractOne(value, alike, scorer=fuzz.ratio, processor=str.casefold, score_cutoff=85)
        if nearest:
            pairs[value] = nearest[0]
    return pairs


def _digits(text: str) -> list[str]:
    return re.findall("[0-9]+", text)


def _side(finding: Mapping[Any, Any], side: str) -> Markup:
    n, share, value = (finding[f"{what}_{side}"] for what in ("n", "share", "value"))
    return lines([value, f"{n:,} · {percent(share)}"] if value else [f"{n:,} · {percent(share)}"])

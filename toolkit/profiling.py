"""profile(): what a delivery looks like, column by column, before anything is judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from toolkit.contract import CUSTOMER, TIME
from toolkit.delivery import Customers, as_delivery
from toolkit.display import Markup, Result, badges, bar, heading, paragraph, plural, table
from toolkit.engine import Session, quoted, to_arrow, to_frame
from toolkit.times import settled

COLUMNS = ["column", "nulls", "null_share", "distinct", "shortest", "longest", "least", "greatest", "top"]


@dataclass(frozen=True, eq=False, repr=False)
class Profile(Result):
    """What `profile` counted.

    Attributes
    ----------
    columns
        One row a column: ``nulls``, ``null_share`` (0 to 1), ``distinct``, length of the ``shortest`` and
        ``longest`` text, ``least`` and ``greatest`` value, ``top`` (list of (value, count), at most five,
        those in 1 % of the rows or more).
    """

    columns: pd.DataFrame
    n_rows: int
    n_customers: int
    n_broken: int
    source: str

    def summary(self) -> str:
        """Say the size in one line."""
        return f"{plural(self.n_rows, 'row')} of {plural(self.n_customers, 'customer')} from {self.source}"

    def body(self) -> str:
        """Give the columns as an HTML fragment."""
        rows = [
            (
                c["column"],
                _share(c["null_share"]),
                c["distinct"],
                "" if pd.isna(c["longest"]) else f"{int(c['shortest'])} to {int(c['longest'])}",
                f"{c['least']} … {c['greatest']}",
                _top(c["top"], self.n_rows),
            )
            for c in self.columns.to_dict("records")
        ]
        return "".join(
            [
                heading(f"Profile of {self.source}", level=3),
                badges(
                    [
                        (self.n_rows, "rows", "good"),
                        (self.n_customers, "customers", "good"),
                        (self.n_broken, "broken lines", "bad"),
                    ]
                ),
                table(["column", "null", "distinct", "length", "from … to", "most frequent"], rows)
                if self.n_rows
                else paragraph("There are no rows.", soft=True),
            ]
        )

    def to_frame(self) -> pd.DataFrame:
        """Give one row a column."""
        return self.columns

    def to_dict(self) -> dict[str, Any]:
        """Give the counts; values of the columns are left to the frame."""
        return {
            "rows": self.n_rows,
            "customers": self.n_customers,
            "broken": self.n_broken,
            "columns": {
                str(c["column"]): {"nulls": c["nulls"], "null_share": c["null_share"], "distinct": c["distinct"]}
                for c in self.columns.to_dict("records")
            },
        }


def profile(data: Customers) -> Profile:
    """Count what each column holds.

    Parameters
    ----------
    data
        A frame, a `Delivery`, or what carries one. Cells that did not parse as times count as null here.

    Examples
    --------
    >>> frame = pd.DataFrame({"customer_id": ["A", "B"], "customer_category": ["Enterprise", None],
    ...                       "updated_at": pd.to_datetime(["2025-01-28T10:00:00Z"] * 2)})
    >>> profile(frame).columns.set_index("column")["null_share"]["customer_category"]
    np.float64(0.5)
    """
    delivery = as_delivery(data)
    frame = delivery.frame
    if frame[TIME].dtype == object:
        frame = frame.assign(**{TIME: settled(frame[TIME])})
    with Session({"rows_": to_arrow(frame, CUSTOMER.arrow_schema())}) as session:
        counted = [session.table(_counts(c.name, is_text=c.kind == "string")) for c in CUSTOMER.columns]
        top = [session.table(_TOP.format(column=quoted(c.name))).to_pylist() for c in CUSTOMER.columns]
        n_customers = session.scalar("SELECT count(DISTINCT customer_id) FROM rows_")
    columns = pd.concat([to_frame(t) for t in counted], ignore_index=True)
    columns["null_share"] = columns["nulls"] / max(len(frame), 1)
    columns["top"] = pd.Series([[(v["value"], v["n"]) for v in values] for values in top], dtype=object)
    return Profile(columns[COLUMNS], len(frame), n_customers, delivery.n_broken, delivery.source)


_TOP = """SELECT {column}::VARCHAR AS value, count(*) AS n FROM rows_ WHERE {column} IS NOT NULL
          GROUP BY 1 HAVING count(*) * 100 >= (SELECT count(*) FROM rows_) ORDER BY n DESC, value LIMIT 5"""


def _counts(column: str, *, is_text: bool) -> str:
    name = quoted(column)
    shortest, longest = (f"{f}(length({name}))" if is_text else "NULL::BIGINT" for f in ("min", "max"))
    return f"""SELECT '{column}' AS "column", count(*) - count({name}) AS nulls, count(DISTINCT {name}) AS distinct,
               {shortest} AS shortest, {longest} AS longest,
               min({name})::VARCHAR AS least, max({name})::VARCHAR AS greatest FROM rows_"""


def _share(share: float) -> Markup:
    return Markup(f"{bar(share)} {share:.1%}")


def _top(values: list[tuple[str, int]], n_rows: int) -> str:
    return " · ".join(f"{value} ({n / n_rows:.0%})" for value, n in values)

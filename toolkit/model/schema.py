"""Customer: the pandera model of a customer frame, which agrees with the contract.

It forbids what the contract forbids and no more; what is only unusual is a warning (`toolkit.quality`).
"""

from __future__ import annotations

import sys
from functools import cache

import pandas as pd

try:  # pandera looks for pyspark.pandas: where pyspark is installed that takes 0.1 s, warns of this pandas, and fails
    sys.modules.setdefault("pyspark", None)  # type: ignore[arg-type]  # it is not found, until the `finally`
    import pandera.pandas as pa
    import pandera.typing.pyspark  # noqa: F401
    from pandera.typing.pandas import Series
finally:
    if sys.modules["pyspark"] is None:
        del sys.modules["pyspark"]

from toolkit.model.contract import CUSTOMER, Column, Contract
from toolkit.model.dtypes import DTYPES

_NULLABLE = {c.name: c.nullable for c in CUSTOMER.columns}
_UTC = {"tz": "UTC", "unit": "us"}


class Customer(pa.DataFrameModel):
    """A customer frame under the contract ``2026-04``: one row per version, key (customer_id, updated_at).

    Only the key must be there; an attribute's column may be missing or hold nulls. ``updated_at`` is UTC in
    microseconds: a naive time fails, since only the analyst knows its zone. Source: the resource page of
    16 April 2026, *Columns*.

    Examples
    --------
    >>> frame = pd.DataFrame({"customer_id": ["CUST-001"], "source": ["customer"],
    ...                       "updated_at": pd.to_datetime(["2025-01-28T10:00:00Z"])})
    >>> len(Customer.validate(frame, lazy=True))
    1
    """

    customer_id: Series[str] = pa.Field(nullable=_NULLABLE["customer_id"])
    updated_at: Series[pd.DatetimeTZDtype] = pa.Field(nullable=_NULLABLE["updated_at"], dtype_kwargs=_UTC)
    customer_name: Series[str] | None = pa.Field(nullable=_NULLABLE["customer_name"])
    customer_category: Series[str] | None = pa.Field(nullable=_NULLABLE["customer_category"])
    customer_subcategory: Series[str] | None = pa.Field(nullable=_NULLABLE["customer_subcategory"])
    customer_price_list_id: Series[str] | None = pa.Field(nullable=_NULLABLE["customer_price_list_id"])
    source: Series[str] | None = pa.Field(nullable=_NULLABLE["source"], isin=CUSTOMER.column("source").values)

    class Config:
        """The composite key."""

        unique = list(CUSTOMER.key)  # noqa: RUF012 - pandera reads a plain list


@cache
def schema_for(contract: Contract) -> pa.DataFrameSchema:
    """Return the model's schema with the nullability of this contract, and its custom columns."""
    custom = contract.resource.custom
    documented = [c for c in contract.resource.columns if c not in custom]
    schema = Customer.to_schema().update_columns({c.name: {"nullable": c.nullable} for c in documented})
    return schema.add_columns({c.name: _custom(c) for c in custom}) if custom else schema


def _custom(column: Column) -> pa.Column:
    lengths = (column.min_length, column.max_length)
    checks = [pa.Check.str_length(*lengths)] if lengths != (None, None) else []
    # A delivery may lack the column: known customers then keep their value.
    return pa.Column(DTYPES[column.kind], checks=checks, nullable=column.nullable, required=False)


NOT_A_TIME = "not_a_time"
"""Name of the failure of a cell whose text did not parse as a time."""
NOT_OF_TYPE = "not_of_type_"
"""Start of the name of the failure of a cell that is not of its custom column's data type."""
TOO_LARGE = "max_bytes"
"""Name of the failure of a row that is larger than a request may be."""
UNIQUE = "multiple_fields_uniqueness"
"""pandera's name of the check on the composite key."""


def reason(check: str, column: str) -> str:
    """Return what a failed check of the contract means, in plain words.

    Examples
    --------
    >>> reason("not_nullable", "customer_id")
    'customer_id is empty'
    """
    if check == "not_nullable":
        return f"{column} is empty"
    if check.startswith("dtype"):
        return f"{column} is not a string"
    if check == NOT_A_TIME:
        return f"{column} is not a time"
    if check.startswith("isin"):
        return f"{column} is not one of {', '.join(CUSTOMER.column(column).values)}"
    if check == UNIQUE:
        return f"the same {' and '.join(CUSTOMER.key)} are in more than one row"
    if check.startswith("str_length"):
        return f"{column} is shorter or longer than its attribute allows"
    return f"{column} is not written as {check.removeprefix(NOT_OF_TYPE)}"


def too_large(contract: Contract) -> str:
    """Return what it means that a row is larger than a request may be."""
    return f"the row is larger than a request may be ({contract.max_bytes:,} bytes)"


def empty_frame(columns: tuple[str, ...] = CUSTOMER.names) -> pd.DataFrame:
    """Return a customer frame without rows, typed, index ``source_row``."""
    index = pd.Index([], dtype="int64", name="source_row")
    empty = {c: pd.Series([], index=index, dtype=DTYPES[CUSTOMER.column(c).kind]) for c in columns}
    return pd.DataFrame(empty, index=index)

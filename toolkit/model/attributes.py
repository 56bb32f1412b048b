"""CustomAttribute: a column that a tenant's CUSTOMER table has beyond the documented ones."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from toolkit.errors import SettingsError
from toolkit.model.contract import CUSTOMER, KINDS, Column, Kind

RESERVED = frozenset(
    {
        "self", "source_row", "state", "reasons", "text",  # beside a row, from its file to its plan
        "entry", "recorded_at", "operation", "push", "batch", "position", "author", "reason",  # of a ledger's entry
        "source_file", "ledger_version",
        "fate", "code", "category", "message", "column",  # of a push's report
        "row_", "newest", "same", "retracted", "later_push", "at_",  # in SQL
    }
)  # fmt: skip
"""The names of the package's own columns, which are in one table with the customers'."""


@dataclass(frozen=True)
class CustomAttribute:
    """A custom column of the customer table, of one of the vendor's six data types.

    Parameters
    ----------
    name
        In lower case, as in a frame; the vendor writes it in upper case. The names of the package's own columns are
        taken (`RESERVED`, such as ``state``, ``category``, ``code``): a tenant's column of such a name cannot be sent.
    data_type
        ``string``, ``integer``, ``float``, ``boolean``, ``datetime`` (UTC) or ``date``.
    required
        Whether each row must name it; every row that the toolkit sends names every column.
    non_null
        Whether it must have a value; only together with `required`.
    min_length, max_length
        Of a string, in characters.
    default
        What a new customer gets if a delivery does not have the column: a value of the type. A datetime has a time
        zone, an integer has at most 64 bits, a float is finite.

    Raises
    ------
    SettingsError
        If these contradict each other.

    Examples
    --------
    >>> CustomAttribute("region", "string", required=True, max_length=3).column.max_length
    3
    """

    name: str
    data_type: Kind = "string"
    required: bool = False
    non_null: bool = False
    min_length: int | None = None
    max_length: int | None = None
    default: Any = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name) or self.name in RESERVED.union(CUSTOMER.names):
            raise SettingsError(
                f"{self.name!r} cannot be a custom attribute: use lower-case letters, digits and '_', and not the name "
                "of a documented column or of one of the toolkit's own, such as state."
            )
        if self.data_type not in get_args(Kind):
            raise SettingsError(f"The data_type of {self.name} must be one of {', '.join(get_args(Kind))}.")
        if self.non_null and not self.required:
            raise SettingsError(f"The attribute {self.name} cannot be non_null and optional: make it required.")
        lengths = [n for n in (self.min_length, self.max_length) if n is not None]
        if lengths and (self.data_type != "string" or min(lengths) < 0 or lengths != sorted(lengths)):
            raise SettingsError(
                f"Only a string has lengths, and min_length must not exceed max_length: see {self.name}."
            )
        if self.default is not None and not self._fits(self.default):
            raise SettingsError(
                f"The default of {self.name} is not of type {self.data_type}, or not of the allowed length: a datetime "
                "needs a time zone, an integer has at most 64 bits, a float is finite."
            )

    @property
    def column(self) -> Column:
        """Its column, as a contract lists it."""
        facts: dict[str, Any] = {key: getattr(self, key) for key in ("min_length", "max_length", "default")}
        return Column(self.name, self.data_type, nullable=not self.non_null, **facts)

    def _fits(self, value: Any) -> bool:
        if type(value) not in KINDS[self.data_type][1]:  # exactly: Python counts true as an integer, a moment as a date
            return False
        if isinstance(value, str):
            return (self.min_length or 0) <= len(value) and (self.max_length is None or len(value) <= self.max_length)
        if isinstance(value, datetime):
            return value.tzinfo is not None
        if self.data_type == "float":
            return bool(abs(value) <= sys.float_info.max)  # neither infinite nor not a number
        return not isinstance(value, int) or -(2**63) <= value < 2**63

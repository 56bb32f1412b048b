"""CustomAttribute: a column that a tenant's CUSTOMER table has beyond the documented ones."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, get_args

from toolkit.errors import SettingsError
from toolkit.model.contract import CUSTOMER, Column, Kind

_FITS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "float": (int, float),
    "boolean": (bool,),
    "datetime": (datetime,),
    "date": (date,),
}

RESERVED = frozenset(
    {
        "self", "source_row", "state", "reasons", "text",  # beside a row, from its file to its plan
        # of an entry of the ledger
        "entry", "recorded_at", "operation", "push", "batch", "position", "author", "reason", "source_file",
        "ledger_version",
        "fate", "code", "category", "message", "column",  # of a push's report
        "row_", "previous", "newest", "same", "retracted", "later_push", "at_", "nothing",  # in SQL
    }
)  # fmt: skip
"""Names that the package's own columns have beside the customers'."""


@dataclass(frozen=True)
class CustomAttribute:
    """A custom column of the customer table, of one of the vendor's six data types.

    Parameters
    ----------
    name
        In lower case, as in a frame; the vendor has it in upper case. The package's own columns keep their names
        (`RESERVED`, such as ``state``, ``category``, ``code``), so a tenant's column of such a name cannot be sent.
    data_type
        ``string``, ``integer``, ``float``, ``boolean``, ``datetime`` (UTC) or ``date``.
    required
        Whether each row must name it; every row that the toolkit sends names every column.
    non_null
        Whether it must have a value; goes with `required` only.
    min_length, max_length
        Of a string, in characters.
    default
        What a new customer gets where a delivery does not speak of the column: a value of the type. A datetime names
        its zone, an integer has 64 bits, a float is finite.

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
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name) or self.name in CUSTOMER.names:
            raise SettingsError(
                f"{self.name!r} cannot be a custom attribute: give lower-case letters, digits and '_', and a name that "
                "is none of the documented columns."
            )
        if self.name in RESERVED:
            raise SettingsError(
                f"{self.name!r} cannot be a custom attribute, for a column of the toolkit's own has that name: create "
                "the vendor's under another name."
            )
        if self.data_type not in get_args(Kind):
            raise SettingsError(f"The attribute {self.name} has a data_type of {', '.join(get_args(Kind))}.")
        if self.non_null and not self.required:
            raise SettingsError(f"The attribute {self.name} cannot be non_null and optional: make it required.")
        lengths = [n for n in (self.min_length, self.max_length) if n is not None]
        if lengths and (self.data_type != "string" or min(lengths) < 0 or lengths != sorted(lengths)):
            raise SettingsError(f"The lengths of {self.name} are of a string, and min_length is not above max_length.")
        if self.default is not None and not self._fits(self.default):
            raise SettingsError(
                f"The default of {self.name} is not of type {self.data_type}, or not of its length: a datetime names "
                "its zone, an integer has at most 64 bits, a float is finite."
            )

    @property
    def column(self) -> Column:
        """The column that a contract holds for it."""
        return Column(
            self.name,
            self.data_type,
            nullable=not self.non_null,
            min_length=self.min_length,
            max_length=self.max_length,
            default=self.default,
            use="custom attribute",
        )

    def _fits(self, value: Any) -> bool:
        # Python counts true as an integer, and a moment as a date.
        odd = isinstance(value, bool) != (self.data_type == "boolean")
        odd |= isinstance(value, datetime) != (self.data_type == "datetime")
        if odd or not isinstance(value, _FITS[self.data_type]):
            return False
        if isinstance(value, datetime):
            return value.tzinfo is not None
        if isinstance(value, int | float) and self.data_type == "float":
            return abs(value) <= sys.float_info.max  # neither infinite nor not a number
        if isinstance(value, int):
            return -(2**63) <= value < 2**63
        length = len(value) if isinstance(value, str) else 0
        return (self.min_length or 0) <= length <= (length if self.max_length is None else self.max_length)

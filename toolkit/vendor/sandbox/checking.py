"""The sandbox's own reading of the contract: the columns, and what a row must satisfy.

It was written from the vendor's pages and not from the client's modules, so that the two readings check each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

KEY = ("customer_id", "updated_at")
COLUMNS = (*KEY, "customer_name", "customer_category", "customer_subcategory", "customer_price_list_id", "source")
SOURCES = ("peak", "customer")
TYPES = ("string", "integer", "float", "boolean", "datetime", "date")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)?")


@dataclass(frozen=True)
class Attribute:
    """A custom column: its data type and validations."""

    name: str
    data_type: str
    required: bool = False
    min_length: int | None = None
    max_length: int | None = None
    non_null: bool = False
    default: Any = None

    def described(self) -> dict[str, Any]:
        """Return it as the schema call gives it."""
        checks = [{"type": "required" if self.required else "optional"}]
        checks += [{"type": "nonNull"}] if self.non_null else []
        name = self.name if self.name in COLUMNS else self.name.upper()
        default = {} if self.default is None else {"defaultValue": self.default}
        return {"columnName": name, "dataType": self.data_type, "validations": checks, **default}


@dataclass(frozen=True)
class Fault:
    """Why a row does not pass."""

    code: str
    category: str
    message: str


def check_row(row: Any, *, name_required: bool, attributes: Mapping[str, Attribute]) -> Fault | None:
    """Return what is wrong with a row whose names are in lower case, or None."""
    if not isinstance(row, dict):
        return Fault("DI_E_00001", "structure", "a row must be an object")
    for column in KEY:
        if row.get(column) in (None, ""):
            return Fault("DI_E_00002", "required", f"{column} is required")
    if name_required and row.get("customer_name") is None:
        return Fault("DI_E_00002", "required", "customer_name must not be null")
    for column in COLUMNS:
        if row.get(column) is not None and not isinstance(row[column], str):
            return Fault("DI_E_00003", "type", f"{column} is not a string")
    if not _is_time(row["updated_at"]):
        return Fault("DI_E_00003", "type", "updated_at is not a datetime")
    if row.get("source") is not None and row["source"] not in SOURCES:
        return Fault("DI_E_00004", "enum", f"source is not one of {', '.join(SOURCES)}")
    for column in row:
        if column not in COLUMNS and column not in attributes:
            return Fault("DI_E_00005", "structure", f"{column} is not a column of the table")
    for attribute in attributes.values():
        if attribute.required and attribute.name not in row:
            return Fault("DI_E_00002", "required", f"{attribute.name} is required")
    return next((fault for a in attributes.values() if (fault := _check_attribute(a, row.get(a.name)))), None)


def _check_attribute(attribute: Attribute, value: Any) -> Fault | None:
    if value is None:
        return Fault("DI_E_00002", "required", f"{attribute.name} must not be null") if attribute.non_null else None
    fits = {
        "string": lambda v: isinstance(v, str),
        "boolean": lambda v: isinstance(v, bool),
        "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
        "float": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
        "datetime": _is_time,
        "date": _is_date,
    }[attribute.data_type]
    if not fits(value):
        return Fault("DI_E_00003", "type", f"{attribute.name} is not a {attribute.data_type}")
    if isinstance(value, str) and attribute.max_length is not None and len(value) > attribute.max_length:
        return Fault("DI_E_00006", "length", f"{attribute.name} is longer than {attribute.max_length}")
    if isinstance(value, str) and attribute.min_length is not None and len(value) < attribute.min_length:
        return Fault("DI_E_00006", "length", f"{attribute.name} is shorter than {attribute.min_length}")
    return None


def _is_time(value: Any) -> bool:
    return isinstance(value, str) and bool(_TIME.fullmatch(value)) and _parses(datetime.fromisoformat, value)


def _is_date(value: Any) -> bool:
    return isinstance(value, str) and _parses(date.fromisoformat, value)


def _parses(read: Callable[[str], object], text: str) -> bool:
    try:
        return bool(read(text))
    except ValueError:
        return False

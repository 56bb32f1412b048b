"""The vendor's ingestion contract as data: columns, limits, addresses, envelope, the words of an answer.

The source is the vendor's *Data Ingestion API v2* pages. There are two contracts: ``2026-04`` (the resource page of 16
April 2026) and ``current`` (the newest pages). No other module of the client names a limit, a path or a field of the
envelope. A second resource of the same shape is one more `Resource`: whose row, since when, and its attributes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Literal
from urllib.parse import quote

import pyarrow as pa

from toolkit.errors import SettingsError

Kind = Literal["string", "datetime", "integer", "float", "boolean", "date"]
Operation = Literal["UPSERT", "APPEND"]
PathStyle = Literal["ingest/object", "objects", "object"]

KINDS: dict[str, tuple[pa.DataType, tuple[type, ...]]] = {
    "string": (pa.string(), (str,)),
    "datetime": (pa.timestamp("us", tz="UTC"), (datetime,)),
    "integer": (pa.int64(), (int,)),
    "float": (pa.float64(), (int, float)),
    "boolean": (pa.bool_(), (bool,)),
    "date": (pa.date32(), (date,)),
}
"""Each data type: the Arrow type that carries it without loss, and Python's types of its values."""


@dataclass(frozen=True)
class Column:
    """One column of a resource.

    Attributes
    ----------
    values
        The closed list of values of an enum; empty if any value is allowed.
    min_length, max_length
        Of a text, in characters; None if any length is allowed.
    default
        What a new customer gets if a delivery does not have the column.
    """

    name: str
    kind: Kind = "string"
    nullable: bool = True
    key: bool = False
    values: tuple[str, ...] = ()
    min_length: int | None = None
    max_length: int | None = None
    default: Any = None


def kind_of(arrow: pa.DataType) -> str:
    """Return the data type of the vendor for an Arrow type; for any other type, the name that Arrow gives it."""
    return next((kind for kind, (its, _) in KINDS.items() if its == arrow), str(arrow))


@dataclass(frozen=True)
class Resource:
    """One of the vendor's tables: its name without prefix and suffix, and its columns in the order they are sent."""

    name: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all columns."""
        return tuple(c.name for c in self.columns)

    @property
    def key(self) -> tuple[str, ...]:
        """The names of the primary key's columns: the row's id, then its time."""
        return tuple(c.name for c in self.columns if c.key)

    @property
    def attributes(self) -> tuple[str, ...]:
        """The names of the columns outside the key."""
        return tuple(c.name for c in self.columns if not c.key)

    def column(self, name: str) -> Column:
        """Return the column of this name."""
        return next(c for c in self.columns if c.name == name)

    @property
    def custom(self) -> tuple[Column, ...]:
        """The columns beyond the documented ones."""
        return tuple(c for c in self.columns if c.name not in CUSTOMER.names)

    def arrow_schema(self) -> pa.Schema:
        """Return the explicit Arrow schema: a null column keeps its type."""
        return pa.schema([pa.field(c.name, KINDS[c.kind][0]) for c in self.columns])


@dataclass(frozen=True)
class Contract:
    """One dated reading of the vendor's documentation.

    Attributes
    ----------
    path_style
        The part of the ingestion path between the API's version and the table; the pages write it in three ways.
    max_rows, max_bytes
        Limits of one request; bytes are of the whole body, 1 MB read as 1,000,000.
    max_requests_per_s
        Requests a second, for the whole target.
    dry_run
        Whether ``dryRun`` is documented; if it is not, the vendor might ignore it and write.
    affixes_required
        Whether prefix and suffix must be given.
    failed_field
        The field of an answer that lists the rows that did not pass.
    first_index
        What an index in it counts from; not documented, so an assumption.
    attribute_path, attribute_field
        The path that a custom attribute is posted to, and the field of the body with its name.
    """

    name: str
    base_url: str
    path_style: PathStyle
    resource: Resource
    max_rows: int
    max_bytes: int
    dry_run: bool
    affixes_required: bool
    max_requests_per_s: float = 50
    token_variables: tuple[str, ...] = ("PEAK_AUTH_TOKEN", "API_KEY")
    failed_field: str = "failed"
    first_index: int = 0
    attribute_path: str = "/api/v2/schema/{name}/add-attribute"
    attribute_field: str = "columnName"

    @classmethod
    def named(cls, name: str) -> Contract:
        """Return the contract of this name, ``2026-04`` or ``current``.

        Examples
        --------
        >>> Contract.named("2026-04").max_rows, Contract.named("current").max_rows
        (500, 2000)
        """
        if name not in list(CONTRACTS):  # a list, for what cannot be hashed
            raise SettingsError(f"No contract is named {name!r}: set TOOLKIT_CONTRACT to {' or '.join(CONTRACTS)}.")
        return CONTRACTS[name]

    @property
    def others(self) -> tuple[Contract, ...]:
        """The other contracts: a row that one of them refuses is worth a warning."""
        return tuple(c for c in CONTRACTS.values() if c.name != self.name)

    def url(self, base_url: str, *, style: str = "", prefix: str = "", suffix: str = "") -> str:
        """Return the address that rows are posted to.

        Examples
        --------
        >>> CURRENT.url("http://127.0.0.1:8765/", prefix="QP_", suffix="_OOTB")
        'http://127.0.0.1:8765/api/v2/objects/QP_CUSTOMER_OOTB'
        """
        name = quote(self.table(prefix, suffix), safe="")
        return base_url.rstrip("/") + f"/api/v2/{style or self.path_style}/{name}"

    def table(self, prefix: str, suffix: str) -> str:
        """Return the name of the tenant's table: the resource's name between prefix and suffix."""
        return f"{prefix}{self.resource.name}{suffix}"

    def with_columns(self, columns: Iterable[Column]) -> Contract:
        """Return the contract with more columns after the documented ones.

        Examples
        --------
        >>> CURRENT.with_columns([Column("region")]).resource.names[-2:]
        ('source', 'region')
        """
        more = tuple(columns)
        return replace(self, resource=replace(self.resource, columns=(*self.resource.columns, *more))) if more else self

    def schema_call(self, solution: str) -> str:
        """Return the path that gives the tables and columns of a solution."""
        return "/api/v2/schema?solutionName=" + quote(solution, safe="")

    def attribute_call(self, solution: str, table: str, column: Column, *, required: bool = False) -> tuple[str, bytes]:
        """Return the path and the body that create a custom attribute; the vendor writes its name in upper case.

        Examples
        --------
        >>> path, body = CURRENT.attribute_call("QP_OOTB", "QP_CUSTOMER_OOTB", Column("region", max_length=3))
        >>> path, json.loads(body)["columnName"], json.loads(body)["validations"][1:]
        ('/api/v2/schema/QP_CUSTOMER_OOTB/add-attribute', 'REGION', [{'type': 'maxLength', 'value': 3}])
        """
        checks: list[dict[str, Any]] = [{"type": "required" if required else "optional"}]
        checks += [{"type": "nonNull"}] if required and not column.nullable else []
        lengths = {"minLength": column.min_length, "maxLength": column.max_length}
        checks += [{"type": name, "value": n} for name, n in lengths.items() if n is not None]
        body = {
            "solutionName": solution,
            self.attribute_field: column.name.upper(),
            "dataType": column.kind,
            **({} if column.default is None else {"defaultValue": column.default}),
            "validations": checks,
        }
        sent = json.dumps(body, ensure_ascii=False, default=str).encode()
        return self.attribute_path.format(name=quote(table, safe="")), sent

    def envelope(self, solution: str, operation: str, *, dry_run: bool = False) -> tuple[bytes, bytes]:
        """Return the parts of a body before and after the comma-separated rows.

        ``dryRun`` is written only when true.

        Examples
        --------
        >>> CURRENT.envelope("QP_OOTB", "UPSERT")
        (b'{"solutionName":"QP_OOTB","data":[', b'],"operationType":"UPSERT"}')
        """
        head = '{"solutionName":' + json.dumps(solution, ensure_ascii=False) + ',"data":['
        tail = '],"operationType":' + json.dumps(operation) + (',"dryRun":true}' if dry_run else "}")
        return head.encode(), tail.encode()

    def header(self, token: str) -> dict[str, str]:
        """Return the header with the raw token: the vendor expects no ``Bearer`` before it."""
        return {"Authorization": token}


def _customer(*, name_nullable: bool) -> Resource:
    return Resource(
        "CUSTOMER",
        (
            Column("customer_id", nullable=False, key=True),  # joins customers to quotes and sales for model training
            # The newest row is shown in the UI; training takes the one that was current on a quote's date.
            Column("updated_at", "datetime", nullable=False, key=True),
            Column("customer_name", nullable=name_nullable),  # shown in the UI
            Column("customer_category"),  # a feature of the model, as is the next one
            Column("customer_subcategory"),
            Column("customer_price_list_id"),  # names a price list
            Column("source", values=("peak", "customer")),  # who created the entry
        ),
    )


# The resource page of 16 April 2026.
APRIL_2026 = Contract(
    name="2026-04",
    base_url="https://service.peak.ai/ingestion-api",
    path_style="ingest/object",
    resource=_customer(name_nullable=True),
    max_rows=500,
    max_bytes=1_000_000,  # documented later only; kept here to be safe
    dry_run=False,
    affixes_required=True,
    attribute_path="/{name}/add-attribute",
    attribute_field="attributeName",
)

# The newest undated pages, after June 2026.
CURRENT = Contract(
    name="current",
    base_url="https://ingestion.peak.ai",
    path_style="objects",
    resource=_customer(name_nullable=False),
    max_rows=2_000,
    max_bytes=1_000_000,
    dry_run=True,
    affixes_required=False,
)

CONTRACTS = {c.name: c for c in (APRIL_2026, CURRENT)}
CUSTOMER = APRIL_2026.resource
"""The columns and the key, which every contract shares; nullability is the contract's own."""
ID, TIME = CUSTOMER.key
"""The two columns of the key: whose row it is, and since when it is valid."""
NAME = "customer_name"
"""What people know a customer by: shown below its id."""
FEATURES = ("customer_category", "customer_subcategory")
"""The columns that are features of the vendor's model; the first one groups quotes."""

# What each column of a table is used for, and its name; the vendor has no column `value`, but many exports do.
VERSIONS = {
    "id": ID,
    "moment": TIME,
    "name": NAME,
    "price_list": "customer_price_list_id",
    **dict(zip(FEATURES, FEATURES, strict=True)),
}
QUOTES = {"id": ID, "moment": "quoted_at", "price_list": "price_list_id", "merchant": "merchant_id", "value": "value"}
SALES = {"id": ID, "moment": "sold_at", "quantity": "quantity", "price": "selling_price", "value": "value"}
MERCHANTS = {"id": "merchant_id"}

"""The sandbox as a function: from a request to the answer that the contract's vendor would give."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from toolkit.vendor.sandbox.assumptions import Assumptions
from toolkit.vendor.sandbox.checking import COLUMNS, KEY, TYPES, Attribute, Fault, check_row
from toolkit.vendor.sandbox.store import Store

MAX_ROWS = {"2026-04": 500, "current": 2_000}
MAX_BYTES = 1_000_000
MAX_REQUESTS_PER_S = 50
OPERATIONS = ("UPSERT", "APPEND")
TABLE = "QP_CUSTOMER_OOTB"
_BASE = r"(?:/ingestion-api)?"
_INGEST = re.compile(_BASE + r"/api/v2/(?:ingest/object|objects|object)/([^/]*CUSTOMER[^/]*)")
_ATTRIBUTE = re.compile(_BASE + r"(?:/api/v2/schema)?/([^/]*CUSTOMER[^/]*)/add-attribute")
_SCHEMA = re.compile(_BASE + r"/api/v2/schema")


@dataclass(frozen=True)
class Request:
    """One request; the names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """One answer.

    Attributes
    ----------
    cut
        The server closes the connection after this many bytes of the body (-1: before any).
    n_rows
        How many rows the request had, for the log.
    """

    status: int
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    n_rows: int = 0


_UNKNOWN_LIST = Fault("DI_E_00031", "foreign_key", "customer_price_list_id is not among the known price lists")
"""What an object-level check of this kind says; its severity is to warn."""
DROPPED = Reply(0, cut=-1)
"""The connection breaks, and no answer comes."""


class Vendor:
    """Answers requests as the contract says and, where it says nothing, as the assumptions say.

    Attributes
    ----------
    troubles
        One is used up by each request: a reply to give instead, or (True, reply) to carry out the request first. None
        lets a request pass.
    refuse
        Refuses chosen rows: a function from a row to the message, or None.
    price_lists
        The price lists that exist: a row that names another one is taken, with a warning if the assumptions have any.
    """

    def __init__(
        self, store: Store, *, token: str, contract: str, assumptions: Assumptions | None, clock: Callable[[], float]
    ) -> None:
        self._store, self._token, self._clock = store, token, clock
        self.contract, self.assumptions = contract, assumptions or Assumptions()
        self.troubles: deque[Reply | tuple[bool, Reply] | None] = deque()
        self.refuse: Callable[[dict[str, Any]], str | None] | None = None
        self.price_lists: frozenset[str] = frozenset()
        self._starts: deque[float] = deque(maxlen=MAX_REQUESTS_PER_S)

    def answer(self, request: Request) -> Reply:
        """Answer one request, and log it."""
        trouble = self.troubles.popleft() if self.troubles and self.knows(request.headers) else None
        if trouble is None:
            reply = self._answer(request)
        elif isinstance(trouble, tuple):
            reply = replace(trouble[1], n_rows=self._answer(request).n_rows)
        else:
            reply = trouble
        digest = hashlib.sha256(request.body).hexdigest()
        self._store.log(self._clock(), request.method, request.path, reply.status, reply.n_rows, digest)
        return reply

    def knows(self, headers: Mapping[str, str]) -> bool:
        """Whether a request has the token."""
        return headers.get("authorization") == self._token

    def flush_if_due(self) -> None:
        """Write the buffer if its oldest row has waited long enough."""
        oldest = self._store.oldest_in_buffer()
        if oldest is not None and self._clock() - oldest >= self.assumptions.flush_s:
            self._store.flush()

    def _answer(self, request: Request) -> Reply:
        if not self.knows(request.headers):
            return self._error(401, "the token is not valid")
        if self._too_fast():
            return self._error(429, f"more than {MAX_REQUESTS_PER_S} requests a second")
        path, _, query = request.path.partition("?")
        call: Callable[[], Reply]
        if match := _ATTRIBUTE.fullmatch(path):
            method, call = "POST", partial(self._add_attribute, match[1], request)
        elif _SCHEMA.fullmatch(path):
            method, call = "GET", partial(self._schema, query)
        elif match := _INGEST.fullmatch(path):
            method, call = "POST", partial(self._ingest, match[1], request)
        else:
            return self._error(404, "there is nothing at this address")
        return call() if request.method == method else self._error(405, "not with this method")

    def _ingest(self, name: str, request: Request) -> Reply:
        most = self.assumptions.over_limit_status
        if len(request.body) > MAX_BYTES:
            return self._error(most, f"a request may have {MAX_BYTES} bytes", code=413)
        said = _object(request)
        if said is None:
            return self._error(400, "the body is not a JSON object with Content-Type application/json")
        rows, operation = said.get("data"), said.get("operationType", "UPSERT")
        if not isinstance(said.get("solutionName"), str) or not said["solutionName"]:
            return self._error(400, "solutionName is required")
        if not isinstance(rows, list) or operation not in OPERATIONS:
            return self._error(400, "data must be a list and operationType UPSERT or APPEND")
        if len(rows) > MAX_ROWS[self.contract]:
            return self._error(most, f"a request may have {MAX_ROWS[self.contract]} rows", code=413)
        return replace(self._take(name, rows, operation, dry=bool(said.get("dryRun"))), n_rows=len(rows))

    def _take(self, name: str, rows: list[Any], operation: str, *, dry: bool) -> Reply:
        attributes = self._store.attributes(name)
        lowered = [{str(k).lower(): v for k, v in r.items()} if isinstance(r, dict) else r for r in rows]
        faults: dict[int, Fault] = {}
        for place, row in enumerate(lowered):
            fault = check_row(row, name_required=self.contract == "current", attributes=attributes)
            if fault is None and self.refuse and (message := self.refuse(row)):
                fault = Fault("DI_E_00017", "reference", message)
            if fault:
                faults[place] = fault
        status = self.assumptions.partial_status if faults else 200
        all_fail = bool(faults) and (self.assumptions.all_or_nothing or status in (400, 422))
        if not (dry and self.assumptions.dry_run == "documented"):
            # An optional column that a row leaves out gets its default; one that is null stays null.
            defaults = {a.name: a.default for a in attributes.values()}
            good = [{**defaults, **row} for n, row in enumerate(lowered) if not all_fail and n not in faults]
            self._store.buffer(name, operation, good, self._clock())
        failed = [self._entry(n, rows[n], fault) for n, fault in faults.items()]
        where, column = self.assumptions.warnings, "customer_price_list_id"
        checked = [] if where == "none" else [(n, row.get(column)) for n, row in enumerate(lowered) if n not in faults]
        severity = {"severity": "warn"} if where == "failed" else {}
        named = [n for n, price_list in checked if price_list not in (None, *self.price_lists)]
        warnings = [self._entry(n, rows[n], _UNKNOWN_LIST, **severity) for n in named]
        lists = {"warnings": warnings} if where == "list" else {"failed": failed + warnings}
        return self._json({"failed": failed, **lists}, status=status)

    def _entry(self, place: int, row: Any, fault: Fault, **more: str) -> Any:
        why = {"code": fault.code, "category": fault.category, "message": fault.message, **more}
        names = row.items() if isinstance(row, dict) else ()
        key = {k: v for k, v in names if str(k).lower() in KEY}
        return {
            "index": {"index": place, **why},
            "index_from_1": {"index": place + 1, **why},
            "key": {**key, **why},
            "upper_key": {**{str(k).upper(): v for k, v in key.items()}, **why},
            "echo": {"row": row, **why},
            "nested": {"key": key, "errors": [why]},
            "text": {**key, **why} if more else key.get("customer_id"),
            "nothing": why,
        }[self.assumptions.names_row_by]

    def _schema(self, query: str) -> Reply:
        solution = parse_qs(query).get("solutionName", [""])[0]
        if not solution:
            return self._error(400, "solutionName is required")
        tables = []
        for name in self._store.names() or [TABLE]:
            kinds = {c: "datetime" if c == "updated_at" else "string" for c in COLUMNS}
            columns = [Attribute(c, kind, required=c in KEY) for c, kind in kinds.items()]
            columns += self._store.attributes(name).values()
            tables.append({"tableName": name, "columns": [column.described() for column in columns]})
        return self._json({"solutionName": solution, "tables": tables})

    def _add_attribute(self, name: str, request: Request) -> Reply:
        said = _object(request) or {}
        column = said.get("columnName", said.get("attributeName"))
        checks = [c for c in said.get("validations") or [] if isinstance(c, dict)]
        kinds = [c.get("type") for c in checks]
        lengths = {c["type"]: c.get("value") for c in checks if c.get("type") in ("minLength", "maxLength")}
        if not said.get("solutionName") or said.get("dataType") not in TYPES or not isinstance(column, str):
            return self._error(400, f"solutionName, columnName and a dataType of {', '.join(TYPES)}")
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*", column) or column.lower() in COLUMNS:
            return self._error(400, "columnName must be in UPPERCASE, and new")
        if checks and kinds.count("required") + kinds.count("optional") != 1:
            return self._error(400, "validations hold exactly one of required and optional")
        if "nonNull" in kinds and "required" not in kinds:
            return self._error(400, "nonNull goes with required")
        attribute = Attribute(
            column.lower(),
            said["dataType"],
            required="required" in kinds,
            min_length=lengths.get("minLength"),
            max_length=lengths.get("maxLength"),
            non_null="nonNull" in kinds,
            default=said.get("defaultValue"),
        )
        if not self._store.add_attribute(name, attribute):
            return self._error(409, "there is a column of this name")
        return self._json({"columnName": column})

    def _too_fast(self) -> bool:
        now = self._clock()
        if len(self._starts) == MAX_REQUESTS_PER_S and now - self._starts[0] < 1:
            return True
        self._starts.append(now)
        return False

    def _error(self, status: int, message: str, *, code: int = 0) -> Reply:
        headers = {}
        if status in (429, 503) and (kind := self.assumptions.retry_after) != "none":
            headers["Retry-After"] = "1" if kind == "seconds" else formatdate(self._clock() + 1, usegmt=True)
        said = {"code": f"DI_E_{code or status:05}", "message": message}
        body, media = {
            "json": (json.dumps(said).encode(), "application/json"),
            "text": (message.encode(), "text/plain"),
            "html": (f"<html><body><h1>{status}</h1></body></html>".encode(), "text/html"),
            "empty": (b"", "text/plain"),
        }[self.assumptions.error_body]
        return Reply(status, body, {"Content-Type": media, **headers})

    def _json(self, value: dict[str, Any], *, status: int = 200) -> Reply:
        if self.assumptions.request_id:
            value = {"requestId": str(uuid.uuid4()), **value}
        return Reply(status, json.dumps(value, ensure_ascii=False).encode(), {"Content-Type": "application/json"})


def _object(request: Request) -> dict[str, Any] | None:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        return None
    try:
        said = json.loads(request.body)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None

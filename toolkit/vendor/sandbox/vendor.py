"""The sandbox as a function: a request in, the answer that the contract's vendor would give out."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, urlsplit

from toolkit.vendor.sandbox.assumptions import Assumptions
from toolkit.vendor.sandbox.checking import COLUMNS, TYPES, Attribute, Fault, check_row
from toolkit.vendor.sandbox.store import Store

MAX_ROWS = {"2026-04": 500, "current": 2_000}
MAX_BYTES = 1_000_000
MAX_REQUESTS_PER_S = 50
OPERATIONS = ("UPSERT", "APPEND")
_INGEST = re.compile(r"(?:/ingestion-api)?/api/v2/(?:ingest/object|objects|object)/([^/]*CUSTOMER[^/]*)")
_ATTRIBUTE = re.compile(r"(?:/ingestion-api)?(?:/api/v2/schema)?/([^/]*CUSTOMER[^/]*)/add-attribute")
_SCHEMA = re.compile(r"(?:/ingestion-api)?/api/v2/schema(/solutions)?")


@dataclass(frozen=True)
class Request:
    """One request; the names of headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """One answer; `cut` makes the server close the connection after so many bytes of the body (-1: before any)."""

    status: int
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None


DROPPED = Reply(0, cut=-1)
"""The connection breaks, and no answer comes."""


class Vendor:
    """Answers requests as the contract says, and as the assumptions say where it is silent.

    Attributes
    ----------
    troubles
        Consumed one a request, before it is looked at: a reply to give instead, or (True, reply): the request is
        carried out first. None lets a request pass.
    refuse
        Refuses chosen rows: from a row to the message, or None.
    """

    def __init__(
        self, store: Store, *, token: str, contract: str, assumptions: Assumptions, clock: Callable[[], float]
    ) -> None:
        self._store, self._token, self._clock = store, token, clock
        self.contract, self.assumptions = contract, assumptions
        self.troubles: deque[Reply | tuple[bool, Reply] | None] = deque()
        self.refuse: Callable[[dict[str, Any]], str | None] | None = None
        self._starts: deque[float] = deque(maxlen=MAX_REQUESTS_PER_S)

    def answer(self, request: Request) -> Reply:
        """Answer one request, and log it."""
        trouble = self.troubles.popleft() if self.troubles else None
        if trouble is None:
            reply, n_rows = self._answer(request)
        elif isinstance(trouble, tuple):
            reply, n_rows = trouble[1], self._answer(request)[1]
        else:
            reply, n_rows = trouble, 0
        self._store.log(
            self._clock(), request.method, request.path, reply.status, n_rows, hashlib.sha256(request.body).hexdigest()
        )
        return reply

    def flush_if_due(self) -> None:
        """Write the buffer if its oldest row has waited long enough."""
        oldest = self._store.oldest_in_buffer()
        if oldest is not None and self._clock() - oldest >= self.assumptions.flush_s:
            self._store.flush()

    def _answer(self, request: Request) -> tuple[Reply, int]:
        parts = urlsplit(request.path)
        if request.headers.get("authorization") != self._token:
            return self._error(401, "DI_E_00401", "the token is not valid"), 0
        if self._too_fast():
            return self._error(429, "DI_E_00429", f"more than {MAX_REQUESTS_PER_S} requests a second"), 0
        if match := _ATTRIBUTE.fullmatch(parts.path):
            return (self._add_attribute(match[1], request) if request.method == "POST" else self._not_allowed()), 0
        if match := _SCHEMA.fullmatch(parts.path):
            solution = parse_qs(parts.query).get("solutionName", [""])[0]
            return (
                self._schema(solution, only_solutions=bool(match[1]))
                if request.method == "GET"
                else self._not_allowed()
            ), 0
        if match := _INGEST.fullmatch(parts.path):
            return self._ingest(match[1], request) if request.method == "POST" else (self._not_allowed(), 0)
        return self._error(404, "DI_E_00404", "there is nothing at this address"), 0

    def _ingest(self, name: str, request: Request) -> tuple[Reply, int]:
        if len(request.body) > MAX_BYTES:
            return self._over_limit(f"a request may have {MAX_BYTES} bytes"), 0
        said = _object(request)
        if said is None:
            return self._error(400, "DI_E_00400", "the body is not a JSON object with Content-Type application/json"), 0
        rows, operation = said.get("data"), said.get("operationType", "UPSERT")
        if not isinstance(said.get("solutionName"), str) or not said["solutionName"]:
            return self._error(400, "DI_E_00400", "solutionName is required"), 0
        if not isinstance(rows, list) or operation not in OPERATIONS:
            return self._error(400, "DI_E_00400", "data has to be a list and operationType UPSERT or APPEND"), 0
        if len(rows) > MAX_ROWS[self.contract]:
            return self._over_limit(f"a request may have {MAX_ROWS[self.contract]} rows"), 0
        return self._take(name, rows, operation, dry=bool(said.get("dryRun"))), len(rows)

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
        keeps_out = bool(faults) and (self.assumptions.all_or_nothing or status in (400, 422))
        if not (dry and self.assumptions.dry_run == "documented"):
            # An optional column that a row leaves out takes its default; one that is null stays null.
            defaults = {a.name: a.default for a in attributes.values()}
            good = (
                [] if keeps_out else [{**defaults, **row} for place, row in enumerate(lowered) if place not in faults]
            )
            self._store.buffer(name, operation, good, self._clock())
            self._store.fail(
                name, [(f.code, f.category, f.message, lowered[i]) for i, f in faults.items()], self._clock()
            )
        entries = [self._entry(place, rows[place], fault) for place, fault in faults.items()]
        return self._json(status, {"failed": entries})

    def _entry(self, place: int, row: Any, fault: Fault) -> Any:
        why = {"code": fault.code, "category": fault.category, "message": fault.message}
        key = (
            {k: v for k, v in row.items() if str(k).lower() in ("customer_id", "updated_at")}
            if isinstance(row, dict)
            else {}
        )
        upper = {str(k).upper(): v for k, v in key.items()}
        return {
            "index": {"index": place, **why},
            "index_from_1": {"index": place + 1, **why},
            "key": {**key, **why},
            "upper_key": {**upper, **why},
            "echo": {"row": row, **why},
            "nested": {"key": key, "errors": [why]},
            "text": key.get("customer_id"),
            "nothing": why,
        }[self.assumptions.names_row_by]

    def _schema(self, solution: str, *, only_solutions: bool) -> Reply:
        names = self._store.names() or ["QP_CUSTOMER_OOTB"]
        if only_solutions:
            return self._json(
                200,
                {
                    "solutions": [
                        {
                            "solutionName": "QP_OOTB",
                            "prefix": "QP_",
                            "suffix": "_OOTB",
                            "targetSchemaName": "SANDBOX",
                            "tableCount": len(names),
                        }
                    ]
                },
            )
        if not solution:
            return self._error(400, "DI_E_00400", "solutionName is required")
        tables = []
        for name in names:
            own = [{"columnName": c, "dataType": "datetime" if c == "updated_at" else "string"} for c in COLUMNS]
            custom = [
                {"columnName": a.name.upper(), "dataType": a.data_type} for a in self._store.attributes(name).values()
            ]
            tables.append({"tableName": name, "columns": own + custom})
        return self._json(200, {"solutionName": solution, "tables": tables})

    def _add_attribute(self, name: str, request: Request) -> Reply:
        said = _object(request) or {}
        column = said.get("columnName", said.get("attributeName"))
        checks = said.get("validations") or []
        kinds = [c.get("type") for c in checks if isinstance(c, dict)]
        if not said.get("solutionName") or said.get("dataType") not in TYPES or not isinstance(column, str):
            return self._error(400, "DI_E_00400", f"solutionName, columnName and a dataType of {', '.join(TYPES)}")
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*", column) or column.lower() in COLUMNS:
            return self._error(400, "DI_E_00400", "columnName has to be in UPPERCASE, and new")
        if checks and kinds.count("required") + kinds.count("optional") != 1:
            return self._error(400, "DI_E_00400", "validations hold exactly one of required and optional")
        lengths = {c["type"]: c.get("value") for c in checks if c.get("type") in ("minLength", "maxLength")}
        if "nonNull" in kinds and "required" not in kinds:
            return self._error(400, "DI_E_00400", "nonNull goes with required")
        attribute = Attribute(
            column.lower(),
            said["dataType"],
            "required" in kinds,
            lengths.get("minLength"),
            lengths.get("maxLength"),
            "nonNull" in kinds,
            said.get("defaultValue"),
        )
        if not self._store.add_attribute(name, attribute):
            return self._error(409, "DI_E_00409", "there is a column of this name")
        return self._json(200, {"columnName": column})

    def _too_fast(self) -> bool:
        now = self._clock()
        if len(self._starts) == MAX_REQUESTS_PER_S and now - self._starts[0] < 1:
            return True
        self._starts.append(now)
        return False

    def _over_limit(self, message: str) -> Reply:
        return self._error(self.assumptions.over_limit_status, "DI_E_00413", message)

    def _not_allowed(self) -> Reply:
        return self._error(405, "DI_E_00405", "not with this method")

    def _error(self, status: int, code: str, message: str) -> Reply:
        headers = {}
        if status in (429, 503):
            headers = {
                "seconds": {"Retry-After": "1"},
                "date": {"Retry-After": formatdate(self._clock() + 1, usegmt=True)},
                "none": {},
            }[self.assumptions.retry_after]
        body, kind = {
            "json": (json.dumps({"code": code, "message": message}).encode(), "application/json"),
            "text": (message.encode(), "text/plain"),
            "html": (f"<html><body><h1>{status}</h1></body></html>".encode(), "text/html"),
            "empty": (b"", "text/plain"),
        }[self.assumptions.error_body]
        return Reply(status, body, {"Content-Type": kind, **headers})

    def _json(self, status: int, value: dict[str, Any]) -> Reply:
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

"""The sandbox keeps the contract page: its literal examples, spellings, limits, and what it leaves open."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests

from toolkit.config import Settings
from toolkit.errors import InputError, SandboxError
from toolkit.vendor.sandbox import Assumptions, Reply, Sandbox

# The contract page's example, to the letter.
EXAMPLE = """{"solutionName": "QP_OOTB",
 "data": [{"customer_id": "CUST-001", "updated_at": "2025-01-28T10:00:00Z", "customer_name": "Acme Corporation",
           "customer_category": "Enterprise", "customer_subcategory": "Technology",
           "customer_price_list_id": "PL-ENT-001", "source": "customer"}],
 "operationType": "UPSERT", "dryRun": false}"""
ROW = json.loads(EXAMPLE)["data"][0]
PATH = "/api/v2/objects/QP_CUSTOMER_OOTB"
HEADERS = {"Authorization": "sandbox", "Content-Type": "application/json"}


class Wall:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        self.seconds += 0.1  # ten requests a second: under the limit
        return self.seconds


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def sandbox(wall: Wall) -> Iterator[Sandbox]:
    with Sandbox(clock=wall) as server:
        yield server


def post(sandbox: Sandbox, body: Any, path: str = PATH, **headers: str | None) -> requests.Response:
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    return requests.post(sandbox.url + path, data=text, headers={**HEADERS, **headers}, timeout=10)


def request(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"solutionName": "QP_OOTB", "data": list(rows), "operationType": "UPSERT", **more}


@pytest.mark.parametrize("base", ["", "/ingestion-api"])
@pytest.mark.parametrize("style", ["ingest/object", "objects", "object"])
def test_the_documented_request_is_taken_under_every_spelling(sandbox: Sandbox, base: str, style: str) -> None:
    answer = post(sandbox, EXAMPLE, f"{base}/api/v2/{style}/QP_CUSTOMER_OOTB")
    assert answer.status_code == 200
    assert answer.json()["failed"] == []
    held = sandbox.table()
    assert len(held) == 1
    assert {k: v for k, v in held.iloc[0].items() if k != "updated_at"} == {
        k: v for k, v in ROW.items() if k != "updated_at"
    }
    assert str(held["updated_at"].iloc[0]).startswith("2025-01-28 10:00:00")


def test_the_raw_name_is_a_table_of_its_own(sandbox: Sandbox) -> None:
    assert post(sandbox, EXAMPLE, "/api/v2/objects/CUSTOMER").status_code == 200
    assert len(sandbox.table("CUSTOMER")) == 1
    assert sandbox.table().empty


@pytest.mark.parametrize("authorization", [None, "", "Bearer sandbox", "sandbox2", "SANDBOX"])
def test_the_raw_token_and_nothing_else_opens_it(sandbox: Sandbox, authorization: str | None) -> None:
    answer = post(sandbox, EXAMPLE, Authorization=authorization)
    assert answer.status_code == 401
    assert sandbox.table().empty


@pytest.mark.parametrize(
    "path", ["/api/v2/objects/QP_MERCHANT_OOTB", "/api/v1/objects/CUSTOMER", "/", "/api/v2/objects"]
)
def test_an_address_that_is_not_documented_is_not_there(sandbox: Sandbox, path: str) -> None:
    assert post(sandbox, EXAMPLE, path).status_code == 404


def test_rows_may_not_be_fetched(sandbox: Sandbox) -> None:
    assert requests.get(sandbox.url + PATH, headers=HEADERS, timeout=10).status_code == 405


def test_an_upsert_replaces_a_version_and_an_append_keeps_it(sandbox: Sandbox) -> None:
    renamed, later = {**ROW, "customer_name": "Acme Ltd"}, {**ROW, "updated_at": "2025-02-01T00:00:00Z"}
    post(sandbox, request(ROW))
    post(sandbox, request(renamed, operationType="APPEND"))
    assert list(sandbox.table()["customer_name"]) == ["Acme Corporation"]
    post(sandbox, request(renamed, later))
    assert list(sandbox.table()["customer_name"]) == ["Acme Ltd", "Acme Corporation"]


def test_accepted_rows_wait_in_the_buffer_until_it_is_flushed(wall: Wall) -> None:
    with Sandbox(clock=wall, assumptions=Assumptions(flush_s=60)) as sandbox:
        post(sandbox, EXAMPLE)
        assert sandbox._store.table("QP_CUSTOMER_OOTB").empty  # accepted is not yet written
        wall.seconds += 61
        requests.get(sandbox.url + "/api/v2/schema", headers=HEADERS, timeout=10)
        assert len(sandbox._store.table("QP_CUSTOMER_OOTB")) == 1
        post(sandbox, request({**ROW, "customer_id": "B"}))
        assert (sandbox.flush(), sandbox.flush()) == (1, 0)


@pytest.mark.parametrize(("contract", "most"), [("2026-04", 500), ("current", 2_000)])
def test_a_request_has_the_documented_number_of_rows_at_the_most(wall: Wall, contract: str, most: int) -> None:
    with Sandbox(contract=contract, clock=wall) as sandbox:
        rows = [
            {"customer_id": f"C{i}", "updated_at": "2025-01-28T10:00:00Z", "customer_name": "A"}
            for i in range(most + 1)
        ]
        assert post(sandbox, request(*rows)).status_code == 413
        assert sandbox.table().empty
        assert post(sandbox, request(*rows[:most])).status_code == 200
        assert len(sandbox.table()) == most


def test_a_request_has_a_million_bytes_at_the_most(sandbox: Sandbox) -> None:
    empty = len(json.dumps(request({**ROW, "customer_name": ""})))
    fits = {**ROW, "customer_name": "x" * (1_000_000 - empty)}
    assert post(sandbox, request({**fits, "customer_name": fits["customer_name"] + "x"})).status_code == 413
    assert post(sandbox, request(fits)).status_code == 200


def test_more_than_fifty_requests_in_a_second_are_too_many(wall: Wall) -> None:
    with Sandbox(clock=lambda: wall.seconds) as sandbox:
        codes = [post(sandbox, EXAMPLE).status_code for _ in range(51)]
        assert codes == [200] * 50 + [429]
        wall.seconds += 1
        assert post(sandbox, EXAMPLE).status_code == 200


@pytest.mark.parametrize(
    ("wrong", "code", "category"),
    [
        ({"source": "ERP"}, "DI_E_00004", "enum"),  # the sample row of the resource page carries it
        ({"updated_at": None}, "DI_E_00002", "required"),
        ({"customer_id": None}, "DI_E_00002", "required"),
        ({"customer_id": 7}, "DI_E_00003", "type"),
        ({"updated_at": "28.01.2025"}, "DI_E_00003", "type"),
        ({"updated_at": "2025-02-30T10:00:00Z"}, "DI_E_00003", "type"),
        ({"colour": "red"}, "DI_E_00005", "structure"),
    ],
)
def test_a_row_that_does_not_pass_is_in_failed_and_not_in_the_table(
    sandbox: Sandbox, wrong: dict[str, Any], code: str, category: str
) -> None:
    answer = post(sandbox, request(ROW, {**ROW, "customer_id": "CUST-002", **wrong}))
    (entry,) = answer.json()["failed"]
    assert (answer.status_code, entry["index"], entry["code"], entry["category"]) == (200, 1, code, category)
    assert list(sandbox.table()["customer_id"]) == ["CUST-001"]


def test_a_missing_attribute_is_null_and_a_null_name_is_the_newer_contracts_fault(wall: Wall) -> None:
    bare = {"customer_id": "A", "updated_at": "2024-01-15 10:30:00"}
    with Sandbox(clock=wall) as april, Sandbox(clock=wall, contract="current") as newest:
        assert post(april, request(bare)).json()["failed"] == []
        assert april.table()["customer_name"].isna().all()
        (entry,) = post(newest, request(bare)).json()["failed"]
        assert entry["message"] == "customer_name must not be null"


def test_names_of_columns_may_come_in_upper_case(sandbox: Sandbox) -> None:
    assert post(sandbox, request({k.upper(): v for k, v in ROW.items()})).json()["failed"] == []
    assert list(sandbox.table()["customer_id"]) == ["CUST-001"]


def test_a_dry_run_is_answered_and_writes_nothing(sandbox: Sandbox) -> None:
    (entry,) = post(sandbox, request(ROW, {**ROW, "source": "ERP"}, dryRun=True)).json()["failed"]
    assert entry["index"] == 1
    assert sandbox.table().empty


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", {"data": []}, request(ROW, operationType="DELETE"), {**request(), "data": {}},
     {**request(ROW), "solutionName": ""}],
)  # fmt: skip
def test_a_body_that_is_none_is_refused_whole(sandbox: Sandbox, body: Any) -> None:
    assert post(sandbox, body).status_code == 400
    assert sandbox.table().empty


def test_the_schema_calls(sandbox: Sandbox) -> None:
    def get(path: str) -> requests.Response:
        return requests.get(sandbox.url + path, headers=HEADERS, timeout=10)

    assert get("/api/v2/schema").status_code == 400
    post(sandbox, EXAMPLE)
    (table,) = get("/api/v2/schema?solutionName=QP_OOTB").json()["tables"]
    assert [c["columnName"] for c in table["columns"]] == list(ROW)

    grow = {"solutionName": "QP_OOTB", "columnName": "REGION", "dataType": "string",
            "validations": [{"type": "required"}, {"type": "maxLength", "value": 3}]}  # fmt: skip
    for path, spelled in (
        ("/api/v2/schema/QP_CUSTOMER_OOTB/add-attribute", grow),
        ("/QP_CUSTOMER_OOTB/add-attribute", {**grow, "attributeName": "SINCE", "columnName": None, "dataType": "date",
                                             "validations": [{"type": "optional"}]}),
    ):  # fmt: skip
        assert post(sandbox, {k: v for k, v in spelled.items() if v is not None}, path).status_code == 200
        assert post(sandbox, {k: v for k, v in spelled.items() if v is not None}, path).status_code == 409
    both = [{"type": "required"}, {"type": "optional"}]
    for wrong in ({"columnName": "region2"}, {"dataType": "number"}, {"columnName": "R2", "validations": both}):
        assert post(sandbox, {**grow, **wrong}, "/api/v2/schema/QP_CUSTOMER_OOTB/add-attribute").status_code == 400

    said = post(sandbox, request({**ROW, "region": "EU"}, {**ROW, "region": "EUROPE"}, ROW,
                                 {**ROW, "region": "EU", "since": "2025-13-01"})).json()["failed"]  # fmt: skip
    assert [(e["index"], e["category"]) for e in said] == [(1, "length"), (2, "required"), (3, "type")]


@pytest.mark.parametrize("partial_status", [200, 207, 400, 422])
def test_a_partial_failure_may_have_any_of_four_statuses(wall: Wall, partial_status: int) -> None:
    with Sandbox(clock=wall, assumptions=Assumptions(partial_status=partial_status)) as sandbox:
        assert post(sandbox, request(ROW, {**ROW, "source": "ERP"})).status_code == partial_status
        assert len(sandbox.table()) == (1 if partial_status < 300 else 0)


@pytest.mark.parametrize(
    ("error_body", "start"), [("json", b"{"), ("text", b"the token"), ("html", b"<html"), ("empty", b"")]
)
def test_an_error_may_have_any_body(wall: Wall, error_body: str, start: bytes) -> None:
    with Sandbox(clock=wall, assumptions=Assumptions(error_body=error_body)) as sandbox:
        answer = post(sandbox, EXAMPLE, Authorization="no")
        assert answer.status_code == 401
        assert answer.content.startswith(start)
        assert bool(answer.content) == (error_body != "empty")


@pytest.mark.parametrize(("retry_after", "said"), [("seconds", "1"), ("date", "GMT"), ("none", None)])
def test_a_busy_vendor_may_say_when_to_come_back(wall: Wall, retry_after: str, said: str | None) -> None:
    with Sandbox(clock=lambda: wall.seconds, assumptions=Assumptions(retry_after=retry_after)) as sandbox:
        answer = [post(sandbox, EXAMPLE) for _ in range(51)][-1]
        header = answer.headers.get("Retry-After")
        assert header is None if said is None else said in header


def test_the_other_assumptions(wall: Wall) -> None:
    erp = {**ROW, "source": "ERP"}
    with Sandbox(clock=wall, assumptions=Assumptions(all_or_nothing=True, request_id=False, over_limit_status=400,
                                                     dry_run="ignored")) as sandbox:  # fmt: skip
        assert "requestId" not in post(sandbox, request(ROW, erp)).json()
        assert sandbox.table().empty
        assert post(sandbox, request(*[ROW] * 501)).status_code == 400
        post(sandbox, request(ROW, dryRun=True))
        assert len(sandbox.table()) == 1
    with Sandbox(clock=wall) as sandbox:
        assert post(sandbox, EXAMPLE).json()["requestId"]


def test_every_assumption_is_listed_with_its_meaning() -> None:
    listed = (Assumptions.__doc__ or "").partition("Attributes")[2]
    named = re.findall(r"^    (\w+)\n        [A-Z]", listed, re.MULTILINE)
    assert named == [*(f.name for f in fields(Assumptions)), "SandboxError"]


def test_what_was_accepted_is_one_file_that_outlives_it(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "vendor") as sandbox:
        post(sandbox, EXAMPLE)
        url = sandbox.url
    with pytest.raises(requests.ConnectionError):
        requests.post(url + PATH, data=EXAMPLE, timeout=5)
    assert [f.name for f in (tmp_path / "vendor").iterdir()] == ["sandbox.sqlite"]
    with Sandbox(tmp_path / "vendor") as again:
        assert list(again.table()["customer_id"]) == ["CUST-001"]


def test_what_cannot_be_served_says_so(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match="2026-04 and current"):
        Sandbox(contract="2025")
    with pytest.raises(SandboxError, match="give another port"):
        Sandbox(port=int(sandbox.url.rsplit(":", 1)[1])).start()
    with pytest.raises(SandboxError, match="not running"):
        _ = Sandbox().url


WRONG = [7, Path("sandbox"), [], pd.DataFrame(), Settings(), Assumptions()]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: type(wrong).__name__)
@pytest.mark.parametrize(
    ("argument", "right", "words"),
    [
        ("folder", Path, "A folder is wanted here"),
        ("token", str, "A token is wanted here"),
        ("contract", str, "A contract's name is wanted here"),
        ("assumptions", Assumptions, "An Assumptions is wanted here"),
        ("port", int, "A port's number is wanted here"),
    ],
)
def test_an_argument_of_a_wrong_kind_is_named_with_an_example(
    argument: str, right: type, words: str, wrong: object
) -> None:
    if not isinstance(wrong, right):
        with pytest.raises(InputError, match=words):
            Sandbox(**{argument: wrong})


def test_an_assumption_has_only_its_own_values() -> None:
    with pytest.raises(SandboxError, match="partial_status is one of 200, 207, 400, 422, not 418"):
        Assumptions(partial_status=418)
    with pytest.raises(SandboxError, match="error_body is one of json, text, html, empty, not 'xml'"):
        Assumptions(error_body="xml")


WARNING = {"code": "DI_E_00031", "category": "foreign_key",
           "message": "customer_price_list_id is not among the known price lists"}  # fmt: skip


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("none", {"failed": []}),
        ("list", {"failed": [], "warnings": [{"index": 1, **WARNING}]}),
        ("failed", {"failed": [{"index": 1, **WARNING, "severity": "warn"}]}),
    ],
)
def test_a_row_that_names_an_unknown_price_list_is_taken_with_a_warning(wall: Wall, where: Any, said: dict) -> None:
    with Sandbox(clock=wall, assumptions=Assumptions(warnings=where, request_id=False)) as sandbox:
        sandbox.vendor.price_lists = frozenset({"PL-ENT-001"})
        unknown = {**ROW, "customer_id": "CUST-002", "customer_price_list_id": "PL-?"}
        none = {**ROW, "customer_id": "CUST-003", "customer_price_list_id": None}
        answer = post(sandbox, request(ROW, unknown, none))
        assert (answer.status_code, answer.json()) == (200, said)
        assert sandbox.table()["customer_id"].tolist() == ["CUST-001", "CUST-002", "CUST-003"]


@pytest.mark.parametrize("where", ["list", "failed"])
def test_a_row_that_is_refused_is_not_warned_of(wall: Wall, where: Any) -> None:
    with Sandbox(clock=wall, assumptions=Assumptions(warnings=where)) as sandbox:
        said = post(sandbox, request({**ROW, "source": "ERP"}, {**ROW, "customer_id": "CUST-002"})).json()
        entries = [*said["failed"], *said.get("warnings", [])]
        assert [(e["index"], e["code"]) for e in entries] == [(0, "DI_E_00004"), (1, "DI_E_00031")]
        assert sandbox.table()["customer_id"].tolist() == ["CUST-002"]


def test_the_schema_call_gives_the_validations_of_each_column(sandbox: Sandbox) -> None:
    checks = [{"type": "required"}, {"type": "nonNull"}]
    body = {"solutionName": "QP_OOTB", "columnName": "REGION", "dataType": "string", "validations": checks}
    post(sandbox, body, "/api/v2/schema/QP_CUSTOMER_OOTB/add-attribute")
    defaulted = {"solutionName": "QP_OOTB", "columnName": "STAFF", "dataType": "integer", "defaultValue": 0}
    post(sandbox, defaulted, "/api/v2/schema/QP_CUSTOMER_OOTB/add-attribute")
    answer = requests.get(sandbox.url + "/api/v2/schema?solutionName=QP_OOTB", headers=HEADERS, timeout=10)
    columns = {c["columnName"]: c for c in answer.json()["tables"][0]["columns"]}
    assert columns["customer_id"]["validations"] == columns["updated_at"]["validations"] == [{"type": "required"}]
    assert columns["source"] == {"columnName": "source", "dataType": "string", "validations": [{"type": "optional"}]}
    assert columns["REGION"] == {"columnName": "REGION", "dataType": "string", "validations": checks}
    assert columns["STAFF"]["defaultValue"] == 0


def raw(sandbox: Sandbox, head: str, body: bytes = b"") -> bytes:
    """Send bytes as they are; return all that comes back."""
    port = int(sandbox.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode("latin-1") + b"\r\n" + body)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


TOKEN = "Authorization: sandbox\n"
JSON = f"Content-Type: application/json\nContent-Length: {len(EXAMPLE)}\n"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8765", "127.9.9.9", "localhost", "LOCALHOST:1", "[::1]:8765"])
def test_a_request_to_a_loopback_name_is_answered(sandbox: Sandbox, host: str) -> None:
    assert b"200 OK" in raw(sandbox, f"POST {PATH} HTTP/1.1\nHost: {host}\n{TOKEN}{JSON}", EXAMPLE.encode())
    assert len(sandbox.table()) == 1


@pytest.mark.parametrize(
    "hosts",
    ["", "Host: evil.example\n", "Host: evil.example:8765\n", "Host: 127.0.0.1.evil.example\n", "Host: 0.0.0.0\n",
     "Host: localhost.evil.example\n", "Host: \n", "Host: 127.0.0.1\nHost: evil.example\n", "Host: 192.168.0.1\n",
     "Host: evil.example#127.0.0.1\n", "Host: evil@127.0.0.1\n", "Host: [::2]\n", "Host: 1270.0.0.1\n"],
)  # fmt: skip
@pytest.mark.parametrize("token", [TOKEN, ""])
def test_a_request_to_another_name_is_not_answered(sandbox: Sandbox, hosts: str, token: str) -> None:
    sandbox.vendor.troubles.append(Reply(503))
    answer = raw(sandbox, f"POST {PATH} HTTP/1.1\n{hosts}{token}{JSON}", EXAMPLE.encode())
    assert answer.startswith(b"HTTP/1.1 421 ")
    assert b"token" not in answer
    assert sandbox.table().empty
    assert sandbox.requests().empty
    assert len(sandbox.vendor.troubles) == 1


@pytest.mark.parametrize("length", ["99999999999999", "-1", "ten", "²", str(len(EXAMPLE)), "1000000"])
@pytest.mark.parametrize("token", ["", "Authorization: wrong\n", "Authorization: Bearer sandbox\n", "authorization:\n"])
def test_the_token_is_checked_before_anything_else(sandbox: Sandbox, wall: Wall, token: str, length: str) -> None:
    assert post(sandbox, EXAMPLE).status_code == 200
    wall.seconds += 3_600  # the buffer is due
    sandbox.vendor.troubles.append(Reply(503))
    head = f"POST {PATH} HTTP/1.1\nHost: localhost\nContent-Length: {length}\n{token}"
    assert raw(sandbox, head, EXAMPLE.encode()).startswith(b"HTTP/1.1 401 ")
    assert len(sandbox.vendor.troubles) == 1
    assert sandbox._store.oldest_in_buffer() is not None


def test_the_answer_to_a_large_body_without_the_token_arrives(sandbox: Sandbox) -> None:
    for _ in range(5):
        assert post(sandbox, b"x" * 30_000_000, Authorization="wrong").status_code == 401


def test_a_relative_folder_is_one_of_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Sandbox("here") as sandbox:
        monkeypatch.chdir("/")
        assert Settings(**sandbox.settings()).home == tmp_path / "here" / "state"
    assert (tmp_path / "here" / "sandbox.sqlite").exists()


def test_a_process_that_ends_leaves_no_folder_of_a_sandbox_that_nobody_stopped() -> None:
    code = "from toolkit.vendor import Sandbox; print(Sandbox().start().folder)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not Path(done.stdout.strip()).exists()

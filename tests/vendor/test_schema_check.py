"""The vendor's columns against ours, custom attributes included, and what the result says if they cannot be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.faulty import Faulty
from tests.support.pages import Page
from toolkit.config.settings import Settings
from toolkit.errors import AddressError, AuthorizationError, InputError, SettingsError, StoppedError
from toolkit.model.attributes import CustomAttribute
from toolkit.model.contract import APRIL_2026, CONTRACTS, CURRENT, CUSTOMER
from toolkit.vendor.sandbox import DROPPED, Reply, Sandbox
from toolkit.vendor.schema_check import add_attribute, check_schema, read_columns

HTML = Reply(403, b"<html><h1>Blocked by the proxy</h1>sandbox</html>", {"Content-Type": "text/html"})


@pytest.fixture(params=sorted(CONTRACTS))
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(contract=request.param, clock=iter(range(10**6)).__next__) as served:
        yield served


def at(sandbox: Sandbox) -> Settings:
    return Settings(base_url=sandbox.url, contract=sandbox.vendor.contract)


def test_a_table_of_the_documented_columns_agrees(sandbox: Sandbox) -> None:
    check = check_schema(settings=at(sandbox))
    assert check.ok
    assert not check.lines
    assert check.columns["column"].tolist() == list(CUSTOMER.names)
    assert sandbox.requests()["path"].tolist() == ["/api/v2/schema?solutionName=QP_OOTB"]
    assert Page(check.body()).verdict == "The columns agree."
    assert check_schema().ok  # against the embedded sandbox too


def test_a_get_has_no_body() -> None:
    with Faulty() as server:
        check_schema(settings=Settings(base_url=server.url))
    assert b"transfer-encoding" not in server.headers[0].lower()
    assert server.headers[0].startswith(b"GET ")


def test_an_attribute_that_one_side_lacks_is_named_with_what_to_do(sandbox: Sandbox) -> None:
    add_attribute(CustomAttribute("region", max_length=3), settings=at(sandbox))
    check = check_schema(settings=at(sandbox))
    assert not check.ok
    assert check.differing[["column", "theirs", "verdict"]].to_numpy().tolist() == [["region", "string", "only theirs"]]
    assert check.lines == [
        "region (only theirs): the table has it and the toolkit does not send it: list it under [[attributes]] in "
        "toolkit.toml"
    ]
    assert check.to_dict()["differing"][0]["column"] == "region"
    assert "1 column differs: look at them before sending" in check.body()
    assert Page(check.body()).grids["Columns"].rows[0][:3] == ["region", "not listed", "string"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"tables": []}', "the answer names no columns of QP_CUSTOMER_OOTB"),
        (b'{"tables": [{"tableName": "QP_SALE_OOTB", "columns": ["sale_id"]}]}', "names no columns"),
        (b"<html>welcome</html>", "names no columns"),
        (b"", "names no columns"),
        (b"[" * 100_000, "names no columns"),
    ],
)
def test_an_answer_of_another_shape_is_said_and_not_fatal(sandbox: Sandbox, body: bytes, said: str) -> None:
    sandbox.vendor.troubles.append(Reply(200, body))
    check = check_schema(settings=at(sandbox))
    assert said in check.problem
    assert not check.ok
    assert not len(check.columns)
    assert "a push is possible without" in check.lines[0]
    assert "not checked" in check.body()


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (HTML, "it is not allowed (status 403)"),
        (Reply(403, b'{"message": "\\u001b[2Jcleared \\u0007"}'), "not allowed (status 403): \ufffd[2Jcleared \ufffd"),
        (Reply(403, b'{"error": {"detail": "no \\ud800 scope"}}'), "it is not allowed (status 403): no \ufffd scope"),
        (Reply(500, b'{"message": null}'), "the answer is an error (status 500)"),
        (Reply(404, b'{"message": "no such call, t0k3n-0f-4-t3st"}'), "or table (status 404): no such call, [token]"),
        (Reply(401, b"{}"), "the token is refused (status 401)"),
        (Reply(302, b"", {"Location": "http://elsewhere.example/"}), "the answer is an error (status 302)"),
        (Reply(200, b'{"tables": [', cut=5), "cut short"),
        (DROPPED, "broke the connection"),
    ],
)  # fmt: skip
def test_a_call_that_is_refused_or_absent_is_said_without_the_page_or_the_token(
    trouble: Reply, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEAK_AUTH_TOKEN", "t0k3n-0f-4-t3st")
    monkeypatch.setenv("TOOLKIT_TARGET", "acme")
    with Sandbox(token="t0k3n-0f-4-t3st") as sandbox:
        sandbox.vendor.troubles.append(trouble)
        check = check_schema(settings=Settings(base_url=sandbox.url))
        assert said in check.problem
        assert "Blocked" not in check.problem
        assert "the token" not in check.problem.replace("the token is refused", "")


@pytest.mark.parametrize(
    "body",
    [
        {"tables": [{"tableName": "QP_CUSTOMER_OOTB", "columns": [{"columnName": "REGION", "dataType": "STRING"}]}]},
        {"data": {"tables": {"QP_CUSTOMER_OOTB": {"columns": {"region": "string"}}}}},
        [{"objectName": "customer", "attributes": [{"attributeName": "Region", "type": "string"}]}],
        {"schema": [{"name": "QP_SALE_OOTB", "fields": ["x"]}, {"name": "CUSTOMER", "fields": ["other"]},
                    {"name": "qp_customer_ootb", "fields": [{"name": "region", "type": "string"}]}]},
    ],
)  # fmt: skip
def test_columns_are_read_by_their_words_in_any_shape(body: Any) -> None:
    assert read_columns(json.dumps(body).encode(), "QP_CUSTOMER_OOTB") == {"region": ("string", False)}


@pytest.mark.parametrize(
    ("column", "required"),
    [
        ({"validations": [{"type": "required"}]}, True),
        ({"validations": [{"type": "required"}, {"type": "nonNull"}, {"type": "maxLength", "value": 3}]}, True),
        ({"Validations": [{"Type": "REQUIRED"}]}, True),
        ({"validations": ["required"]}, True),
        ({"validations": {"required": True}}, True),
        ({"validations": [{"type": "nonNull"}]}, True),  # it goes with required only
        ({"required": True}, True),
        ({"isRequired": "TRUE"}, True),
        ({"validations": [{"type": "required"}], "defaultValue": "EU"}, False),  # the default fills it
        ({"validations": [{"type": "required"}, {"type": "nonNull"}], "default": 0}, False),
        ({"validations": [{"type": "required"}], "defaultValue": None}, True),
        ({"validations": [{"type": "optional"}]}, False),
        ({"validations": [{"type": "required", "value": False}]}, False),
        ({"validations": {"required": False}}, False),
        ({"validations": [{"type": "maxLength", "value": 3}]}, False),
        ({"validations": "none", "required": None}, False),
        ({"nullable": False}, False),  # no word of the documentation: a column that the vendor itself fills may be so
        ({}, False),
    ],
)
def test_a_column_is_required_if_its_validations_say_so_and_no_default_fills_it(column: dict, required: bool) -> None:
    table = {"tableName": "QP_CUSTOMER_OOTB", "columns": [{"columnName": "REGION", "dataType": "string", **column}]}
    assert read_columns(json.dumps([table]).encode(), "QP_CUSTOMER_OOTB") == {"region": ("string", required)}


def test_a_required_column_that_is_sent_is_not_held_whatever_its_case(sandbox: Sandbox) -> None:
    add_attribute(CustomAttribute("region", required=True, non_null=True), settings=at(sandbox))
    add_attribute(CustomAttribute("zone", required=True, default="N"), settings=at(sandbox))
    add_attribute(CustomAttribute("staff", "integer"), settings=at(sandbox))
    check = check_schema(settings=at(sandbox))
    assert dict(check.differing[["column", "verdict"]].to_numpy().tolist()) == {
        "region": "required",
        "zone": "only theirs",  # its default fills it
        "staff": "only theirs",
    }
    assert check.required == ["region"]
    assert Page(check.body()).parts["required"] == 1
    listed = Settings(base_url=sandbox.url, contract=sandbox.vendor.contract, attributes=(CustomAttribute("region"),))
    assert check_schema(settings=listed).required == []


@pytest.mark.parametrize(
    ("named", "shown"),
    [
        ({"name": "\x1b[31mred", "type": "string\x07"}, ["\ufffd[31mred", "string\ufffd"]),
        ({"name": "\ud800x", "type": "string"}, ["\ufffdx", "string"]),
        ({"name": "x", "type": "\ud800"}, ["x", "\ufffd"]),
        ({"name": "two\nlines", "type": "y" * 500}, ["two lines", "y" * 300]),
    ],
)
def test_what_the_vendor_calls_its_columns_neither_steers_a_terminal_nor_fails(
    named: dict[str, str], shown: list[str]
) -> None:
    with Sandbox() as sandbox:
        answer = {"tables": [{"tableName": "QP_CUSTOMER_OOTB", "columns": [named]}]}
        sandbox.vendor.troubles.append(Reply(200, json.dumps(answer).encode()))
        check = check_schema(settings=Settings(base_url=sandbox.url))
    theirs = check.columns[check.columns["verdict"] == "only theirs"]
    assert theirs[["column", "theirs"]].to_numpy().tolist() == [shown]
    assert check.lines[-1].startswith(f"{shown[0]} (only theirs): the table has it")
    assert all(line.isprintable() for line in check.lines)


def test_a_name_that_only_looks_like_ours_is_not_ours() -> None:
    with Sandbox() as sandbox:
        answer = {"tables": [{"tableName": "QP_CUSTOMER_OOTB", "columns": [*CUSTOMER.names[1:], " customer_id"]}]}
        sandbox.vendor.troubles.append(Reply(200, json.dumps(answer).encode()))
        check = check_schema(settings=Settings(base_url=sandbox.url))
    assert check.differing[["column", "verdict"]].to_numpy().tolist() == [
        ["customer_id", "only ours"],
        ["customer_id", "only theirs"],
    ]


@pytest.mark.parametrize(
    "body",
    [
        b'{"x": [' + b"1," * 600_000 + b"1]}",
        b'{"table": ' * 600 + b'"' + b"x" * 4_000_000 + b'"' + b"}" * 600,
    ],
    ids=["wide", "deep"],
)
def test_a_large_answer_is_read(body: bytes) -> None:
    assert read_columns(body, "QP_CUSTOMER_OOTB") is None


_WORDS = st.sampled_from(["tables", "tableName", "columns", "name", "type", "CUSTOMER"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=60) | _JSON.map(lambda v: json.dumps(v).encode()))
def test_no_answer_makes_the_reader_fail(body: bytes) -> None:
    found = read_columns(body, "QP_CUSTOMER_OOTB")
    assert found is None or all(isinstance(v.kind, str) and k == k.casefold() for k, v in found.items())


def test_each_contract_spells_the_call_as_its_pages_do() -> None:
    column = CustomAttribute("since", "date", required=True, non_null=True, default=date(2026, 1, 2)).column
    path, body = APRIL_2026.attribute_call("QP_OOTB", "QP_CUSTOMER_OOTB", column, required=True)
    assert path == "/QP_CUSTOMER_OOTB/add-attribute"
    assert json.loads(body) == {
        "solutionName": "QP_OOTB",
        "attributeName": "SINCE",
        "dataType": "date",
        "defaultValue": "2026-01-02",
        "validations": [{"type": "required"}, {"type": "nonNull"}],
    }
    path, body = CURRENT.attribute_call("QP_OOTB", "QP_CUSTOMER_OOTB", column)
    assert path == "/api/v2/schema/QP_CUSTOMER_OOTB/add-attribute"
    assert json.loads(body)["columnName"] == "SINCE"
    assert json.loads(body)["validations"] == [{"type": "optional"}]


@pytest.mark.parametrize(
    ("trouble", "error", "said"),
    [
        (None, SettingsError, r"not created in QP_CUSTOMER_OOTB: .*status 409\): there is a column of this name"),
        (HTML, AuthorizationError, "PEAK_AUTH_TOKEN to a token that may change the schema"),
        (Reply(404, b""), AddressError, "Check the host, the contract"),
        (Reply(503, b"busy"), StoppedError, r"Run check_schema\(\) to see whether it is there"),
        (DROPPED, StoppedError, "broke the connection"),
    ],
)
def test_an_attribute_that_was_not_created_is_said_with_what_to_do(trouble: Any, error: Any, said: str) -> None:
    with Sandbox() as sandbox:
        settings = Settings(base_url=sandbox.url)
        if trouble is None:
            add_attribute(CustomAttribute("region"), settings=settings)
        else:
            sandbox.vendor.troubles.append(trouble)
        with pytest.raises(error, match=said):
            add_attribute(CustomAttribute("region"), settings=settings)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "Region"}, "lower-case"),
        ({"name": "source"}, "not the name of a documented column"),
        ({"name": "x", "data_type": "number"}, "string, datetime, integer"),
        ({"name": "x", "non_null": True}, "make it required"),
        ({"name": "x", "data_type": "integer", "max_length": 3}, "Only a string has lengths"),
        ({"name": "x", "min_length": 4, "max_length": 3}, "min_length must not exceed"),
        ({"name": "x", "min_length": -1}, "lengths"),
        ({"name": "x", "data_type": "integer", "default": True}, "default of x is not of type integer"),
        ({"name": "x", "data_type": "boolean", "default": 1}, "default"),
        ({"name": "x", "data_type": "date", "default": datetime(2026, 1, 2, tzinfo=UTC)}, "default"),
        ({"name": "x", "max_length": 2, "default": "abc"}, "not of the allowed length"),
    ],
)
def test_an_attribute_that_contradicts_itself_is_refused(wrong: dict, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        CustomAttribute(**wrong)


@pytest.mark.parametrize("wrong", [7, "acme", Path("toolkit.toml"), [], pd.DataFrame()])
def test_each_call_wants_settings(wrong: object) -> None:
    for call in (check_schema, partial(add_attribute, CustomAttribute("region"))):
        with pytest.raises(InputError, match="A Settings is wanted here"):
            call(settings=wrong)


@pytest.mark.parametrize("wrong", [None, 7, "region", Path("region"), [], pd.DataFrame(), Settings()])
def test_what_to_add_is_a_custom_attribute(wrong: object) -> None:
    with pytest.raises(InputError, match=r"A custom attribute is wanted here, .* CustomAttribute\(\"region\""):
        add_attribute(wrong)

"""Answers of every shape that the contract page leaves open: nothing is accepted by default."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.model.contract import CURRENT, Column
from toolkit.vendor.answers import Answer, Verdict, read_answer
from toolkit.vendor.batches import BodyKeys
from toolkit.vendor.refusals import Remark

AT = "2025-01-28T10:00:00Z"
SENT = [("CUST-001", AT), ("CUST-002", AT), ("CUST-003", AT)]
REFUSAL = {"code": "DI_E_00002", "category": "validation", "message": "name is missing"}


def answer(status: int, body: object, **more: object) -> Answer:
    return Answer(status, body if isinstance(body, bytes) else json.dumps(body).encode(), **more)


@pytest.mark.parametrize(
    "entry",
    [
        {"index": 1, **REFUSAL},
        {"rowIndex": 1, **REFUSAL},
        {"customer_id": "CUST-002", "updated_at": AT, **REFUSAL},
        {"CUSTOMER_ID": "CUST-002", "UPDATED_AT": AT, **REFUSAL},
        {"customer_id": "CUST-002", **REFUSAL},
        {"customer_id": "CUST-002", "updated_at": None, **REFUSAL},
        {"customer_id": "CUST-002", "updated_at": "2025-01-28 10:00:00", **REFUSAL},  # the same moment
        {"customerId": "CUST-002", "updatedAt": "2025-01-28T11:00:00.000000000+01:00", **REFUSAL},
        {"row": {"customer_id": "CUST-002", "updated_at": AT, "customer_name": None}, **REFUSAL},
        {"data": {"CUSTOMER_ID": "CUST-002", "UPDATED_AT": AT}, "errors": [REFUSAL]},
        {"key": {"customer_id": "CUST-002"}, "error": REFUSAL},
        {"index": 0, "customer_id": "CUST-002", "updated_at": AT, **REFUSAL},  # a key outranks an index
        {"index": 2, "key": "CUST-002", **REFUSAL},  # in any shape
        {"index": 2, "key": ["CUST-002"], **REFUSAL},
        {"index": 2, "primaryKey": ["CUST-002", AT], **REFUSAL},
        {"index": 2, "primary_key": f"CUST-002|{AT}", **REFUSAL},
        {"index": 2, "key": "CUST-002_2025-01-28 10:00:00", **REFUSAL},
        {"index": 2, "key": {"id": "CUST-002"}, **REFUSAL},
        {"index": 2, "key": {"ID": "CUST-002", "UPDATED_AT": AT}, **REFUSAL},
        {"index": 1, "rowNumber": "1", "position": None, **REFUSAL},  # two that agree
        {"index": 1, "row": {"customer_name": None}, "key": None, **REFUSAL},
        {"index": 1, "id": "entry-7", **REFUSAL},
    ],
)
@pytest.mark.parametrize("status", [200, 207])
def test_an_entry_names_its_row_by_index_key_or_echo(entry: dict, status: int) -> None:
    verdict = read_answer(answer(status, {"failed": [entry]}), SENT)
    assert verdict.kind == "taken"
    assert verdict.refused == {1: Remark("DI_E_00002", "validation", "name is missing")}


@pytest.mark.parametrize(
    ("said", "column"),
    [
        ({"column": "customer_name"}, "customer_name"),
        ({"columnName": "CUSTOMER_NAME"}, "customer_name"),
        ({"field": "data.3.customer_category"}, "customer_category"),
        ({"attribute": "REGION_CODE"}, "region_code"),  # a custom one, as a frame has it
        ({"errors": [{"field": "updated_at", "message": "x"}]}, "updated_at"),
        ({"message": "customer_name must not be null"}, "customer_name"),
        ({"message": "CUSTOMER_PRICE_LIST_ID: no such list"}, "customer_price_list_id"),
        ({"message": "customer_name and customer_category differ"}, ""),  # which of the two is not said
        ({"message": "the source of this row is unknown"}, ""),  # a word like any other
        ({"message": "refused"}, ""),
        ({"column": 3}, ""),
    ],
)
def test_the_column_that_an_entry_names_is_kept(said: dict, column: str) -> None:
    verdict = read_answer(answer(200, {"failed": [{"index": 0, **said}]}), SENT)
    assert verdict.refused[0].column == column


def test_of_two_entries_for_one_row_the_first_column_named_counts() -> None:
    entries = [{"index": 0, "message": "bad"}, {"index": 0, "column": "customer_name"}]
    assert read_answer(answer(200, {"failed": entries}), SENT).refused[0].column == "customer_name"


def test_a_bare_string_may_be_a_key() -> None:
    assert list(read_answer(answer(200, {"failed": ["CUST-003"]}), SENT).refused) == [2]


@pytest.mark.parametrize("failed", [[], None, {}])
def test_a_success_without_failed_entries_takes_the_whole_request(failed: object) -> None:
    assert read_answer(answer(200, {"failed": failed}), SENT).kind == "taken"
    assert read_answer(answer(202, {"requestId": "r-1"}), SENT) == read_answer(answer(200, {}), SENT)


@pytest.mark.parametrize("body", [b"", b"OK", b"[]", b"null", b'{"failed": [', b"<html>busy</html>", b"\xff\xfe"])
def test_a_success_that_cannot_be_read_accepts_nothing(body: bytes) -> None:
    verdict = read_answer(answer(200, body), SENT)
    assert (verdict.kind, verdict.refused) == ("lost", {})


def test_an_answer_cut_short_accepts_nothing_even_if_it_parses() -> None:
    assert read_answer(answer(200, {}, problem="the answer was cut short"), SENT).kind == "lost"


@pytest.mark.parametrize(
    "failed",
    [
        [{"message": "a row is wrong"}],
        [{"index": 99, **REFUSAL}],
        [{"index": True, **REFUSAL}],
        [{"index": -1, **REFUSAL}],
        [{"customer_id": "SOMEONE-ELSE", "index": 1, **REFUSAL}],
        [{"index": 1, **REFUSAL}, {"message": "another"}],
        ["nobody"],
        7,
        "all",
        {"1": "bad"},
        [{"index": 1, "key": "SOMEONE-ELSE"}],
        [{"index": 1, "key": ""}],
        [{"index": 1, "key": True}],
        [{"index": 1, "key": ["CUST-002", AT, "Acme"]}],
        [{"index": 1, "key": ["CUST-002", "2020-01-01T00:00:00Z"]}],
        [{"index": 1, "primaryKey": "CUST-002|2020-01-01T00:00:00Z"}],
        [{"index": 1, "primaryKey": {"hash": "a7"}}],
        [{"index": 1, "row": ["CUST-001"]}],
        [{"index": 1, "row": "CUST-001"}],
        [{"index": 0, "row": 1}],
        [{"index": 0, "position": 17}],
        [{"index": 1, "rowNumber": True}],
        [{"index": 1, "id": "CUST-001"}],
    ],
)
def test_an_entry_that_matches_no_row_splits_the_request(failed: object) -> None:
    verdict = read_answer(answer(200, {"failed": failed}), SENT)
    assert (verdict.kind, verdict.refused) == ("split", {})


def test_an_id_of_two_rows_of_the_request_does_not_name_one() -> None:
    twice = [("A", AT), ("A", "2025-02-28T10:00:00Z")]
    assert read_answer(answer(200, {"failed": [{"customer_id": "A"}]}), twice).kind == "split"
    assert list(read_answer(answer(200, {"failed": [{"customer_id": "A", "updated_at": AT}]}), twice).refused) == [0]


@pytest.mark.parametrize("time", ["2020-01-01T00:00:00Z", "2025-01-28T10:00:00+01:00", "some day"])
def test_an_entry_about_another_version_of_a_customer_names_no_row(time: str) -> None:
    said = answer(200, {"failed": [{"customer_id": "CUST-002", "updated_at": time, "index": 1}]})
    for sent in (SENT, SENT[1:2]):
        verdict = read_answer(said, sent)
        assert (verdict.kind, verdict.refused) == ("split", {})


def test_of_two_versions_the_moment_says_which_is_named() -> None:
    twice = [("A", AT), ("A", "2025-02-28T10:00:00Z")]
    entry = {"customer_id": "A", "updated_at": "2025-02-28T10:00:00.000Z"}
    assert list(read_answer(answer(200, {"failed": [entry]}), twice).refused) == [1]


@pytest.mark.parametrize("status", [200, 400])
def test_a_row_sent_alone_is_refused_unless_the_key_is_another_ones(status: int) -> None:
    for unreadable in ({"hash": "a7"}, True, ["CUST-001", AT, "Acme"]):
        said = answer(status, {"failed": [{"index": 1, "key": unreadable, "message": "bad"}]})
        assert read_answer(said, SENT[:1]).refused == {0: Remark(message="bad")}
    for other in ("CUST-002", ["CUST-002", AT], f"CUST-002|{AT}", {"id": "CUST-002"}):
        verdict = read_answer(answer(status, {"failed": [{"index": 0, "key": other}]}), SENT[:1])
        assert (verdict.kind, verdict.refused) == ("split", {})


def test_a_key_of_any_length_is_read() -> None:
    said = answer(200, {"failed": [{"index": 0, "key": "_" * 3_000_000}]})
    assert read_answer(said, SENT).kind == "split"


def test_two_entries_of_one_row_are_one_refusal_with_both_messages() -> None:
    entries = [{"index": 0, "code": "DI_E_1", "message": "first"}, {"index": 0, "message": "second"}]
    assert read_answer(answer(200, {"failed": entries}), SENT).refused == {0: Remark("DI_E_1", "", "first; second")}


@pytest.mark.parametrize("status", [400, 422])
def test_a_refused_request_takes_nothing_and_the_rest_goes_again(status: int) -> None:
    verdict = read_answer(answer(status, {"failed": [{"index": 2, **REFUSAL}]}), SENT)
    assert (verdict.kind, list(verdict.refused)) == ("again", [2])
    assert read_answer(answer(status, {"message": "bad request"}), SENT).kind == "split"
    assert read_answer(answer(status, b"<h1>Bad Request</h1>"), SENT).kind == "split"


def test_what_is_said_of_a_request_of_one_row_is_said_of_the_row() -> None:
    one = SENT[:1]
    assert read_answer(answer(422, {"message": "no such list"}), one).refused == {
        0: Remark(message="HTTP 422: no such list")
    }
    assert list(read_answer(answer(200, {"failed": [{"message": "no"}]}), one).refused) == [0]
    large = read_answer(answer(413, b""), one)
    assert (large.kind, large.blamed) == ("again", True)
    assert large.refused == {0: Remark(message="too large for a request (HTTP 413, without a readable answer)")}
    assert read_answer(answer(413, b""), SENT) == Verdict("large", message="HTTP 413, without a readable answer")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, "unauthorized"), (403, "unauthorized"), (404, "nowhere"), (413, "large"), (409, "stop"), (302, "stop"),
     (408, "retry"), (425, "retry"), (429, "retry"), (500, "lost"), (502, "lost"), (503, "lost"), (504, "lost")],
)  # fmt: skip
def test_other_answers_blame_no_row(status: int, kind: str) -> None:
    for body in (b"", b"<html>", b'{"failed": [{"index": 0}]}'):
        verdict = read_answer(answer(status, body), SENT)
        assert (verdict.kind, verdict.refused) == (kind, {})


@pytest.mark.parametrize(("said", "kind"), [("7", "retry"), ("soon", "retry"), ("", "lost"), (None, "lost")])
def test_a_503_that_does_not_say_when_to_come_back_may_have_been_taken(said: str | None, kind: str) -> None:
    assert read_answer(answer(503, b"busy", retry_after=said), SENT).kind == kind
    assert read_answer(answer(502, b"busy", retry_after=said), SENT).kind == "lost"
    assert read_answer(answer(503, b"busy", retry_after=said, left=False), SENT).kind == "retry"


def test_no_answer_is_lost_if_the_request_left_and_can_go_again_if_not() -> None:
    assert read_answer(Answer(None, left=True), SENT).kind == "lost"
    assert read_answer(Answer(None, left=False), SENT).kind == "retry"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["failed", "index", "customer_id", "row", "error", "message", "code", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(status=st.integers(100, 599), body=st.binary(max_size=60) | json_values.map(lambda v: json.dumps(v).encode()))
def test_no_answer_raises_and_no_answer_refuses_a_row_that_was_not_sent(status: int, body: bytes) -> None:
    verdict = read_answer(Answer(status, body), SENT)
    assert all(0 <= place < len(SENT) for place in verdict.refused)
    if not 200 <= status < 300:
        assert verdict.kind != "taken"


def test_an_index_counts_from_what_the_contract_says() -> None:
    said = answer(200, {"failed": [{"index": 1}]})
    assert list(read_answer(said, SENT).refused) == [1]
    assert list(read_answer(said, SENT, contract=replace(CURRENT, first_index=1)).refused) == [0]
    rejects = answer(200, {"rejected": [{"index": 1}]})
    assert list(read_answer(rejects, SENT, contract=replace(CURRENT, failed_field="rejected")).refused) == [1]


@pytest.mark.parametrize(
    "said",
    [
        {"success": False},
        {"success": False, "failed": []},
        {"ok": False, "failed": None},
        {"status": "error"},
        {"status": "Partially accepted"},
        {"status": 500},
        {"statusCode": 422, "failed": []},
        {"error": "no such solution"},
        {"errors": [{"message": "no"}], "failed": []},
        {"failed_rows": [{"index": 1}]},
        {"failed": [], "accepted": 2},
        {"failed": [], "acceptedCount": 2},
        {"failed": [], "failedCount": 1},
        {"failed": [], "total": 2},
        {"data": {"received": 7}},
        {"failed": [{"index": 1}], "failedCount": 2},  # a list that was cut
        {"failed": [{"index": 1}], "accepted": 1},
        {"success": "false"},
        {"ok": "False", "failed": []},
        {"result": {"success": " FALSE "}},
        {"success": "no"},
        {"accepted": "partially"},
        {"status": False},
        {"statusCode": "400"},
        {"status": "500", "failed": []},
        {"code": 4e2},
        {"failed": [], "failedCount": "2"},
        {"failed": [], "failedCount": 2.0},
        {"failed": [], "total": "9" * 5_000},
        {"failed": [{"index": 1}], "failedCount": "2"},
        {"code": "DI_E_00012", "category": "VALIDATION", "message": "schema mismatch"},
        {"errorCode": "di_e_00012", "failed": []},
        {"accepted": ["CUST-001", "CUST-002"], "failed": []},
        {"rejected": ["CUST-001"], "failed": [{"index": 0}, {"index": 1}]},
        {"results": [{"index": 0, "status": "failed"}, {"index": 1, "status": "ok"}]},
        {"data": {"rows": [{"success": True}, {"success": "false"}]}, "failed": []},
        {"results": [{"code": "DI_E_00002"}]},
    ],
)
def test_a_success_that_contradicts_itself_accepts_nothing(said: dict) -> None:
    verdict = read_answer(answer(200, said), SENT)
    assert (verdict.kind, verdict.refused) == ("split", {})
    if not said.get("failed"):  # nor does it refuse the only row, if it names none
        one = read_answer(answer(200, said), SENT[:1])
        assert (one.kind, one.refused) == ("split", {})


@pytest.mark.parametrize(
    "said",
    [
        {"success": True, "failed": []},
        {"status": "ok"},
        {"status": 200, "errors": []},
        {"accepted": 3, "failed": [], "failedCount": 0, "total": 3},
        {"result": {"failed": []}},
        {"success": "true", "failed": []},
        {"ok": "TRUE", "error": "false", "errors": "0"},
        {"statusCode": "200", "failed": [], "failedCount": "0", "total": "3"},
        {"accepted": ["CUST-001", "CUST-002", "CUST-003"], "rejected": [], "failed": []},
        {"received": "2025-01-28T10:00:00Z", "code": "OK", "status": "no errors"},
        {"results": [{"index": 0, "status": "ok", "error": None}, {"index": 1, "status": 200}]},
    ],
)
def test_a_success_whose_facts_agree_is_one(said: dict) -> None:
    assert read_answer(answer(200, said), SENT).kind == "taken"


def test_rows_named_one_level_down_are_refused() -> None:
    verdict = read_answer(answer(200, {"result": {"Failed": [{"index": "2"}]}, "accepted": 2}), SENT)
    assert (verdict.kind, list(verdict.refused)) == ("taken", [2])


def test_a_denied_success_that_names_rows_sends_the_others_again() -> None:
    for no in (False, "false", "No"):
        verdict = read_answer(answer(200, {"success": no, "failed": [{"index": 0}]}), SENT)
        assert (verdict.kind, list(verdict.refused)) == ("again", [0])


@pytest.mark.parametrize("said", [{}, {"failed": None}, {"requestId": "r-1"}, {"results": [{"status": "ok"}]}])
def test_a_207_that_lists_no_failed_rows_accepts_nothing(said: dict) -> None:
    for sent in (SENT, SENT[:1]):
        verdict = read_answer(answer(207, said), sent)
        assert (verdict.kind, verdict.refused) == ("split", {})
        assert "207" in verdict.message
    assert read_answer(answer(207, {**said, "failed": []}), SENT).kind == "taken"
    assert read_answer(answer(207, {"result": {"failed": []}}), SENT).kind == "taken"


def test_the_order_of_entries_does_not_matter() -> None:
    entries = [{"customer_id": "CUST-003"}, {"index": 0}, "CUST-002"]
    assert set(read_answer(answer(200, {"failed": entries}), SENT).refused) == {0, 1, 2}


def test_a_message_is_kept_as_one_line_of_printable_text() -> None:
    said = answer(200, b'{"failed": [{"index": 0, "message": "a\\u001b[31m\\ud800\\n b", "code": 7}]}')
    refusal = read_answer(said, SENT).refused[0]
    assert refusal.code == "7"
    assert refusal.message.isprintable()
    assert refusal.message.encode()  # half a surrogate pair could not be stored


def test_an_answer_that_is_nested_too_deeply_is_not_an_error() -> None:
    for n in (300, 900, 100_000):
        body = b'{"failed": [{"index": 0, "message": ' + b'[{"message": ' * n + b"1" + b"}]" * n + b"}]}"
        assert read_answer(answer(200, body), SENT).kind in ("lost", "taken")


def test_an_answer_to_half_a_request_accepts_nothing() -> None:
    assert read_answer(answer(200, {}, left=False), SENT).kind == "retry"
    assert read_answer(answer(502, {}, left=False), SENT).kind == "retry"
    assert read_answer(answer(200, b"", left=False), SENT).kind == "retry"


@settings(max_examples=200)
@given(
    status=st.sampled_from([100, 103, 200, 201, 204, 207, 299, 302, 400, 413, 422, 500, 503]),
    body=st.binary(max_size=200) | json_values.map(lambda v: json.dumps({"failed": v, "x": v}).encode()),
    problem=st.sampled_from(["", "the answer was cut short"]),
    left=st.booleans(),
    n=st.integers(1, 3),
)
def test_whatever_an_answer_holds_it_is_read_by_the_rules(status, body, problem, left, n) -> None:
    verdict = read_answer(Answer(status, body, problem=problem, left=left), SENT[:n])
    assert all(0 <= place < n for place in verdict.refused)
    if verdict.kind == "taken":
        assert not problem
        assert left
        assert 200 <= status < 300
        assert isinstance(json.loads(body), dict)
    if verdict.refused:
        assert status in (400, 422) or 200 <= status < 300 or (status == 413 and n == 1)
    for refusal in verdict.refused.values():
        for text in (refusal.code, refusal.category, refusal.message):
            assert text.isprintable()
            assert len(text) <= 300


# Warnings: rows that are accepted all the same ------------------------------------------------------------------------

# What the newest pages suggest, to the letter: an object-level check whose severity is to warn.
FOREIGN_KEY = {"code": "DI_E_00031", "category": "foreign_key", "message": "no such price list"}
REMARK = Remark(**FOREIGN_KEY)


@pytest.mark.parametrize(
    "said",
    [
        {"failed": [], "warnings": [{"index": 1, **FOREIGN_KEY}]},
        {"warnings": [{"customer_id": "CUST-002", "updated_at": AT, **FOREIGN_KEY}]},
        {"failed": None, "Warnings": [{"CUSTOMER_ID": "CUST-002", **FOREIGN_KEY}]},
        {"result": {"failed": [], "row_warnings": [{"row": {"customer_id": "CUST-002"}, **FOREIGN_KEY}]}},
        {"warnings": [{"key": {"customer_id": "CUST-002"}, "errors": [FOREIGN_KEY]}], "accepted": 3, "total": 3},
        {"failed": [{"index": 1, "severity": "warn", **FOREIGN_KEY}]},
        {"failed": [{"index": 1, "Severity": "WARNING", **FOREIGN_KEY}], "accepted": 3, "failedCount": 0},
        {"failed": [{"index": 1, "level": "Warn", **FOREIGN_KEY}], "failedCount": 1},
        {"failed": [{"index": 1, "type": " warning ", **FOREIGN_KEY}], "success": True},
        {"failed": [{"index": 1, "errors": [{"severity": "warn", **FOREIGN_KEY}]}]},
        {"failed": [{"index": 1, "severity": "warn", "errors": [FOREIGN_KEY]}]},
        {"errors": [{"index": 1, "severity": "warn", **FOREIGN_KEY}], "failed": []},
        {"results": [{"index": 0, "status": "ok"}, {"index": 1, "severity": "warn", **FOREIGN_KEY}]},
    ],
)
@pytest.mark.parametrize("status", [200, 202])
def test_an_entry_that_only_warns_accepts_its_row_with_the_vendors_words(said: dict, status: int) -> None:
    assert read_answer(answer(status, said), SENT) == Verdict("taken", warned={1: REMARK})


def test_a_warning_of_one_row_beside_the_refusal_of_another() -> None:
    entries = [{"index": 0, **REFUSAL}, {"index": 1, "severity": "warn", **FOREIGN_KEY}]
    for said in ({"failed": entries}, {"failed": entries[:1], "warnings": [{**entries[1]}]}):
        verdict = read_answer(answer(207, said), SENT)
        assert (verdict.kind, list(verdict.refused), verdict.warned) == ("taken", [0], {1: REMARK})


@pytest.mark.parametrize("status", [200, 207])
def test_of_a_row_that_is_refused_and_warned_of_the_refusal_counts(status: int) -> None:
    entries = [{"index": 1, "severity": "warn", **FOREIGN_KEY}, {"index": 1, **REFUSAL}]
    for said in (
        {"failed": entries},
        {"failed": entries[::-1]},
        {"failed": entries[1:], "warnings": entries[:1]},
        {"failed": [{"index": 1, "errors": [{"severity": "warn", **FOREIGN_KEY}, REFUSAL]}]},
        {"failed": [{"index": 1, "errors": [{"severity": "warn", **FOREIGN_KEY}, {"severity": "error"}]}]},
    ):
        verdict = read_answer(answer(status, said), SENT)
        assert (verdict.kind, list(verdict.refused), verdict.warned) == ("taken", [1], {})


@pytest.mark.parametrize("word", ["severity", "level", "type"])
@pytest.mark.parametrize("value", ["error", "info", "warned", "warnings", "WARN-ING", "", None, True, 1, ["warn"], {}])
def test_an_entry_among_the_failed_of_any_other_severity_refuses_its_row(word: str, value: object) -> None:
    verdict = read_answer(answer(200, {"failed": [{"index": 1, "message": "no", word: value}]}), SENT)
    assert (verdict.kind, list(verdict.refused), verdict.warned) == ("taken", [1], {})


@pytest.mark.parametrize(
    "said",
    [
        {"failed": [{"index": 1, "severity": "warn", "level": "error"}]},
        {"failed": [{"index": 1, "severity": "warn", "status": "failed"}]},
        {"failed": [{"index": 1, "severity": "warn", "accepted": False}]},
        {"failed": [{"index": 1, "severity": "warn", "errors": [{"severity": "fatal"}]}]},
        {"warnings": [{"index": 1, "severity": "error"}]},
        {"warnings": [{"index": 1, "result": "rejected"}]},
        {"warnings": [{"index": 1, "success": "false"}], "failed": [{"index": 0}]},
        {"warnings": [{"index": 99, **FOREIGN_KEY}]},
        {"warnings": [{"customer_id": "SOMEONE-ELSE", **FOREIGN_KEY}]},
        {"warnings": [{"index": 1, "key": ["CUST-002", "2020-01-01T00:00:00Z"]}]},
        {"failed": [{"index": 1, "severity": "warn"}], "accepted": 2},
        {"failed": [{"index": 0}, {"index": 1, "severity": "warn"}], "accepted": 1},
        {"failed": [{"index": 1, "severity": "warn"}], "success": False},
        {"failed": [{"index": 1, "severity": "warn"}], "error": "the table is locked"},
        {"failed": [{"index": 1, "severity": "warn"}, {"message": "another"}]},
        {"results": [{"severity": "warn", "failed": [{"index": 1, **REFUSAL}]}]},
        {"warnings": [{"index": 0, "data": {"failed": [{"index": 1, **REFUSAL}]}}], "failed": []},
        {"failedWarnings": [{"index": 1, **REFUSAL}]},  # whose list is it?
        {"errors_and_warnings": [{"index": 1, **REFUSAL}]},
        {"warnings": {"failed": [{"customer_id": "SOMEONE-ELSE"}]}},
    ],
)
def test_what_both_warns_and_refuses_or_warns_of_another_row_accepts_nothing(said: dict) -> None:
    verdict = read_answer(answer(200, said), SENT)
    assert (verdict.kind, verdict.refused, verdict.warned, verdict.torn) == ("split", {}, {}, True)


@pytest.mark.parametrize("status", [400, 422])
def test_a_refused_request_takes_nothing_whatever_it_warns_of(status: int) -> None:
    warns = {"index": 1, "severity": "warn", **FOREIGN_KEY}
    for said in ({"failed": [{"index": 0}, warns]}, {"failed": [{"index": 0}], "warnings": [warns]}):
        verdict = read_answer(answer(status, said), SENT)
        assert (verdict.kind, list(verdict.refused), verdict.warned, verdict.torn) == ("again", [0], {}, False)
    for sent in (SENT, SENT[:1]):  # the status refuses what the entries accept: it cannot be told
        verdict = read_answer(answer(status, {"failed": [{**warns, "index": 0}]}), sent)
        assert (verdict.kind, verdict.refused, verdict.torn) == ("split", {}, True)
    whole = read_answer(answer(status, {"message": "no such solution", "warnings": [warns]}), SENT)
    assert (whole.kind, whole.torn) == ("split", False)  # a refusal like any other


def test_a_207_needs_its_list_of_failed_rows_beside_warnings_too() -> None:
    warns = {"index": 1, "severity": "warn", **FOREIGN_KEY}
    assert read_answer(answer(207, {"failed": [warns]}), SENT) == Verdict("taken", warned={1: REMARK})
    assert read_answer(answer(207, {"failed": [], "warnings": [warns]}), SENT).kind == "taken"
    assert read_answer(answer(207, {"warnings": [warns]}), SENT).kind == "split"


def test_a_warning_that_names_no_row_is_about_each_row_of_its_request() -> None:
    said = {"warnings": [FOREIGN_KEY, {"index": 0, "message": "long name"}], "failed": [{"index": 2, **REFUSAL}]}
    verdict = read_answer(answer(200, said), SENT)
    assert (verdict.kind, list(verdict.refused)) == ("taken", [2])
    assert verdict.warned == {0: replace(REMARK, message="long name; no such price list"), 1: REMARK}
    for text in ("the schema is old", ["the schema is old"], [{"message": "the schema is old"}]):
        warned = read_answer(answer(200, {"warning": text}), SENT).warned
        assert warned == dict.fromkeys(range(3), Remark(message="the schema is old"))
    for nothing in ([], [{}], [None], 0, 2, None, "", {"count": 0}):
        assert read_answer(answer(200, {"warnings": nothing}), SENT) == Verdict("taken")


def test_a_warning_about_the_only_row_of_a_request_may_count_from_anything() -> None:
    said = {"warnings": [{"index": 1, **FOREIGN_KEY}]}
    assert read_answer(answer(200, said), SENT[:1]) == Verdict("taken", warned={0: REMARK})
    assert read_answer(answer(200, said), SENT[:1], contract=replace(CURRENT, first_index=1)).warned == {0: REMARK}


def test_a_success_that_names_no_row_does_not_look_at_the_rows() -> None:
    class Unread(BodyKeys):
        def __getitem__(self, place: object) -> object:
            raise AssertionError("the body is parsed for nothing")

    for said in ({"failed": []}, {"warnings": [], "requestId": "r-1"}):
        assert read_answer(answer(200, said), Unread(b"", 3)).kind == "taken"


def test_a_warning_without_a_word_is_one_all_the_same() -> None:
    for said in ({"warnings": [{"index": 1}]}, {"failed": [{"index": 1, "severity": "warn"}]}):
        assert read_answer(answer(200, said), SENT).warned == {1: Remark(message="no reason given")}
    assert read_answer(answer(200, {"warnings": ["CUST-002"]}), SENT).warned == {1: Remark(message="CUST-002")}


def test_a_column_of_the_tenant_that_is_called_level_is_not_a_severity() -> None:
    echoed = {"customer_id": "CUST-002", "updated_at": AT, "level": "warn", "message": "no such price list"}
    assert read_answer(answer(200, {"failed": [echoed]}), SENT).warned == {1: Remark(message="no such price list")}
    own = CURRENT.with_columns([Column("level")])
    verdict = read_answer(answer(200, {"failed": [echoed]}), SENT, contract=own)
    assert (list(verdict.refused), verdict.warned) == ([1], {})

"""Rows that the vendor takes and warns of: accepted, kept with the receipt, shown in its words, and found again."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.clocks import Clock
from tests.support.pages import Page
from tests.support.place import BAD, Place, fates, refuse_bad, vendor
from toolkit.cli.terminal import lines_of
from toolkit.ledger.ledger import Ledger
from toolkit.model.delivery import Delivery
from toolkit.pushing.history import push_report, status
from toolkit.pushing.report import verdict
from toolkit.pushing.runs import dry_run
from toolkit.pushing.settling import settle
from toolkit.vendor.sandbox import DROPPED, Assumptions, Reply

MESSAGE = "customer_price_list_id is not among the known price lists"
WARNED = {"C00000", "C00001"}
"""Their price list is not known; C00001 is refused as well, so that only the other is accepted with a warning."""


def lists(n: int) -> list[str]:
    return ["PL-?" if f"C{i:05d}" in WARNED else "PL-1" for i in range(n)]


@pytest.mark.parametrize("where", ["list", "failed"])
@pytest.mark.parametrize("names_row_by", ["index", "key", "upper_key", "echo", "nested", "text", "nothing"])
@pytest.mark.parametrize("partial_status", [200, 207, 400])
def test_rows_with_a_warning_are_accepted_and_refused_ones_refused_whatever_the_answer_is_like(
    clock: Clock, customers, where: str, names_row_by: str, partial_status: int
) -> None:
    assumed = {"warnings": where, "names_row_by": names_row_by, "partial_status": partial_status}
    with vendor(clock, **assumed) as sandbox:
        sandbox.vendor.price_lists, sandbox.vendor.refuse = frozenset({"PL-1"}), refuse_bad
        place = Place(sandbox, clock)
        report = place.push(customers(8, customer_price_list_id=lists(8)))
        assert fates(report) == {"accepted": 6, "refused": 2}
        assert set(report.refused["customer_id"]) == BAD
        assert place.table == set(report.rows["customer_id"]) - BAD
        place.require_agreement()
        named = set(report.warned["customer_id"])
        assert "C00000" in named
        assert named <= place.table
        assert names_row_by == "nothing" or named == {"C00000"}


@pytest.mark.parametrize("where", ["list", "failed"])
@pytest.mark.parametrize("operation", ["UPSERT", "APPEND"])
@pytest.mark.parametrize("names_row_by", ["index", "nothing"])
def test_a_request_of_which_some_rows_only_have_a_warning_is_accepted_whole(
    clock: Clock, customers, where: str, operation: str, names_row_by: str
) -> None:
    with vendor(clock, warnings=where, names_row_by=names_row_by) as sandbox:
        sandbox.vendor.price_lists = frozenset({"PL-1"})
        place = Place(sandbox, clock, {"operation": operation})
        report = place.push(customers(500, customer_price_list_id=lists(500)))
        assert (fates(report), report.ok, place.n_requests) == ({"accepted": 500}, True, 1)
        assert len(report.warned) == (2 if names_row_by == "index" else 500)  # it may be any of them
        place.require_agreement()
        assert len(Ledger.of(place.settings).history("C00000")) == 1  # recorded once, though it has its own receipt


def test_a_vendor_without_warnings_warns_of_nothing(place: Place, customers) -> None:
    report = place.push(customers(3))
    assert report.warned.empty
    assert (report.to_dict()["warned"], report.to_dict()["warnings"]) == (0, [])
    assert "warning" not in report.body() + report.summary() + "".join(lines_of(report))


def test_warnings_are_shown_with_the_vendors_words_now_and_later(clock: Clock, customers) -> None:
    with vendor(clock, warnings="list") as sandbox:
        place = Place(sandbox, clock)
        sandbox.vendor.refuse = lambda row: "no" if row["customer_id"] == "C00002" else None
        pushed = place.push(place.plan(Delivery(customers(4, customer_price_list_id=[None, "<PL&1>", "PL-2", None]))))
        for report in (pushed, push_report(settings=place.settings), push_report(pushed.push, settings=place.settings)):
            assert fates(report) == {"accepted": 3, "refused": 1}
            said = report.warned.drop(columns=["updated_at", "customer_name"]).to_dict("records")
            assert said == [
                {"source_row": 3, "customer_id": "C00001", "code": "DI_E_00031", "category": "foreign_key",
                 "message": MESSAGE, "column": "customer_price_list_id"}
            ]  # fmt: skip
            assert report.to_frame().loc[3, ["fate", "code"]].tolist() == ["accepted", "DI_E_00031"]
            assert report.to_frame().loc[2, ["fate", "code", "message"]].tolist() == ["accepted", "", ""]
            kept = report.to_dict()
            assert (kept["accepted"], kept["warned"], kept["warnings"][0]["message"]) == (3, 1, MESSAGE)
            assert "4 rows: 3 accepted, 1 refused · 1 with a warning · done" in report.summary()
            body = report.body()
            shown = Page(body)
            assert (
                shown.verdict == "Of 4 rows, 1 was refused by the vendor, 3 were accepted, 1 of these with a warning."
            )
            assert shown.parts == {"accepted": 2, "accepted with a warning": 1, "refused": 1}
            assert shown.grids["Accepted with a warning"].marked == [(0, "customer_price_list_id", "warn")]
            assert "&lt;PL&amp;1&gt;" in body  # its cell, escaped
            line = f"  accepted with a warning: source_row 3, C00001: DI_E_00031 foreign_key {MESSAGE}"
            assert line in lines_of(report)
        assert status(settings=place.settings).pushes["accepted"].tolist() == [3]
        assert place.plan(customers(4)).n_rows == 1  # only the refused row is still to be sent


def test_the_verdict_counts_warnings_among_the_accepted() -> None:
    assert verdict({"accepted": 3, "refused": 1}, n_warned=2, dry_run=True) == (
        "Of 4 rows, 1 was refused by the vendor, 3 were accepted by the vendor's check, 2 of these with a warning."
    )


def test_many_warnings_are_a_handful_of_lines(clock: Clock, customers) -> None:
    with vendor(clock, warnings="failed") as sandbox:
        lines = lines_of(Place(sandbox, clock).push(customers(300)))
    assert sum("accepted with a warning: source_row" in line for line in lines) == 20
    assert "  and 280 more rows accepted with a warning" in lines


def test_a_dry_run_has_the_warnings_too(clock: Clock, customers) -> None:
    with vendor(clock, contract="current", warnings="list") as sandbox:
        place = Place(sandbox, clock, {"contract": "current"})
        report = dry_run(place.plan(customers(2)), settings=place.settings, pace=clock.pace, progress=False)
    assert len(report.warned) == 2


@pytest.mark.parametrize("operation", ["UPSERT", "APPEND"])
@pytest.mark.parametrize(
    "said",
    [
        Reply(200, b'{"failed": [{"index": 2, "severity": "warn", "status": "failed"}]}'),
        Reply(200, b'{"warnings": [{"index": 2, "severity": "error"}]}'),
        Reply(200, b'{"warnings": [{"customer_id": "SOMEBODY", "message": "no list"}]}'),
        Reply(400, b'{"failed": [{"index": 2, "severity": "warn", "message": "no list"}]}'),
    ],
)
def test_where_it_cannot_be_told_whether_a_row_was_taken_it_is_unknown(
    place: Place, customers, said: Reply, operation: str
) -> None:
    place.options["operation"] = operation
    told = json.loads(said.body)

    def torn(request: Any) -> Reply:
        """Say so of the third customer; of a request without that row, nothing."""
        rows = [row["customer_id"] for row in json.loads(request.body)["data"]]
        if "C00002" not in rows:
            return take(request)
        entries = [e if "customer_id" in e else {**e, "index": rows.index("C00002")} for e in next(iter(told.values()))]
        return Reply(said.status, json.dumps({next(iter(told)): entries}).encode())

    take, place.sandbox.vendor.answer = place.sandbox.vendor.answer, torn
    if operation == "UPSERT":
        report = place.stopped(customers(4))
        assert fates(report) == {"accepted": 3, "unknown": 1}
        assert report.unknown["customer_id"].tolist() == ["C00002"]
    else:  # no part of it may be sent again
        report = place.push(customers(4))
        assert (fates(report), place.n_requests) == ({"unknown": 4}, 0)
    assert report.warned.empty


def test_what_an_analyst_settled_is_no_warning_of_the_vendor(place: Place, customers) -> None:
    place.options["operation"] = "APPEND"
    place.sandbox.vendor.troubles.append((True, DROPPED))
    report = place.push(customers(2))
    done = settle(report, accepted="all", reason="seen", settings=place.settings)
    assert (fates(done), len(done.warned)) == ({"accepted": 2}, 0)


def test_a_row_that_is_accepted_with_a_warning_by_a_resume(place: Place, customers) -> None:
    place.sandbox.vendor.troubles.extend([(True, DROPPED), Reply(401)])
    place.sandbox.vendor.assumptions = Assumptions(warnings="failed", names_row_by="echo")
    place.stopped(customers(3))
    report = place.resume()
    assert (fates(report), len(report.warned)) == ({"accepted": 3}, 3)
    place.require_agreement()


OLD = Path(__file__).with_name("old_journal")


def test_a_push_that_was_begun_before_there_were_warnings_is_reported_and_resumed(clock: Clock, customers) -> None:
    """The folder is as the version before left it, which stopped after the first of two batches."""
    with vendor(clock, warnings="list") as sandbox:
        place = Place(sandbox, clock)
        folder = place.settings.target_folder()
        shutil.copytree(OLD / "rows", folder / "rows")
        with closing(sqlite3.connect(folder / "journal.sqlite")) as db:
            db.executescript((OLD / "journal.sql").read_text("utf-8") + "PRAGMA user_version = 1;")
        report = push_report(settings=place.settings)
        assert (fates(report), report.state) == ({"accepted": 498, "refused": 2, "unsent": 3}, "open")
        assert (set(report.refused["customer_id"]), len(report.warned)) == (BAD, 0)
        report = place.resume()
        assert (fates(report), report.state) == ({"accepted": 501, "refused": 2}, "done")
        assert report.warned["customer_id"].tolist() == ["C00500", "C00501", "C00502"]
        assert len(Ledger.of(place.settings).snapshot().frame) == 501

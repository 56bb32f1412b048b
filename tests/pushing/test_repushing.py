"""plan_correction(), repush(), revert(): what is sent again, what is left out and why, and what the ledger keeps."""

from __future__ import annotations

from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.support.clocks import Clock
from tests.support.pages import Page
from tests.support.place import BAD, Place, edited, fates, refuse_bad, vendor
from tests.support.workbooks import cells_of
from toolkit.config.settings import Settings
from toolkit.errors import CorrectionError, InputError, LedgerError, NothingOpenError, OpenPushError, PlanError
from toolkit.ledger.diffing import WAYS_IN, diff
from toolkit.ledger.ledger import Ledger
from toolkit.pushing.planning import PushPlan, plan_push
from toolkit.pushing.repushing import plan_correction, repush, revert
from toolkit.pushing.runs import dry_run, push
from toolkit.quality.patches import patch_between, read_review_sheet
from toolkit.reading.customers import read_customers
from toolkit.tables.writing import write_table
from toolkit.vendor.sandbox import DROPPED, Reply

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def whys(done: PushPlan) -> dict[str, str]:
    return dict(zip(done.not_sent["customer_id"], done.not_sent["why"], strict=True))


def shown(place: Place) -> dict[str, str]:
    """What the vendor's application shows: the newest name of each customer."""
    newest = place.sandbox.table().sort_values("updated_at").groupby("customer_id").last()
    return newest["customer_name"].to_dict()


def correct(place: Place, cells: dict[str, Any], **more: Any) -> PushPlan:
    return plan_correction(cells, **{"reason": "by hand", "settings": place.settings, "now": NOW, **more})


# Ad-hoc corrections ------------------------------------------------------------------------------------------------


def test_a_correction_sends_the_whole_row_again_with_a_later_time_and_leaves_its_reason(
    place: Place, customers
) -> None:
    place.push(customers(3))
    done = correct(place, {"C00001": {"customer_category": "Wholesale", "customer_price_list_id": None}})
    assert (done.n_rows, done.n_left_out) == (1, 0)
    assert sorted(done.fields[["column", "before", "after"]].fillna("null").to_numpy().tolist()) == [
        ["customer_category", "Retail", "Wholesale"], ["customer_price_list_id", "PL-1", "null"],
    ]  # fmt: skip
    assert fates(place.push(done)) == {"accepted": 1}
    row = place.sandbox.table().iloc[-2]  # the versions of C00001 stand beside each other
    assert row["customer_id"] == "C00001"
    assert row["customer_name"] == 'Müller & Söhne "1"'
    assert row["customer_category"] == "Wholesale"
    assert pd.isna(row["customer_price_list_id"])
    assert pd.Timestamp(row["updated_at"]) == pd.Timestamp(NOW)
    entry = Ledger.of(place.settings).history("C00001").iloc[-1]
    assert (entry["reason"], entry["source_file"]) == ("by hand", "correction")
    assert entry["author"]
    place.require_agreement()


@pytest.mark.parametrize(
    ("at", "then"),
    [
        ("2026-11-24T11:59:59Z", "2026-11-24T12:00:00Z"),
        ("2026-11-24T12:00:00Z", "2026-11-24T12:00:01Z"),
        ("2031-05-05T05:05:05.25Z", "2031-05-05T05:05:06Z"),
    ],
)
def test_the_new_time_is_later_than_any_version_of_the_customer(place: Place, customers, at: str, then: str) -> None:
    place.push(customers(1, at=at))
    done = correct(place, {"C00000": {"customer_name": "New"}})
    assert done.to_frame()["updated_at"].tolist() == [pd.Timestamp(then)]
    assert list(done.rows["state"].to_pylist()) == ["changed"]


def test_a_correction_that_changes_nothing_is_left_out_and_says_so(place: Place, customers) -> None:
    place.push(customers(2))
    done = correct(place, {"C00000": {"customer_category": "Retail"}, "C00001": {"customer_category": "B2B"}})
    assert (done.n_rows, whys(done)) == (1, {"C00000": WAYS_IN["touched"]})
    assert WAYS_IN["touched"] in unescape(done.body())
    assert "Rows left out" in done.body()
    assert "1 row in 1 batch, 1 left out · by hand" in repr(done)
    assert done.to_dict()["left_out"] == 1


def test_a_correction_that_the_contract_forbids_is_left_out_and_says_why(place: Place, customers) -> None:
    place.push(customers(1))
    done = correct(place, {"C00000": {"source": "ERP"}})
    assert (done.n_rows, whys(done)) == (0, {"C00000": "source is not one of peak, customer"})
    assert "Nothing to send" in done.body()


@pytest.mark.parametrize(
    ("cells", "reason", "said"),
    [
        ({"C9": {"source": "peak"}}, "r", r"has no customer 'C9'.*Nothing was planned"),
        ({"C00000": {"customer_nam": "x"}}, "r", "did you mean 'customer_name'"),
        ({"C00000": {"updated_at": "2030-01-01"}}, "r", "the key is not corrected"),
        ({"C00000": {"customer_price_list_id": 12}}, "r", "customer_price_list_id of C00000 is not text"),
        ({"C00000": {"source": "peak"}}, " ", "needs a reason"),
        ({"C00000": {"source": "peak"}}, None, "needs a reason"),
        ({"C00000": None}, "r", "The new cells of C00000 are given as column to value"),
    ],
)
def test_a_wrong_correction_is_refused(place: Place, customers, cells: Any, reason: str, said: str) -> None:
    place.push(customers(1))
    with pytest.raises(CorrectionError, match=said):
        correct(place, cells, reason=reason)


def test_a_guard_that_is_allowed_beside_the_usual_ones_blocks_none_of_them(place: Place, customers) -> None:
    place.push(customers(1))
    for allow in ("first", None):
        done = correct(place, {"C00000": {"customer_name": "New"}}, allow=allow)
        assert [(g.name, g.allowed) for g in done.guards] == [("changed", True)]
    with pytest.raises(PlanError, match=r"allow takes names, not int: first, .*, all\."):
        correct(place, {"C00000": {"customer_name": "New"}}, allow=[1])


def test_a_new_time_without_a_zone_is_refused(place: Place, customers) -> None:
    report = place.push(customers(1))
    with pytest.raises(InputError, match="with a time zone"):
        correct(place, {"C00000": {"customer_name": "New"}}, now=datetime(2026, 3, 3))
    place.push(customers(1, at="2026-02-01T00:00:00Z", customer_name="second"))
    with pytest.raises(InputError, match="with a time zone"):
        revert(report, settings=place.settings, now=datetime(2026, 3, 3))


def test_the_embedded_sandbox_takes_a_correction(clock: Clock, customers) -> None:
    chosen = Settings()
    send = {"settings": chosen, "pace": clock.pace, "progress": False}
    push(plan_push(diff(Ledger.of(chosen).snapshot(), customers(2)), settings=chosen), **send)
    done = plan_correction({"C00001": {"source": None}}, reason="unknown", settings=chosen)
    assert fates(push(done, reason="asked the owner", **send)) == {"accepted": 1}
    assert Ledger.of(chosen).history("C00001")["reason"].tolist() == ["", "asked the owner"]


def test_a_correction_is_bound_to_the_ledger_it_was_made_from(place: Place, customers) -> None:
    place.push(customers(1))
    first, second = (correct(place, {"C00000": {"customer_name": n}}) for n in ("one", "two"))
    place.push(first)
    with pytest.raises(Exception, match="ledger has changed"):
        place.push(second)
    assert shown(place) == {"C00000": "one"}


def test_a_revert_takes_back_the_version_that_was_left_of_a_push(place: Place, customers) -> None:
    place.push(customers(1, customer_name="old"))
    versions = [customers(1, at=f"2026-0{m}-01T00:00:00Z", customer_name=f"v{m}") for m in (2, 3)]
    report = place.push(pd.concat(versions).set_axis(pd.RangeIndex(2, 4, name="source_row")))
    Ledger.of(place.settings).retract([("C00000", "2026-03-01")], reason="it is not there")
    assert revert(report, settings=place.settings).rows["customer_name"].to_pylist() == ["old"]
    Ledger.of(place.settings).retract([("C00000", "2026-02-01")], reason="nor is that")
    assert revert(report, settings=place.settings).not_sent["why"].tolist() == ["retracted since: it did not arrive"]


# Pushing again -----------------------------------------------------------------------------------------------------


def test_refused_rows_go_again_as_the_review_sheet_says_and_lead_back_to_their_cells(
    place: Place, customers, tmp_path: Path
) -> None:
    place.sandbox.vendor.refuse = lambda row: (
        "customer_price_list_id PL-1 is closed" if row["customer_id"] in BAD else None
    )
    report = place.push(customers(7))
    assert report.refused[["source_row", "column"]].to_numpy().tolist() == [
        [3, "customer_price_list_id"], [6, "customer_price_list_id"],
    ]  # fmt: skip
    sheet = report.to_excel(tmp_path / "refused.xlsx")
    book, columns, rows = cells_of(sheet)
    book["rows"].cell(rows[6], columns["customer_price_list_id"]).value = "0042"
    book.save(sheet)
    place.sandbox.vendor.refuse = None
    done = repush(report, patch=read_review_sheet(sheet), settings=place.settings, reason="PL-1 was closed")
    assert done.to_frame()[["customer_id", "customer_price_list_id"]].to_numpy().tolist() == [
        ["C00001", "PL-1"], ["C00004", "0042"],
    ]  # fmt: skip
    assert list(done.to_frame().index) == [3, 6]
    assert done.to_frame()["customer_subcategory"].isna().all()  # an empty cell is null
    assert fates(place.push(done)) == {"accepted": 2}
    entry = Ledger.of(place.settings).history("C00004").iloc[0]
    assert entry["reason"] == f"repush of {report.push}: PL-1 was closed"
    assert (entry["source_file"], entry["source_row"]) == ("frame", 6)
    place.require_agreement()


def test_a_cell_that_the_vendor_misses_is_filled_in_the_sheet_though_the_file_has_no_such_column(
    place: Place, customers, tmp_path: Path
) -> None:
    place.sandbox.vendor.refuse = lambda row: (
        None if row["customer_price_list_id"] else "customer_price_list_id is missing"
    )
    names = {"customer_id": "Kundennummer", "updated_at": "Stand", "customer_name": "Name"}
    file = tmp_path / "crm.csv"
    write_table(customers(2)[list(names)].rename(columns=names), file)
    mapping = tmp_path / "crm.toml"
    mapping.write_text("[columns]\n" + "".join(f'{c} = "{n}"\n' for c, n in names.items()), encoding="utf-8")
    report = place.push(read_customers(file, mapping=mapping))
    assert fates(report) == {"refused": 2}
    sheet = report.to_excel(tmp_path / "refused.xlsx")
    book, columns, rows = cells_of(sheet)
    assert list(columns) == ["row", "what is wrong", "drop", *names.values(), "customer_price_list_id"]
    for row, cell in zip(rows.values(), ("0042", "PL-7"), strict=True):
        missing = book["rows"].cell(row, columns["customer_price_list_id"])
        assert missing.comment.text.endswith("customer_price_list_id is missing")
        missing.value = cell
    book.save(sheet)
    done = repush(report, patch=read_review_sheet(sheet), settings=place.settings)
    assert fates(place.push(done)) == {"accepted": 2}
    assert place.sandbox.table()["customer_price_list_id"].tolist() == ["0042", "PL-7"]
    place.require_agreement()


def test_refused_rows_go_again_as_they_were_or_with_a_patch(place: Place, customers) -> None:
    place.sandbox.vendor.refuse = refuse_bad
    report = place.push(customers(7))
    name = report.push
    as_they_were = repush(name, settings=place.settings)
    assert as_they_were.to_frame()["customer_price_list_id"].tolist() == ["PL-1", "PL-1"]
    assert as_they_were.reason == f"repush of {name}"
    assert f"Reason: repush of {name}" in as_they_were.body()
    assert "Rows left out" not in as_they_were.body()
    sent = Page(as_they_were.body()).grids["Sent"]
    assert [row[sent.heads.index("customer_price_list_id")] for row in sent.rows] == ["PL-1", "PL-1"]
    assert as_they_were.body().count("PL-1") >= 2
    changed = repush(
        name, patch=edited(report, {"C00004": {"customer_price_list_id": "PL-7"}}), settings=place.settings
    )
    assert changed.to_frame()["customer_price_list_id"].tolist() == ["PL-1", "PL-7"]


def test_a_sheet_that_comes_back_drops_rows_and_is_refused_for_rows_that_do_not_go_again(
    place: Place, customers, tmp_path: Path
) -> None:
    place.sandbox.vendor.refuse = refuse_bad
    report = place.push(customers(7))
    sheet = report.to_excel(tmp_path / "refused.xlsx")
    book, columns, rows = cells_of(sheet)
    book["rows"].cell(rows[3], columns["drop"]).value = "x"
    book["rows"].cell(rows[6], columns["customer_name"]).value = "Ash"
    book.save(sheet)
    patch = read_review_sheet(sheet)
    done = repush(report, patch=patch, settings=place.settings)
    assert done.to_frame()["customer_name"].to_dict() == {6: "Ash"}
    assert done.not_sent[["source_row", "why"]].to_numpy().tolist() == [[3, "dropped by the patch"]]
    place.sandbox.vendor.refuse = None
    place.push(repush(report, settings=place.settings))  # as they were: nothing is left to send
    with pytest.raises(CorrectionError, match=r"2 cells of the patch cannot be applied: .* \(source_row 3, 6\)"):
        repush(place.push(customers(1, start=3)), patch=patch, settings=place.settings)


def test_a_patch_of_rows_that_the_push_does_not_send_again_is_refused(place: Place, customers) -> None:
    place.sandbox.vendor.refuse = refuse_bad
    report = place.push(customers(7))
    patch = edited(report, {"C00000": {"source": "peak"}, "C00001": {"source": "peak"}})
    with pytest.raises(CorrectionError, match=r"1 cell of the patch cannot be applied: .* \(source_row 2\)"):
        repush(report, patch=patch, settings=place.settings)


def test_a_patch_of_edited_frames_goes_by_the_customer(place: Place, customers) -> None:
    place.sandbox.vendor.refuse = refuse_bad
    report = place.push(customers(7))
    before = report.rows[report.rows["fate"] == "refused"][["customer_id", "updated_at", "customer_name"]]
    patch = patch_between(before, before.assign(customer_name=["Ash", "Elm"]))
    done = repush(report, patch=patch, settings=place.settings)
    assert done.to_frame()["customer_name"].to_dict() == {3: "Ash", 6: "Elm"}


def test_a_changed_row_that_the_contract_forbids_is_left_out(place: Place, customers) -> None:
    place.sandbox.vendor.refuse = refuse_bad
    report = place.push(customers(7))
    done = repush(report, patch=edited(report, {"C00001": {"source": "SAP"}}), settings=place.settings)
    assert (list(done.to_frame()["customer_id"]), whys(done)) == (
        ["C00004"], {"C00001": "source is not one of peak, customer"},
    )  # fmt: skip


def test_an_open_push_is_resumed_and_not_pushed_again(place: Place, customers) -> None:
    place.sandbox.vendor.troubles.extend([None, Reply(401)])
    report = place.stopped(customers(600))
    with pytest.raises(OpenPushError, match="resume"):
        repush(report, settings=place.settings)
    place.abandon()
    done = repush(report, settings=place.settings)
    assert done.n_rows == 100  # what was never sent
    assert fates(place.push(done)) == {"accepted": 100}
    place.require_agreement()
    with pytest.raises(NothingOpenError, match="no push nonesuch"):
        repush("nonesuch", settings=place.settings)


@pytest.mark.parametrize("operation", ["UPSERT", "APPEND"])
def test_unknown_rows_go_again_by_an_upsert_and_are_left_to_the_analyst_by_an_append(
    place: Place, customers, operation: str
) -> None:
    place.options["operation"] = operation
    place.sandbox.vendor.troubles.extend([(True, DROPPED)] * 20)
    try:
        report = place.push(customers(3))
    except Exception as error:
        report = error.report
    assert fates(report) == {"unknown": 3}
    place.sandbox.vendor.troubles.clear()
    place.abandon()
    done = repush(report, settings=place.settings)
    if operation == "UPSERT":
        assert fates(place.push(done)) == {"accepted": 3}
        place.require_agreement()
    else:
        assert done.n_rows == 0
        assert all("settle" in why for why in whys(done).values())
        assert done.n_left_out == 3


def test_what_was_brought_in_since_or_is_older_now_is_left_out_of_a_repush(place: Place, customers) -> None:
    place.sandbox.vendor.refuse = refuse_bad
    report = place.push(customers(7))
    place.sandbox.vendor.refuse = None
    place.push(customers(1, start=1))  # C00001, just so
    place.push(customers(1, start=4, at="2026-02-01T00:00:00Z"))  # C00004, newer
    done = repush(report, settings=place.settings)
    assert done.n_rows == 0
    assert whys(done)["C00001"] == WAYS_IN["unchanged"]
    assert whys(done)["C00004"] == WAYS_IN["backdated"]
    assert repush(report, settings=place.settings, include=["backdated"]).n_rows == 1


def test_a_whole_push_goes_again_under_its_own_versions_but_for_what_was_overwritten(place: Place, customers) -> None:
    report = place.push(customers(3))
    place.push(place.plan(customers(1, customer_name="restated"), include=["restated"]))
    done = repush(report, whole=True, settings=place.settings)
    assert list(done.to_frame()["customer_id"]) == ["C00001", "C00002"]
    assert whys(done)["C00000"] == WAYS_IN["restated"]
    assert fates(place.push(done)) == {"accepted": 2}
    assert Ledger.of(place.settings).history("C00001")["entry"].tolist() == ["accepted"] * 2
    assert shown(place)["C00000"] == "restated"
    place.require_agreement()


@pytest.mark.parametrize("operation", ["UPSERT", "APPEND"])
def test_an_accepted_version_that_a_patch_changes_is_restated_and_not_added(
    place: Place, customers, operation: str
) -> None:
    place.options["operation"] = operation
    report = place.push(customers(2))
    changing = {
        "whole": True,
        "patch": edited(report, {"C00000": {"customer_category": "New"}}),
        "settings": place.settings,
    }
    done = repush(report, **changing)
    assert list(done.to_frame()["customer_id"]) == ["C00001"]
    assert whys(done)["C00000"] == WAYS_IN["restated"]
    included = repush(report, **changing, include=["restated"])
    assert included.rows["state"].to_pylist() == ["restated", "added"]


def test_a_repush_can_be_checked_by_a_dry_run_first(clock: Clock, customers) -> None:
    with vendor(clock, contract="current") as sandbox:
        place = Place(sandbox, clock, {"contract": "current"})
        sandbox.vendor.refuse = refuse_bad
        done = repush(place.push(customers(7)), settings=place.settings)
        report = dry_run(done, settings=place.settings, pace=clock.pace, progress=False)
        assert (fates(report), report.state) == ({"refused": 2}, "dry run")


# Taking back -------------------------------------------------------------------------------------------------------


def test_a_revert_restores_what_stood_before_as_new_versions(place: Place, customers) -> None:
    place.push(customers(2, customer_name="first"))
    wrong = customers(3, at="2026-02-01T00:00:00Z", customer_name="wrong")
    report = place.push(wrong, reason="spring prices")
    done = revert(report, settings=place.settings, now=NOW, reason="wrong file")
    assert (done.n_rows, whys(done)) == (2, {"C00002": "first added by this push: the API has no delete"})
    assert fates(place.push(done)) == {"accepted": 2}
    assert shown(place) == {"C00000": "first", "C00001": "first", "C00002": "wrong"}
    history = Ledger.of(place.settings).history("C00000")
    assert history["customer_name"].tolist() == ["first", "wrong", "first"]
    assert history["reason"].tolist() == ["", "spring prices", f"revert of {report.push}: wrong file"]
    assert history["updated_at"].is_monotonic_increasing
    place.require_agreement()


def test_a_revert_is_reverted(place: Place, customers) -> None:
    place.push(customers(1, customer_name="first"))
    second = place.push(customers(1, at="2026-02-01T00:00:00Z", customer_name="second"))
    back = place.push(revert(second, settings=place.settings, now=NOW))
    again = revert(back.push, settings=place.settings, now=NOW)
    assert again.to_frame()["updated_at"].tolist() == [pd.Timestamp("2026-11-24T12:00:01Z")]
    place.push(again)
    assert shown(place) == {"C00000": "second"}


def test_a_row_changed_again_since_is_skipped_and_says_by_whom(place: Place, customers) -> None:
    place.push(customers(2, customer_name="first"))
    report = place.push(customers(2, at="2026-02-01T00:00:00Z", customer_name="second"))
    later = place.push(customers(1, at="2026-03-01T00:00:00Z", customer_name="third"))
    done = revert(report, settings=place.settings, now=NOW)
    assert list(done.to_frame()["customer_id"]) == ["C00001"]
    assert whys(done) == {"C00000": f"changed again since, by {later.push}"}


def test_a_later_push_that_was_taken_back_itself_changed_nothing(place: Place, customers) -> None:
    place.push(customers(3, customer_name="first"))
    report = place.push(customers(3, at="2026-02-01T00:00:00Z", customer_name="second"))
    wrong = place.push(customers(1, at="2026-03-01T00:00:00Z", customer_name="third"))
    also = place.push(customers(2, start=1, at="2026-03-01T00:00:00Z", customer_name="fourth"))
    ledger = Ledger.of(place.settings)
    ledger.retract(push=wrong.push, reason="did not arrive", now=NOW)
    ledger.retract([("C00001", "2026-03-01T00:00:00Z")], reason="did not arrive", now=NOW)
    done = revert(report, settings=place.settings, now=NOW)
    assert done.to_frame()[["customer_id", "customer_name"]].to_numpy().tolist() == [
        ["C00000", "first"], ["C00001", "first"],
    ]  # fmt: skip
    assert whys(done) == {"C00002": f"changed again since, by {also.push}"}


def test_a_later_push_of_an_older_version_changed_nothing_of_what_is_shown(place: Place, customers) -> None:
    place.push(customers(2, customer_name="first"))
    report = place.push(customers(2, at="2026-03-01T00:00:00Z", customer_name="second"))
    older = customers(1, at="2026-02-01T00:00:00Z", customer_name="between")
    place.push(place.plan(older, include=["backdated"]))
    restated = customers(1, start=1, at="2026-03-01T00:00:00Z", customer_name="third")
    again = place.push(place.plan(restated, include=["restated"]))
    done = revert(report, settings=place.settings, now=NOW)
    assert done.to_frame()[["customer_id", "customer_name"]].to_numpy().tolist() == [["C00000", "between"]]
    assert whys(done) == {"C00001": f"changed again since, by {again.push}"}
    place.push(done)
    assert shown(place) == {"C00000": "between", "C00001": "third"}


def test_an_overwritten_version_is_restored_under_a_new_time(place: Place, customers) -> None:
    place.push(customers(1, customer_name="first"))
    report = place.push(place.plan(customers(1, customer_name="restated"), include=["restated"]))
    done = revert(report, settings=place.settings, now=NOW)
    place.push(done)
    assert shown(place) == {"C00000": "first"}
    assert len(place.sandbox.table()) == 2


def test_what_a_revert_could_not_change_is_left_out_with_its_reason(place: Place, customers) -> None:
    place.push(customers(3, at="2026-02-01T00:00:00Z"))
    older = pd.concat([customers(1, customer_name="older"), customers(1, start=1, at="2026-03-01T00:00:00Z")])
    mixed = pd.concat([older, customers(1, start=2, at="2026-03-01T00:00:00Z", customer_name="x")])
    report = place.push(place.plan(mixed, include=["backdated", "touched"]))
    Ledger.of(place.settings).retract([("C00002", "2026-03-01T00:00:00Z")], reason="not there", now=NOW)
    done = revert(report, settings=place.settings, now=NOW)
    assert done.n_rows == 0
    assert whys(done) == {
        "C00000": "an older version was added: it cannot be removed, and what is shown is as before",
        "C00001": "what stood before says the same",
        "C00002": "retracted since: it did not arrive",
    }


def test_a_push_that_the_ledger_does_not_know_cannot_be_reverted(place: Place, customers) -> None:
    place.push(customers(1))
    with pytest.raises(LedgerError, match=r"no row of push 'nonesuch'.*push_history\(\)"):
        revert("nonesuch", settings=place.settings)


def test_a_colleagues_push_on_a_shared_ledger_can_be_reverted(place: Place, customers, tmp_path: Path) -> None:
    place.options["ledger"] = tmp_path / "shared"
    colleague = Place(place.sandbox, place.clock, {**place.options, "home": tmp_path / "colleague"})
    place.push(customers(1, customer_name="first"))
    theirs = colleague.push(customers(1, at="2026-02-01T00:00:00Z", customer_name="theirs"))
    place.push(revert(theirs.push, settings=place.settings, now=NOW))
    assert shown(place) == {"C00000": "first"}
    place.require_agreement()

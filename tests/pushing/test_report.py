"""What became of a push, for people: the verdict, the cells, the time, the history of pushes; in light and in dark."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tests.support.clocks import Clock
from tests.support.pages import Page
from tests.support.place import BAD, Place, refuse_bad, vendor
from tests.support.workbooks import cells_of
from toolkit.cli.terminal import lines_of
from toolkit.display import page, stack
from toolkit.errors import AuthorizationError, InputError
from toolkit.model.delivery import Delivery
from toolkit.pushing.history import push_history, status
from toolkit.pushing.report import fate_parts, verdict
from toolkit.pushing.repushing import repush
from toolkit.pushing.runs import dry_run
from toolkit.pushing.seeding import seed
from toolkit.quality import patch_between, preview_corrections
from toolkit.sending.records import FATES, OVERTAKEN, Fate, LoadedPush, Receipt
from toolkit.vendor.sandbox import DROPPED, Reply


def told(sent: LoadedPush, fate: Fate, *, first: int = 0, message: str = "") -> LoadedPush:
    """What the journal would hold if these rows had this fate."""
    fates = np.where(np.arange(len(sent.fates)) >= first, FATES.index(fate), sent.fates).astype(np.int8)
    return replace(sent, fates=fates, receipts=[Receipt(first, len(fates), fate, message=message)])


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({}, "There was nothing to send."),
        ({"accepted": 1}, "The row was accepted."),
        ({"accepted": 600}, "All 600 rows were accepted."),
        ({"accepted": 599, "refused": 1}, "Of 600 rows, 1 was refused by the vendor, 599 were accepted."),
        (
            {"unknown": 2, "unsent": 1, "refused": 3},
            "Of 6 rows, 3 were refused by the vendor, 2 were sent without a readable answer, 1 was not sent.",
        ),
    ],
)
def test_the_verdict_is_a_sentence_that_begins_with_what_needs_the_analyst(counts: dict[str, int], said: str) -> None:
    assert verdict(counts) == said


def test_a_dry_run_accepts_nothing_and_says_so() -> None:
    assert verdict({"accepted": 2, "refused": 1}, dry_run=True).endswith("2 were accepted by the vendor's check.")


def test_a_bar_has_each_fate_that_occurs_and_says_it_to_those_who_do_not_see() -> None:
    drawn = Page(stack(fate_parts({"accepted": 3, "refused": 1, "unsent": 0})))
    assert drawn.pictures == ["3 accepted, 1 refused"]


def test_a_count_agrees_with_its_words(place: Place, customers) -> None:
    for n, words in ((1, "1 row waits"), (2, "2 rows wait")):
        stopped = place.died(customers(n, start=9 * n))
        found = status(settings=place.settings)
        assert f"push {stopped.push} is open, {words}" in found.summary()
        assert f"{stopped.push} open: {words.partition(' wait')[0]}, 0 accepted" in lines_of(found)[0]
        place.resume()


def test_a_terminal_gets_a_handful_of_the_rows_of_each_kind_and_how_many_more_there_are(
    place: Place, customers
) -> None:
    report = place.push(customers(1_030))
    fates: tuple[tuple[Fate, str, str], ...] = (
        ("refused", "", "more refused rows"),
        ("unknown", "", "more unknown rows"),
        ("unsent", OVERTAKEN, "more rows left out"),
    )
    for fate, message, words in fates:
        lines = lines_of(replace(report, sent=told(report.sent, fate, message=message)))
        assert sum("source_row" in line for line in lines) == 20
        assert lines[20] == f"  and 1,010 {words}"


def test_the_verdict_comes_first_and_each_refusal_with_its_cell(place: Place, customers) -> None:
    place.sandbox.vendor.refuse = lambda row: "customer_price_list_id is closed" if row["customer_id"] in BAD else None
    report = place.push(customers(7, customer_price_list_id="<PL&1>"))
    page_ = Page(report.body())
    assert page_.verdict == "Of 7 rows, 2 were refused by the vendor, 5 were accepted."
    assert page_.parts == {"accepted": 5, "refused": 2}
    assert page_.sections.index("What now") < page_.sections.index("Why refused by the vendor")
    assert page_.code[:3] == [
        f'tk.push_report("{report.push}").to_excel("refused.xlsx")',
        f'plan = tk.repush("{report.push}", patch=tk.read_review_sheet("refused.xlsx"))',
        "report = tk.push(plan)",
    ]
    assert "in the vendor's words" in page_.text
    assert "Write down what this code means" in page_.text
    refused = page_.grids["Refused by the vendor"]
    assert refused.marked == [(n, "customer_price_list_id", "bad") for n in (0, 1)]
    cell = refused.rows[0][refused.heads.index("customer_price_list_id")]
    assert cell.startswith("<PL&1>")
    assert "customer_price_list_id is closed" in cell
    assert "<PL&1>" not in report.body()
    assert report.refused["column"].tolist() == ["customer_price_list_id"] * 2
    assert (
        report.refused["customer_name"].tolist()
        == report.rows["customer_name"][list(report.refused["source_row"])].tolist()
    )
    assert report.to_frame() is report.rows
    assert report.to_dict()["refusals"][0]["column"] == "customer_price_list_id"
    assert "PL&1" not in json.dumps(report.to_dict(), default=str)  # no value of a customer's


def test_a_push_of_all_good_rows_says_what_waits_in_quarantine(place: Place, customers) -> None:
    report = place.push(place.plan(Delivery(customers(3), n_quarantined=2)))
    shown = Page(report.body())
    assert report.ok
    assert shown.verdict == "All 3 rows were accepted; 2 rows of the file are in quarantine."
    assert "3 accepted · 2 in quarantine · done" in repr(report)
    assert shown.sections[0] == "What now"
    assert 'tk.validate(tk.correct(delivery)).to_excel("fix.xlsx")' in shown.code
    assert shown.text.endswith("UPSERT")  # nothing was left out: no zero
    assert Page(report.brief()).verdict == shown.verdict  # the last page of a panel
    none = place.push(place.plan(Delivery(customers(3), n_quarantined=1)))
    assert Page(none.body()).verdict == "There was nothing to send; 1 row of the file is in quarantine."
    assert "3 unchanged or left out" in none.body()
    clean = Page(place.push(customers(1, start=9)).body())
    assert clean.verdict == "The row was accepted."
    assert "What now" not in clean.sections


def test_what_names_no_column_has_no_cell(place: Place, customers) -> None:
    place.sandbox.vendor.refuse = refuse_bad
    assert place.push(customers(7)).refused["column"].tolist() == ["", ""]


def test_unknown_rows_and_the_reason_of_the_stop_are_shown(place: Place, customers) -> None:
    place.sandbox.vendor.troubles.extend([None, *[(True, DROPPED)] * 20])
    report = place.stopped(customers(501))
    shown = Page(report.body())
    assert "Stopped: Gave up after" in shown.text
    assert shown.parts == {"accepted": 500, "unknown": 1}
    assert [row[1] for row in shown.grids["Unknown: sent without a readable answer"].rows] == ["C00500"]
    assert "report = tk.resume()" in shown.code
    assert "1 unknown" in shown.pictures  # the second request
    assert "sent, and no readable answer came" in shown.text
    assert report.unknown["customer_name"].tolist() == report.rows["customer_name"].tail(1).tolist()
    assert report.rows["customer_name"].iloc[-1] not in json.dumps(report.to_dict())


def test_the_report_shows_the_time_the_retries_and_the_waiting(place: Place, customers) -> None:
    place.sandbox.vendor.troubles.extend([None, Reply(503), Reply(429)])
    report = place.push(customers(600))
    took, n_retries, waited = re.fullmatch(r"(\S+) s, (\d) retries after (\S+) s of waiting", report.timing).groups()
    assert (int(n_retries), report.n_attempts) == (2, 4)
    assert float(waited) == pytest.approx(sum(s for s in place.clock.slept if s > 0.1), abs=0.2)
    assert float(took) == pytest.approx(place.clock.seconds, abs=0.2)
    assert report.attempts["status"].tolist() == [200, 503, 429, 200]
    assert "2 retries after" in report.body()


def test_no_attempt_takes_no_time(place: Place, customers) -> None:
    place.push(customers(2))
    assert place.push(customers(2)).timing == "0.0 s"


def test_refused_rows_go_to_a_sheet_with_the_vendors_reason(place: Place, customers, tmp_path: Path) -> None:
    place.sandbox.vendor.refuse = lambda row: "customer_price_list_id is closed" if row["customer_id"] in BAD else None
    delivery = Delivery(customers(7, customer_name="=1+1"), names={"customer_id": "Kunde", "customer_name": "Firma"})
    report = place.push(place.plan(delivery))
    book, columns, rows = cells_of(report.to_excel(tmp_path / "r.xlsx"))
    sheet = book["rows"]
    assert list(rows) == [3, 6]
    assert {"row", "what is wrong", "Kunde", "Firma", "drop"} <= set(columns)  # in the file's own names
    assert not {"state", "fate", "message"} & set(columns)
    assert [sheet.cell(at, columns["Firma"]).value for at in rows.values()] == ["=1+1"] * 2
    assert sheet.cell(rows[3], columns["Firma"]).data_type == "s"
    cell = sheet.cell(rows[6], columns["customer_price_list_id"])
    assert cell.fill.fgColor.rgb == "FFFFC7CE"
    assert cell.comment.text == "DI_E_00017: customer_price_list_id is closed"
    assert sheet.cell(rows[6], columns["source"]).comment is None
    with pytest.raises(InputError, match=r"ends in \.xlsx"):
        report.to_excel(tmp_path / "r.csv")


# The history of pushes ---------------------------------------------------------------------------------------------


def test_the_history_has_this_machines_pushes_and_those_that_others_entered(
    place: Place, customers, tmp_path: Path
) -> None:
    place.options["ledger"] = tmp_path / "shared"
    colleague = Place(place.sandbox, place.clock, {**place.options, "home": tmp_path / "colleague"})
    seed(customers(1, start=90), reason="the vendor's export", settings=place.settings, now=place.clock.now())
    place.clock.sleep(5)
    place.sandbox.vendor.refuse = refuse_bad
    mine = place.push(place.plan(customers(3)), reason="spring prices")
    place.sandbox.vendor.refuse = None
    place.clock.sleep(5)
    theirs = colleague.push(colleague.plan(customers(1, start=20)), reason="<b>theirs</b>")
    history = push_history(settings=place.settings)
    assert history.frame[["state", "rows", "accepted", "refused", "reason"]].to_numpy().tolist() == [
        ["elsewhere", 1, 1, 0, "<b>theirs</b>"],
        ["done", 3, 2, 1, "spring prices"],
        ["elsewhere", 1, 1, 0, "the vendor's export"],
    ]  # fmt: skip
    assert history.frame["push"].tolist()[:2] == [theirs.push, mine.push]
    assert "3 pushes, 4 rows accepted" in repr(history)
    assert history.to_frame() is history.frame
    assert len(history.to_dict()["pushes"]) == 3
    shown = Page(history.body())
    pushes = shown.grids["All pushes"]
    assert [row[2] for row in pushes.rows] == ["1", "3", "1"]
    assert "2 accepted, 1 refused" in pushes.rows[1][3]
    assert [unit["state"] for unit in pushes.units] == [["elsewhere"], ["done"], ["elsewhere"]]
    assert "<b>theirs" not in history.body()
    assert f'report = tk.push_report("{mine.push}")' in shown.code  # one refused row, and no repush
    assert [words[12:] for _, words in shown.links] == ["1 accepted, elsewhere", "2 accepted, 1 refused, done",
                                                        "1 accepted, elsewhere"]  # fmt: skip
    assert {address.removeprefix("#") for address, _ in shown.links} == shown.places


def test_the_history_says_which_push_sent_refused_rows_again(place: Place, customers) -> None:
    place.sandbox.vendor.refuse = refuse_bad
    first = place.push(customers(3))
    place.sandbox.vendor.refuse = None
    place.clock.sleep(3600)
    second = place.push(repush(first, settings=place.settings, reason="the list is open"))
    shown = Page(push_history(settings=place.settings).body())
    states = [row[4] for row in shown.grids["All pushes"].rows]
    assert states == ["done", f"done sent again by {second.push}"]
    assert "What waits" not in shown.sections
    assert shown.parts == {"accepted": 3, "refused": 1}
    assert "square root" in shown.text
    assert "of pushes that were sent again: 1" in shown.text
    day, *times = re.findall(r"(?:\d{4}-\d\d-\d\d )?\b\d\d:\d\d\b(?!:)", shown.text)
    assert (len(day), len(set(times)), {len(time) for time in times}) == (16, 4, {5})  # the day once, then its times


def test_a_plan_that_is_pushed_again_takes_up_its_abandoned_push(place: Place, customers) -> None:
    plan = place.plan(customers(3))
    place.sandbox.vendor.troubles.append(Reply(401))
    with pytest.raises(AuthorizationError):
        place.push(plan)
    second = place.push(plan)
    shown = Page(push_history(settings=place.settings).body())
    assert [row[4] for row in shown.grids["All pushes"].rows] == ["done", f"abandoned sent again by {second.push}"]
    assert shown.parts == {"accepted": 3, "unsent": 3}
    assert "of pushes that were sent again: 3" in shown.text
    assert "the vendor does not have them" not in shown.text


def test_a_page_names_no_address_but_the_vendors(place: Place, customers) -> None:
    place.push(customers(3))
    for drawn in (page("x", push_history(settings=place.settings).body()), page("x", place.push(customers(4)).body())):
        assert "://" not in re.sub(r"https?://127\.0\.0\.1:\d+|to https?://\S+", "", drawn)
        assert not re.findall(r'style="[^"]*#[0-9a-fA-F]{3}', drawn)  # no colour but the theme's


def test_a_long_history_has_every_push_and_a_picture_of_the_newest(place: Place, customers) -> None:
    place.push(customers(1))
    one = push_history(settings=place.settings)
    many = Page(replace(one, frame=pd.concat([one.frame] * 135, ignore_index=True)).body())
    assert len(many.grids["All pushes"].rows) == 135
    assert [words[12:] for _, words in many.links] == ["1 accepted, done"] * 60


def test_a_dry_run_is_reported_as_one(clock: Clock, customers) -> None:
    with vendor(clock, contract="current") as sandbox:
        place = Place(sandbox, clock, {"contract": "current"})
        report = dry_run(place.plan(customers(2)), settings=place.settings, pace=clock.pace, progress=False)
        assert "dry run: nothing written" in report.body()
        assert "All 2 rows were accepted by the vendor's check" in Page(report.body()).verdict


def test_a_result_says_whether_it_has_findings(place: Place, customers) -> None:
    report = place.push(customers(3))
    waits = replace(report, sent=told(report.sent, "unsent", first=2), state="open")
    assert (report.has_findings, waits.has_findings) == (False, True)
    assert not replace(waits, state="abandoned").has_findings  # to leave it was decided
    assert replace(waits, state="abandoned", stopped="The token was refused.").has_findings
    found = status(settings=place.settings)
    assert not found.has_findings
    assert replace(found, pushes=found.pushes.assign(state="open")).has_findings
    patch = patch_between(customers(2), customers(2, customer_name="Acme"), who="jo")
    assert (patch.has_findings, replace(patch, entries=patch.entries.head(0)).has_findings) == (False, True)
    previews = [preview_corrections(customers(1, customer_name=name)) for name in ("Acme", " Acme")]
    assert [each.has_findings for each in previews] == [False, True]


def test_a_report_of_many_refused_rows_stays_small(place: Place, customers) -> None:
    place.sandbox.vendor.refuse = lambda row: "customer_price_list_id is closed"
    report = place.push(customers(1_000))
    assert len(page("x", report.body())) < 400_000
    rows, fates = pa.concat_tables([report.sent.rows] * 6), np.tile(report.sent.fates, 6)
    receipts = [replace(report.sent.receipts[0], first=0, stop=6_000)]
    many = replace(report, sent=replace(report.sent, rows=rows, fates=fates, receipts=receipts))
    assert len(many.body()) < 5_000_000
    assert len(Page(many.body()).grids["Refused by the vendor"].rows) == 5_000

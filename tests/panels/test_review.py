"""The review as a plain object: steps are the patch, an edited row alone is checked again, and undo leaves nothing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toolkit as tk
from toolkit.display import figures
from toolkit.errors import InputError
from toolkit.panels import Review, ReviewPanel, Session
from toolkit.quality import check_again, checked

DATA = Path(__file__).parent.parent.parent / "data"
NAME = "2026-09-01_customers.csv"


@pytest.fixture(scope="module")
def report() -> Any:
    return tk.validate(tk.correct(tk.read_customers(DATA / NAME, mapping=DATA / "2026-09-01_customers.toml")))


def states(review: Review) -> dict[str, int]:
    return review.counts("state")


def test_an_edited_row_is_checked_again_and_only_rules_over_the_file_wait(report: Any) -> None:
    review = Review(report)
    assert (states(review), len(review.rows)) == ({"failure": 9, "warning": 5}, 13)
    assert (
        review.act("edit", row=101, column="updated_at", value="30.06.2026 09:30")
        == "Row 101: edited, nothing is wrong."
    )
    assert review.act("edit", row=101, column="updated_at", value="30.06.2026").startswith(
        "Row 101: to fix: Geändert am is"
    )
    assert review.act("undo") == "Taken back: row 101 · Geändert am."
    assert review.act("edit", row=167, column="customer_id", value="0001106").startswith(
        "Row 167: edited"
    )  # another time
    review.act("edit", row=167, column="updated_at", value="05.10.2025 12:53")
    twins = [row for row in (56, 143, 167) if "are in more than one row" in review._state(row)[0]]
    assert twins == [56, 143, 167]  # the edit made a third
    review.act("undo")
    review.act("leave_out", row=143)
    assert review._state(56) == ("fine", "calm")  # its twin is gone
    assert states(review) == {"failure": 5, "warning": 4, "edited": 2, "left out": 1}
    review.act("edit", row=408, column="customer_id", value="0009999")
    assert "near" not in json.dumps(review._line(review.index.get_loc(408)))
    assert "differs from another only by case" in review._state(61)[0]  # a rule over the file: it waits
    assert "wait for Recheck all" in review.view().still()
    review.act("recheck")
    assert "differs from another only by case" not in review._state(61)[0]
    assert "wait for Recheck all" not in review.view().still()
    assert review.report.n_quarantined == 5


def test_what_twins_differ_in_is_marked_and_the_picture_counts_every_row(report: Any) -> None:
    review = Review(report)
    marks = review._line(review._places[140])[4]
    assert marks[review.columns.index("customer_name")] == ["warn", "row 156 differs"]
    assert set(marks) == {review.columns.index("customer_name"), review.columns.index("customer_id")}
    review.write(156, "customer_name", "Dünenhof Hygiene B.V.")
    assert set(review._line(review._places[140])[4]) == {review.columns.index("customer_id")}
    review.act("leave_out", row=143)
    shown = review.view().still()
    assert figures(review.parts) == "391 clean, 4 to look at, 7 to fix, 1 left out"
    assert 'aria-label="391 clean, 4 to look at, 7 to fix, 1 left out"' in shown
    assert '<i style="width: 57%" class="warn">' in shown  # 4 of 7, the most frequent state


def test_a_line_with_one_cell_too_many_is_joined_as_a_step_that_is_the_patch(report: Any, tmp_path: Path) -> None:
    review = Review(report)
    before = review._line(review._places[90])
    [way] = before[-1]
    assert way[0] == "Join 2 cells"
    assert review.act(**way[1]) == "Row 90: edited, nothing is wrong."
    assert review._line(review._places[90])[-1] == []
    assert "row 90" in review.view().still()
    assert "2 cells joined" in review.view().still()
    done = tk.apply_patch(review.base, review.patch.write(tmp_path / "p.csv"))  # the same file, read again
    assert done.frame.loc[90, ["customer_name", "customer_category", "source"]].tolist() == [
        "Kettlinghaus; Sohn & Co. KG", "Fachhandel", "customer"]  # fmt: skip
    assert tk.validate(done).n_quarantined == 8
    assert review.act("undo") == "Taken back: row 90."
    assert review._line(review._places[90]) == before


def test_the_steps_are_the_patch_of_the_file_and_a_line_becomes_a_row(report: Any, tmp_path: Path) -> None:
    review = Review(report)
    for column, text in (
        ("customer_name", "Kettlinghaus; Sohn"),
        ("updated_at", "24.05.2024 11:38"),
        ("source", "peak"),
    ):
        review.write(90, column, text)
    review.act("leave_out", row=143)
    review.act("leave_out", row=56)
    review.act("leave_out", row=56)  # and takes it back
    assert review.act("to_file", fields={"patch": str(tmp_path / "p.csv")}).endswith("p.csv is written.")
    done = tk.apply_patch(review.base, tmp_path / "p.csv")
    assert (done.n_applied, done.n_stale, done.n_unknown) == (4, 0, 0)
    pd.testing.assert_frame_equal(done.frame, review.delivery.frame)
    assert review.report.to_dict() == tk.validate(done).to_dict()
    assert review.delivery.digest == checked(report).digest
    other = Review(report)
    other.act("from_file", fields={"back": str(tmp_path / "p.csv")})
    pd.testing.assert_frame_equal(other.delivery.frame, review.delivery.frame)
    assert len(other.edits) == 1
    other.act("undo")
    assert other.patch.n_entries == 0


def test_a_review_sheet_goes_out_and_comes_back_as_one_step(report: Any, tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    sheet, review = tmp_path / "review.xlsx", Review(report)
    review.write(101, "updated_at", "30.06.2026 09:30")
    review.act("to_file", fields={"sheet": str(sheet)})
    book = openpyxl.load_workbook(sheet)
    rows = next(s for s in book if s.max_column > 5)
    heads = [c.value for c in rows[1]]
    line = next(r for r in rows.iter_rows(min_row=2) if r[0].value == 167)
    line[heads.index("Kundennummer")].value = "0001317"
    book.save(sheet)
    said = review.act("from_file", fields={"back": str(sheet)})
    assert "1 applied, 0 done before, 0 stale" in said
    assert review._state(167) == ("edited, nothing is wrong", "good")
    assert review.patch.entries[["source_row", "column", "rule"]].to_numpy().tolist() == [
        [101, "updated_at", "by hand"], [167, "customer_id", "data owner"]
    ]  # fmt: skip


def test_a_sheet_that_came_back_is_uploaded_in_slices(
    report: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = Review(report)
    first.write(101, "customer_name", "Möwensund")
    content, review = first.patch.write("made.csv").read_bytes(), Review(report)
    review.act("upload", name="back.csv", size=len(content), at=0, data=content[:50])
    assert not review.edits
    said = review.act("upload", name="back.csv", size=len(content), at=50, data=content[50:])
    assert said.startswith("back.csv is in the notebook's folder. back.csv: 1 applied")
    assert review.delivery.frame.at[101, "customer_name"] == "Möwensund"
    with pytest.raises(InputError, match=r"ends in .csv, .xlsx"):
        review.act("upload", name="back.parquet", size=1, at=0, data=b"P")


def test_facets_are_or_within_and_and_between(report: Any) -> None:
    review = Review(report)
    review.act("filter", by="state", of="failure", value=True)
    assert review.act("filter", by="state", of="warning", value=True) == "13 rows shown."
    review.act("filter", by="column", of="Firmenname", value=True)
    assert review.rows == [61, 333, 367, 408]
    assert review.counts("state") == {"warning": 4, "failure": 0}  # what the other facets leave
    review.act("filter", by="query", value="SÖLVANG")
    assert review.rows == [61, 408]
    review.act("filter", by="query", value="SÖLVANG ")  # and more will be typed: the field keeps it as it is
    assert review.rows == [61, 408]
    assert '"value": "S\\u00d6LVANG "' in json.dumps(review.view().tree())
    first = json.dumps(review.page(0)["rows"])
    assert f'"data-rows": {json.dumps(first)}' in json.dumps(review.view().tree())  # a message less
    assert review.act("filter", by="all") == "403 rows shown."
    assert review.counts("value")["empty"] == 3
    review.act("filter", by="value", of="31.06.2026 09:30", value=True)
    assert review.rows == [101]
    assert review.act("go_to", row=408) == "Row 408."  # it is not among those shown
    assert len(review.rows) == 403
    grid = json.dumps(review.view().tree())
    assert f'"data-goto": {review.rows.index(408)}' in grid
    assert review._line(review.rows.index(61))[-1] == [["Go to row 408", {"do": "go_to", "row": 408}]]
    page = review.act("page", at=200)
    assert (len(page["rows"]), page["rows"][0][0]) == (200, review.rows[200])
    json.dumps(page, allow_nan=False)
    json.dumps(review.view().tree(), allow_nan=False)
    assert "Recheck all" not in review.view().still()  # a picture has no buttons


def test_a_search_finds_what_an_edit_wrote_and_no_longer_what_it_replaced(report: Any) -> None:
    review = Review(report)
    review.act("filter", by="all")
    review.act("filter", by="query", value="sölvang")
    before = review.rows
    review.act("edit", row=61, column="customer_name", value="Möwensund")
    review.act("edit", row=101, column="customer_name", value="Neu Sölvang")
    assert {61, 101} ^ {*before} == {*review.rows}
    review.act("undo")
    assert [*sorted({*before} - {61})] == review.rows


def test_steps_survive_a_restart_and_a_file_that_changed(report: Any) -> None:
    review = Review(report)
    review.write(167, "customer_id", "0001317")
    review.act("leave_out", row=143)
    review.write(101, "customer_name", "Möwensund")
    kept = json.loads(json.dumps(review.kept()))
    again = Review(report)
    again.restore(kept)
    assert again.edits == review.edits
    changed = Review(check_again(report, dataclasses.replace(checked(report), digest="another")))
    changed.restore(kept)
    assert "2 without a row in" in changed.view().still()
    assert changed.delivery.frame.at[101, "customer_name"] == "Möwensund"  # by its customer
    assert not changed.is_out(143)  # a row is left out of its own file only


def test_a_frame_is_reviewed_and_what_is_no_report_is_refused() -> None:
    times = pd.to_datetime(["2026-01-01T00:00:00Z"] * 2)
    frame = pd.DataFrame({"customer_id": ["A", "A"], "updated_at": times, "source": ["ERP", "customer"]})
    review = Review(tk.validate(frame))
    assert states(review) == {"failure": 2}
    review.act("leave_out", row=0)
    assert review.report.ok
    assert review.delivery.digest == ""
    for other in (frame, None):
        with pytest.raises(InputError, match=r"validate\(data\) gives one"):
            ReviewPanel(other)
    with pytest.raises(InputError, match="are on disk"):
        ReviewPanel(tk.validate(DATA / NAME, mapping=DATA / "2026-09-01_customers.toml"))


TEXTS = st.sampled_from(["", "A", "B", "2026-02-01T00:00:00Z", "customer", "ERP", "soon"])
STEPS = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(["customer_id", "updated_at", "source", "out", "undo"]), TEXTS),
    max_size=12,
)


@settings(max_examples=12)
@given(steps=STEPS)
def test_the_patch_makes_the_same_frame_and_undo_leaves_nothing(small: Any, steps: list[tuple[int, str, str]]) -> None:
    review = Review(small)
    before = review.page(0)["rows"]
    for row, column, text in steps:
        if column == "out":
            review.act("leave_out", row=row)
        elif column == "undo":
            review.act("undo", at=row % len(review.edits) if review.edits else -1)
        else:
            review.write(row, column, text)
    done = tk.apply_patch(review._own, review.patch)
    pd.testing.assert_frame_equal(done.frame, review.delivery.frame)
    for at, row in enumerate(review.index):
        shown = [review.shown[column][at] for column in review.columns]
        if not review.is_out(row):
            assert shown == [
                None if pd.isna(c) else review.base.written(c) for c in done.frame.loc[row, review.columns]
            ]
    while review.edits:
        review.act("undo", at=0)
    assert review.patch.n_entries == 0
    assert review.page(0)["rows"] == before


@pytest.fixture(scope="module")
def small() -> Any:
    times = pd.to_datetime([f"2026-01-0{n}T00:00:00Z" for n in (1, 2, 2, 3, 4)])
    ids = pd.Series(["A", "B", "B", None, "C"], dtype="str")
    return tk.validate(pd.DataFrame({"customer_id": ids, "updated_at": times, "source": ["peak"] * 5}))


def test_a_session_goes_on_with_the_edits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / NAME).write_bytes((DATA / NAME).read_bytes())
    monkeypatch.chdir(tmp_path)
    session = Session(NAME)
    session.act("session_next")
    session.act("set_timezone", value="Europe/Berlin")
    session.act("ignore")
    session.act("session_next")
    session.act("map_word", column="source", word="ERP", value="customer")
    session.act("choose_correction", rule="drop_exact_duplicates", value=True)
    session.act("session_next")
    session.act("leave_out", row=143)
    session.act("session_visit", at=1)
    again = Session(NAME)
    again.act("session_go_on")
    again.act("session_next")
    again.act("session_next")
    assert again.step.title == "Review"
    assert again.step.is_out(143)
    again.act("session_next")
    assert again.work.patch.n_entries == 1
    assert 143 not in again.work.report.good.index
    assert again.mapping.values == {"source": {"ERP": "customer"}}
    assert tk.mappings().kept[0].mapping == again.mapping

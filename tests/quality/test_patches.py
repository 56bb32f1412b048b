"""A patch: corrections that are kept in a file and applied again; each entry is applied, done, stale or unknown."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.pages import Page
from toolkit.errors import CorrectionError, InputError, ReadingError
from toolkit.model.delivery import Delivery, no_broken_lines
from toolkit.quality.correcting import correct
from toolkit.quality.patches import PATCH_COLUMNS, Patch, apply_patch, patch_between, read_patch
from toolkit.quality.validation import validate
from toolkit.reading.customers import read_customers
from toolkit.reading.mapping import Mapping

ROOT = Path(__file__).parents[2]
AT = "2026-01-01T00:00:00Z"
WHEN = pd.Timestamp("2026-11-25T10:00:00Z").to_pydatetime()


def delivery_of(frame: pd.DataFrame, digest: str = "d1") -> Delivery:
    return Delivery(frame.rename_axis("source_row"), source="crm.csv", digest=digest)


def test_edited_cells_are_a_patch_and_the_patch_makes_them_again(customers) -> None:
    before = delivery_of(customers(3))
    edited = before.frame.copy()
    edited.loc[3, "customer_name"] = "Acme"
    edited.loc[4, "customer_category"] = None
    edited.loc[2, "updated_at"] = pd.Timestamp("2026-02-02T00:00:00Z")
    after = dataclasses.replace(before, frame=edited)
    patch = patch_between(before, after, who="jo", when=WHEN)
    assert patch.entries[["customer_id", "column", "after", "who", "when"]].fillna("null").to_numpy().tolist() == [
        ["C00000", "updated_at", "2026-02-02T00:00:00Z", "jo", "2026-11-25T10:00:00Z"],
        ["C00001", "customer_name", "Acme", "jo", "2026-11-25T10:00:00Z"],
        ["C00002", "customer_category", "null", "jo", "2026-11-25T10:00:00Z"],
    ]
    done = apply_patch(before, patch)
    assert (done.n_applied, done.n_done, done.n_stale, done.n_unknown) == (3, 0, 0, 0)
    pd.testing.assert_frame_equal(done.frame, edited)
    again = apply_patch(done, patch)
    assert (again.n_applied, again.n_done) == (0, 3)


def test_a_patch_is_shown_in_the_words_of_the_file_that_it_is_of(customers) -> None:
    names = {"customer_name": "Firma", "updated_at": "Geändert am"}
    delivery = Delivery(customers(3), names=names, datetime="%d.%m.%Y %H:%M", timezone="Europe/Berlin")
    at = pd.Timestamp("2026-06-30T07:30:00Z")
    edited = delivery.frame.drop(index=delivery.frame.index[2])
    edited.loc[edited.index[0], "customer_name"], edited.loc[edited.index[1], "updated_at"] = "Bolt", at
    patch = patch_between(delivery, edited, who="jo")
    assert patch.summary() == "2 cells changed, 1 row dropped, of 3 customers, by jo"
    for shown in (patch, apply_patch(delivery, patch)):
        page = Page(shown.body())
        rows = page.grids["Entries"].rows
        assert {row[2] for row in rows} == {"Firma customer_name", "Geändert am updated_at", "(row)"}
        assert next(row[4] for row in rows if row[2].startswith("Geändert")) == "30.06.2026 09:30"
    assert Page(patch.body()).parts == {"cells changed": 2, "row dropped": 1}


@pytest.mark.parametrize("when", [datetime(2026, 11, 25), pd.NaT, "2026-11-25", 5])
def test_a_moment_without_a_zone_is_refused(customers, when: Any) -> None:
    with pytest.raises(InputError, match="when names no zone"):
        patch_between(customers(1), customers(1, customer_name="New"), when=when)


def test_the_next_delivery_is_patched_by_customer_and_what_no_longer_fits_is_left(customers) -> None:
    before = delivery_of(customers(4))
    after = before.frame.assign(customer_category=["Grossists", "Grossists", "Grossists", "Grossists"])
    patch = patch_between(before, after)
    following = customers(3).assign(customer_category=["Retail", "Grossists", "Elsewhere"])
    moved = delivery_of(following.set_axis([10, 11, 12]), "d2")
    done = apply_patch(moved, patch)
    assert dict(zip(done.entries["customer_id"], done.entries["status"], strict=True)) == {
        "C00000": "applied",
        "C00001": "done",
        "C00002": "stale",
        "C00003": "unknown",
    }
    assert done.frame["customer_category"].tolist() == ["Grossists", "Grossists", "Elsewhere"]
    assert "1 stale" in repr(done)
    assert "Elsewhere" not in done.summary()


def test_every_version_of_a_customer_with_the_old_value_is_corrected(customers) -> None:
    frame = customers(3, customer_id=["A", "A", "A"], customer_name=["Acme Ldt", "Acme Ldt", "Acme Ltd"])
    patch = Patch(patch_between(frame.head(1), frame.head(1).assign(customer_name="Acme Ltd")).entries)
    done = apply_patch(delivery_of(frame), patch)
    assert done.frame["customer_name"].tolist() == ["Acme Ltd"] * 3
    assert done.n_applied == 1


def test_a_row_is_dropped_in_its_own_delivery_only(customers) -> None:
    before = delivery_of(customers(3))
    patch = patch_between(before, dataclasses.replace(before, frame=before.frame.drop(index=3)))
    assert apply_patch(before, patch).frame.index.tolist() == [2, 4]
    assert apply_patch(apply_patch(before, patch), patch).n_done == 1
    other = apply_patch(delivery_of(customers(3), "d2"), patch)
    assert (other.frame.index.tolist(), other.n_unknown) == ([2, 3, 4], 1)


def test_a_customer_whose_id_is_correct_already_is_found_by_the_new_id(customers) -> None:
    before = delivery_of(customers(2, customer_id=["123", None]))
    edited = before.frame.assign(customer_id=["0000123", "0000777"], source=["peak", "customer"])
    patch = patch_between(before, dataclasses.replace(before, frame=edited))
    assert apply_patch(before, patch).frame["customer_id"].tolist() == ["0000123", "0000777"]
    later = apply_patch(delivery_of(customers(1, customer_id=["0000123"]), "d2"), patch)
    assert later.entries[["column", "status"]].to_numpy().tolist() == [
        ["customer_id", "done"],
        ["source", "applied"],
        ["customer_id", "unknown"],
    ]
    assert later.frame["source"].tolist() == ["peak"]


def test_a_cell_that_several_corrections_changed_is_one_entry_and_fits_the_next_raw_delivery(customers) -> None:
    raw = delivery_of(customers(1, customer_id=["123"], customer_name=["  Mu\u0308ller "], source=[" ERP"]))
    done = correct(raw, {"trim_spaces": True, "unicode_nfc": True, "source_to_customer": True, "pad_ids": 7})
    patch = done.patch(who="jo")
    assert done.n_changes == 5
    assert sorted(patch.entries[["customer_id", "column", "before", "after"]].to_numpy().tolist()) == [
        ["123", "customer_id", "123", "0000123"],
        ["123", "customer_name", "  Mu\u0308ller ", "M\u00fcller"],
        ["123", "source", " ERP", "customer"],
    ]
    next_raw = delivery_of(raw.frame.set_axis([40]), "d2")
    assert apply_patch(next_raw, patch).n_applied == 3
    assert apply_patch(delivery_of(done.frame.set_axis([40]), "d2"), patch).n_done == 3


def test_a_column_that_the_delivery_does_not_give_is_left(customers) -> None:
    before = delivery_of(customers(1))
    patch = patch_between(before, before.frame.assign(source="peak"))
    silent = dataclasses.replace(delivery_of(customers(1, source=[None]), "d2"), given=("customer_id", "updated_at"))
    done = apply_patch(silent, patch)
    assert (done.n_stale, done.frame["source"].isna().all()) == (1, True)
    lacking = apply_patch(customers(1).drop(columns="source"), patch)
    assert (lacking.n_stale, "source" in lacking.frame) == (1, False)


def test_a_line_that_was_set_aside_can_be_dropped(customers) -> None:
    line = no_broken_lines().reindex([9]).assign(customer_id="C9", reason="too many cells", text="C9;a;b")
    delivery = dataclasses.replace(delivery_of(customers(1)), broken=line)
    entry = {"customer_id": "C9", "column": "(row)", "source_row": 9, "delivery": "d1"}
    patch = Patch(pd.DataFrame([dict.fromkeys(PATCH_COLUMNS, "") | entry]))
    done = apply_patch(delivery, patch)
    assert (done.n_applied, done.delivery.n_broken, done.frame.index.tolist()) == (1, 0, [2])
    assert apply_patch(done, patch).n_done == 1


def test_a_patch_may_be_full_of_control_characters(customers, tmp_path: Path) -> None:
    before = delivery_of(customers(1, customer_name=["\x1f" * 60]))
    patch = patch_between(before, before.frame.assign(customer_name="Acme"))
    assert read_patch(patch.write(tmp_path / "patch.csv")).entries["before"].tolist() == ["\x1f" * 60]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
UNUSUAL = st.sampled_from(['""', '\\""', "=1+1", "NA", "", "null", "\r\n", "\r", "a\nb", '"', "\\", "\ufeff"])
CELLS = st.none() | TEXT | UNUSUAL
ROWS = st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6)


@settings(max_examples=40)
@given(ROWS, st.data())
def test_a_patch_between_two_frames_turns_the_first_into_the_second_whatever_the_text(
    rows: list[tuple[str | None, str | None]], data: st.DataObject
) -> None:
    edited = [data.draw(st.tuples(CELLS, CELLS)) for _ in rows]
    index = pd.RangeIndex(2, len(rows) + 2, name="source_row")

    def frame(cells: list[tuple[str | None, str | None]]) -> pd.DataFrame:
        columns = {"customer_id": [a or None for a, _ in cells], "customer_name": [b or None for _, b in cells]}
        times = pd.Series([pd.Timestamp(AT)] * len(cells), index=index, dtype="datetime64[us, UTC]")
        return pd.DataFrame(columns, index=index, dtype="str").assign(updated_at=times)

    before = Delivery(frame(rows), digest="d1")
    after = Delivery(frame(edited), digest="d1")
    with TemporaryDirectory() as folder:
        patch = read_patch(patch_between(before, after, who="jo").write(Path(folder, "patch.csv")))
    done = apply_patch(before, patch)
    pd.testing.assert_frame_equal(done.frame, after.frame)
    assert done.n_applied == patch.n_entries
    again = apply_patch(done, patch)
    pd.testing.assert_frame_equal(again.frame, after.frame)
    assert again.n_done == patch.n_entries


def test_an_empty_text_counts_as_null(customers) -> None:
    before = delivery_of(customers(2, customer_name=["", "A"]))
    patch = patch_between(before, before.frame.assign(customer_name=["B", ""]))
    assert patch.entries[["before", "after"]].isna().to_numpy().tolist() == [[True, False], [False, True]]
    assert apply_patch(before, patch).frame["customer_name"].fillna("null").tolist() == ["B", "null"]


def test_corrections_are_a_patch_and_the_mapping_applies_it_to_the_next_delivery(tmp_path: Path) -> None:
    shipped = ROOT / "data" / "2026-09-01_customers.csv"
    mapping = Mapping.load(ROOT / "data" / "2026-09-01_customers.toml")
    raw = read_customers(shipped, mapping=mapping)
    corrected = correct(raw)
    patch = corrected.patch(who="jo")
    assert patch.n_entries == len(corrected.changes.drop_duplicates(["source_row", "column"]))
    pd.testing.assert_frame_equal(apply_patch(raw, patch).frame, corrected.frame)
    patch.write(tmp_path / "september.csv")
    toml = (ROOT / "data" / "2026-09-01_customers.toml").read_text(encoding="utf-8")
    toml = toml[: toml.index("[corrections]")] + '[corrections]\npatch = "september.csv"\n'
    (tmp_path / "m.toml").write_text(toml, encoding="utf-8")
    by_patch = correct(read_customers(shipped, mapping=tmp_path / "m.toml"))
    pd.testing.assert_frame_equal(by_patch.frame, corrected.frame)
    # Of the four copies that were dropped, the patch changes no cell first.
    copies = corrected.changes.loc[corrected.changes["column"] == "(row)", "source_row"]
    on_copies = corrected.changes["source_row"].isin(copies) & (corrected.changes["column"] != "(row)")
    assert by_patch.counts == {"patch": patch.n_entries - int(on_copies.sum())}
    assert f"{patch.n_entries:,} applied, 0 done before, 0 stale" in by_patch.notes[0]
    assert validate(by_patch).n_good == validate(corrected).n_good
    # A month later the corrections of September no longer find every old value, and say so.
    october = read_customers(
        ROOT / "data" / "2026-10-01_customers.xlsx", mapping=ROOT / "data" / "2026-10-01_customers.toml"
    )
    later = apply_patch(october, patch)
    assert later.n_applied + later.n_done + later.n_stale + later.n_unknown == patch.n_entries
    names = later.entries[later.entries["rule"] == "trim_spaces"]
    held = dict(zip(october.frame["customer_id"], october.frame["customer_name"], strict=True))
    for entry in names.to_dict("records"):
        cell = held.get(entry["customer_id"])
        wanted = {entry["before"]: "applied", entry["after"]: "done", None: "unknown"}.get(cell, "stale")
        assert entry["status"] == wanted


def test_a_patch_written_by_hand_needs_four_columns(customers, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("customer_id,column,before,after\nC00000,source,customer,peak\n", encoding="utf-8")
    done = apply_patch(customers(1), tmp_path / "p.csv")
    assert (done.frame["source"].tolist(), done.entries["rule"].tolist()) == (["peak"], ["p"])
    for text, words in [
        ("customer_id,column\nA,source\n", "lacks the columns before, after"),
        ("customer_id,column,before,after\nA,source,a\n", "row 2 cannot be read"),
    ]:
        (tmp_path / "bad.csv").write_text(text, encoding="utf-8")
        with pytest.raises(CorrectionError, match=words):
            read_patch(tmp_path / "bad.csv")
    (tmp_path / "bad.csv").write_text("", encoding="utf-8")
    with pytest.raises(ReadingError, match=r"bad\.csv"):
        read_patch(tmp_path / "bad.csv")
    with pytest.raises(ReadingError, match=r"bed\.csv.*did you mean 'bad\.csv'"):
        read_patch(tmp_path / "bed.csv")
    with pytest.raises(CorrectionError, match="patch takes the path"):
        correct(customers(1), ["patch"])
    assert set(PATCH_COLUMNS[:7]) == {"customer_id", "column", "before", "after", "rule", "who", "when"}


def test_a_patch_adds_no_rows_and_no_columns(customers) -> None:
    with pytest.raises(CorrectionError, match="Row 4 is new"):
        patch_between(customers(2), customers(3))
    with pytest.raises(CorrectionError, match="'ort' is a new column"):
        patch_between(customers(2), customers(2).assign(ort="x"))


def test_a_patch_has_an_ending_that_is_read_again(customers, tmp_path: Path) -> None:
    patch = patch_between(customers(1), customers(1, source=["peak"]))
    with pytest.raises(InputError, match=r"ends in \.csv"):
        patch.write(tmp_path / "patch.xlsx")

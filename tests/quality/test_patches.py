"""A patch: corrections that are kept and applied again; done, stale and unknown are told apart."""

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

from toolkit.errors import CorrectionError, InputError
from toolkit.model.delivery import Delivery
from toolkit.quality.correcting import correct, preview_corrections
from toolkit.quality.corrections import CORRECTIONS
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


def test_every_version_of_a_customer_that_holds_the_fault_is_put_right(customers) -> None:
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


def test_a_mended_id_is_done_where_the_new_one_stands(customers) -> None:
    before = delivery_of(customers(2, customer_id=["123", None]))
    after = dataclasses.replace(before, frame=before.frame.assign(customer_id=["0000123", "0000777"]))
    patch = patch_between(before, after)
    assert apply_patch(before, patch).frame["customer_id"].tolist() == ["0000123", "0000777"]
    later = apply_patch(delivery_of(customers(1, customer_id=["0000123"]), "d2"), patch)
    assert later.entries["status"].tolist() == ["done", "unknown"]


def test_a_column_that_the_delivery_does_not_speak_of_is_left(customers) -> None:
    before = delivery_of(customers(1))
    patch = patch_between(before, before.frame.assign(source="peak"))
    silent = dataclasses.replace(delivery_of(customers(1, source=[None]), "d2"), given=("customer_id", "updated_at"))
    done = apply_patch(silent, patch)
    assert (done.n_stale, done.frame["source"].isna().all()) == (1, True)


def test_a_patch_may_be_full_of_control_characters(customers, tmp_path: Path) -> None:
    before = delivery_of(customers(1, customer_name=["\x1f" * 60]))
    patch = patch_between(before, before.frame.assign(customer_name="Acme"))
    assert read_patch(patch.write(tmp_path / "patch.csv")).entries["before"].tolist() == ["\x1f" * 60]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
ODD = st.sampled_from(['""', '\\""', "=1+1", "NA", "", "null", "\r\n", "\r", "a\nb", '"', "\\", "\ufeff"])
CELLS = st.none() | TEXT | ODD
ROWS = st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6)


@settings(deadline=None, max_examples=80)
@given(ROWS, st.data(), st.sampled_from([".csv", ".parquet"]))
def test_a_patch_between_two_frames_makes_the_second_of_the_first_from_any_file(
    rows: list[tuple[str | None, str | None]], data: st.DataObject, ending: str
) -> None:
    edited = [data.draw(st.tuples(CELLS, CELLS)) for _ in rows]
    index = pd.RangeIndex(2, len(rows) + 2, name="source_row")

    def frame(cells: list[tuple[str | None, str | None]]) -> pd.DataFrame:
        columns = {"customer_id": [a for a, _ in cells], "customer_name": [b for _, b in cells]}
        times = pd.Series([pd.Timestamp(AT)] * len(cells), index=index, dtype="datetime64[us, UTC]")
        return pd.DataFrame(columns, index=index, dtype="str").assign(updated_at=times)

    before = Delivery(frame(rows), digest="d1")
    after = Delivery(frame(edited), digest="d1")
    with TemporaryDirectory() as folder:
        patch = read_patch(patch_between(before, after, who="jo").write(Path(folder, f"patch{ending}")))
    done = apply_patch(before, patch)
    pd.testing.assert_frame_equal(done.frame, after.frame)
    assert done.n_applied == patch.n_entries
    again = apply_patch(done, patch)
    pd.testing.assert_frame_equal(again.frame, after.frame)
    assert again.n_done == patch.n_entries


def test_corrections_are_a_patch_and_the_mapping_applies_it_to_the_next_delivery(tmp_path: Path) -> None:
    shipped = ROOT / "data" / "2026-09-01_customers.csv"
    mapping = Mapping.load(ROOT / "data" / "2026-09-01_customers.toml")
    raw = read_customers(shipped, mapping=mapping)
    corrected = correct(raw)
    patch = corrected.patch(who="jo")
    assert patch.n_entries == corrected.n_changes
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
    assert by_patch.counts == {"patch": corrected.n_changes - int(on_copies.sum())}
    assert f"{corrected.n_changes:,} applied, 0 done before, 0 stale" in by_patch.notes[0]
    assert validate(by_patch).n_good == validate(corrected).n_good
    # A month later the corrections of September no longer find what they mended, and say so.
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
        ("customer_id,column,before,after\nA,sorce,a,b\n", "'sorce'.*did you mean 'source'"),
        ("", "not a patch that can be read"),
    ]:
        (tmp_path / "bad.csv").write_text(text, encoding="utf-8")
        with pytest.raises(CorrectionError, match=words):
            read_patch(tmp_path / "bad.csv")
    with pytest.raises(CorrectionError, match=r"no patch .*did you mean 'bad\.csv'"):
        read_patch(tmp_path / "bed.csv")
    (tmp_path / "p.parquet").write_bytes(b"no")
    with pytest.raises(CorrectionError, match="not a patch that can be read"):
        read_patch(tmp_path / "p.parquet")
    with pytest.raises(CorrectionError, match="patch takes the path"):
        correct(customers(1), ["patch"])
    assert set(PATCH_COLUMNS[:7]) == {"customer_id", "column", "before", "after", "rule", "who", "when"}


def test_a_patch_adds_no_rows_and_no_columns(customers) -> None:
    with pytest.raises(CorrectionError, match="Row 4 is new"):
        patch_between(customers(2), customers(3))
    with pytest.raises(CorrectionError, match="'ort' is a new column"):
        patch_between(customers(2), customers(2).assign(ort="x"))


# --- the corrections that came with it


def test_spellings_of_a_category_become_the_most_used_one(customers) -> None:
    frame = customers(6, customer_category=["Großhandel", "GROSSHANDEL", "Groß-Handel ", "Großhandel", None, "Bau"])
    done = correct(frame, ["merge_spellings"])
    assert done.frame["customer_category"].fillna("null").tolist() == [*["Großhandel"] * 4, "null", "Bau"]
    assert done.counts == {"merge_spellings": 2}
    pairs = correct(frame, {"merge_spellings": {"to": {"Bau": "Handwerk"}}})
    assert pairs.changes.query("after == 'Handwerk'")["before"].tolist() == ["Bau"]
    for option, words in [
        ({"to": {"Bau": 7}}, "old words with the new"),
        ({"Bau": "x"}, "'columns' and 'to', not Bau"),
    ]:
        with pytest.raises(CorrectionError, match=words):
            correct(frame, {"merge_spellings": option})
    grades = customers(4, customer_category=["A", "A-", "1-10", "110"])
    assert correct(grades, ["merge_spellings"]).n_changes == 0  # signs that mean something stay


def test_a_tie_goes_to_the_spelling_that_comes_first(customers) -> None:
    frame = customers(2, customer_category=["retail", "Retail"])
    assert correct(frame, ["merge_spellings"]).frame["customer_category"].tolist() == ["retail", "retail"]


def test_sources_are_mapped_to_the_vendors_words(customers) -> None:
    frame = customers(3, source=[" erp", "Web", None])
    done = correct(frame, {"map_source": {"ERP": "customer", "web": "peak"}})
    assert done.frame["source"].fillna("null").tolist() == ["customer", "peak", "null"]
    with pytest.raises(CorrectionError, match=r"cannot be 'ERP'.*peak or customer"):
        correct(frame, {"map_source": {"x": "ERP"}})
    with pytest.raises(CorrectionError, match="old words with the new"):
        correct(frame, ["map_source"])


def test_contradicting_rows_are_settled_by_a_named_choice(customers) -> None:
    frame = customers(5, customer_id=["A", "A", "B", None, None], customer_name=["x", "y", "z", "u", "v"])
    assert correct(frame, ["keep_newest"]).frame["customer_name"].tolist() == ["y", "z", "u", "v"]
    assert correct(frame, {"keep": [2]}).frame["customer_name"].tolist() == ["x", "z", "u", "v"]
    assert correct(frame, {"keep": [2]}).n_changes == 1
    for option, words in [
        (True, "needs the source_row"),
        ([99], "row 99"),
        ("2", "needs the source_row"),
        ([2, 3], "2 rows of one key"),
    ]:
        with pytest.raises(CorrectionError, match=words):
            correct(frame, {"keep": option})


def test_a_preview_says_what_each_correction_would_change_and_changes_nothing() -> None:
    delivery = read_customers(
        ROOT / "data" / "2026-09-01_customers.csv", mapping=ROOT / "data" / "2026-09-01_customers.toml"
    )
    as_it_was = delivery.frame.copy()
    found = preview_corrections(delivery, {"pad_ids": 7})
    pd.testing.assert_frame_equal(delivery.frame, as_it_was)
    # data/README.md: nine names with stray spaces, four copies, one number without its zeros; ERP nearly everywhere.
    assert found.counts["trim_spaces"] == 9
    assert found.counts["drop_exact_duplicates"] == 4
    assert found.counts["pad_ids"] == 0  # the one short id would become another customer's
    assert found.counts["source_to_customer"] == int((as_it_was["source"] == "ERP").sum())
    assert set(found.counts) | set(found.needs) | {"restamp"} == set(CORRECTIONS)
    assert "needs the source_row" in found.needs["keep"]
    assert "trim_spaces 9" in repr(found)
    assert "→" in found.body()
    with pytest.raises(CorrectionError, match="width"):
        preview_corrections(delivery, {"pad_ids": "x"})


def test_a_patch_has_an_ending_that_is_read_again(customers, tmp_path: Path) -> None:
    patch = patch_between(customers(1), customers(1, source=["peak"]))
    with pytest.raises(InputError, match=r"ends in \.csv or \.parquet"):
        patch.write(tmp_path / "patch.xlsx")


@pytest.mark.parametrize("data", ["crm.csv", None, 7])
def test_what_are_no_customers_says_so(data: object) -> None:
    for station in (correct, preview_corrections):
        with pytest.raises(InputError, match="Customers are wanted"):
            station(data)  # type: ignore[arg-type]

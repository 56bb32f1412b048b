"""correct(): each named correction, chosen by name and listed cell by cell; none runs unasked."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pages import Page
from toolkit.errors import CorrectionError
from toolkit.model.delivery import Delivery
from toolkit.model.schema import empty_frame
from toolkit.quality.correcting import correct, preview_corrections
from toolkit.quality.corrections import CORRECTIONS
from toolkit.quality.rules import text_columns
from toolkit.reading.customers import read_customers

ROOT = Path(__file__).parents[2]
NOW = pd.Timestamp("2026-11-24T10:00:00Z")


def changed(frame: pd.DataFrame, *rules: str | dict) -> list[tuple]:
    chosen = rules[0] if len(rules) == 1 and isinstance(rules[0], dict) else list(rules)
    found = correct(frame, chosen, now=NOW).changes
    return list(found.astype(object).where(found.notna(), None).itertuples(index=False, name=None))


def test_nothing_runs_unasked(customers) -> None:
    frame = customers(3, customer_name=[" A ", "-", "e\u0301"], source=["ERP", "erp", None])
    for none in (None, [], {}, {"trim_spaces": False}):
        done = correct(frame, none)
        assert done.n_changes == 0
        pd.testing.assert_frame_equal(done.frame, frame)


def test_the_mappings_choice_holds_unless_another_is_given(customers) -> None:
    delivery = Delivery(customers(1, customer_name=[" A "]), corrections={"trim_spaces": True})
    assert correct(delivery).frame["customer_name"].tolist() == ["A"]
    assert correct(delivery, []).n_changes == 0


def test_spaces_are_trimmed_and_collapsed(customers) -> None:
    frame = customers(3, customer_name=["  A\u00a0 \t B\u2009", "A B", "\u3000 "])
    assert changed(frame, "trim_spaces") == [
        (2, "customer_name", "  A\u00a0 \t B\u2009", "A B", "trim_spaces"),
        (4, "customer_name", "\u3000 ", None, "trim_spaces"),
    ]
    one = customers(1, customer_name=[" A "], customer_category=[" B "])
    assert [c[1] for c in changed(one, {"trim_spaces": ["customer_category"]})] == ["customer_category"]


def test_letters_are_composed(customers) -> None:
    frame = customers(2, customer_name=["Mu\u0308ller", "M\u00fcller"])
    assert changed(frame, "unicode_nfc") == [(2, "customer_name", "Mu\u0308ller", "M\u00fcller", "unicode_nfc")]


def test_null_spellings_become_null_but_never_a_key(customers) -> None:
    frame = customers(3, customer_id=["-", "B", "NULL"], customer_name=["n/a", "NA", "-"])
    assert [c[:4] for c in changed(frame, "null_spellings")] == [
        (2, "customer_name", "n/a", None),
        (4, "customer_name", "-", None),
    ]
    assert [c[2] for c in changed(frame, {"null_spellings": ["NA"]})] == ["NA"]


def test_erp_becomes_customer(customers) -> None:
    frame = customers(4, source=["ERP", " erp", "peak", "CRM"])
    assert [(c[0], c[3]) for c in changed(frame, "source_to_customer")] == [(2, "customer"), (3, "customer")]
    assert [c[2] for c in changed(frame, {"source_to_customer": ["CRM"]})] == ["CRM"]
    assert changed(frame.drop(columns="source"), "source_to_customer") == []


def test_exact_duplicates_are_dropped_and_conflicting_ones_stay(customers) -> None:
    frame = customers(5, customer_id=["A", "A", "B", "B", None], customer_name=["x", "x", "x", "y", "x"])
    frame = pd.concat([frame, frame.tail(1).set_axis([9], axis=0)])
    done = correct(frame, ["drop_exact_duplicates"])
    assert list(done.frame.index) == [2, 4, 5, 6, 9]
    assert done.changes.to_dict("records") == [
        {"source_row": 3, "column": "(row)", "before": "present", "after": "dropped", "rule": "drop_exact_duplicates"}
    ]


def test_restamp_gives_chosen_customers_a_new_time(customers) -> None:
    frame = customers(3)
    done = correct(frame, {"restamp": {"at": "2026-10-02T10:00:00+02:00", "ids": ["C00001"]}})
    assert list(done.frame["updated_at"].astype("str")) == [
        "2026-01-01 00:00:00+00:00",
        "2026-10-02 08:00:00+00:00",
        "2026-01-01 00:00:00+00:00",
    ]
    assert done.n_changes == 1
    assert "updated_at" in done.delivery.given  # the delivery gives the time now, as if by a constant
    assert set(correct(frame, ["restamp"], now=NOW).frame["updated_at"]) == {NOW}
    assert str(correct(frame, ["restamp"], now=NOW).frame["updated_at"].dtype) == "datetime64[us, UTC]"


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (["trim_space"], "did you mean 'trim_spaces'"),
        ({"trim_spaces": ["customer_nam"]}, "did you mean 'customer_name'"),
        ({"null_spellings": 7}, "null_spellings takes true or a list"),
        ({"drop_exact_duplicates": ["A"]}, "takes no options"),
        ({"restamp": {"when": "now"}}, "'at' and 'ids'"),
        ({"restamp": "2026-10-02"}, "zone"),
        ({"restamp": "soon"}, "needs a time"),
        ({"restamp": {"ids": 7}}, "restamp takes"),
    ],
)
def test_a_choice_that_cannot_be_used_says_why(customers, rules: object, words: str) -> None:
    with pytest.raises(CorrectionError, match=words):
        correct(customers(2), rules)


def test_the_order_is_the_one_given(customers) -> None:
    frame = customers(1, customer_name=[" - "])
    assert correct(frame, ["trim_spaces", "null_spellings"]).frame["customer_name"].isna().all()
    assert correct(frame, ["null_spellings", "trim_spaces"]).frame["customer_name"].tolist() == ["-"]


TEXT = (
    st.none()
    | st.text(st.sampled_from(" \u00a0-AeE\u0301RP\u00fc"), max_size=4)
    | st.sampled_from(["ERP", "n/a", "-", "7", "07", "0000007"])
)
SAFE = [name for name in CORRECTIONS if name not in ("restamp", "keep")]
OPTIONS = {"pad_ids": 7, "map_source": {"ERP": "customer"}}


@given(
    rows=st.lists(st.tuples(TEXT, TEXT, TEXT), max_size=8),
    rules=st.lists(st.sampled_from(SAFE), unique=True, max_size=5),
)
def test_the_list_of_changes_is_exactly_the_difference_and_a_second_time_changes_nothing(
    rows: list[tuple], rules: list[str]
) -> None:
    index = pd.RangeIndex(2, len(rows) + 2, name="source_row")
    frame = empty_frame().reindex(index)
    frame["updated_at"] = pd.Series([NOW] * len(rows), index=index, dtype="datetime64[us, UTC]")
    for place, column in enumerate(("customer_id", "customer_name", "source")):
        frame[column] = pd.Series([r[place] for r in rows], index=index, dtype="str")
    chosen = {name: OPTIONS.get(name, True) for name in rules}
    done = correct(frame, chosen)
    rebuilt = frame.copy()
    for change in done.changes.to_dict("records"):  # replayed one by one, each finds what it says it found
        row, column = change["source_row"], change["column"]
        if column == "(row)":
            rebuilt = rebuilt.drop(index=row)
            continue
        found = rebuilt.at[row, column]
        assert found == change["before"] or (pd.isna(found) and pd.isna(change["before"]))
        rebuilt.at[row, column] = change["after"]
    pd.testing.assert_frame_equal(rebuilt, done.frame, check_dtype=False, check_frame_type=False)
    assert sum(done.counts.values()) == done.n_changes
    for rule in rules:
        once = correct(frame, {rule: chosen[rule]}).frame
        assert correct(once, {rule: chosen[rule]}).n_changes == 0
    assert set(text_columns(done.frame)) == set(text_columns(frame))


def test_wrongly_decoded_letters_are_repaired_and_correct_ones_left(customers) -> None:
    frame = customers(4, customer_name=["MÃ¼ller", "SociÃ©tÃ© GÃ©nÃ©rale", "Ångström «CAFÉ»", "„Quotes“ ﬁne"])
    done = correct(frame, ["mojibake"])
    assert done.frame["customer_name"].tolist() == ["Müller", "Société Générale", "Ångström «CAFÉ»", "„Quotes“ ﬁne"]
    assert list(done.changes["source_row"]) == [2, 3]


def test_invisible_characters_are_removed_and_joiners_stay(customers) -> None:
    frame = customers(3, customer_name=["\ufeffAl\u200bpha\x07", "می\u200cخواهم", "Al\tpha"])
    done = correct(frame, ["invisible_characters"])
    assert done.frame["customer_name"].tolist() == ["Alpha", "می\u200cخواهم", "Al\tpha"]


def test_ids_are_padded_but_never_into_another_customer(customers) -> None:
    frame = customers(7, customer_id=["123", "0000456", "456", "C12", None, "78", "078"])
    done = correct(frame, {"pad_ids": 7})
    assert done.frame["customer_id"].dropna().tolist() == ["0000123", "0000456", "456", "C12", "78", "078"]
    assert done.frame["customer_id"].isna()[6]
    assert done.n_changes == 1
    for width in (0, True, "7", 41):
        with pytest.raises(CorrectionError, match="width"):
            correct(frame, {"pad_ids": width})


def test_an_unknown_correction_is_refused_with_the_known_ones(customers) -> None:
    with pytest.raises(CorrectionError, match=r"named 'zzzz'\. The corrections are: "):
        correct(customers(1), ["zzzz"])


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


def test_of_two_spellings_used_equally_often_the_first_in_the_file_is_taken(customers) -> None:
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


def test_of_contradicting_rows_a_named_choice_is_kept(customers) -> None:
    frame = customers(5, customer_id=["A", "A", "B", None, None], customer_name=["x", "y", "z", "u", "v"])
    assert correct(frame, ["keep_last"]).frame["customer_name"].tolist() == ["y", "z", "u", "v"]
    assert correct(frame, {"keep": [2]}).frame["customer_name"].tolist() == ["x", "z", "u", "v"]
    assert correct(frame, {"keep": [2]}).n_changes == 1
    for option, words in [
        (True, "needs the source_row"),
        ([99], "row 99"),
        ("2", "needs the source_row"),
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
    assert dict(row[::2] for row in Page(found.body()).grids["Corrections"].rows)["trim_spaces"] == "9 cells"
    assert "trim_spaces 9 cells, " in repr(found)
    assert "drop_exact_duplicates 4 rows" in repr(found)  # which are no cells
    assert repr(correct(delivery)).endswith(
        "387 cells changed, 4 rows dropped (trim_spaces 9, source_to_customer 378, drop_exact_duplicates 4)>"
    )
    with pytest.raises(CorrectionError, match="width"):
        preview_corrections(delivery, {"pad_ids": "x"})


def test_a_preview_shows_the_spaces_that_would_go(customers) -> None:
    preview = preview_corrections(customers(2, customer_name=["Müller ", "Acme"]))
    (row,) = (row for row in Page(preview.body()).grids["Cells that would change"].rows if row[1] == "customer_name")
    assert row[2:4] == ["Müller·", "Müller"]

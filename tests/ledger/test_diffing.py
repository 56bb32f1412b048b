"""The states of a delivery's rows, each by its name; and the SQL against a plain reference for any tables."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.config import Settings
from toolkit.engine import to_arrow
from toolkit.errors import InputError
from toolkit.ledger import Diff, Ledger, Snapshot, diff
from toolkit.model import CUSTOMER, Delivery
from toolkit.quality import validate

DAY = pd.Timestamp("2026-01-01T00:00:00Z")


def day(n: int) -> pd.Timestamp:
    return DAY + pd.Timedelta(days=n)


def frame(*rows: tuple[str | None, int | None, str | None], first_row: int = 2) -> pd.DataFrame:
    """Rows of (customer_id, day, customer_name); the category is the same for all."""
    index = pd.RangeIndex(first_row, first_row + len(rows), name="source_row")
    return pd.DataFrame(
        {
            "customer_id": pd.Series([r[0] for r in rows], index=index, dtype="str"),
            "updated_at": pd.Series(
                [pd.NaT if r[1] is None else day(r[1]) for r in rows], index=index, dtype="datetime64[us, UTC]"
            ),
            "customer_name": pd.Series([r[2] for r in rows], index=index, dtype="str"),
            "customer_category": pd.Series(["Retail"] * len(rows), index=index, dtype="str"),
        }
    )


def states(before: pd.DataFrame, after: pd.DataFrame | Delivery) -> list[str]:
    return list(diff(before, after).states)


def snapshot(versions: pd.DataFrame, last_keys: frozenset[str] | None = None) -> Snapshot:
    return Snapshot(versions, to_arrow(versions, CUSTOMER.arrow_schema()), 3, last_keys, "a ledger")


def test_added_is_a_customer_that_was_never_sent_with_each_of_its_versions() -> None:
    assert states(frame(("A", 0, "Acme")), frame(("B", 2, "Best"), ("B", 1, "Best"))) == ["added", "added"]


def test_changed_is_newer_with_another_attribute() -> None:
    found = diff(frame(("A", 0, "Acme")), frame(("A", 1, "Acme Ltd")))
    assert list(found.states) == ["changed"]
    assert found.fields.to_dict("records") == [
        {"source_row": 2, "customer_id": "A", "updated_at": day(1), "column": "customer_name",
         "before": "Acme", "after": "Acme Ltd"}
    ]  # fmt: skip


def test_touched_is_newer_with_nothing_else() -> None:
    assert states(frame(("A", 0, "Acme")), frame(("A", 1, "Acme"))) == ["touched"]


def test_unchanged_is_the_same_version() -> None:
    assert states(frame(("A", 0, "Acme")), frame(("A", 0, "Acme"))) == ["unchanged"]


def test_restated_is_a_version_already_sent_with_another_attribute() -> None:
    found = diff(frame(("A", 0, "Acme"), ("A", 5, "Acme")), frame(("A", 0, "Acne")))
    assert list(found.states) == ["restated"]
    assert found.fields[["before", "after"]].to_numpy().tolist() == [["Acme", "Acne"]]


def test_backdated_is_older_than_the_newest_and_not_among_those_sent() -> None:
    assert states(frame(("A", 5, "Acme")), frame(("A", 1, "Acme"))) == ["backdated"]
    assert states(frame(("A", 0, "Acme"), ("A", 5, "Acme")), frame(("A", 3, "Other"))) == ["backdated"]


def test_a_null_becoming_a_value_and_the_other_way_round_is_a_change() -> None:
    assert states(frame(("A", 0, None)), frame(("A", 1, "Acme"))) == ["changed"]
    assert states(frame(("A", 0, "Acme")), frame(("A", 1, None))) == ["changed"]
    assert states(frame(("A", 0, None)), frame(("A", 1, None))) == ["touched"]


def test_the_predecessor_may_be_an_earlier_row_of_the_delivery() -> None:
    after = frame(("A", 3, "Acme Ltd"), ("A", 4, "Acme Ltd"), ("A", 5, "Acme"))
    found = diff(frame(("A", 0, "Acme")), after)
    assert list(found.states) == ["changed", "touched", "changed"]
    assert found.fields[["source_row", "before", "after"]].to_numpy().tolist() == [
        [2, "Acme", "Acme Ltd"],
        [4, "Acme Ltd", "Acme"],
    ]


def test_null_and_duplicate_keys_are_counted_apart_before_anything_else() -> None:
    after = frame((None, 1, "x"), ("A", None, "x"), ("B", 1, "x"), ("B", 1, "y"), ("B", 2, "z"))
    found = diff(frame(("B", 0, "x")), after)
    assert list(found.states) == ["null_key", "null_key", "duplicate_key", "duplicate_key", "changed"]
    assert found.n_duplicate_keys == 2


def test_absent_newly_absent_and_held_customers_are_counted_apart() -> None:
    before = snapshot(frame(("A", 0, "x"), ("B", 0, "x"), ("C", 0, "x"), ("D", 0, "x")), frozenset("ABD"))
    after = Delivery(frame(("A", 0, "x")), held=frozenset("D"))
    found = diff(before, after)
    assert found.absent[["customer_id", "newly"]].to_numpy().tolist() == [["B", True], ["C", False]]
    assert (found.n_absent, found.n_newly_absent, found.count("held")) == (2, 1, 1)


def test_a_delivery_of_changes_makes_nobody_absent() -> None:
    assert diff(frame(("A", 0, "x"), ("B", 0, "x")), Delivery(frame(("A", 0, "x")), kind="changes")).n_absent == 0


def test_a_column_that_the_delivery_lacks_keeps_what_was_sent() -> None:
    after = frame(("A", 1, "Acme Ltd"), ("B", 1, "Best"), ("C", -1, "Cave")).assign(customer_category=None)
    before = frame(("A", 0, "Acme"), ("C", 0, "Cave"))
    found = diff(before, Delivery(after, given=("customer_id", "updated_at", "customer_name")))
    assert list(found.states) == ["changed", "added", "backdated"]
    assert list(found.fields["column"]) == ["customer_name"]
    assert found.delivery.frame["customer_category"].astype(object).where(lambda s: s.notna(), None).tolist() == [
        "Retail",
        None,
        "Retail",
    ]  # fmt: skip


def test_an_empty_cell_that_says_nothing_keeps_what_was_sent() -> None:
    before = frame(("A", 0, "Acme"), ("B", 0, "Best"), ("C", 0, "Cook"))
    after = frame(("A", 1, None), ("B", 1, "Bestow"), ("C", 1, None), ("C", 2, None), ("D", 1, None))
    found = diff(before, Delivery(after, given=tuple(after.columns), keep=("customer_name",)))
    assert list(found.states) == ["touched", "changed", "touched", "touched", "added"]
    assert found.delivery.frame["customer_name"].fillna("null").tolist() == ["Acme", "Bestow", "Cook", "Cook", "null"]
    cleared = diff(before, Delivery(after, given=tuple(after.columns)))
    assert list(cleared.states) == ["changed", "changed", "changed", "touched", "added"]


def test_a_table_before_with_a_doubled_or_missing_key_is_refused() -> None:
    with pytest.raises(InputError, match=r"1 key in several rows"):
        diff(frame(("A", 0, "x"), ("A", 0, "y")), frame(("A", 1, "x")))
    with pytest.raises(InputError, match="1 row without a key"):
        diff(frame((None, 0, "x")), frame(("A", 1, "x")))


@pytest.mark.parametrize("side", ["The table before", "The delivery"])
@pytest.mark.parametrize("times", [["2026-01-01"], pd.to_datetime(["2026-01-01"])])
def test_times_that_are_not_all_in_utc_yet_are_refused(side: str, times: Any) -> None:
    good = frame(("A", 1, "x"))
    bad = good.assign(updated_at=times)
    with pytest.raises(InputError, match=f"{side} has an updated_at that is not all times in UTC.*validate it"):
        diff(bad, good) if side == "The table before" else diff(good, bad)


def test_a_column_of_another_data_type_is_named_without_its_values() -> None:
    good = frame(("A", 1, "x"), ("B", 1, "y"))
    bad = good.assign(customer_name=pd.Series([b"\xff", "secret"], dtype="object", index=good.index))
    for tables, side in (((bad, good), "The table before"), ((good, bad), "The delivery")):
        with pytest.raises(
            InputError, match=rf"{side} has values in customer_name .* of type string: validate it"
        ) as error:
            diff(*tables)
        assert error.value.__suppress_context__
        assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "None was given"),
        (7, "an int was given"),
        ("crm.csv", "a str was given"),
        (Path("crm.csv"), "Path was given"),
        (["A"], "a list was given"),
        (Ledger.of, "a Ledger was given"),
        (Settings, "a Settings was given"),
        (lambda: validate(frame(("A", 1, "x"))), "a ValidationReport was given"),
    ],
)
def test_what_is_no_snapshot_is_refused_with_the_call_that_gives_one(given: Any, message: str) -> None:
    wrong = given() if callable(given) else given
    with pytest.raises(InputError, match=rf"A snapshot is wanted here, and .*{message}: Ledger\.of\(\)\.snapshot\(\)"):
        diff(wrong, frame(("A", 1, "x")))
    if message != "a ValidationReport was given":
        with pytest.raises(InputError, match=rf"A customer frame is wanted here, and .*{message}"):
            diff(frame(("A", 1, "x")), wrong)


def test_swapped_arguments_are_noticed() -> None:
    after, before = frame(("A", 1, "x")), snapshot(frame(("A", 0, "x")))
    for delivery in (after, Delivery(after), validate(after)):
        with pytest.raises(InputError, match=r"what was sent before first: .*Swap the two arguments"):
            diff(delivery, before)
    with pytest.raises(InputError, match=r"a Snapshot was given: snapshot\.frame"):
        diff(before, before)


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_frame_without_its_key_or_with_a_doubled_column_is_refused(side: str) -> None:
    good = frame(("A", 1, "x"))
    for bad, message in (
        (good.drop(columns="updated_at"), "lacks updated_at"),
        (pd.concat([good, good[["customer_name"]]], axis=1), "several columns named customer_name"),
    ):
        with pytest.raises(InputError, match=message):
            diff(bad, good) if side == "before" else diff(good, bad)


def test_an_empty_table_on_either_side() -> None:
    assert diff(frame(), frame(("A", 0, "x"))).n_added == 1
    assert diff(frame(("A", 0, "x")), frame()).n_absent == 1


ids = st.sampled_from(["A", "B", "C"])
names = st.sampled_from(["x", "y", None])
before_rows = st.lists(st.tuples(ids, st.integers(0, 5), names), max_size=9, unique_by=lambda r: r[:2])
after_rows = st.lists(st.tuples(st.one_of(ids, st.none()), st.one_of(st.integers(0, 6), st.none()), names), max_size=9)


def expected(before: list[tuple], after: list[tuple]) -> list[str]:
    """The table of states in `toolkit.ledger.diffing`, row by row, in plain Python."""
    found = []
    for i, (who, when, name) in enumerate(after):
        keys = [(r[0], r[1]) for r in after]
        if who is None or when is None:
            found.append("null_key")
            continue
        if keys.count((who, when)) > 1:
            found.append("duplicate_key")
            continue
        known = {r[1]: r[2] for r in before if r[0] == who}
        if not known:
            found.append("added")
        elif when in known:
            found.append("unchanged" if known[when] == name else "restated")
        elif when < max(known):
            found.append("backdated")
        else:
            earlier = {
                r[1]: r[2]
                for j, r in enumerate(after)
                if j != i and r[0] == who and r[1] is not None and r[1] < when and keys.count((who, r[1])) == 1
            }
            predecessor = {**earlier, **known}
            newest = max(t for t in predecessor if t < when)
            found.append("touched" if predecessor[newest] == name else "changed")
    return found


def compare_with_the_table(before: list[tuple], after: list[tuple]) -> None:
    found: Diff = diff(frame(*before), frame(*after))
    assert list(found.states) == expected(before, after)
    absent = {r[0] for r in before} - {r[0] for r in after}
    assert set(found.absent["customer_id"]) == absent
    moved = found.states.isin(["changed", "restated"])
    assert set(found.fields["source_row"]) == set(found.states.index[moved])


@settings(max_examples=25)
@given(before=before_rows, after=after_rows)
def test_the_sql_agrees_with_the_table_of_states(before: list[tuple], after: list[tuple]) -> None:
    compare_with_the_table(before, after)


@pytest.mark.slow
@settings(max_examples=400)
@given(before=before_rows, after=after_rows)
def test_the_sql_agrees_with_the_table_of_states_for_many(before: list[tuple], after: list[tuple]) -> None:
    compare_with_the_table(before, after)


def test_the_versions_before_are_not_altered() -> None:
    before = frame(("A", 0, "Acme"))
    copy = before.copy(deep=True)
    diff(before, frame(("A", 1, "Acme Ltd")))
    pd.testing.assert_frame_equal(before, copy)
    assert isinstance(to_arrow(before, CUSTOMER.arrow_schema()), pa.Table)

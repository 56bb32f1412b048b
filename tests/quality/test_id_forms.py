"""Ids unlike the rest: what is found and named with its cure, and what is a natural mix and no finding."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import toolkit as tk
from toolkit.model.schema import empty_frame
from toolkit.quality.id_forms import fitting_width
from toolkit.quality.rules import RULES, Rule

DATA = Path(tk.__file__).parents[1] / "data"
NOW = pd.Timestamp("2026-11-24T10:00:00Z")
CODES = [f"{number:07d}" for number in range(10_000, 13_015)]
LATER = [str(number) for number in range(13_015, 13_040)]  # without their zeros


def frame_of(ids: list[str]) -> pd.DataFrame:
    index = pd.RangeIndex(2, len(ids) + 2, name="source_row")
    return empty_frame().reindex(index).assign(
        customer_id=pd.Series(ids, dtype="str", index=index),
        updated_at=pd.Series([NOW] * len(ids), dtype="datetime64[us, UTC]", index=index),
    )  # fmt: skip


ABOUT_IDS = [rule for rule in RULES if rule.column == "customer_id"]  # what the laws are about, a third of the cost


def findings(
    ids: list[str], before: list[str] | None = None, rules: Sequence[Rule] = RULES
) -> tuple[list[str], list[str]]:
    """Return what is said of the ids, and those of the rows that are named."""
    report = tk.validate(frame_of(ids), before=None if before is None else frame_of(before), rules=rules, now=NOW)
    found = report.warnings[report.warnings["check"] == "unusual_ids"]
    return list(found["reason"].unique()), list(found["failure_case"])


@pytest.mark.parametrize(
    ("ids", "before", "said", "named"),
    [
        ([*CODES, *LATER], None, "25 ids have 5 digits where 3,015 have 7: correction pad_ids = 7", LATER),
        ([*CODES, *LATER], [*CODES, *(f"00{n}" for n in LATER[1:])],
         "25 ids have 5 digits where 3,015 have 7; padded, they match 24 customers sent before: "
         "correction pad_ids = 7", LATER),
        # in a whole file only what was sent before shows it
        (["123", "4567", "1000123"], ["0000123", "0004567", "1000123"],
         "2 ids have 3 to 4 digits where 3 customers sent before have 7; padded, they match 2 customers sent before: "
         "correction pad_ids = 7", ["123", "4567"]),
        # letters and digits
        ([*(f"C{n:05d}" for n in range(150, 350)), "C123", "C7"], None,
         "2 ids are like A9 or A999 where 200 are like A99999", ["C123", "C7"]),
        # a prefix that is lost in some rows, or in all
        ([*(f"C-{n:05d}" for n in range(200)), "00200", "201"], None,
         "2 ids are like 999 or 99999 where 200 are like A-99999", ["00200", "201"]),
        (["00001", "00002"], [f"C-{n:05d}" for n in range(200)],
         "2 ids are like 99999 where 200 customers sent before are like A-99999", ["00001", "00002"]),
        ([*CODES, "C-12345", "123", "0000009"], None,
         "2 ids are like 999 or A-99999 where 3,016 are like 9999999: correction pad_ids = 7", ["C-12345", "123"]),
        # no zero shows a fixed width, and no id has six digits
        ([*map(str, range(1_000_000, 1_000_400)), "12345"], None, "1 id has 5 digits where 400 have 7", ["12345"]),
        (["0000001", "0000002", "3"], None, "1 id has 1 digit where 2 have 7: correction pad_ids = 7", ["3"]),
    ],
)  # fmt: skip
def test_ids_unlike_the_rest_are_one_finding_with_the_cure(ids: list, before: list, said: str, named: list) -> None:
    assert findings(ids, before) == ([said], named)


@pytest.mark.parametrize(
    ("ids", "before"),
    [
        ([*CODES, *LATER], [*CODES, *LATER]),  # they were sent as they are
        ([*CODES, "10001"], None),  # near_ids: the customer has two ids
        (["1", "2", "0000003"], None),  # one zero among numbers that count up
        ([*map(str, range(1_000_000, 1_003_000)), *map(str, range(10_000, 10_500))], None),  # two ranges
        (["007", "0012", "3", "45"], None),  # zeros, but of no one width
        (["0301234567", "089123456", "04012345678"], None),  # telephone numbers
        ([str(UUID(int=number * 7**40 % 2**128)) for number in range(300)], None),
        (["MMM", "BRK.B", "GOOGL", "A", "T"] * 10, None),  # words
        ([*CODES, "nan", "Summe", "4711.0", '="00123"', " 0010001", "?"], None),  # findings of other rules
        ([], None),
        ([], CODES),
    ],
)
def test_a_natural_mix_is_no_finding(ids: list[str], before: list[str] | None) -> None:
    assert findings(ids, before) == ([], [])


@hypothesis_settings(max_examples=25)
@given(
    prefix=st.sampled_from(["", "C", "K-", "DE-"]),
    start=st.integers(1, 12_000),
    n=st.integers(1, 4_000),
    step=st.integers(1, 3),
    known=st.booleans(),
)
def test_numbers_that_count_up_are_no_finding_wherever_they_begin(
    prefix: str, start: int, n: int, step: int, known: bool
) -> None:
    ids = [f"{prefix}{number}" for number in range(start, start + n * step, step)]
    assert findings(ids, rules=ABOUT_IDS) == ([], [])
    assert fitting_width(pd.Series(ids, dtype="str")) is None
    if known:  # nor those of a later month against those of this one
        assert findings([*ids, f"{prefix}{start + n * step}"], ids, ABOUT_IDS) == ([], [])


@hypothesis_settings(max_examples=25)
@given(st.data(), st.integers(5, 12), st.booleans())
def test_ids_that_lost_their_zeros_are_found_by_the_rest_or_by_what_was_sent_and_cured(
    data: st.DataObject, width: int, whole: bool
) -> None:
    numbers = data.draw(st.lists(st.integers(1, 10 ** (width - 1) - 1), min_size=4, max_size=60, unique=True))
    codes = [f"{number:0{width}d}" for number in numbers]
    n_lost = len(codes) if whole else data.draw(st.integers(1, len(codes) // 2))
    ids = [*(code.lstrip("0") for code in codes[:n_lost]), *codes[n_lost:]]
    before = codes if whole else None
    said, named = findings(ids, before, ABOUT_IDS)
    assert set(named) == set(ids[:n_lost])
    assert said[0].endswith(f": correction pad_ids = {width}")
    assert fitting_width(pd.Series(ids), pd.Series(before) if before else None) == width
    cured = tk.correct(frame_of(ids), {"pad_ids": width})
    assert cured.frame["customer_id"].tolist() == codes
    assert findings(codes, before, ABOUT_IDS) == ([], [])


def test_the_shipped_deliveries_have_no_unusual_ids_until_they_lose_their_zeros() -> None:
    first, second = (
        tk.correct(tk.read_customers(file, mapping=file.with_suffix(".toml")))
        for file in (DATA / "2026-09-01_customers.csv", DATA / "2026-10-01_customers.xlsx")
    )
    for report in (tk.validate(first, now=NOW), tk.validate(second, before=first, now=NOW)):
        assert "unusual_ids" not in set(report.warnings["check"])
    lost = second.frame.assign(customer_id=second.frame["customer_id"].str.lstrip("0"))
    report = tk.validate(lost, before=first, now=NOW)
    (said,) = report.warnings.loc[report.warnings["check"] == "unusual_ids", "reason"].unique()
    assert said.endswith("customers sent before: correction pad_ids = 7")
    assert tk.preview_corrections(lost, before=first).choices["pad_ids = 7"] == f"{len(lost)} cells"
    assert "pad_ids = 7" not in tk.preview_corrections(lost).choices  # nothing in the file shows the width

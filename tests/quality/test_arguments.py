"""An argument of the wrong kind is an error of ours, for every public function that corrects or compares customers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import toolkit as tk
from toolkit.errors import CorrectionError, InputError
from toolkit.model.delivery import Delivery
from toolkit.quality.correcting import correct, preview_corrections
from toolkit.quality.corrections import CORRECTIONS
from toolkit.quality.drifting import drift
from toolkit.quality.patches import Patch, apply_patch, patch_between, read_patch, read_review_sheet

FRAMES = ("without a key", "doubled column", "repeated index")


@pytest.fixture
def wrong(customers, tmp_path: Path) -> dict[str, Any]:
    frame = customers(2)
    return {
        "None": None,
        "number": 7,
        "text": "customers.csv",
        "path": Path("customers.csv"),
        "list": [frame],
        "settings": tk.Settings(),
        "ledger": tk.Ledger(tmp_path / "ledger", "acme"),
        "patch": patch_between(frame, frame.assign(source="peak")),
        "drift": drift(frame, frame),
        "without a key": frame.drop(columns="updated_at"),
        "doubled column": pd.concat([frame, frame["source"]], axis="columns"),
        "repeated index": frame.set_axis([2, 2]),
    }


STATIONS = {
    "correct": lambda frame, given: correct(given, ["trim_spaces"]),
    "preview_corrections": lambda frame, given: preview_corrections(given),
    "patch_between, before": lambda frame, given: patch_between(given, frame),
    "patch_between, after": lambda frame, given: patch_between(frame, given),
    "apply_patch": lambda frame, given: apply_patch(given, patch_between(frame, frame)),
    "drift, before": lambda frame, given: drift(given, frame),
    "drift, after": lambda frame, given: drift(frame, given),
}


@pytest.mark.parametrize("station", STATIONS)
def test_what_is_not_customers_is_refused(customers, wrong: dict[str, Any], station: str) -> None:
    for kind, given in wrong.items():
        for data in (given, Delivery(given)) if kind in FRAMES else (given,):
            with pytest.raises(InputError):
                STATIONS[station](customers(2), data)


def test_what_is_not_a_patch_or_its_path_is_refused(customers, wrong: dict[str, Any]) -> None:
    for given in (None, 7, [], wrong["settings"], wrong["ledger"], wrong["drift"], customers(2)):
        with pytest.raises(InputError, match=r"A patch, or the path of one is wanted .*patch_between\(before, after\)"):
            apply_patch(customers(2), given)
        with pytest.raises(InputError, match="A patch, or the path of one is wanted"):
            read_patch(given)
        with pytest.raises(InputError, match=r"The path of a review sheet is wanted .*to_excel\("):
            read_review_sheet(given)


def test_a_file_that_is_not_a_patch_or_a_review_sheet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no table", encoding="utf-8")
    (tmp_path / "image.csv").write_bytes(bytes(range(256)))
    for path in (tmp_path, tmp_path / "gone.csv", tmp_path / "notes.txt", tmp_path / "image.csv", ""):
        for read in (read_patch, read_review_sheet):
            with pytest.raises(InputError):
                read(path)


@pytest.mark.parametrize("rules", [7, Path("x"), tk.Settings, [None], [7], {7: True}, "trim_space"])
def test_what_are_not_names_of_corrections_is_refused(customers, rules: Any) -> None:
    for station in (correct, preview_corrections):
        with pytest.raises(CorrectionError, match=r"There is no correction named|as a list of names, such as"):
            station(customers(1), rules)


@pytest.mark.parametrize("name", [*CORRECTIONS, "patch"])
def test_an_option_is_used_or_refused(customers, name: str) -> None:
    for option in (None, 7, "x", 2.5, ["x"], [7], {"x": 7}, {7: "x"}, Path("x"), object(), pd.DataFrame()):
        try:
            done = correct(customers(2), {name: option})
        except InputError:
            continue
        assert done.rules == (name,)


def test_one_correction_may_be_given_by_its_name(customers) -> None:
    assert correct(customers(1, customer_name=[" A"]), "trim_spaces").n_changes == 1


def test_a_patch_that_is_empty_changes_nothing(customers) -> None:
    frame = customers(2)
    done = apply_patch(frame, Patch(patch_between(frame, frame).entries))
    pd.testing.assert_frame_equal(done.frame, frame)
    assert (done.n_applied, done.n_unknown) == (0, 0)


@pytest.mark.parametrize("now", [pd.Timestamp("2026-01-01"), "2026-01-01T00:00:00Z", 5, pd.NaT])
def test_a_moment_names_its_zone(now: Any, customers) -> None:
    frame = customers(2)
    quotes = frame.rename(columns={"updated_at": "quoted_at"})
    for call in (tk.validate, tk.profile, partial(correct, rules=["restamp"]), partial(tk.readiness, quotes=quotes)):
        with pytest.raises(InputError, match="now names no zone, and only you know which one is meant"):
            call(frame, now=now)


def test_a_moment_counts_in_any_zone(customers) -> None:
    frame = customers(1).assign(updated_at=pd.Timestamp("2026-01-01T12:00:00Z"))
    early, late = (pd.Timestamp(f"2026-01-01T{hour}:00:00+02:00") for hour in (13, 15))
    assert "future_time" in set(tk.validate(frame, now=early).warnings["check"])
    assert "future_time" not in set(tk.validate(frame, now=late).warnings["check"])

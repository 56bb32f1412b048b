"""Every verb answers an argument of a wrong kind with an error of ours that names what is wanted and what gives it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.support.place import Place
from toolkit.errors import InputError, PlanError, ToolkitError
from toolkit.ledger import Ledger, diff
from toolkit.pushing import (
    abandon,
    dry_run,
    plan_correction,
    plan_push,
    push,
    push_history,
    push_report,
    repush,
    resume,
    revert,
    settle,
    status,
)

NONE_OF_THEM: list[Any] = [None, 5, True, Path("x"), [1], {"a": 1}, pd.DataFrame({"push": ["p"]})]
A_PLAN = r"^A plan is wanted here, and an? \w+ was given: plan_push\(changes\) gives one\.$"
A_PUSH = r"^A push report or the name of a push is wanted here, and .* was given: push_history\(\) or push_report\(\)"


@pytest.fixture
def results(place: Place, customers) -> dict[str, Any]:
    """One of each kind that an analyst has at hand."""
    changes = diff(Ledger.of(place.settings).snapshot(), customers(2))
    plan = plan_push(changes, settings=place.settings)
    return {
        "ledger": Ledger.of(place.settings),
        "snapshot": Ledger.of(place.settings).snapshot(),
        "settings": place.settings,
        "diff": changes,
        "plan": plan,
        "report": place.push(plan),
        "status": status(settings=place.settings),
    }


def refused(call: Callable[[Any], Any], given: list[Any], words: str) -> None:
    for wrong in given:
        with pytest.raises(InputError, match=words.replace(r"an? \w+", "None") if wrong is None else words):
            call(wrong)


def test_plan_push_takes_a_diff(results: dict[str, Any]) -> None:
    words = r"^A diff is wanted here, and an? \w+ was given: diff\(Ledger\.of\(\)\.snapshot\(\), report\) gives one\.$"
    refused(plan_push, [*NONE_OF_THEM, "x", *(v for k, v in results.items() if k != "diff")], words)


@pytest.mark.parametrize("verb", [push, dry_run])
def test_push_and_dry_run_take_a_plan(results: dict[str, Any], verb: Callable[..., Any]) -> None:
    refused(verb, [*NONE_OF_THEM, "x", *(v for k, v in results.items() if k != "plan")], A_PLAN)


@pytest.mark.parametrize("verb", [repush, revert, push_report, lambda push: settle(push, accepted="all", reason="r")])
def test_what_comes_after_a_push_takes_its_name_or_its_report(results: dict[str, Any], verb: Any) -> None:
    given = [v for k, v in results.items() if k not in ("report", "plan")]
    refused(verb, [*NONE_OF_THEM, *given], A_PUSH)


def test_repush_takes_a_patch(results: dict[str, Any], place: Place) -> None:
    words = r"^A patch is wanted here, and .* was given: read_review_sheet\(path\) or patch_between\(before, after\)"
    given = [*NONE_OF_THEM[1:], "refused.xlsx", results["report"]]
    refused(lambda patch: repush(results["report"], patch=patch, settings=place.settings), given, words)


def test_plan_correction_takes_cells(results: dict[str, Any]) -> None:
    given = [g for g in [*NONE_OF_THEM, "x", *results.values()] if not isinstance(g, dict)]
    refused(lambda cells: plan_correction(cells, reason="r"), given, "dictionary of customer id to column")


@pytest.mark.parametrize("wrong", ["soon", 5, "2026-01-01", pd.Timestamp("2026-01-01")])
def test_a_new_time_is_a_datetime_with_a_time_zone(results: dict[str, Any], place: Place, wrong: Any) -> None:
    cells = {"C00000": {"customer_name": "New"}}
    for call in (
        lambda **now: plan_correction(cells, reason="r", **now),
        lambda **now: revert(results["report"], **now),
    ):
        with pytest.raises(InputError, match="not a datetime with a time zone"):
            call(now=wrong, settings=place.settings)


@pytest.mark.parametrize("wrong", [5, None, ["r"]])
def test_a_reason_that_is_no_text_is_refused_before_anything_is_sent(place: Place, customers, wrong: Any) -> None:
    with pytest.raises(InputError, match="The reason of a push is a text"):
        place.push(customers(1), reason=wrong)
    assert place.n_requests == 0


@pytest.mark.parametrize("wrong", [5, "sandbox", Path("x"), ["x"], {"target": "x"}])
def test_every_verb_takes_settings(results: dict[str, Any], wrong: Any) -> None:
    calls: list[Callable[..., Any]] = [
        lambda **s: plan_push(results["diff"], **s),
        lambda **s: push(results["plan"], **s),
        lambda **s: dry_run(results["plan"], **s),
        resume,
        abandon,
        lambda **s: settle(results["report"], accepted="all", reason="r", **s),
        lambda **s: repush(results["report"], **s),
        lambda **s: revert(results["report"], **s),
        lambda **s: plan_correction({"C00000": {}}, reason="r", **s),
        status,
        push_report,
        push_history,
    ]
    for call in calls:
        with pytest.raises(ToolkitError, match="Settings"):
            call(settings=wrong)


def test_a_diff_against_a_report_of_another_push_is_no_plan(results: dict[str, Any], place: Place, customers) -> None:
    with pytest.raises(PlanError, match="another target, ledger or moment"):
        plan_push(results["diff"], settings=place.settings.model_copy(update={"target": "other"}))

"""Every public function answers an argument of the wrong kind with an error of ours that says what is wanted."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import toolkit as tk
from tests.conftest import Customers
from toolkit.errors import ToolkitError

TABLES = "frame without updated_at, frame with a doubled column"
RESULTS = "Ledger, Settings, Snapshot, ValidationReport, PushPlan"
QUOTES = pd.DataFrame({"customer_id": ["C1"], "quoted_at": ["2026-01-28T10:00:00Z"]})
NOTHING_LIKE_IT = "None, 1, list"
TEXT = "text, Path"


@dataclass(frozen=True)
class Case:
    """One argument of a function: a call with it, and the kinds that are wrong for it."""

    call: Callable[[Any, World], object]
    wrong: str


@dataclass(frozen=True)
class World:
    """What the other arguments of a call are."""

    good: pd.DataFrame
    report: Any
    snapshot: Any
    plan: Any
    patch: Any


ANY_BUT_CUSTOMERS = f"{NOTHING_LIKE_IT}, {TEXT}, {TABLES}, Ledger, Settings, Snapshot"
ANY_BUT_PATHS = f"{NOTHING_LIKE_IT}, {TABLES}, {RESULTS}"
ANY_BUT_NAMES = f"1, list, Path, {TABLES}, {RESULTS}"
ANY_BUT_PLANS = f"{NOTHING_LIKE_IT}, {TEXT}, {TABLES}, Ledger, Settings, Snapshot, ValidationReport"
ANY_BUT_SETTINGS = f"1, list, {TEXT}, {TABLES}, Ledger, Snapshot, ValidationReport, PushPlan"
CASES = {
    "read_customers(source)": Case(
        lambda x, w: tk.read_customers(x), f"{NOTHING_LIKE_IT}, {TEXT}, frame with a doubled column, {RESULTS}"
    ),
    "read_customers(mapping)": Case(
        lambda x, w: tk.read_customers(w.good.astype("str"), mapping=x), f"1, list, {TEXT}, {TABLES}, {RESULTS}"
    ),
    "suggest_mapping(source)": Case(lambda x, w: tk.suggest_mapping(x), f"{NOTHING_LIKE_IT}, {TEXT}, {RESULTS}"),
    "mappings(settings)": Case(lambda x, w: tk.mappings(settings=x), ANY_BUT_SETTINGS),
    "onboard(source)": Case(lambda x, w: tk.onboard(x), ANY_BUT_PATHS.replace("None, ", "")),
    "table(engine)": Case(
        lambda x, w: tk.table(x, "sales.customers"), f"{NOTHING_LIKE_IT}, {TEXT}, {TABLES}, {RESULTS}"
    ),
    "table(sql)": Case(lambda x, w: tk.table(tk.engine.duckdb(), x), f"{NOTHING_LIKE_IT}, Path, {TABLES}, {RESULTS}"),
    "profile(data)": Case(
        lambda x, w: tk.profile(x),
        f"{NOTHING_LIKE_IT}, {TEXT}, frame with a doubled column, Ledger, Settings",
    ),
    "validate(data)": Case(lambda x, w: tk.validate(x), ANY_BUT_CUSTOMERS),
    "correct(data)": Case(lambda x, w: tk.correct(x), ANY_BUT_CUSTOMERS),
    "preview_corrections(data)": Case(lambda x, w: tk.preview_corrections(x), ANY_BUT_CUSTOMERS),
    "drift(before)": Case(lambda x, w: tk.drift(x, w.report), ANY_BUT_CUSTOMERS.replace(", Snapshot", "")),
    "drift(after)": Case(lambda x, w: tk.drift(w.report, x), ANY_BUT_CUSTOMERS),
    "patch_between(before)": Case(lambda x, w: tk.patch_between(x, w.report), ANY_BUT_CUSTOMERS),
    "patch_between(after)": Case(lambda x, w: tk.patch_between(w.report, x), ANY_BUT_CUSTOMERS),
    "apply_patch(data)": Case(lambda x, w: tk.apply_patch(x, w.patch), ANY_BUT_CUSTOMERS),
    "apply_patch(patch)": Case(
        lambda x, w: tk.apply_patch(w.report, x), f"{NOTHING_LIKE_IT}, {TEXT}, {TABLES}, {RESULTS}"
    ),
    "read_patch(path)": Case(lambda x, w: tk.read_patch(x), f"{TEXT}, {ANY_BUT_PATHS}"),
    "read_review_sheet(path)": Case(lambda x, w: tk.read_review_sheet(x), f"{TEXT}, {ANY_BUT_PATHS}"),
    "diff(before)": Case(
        lambda x, w: tk.diff(x, w.report),
        f"{NOTHING_LIKE_IT}, {TEXT}, {TABLES}, Ledger, Settings, PushPlan",
    ),
    "diff(after)": Case(lambda x, w: tk.diff(w.snapshot, x), ANY_BUT_CUSTOMERS),
    "plan_push(changes)": Case(lambda x, w: tk.plan_push(x), f"{NOTHING_LIKE_IT}, {TEXT}, {TABLES}, {RESULTS}"),
    "push(plan)": Case(lambda x, w: tk.push(x), ANY_BUT_PLANS),
    "dry_run(plan)": Case(lambda x, w: tk.dry_run(x), ANY_BUT_PLANS),
    "settle(push)": Case(lambda x, w: tk.settle(x, accepted="all", reason="seen"), f"None, text, {ANY_BUT_NAMES}"),
    "repush(push)": Case(lambda x, w: tk.repush(x), f"None, text, {ANY_BUT_NAMES}"),
    "revert(push)": Case(lambda x, w: tk.revert(x), f"None, text, {ANY_BUT_NAMES}"),
    "plan_correction(cells)": Case(
        lambda x, w: tk.plan_correction(x, reason="asked"), f"{NOTHING_LIKE_IT}, {TEXT}, {TABLES}, {RESULTS}"
    ),
    "push_report(push)": Case(lambda x, w: tk.push_report(x), f"None, text, {ANY_BUT_NAMES}"),
    "readiness(customers)": Case(
        lambda x, w: tk.readiness(x, QUOTES), f"{NOTHING_LIKE_IT}, {TEXT}, frame without updated_at, Settings"
    ),
    "readiness(quotes)": Case(
        lambda x, w: tk.readiness(w.snapshot, x), f"{NOTHING_LIKE_IT}, {TEXT}, {TABLES}, {RESULTS}"
    ),
    "readiness(sales)": Case(lambda x, w: tk.readiness(w.snapshot, QUOTES, x), f"1, list, {TEXT}, {TABLES}, {RESULTS}"),
    "readiness(plan)": Case(lambda x, w: tk.readiness(w.snapshot, QUOTES, plan=x), ANY_BUT_PLANS.replace("None, ", "")),
    "use(target)": Case(
        lambda x, w: tk.use(x), f"None, 1, list, {TEXT}, {TABLES}, Ledger, Snapshot, ValidationReport, PushPlan"
    ),
    "Ledger.of(settings)": Case(lambda x, w: tk.Ledger.of(x), ANY_BUT_SETTINGS),
    "plan_push(settings)": Case(lambda x, w: tk.plan_push(tk.diff(w.snapshot, w.report), settings=x), ANY_BUT_SETTINGS),
    "push(settings)": Case(lambda x, w: tk.push(w.plan, settings=x), ANY_BUT_SETTINGS),
    "dry_run(settings)": Case(lambda x, w: tk.dry_run(w.plan, settings=x), ANY_BUT_SETTINGS),
    "resume(settings)": Case(lambda x, w: tk.resume(settings=x), ANY_BUT_SETTINGS),
    "abandon(settings)": Case(lambda x, w: tk.abandon(settings=x), ANY_BUT_SETTINGS),
    "status(settings)": Case(lambda x, w: tk.status(settings=x), ANY_BUT_SETTINGS),
    "explain(code)": Case(lambda x, w: tk.explain(x), "None, 1, list, Path"),
    "explain(settings)": Case(lambda x, w: tk.explain(settings=x), ANY_BUT_SETTINGS),
    "push_history(settings)": Case(lambda x, w: tk.push_history(settings=x), ANY_BUT_SETTINGS),
    "check_schema(settings)": Case(lambda x, w: tk.check_schema(settings=x), ANY_BUT_SETTINGS),
}


@pytest.fixture
def world(customers: Customers) -> World:
    good = customers(3)
    report, snapshot = tk.validate(good), tk.Ledger.of().snapshot()
    patch = tk.patch_between(report, good.assign(customer_category="Trade"))
    return World(good, report, snapshot, tk.plan_push(tk.diff(snapshot, report)), patch)


def written(folder: Path) -> list[Path]:
    """The files below a folder; the empty journal in which a push is looked up by its name does not count."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(("journal.", "pusher.")))


@pytest.mark.parametrize("name", CASES)
def test_an_argument_of_the_wrong_kind_is_an_error_that_says_what_is_wanted(
    name: str, world: World, tmp_path: Path
) -> None:
    kinds = {
        "None": None,
        "1": 1,
        "text": "text",
        "Path": tmp_path / "nothing.here",
        "list": [],
        "frame without updated_at": world.good.drop(columns="updated_at"),
        "frame with a doubled column": pd.concat([world.good, world.good[["customer_name"]]], axis=1),
        "Ledger": tk.Ledger.of(),
        "Settings": tk.Settings(),
        "Snapshot": world.snapshot,
        "ValidationReport": world.report,
        "PushPlan": world.plan,
    }
    case, before = CASES[name], written(tmp_path)
    found = {}
    for kind in case.wrong.split(", "):
        try:
            case.call(kinds[kind], world)
        except ToolkitError as error:
            message = str(error)
            helpful = len(message.split()) >= 6 and not re.search(
                r"object has no|NoneType|unexpected|positional", message
            )
            if not helpful:
                found[kind] = message
        except Exception as error:
            found[kind] = f"{type(error).__name__}: {error}"
        else:
            found[kind] = "accepted"
    assert found == {}
    assert written(tmp_path) == before  # nothing was written


def test_every_public_function_is_tried() -> None:
    functions = {name for name in tk.__all__ if inspect.isfunction(getattr(tk, name))}
    assert functions <= {name.split("(")[0] for name in CASES}
    for name in functions:
        takes_settings = "settings" in inspect.signature(getattr(tk, name)).parameters
        assert not takes_settings or "current(" in inspect.getsource(inspect.getmodule(getattr(tk, name)))

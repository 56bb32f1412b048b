"""dry_run(): the vendor checks every row, and nothing is written, here or there."""

from __future__ import annotations

from html import unescape

import pandas as pd
import pytest

from tests.support.place import Place, fates
from toolkit.errors import (
    AuthorizationError,
)
from toolkit.pushing.history import status
from toolkit.pushing.runs import dry_run
from toolkit.vendor.sandbox import Reply


def test_a_dry_run_is_answered_for_every_row_and_changes_nothing(checker: Place, customers) -> None:
    frame = pd.concat([customers(2_500), customers(1, start=2_500, customer_name=None)])
    plan = checker.plan(frame)
    report = dry_run(plan, settings=checker.settings, pace=checker.clock.pace, progress=False)
    assert (fates(report), report.state) == ({"accepted": 2_500, "refused": 1}, "dry run")
    assert report.refused["message"].tolist() == ["customer_name must not be null"]
    assert checker.table == set()
    found = status(settings=checker.settings)
    assert (found.n_customers, len(found.pushes)) == (0, 0)
    assert checker.plan(frame).digest == plan.digest
    assert fates(checker.push(plan)) == {"accepted": 2_500, "refused": 1}  # and the plan still stands


def test_a_dry_run_of_nothing_asks_the_vendor_nothing(checker: Place, customers) -> None:
    checker.push(customers(3))
    n_requests = checker.n_requests
    report = dry_run(checker.plan(customers(3)), settings=checker.settings, pace=checker.clock.pace, progress=False)
    assert (fates(report), report.state, checker.n_requests) == ({}, "dry run", n_requests)


def test_a_dry_run_that_is_stopped_says_what_was_answered_until_then(checker: Place, customers) -> None:
    checker.sandbox.vendor.troubles.extend([None, Reply(401)])
    with pytest.raises(AuthorizationError) as error:
        dry_run(
            checker.plan(customers(2_100)),
            settings=checker.settings,
            pace=checker.clock.pace,
            progress=False,
        )
    report = error.value.report
    assert (fates(report), report.state) == ({"accepted": 2_000, "unsent": 100}, "dry run")
    assert str(error.value) in unescape(report.body())
    assert status(settings=checker.settings).open_push == ""
    assert fates(checker.push(customers(3))) == {"accepted": 3}


def test_a_dry_run_leaves_no_file_of_customers_rows(checker: Place, customers) -> None:
    plan, home = checker.plan(customers(3)), checker.settings.home
    dry_run(plan, settings=checker.settings, pace=checker.clock.pace, progress=False)
    assert {path.name for path in home.rglob("*") if path.is_file()} <= {"pace", "pace.lock"}


def test_a_batch_filled_to_the_limit_is_cut_again_for_a_dry_run(checker: Place, customers) -> None:
    """The words of a dry run take bytes themselves."""
    frame = customers(1_500, customer_subcategory="x" * 1_000)
    plan = checker.plan(frame)
    report = dry_run(plan, settings=checker.settings, pace=checker.clock.pace, progress=False)
    assert fates(report) == {"accepted": 1_500}
    assert set(checker.sandbox.requests()["status"]) == {200}

"""Customers checked again as they were checked before: all of them, or some rows by themselves."""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.model import Customers, Delivery
from toolkit.quality.rules import Rule
from toolkit.quality.validation import ValidationReport, validate


def checked(report: ValidationReport) -> Delivery:
    """Return the delivery that was checked, with all of its rows.

    Raises
    ------
    InputError
        If the customers stay on disk.
    """
    _ = report.delivery
    return report._delivery


def rules_of(report: ValidationReport) -> Sequence[Rule]:
    """Return what was looked for besides what the contract forbids."""
    return report._how["rules"]  # type: ignore[no-any-return]


def check_again(report: ValidationReport, data: Customers, *, row_by_row: bool = False) -> ValidationReport:
    """Check customers by the settings, rules and moment of a report, against the same before.

    Parameters
    ----------
    row_by_row
        Only for what a row alone shows, and for keys that are there twice: for some rows of a delivery.
    """
    some = {"rules": [rule for rule in rules_of(report) if rule.of_a_row], "before": None} if row_by_row else {}
    return validate(data, **report._how | some)

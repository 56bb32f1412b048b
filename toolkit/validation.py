"""validate(): the good rows, the failures with their reasons, the warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from toolkit.casting import cast_custom
from toolkit.contract import ID, TIME, Contract
from toolkit.delivery import Customers, Delivery, as_delivery
from toolkit.display import (
    Markup,
    Result,
    badges,
    frame_table,
    heading,
    paragraph,
    plural,
    table,
    timestamp,
)
from toolkit.failures import oversized_rows, quarantined, require_usable, schema_failures, with_broken_lines
from toolkit.finding import joined, other_contracts, run_rules
from toolkit.rules import RULES, Rule
from toolkit.schema import UNIQUE
from toolkit.times import settled


@dataclass(frozen=True, eq=False, repr=False)
class ValidationReport(Result):
    """What `validate` found.

    Attributes
    ----------
    good
        The rows without a failure.
    quarantine
        The rows with one, each once: their columns, ``reasons`` (all of them, joined by ``; ``) and, for a
        line that could not be parsed, its ``text``.
    failures
        One record a cell and rule, pandera's columns: ``column``, ``check``, ``failure_case``, ``index`` (the
        ``source_row``), and the ``reason`` in plain words. A duplicate key is one record a row.
    warnings
        The same columns, for what is allowed and odd; ``other`` is the row to compare with, where there is one.
    delivery
        The good rows as the next station wants them: with the ids that are held.
    contract
        Name of the contract that was checked.
    """

    good: pd.DataFrame
    quarantine: pd.DataFrame
    failures: pd.DataFrame
    warnings: pd.DataFrame
    delivery: Delivery
    contract: str

    @property
    def n_rows(self) -> int:
        """Rows checked, broken lines included: good + quarantined."""
        return len(self.good) + len(self.quarantine)

    @property
    def n_good(self) -> int:
        """Rows without a failure."""
        return len(self.good)

    @property
    def n_quarantined(self) -> int:
        """Rows with a failure, broken lines included."""
        return len(self.quarantine)

    @property
    def n_failures(self) -> int:
        """Failures: pairs of cell and rule."""
        return len(self.failures)

    @property
    def n_warnings(self) -> int:
        """Warnings: pairs of cell and rule."""
        return len(self.warnings)

    @property
    def counts(self) -> dict[str, int]:
        """Failures by reason, the most frequent first."""
        return _counted(self.failures)

    @property
    def warning_counts(self) -> dict[str, int]:
        """Warnings by reason, the most frequent first."""
        return _counted(self.warnings)

    @property
    def n_duplicate_keys(self) -> int:
        """Rows quarantined because another has the same key."""
        return int((self.failures["check"] == UNIQUE).sum())

    @property
    def ok(self) -> bool:
        """Whether nothing is quarantined. Warnings do not count."""
        return self.n_quarantined == 0

    def summary(self) -> str:
        """Say the verdict in one line."""
        return (
            f"{plural(self.n_rows, 'row')}: {self.n_good:,} good, {self.n_quarantined:,} quarantined "
            f"({plural(self.n_failures, 'failure')}), {plural(self.n_warnings, 'warning')}"
        )

    def body(self) -> str:
        """Give the report as an HTML fragment: verdict, failures, rows, warnings."""
        parts = [
            heading(f"Validation of {self.delivery.source}", level=3),
            badges(
                [
                    (self.n_good, "good", "good"),
                    (self.n_quarantined, "quarantined", "bad"),
                    (self.n_warnings, "warnings", "warn"),
                ]
            ),
            paragraph(f"checked against the contract {self.contract}", soft=True),
        ]
        if not self.ok:
            parts += [
                heading("Failures"),
                _findings(self.failures),
                heading("Quarantined rows"),
                _quarantined(self.quarantine),
            ]
        if self.n_warnings:
            parts += [heading("Warnings: allowed, and worth a look"), _findings(self.warnings)]
        return "".join(parts)

    def to_frame(self) -> pd.DataFrame:
        """Give the failures."""
        return self.failures

    def to_dict(self) -> dict[str, Any]:
        """Give the counts."""
        return {
            "rows": self.n_rows,
            "good": self.n_good,
            "quarantined": self.n_quarantined,
            "failures": self.n_failures,
            "warnings": self.n_warnings,
            "ok": self.ok,
            "failures_by_reason": self.counts,
            "warnings_by_reason": self.warning_counts,
        }


def validate(
    data: Customers,
    *,
    contract: Contract | str = "2026-04",
    rules: Sequence[Rule] = RULES,
    now: pd.Timestamp | None = None,
) -> ValidationReport:
    """Check customers against the contract; bad rows are a result, not an error.

    Parameters
    ----------
    data
        A frame, a `Delivery`, or what carries one. Its index must name each row once.
    rules
        What to look for besides what the contract forbids; `toolkit.rules.choose_rules` makes a choice.
    now
        The moment that "in the future" is measured from, UTC; by default the present.

    Raises
    ------
    InputError
        If a key column is missing, the index repeats itself, or ``updated_at`` is naive or not a time.

    Examples
    --------
    >>> frame = pd.DataFrame({"customer_id": ["A", None], "source": ["ERP", "peak"],
    ...                       "updated_at": pd.to_datetime(["2025-01-28T10:00:00Z"] * 2)})
    >>> report = validate(frame)
    >>> report.n_good, sorted(report.counts)
    (0, ['customer_id is empty', 'source is not one of peak, customer'])
    """
    documented = Contract.named(contract) if isinstance(contract, str) else contract
    delivery = as_delivery(data, columns=documented.resource.names)
    moment = now or pd.Timestamp.now("UTC")
    frame = delivery.frame
    require_usable(frame)
    strict = [rule for rule in rules if rule.severity == "failure"]
    failures = with_broken_lines(
        joined(
            [schema_failures(frame, documented), oversized_rows(frame, documented), run_rules(frame, strict, moment)]
        ),
        delivery,
    )
    lenient = [rule for rule in rules if rule.severity == "warning"]
    good = frame.loc[~frame.index.isin(failures["index"])]
    good = cast_custom(good.assign(**{TIME: settled(good[TIME])}), documented.resource)
    quarantine = quarantined(frame, failures, delivery)
    bad_ids = quarantine[ID].dropna().unique()
    held = frozenset(bad_ids) - frozenset(good[ID][good[ID].isin(bad_ids)])
    return ValidationReport(
        good=good,
        quarantine=quarantine,
        failures=failures,
        warnings=joined([run_rules(frame, lenient, moment), other_contracts(frame, documented)]),
        delivery=replace(
            delivery,
            frame=good,
            held=delivery.held | held,
            n_quarantined=delivery.n_quarantined + len(quarantine),
        ),
        contract=documented.name,
    )


def _counted(found: pd.DataFrame) -> dict[str, int]:
    return {str(k): int(v) for k, v in found["reason"].value_counts().items()}


_HARM = {rule.name: place for place, rule in enumerate(RULES)}


def _findings(found: pd.DataFrame) -> Markup:
    """Show one line a reason: the schema's and the analyst's own first, then in the order of the rules' harm."""
    groups = [(why, group) for why, group in found.groupby("reason", sort=False)]
    groups.sort(key=lambda pair: (_HARM.get(pair[1]["check"].iloc[0], -1), -len(pair[1])))
    rows = []
    for why, group in groups:
        places = ", ".join(str(i) for i in group["index"].head(6))
        rows.append((why, len(group), places + (", …" if len(group) > 6 else ""), _example(group.iloc[0])))
    return table(["what", "count", "source_row", "the first"], rows)


def _example(finding: pd.Series[Any]) -> str:
    cell = finding["failure_case"]
    shown = "" if pd.isna(cell) else timestamp(cell) if isinstance(cell, pd.Timestamp) else str(cell)
    return shown if pd.isna(finding["other"]) else f"{shown} (see row {finding['other']})"


def _quarantined(quarantine: pd.DataFrame) -> Markup:
    shown = quarantine.dropna(axis="columns", how="all")
    ordered = ["reasons", *(c for c in shown.columns if c != "reasons")]
    return frame_table(shown[ordered], index="source_row", limit=8)

"""validate(): the good rows, the failures with their reasons, the warnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import pandera.pandas as pa

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
)
from toolkit.encoding import oversized
from toolkit.errors import InputError
from toolkit.rules import RULES, Rule, find_warnings, findings
from toolkit.schema import NOT_A_TIME, UNIQUE, reason, schema_for
from toolkit.times import settled

FAILURE_COLUMNS = ["column", "check", "failure_case", "reason"]
BROKEN = "line"
TOO_LARGE = "max_bytes"


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
        The same columns, for what is allowed and odd.
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
        The warnings to look for.
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
    delivery = as_delivery(data)
    documented = Contract.named(contract) if isinstance(contract, str) else contract
    frame = delivery.frame
    _require_usable(frame)
    failures = _with_broken(pd.concat([_failures(frame, documented), _oversized(frame, documented)]), delivery)
    good = frame.loc[~frame.index.isin(failures["index"])]
    if good[TIME].dtype == object:  # only cells that did not parse made it so
        good = good.assign(**{TIME: settled(good[TIME])})
    quarantine = _quarantine(frame, failures, delivery)
    bad_ids = quarantine[ID].dropna().unique()
    held = frozenset(bad_ids) - frozenset(good[ID][good[ID].isin(bad_ids)])
    return ValidationReport(
        good=good,
        quarantine=quarantine,
        failures=failures,
        warnings=find_warnings(frame, documented, rules, now or pd.Timestamp.now("UTC")),
        delivery=replace(
            delivery,
            frame=good,
            held=delivery.held | held,
            n_quarantined=delivery.n_quarantined + len(quarantine),
        ),
        contract=documented.name,
    )


def _require_usable(frame: pd.DataFrame) -> None:
    missing = [c for c in (ID, TIME) if c not in frame.columns]
    if missing:
        raise InputError(
            f"The frame lacks {' and '.join(missing)}: every customer row needs both. "
            "Rename the columns, or read the file with a mapping."
        )
    if not frame.index.is_unique:
        raise InputError(
            "The frame's index names some rows twice, so a failure could not be led back to its "
            "row: call reset_index(drop=True) first."
        )
    times = frame[TIME].dtype
    if isinstance(times, pd.DatetimeTZDtype) or pd.api.types.is_object_dtype(times):
        return
    if pd.api.types.is_datetime64_dtype(times):
        raise InputError(
            "updated_at has no time zone: say which one it is with "
            "frame['updated_at'].dt.tz_localize('Europe/Berlin').dt.tz_convert('UTC')."
        )
    raise InputError(
        f"updated_at holds {times}, not times: parse it with pd.to_datetime(…, utc=True), "
        "or read the file with read_customers."
    )


def _failures(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    stated = frame[TIME]
    frame = frame.assign(**{TIME: settled(stated)})
    unread = frame.index[stated.notna() & frame[TIME].isna()]
    said = findings(unread, NOT_A_TIME, TIME, stated.loc[unread], reason(NOT_A_TIME, TIME))
    try:
        schema_for(contract).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as found:
        cases = found.failure_cases
    else:
        return said
    cases = cases[~((cases["column"] == TIME) & cases["index"].isin(unread))]
    whole = cases[cases["index"].isna()]
    if len(whole):
        raise InputError(
            f"{whole['column'].iloc[0]} cannot be checked row by row: it has to hold "
            f"{whole['check'].iloc[0]}. Read the file with read_customers, or convert the column."
        )
    return pd.concat([_one_a_row(cases, frame), said]).sort_values("index", kind="stable", ignore_index=True)


def _one_a_row(cases: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    # pandera names a duplicate key once for each of its columns, and counts null keys as equal.
    cases = cases[["column", "check", "failure_case", "index"]]
    unique = cases["check"] == UNIQUE
    keyless = frame.index[frame[ID].isna() | frame[TIME].isna()]
    cases = cases[~unique | ((cases["column"] == ID) & ~cases["index"].isin(keyless))]
    kinds = cases[["check", "column"]].drop_duplicates()
    spoken = {(k, c): reason(k, c) for k, c in kinds.itertuples(index=False)}
    words = [spoken[pair] for pair in zip(cases["check"], cases["column"], strict=True)]
    cases = cases.assign(reason=pd.Series(words, index=cases.index, dtype="str"))
    return cases.astype({"index": frame.index.dtype}).sort_values("index", kind="stable", ignore_index=True)


def _oversized(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    envelope = sum(len(part) for part in contract.envelope("", contract.operations[0]))
    large = frame.index[oversized(frame, contract.max_bytes - envelope)]
    return findings(
        large,
        TOO_LARGE,
        ID,
        frame[ID].loc[large],
        f"the row is larger than a request may be ({contract.max_bytes:,} bytes)",
    )


def _with_broken(failures: pd.DataFrame, delivery: Delivery) -> pd.DataFrame:
    broken = delivery.broken
    if broken.empty:
        return failures.reset_index(drop=True)
    lines = pd.DataFrame(
        {
            "column": None,
            "check": BROKEN,
            "failure_case": None,
            "index": broken.index,
            "reason": broken["reason"].to_numpy(),
        }
    )
    both = pd.concat([failures, lines]) if len(failures) else lines
    return both.sort_values("index", kind="stable", ignore_index=True)


def _quarantine(frame: pd.DataFrame, failures: pd.DataFrame, delivery: Delivery) -> pd.DataFrame:
    bad = frame.loc[frame.index.isin(failures["index"])]
    broken = delivery.broken.drop(columns="reason").reindex(columns=[*frame.columns, "text"])
    rows = pd.concat([part.astype({TIME: object}) for part in (bad, broken)]).sort_index()
    reasons = failures.drop_duplicates("index").set_index("index")["reason"]
    several = failures["index"].duplicated(keep=False)
    if several.any():  # the join is slow, and most bad rows have one reason
        joined = failures[several].groupby("index")["reason"].agg("; ".join)
        reasons = joined.combine_first(reasons)
    rows.insert(len(frame.columns), "reasons", reasons.reindex(rows.index).astype("str"))
    rows.index.name = frame.index.name
    return rows


def _counted(found: pd.DataFrame) -> dict[str, int]:
    return {str(k): int(v) for k, v in found["reason"].value_counts().items()}


def _findings(found: pd.DataFrame) -> Markup:
    rows = []
    for why, group in found.groupby("reason", sort=False):
        places = ", ".join(str(i) for i in group["index"].head(6))
        rows.append((why, len(group), places + (", …" if len(group) > 6 else "")))
    rows.sort(key=lambda row: -int(row[1]))
    return table(["what", "count", "source_row"], rows)


def _quarantined(quarantine: pd.DataFrame) -> Markup:
    shown = quarantine.dropna(axis="columns", how="all")
    ordered = ["reasons", *(c for c in shown.columns if c != "reasons")]
    return frame_table(shown[ordered], index="source_row", limit=8)

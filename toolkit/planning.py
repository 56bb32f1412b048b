"""plan_push(): what would be sent, what is left out and why, cut into batches; nothing leaves the machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa

from toolkit.batching import Envelope
from toolkit.casting import cast_column
from toolkit.comparison import STATES
from toolkit.contract import TIME, Resource
from toolkit.diffing import SENT, Diff
from toolkit.engine import to_arrow
from toolkit.errors import PlanError, did_you_mean
from toolkit.guards import Situation, chosen_names, find_guards
from toolkit.ledger import Ledger
from toolkit.push_plan import PushPlan
from toolkit.settings import Settings

__all__ = ["Envelope", "PushPlan", "as_dry_run", "plan_push", "require_digest"]

INCLUDABLE = ("touched", "restated", "backdated")
SHORTEST_DIGEST = 8


def plan_push(
    changes: Diff,
    *,
    settings: Settings | None = None,
    include: str | Iterable[str] | None = (),
    allow: str | Iterable[str] | None = (),
    thresholds: Mapping[str, float] | None = None,
) -> PushPlan:
    """Plan what to send of a diff: added and changed rows, oldest first.

    Parameters
    ----------
    include
        States to send besides: ``touched``, ``restated``, ``backdated``.
    allow
        Guards to overrule by name, or ``all``; a guard that speaks otherwise holds the push back.
    thresholds
        Name of a guard to the share, 0 to 1, beyond which it speaks: ``{"changed": 0.3}``.
        The defaults stand in `toolkit.guards.GUARDS`.

    Raises
    ------
    PlanError
        If a state cannot be included, a guard does not exist, the diff compares with another target's ledger or a
        past moment, or knows other custom attributes than the settings, the ledger has one that these do not list, a
        cell of one is not of its data type, or a row is larger than a request may be.

    Examples
    --------
    >>> import pandas as pd
    >>> from toolkit.diffing import diff
    >>> before = pd.DataFrame({"customer_id": ["A", "B"], "customer_name": ["Acme", "Best"],
    ...                        "updated_at": pd.to_datetime(["2025-01-28T10:00:00Z"] * 2)})
    >>> after = before.assign(updated_at=pd.to_datetime("2025-02-28T10:00:00Z"), customer_name=["Acme", "Bestow"])
    >>> plan = plan_push(diff(before, after))
    >>> plan.counts, [guard.name for guard in plan.guards]
    ({'added': 0, 'changed': 1}, ['changed'])
    """
    chosen = settings or Settings()
    included = chosen_names(include, "include", INCLUDABLE)
    for state in included:
        if state not in INCLUDABLE:
            raise PlanError(
                f"Rows that are {state} cannot be included{did_you_mean(state, INCLUDABLE) or '.'} "
                f"It can be {', '.join(INCLUDABLE)}."
            )
    wanted = [*SENT, *included]
    envelope, ledger = Envelope(chosen.documented, chosen.solution, chosen.operation), Ledger.of(chosen)
    if changes.before_origin not in ("", ledger.origin):
        raise PlanError(
            f"The diff does not compare with what {chosen.label} holds now, but with another target, ledger or moment: "
            "diff with Ledger.of(settings).snapshot(), of the same settings. Nothing was planned."
        )
    _require_attributes(changes, envelope.contract.resource)
    if unlisted := ledger.unlisted:
        raise PlanError(
            f"What was sent before has custom attributes that the settings do not list ({', '.join(unlisted)}), and "
            "new versions would empty them: list them under [[attributes]] in toolkit.toml. Nothing was planned."
        )
    rows = _rows(changes, wanted, envelope.contract.resource)
    batches = envelope.batches(rows)
    address = chosen.url()
    bound_to = {
        "target": chosen.target,
        "address": address,
        "contract": chosen.contract,
        "operation": chosen.operation,
        "ledger_version": changes.before_version,
        "batches": [b.digest for b in batches],
    }
    left_out = {s: changes.count(s) for s in STATES if s not in wanted}
    left_out |= {s: changes.count(s) for s in ("absent", "held")}
    situation = Situation(
        changes, rows, ledger.deliveries(), "" if chosen.local else chosen.host, ledger_is_empty=ledger.version < 0
    )
    return PushPlan(
        digest=hashlib.sha256(json.dumps(bound_to, sort_keys=True).encode()).hexdigest(),
        rows=rows,
        batches=batches,
        left_out=left_out,
        envelope=envelope,
        target=chosen.target,
        label=chosen.label,
        address=address,
        ledger_version=changes.before_version,
        changes=changes,
        guards=find_guards(situation, allow=allow, thresholds=thresholds),
    )


def as_dry_run(plan: PushPlan) -> PushPlan:
    """Return the plan as one that the vendor only checks.

    Raises
    ------
    PlanError
        If the contract documents no dry run: the vendor might ignore the wish, and write.
    """
    contract = plan.envelope.contract
    if not contract.dry_run:
        raise PlanError(
            f"The contract {contract.name} documents no dry run, so the vendor might write the rows: use "
            "'plan' to see what would be sent, or set TOOLKIT_CONTRACT=current if the tenant has it."
        )
    envelope = replace(plan.envelope, dry_run=True)
    return replace(plan, envelope=envelope, batches=envelope.batches(plan.rows))


def require_digest(plan: PushPlan, digest: str) -> None:
    """Hold a plan to the digest of the reviewed one, of which the first eight characters will do.

    Raises
    ------
    PlanError
        If it is another plan, or the digest is too short to say.
    """
    if digest and len(digest) < SHORTEST_DIGEST:
        raise PlanError(f"--plan takes at least the first {SHORTEST_DIGEST} characters of the plan's digest.")
    if not plan.digest.startswith(digest.lower()):
        raise PlanError(
            f"The file now makes plan {plan.digest[:12]}, not the reviewed one: the file, the mapping, "
            "the settings or the ledger changed since. Review it anew with 'toolkit plan'."
        )


def _rows(changes: Diff, states: list[str], resource: Resource) -> pa.Table:
    chosen = changes.states.isin(states)
    frame = changes.delivery.frame[chosen]
    order = np.argsort(frame[TIME].astype("int64").to_numpy(), kind="stable")
    frame, state = frame.iloc[order], changes.states[chosen].iloc[order].astype("str")
    for column in resource.custom:
        if column.default is not None and column.name not in changes.delivery.given:
            cells = frame[column.name]
            frame = frame.assign(**{column.name: cells.where(cells.notna() | (state != "added"), column.default)})
    table = to_arrow(frame, resource.arrow_schema(), index="source_row")
    return table.append_column("state", pa.array(state, type=pa.string()))


def _require_attributes(changes: Diff, resource: Resource) -> None:
    """Refuse to drop a custom attribute of the delivery, to empty one that the diff never saw, or to guess a cell."""
    delivery, custom = changes.delivery, [c.name for c in resource.custom]
    dropped = [c for c in delivery.given if c not in resource.names]
    unseen = [c for c in custom if c not in delivery.frame.columns]
    if dropped or unseen:
        raise PlanError(
            f"The settings and the diff do not name the same custom attributes: {', '.join(dropped + unseen)}. List "
            "those of the table under [[attributes]] in toolkit.toml, validate under Settings().documented, and diff "
            "with Ledger.of().snapshot()."
        )
    for column in resource.custom:
        # Arrow would take infinity, which JSON has not, and a time without a zone as UTC.
        unread = delivery.frame.index[cast_column(delivery.frame[column.name], column)[1]]
        if len(unread):
            raise PlanError(
                f"{column.name} of source_row {unread[0]} is not written as {column.kind}: validate the "
                "delivery under Settings().documented, and diff its good rows. Nothing was planned."
            )

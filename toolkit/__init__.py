"""Customer master data: check it, compare it, send exactly what changed, and keep a record of every row.

Each step takes a frame, a `Delivery`, or the result of the step before::

    delivery = read_customers("customers.csv", mapping="customers.toml")
    report = validate(correct(delivery))
    changes = diff(Ledger.of().snapshot(), report)
    result = push(plan_push(changes))

The types of the results are in `toolkit.results`, the errors in `toolkit.errors`. A name is imported when it is first
used: ``import toolkit`` alone loads nothing else.
"""

from typing import TYPE_CHECKING

from toolkit.lazy import on_first_use

if TYPE_CHECKING:
    from toolkit.config import Settings, use
    from toolkit.ledger import Ledger, diff
    from toolkit.model import Contract, CustomAttribute, Customer
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
    from toolkit.quality import (
        apply_patch,
        correct,
        drift,
        patch_between,
        preview_corrections,
        profile,
        read_patch,
        read_review_sheet,
        validate,
    )
    from toolkit.reading import Mapping, read_customers, suggest_mapping
    from toolkit.vendor import Sandbox, check_schema
else:
    __getattr__, __dir__ = on_first_use(__name__)

__all__ = [
    "Contract",
    "CustomAttribute",
    "Customer",
    "Ledger",
    "Mapping",
    "Sandbox",
    "Settings",
    "abandon",
    "apply_patch",
    "check_schema",
    "correct",
    "diff",
    "drift",
    "dry_run",
    "patch_between",
    "plan_correction",
    "plan_push",
    "preview_corrections",
    "profile",
    "push",
    "push_history",
    "push_report",
    "read_customers",
    "read_patch",
    "read_review_sheet",
    "repush",
    "resume",
    "revert",
    "settle",
    "status",
    "suggest_mapping",
    "use",
    "validate",
]

"""Customer master data in; exactly what changed out; a record of what became of every row.

Each station takes a frame, a `Delivery`, or the result of the station before::

    delivery = read_customers("customers.csv", mapping="customers.toml")
    report = validate(correct(delivery))
    changes = diff(Ledger.of().snapshot(), report)
    result = push(plan_push(changes))

Errors are in `toolkit.errors`.
"""

from toolkit.config import Settings
from toolkit.ledger import Diff, Ledger, Snapshot, diff
from toolkit.model import Contract, CustomAttribute, Customer, Delivery
from toolkit.pushing import (
    PushPlan,
    PushReport,
    Status,
    abandon,
    correct_customers,
    dry_run,
    plan_push,
    push,
    pushes,
    report,
    repush,
    resume,
    revert,
    settle,
    status,
)
from toolkit.quality import (
    Correction,
    Patch,
    Profile,
    ValidationReport,
    apply_patch,
    correct,
    patch_between,
    preview_corrections,
    profile,
    read_corrections,
    read_patch,
    validate,
)
from toolkit.reading import Mapping, MappingSuggestion, read_customers, suggest_mapping
from toolkit.vendor import Client, Sandbox, add_attribute, check_schema

__all__ = [
    "Client",
    "Contract",
    "Correction",
    "CustomAttribute",
    "Customer",
    "Delivery",
    "Diff",
    "Ledger",
    "Mapping",
    "MappingSuggestion",
    "Patch",
    "Profile",
    "PushPlan",
    "PushReport",
    "Sandbox",
    "Settings",
    "Snapshot",
    "Status",
    "ValidationReport",
    "abandon",
    "add_attribute",
    "apply_patch",
    "check_schema",
    "correct",
    "correct_customers",
    "diff",
    "dry_run",
    "patch_between",
    "plan_push",
    "preview_corrections",
    "profile",
    "push",
    "pushes",
    "read_corrections",
    "read_customers",
    "read_patch",
    "report",
    "repush",
    "resume",
    "revert",
    "settle",
    "status",
    "suggest_mapping",
    "validate",
]

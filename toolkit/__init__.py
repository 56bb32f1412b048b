"""Customer master data in; exactly what changed out; a record of what became of every row.

Each station takes a frame, a `Delivery`, or the result of the station before::

    delivery = read_customers("customers.csv", mapping="customers.toml")
    report = validate(correct(delivery))
    changes = diff(Ledger.of().snapshot(), report)
    result = push(plan_push(changes))

Errors are in `toolkit.errors`.
"""

from toolkit.applying import apply_patch
from toolkit.attributes import CustomAttribute
from toolkit.chronicle import pushes, report
from toolkit.client import Client
from toolkit.contract import Contract
from toolkit.correcting import Correction, correct, preview_corrections
from toolkit.delivery import Delivery
from toolkit.diffing import Diff, diff
from toolkit.ledger import Ledger
from toolkit.mapping import Mapping
from toolkit.mending import read_corrections
from toolkit.patching import Patch, patch_between, read_patch
from toolkit.planning import PushPlan, plan_push
from toolkit.profiling import Profile, profile
from toolkit.pushing import abandon, dry_run, push, resume, status
from toolkit.reading import read_customers
from toolkit.reporting import PushReport
from toolkit.repushing import correct_customers, repush
from toolkit.reverting import revert
from toolkit.sandbox import Sandbox
from toolkit.scanning import Scan, scan
from toolkit.schema import Customer
from toolkit.schema_checking import add_attribute, check_schema
from toolkit.settings import Settings
from toolkit.settling import settle
from toolkit.snapshot import Snapshot
from toolkit.standing import Status
from toolkit.suggesting import MappingSuggestion, suggest_mapping
from toolkit.validation import ValidationReport, validate

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
    "Scan",
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
    "scan",
    "settle",
    "status",
    "suggest_mapping",
    "validate",
]

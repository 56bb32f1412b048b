"""The verbs of an analyst: plan, push, resume, report, settle, send again, revert.

May import: `sending`, `ledger`, `quality` and what is below.
"""

from toolkit.pushing.history import PushHistory, Status, pushes, report
from toolkit.pushing.history import pushes as push_history  # until pushes is renamed
from toolkit.pushing.history import report as push_report  # until report is renamed
from toolkit.pushing.planning import PushPlan, plan_push, require_digest
from toolkit.pushing.report import PushReport
from toolkit.pushing.repushing import Repush, correct_customers, repush, revert
from toolkit.pushing.repushing import correct_customers as plan_correction  # until it is renamed
from toolkit.pushing.runs import abandon, dry_run, push, resume, status
from toolkit.pushing.seeding import seed
from toolkit.pushing.settling import Named, settle

__all__ = [
    "Named",
    "PushHistory",
    "PushPlan",
    "PushReport",
    "Repush",
    "Status",
    "abandon",
    "correct_customers",
    "dry_run",
    "plan_correction",
    "plan_push",
    "push",
    "push_history",
    "push_report",
    "pushes",
    "report",
    "repush",
    "require_digest",
    "resume",
    "revert",
    "seed",
    "settle",
    "status",
]

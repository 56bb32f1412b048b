"""The verbs of an analyst: plan, push, resume, report, settle, send again, revert.

A diff becomes a plan (`planning`), which guards and checks may refuse; `runs` sends it and `recording` takes what the
vendor accepted from the journal to the ledger. What became of it is a `report`; later steps start from that or from
the ledger (`settling`, `repushing`), and `history` lists every push. `seeding` is for what was sent before.

May import: `sending`, `ledger`, `quality` and what is below.
"""

from toolkit.pushing.explaining import Codes, explain
from toolkit.pushing.history import PushHistory, Status, push_history, push_report, status
from toolkit.pushing.planning import PushPlan, plan_push, require_digest
from toolkit.pushing.guards import GUARDS
from toolkit.pushing.report import PushReport, fate_parts
from toolkit.pushing.repushing import plan_correction, repush, revert
from toolkit.pushing.runs import abandon, dry_run, push, resume
from toolkit.pushing.seeding import seed
from toolkit.pushing.settling import Named, settle

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
    from toolkit import engine as engine
    from toolkit.config import Settings as Settings
    from toolkit.config import use as use
    from toolkit.engine import table as table
    from toolkit.ledger import Ledger as Ledger
    from toolkit.ledger import diff as diff
    from toolkit.model import Contract as Contract
    from toolkit.model import CustomAttribute as CustomAttribute
    from toolkit.model import Customer as Customer
    from toolkit.panels import MappingPanel as MappingPanel
    from toolkit.panels import PushPanel as PushPanel
    from toolkit.panels import ReviewPanel as ReviewPanel
    from toolkit.panels import onboard as onboard
    from toolkit.pushing import abandon as abandon
    from toolkit.pushing import dry_run as dry_run
    from toolkit.pushing import explain as explain
    from toolkit.pushing import plan_correction as plan_correction
    from toolkit.pushing import plan_push as plan_push
    from toolkit.pushing import push as push
    from toolkit.pushing import push_history as push_history
    from toolkit.pushing import push_report as push_report
    from toolkit.pushing import repush as repush
    from toolkit.pushing import resume as resume
    from toolkit.pushing import revert as revert
    from toolkit.pushing import settle as settle
    from toolkit.pushing import status as status
    from toolkit.quality import apply_patch as apply_patch
    from toolkit.quality import correct as correct
    from toolkit.quality import drift as drift
    from toolkit.quality import patch_between as patch_between
    from toolkit.quality import preview_corrections as preview_corrections
    from toolkit.quality import profile as profile
    from toolkit.quality import read_patch as read_patch
    from toolkit.quality import read_review_sheet as read_review_sheet
    from toolkit.quality import validate as validate
    from toolkit.reading import Mapping as Mapping
    from toolkit.reading import mappings as mappings
    from toolkit.reading import read_customers as read_customers
    from toolkit.reading import suggest_mapping as suggest_mapping
    from toolkit.training import readiness as readiness
    from toolkit.vendor import Sandbox as Sandbox
    from toolkit.vendor import check_schema as check_schema
else:
    __getattr__, __dir__, __all__ = on_first_use(__name__)

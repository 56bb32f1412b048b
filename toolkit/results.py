"""The types of what the toolkit's functions return, for annotations and ``isinstance``.

Every result has a one-line ``repr`` with its counts, shows itself in a notebook, and has ``to_frame()``, ``to_dict()``
and ``to_html(path)``.
"""

from typing import TYPE_CHECKING

from toolkit.lazy import on_first_use

if TYPE_CHECKING:
    from toolkit.ledger import Diff, Snapshot
    from toolkit.model import Delivery
    from toolkit.pushing import PushHistory, PushPlan, PushReport, Status
    from toolkit.quality import Correction, Drift, Patch, Patched, Preview, Profile, ValidationReport
    from toolkit.reading import MappingSuggestion
    from toolkit.vendor import SchemaCheck
else:
    __getattr__, __dir__ = on_first_use(__name__)

__all__ = [
    "Correction",
    "Delivery",
    "Diff",
    "Drift",
    "MappingSuggestion",
    "Patch",
    "Patched",
    "Preview",
    "Profile",
    "PushHistory",
    "PushPlan",
    "PushReport",
    "SchemaCheck",
    "Snapshot",
    "Status",
    "ValidationReport",
]

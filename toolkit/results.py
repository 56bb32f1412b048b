"""The types of what the toolkit's functions return, for annotations and ``isinstance``.

Every result has a one-line ``repr`` with its counts, shows itself in a notebook, and has ``to_frame()``, ``to_dict()``
and ``to_html(path)``.
"""

from typing import TYPE_CHECKING

from toolkit.lazy import on_first_use

if TYPE_CHECKING:
    from toolkit.ledger import Diff as Diff
    from toolkit.ledger import Snapshot as Snapshot
    from toolkit.model import Delivery as Delivery
    from toolkit.pushing import Codes as Codes
    from toolkit.pushing import PushHistory as PushHistory
    from toolkit.pushing import PushPlan as PushPlan
    from toolkit.pushing import PushReport as PushReport
    from toolkit.pushing import Status as Status
    from toolkit.quality import Correction as Correction
    from toolkit.quality import Drift as Drift
    from toolkit.quality import Patch as Patch
    from toolkit.quality import Patched as Patched
    from toolkit.quality import Preview as Preview
    from toolkit.quality import Profile as Profile
    from toolkit.quality import ValidationReport as ValidationReport
    from toolkit.reading import Mappings as Mappings
    from toolkit.reading import MappingSuggestion as MappingSuggestion
    from toolkit.training import Readiness as Readiness
    from toolkit.vendor import SchemaCheck as SchemaCheck
else:
    __getattr__, __dir__, __all__ = on_first_use(__name__)

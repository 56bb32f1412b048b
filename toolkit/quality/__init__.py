"""What is wrong with a delivery, and how it is put right: rules, validation, profile, drift, corrections, patches.

May import: `reading` and what is below.
"""

from toolkit.quality.correcting import PATCH, Correction, called_for, correct, preview_corrections
from toolkit.quality.drifting import Drift, drift
from toolkit.quality.patches import Patch, apply_patch, patch_between, read_patch
from toolkit.quality.profiling import Profile, profile
from toolkit.quality.review_sheet import read_corrections, write_mending_sheet
from toolkit.quality.rules import RULES, Rule, choose_rules
from toolkit.quality.validation import ValidationReport, validate

__all__ = [
    "PATCH",
    "RULES",
    "Correction",
    "Drift",
    "Patch",
    "Profile",
    "Rule",
    "ValidationReport",
    "apply_patch",
    "called_for",
    "choose_rules",
    "correct",
    "drift",
    "patch_between",
    "preview_corrections",
    "profile",
    "read_corrections",
    "read_patch",
    "validate",
    "write_mending_sheet",
]

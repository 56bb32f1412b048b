"""What is wrong with a delivery, and how it is put right: rules, validation, profile, drift, corrections, patches.

May import: `reading` and what is below.
"""

from toolkit.quality.correcting import PATCH, Correction, Preview, called_for, correct, preview_corrections
from toolkit.quality.drifting import Drift, drift
from toolkit.quality.id_forms import new_form
from toolkit.quality.patches import Patch, Patched, apply_patch, patch_between, read_patch, read_review_sheet
from toolkit.quality.profiling import Profile, profile
from toolkit.quality.review_sheet import write_review_sheet
from toolkit.quality.rules import RULES, Rule, choose_rules
from toolkit.quality.validation import ValidationReport, validate

"""What is wrong with a delivery, and how it is put right: rules, validation, profile, drift, corrections, patches.

May import: `reading` and what is below.
"""

from toolkit.quality.correcting import PATCH, Correction, Preview, called_for, correct, preview_corrections
from toolkit.quality.corrections import CHANGE_COLUMNS, CORRECTIONS, WHOLE_ROW, changes_between, folded_spelling
from toolkit.quality.drifting import Drift, drift
from toolkit.quality.id_forms import new_form
from toolkit.quality.joining import joined_row, possible_rows
from toolkit.quality.patches import Patch, Patched, apply_patch, patch_between, patch_of, read_patch
from toolkit.quality.patches import read_review_sheet
from toolkit.quality.profiling import Profile, profile
from toolkit.quality.rechecking import check_again, checked, rules_of
from toolkit.quality.review_sheet import as_times, write_review_sheet
from toolkit.quality.rules import RULES, Rule, choose_rules
from toolkit.quality.showing import WHOLE_LINE, file_order, in_words, own
from toolkit.quality.validation import ValidationReport, validate

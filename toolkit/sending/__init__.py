"""One run over the wire that survives a crash: sender, bisection, pace, journal, lock.

May import: `vendor` and what is below.
"""

from toolkit.sending.journal import Journal
from toolkit.sending.lock import clear_left_behind, only_pusher, passing_folder
from toolkit.sending.pacing import Pace
from toolkit.sending.records import FATES, OVERTAKEN, SETTLED, Fate, NewPush, PushRecord, Receipt
from toolkit.sending.sender import Sender

__all__ = [
    "FATES",
    "OVERTAKEN",
    "SETTLED",
    "Fate",
    "Journal",
    "NewPush",
    "Pace",
    "PushRecord",
    "Receipt",
    "Sender",
    "clear_left_behind",
    "only_pusher",
    "passing_folder",
]

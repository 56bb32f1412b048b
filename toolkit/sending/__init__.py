"""Sending the rows of one push so that a crash loses nothing: sender, bisection, pace, steering, journal, lock.

The sender enters each attempt in the journal before it makes it, and each answer with the fates that it gives; the
journal can then say what became of every row. The lock keeps a second process from pushing to the same target.

May import: `vendor` and what is below.
"""

from toolkit.sending.journal import Journal
from toolkit.sending.lock import only_pusher
from toolkit.sending.pacing import Limiter, Pace
from toolkit.sending.records import FATES, OVERTAKEN, SETTLED, Fate, LoadedPush, NewPush, PushRecord, Receipt
from toolkit.sending.sender import Sender
from toolkit.sending.steering import Steering

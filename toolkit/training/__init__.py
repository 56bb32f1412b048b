"""Whether what refers to customers, quotes and sales, is ready to train the vendor's model: as of each quote's date.

`staging` makes every kind of table known to the engine, `counting` joins and counts there, and `checking` shows it.

May import: `pushing` and what is below.
"""

from toolkit.training.checking import Readiness, readiness

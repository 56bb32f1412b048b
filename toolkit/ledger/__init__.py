"""What the vendor accepted: the ledger, snapshots of it through time, and the difference to a delivery.

May import: `config` and what is below.
"""

from toolkit.ledger.deliveries import WITHDRAWN
from toolkit.ledger.diffing import INCLUDABLE, SENT, SHOWN, WAYS_IN, Diff, TableDiff, diff, way_in
from toolkit.ledger.entries import ACCEPTED, RETRACTED, STANDS, entry_schema, required, rows_of, versions_of
from toolkit.ledger.ledger import LISTED, Ledger
from toolkit.ledger.snapshot import Snapshot
from toolkit.ledger.states import STATES

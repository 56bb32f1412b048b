"""settle(): what became of rows without a readable answer, as confirmed by the analyst who looked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from toolkit.config import Settings, current
from toolkit.errors import InputError
from toolkit.ledger import Ledger, required
from toolkit.model import ID
from toolkit.pushing.checks import require_recent, require_same_columns
from toolkit.pushing.recording import Recorder
from toolkit.pushing.report import PushReport, name_of, report_of
from toolkit.pushing.runs import alone
from toolkit.sending import SETTLED, Fate, LoadedPush, Pace, Receipt
from toolkit.tables import author

Named = Literal["all"] | Iterable[str | int]
"""Unknown rows: all of them, or by ``customer_id`` (text) or ``source_row`` (number)."""


def settle(
    push: PushReport | str,
    *,
    accepted: Named = (),
    refused: Named = (),
    reason: str,
    settings: Settings | None = None,
    pace: Pace | None = None,
) -> PushReport:
    """Record what became of unknown rows of a push, after a look at the vendor's table; author and reason are kept.

    Accepted rows are recorded in the ledger. The push closes once every row has a receipt.

    Parameters
    ----------
    push
        The report or the name of a push, open or closed.
    accepted, refused
        ``"all"`` unknown rows, or those of a ``customer_id`` (text) or a ``source_row`` (number).
    reason
        How it is known.

    Raises
    ------
    InputError
        If `push` is something else, no row or no reason is given, a row is named twice, or one is not unknown: nothing
        is settled then.
    NothingOpenError
        If the journal has no such push.
    PlanError
        If the push was begun with other custom attributes than the settings list.
    """
    name = name_of(push)
    required(reason, "What became of the rows", error=InputError)
    chosen = current(settings)
    with alone(chosen, pace or Pace()) as journal:
        loaded, ledger = journal.load(name), Ledger.of(chosen)
        recorder = Recorder(journal, ledger)
        require_same_columns(loaded, ledger)  # before anything is recorded
        require_recent(journal, loaded, ledger)
        recorder.accepted(loaded)  # what an earlier call recorded in the journal only
        recorder.close_if_done(loaded)
        journal.enter(name, _receipts(loaded, accepted, refused, reason, journal.batches(name)))
        loaded = journal.load(name, rows=loaded.rows)
        recorder.accepted(loaded)
        recorder.close_if_done(loaded)
        return report_of(loaded, state=journal.push(name).state)


def _receipts(
    push: LoadedPush, accepted: Named, refused: Named, reason: str, batches: list[tuple[int, int, int, str]]
) -> list[Receipt]:
    """Return a receipt for each row that is named.

    Raises
    ------
    InputError
        If a row is named twice, or none is.
    """
    taken, not_taken = _places(accepted, push), _places(refused, push)
    if twice := np.intersect1d(taken, not_taken).tolist():
        raise InputError(
            f"source_row {push.rows['source_row'][twice[0]]} is settled as accepted and as refused: name it once."
        )
    if not len(taken) + len(not_taken):
        raise InputError(f"Nothing was settled of push {push.record.id}: name unknown rows, as accepted= or refused=.")
    starts, who = [first for _, first, _, _ in batches], author()
    said: dict[Fate, list[int]] = {"accepted": taken.tolist(), "refused": not_taken.tolist()}
    return [
        Receipt(place, place + 1, fate, SETTLED, who, reason, batch=int(np.searchsorted(starts, place, "right")) - 1)
        for fate, places in said.items()
        for place in places
    ]


def _places(named: Named, push: LoadedPush) -> npt.NDArray[np.int64]:
    """Return the places of the unknown rows that are named."""
    unknown = np.flatnonzero(push.has("unknown"))
    if isinstance(named, str) and named == "all":
        return unknown
    wanted = set(named) if isinstance(named, Iterable) and not isinstance(named, str) else {named}
    taken = push.rows.take(pa.array(unknown))
    pairs = list(zip(taken[ID].to_pylist(), taken["source_row"].to_pylist(), strict=True))
    if strange := wanted.difference(*pairs):
        raise InputError(
            f"Push {push.record.id} has no unknown row {', '.join(map(repr, sorted(strange, key=str)[:5]))}: give a "
            "customer_id as text or a source_row as a number. Nothing was settled."
        )
    return unknown[[not wanted.isdisjoint(pair) for pair in pairs]]

"""settle(): what became of rows that no answer tells of, on the word of the analyst who looked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from toolkit.config import Settings, current
from toolkit.errors import InputError, NothingOpenError
from toolkit.ledger import Ledger
from toolkit.model import ID
from toolkit.pushing.checks import require_recent, require_same_columns
from toolkit.pushing.planning import PushPlan
from toolkit.pushing.recording import close_if_settled, enter_accepted
from toolkit.pushing.report import PushReport, name_of, report_of
from toolkit.sending import FATES, SETTLED, Fate, Journal, Pace, PushRecord, Receipt, only_pusher
from toolkit.tables import author

Named = Literal["all"] | Iterable[str | int]
"""Unknown rows: all of them, or by ``customer_id`` (text) or ``source_row`` (number)."""


def settle(
    push: PushPlan | PushReport | str,
    *,
    accepted: Named = (),
    refused: Named = (),
    reason: str,
    settings: Settings | None = None,
    pace: Pace | None = None,
) -> PushReport:
    """Say what became of unknown rows of a push, having looked at the vendor's table; author and reason are kept.

    Accepted rows enter the ledger. The push closes once nothing of it waits.

    Parameters
    ----------
    push
        The push's report or name, or its plan; open or closed.
    accepted, refused
        ``"all"`` unknown rows, or those of a ``customer_id`` (text) or a ``source_row`` (number).
    reason
        How it is known.

    Raises
    ------
    InputError
        If `push` is none, no row or no reason is given, a row is named twice, or one that is not unknown: nothing is
        settled then.
    NothingOpenError
        If the journal has no such push.
    PlanError
        If the push was begun with other custom attributes than the settings list.
    """
    chosen, pace = current(settings), pace or Pace()
    folder = chosen.target_folder()
    if not (isinstance(reason, str) and reason.strip()):
        raise InputError("settle() takes a reason: how it is known what became of the rows.")
    with (
        only_pusher(folder, chosen.target, clock=pace.now),
        Journal(folder, chosen.target, clock=pace.now) as journal,
    ):
        record, ledger = _record(journal, push), Ledger.of(chosen)
        require_same_columns(rows := journal.rows(record.id), record, ledger)  # before anything is said
        require_recent(journal, record, ledger)
        enter_accepted(journal, record, ledger)  # whatever a stop left behind
        close_if_settled(journal, record, ledger)
        unknown = np.flatnonzero(journal.fates(record.id)[0] == FATES.index("unknown"))
        said: dict[Fate, npt.NDArray[np.int64]] = {
            "accepted": _places(accepted, rows, unknown, record),
            "refused": _places(refused, rows, unknown, record),
        }
        twice = np.intersect1d(said["accepted"], said["refused"])
        if len(twice) or not sum(map(len, said.values())):
            raise InputError(
                f"source_row {rows['source_row'][int(twice[0])]} is settled as accepted and as refused: name it once."
                if len(twice)
                else f"Nothing was settled of push {record.id}: name unknown rows, as accepted= or refused=."
            )
        starts = [first for _, first, _, _ in journal.batches(record.id)]
        journal.enter(
            record.id,
            [
                Receipt(
                    int(place),
                    int(place) + 1,
                    fate,
                    SETTLED,
                    author(),
                    reason,
                    batch=int(np.searchsorted(starts, place, side="right")) - 1,
                )
                for fate, places in said.items()
                for place in places
            ],
        )
        enter_accepted(journal, record, ledger)
        close_if_settled(journal, record, ledger)
        return report_of(journal, record.id)


def _record(journal: Journal, push: PushPlan | PushReport | str) -> PushRecord:
    if isinstance(push, PushPlan):
        found = next((record for record in journal.pushes() if record.plan == push.digest), None)
        if found is None:
            raise NothingOpenError(f"Plan {push.digest[:12]} was not pushed from here: there is nothing to settle.")
        return found
    return journal.push(name_of(push))


def _places(named: Named, rows: pa.Table, unknown: npt.NDArray[np.int64], record: PushRecord) -> npt.NDArray[np.int64]:
    if isinstance(named, str):
        if named == "all":
            return unknown
        named = [named]
    if not isinstance(named, Iterable):
        named = [named]
    wanted = set(named)
    taken = rows.take(pa.array(unknown))
    pairs = list(zip(taken[ID].to_pylist(), taken["source_row"].to_pylist(), strict=True))
    strange = wanted.difference(*pairs) if pairs else wanted
    if strange:
        raise InputError(
            f"Push {record.id} has no unknown row {', '.join(map(repr, sorted(strange, key=str)[:5]))}: give a "
            "customer_id as text or a source_row as a number. Nothing was settled."
        )
    return unknown[[not wanted.isdisjoint(pair) for pair in pairs]]

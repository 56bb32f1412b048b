"""seed(): the ledger takes over the customers that the vendor received before the toolkit was used."""

from __future__ import annotations

from datetime import datetime

from toolkit.config import Settings, current
from toolkit.display import plural
from toolkit.engine import to_arrow
from toolkit.errors import InputError, LedgerError
from toolkit.ledger import Ledger
from toolkit.model import Customers, as_delivery
from toolkit.quality import validate


def seed(
    data: Customers,
    *,
    reason: str,
    settings: Settings | None = None,
    beside_entries: bool = False,
    now: datetime | None = None,
) -> int:
    """Enter customers that the vendor already has into the ledger, as if a push had sent them; nothing is sent.

    Parameters
    ----------
    data
        What the vendor has: a frame, a delivery, or a validation report, of which the good rows count.
    reason
        How it is known that the vendor has them; kept with each row, and so is the author.
    beside_entries
        Enter them although the ledger has entries already. A version that was accepted stays as it is.

    Returns
    -------
    int
        The number of rows entered.

    Raises
    ------
    InputError
        If `data` is of another kind, or a row fails validation: nothing is entered then.
    LedgerError
        If the ledger has entries, or the customers have a custom attribute that the settings do not list.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"customer_id": ["A"], "updated_at": pd.to_datetime(["2026-01-28T10:00:00Z"])})
    >>> seed(frame, reason="the vendor's export of 1 March", settings=Settings(home=tempfile.mkdtemp()))
    1
    """
    chosen = current(settings)
    ledger = Ledger.of(chosen)
    delivery = as_delivery(data, columns=ledger.resource.names)
    if unlisted := [c for c in delivery.given if c not in ledger.resource.names]:
        raise LedgerError(
            f"The customers have custom attributes that the settings do not list ({', '.join(unlisted)}), and the "
            "ledger would lose them: list them under [[attributes]] in toolkit.toml. Nothing was entered."
        )
    report = validate(delivery, settings=chosen, rules=())
    if not report.ok:
        why = ", ".join(f"{words}: {n:,}" for words, n in report.counts.items())
        raise InputError(
            f"{plural(report.n_quarantined, 'row')} of {report.n_rows:,} cannot be seeded ({why}): fix the file, or "
            "seed the report of validate(…), of which only the good rows are taken. Nothing was entered."
        )
    if ledger.version >= 0 and not beside_entries:
        raise LedgerError(
            f"The ledger of target {ledger.target} already has entries: give beside_entries=True to add older "
            "customers to them. Nothing was entered."
        )
    rows = to_arrow(report.good, ledger.resource.arrow_schema(), index="source_row")
    ledger.record_seeding(rows, source=delivery.source, reason=reason, now=now)
    return int(rows.num_rows)

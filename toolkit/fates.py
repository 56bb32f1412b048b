"""What became of the rows of a push, in words, as a bar, and in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from toolkit.display import Markup, badge, escape, plural
from toolkit.receipts import FATES

_COLOURS = {"accepted": "good", "refused": "bad", "unknown": "warn", "unsent": "soft"}
BAR_PX = 240


def fate_bar(counts: Mapping[str, int], *, share: float = 1.0) -> Markup:
    """Draw the fates side by side: no script, in the colours of the reader's theme.

    Parameters
    ----------
    share
        The bar's length, 0 to 1: the push's rows as a share of the longest bar's.

    Examples
    --------
    >>> "67%" in fate_bar({"accepted": 2, "refused": 1})
    True
    """
    total = sum(counts.get(fate, 0) for fate in FATES)
    parts = "".join(
        f'<i style="display:block;height:10px;min-width:2px;width:{counts[fate] / total:.0%};'
        f'background:var(--tk-{_COLOURS[fate]})"></i>'
        for fate in FATES
        if counts.get(fate)
    )
    said = escape(", ".join(f"{counts[fate]:,} {fate}" for fate in FATES if counts.get(fate)) or "nothing to send")
    width = max(2, round(BAR_PX * share)) if total else 2
    return Markup(
        f'<span role="img" aria-label="{said}" title="{said}" style="display:inline-flex;width:{width}px;'
        f'background:var(--tk-tint);border-radius:2px;overflow:hidden">{parts}</span>'
    )


def legend() -> Markup:
    """Name the colours of `fate_bar`."""
    tones = {"soft": "calm"}
    return Markup("".join(badge(fate, tone=tones.get(c, c)) for fate, c in _COLOURS.items()))  # type: ignore[arg-type]  # each is a tone


def verdict(counts: Mapping[str, int], *, dry_run: bool = False) -> str:
    """Say in a sentence what became of all rows, what needs the analyst first.

    Examples
    --------
    >>> verdict({"accepted": 597, "refused": 3})
    '3 of 600 rows were refused by the vendor; 597 were accepted.'
    """
    total = sum(counts.get(fate, 0) for fate in FATES)
    done = "passed the vendor's check" if dry_run else "accepted"
    if not total:
        return "There was nothing to send."
    if counts.get("accepted") == total:
        be = "" if dry_run else "was " if total == 1 else "were "
        return f"{'The one row' if total == 1 else f'All {total:,} rows'} {be}{done}."
    words = {
        "refused": "refused by the vendor",
        "unknown": "sent without a readable answer, so nobody knows yet",
        "unsent": "not sent",
        "accepted": done,
    }
    parts = [(counts[fate], words[fate]) for fate in words if counts.get(fate)]
    if parts[-1][1] != done:
        parts.append((0, done))
    said = [
        (f"{n:,}" if n else "none", ("" if dry_run and text == done else "was " if n == 1 else "were ") + text)
        for n, text in parts
    ]
    (first, fate), *rest = said
    return "; ".join([f"{first} of {plural(total, 'row')} {fate}", *(f"{n} {text}" for n, text in rest)]) + "."


@dataclass(frozen=True)
class Timing:
    """How long a push took.

    Attributes
    ----------
    took_s
        Seconds from the first request to the last answer, pauses between a stop and a resume included.
    answer_s
        Seconds that an answer took, in the middle of all; null where none came.
    waited_s
        Seconds between a request that was repeated and its repetition, a pause before a resume included.
    n_retries
        Requests that repeat one before.
    """

    took_s: float
    answer_s: float
    waited_s: float
    n_retries: int

    @classmethod
    def of(cls, attempts: pd.DataFrame) -> Timing:
        """Work it out from attempts: ``batch, digest, sent_at, answered_at``, times in UTC."""
        answered = attempts["answered_at"].fillna(attempts["sent_at"])
        tries = attempts.assign(answered_at=answered).groupby(["batch", "digest"], sort=False)
        waited = (attempts["sent_at"] - tries["answered_at"].shift()).dt.total_seconds()
        took = answered.max() - attempts["sent_at"].min() if len(attempts) else pd.Timedelta(0)
        return cls(
            took.total_seconds(),
            float((attempts["answered_at"] - attempts["sent_at"]).dt.total_seconds().median()),
            float(waited.sum()),
            int(waited.notna().sum()),
        )

    def __str__(self) -> str:
        said = [f"{self.took_s:,.1f} s"]
        if self.answer_s == self.answer_s:
            said.append(f"an answer took {self.answer_s:,.2f} s")
        if self.n_retries:
            said.append(f"{plural(self.n_retries, 'retry', 'retries')} after {self.waited_s:,.1f} s of waiting")
        return ", ".join(said)

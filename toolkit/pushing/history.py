"""status(), push_history(), push_report(): the state of a target, every push to it, and what became of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc

import toolkit.display as draw
from toolkit.config import Settings, current
from toolkit.display import MAX_ROWS, Cell, Markup, Result, Unit, escape, frame_table, joined, paragraph, plural
from toolkit.errors import JournalError
from toolkit.ledger import Ledger
from toolkit.model import ID
from toolkit.pushing.explaining import explanations
from toolkit.pushing.report import LOOKS, PushReport, fate_parts, name_of, report_of
from toolkit.sending import FATES, Journal, Pace

COLUMNS = ["push", "state", "opened_at", "closed_at", "rows", *FATES, "source", "author", "reason"]
ELSEWHERE = "elsewhere"
MAX_WAITING = 4
DRAWN = 60
"""How many pushes the picture has, the newest."""
_TICKS = {
    "365D": ("", "%Y-%m"),
    "2D": ("%Y-", "%m-%d"),
    "4min": ("%Y-%m-%d ", "%H:%M"),
    "0D": ("%Y-%m-%d ", "%H:%M:%S"),
}
"""How the times below the picture are written, by the least span that it has: only the first one has the first part."""


@dataclass(frozen=True, eq=False, repr=False)
class Status(Result):
    """The state of a target: its ledger, its pushes, what waits.

    Attributes
    ----------
    pushes
        One row per push, newest first: ``push, state, opened_at, closed_at, rows``, the four fates, ``source, author,
        reason``.
    targets
        One row for each target of the home: ``target, pushes`` (how many), ``last_push, opened_at, state`` of the last
        one, ``waiting`` (rows of its open push), ``note`` (why its journal cannot be read; else empty).
    """

    label: str
    n_customers: int
    n_versions: int
    pushes: pd.DataFrame
    folder: str
    targets: pd.DataFrame

    @property
    def open_push(self) -> str:
        """The push to resume or abandon; empty if there is none."""
        return "".join(self.pushes.loc[self.pushes["state"] == "open", "push"])  # there is one at most

    @property
    def n_waiting(self) -> int:
        """Rows of the open push that are unknown or unsent."""
        return waiting_of(self.pushes)

    @property
    def has_findings(self) -> bool:
        """Whether a push is open."""
        return bool(self.open_push)

    def summary(self) -> str:
        """Say in one line how many customers and pushes there are, and what waits."""
        others = self.targets[(self.targets["state"] == "open") & (self.targets["target"] != Path(self.folder).name)]
        waits = (
            f"push {self.open_push} is open, {plural(self.n_waiting, 'row waits', 'rows wait')}"
            if self.open_push
            else "no push is open"
        )
        return (
            f"{self.label} · {plural(self.n_customers, 'customer')} in the ledger, "
            f"{plural(len(self.pushes), 'push', 'pushes')} recorded, {waits}"
            + (f"; a push is open to {', '.join(others['target'])} too" if len(others) else "")
        )

    def body(self) -> str:
        """Give what waits, the pushes in time, and each push."""
        n_customers, n_versions = plural(self.n_customers, "customer"), plural(self.n_versions, "version")
        head = draw.headline(f"Status of {self.label}", waits_of(self.pushes),
                             f"The ledger has {n_customers} in {n_versions}.")  # fmt: skip
        every = frame_table(self.targets, name="All targets", unit="targets")
        more = draw.section("All targets", every) if len(self.targets) > 1 else ""
        return joined(head, shown_pushes(self.pushes), more)

    def to_frame(self) -> pd.DataFrame:
        """Give the pushes."""
        return self.pushes

    def to_dict(self) -> dict[str, Any]:
        """Give the counts and the pushes."""
        return {
            "label": self.label,
            "customers": self.n_customers,
            "versions": self.n_versions,
            "open_push": self.open_push,
            "waiting": self.n_waiting,
            "folder": self.folder,
            "pushes": self.pushes.astype(object).where(self.pushes.notna(), None).to_dict("records"),
            "targets": self.targets.to_dict("records"),
        }


def pushes_of(journal: Journal) -> pd.DataFrame:
    """Return one row per push of the journal, newest first."""
    rows = [
        (
            record.id,
            record.state,
            record.opened_at[:19] + "Z",
            f"{record.closed_at[:19]}Z" if record.closed_at else "",
            record.n_rows,
            *np.bincount(journal.fates(record)[0], minlength=len(FATES)).tolist(),
            record.facts["source"],
            record.author,
            record.facts["reason"],
        )
        for record in journal.pushes()
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def waiting_of(pushes: pd.DataFrame) -> int:
    """Count the rows of an open push that are unknown or unsent."""
    return int(pushes.loc[pushes["state"] == "open", ["unknown", "unsent"]].to_numpy().sum())


def waits_of(pushes: pd.DataFrame) -> str:
    """Say in a sentence what waits."""
    n_waiting = waiting_of(pushes)
    return f"One push is open: {plural(n_waiting, 'row waits', 'rows wait')}" if n_waiting else "No push is open"


def sent_again(pushes: pd.DataFrame) -> dict[str, str]:
    """Return by which push the rows of another one were sent again: the next of its plan, or its repush."""
    names = pushes["push"]
    same = names.groupby(names.str.rpartition("-")[0]).shift().dropna()  # the newest is first
    repushed = pushes["reason"].str.extract(r"^repush of ([\w-]+)", expand=False)
    return dict(zip(names[same.index], same, strict=True)) | dict(zip(repushed, names, strict=True))


def shown_pushes(pushes: pd.DataFrame) -> Markup:
    """Render pushes: what waits of them, a picture of them in time, and each of them."""
    if pushes.empty:
        return Markup("")
    boxes, units, most = list[Markup](), list[Unit](), max(int(pushes["rows"].max()), 1)
    again = sent_again(pushes)
    for push in pushes.head(MAX_ROWS).to_dict("records"):
        name, n_left, opened = push["push"], push["refused"] + push["unknown"], push["state"] == "open"
        is_left = n_left and len(boxes) < MAX_WAITING
        opened_at, closed_at = (push[at].replace("T", " ") for at in ("opened_at", "closed_at"))
        if opened or (is_left and name not in again):
            title = "Open" if opened else f"{plural(n_left, 'row')} refused or unknown, and not sent again"
            call = draw.code("report = tk.resume()" if opened else f'report = tk.push_report("{name}")')
            about = paragraph(f"{push['source']}, {opened_at}")
            boxes.append(draw.card(title, about, call, tone="unknown" if opened else "warn"))
        parts = fate_parts(push)
        said = draw.figures(parts) or "nothing to send"
        bar = f'<div style="width:{max(push["rows"] / most, 0.04):.0%}">{draw.stack(parts, small=True)}</div>'
        line = [Cell(opened_at, soft=closed_at and f"closed {closed_at}"),
                Cell(push["source"], soft=" · ".join(filter(None, (push["author"], push["reason"])))), push["rows"],
                Cell(said, Markup(f"{bar}<small>{escape(said)}</small>")),
                Cell(push["state"], soft=name in again and f"sent again by {again[name]}"), name]  # fmt: skip
        tone = next((LOOKS[fate] for fate in ("unknown", "refused", "accepted") if push[fate]), LOOKS["unsent"])
        facets = {"state": [push["state"]], "author": [str(push["author"])]}
        units.append(Unit([line], facets, tone, name=f"push-{name}"))
    every = draw.grid("All pushes", ["Opened", "From", "Rows", "Fates", "State", "Push"], units, unit="pushes",
                      facets={"state": "State", "author": "Author"}, more=len(pushes) - len(units),
                      stacks=True)  # fmt: skip
    waits = draw.section("What waits", draw.cards(boxes, wide=True)) if boxes else ""
    note = f"{ELSEWHERE}: from another machine, or seeded" if ELSEWHERE in set(pushes["state"]) else "newest first"
    picture = draw.section("Pushes in time", _in_time(pushes), note="height: the square root of the rows")
    return joined(waits, picture, draw.section("All pushes", every, note=note))


def _in_time(pushes: pd.DataFrame) -> Markup:
    """Draw the newest pushes where they are in time, as high as the root of their rows; each is a link to its line."""
    drawn, bars = pushes.head(DRAWN).iloc[::-1], ""
    at = pd.to_datetime(drawn["opened_at"], utc=True, format="ISO8601")
    first, span, most = at.min(), at.max() - at.min(), max(int(drawn["rows"].max()), 1)
    places: list[float] = []
    for share in (at - first) / (span or pd.Timedelta(1)):  # side by side where they are close in time
        places.append(max(share, places[-1] + min(0.025, 1 / len(drawn))) if places else share)
    for push, place in zip(drawn.to_dict("records"), places, strict=True):
        parts, name = [p for p in fate_parts(push) if p.n], escape(push["push"])
        fates = "".join(f'<i class={p.tone} style="flex:{p.n} 0 0"></i>' for p in parts)
        edge = ";outline:2px dashed var(--soft);outline-offset:2px" if push["state"] == "open" else ""
        high = max((push["rows"] / most) ** 0.5 * 110, 6)
        figure = f'<small class=b style="text-align:center">{push["rows"]:,}</small>' if len(drawn) <= 16 else ""
        said = f"{push['opened_at'][:10]}: {draw.figures(parts) or 'no rows'}, {push['state']}"
        left = f"calc((100% - 22px)*{place / max(places[-1], 1):.3f})"
        bars += (f'<a href="#push-{name}" aria-label="{escape(said)}" title="{escape(said)}" '
                 f'style="position:absolute;bottom:0;width:22px;text-decoration:none;left:{left}">{figure}'
                 f'<div class=bar style="flex-direction:column-reverse;margin:0;height:{high:.0f}px{edge}">'
                 f"{fates}</div></a>")  # fmt: skip
    day, time = next(form for least, form in _TICKS.items() if span >= pd.Timedelta(least))
    ticks = dict.fromkeys(format(first + span * n / 4, time if n else day + time) for n in range(5 if span else 1))
    ends = "".join(f"<small>{tick}</small> " for tick in ticks)
    shown = [draw.badge(fate, tone=tone) for fate, tone in LOOKS.items() if drawn[fate].any()]
    return Markup(f'<div style="position:relative;height:140px;margin-top:8px;border-bottom:1px solid var(--edge)" '
                  f'role=group aria-label="Pushes in time">{bars}</div><div style="display:flex;gap:8px;'
                  f'justify-content:space-between">{ends}</div>{paragraph(*shown)}')  # fmt: skip


def targets_of(folder: Path, *, clock: Callable[[], datetime]) -> pd.DataFrame:
    """Return one row for each target that has a journal in `folder`; a damaged one does not hide the others."""
    rows: list[tuple[str, int, str, str, str, int, str]] = []
    for path in sorted(folder.glob("*/journal.sqlite")):
        target = path.parent.name
        try:
            with Journal(path.parent, target, clock=clock) as journal:
                pushes, note = pushes_of(journal), ""
        except JournalError as error:
            pushes, note = pd.DataFrame(columns=COLUMNS), str(error)
        last = pushes[["push", "opened_at", "state"]].head(1).to_numpy().ravel().tolist() or ["", "", ""]
        rows.append((target, len(pushes), *last, waiting_of(pushes), note))
    columns = ["target", "pushes", "last_push", "opened_at", "state", "waiting", "note"]
    return pd.DataFrame(rows, columns=columns)


@dataclass(frozen=True, eq=False, repr=False)
class PushHistory(Result):
    """The pushes to a target, newest first.

    Attributes
    ----------
    frame
        One row per push, as `Status.pushes`. A push of another machine, or a seeding, has the state ``elsewhere`` and
        only its accepted rows: the ledger has no others.
    """

    frame: pd.DataFrame
    label: str

    def summary(self) -> str:
        """Say the counts in one line."""
        n_pushes, n_accepted = plural(len(self.frame), "push"), plural(int(self.frame["accepted"].sum()), "row")
        return f"{n_pushes}, {n_accepted} accepted · {self.label}"

    def body(self) -> str:
        """Give what waits, the pushes in time, and each push."""
        said, parts = self.summary().partition(" · ")[0], fate_parts(dict(self.frame[[*FATES]].sum()))
        again = self.frame[self.frame["push"].isin(sent_again(self.frame))]
        left = {p.words: int(again[p.words].sum()) for p in parts if p.words != "accepted"}
        parts = [
            replace(p, note=f"of pushes that were sent again: {n:,}") if (n := left.get(p.words)) else p for p in parts
        ]
        head = draw.headline(f"Pushes · {self.label}", waits_of(self.frame), said, parts=parts)
        return joined(head, shown_pushes(self.frame))

    def to_frame(self) -> pd.DataFrame:
        """Give the pushes."""
        return self.frame

    def to_dict(self) -> dict[str, Any]:
        """Give the pushes."""
        return {"label": self.label, "pushes": self.frame.to_dict("records")}


def status(*, settings: Settings | None = None) -> Status:
    """Return the state of the target: its ledger, its pushes, and what waits, here and at the other targets.

    Raises
    ------
    JournalError
        If the journal of the target cannot be read.
    """
    chosen = current(settings)
    versions = Ledger.of(chosen).versions()
    folder = chosen.target_folder()
    with Journal(folder, chosen.target, clock=Pace().now) as journal:
        pushes = pushes_of(journal)
    targets = targets_of(folder.parent, clock=Pace().now)
    n_customers = int(pc.count_distinct(versions[ID]).as_py())
    return Status(chosen.label, n_customers, versions.num_rows, pushes, str(folder), targets)


def push_report(push: str | PushReport = "", *, settings: Settings | None = None) -> PushReport:
    """Return what became of a push of this machine, by default the last one: what `push` returned when it ended.

    Raises
    ------
    InputError
        If `push` is neither the name of a push nor a report.
    NothingOpenError
        If the journal has no such push.
    JournalError
        If the journal, or the file of the push's rows, cannot be read.
    """
    chosen, name = current(settings), name_of(push)
    with Journal(chosen.target_folder(), chosen.target, clock=Pace().now) as journal:
        return report_of(journal.load(name or journal.last().id), codes=explanations(chosen))


def push_history(*, settings: Settings | None = None) -> PushHistory:
    """Return every push to the target: those of this machine, and those of others that the ledger has.

    Examples
    --------
    >>> import tempfile
    >>> push_history(settings=Settings(home=tempfile.mkdtemp()))
    <PushHistory: 0 pushes, 0 rows accepted · target sandbox · embedded sandbox · contract 2026-04>
    """
    chosen = current(settings)
    with Journal(chosen.target_folder(), chosen.target, clock=Pace().now) as journal:
        here = pushes_of(journal)
    entered = Ledger.of(chosen).pushes()
    others = entered[~entered["push"].isin(here["push"])].rename(columns={"source_file": "source"})
    first, last = (others[at].dt.strftime("%Y-%m-%dT%H:%M:%SZ") for at in ("first_at", "last_at"))
    there = others.assign(state=ELSEWHERE, accepted=others["rows"], opened_at=first, closed_at=last)
    both = pd.concat([here, there], ignore_index=True)[COLUMNS].fillna(dict.fromkeys(FATES, 0))
    both = both.astype({"rows": "int64", **dict.fromkeys(FATES, "int64")})
    return PushHistory(both.sort_values("opened_at", ascending=False, kind="stable", ignore_index=True), chosen.label)

"""`PushPanel`: confirm a plan, follow the push in three stages, and send earlier pushes again.

The push runs in a thread (`BackgroundPush`), so other cells run meanwhile. What is open is asked of the journal, never
remembered: after a restart of the kernel a new panel offers to resume.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from pydantic import SecretStr

import toolkit.display as draw
from toolkit.config import Answers, Settings, current
from toolkit.display import Part, plural
from toolkit.errors import AuthorizationError, InputError, Interrupted, SettingsError, ToolkitError, wrong_kind
from toolkit.panels.background_push import BackgroundPush
from toolkit.panels.elements import Element, button, element, field_of, note, same_as, tick
from toolkit.panels.panel import Panel
from toolkit.panels.station import Station, action
from toolkit.pushing import (
    GUARDS,
    abandon,
    dry_run,
    fate_parts,
    push,
    push_history,
    push_report,
    repush,
    resume,
    revert,
)
from toolkit.results import PushHistory, PushPlan, PushReport

_N_FIRST, _N_EARLIER, _N_SQUARES = 5, 8, 200
_MARKS = (("good", "accepted"), ("bad", "with a refusal"), ("warn", "made again"), ("now", "under way"))


class PushStation(Station):
    """What a `PushPanel` shows, without a widget.

    Attributes
    ----------
    stage
        ``Confirm``, ``Sending`` or ``Report``.
    run
        The push under way, or the last one.
    report
        The report of the last push that ended here.
    rehearsed
        The report of the last dry run of this plan.
    stopped
        What stopped the last push before its end, or kept it from beginning.
    """

    title = "Send"
    _running: ClassVar[dict[Path, BackgroundPush]] = {}
    """The push of each target's folder: the panel of a cell that runs again shows the one that goes on."""

    def __init__(self, plan: PushPlan | None = None, *, settings: Settings | None = None) -> None:
        super().__init__()
        if not isinstance(plan, PushPlan | None):
            raise wrong_kind(plan, "a plan", "plan_push(changes)")
        self.settings = current(settings)
        self.report: PushReport | None = None
        self._token: SecretStr | None = None
        self._allowed: set[str] = set()
        self._choose(plan)
        self._go("Confirm")
        self.run = self._running.get(self.settings.target_folder())
        if self.run is not None and not self.run.over:
            self.stage, self.run.changed = "Sending", self._progressed

    @property
    def plan(self) -> PushPlan | None:
        """The plan, with the guards allowed that were ticked."""
        plan = self._plan
        guards = (replace(g, allowed=g.allowed or g.name in self._allowed) for g in (plan.guards if plan else ()))
        return plan and replace(plan, guards=tuple(guards))

    @property
    def calls(self) -> tuple[str, ...]:
        """The lines of Python, and the commands, that do the same."""
        if self.open_push:
            return "report = tk.resume()", "toolkit resume"
        if self.stage == "Report" and self.report is not None:
            return f'report = tk.push_report("{self.report.push}")', f"toolkit report {self.report.push}"
        if (plan := self.plan) is None:
            return "tk.push_history()", "toolkit pushes"
        planned, command = plan.calls(*(guard.name for guard in plan.guards if guard.allowed))
        if self._again:
            verb, name = self._again
            planned = f"plan = tk.{verb}({', '.join(filter(None, (json.dumps(name), planned)))})"
            command = f"toolkit {verb} {name} {command}".strip()
        reason = f", reason={json.dumps(self._reason, ensure_ascii=False)}" if self._reason else ""
        flag = f" --reason {shlex.quote(self._reason)}" if self._reason else ""
        return planned, f"report = tk.push(plan{reason})", command + flag

    @property
    def open_push(self) -> str:
        """The push that waits for a resume; empty if none does, or something is sent right now."""
        frame = self._history.frame
        return "" if self.stage == "Sending" else "".join(frame.loc[frame["state"] == "open", "push"])

    @property
    def brief(self) -> str:
        """What has become of the rows, in a few words."""
        return draw.figures(fate_parts(self.report.counts)) if self.report else ""

    def todo(self) -> list[tuple[str, str, bool]]:
        """Return what has to be done before sending: the key of its field, the words, and whether it is done."""
        asked, mine = self._asked, [] if self.open_push or not self._plan else self._plan.guards
        blocking = [guard.name for guard in mine if not guard.allowed]
        wanted = [(f"allow {name}", f"Allow the guard {name}", name in self._allowed) for name in blocking]
        wanted += [("reason", "Give a reason", bool(self._reason))] if blocking else []
        wanted += [("confirm", "Confirm toolkit.toml", self._confirmed == asked.question)] if asked.question else []
        wanted += [("token", "Give the access token", self._token is not None)] if asked.wants_token else []
        typed = not self.settings.local and not self.open_push
        return wanted + ([("host", "Type the host", self._host == self.settings.host)] if typed else [])

    @action
    def allow(self, guard: str, value: bool) -> None:
        """Allow a guard, or not."""
        self._allowed = self._allowed - {guard} | ({guard} if value else set())

    @action
    def fill(self, field: str, value: str | bool) -> None:
        """Take in what a field has."""
        self._take({field: value})

    @action
    def send(self, fields: Mapping[str, str]) -> str:
        """Begin the push, unless something is missing."""
        self._take(fields)
        plan = self._planned()
        reason = ": ".join(filter(None, (plan.reason, self._reason)))
        return self._start("push", partial(push, plan, reason=reason), plan.n_batches)

    @action
    def resume(self, fields: Mapping[str, str]) -> str:
        """Continue the open push."""
        self._take(fields)
        return self._start("resume", resume, push_report(self.open_push, settings=self.settings).n_batches)

    @action
    def rehearse(self) -> str:
        """Let the vendor check the plan, and write nothing."""
        plan = self._planned()
        return self._start("dry run", partial(dry_run, plan), plan.n_batches, needless=("host", "reason"))

    @action
    def pause(self) -> str:
        """Pause after the requests under way, or go on."""
        if self.run is not None:
            self.run.pause()
        return "Paused." if self.run and self.run.paused else "It goes on."

    @action
    def stop(self) -> str:
        """Stop at once; the push stays open."""
        if self.run is not None:
            self.run.stopped.set()
        return "Stopping: the answers under way are awaited for a moment."

    @action
    def abandon(self) -> str:
        """Close the open push without sending the rest."""
        self.report = abandon(settings=self.settings)
        return self._go("Report", "The push is closed.")

    @action
    def again(self, verb: str, name: str) -> str:
        """Plan to send the rest of an earlier push, or to undo it."""
        self._choose((repush if verb == "repush" else revert)(name, settings=self.settings), (verb, name))
        return self._go("Confirm", "A new plan. Nothing was sent.")

    @action
    def whole(self) -> None:
        """Show the whole report, or the short one."""
        self._is_whole = not self._is_whole

    def close(self) -> None:
        """Forget the token; a push under way goes on, and the next panel shows it."""
        self._token = None

    def _choose(self, plan: PushPlan | None, again: tuple[str, str] | None = None) -> None:
        self._plan, self._again, self._allowed = plan, again, set()
        self._is_whole = False
        self._reason = self._host = self._confirmed = ""
        self.rehearsed: PushReport | None = None

    def _planned(self) -> PushPlan:
        if (plan := self.plan) is None:
            raise InputError("There is no plan to send: make one with plan_push, or choose an earlier push.")
        return plan

    def _take(self, fields: Mapping[str, Any]) -> None:
        self._reason = str(fields.get("reason", self._reason)).strip()
        self._host = str(fields.get("host", self._host)).strip()
        if "confirm" in fields:
            self._confirmed = self._asked.question if fields["confirm"] else ""
        if token := fields.get("token"):
            self._token = SecretStr(str(token).strip())

    def _start(
        self, what: str, work: Callable[..., PushReport], n_batches: int, *, needless: tuple[str, ...] = ()
    ) -> str:
        missing = [(key, words) for key, words, done in self.todo() if not done and key not in needless]
        if missing:
            self.focus = missing[0][0]
            return f"Still missing: {', '.join(words for _, words in missing)}."
        given, self._token = Answers(self._token, self._confirmed), None
        self.run = BackgroundPush(partial(work, settings=self.settings), what=what, n_batches=n_batches, given=given,
                                  changed=self._progressed)  # fmt: skip
        self._running[self.settings.target_folder()] = self.run
        self.stage, self.focus = "Sending", "head"
        self.run.start()
        return "It has begun."

    def _go(self, stage: str, said: str = "", *, stopped: BaseException | None = None) -> str:
        """Go to another stage, and read what is on disk and what a push would have to ask for."""
        self.stage, self.stopped, self._asked = stage, stopped, self.settings.questions()
        self._history: PushHistory = push_history(settings=self.settings)
        if isinstance(stopped, AuthorizationError | SettingsError):
            self._asked.wants_token = True
        self.focus = "head" if said else ""
        return said

    def _progressed(self) -> None:
        """Take in what the thread did; it calls this."""
        run = self.run
        over = run is not None and run.over
        if run is not None and over and self.stage == "Sending":
            taken = run.report is not None and not (run.error and run.report.state == "abandoned")
            if run.what == "dry run":
                self.rehearsed, taken = run.report, False
            elif taken:
                self.report = run.report
            self._go("Report" if taken else "Confirm", "It has ended.", stopped=run.error)
        self.changed(picture=over)

    # --- what is shown

    def view(self) -> Element:
        """Return the three stages, the present one open."""
        stages: dict[str, Callable[[], list[object]]] = {
            "Confirm": self._confirming,
            "Sending": self._sending,
            "Report": self._reporting,
        }
        steps = [element("li", name, aria_current="step" if name == self.stage else "") for name in stages]
        known = isinstance(self.stopped, ToolkitError | Interrupted)
        fault = f"A fault of the toolkit ({type(self.stopped).__name__}): report it. The journal has what was sent."
        stopped = note("bad", str(self.stopped) if known else fault, key="stopped", role="alert")
        shown = [stages[self.stage](), self._earlier() if self.stage != "Sending" else None]
        return element("div", element("ol", steps, class_="stages"), stopped if self.stopped else None, shown,
                       same_as(*self.calls), key="send")  # fmt: skip

    def _confirming(self) -> list[object]:
        plan, where = self.plan, f"{self.settings.target}, {self.settings.host}"
        if self.open_push or plan is None:
            said = "A push is open" if self.open_push else "No plan to send"
            return [self._head(draw.headline("Send", f"{said} · {where}")), self._resuming()]
        dry = self.rehearsed and draw.joined(draw.symbol("good" if self.rehearsed.ok else "bad"), " Dry run: ",
                                             draw.figures(fate_parts(self.rehearsed.counts)))  # fmt: skip
        verdict = f"{plural(plan.n_rows, 'row is', 'rows are')} ready for {where}" if plan.n_rows else plan.verdict
        parts = [*plan.parts, Part(plan.delivery.n_quarantined, "quarantined", "bad")]
        rows = plan.first_rows(_N_FIRST) if plan.n_rows else None
        left = element(
            "div", plan.route(), element("p", plan.summary(), class_="soft"), dry and element("p", dry), rows
        )
        head = self._head(draw.headline(f"Send {plan.delivery.source}", verdict, "Nothing has been sent.", parts=parts))
        return [head, element("div", left, self._gate(plan), class_="halves")]

    def _gate(self, plan: PushPlan) -> Element:
        """Return the form: guards, reason, what is asked, the confirmation, and what is missing."""
        ours = [guard for guard in plan.guards if f"allow {guard.name}" in {key for key, *_ in self.todo()}]
        boxes = [
            note("calm" if g.allowed else "bad", element("fieldset", element("legend", GUARDS[g.name][2]), g.message,
                 tick("Allow it: this is intended", g.allowed, "allow", key=f"allow {g.name}", guard=g.name)))
            for g in ours
        ]  # fmt: skip
        passed = draw.joined(draw.symbol("good"), f" {plural(len(GUARDS) - len(plan.guards), 'guard')} passed")
        reason = f"Reason, kept with the push{'' if ours else ' (may stay empty)'}"
        host = f"Type the host, {self.settings.host}, to confirm"
        rehearse = button("Dry run again" if self.rehearsed else "Dry run", "rehearse")
        words = f"Send {plural(plan.n_rows, 'row')} to {plan.target}" if plan.n_rows else "Record the delivery"
        return self._form(
            "send", words, boxes, element("p", passed, class_="soft"),
            field_of(reason, self._reason, "fill", key="reason", field="reason"), self._questions(),
            None if self.settings.local else field_of(host, self._host, "fill", key="host", field="host"),
            way=rehearse if plan.envelope.contract.dry_run and plan.n_rows else None,
        )  # fmt: skip

    def _resuming(self) -> Element | None:
        """Return the form that goes on with the open push."""
        frame, name = self._history.frame, self.open_push
        left = int(frame.loc[frame["push"] == name, ["unknown", "unsent"]].to_numpy().sum())
        said = f"Push {name} is open: {plural(left, 'row waits', 'rows wait')}. Resume sends what has no answer."
        close = button("Abandon: send no more of it", "abandon")
        return self._form("resume", "Resume", element("p", said), self._questions(), way=close) if name else None

    def _form(self, do: str, words: str, *fields: object, way: Element | None) -> Element:
        listed = [element("li", draw.joined("✓ " if done else "○ ", what), class_="good" if done else "bad")
                  for _, what, done in self.todo()]  # fmt: skip
        go = element("button", words, type="submit", class_="go", key=f"go {do}")
        todo = element("ul", listed, key="todo", class_="todo", aria_live="polite", aria_label="What is needed")
        return element("form", *fields, element("div", way, go, class_="row"), todo, key=do, class_="gate",
                       on={"submit": {"do": do}}, aria_label=words)  # fmt: skip

    def _questions(self) -> list[Element | None]:
        """Return what a prompt would ask: what a ``toolkit.toml`` decides, and the token."""
        question, host = self._asked.question, self.settings.host
        yes = tick(
            question.removesuffix(" [y/N] "), self._confirmed == question, "fill", key="confirm", field="confirm"
        )
        token = field_of(f"Access token for {host}, not kept", "", "fill", key="token", kind="password", field="token")
        return [yes if question else None, token if self._asked.wants_token else None]

    def _sending(self) -> list[object]:
        run, counts = self.run, self.run.counts if self.run else {}
        assert run is not None  # noqa: S101 - for mypy
        total, answered = sum(counts.values()), counts.get("accepted", 0) + counts.get("refused", 0)
        word = "Stopping" if run.stopped.is_set() else "Paused" if run.paused else "Sending"
        left, slowed = run.left_s, run.pace < self.settings.documented.max_requests_per_s
        numbers = (
            ("Time left", "paused" if run.paused else "not known yet" if left is None else f"about {left:,.0f} s", ""),
            ("Rate", f"{run.rate:.2g} requests/s", f"{'the vendor allows' if slowed else 'limit'} {run.pace:.2g}"),
            ("Requests", f"{len(run.batches):,} of {run.n_batches:,}", f"{len(run.under_way)} under way"),
            ("Retries", f"{run.n_retries:,}", ""),
        )
        figures = [element("div", element("dt", a), element("dd", b, element("small", c))) for a, b, c in numbers]
        marks = ["now" if n in run.under_way else run.batches.get(n, "") for n in range(run.n_batches)]
        said = f"{len(run.batches):,} of {plural(run.n_batches, 'request')} answered"
        squares = element(
            "div",
            element(
                "div", [element("i", class_=mark) for mark in marks], class_="requests", role="img", aria_label=said
            ),
            element("p", [element("span", element("i", class_=m), words) for m, words in _MARKS], class_="soft marks"),
        )
        lead = "You can close this page: the push goes on in the kernel, and each answer is written down as it comes."
        verdict = f"{word}: {answered:,} of {plural(total, 'row')} answered" if total else f"{word}: asking the vendor"
        name = f"The {run.what} to {self.settings.target}, {self.settings.host}"
        return [
            self._head(draw.headline(name, verdict, lead, parts=fate_parts(counts))),
            element("p", f"{word}, {answered * 10 // max(total, 1)}0 %", class_="sr", role="status"),
            element("div", squares if len(marks) <= _N_SQUARES else None, element("dl", figures, class_="numbers"),
                    class_="halves"),
            element("div", button("Resume" if run.paused else "Pause after this request", "pause", key="pause"),
                    button("Stop", "stop", key="stop"),
                    element("span", "Nothing is lost: resume sends what has no answer.", class_="soft"), class_="row"),
            *(note("warn", text) for text in run.notes),
        ]  # fmt: skip

    def _reporting(self) -> list[object]:
        report = self.report
        assert report is not None  # noqa: S101 - for mypy
        more = button("Show less" if self._is_whole else "Open the full report", "whole", key="whole")
        notes = [note("warn", text) for text in self.run.notes] if self.run else []
        return [self._head(draw.joined(draw.Markup(report.body()) if self._is_whole else report.brief())), *notes,
                element("p", more), self._resuming()]  # fmt: skip

    def _earlier(self) -> Element | None:
        """Return the earlier pushes, each with what can be done about it."""
        rows, heads = [], ("Opened", "From", "Rows", "State", "Again")
        for one in self._history.frame.head(_N_EARLIER).to_dict("records"):
            name, closed = one["push"], one["state"] in ("done", "abandoned")
            ways = [button(word, "again", verb=word.lower(), name=name, said=f"{word} {name}")
                    for word, there in (("Repush", closed and one["refused"] + one["unknown"] + one["unsent"]),
                                        ("Revert", one["state"] != "open" and one["accepted"])) if there]  # fmt: skip
            cells = one["opened_at"], one["source"], draw.figures(fate_parts(one)) or "none", one["state"]
            rows.append(element("tr", [element("td", text) for text in cells], element("td", ways, class_="nw")))
        table = element("table", element("thead", element("tr", [element("th", head, scope="col") for head in heads])),
                        element("tbody", rows))  # fmt: skip
        box = element("div", table, class_="wrap", tabindex=0, role="region", aria_label="Earlier pushes")
        summary = element("summary", f"Earlier pushes: {len(self._history.frame):,}")
        return element("details", summary, box, class_="fold", key="earlier", open=not self._plan) if rows else None

    @staticmethod
    def _head(shown: object) -> Element:
        return element("div", shown, key="head", tabindex=-1)


class PushPanel(Panel):
    """Confirm a plan and send it from a notebook, while other cells run.

    Parameters
    ----------
    plan
        What `plan_push`, `repush` or `revert` returned; None: only what is open, and earlier pushes.

    Raises
    ------
    InputError
        If `plan` is not a plan.
    """

    station: PushStation

    def __init__(self, plan: PushPlan | None = None, *, settings: Settings | None = None) -> None:
        super().__init__(PushStation(plan, settings=settings))

    @property
    def plan(self) -> PushPlan | None:
        """The plan, with the guards allowed that were ticked."""
        return self.station.plan

    @property
    def report(self) -> PushReport | None:
        """The report of the last push that ended here; None before."""
        return self.station.report

    def wait(self) -> PushReport:
        """Wait until the push that was begun in the panel has ended; an interrupt of the kernel stops it.

        Raises
        ------
        InputError
            If none was begun.
        Interrupted
            If it was stopped.
        StoppedError
            As `push`.
        """
        if self.station.run is None:
            raise InputError("No push was begun: confirm the plan in the panel, press Send, then wait.")
        return self.station.run.wait()

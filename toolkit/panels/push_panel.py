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
from typing import Any, ClassVar, Literal

from pydantic import SecretStr

import toolkit.display as draw
from toolkit.config import Answers, Settings, current
from toolkit.display import Markup, Part, Tone, plural
from toolkit.errors import AuthorizationError, InputError, Interrupted, SettingsError, ToolkitError, wrong_kind
from toolkit.panels.background_push import BackgroundPush
from toolkit.panels.elements import Element, button, element, field_of, note, same_as, tick
from toolkit.panels.panel import Panel
from toolkit.panels.station import Station, action
from toolkit.pushing import GUARDS, abandon, dry_run, fate_parts, push, push_history, repush, resume, revert
from toolkit.results import PushHistory, PushPlan, PushReport

Stage = Literal["confirm", "sending", "report"]
_STAGES: dict[Stage, str] = {"confirm": "Confirm", "sending": "Sending", "report": "Report"}
_N_FIRST, _N_EARLIER, _N_SQUARES = 5, 8, 200


class PushStation(Station):
    """What a `PushPanel` shows, without a widget.

    Attributes
    ----------
    stage
        ``confirm``, ``sending`` or ``report``.
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
    """The push of each target's folder: a panel of a cell that runs again shows the one that goes on."""

    def __init__(self, plan: PushPlan | None = None, *, settings: Settings | None = None) -> None:
        super().__init__()
        if plan is not None and not isinstance(plan, PushPlan):
            raise wrong_kind(plan, "a plan", "plan_push(changes)")
        self.settings = current(settings)
        self.stage: Stage = "confirm"
        self.report: PushReport | None = None
        self.stopped: BaseException | None = None
        self._token: SecretStr | None = None
        self._choose(plan)
        self._look()
        self.run = self._running.get(self.settings.target_folder())
        if self.run is not None and not self.run.over:
            self.stage, self.run.changed = "sending", self._progressed

    @property
    def plan(self) -> PushPlan | None:
        """The plan, with the guards allowed that were ticked."""
        if self._plan is None:
            return None
        guards = (replace(g, allowed=g.allowed or g.name in self._allowed) for g in self._plan.guards)
        return replace(self._plan, guards=tuple(guards))

    @property
    def calls(self) -> tuple[str, ...]:
        """The lines of Python, and the commands, that do the same."""
        if self.open_push:
            return "report = tk.resume()", "toolkit resume"
        if self.stage == "report" and self.report is not None:
            name = self.report.push
            return f'report = tk.push_report("{name}")', shlex.join(["toolkit", "report", name])
        if self._plan is None:
            return "tk.push_history()", "toolkit pushes"
        allowed = [guard.name for guard in self._plan.guards if guard.allowed or guard.name in self._allowed]
        planned, command = self._plan.calls(*allowed)
        if self._again:
            verb, name = self._again
            planned = f'plan = tk.{verb}("{name}"{f", {planned}" if planned else ""})'
            command = f"{shlex.join(['toolkit', verb, name])} {command}".strip()
        reason = f", reason={json.dumps(self._reason, ensure_ascii=False)}" if self._reason else ""
        flag = f" --reason {shlex.quote(self._reason)}" if self._reason else ""
        return planned, f"report = tk.push(plan{reason})", command + flag

    @property
    def open_push(self) -> str:
        """The push that waits for a resume; empty if none does, or it is being sent right now."""
        frame = self._history.frame
        found = "".join(frame.loc[frame["state"] == "open", "push"])
        return "" if self.stage == "sending" else found

    @property
    def brief(self) -> str:
        """What has become of the rows, in a few words."""
        if self.report is None:
            return ""
        return draw.figures(fate_parts(self.report.counts))

    def todo(self) -> list[tuple[str, str, bool]]:
        """Return what a push needs: the key of its field, the words, and whether it is done."""
        plan, asked = self._plan, self._asked
        blocking = [g.name for g in plan.guards if not g.allowed] if plan and not self.open_push else []
        wanted = [(f"allow {name}", f"Allow the guard {name}", name in self._allowed) for name in blocking]
        if blocking:
            wanted.append(("reason", "Give a reason", bool(self._reason)))
        if asked.question:
            wanted.append(("confirm", "Confirm toolkit.toml", self._confirmed == asked.question))
        if asked.wants_token:
            wanted.append(("token", "Give the access token", self._token is not None))
        if not self.settings.local and not self.open_push:
            wanted.append(("host", "Type the host", self._host == self.settings.host))
        return wanted

    @action
    def allow(self, guard: str, value: bool) -> None:
        """Allow a guard, or not."""
        self._allowed = {name for name in self._allowed if name != guard} | ({guard} if value else set())

    @action
    def fill(self, field: str, value: str | bool) -> None:
        """Take in what was typed into a field."""
        self._take({field: value})

    @action
    def send(self, fields: Mapping[str, str]) -> str:
        """Begin the push, unless something is missing."""
        self._take(fields)
        if self.plan is None:
            raise InputError("There is no plan to send: make one with plan_push, or choose an earlier push below.")
        reason = ": ".join(filter(None, (self.plan.reason, self._reason)))
        return self._start("push", partial(push, self.plan, settings=self.settings, reason=reason))

    @action
    def resume(self, fields: Mapping[str, str]) -> str:
        """Continue the open push."""
        self._take(fields)
        return self._start("resume", partial(resume, settings=self.settings))

    @action
    def rehearse(self) -> str:
        """Let the vendor check the plan, and write nothing."""
        assert self.plan is not None  # noqa: S101 - for mypy: the button is part of a plan's view
        return self._start("dry run", partial(dry_run, self.plan, settings=self.settings), but={"host", "reason"})

    @action
    def pause(self) -> str:
        """Pause after the requests under way, or go on."""
        if self.run is None or self.run.over:
            return "The push has ended."
        self.run.proceed() if self.run.paused else self.run.pause()
        return "Paused." if self.run.paused else "It goes on."

    @action
    def stop(self) -> str:
        """Stop at once; the push stays open."""
        if self.run is not None:
            self.run.stop()
        return "Stopping: the answers under way are awaited for a moment."

    @action
    def abandon(self) -> str:
        """Close the open push without sending the rest."""
        self.report, self.stopped = abandon(settings=self.settings), None
        return self._to("report", "The push is closed.")

    @action
    def again(self, verb: str, name: str) -> str:
        """Plan to send the rest of an earlier push, or to undo it."""
        made = (repush if verb == "repush" else revert)(name, settings=self.settings)
        self._choose(made, (verb, name))
        self.stopped = None
        return self._to("confirm", f"{made.verdict}. Nothing was sent.")

    @action
    def whole(self) -> None:
        """Show the whole report, or the short one."""
        self._is_whole = not self._is_whole

    def close(self) -> None:
        """Forget the token; a push under way goes on, and the next panel shows it."""
        self._token = None

    def _choose(self, plan: PushPlan | None, again: tuple[str, str] | None = None) -> None:
        self._plan, self._again = plan, again
        self._allowed: set[str] = set()
        self._reason = self._host = self._confirmed = ""
        self.rehearsed: PushReport | None = None
        self._is_whole = False

    def _look(self) -> None:
        """Read what is on disk, and what a push would have to ask for."""
        self._history: PushHistory = push_history(settings=self.settings)
        self._asked = self.settings.questions()

    def _take(self, fields: Mapping[str, Any]) -> None:
        self._reason = str(fields.get("reason", self._reason)).strip()
        self._host = str(fields.get("host", self._host)).strip()
        if "confirm" in fields:
            self._confirmed = self._asked.question if fields["confirm"] else ""
        if token := fields.get("token"):
            self._token = SecretStr(str(token).strip())

    def _start(self, what: str, work: Callable[..., PushReport], but: frozenset[str] | set[str] = frozenset()) -> str:
        missing = [(key, words) for key, words, done in self.todo() if not done and key not in but]
        if missing:
            self.focus = missing[0][0]
            return f"Still missing: {', '.join(words for _, words in missing)}."
        given, self._token, self.stopped = Answers(self._token, self._confirmed), None, None
        self.run = BackgroundPush(work, what=what, given=given, changed=self._progressed)
        self._running[self.settings.target_folder()] = self.run
        said = self._to("sending", "The push has begun.", look=False)
        self.run.start()
        return said

    def _to(self, stage: Stage, said: str, *, look: bool = True) -> str:
        self.stage, self.focus = stage, "head"
        if look:
            self._look()
        return said

    def _progressed(self) -> None:
        """Take in what the thread did; it calls this."""
        run = self.run
        if over := run is not None and run.over and self.stage == "sending":
            assert run is not None  # noqa: S101 - for mypy
            self._end(run)
        self.changed(picture=over)

    def _end(self, run: BackgroundPush) -> None:
        self.stopped, made = run.error, run.report
        if run.what == "dry run":
            self.rehearsed = made
        elif made is not None and not (run.error and made.state == "abandoned"):
            self.report = made
        try:
            self._to("report" if self.report is made and made else "confirm", "")
        except ToolkitError as error:
            self.stopped = self.stopped or error
        if isinstance(self.stopped, AuthorizationError | SettingsError):
            self._asked.wants_token = True

    # --- what is shown

    def view(self) -> Element:
        """Return the three stages, the present one open."""
        steps = [
            element("li", words, aria_current="step" if stage == self.stage else "") for stage, words in _STAGES.items()
        ]
        stage = {"confirm": self._confirming, "sending": self._sending, "report": self._reporting}[self.stage]()
        earlier = self._earlier() if self.stage != "sending" else None
        return element("div", element("ol", steps, class_="steps"), stage, earlier, same_as(*self.calls), key="send")

    def _confirming(self) -> Element:
        plan, where = self.plan, self._where()
        if self.open_push or plan is None:
            said = "A push is open" if self.open_push else "No plan to send"
            head = self._head(draw.headline("Send", f"{said} · {where}"))
            return element("section", head, self._problem(), self._resuming(), key="confirm-open")
        dry = self.rehearsed and draw.joined(draw.symbol("good" if self.rehearsed.ok else "bad"), " Dry run: ",
                                             draw.figures(fate_parts(self.rehearsed.counts)))  # fmt: skip
        verdict = f"{plural(plan.n_rows, 'row is', 'rows are')} ready for {where}" if plan.n_rows else plan.verdict
        n_out = plan.delivery.n_quarantined
        parts = [*plan.parts, Part(n_out, "quarantined", "bad")]
        lead = "Nothing has been sent." if self.stopped is None else ""
        head = self._head(draw.headline(f"Send {plan.delivery.source}", verdict, lead, parts=parts))
        left = element("div", plan.route(), dry and element("p", dry, key="dry"), draw.paragraph(plan.summary(), soft=True),
                       plan.first_rows(_N_FIRST) if plan.n_rows else None, key="planned")  # fmt: skip
        return element(
            "section",
            head,
            self._problem(),
            element("div", left, self._gate(plan), class_="halves"),
            key="confirm-plan",
        )

    def _gate(self, plan: PushPlan) -> Element:
        """Return the form: guards, reason, what is asked, the confirmation, and what is missing."""
        blocking = [g for g in plan.guards if g.name not in {n.name for n in self._plan.guards if n.allowed}]
        boxes = [
            element(
                "fieldset",
                element("legend", draw.symbol("calm" if g.allowed else "bad"), " ", GUARDS[g.name][2]),
                element("p", g.message, key=f"why {g.name}"),
                tick("Allow it: this is intended", g.allowed, "allow", key=f"allow {g.name}", guard=g.name),
                class_=f"note {'calm' if g.allowed else 'bad'}", key=f"guard {g.name}", aria_describedby=f"why {g.name}",
            )
            for g in blocking
        ]  # fmt: skip
        n_passed = len(GUARDS) - len(plan.guards)
        reason = "Reason, kept with the push" + ("" if blocking else " (may stay empty)")
        can_rehearse = plan.envelope.contract.dry_run and plan.n_rows
        words = f"Send {plural(plan.n_rows, 'row')} to {plan.target}" if plan.n_rows else "Record the delivery"
        return element(
            "form",
            boxes,
            element("p", draw.symbol("good"), f" {plural(n_passed, 'guard')} passed", class_="soft"),
            field_of(reason, self._reason, "fill", key="reason", field="reason"),
            self._questions(),
            None if self.settings.local else
            field_of(f"Type the host, {self.settings.host}, to confirm", self._host, "fill", key="host", field="host"),
            element("div", button("Dry run again" if self.rehearsed else "Dry run", "rehearse") if can_rehearse else None,
                    element("button", words, type="submit", class_="go", key="go", aria_describedby="todo"), class_="row end"),
            self._todo(),
            key="gate", class_="gate", on={"submit": {"do": "send"}}, aria_label="Confirm the push",
        )  # fmt: skip

    def _questions(self) -> list[Element | None]:
        """Return what a prompt would ask: what a ``toolkit.toml`` decides, and the token."""
        asked = self._asked
        question = asked.question.removesuffix("[y/N] ")
        confirm = tick(question, self._confirmed == asked.question, "fill", key="confirm", field="confirm")
        token = field_of(f"Access token for {self.settings.host}, not kept", "", "fill", key="token", kind="password",
                         field="token")  # fmt: skip
        return [confirm if question else None, token if asked.wants_token else None]

    def _todo(self) -> Element | None:
        listed = [
            element("li", "✓ " if done else "○ ", words, class_="good" if done else "bad")
            for _, words, done in self.todo()
        ]
        return element("ul", listed, key="todo", class_="todo", aria_live="polite", aria_label="What is needed")

    def _resuming(self) -> Element | None:
        """Return the form that goes on with the open push."""
        if not (name := self.open_push):
            return None
        frame = self._history.frame
        left = frame.loc[frame["push"] == name, ["unknown", "unsent"]].to_numpy().sum()
        said = f"Push {name} is open: {plural(int(left), 'row waits', 'rows wait')}. Resume sends what has no answer."
        buttons = element("div", button("Abandon: send no more of it", "abandon"),
                          element("button", "Resume", type="submit", class_="go", key="resume"), class_="row end")  # fmt: skip
        return element("form", element("p", said), self._questions(), buttons, self._todo(), key="open", class_="gate",
                       on={"submit": {"do": "resume"}}, aria_label="Resume the push")  # fmt: skip

    def _sending(self) -> Element:
        run = self.run
        assert run is not None  # noqa: S101 - for mypy
        counts: Mapping[Any, int] = run.counts
        total, answered = sum(counts.values()), counts.get("accepted", 0) + counts.get("refused", 0)
        word = (
            "Stopping"
            if run.stopped
            else "Paused"
            if run.paused
            else "Checking"
            if run.what == "dry run"
            else "Sending"
        )
        verdict = (
            f"{word}: {answered:,} of {plural(total, 'row')} answered" if total else f"{word}: asking {self._where()}"
        )
        lead = "You can close this page: the push goes on in the kernel, and each answer is written down as it comes."
        left, slowed = run.left_s, run.pace < self.settings.documented.max_requests_per_s
        limit = f"{'the vendor allows about' if slowed else 'limit'} {run.pace:.2g}" if run.pace else ""
        numbers = [
            (
                "Time left",
                "paused" if run.paused else f"about {left:,.0f} s" if left is not None else "not known yet",
                "",
            ),
            ("Rate", f"{run.rate:.2g} requests/s", limit),
            ("Requests", f"{len(run.batches):,} of {run.n_batches:,}", f"{len(run.sending)} under way"),
            ("Retries", f"{run.n_retries:,}", ""),
        ]
        shown = [
            element("div", element("dt", a), element("dd", b, element("small", c) if c else None))
            for a, b, c in numbers
        ]
        tens = f"{word}: {answered * 10 // total * 10} %" if total else word
        buttons = element(
            "div",
            button("Resume" if run.paused else "Pause after this request", "pause", key="pause"),
            button("Stop", "stop", key="stop"),
            element("span", "Nothing is lost: what has no answer can be sent with resume.", class_="soft"),
            class_="row end",
        )  # fmt: skip
        head = self._head(draw.headline(f"Push to {self._where()}", verdict, lead, parts=fate_parts(counts)))
        log = [
            element("li", at, " ", draw.badge(what.partition(" ")[0], tone=t), what.partition(" ")[2])
            for at, t, what in run.answers
        ]
        return element(
            "section", head, element("p", tens, class_="sr", role="status"),
            element("div", self._squares(run), element("dl", shown, class_="numbers"), class_="halves"), buttons,
            [note("warn", text) for text in run.notes],
            element("details", element("summary", "Last answers"), element("ol", log, class_="m"), class_="fold", open=True),
            key="sending-push",
        )  # fmt: skip

    def _squares(self, run: BackgroundPush) -> Element:
        """Return a square for each batch; of many, the figures alone are shown."""
        marks = ["now" if n in run.sending else run.batches.get(n, "") for n in range(run.n_batches)]
        said = f"{len(run.batches):,} of {plural(run.n_batches, 'request')} answered"
        squares = [element("i", class_=mark) for mark in marks] if len(marks) <= _N_SQUARES else []
        tones: tuple[tuple[Tone | Literal["now"], str], ...] = (
            ("good", "accepted"), ("bad", "with a refusal"), ("warn", "made again"), ("now", "under way"))  # fmt: skip
        words = [element("span", element("i", class_=tone), words) for tone, words in tones]
        return element("div", element("h5", "Requests", class_="title"),
                       element("div", squares, class_="requests", role="img", aria_label=said),
                       element("p", words, class_="soft requests-key") if squares else None)  # fmt: skip

    def _reporting(self) -> Element:
        report = self.report
        assert report is not None  # noqa: S101 - for mypy
        shown = Markup(report.body()) if self._is_whole else report.brief()
        more = button("Show less" if self._is_whole else "Open the full report", "whole", key="whole")
        notes = [note("warn", text) for text in self.run.notes] if self.run else []
        return element(
            "section", self._head(shown), notes, self._resuming(), element("div", more, class_="row end"), key="report"
        )

    def _earlier(self) -> Element | None:
        """Return the earlier pushes, each with what can be done about it."""
        rows = []
        for item in self._history.frame.head(_N_EARLIER).to_dict("records"):
            name, closed = item["push"], item["state"] in ("done", "abandoned")
            left = closed and item["refused"] + item["unknown"] + item["unsent"]
            ways = [
                button("Repush", "again", verb="repush", name=name, said=f"Repush {name}") if left else None,
                button("Revert", "again", verb="revert", name=name, said=f"Revert {name}")
                if item["accepted"] and item["state"] != "open"
                else None,
            ]
            cells = (
                item["opened_at"],
                item["source"],
                draw.figures(fate_parts(item)) or "nothing to send",
                item["state"],
            )
            rows.append(element("tr", [element("td", text) for text in cells], element("td", ways, class_="nw")))
        if not rows:
            return None
        heads = [element("th", text, scope="col") for text in ("Opened", "From", "Rows", "State", "Again")]
        table = element("table", element("thead", element("tr", heads)), element("tbody", rows))
        box = element("div", table, class_="wrap", tabindex=0, role="region", aria_label="Earlier pushes")
        return element("details", element("summary", f"Earlier pushes: {len(self._history.frame):,}"), box, class_="fold",
                       key="earlier", open=self._plan is None)  # fmt: skip

    def _problem(self) -> Element | None:
        if self.stopped is None:
            return None
        known = isinstance(self.stopped, ToolkitError | Interrupted)
        text = str(self.stopped) if known else (
            f"The push ended by a fault of the toolkit ({type(self.stopped).__name__}): report it. What was sent is in "
            "the journal."
        )  # fmt: skip
        return note("bad", text, key="stopped", role="alert")

    def _where(self) -> str:
        return f"{self.settings.target}, {self.settings.host}"

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

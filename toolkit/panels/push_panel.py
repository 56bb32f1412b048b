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
from typing import ClassVar

from pydantic import SecretStr

import toolkit.display as draw
import toolkit.pushing as verbs
from toolkit.config import Answers, Settings, current
from toolkit.display import Part, plural
from toolkit.errors import AuthorizationError, InputError, Interrupted, SettingsError, ToolkitError, wrong_kind
from toolkit.ledger import Ledger, diff
from toolkit.panels.background_push import BackgroundPush
from toolkit.panels.elements import Element, button, element, field_of, note, same_as, section, tick
from toolkit.panels.panel import Panel
from toolkit.panels.station import action
from toolkit.panels.steps import PATCHED, Step, Work, table
from toolkit.results import PushHistory, PushPlan, PushReport

_N_FIRST, _N_EARLIER = 5, 8


class PushStation(Step):
    """What a `PushPanel` shows, without a widget; in a session, the last step.

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
        self.stopped: BaseException | None = None
        self._token: SecretStr | None = None
        self._choose(plan)
        self._go("Confirm")
        self.run = run if (run := self._running.get(self.settings.target_folder())) and not run.over else None
        if self.run is not None:
            self.stage, self.run.changed = "Sending", self._progressed

    @property
    def plan(self) -> PushPlan | None:
        """The plan, with the guards allowed that were ticked."""
        plan = self._plan
        guards = (replace(g, allowed=g.allowed or self._ticks(g.name)) for g in (plan.guards if plan else ()))
        return plan and replace(plan, guards=tuple(guards))

    def _ticks(self, guard: str) -> bool:
        return bool(self._typed.get(f"allow {guard}"))

    @property
    def calls(self) -> tuple[str, ...]:
        """The lines of Python, and the commands, that do the same."""
        if self.open_push:
            return "report = tk.resume()", "toolkit resume"
        if self.stage == "Report" and self.report is not None:
            return f'report = tk.push_report("{self.report.push}")', f"toolkit report {self.report.push}"
        if (plan := self.plan) is None:
            return "tk.push_history()", "toolkit pushes"
        patch, made = self.work.patch, "changes = tk.diff(tk.Ledger.of().snapshot(), report)" if self.work.plan else ""
        push = self.work.command("push", *(PATCHED if patch and patch.n_entries else ()))
        planned, command = plan.calls(*(guard.name for guard in plan.guards if guard.allowed), push=push)
        if self._again:
            (verb, name), made = self._again, ""
            planned = f"plan = tk.{verb}({', '.join(filter(None, (json.dumps(name), planned)))})"
            command = f"toolkit {verb} {name} {command}".strip()
        pushed = "report = tk.push(plan)"
        if reason := self._typed["reason"]:
            pushed = f"report = tk.push(plan, reason={json.dumps(reason, ensure_ascii=False)})"
            command = command and f"{command} --reason {shlex.quote(reason)}"
        return tuple(filter(None, (made, planned, pushed, command)))

    @property
    def open_push(self) -> str:
        """The push that waits for a resume; empty if none does, or something is sent right now."""
        frame = self._history.frame
        return "" if self.stage == "Sending" else "".join(frame.loc[frame["state"] == "open", "push"])

    @property
    def brief(self) -> str:
        """What has become of the rows, in a few words."""
        return draw.figures(verbs.fate_parts(self.report.counts)) if self.report else ""

    def begin(self, work: Work) -> None:
        """Plan what the review made of the delivery."""
        if self.stage != "Sending" and work.report is not None:
            changes = diff(Ledger.of(self.settings).snapshot(), work.report)
            work.plan = verbs.plan_push(changes, settings=self.settings)
            self._choose(work.plan)
            self._go("Confirm")
            self.done, self.report = False, None

    def todo(self) -> list[tuple[str, str, bool]]:
        """Return what has to be done before sending: the key of its field, the words, and whether it is done."""
        asked, typed, begins = self._asked, self._typed, self._plan is not None and not self.open_push
        blocking = [g.name for g in self._plan.guards if not g.allowed] if self._plan and begins else []
        wanted = [(f"allow {name}", f"Allow the guard {name}", self._ticks(name)) for name in blocking]
        wanted += [("reason", "Give a reason", bool(typed["reason"]))] if blocking else []
        wanted += [("confirm", "Confirm toolkit.toml", typed["confirm"] == asked.question)] if asked.question else []
        wanted += [("token", "Give the access token", self._token is not None)] if asked.wants_token else []
        is_real = begins and not self.settings.local
        return wanted + ([("host", "Type the host", typed["host"] == self.settings.host)] if is_real else [])

    @action
    def fill(self, field: str, value: str | bool) -> None:
        """Take in what a field has."""
        if field == "token":
            self._token = SecretStr(str(value).strip()) if value else self._token
        else:
            said = self._asked.question if field == "confirm" else str(value).strip()
            self._typed[field] = said if value else ""

    @action
    def start(self, what: str, fields: Mapping[str, str] | None = None) -> str:
        """Begin a ``push``, a ``resume`` or a ``dry run``, unless something is missing."""
        if self.stage == "Sending":  # a second click
            return "It has begun already."
        for field, value in (fields or {}).items():
            self.fill(field, value)
        if missing := [(key, words) for key, words, done in self.todo() if not done]:
            self.focus = missing[0][0]
            return f"Still missing: {', '.join(words for _, words in missing)}."
        work: Callable[..., PushReport] = partial(verbs.resume, settings=self.settings)
        if what != "resume" and (plan := self.plan) is not None:
            reason = ": ".join(filter(None, (plan.reason, self._typed["reason"])))
            verb = partial(verbs.push, reason=reason) if what == "push" else verbs.dry_run
            work = partial(verb, plan, settings=self.settings)
        given, self._token, self.stopped = Answers(self._token, self._typed["confirm"]), None, None
        self.run = BackgroundPush(work, what=what, given=given, changed=self._progressed)
        self._running[self.settings.target_folder()] = self.run
        self.stage, self.focus = "Sending", "heading"
        self.run.start()
        return "It has begun."

    @action
    def pause(self) -> None:
        """Pause after the requests under way, or go on."""
        if self.run is not None:
            self.run.pause()

    @action
    def stop(self) -> None:
        """Stop at once; the push stays open."""
        if self.run is not None:
            self.run.stopped.set()

    @action
    def abandon(self) -> str:
        """Close the open push without sending the rest."""
        self.report = verbs.abandon(settings=self.settings)
        return self._go("Report", "The push is closed.")

    @action
    def again(self, verb: str, name: str) -> str:
        """Plan to send the rest of an earlier push, or to undo it."""
        self._choose((verbs.repush if verb == "repush" else verbs.revert)(name, settings=self.settings), (verb, name))
        return self._go("Confirm", "A new plan. Nothing was sent.")

    def close(self) -> None:
        """Forget the token; a push under way goes on, and the next panel shows it."""
        self._token = None

    def _choose(self, plan: PushPlan | None, again: tuple[str, str] | None = None) -> None:
        self._plan, self._again = plan, again
        self._drawn = (plan.parts, plan.first_rows(_N_FIRST)) if plan else ([], "")  # they take a moment
        self.rehearsed: PushReport | None = None
        self._typed = {"reason": "", "host": "", "confirm": ""}

    def _go(self, stage: str, said: str = "", *, stopped: BaseException | None = None) -> str:
        """Go to another stage, and read what is on disk and what a push would have to ask for."""
        self.stage, self.stopped, self._asked = stage, stopped, self.settings.questions()
        self._history: PushHistory = verbs.push_history(settings=self.settings)
        if isinstance(stopped, AuthorizationError | SettingsError):
            self._asked.wants_token = True
        self.focus = "heading" if said else ""
        return said

    def _progressed(self) -> None:
        """Take in what the thread did; it calls this."""
        run, over = self.run, self.run is not None and self.run.over
        if run is not None and over and self.stage == "Sending":
            taken = run.report is not None and not (run.error and run.report.state == "abandoned")
            if run.what == "dry run":
                self.rehearsed, taken = run.report, False
            self.report = run.report if taken else self.report
            if taken and run.report and self.work.plan:  # not what was resumed, repushed or reverted
                self.done |= run.report.state == "done" and run.report.plan == self.work.plan.digest
            try:
                self._go("Report" if taken else "Confirm", "It has ended.", stopped=run.error)
            except ToolkitError as error:  # the journal cannot be read
                self.stopped = run.error or error
        self.changed(picture=over)

    # --- what is shown

    def view(self) -> Element:
        """Return the three stages, the present one open."""
        shown = {"Confirm": self._confirming, "Sending": self._sending, "Report": self._reporting}
        stopped, report = self.stopped, self.report
        steps = [element("li", name, aria_current="step" if name == self.stage else "") for name in shown]
        fault = f"A fault of the toolkit ({type(stopped).__name__}): report it. The journal has what was sent."
        words = str(stopped) if isinstance(stopped, ToolkitError | Interrupted) else fault
        is_said = stopped is None or (self.stage == "Report" and report is not None and report.stopped)
        told = None if is_said else note("bad", words, key="stopped", role="alert")
        earlier = None if self.stage == "Sending" else self._earlier()
        return element("div", element("ol", steps, class_="stages"), told, shown[self.stage](), earlier,
                       same_as(*self.calls), key="send")  # fmt: skip

    def _confirming(self) -> list[object]:
        plan, where, tried = self.plan, f"{self.settings.target}, {self.settings.host}", self.rehearsed
        if self.open_push or plan is None:
            said = "A push is open" if self.open_push else "No plan to send"
            return [self._head(draw.headline("Send", f"{said} · {where}")), self._resuming()]
        verdict = f"{plural(plan.n_rows, 'row is', 'rows are')} ready for {where}" if plan.n_rows else plan.verdict
        checked = f"Dry run: {draw.figures(verbs.fate_parts(tried.counts))}." if tried else ""
        parts = [*self._drawn[0], Part(plan.delivery.n_quarantined, "quarantined", "bad")]
        head = draw.headline(f"Send {plan.delivery.source}", verdict, "Nothing has been sent.", checked, parts=parts)
        left = element("div", plan.route(), element("p", plan.summary(), class_="soft"))
        rows = section("The first rows to send", "", self._drawn[1], class_="first") if plan.n_rows else None
        return [self._head(head), element("div", left, self._gate(plan), class_="halves"), rows]

    def _gate(self, plan: PushPlan) -> Element:
        """Return the form: guards, reason, what is asked, the confirmation, and what is missing."""
        ticked = {key for key, *_ in self.todo()}
        boxes = [note("calm" if g.allowed else "bad", element(
                     "fieldset", element("legend", verbs.GUARDS[g.name][2]), g.message,
                     tick("Allow it: this is intended", g.allowed, "fill", key=key, field=key)))
                 for g in plan.guards if (key := f"allow {g.name}") in ticked]  # fmt: skip
        passed = f" {plural(len(verbs.GUARDS) - len(plan.guards), 'guard')} passed"
        again = button("Dry run again" if self.rehearsed else "Dry run", "start", what="dry run")
        words = f"Send {plural(plan.n_rows, 'row')} to {plan.target}" if plan.n_rows else "Record the delivery"
        return self._form(
            "push", words, again if plan.envelope.contract.dry_run and plan.n_rows else None, boxes,
            element("p", draw.joined(draw.symbol("good"), passed), class_="soft"),
            self._field("reason", f"Reason, kept with the push{'' if boxes else ' (may stay empty)'}"),
            self._field("host", f"Type the host, {self.settings.host}, to confirm") if "host" in ticked else None,
        )  # fmt: skip

    def _resuming(self) -> Element | None:
        """Return the form that goes on with the open push."""
        frame, name = self._history.frame, self.open_push
        left = int(frame.loc[frame["push"] == name, ["unknown", "unsent"]].to_numpy().sum())
        said = f"Push {name} is open: {plural(left, 'row waits', 'rows wait')}. Resume sends what has no answer."
        close = button("Abandon: send no more of it", "abandon")
        return self._form("resume", "Resume", close, element("p", said)) if name else None

    def _form(self, what: str, words: str, way: Element | None, *fields: object) -> Element:
        """Return a form with what a prompt would ask too: what a ``toolkit.toml`` decides, and the token."""
        question = self._asked.question
        yes = tick(question.removesuffix(" [y/N] "), self._typed["confirm"] == question, "fill", key="confirm",
                   field="confirm") if question else None  # fmt: skip
        label, wanted = f"Access token for {self.settings.host}, not kept", self._asked.wants_token
        token = self._field("token", label, kind="password") if wanted else None
        row = element("div", way, element("button", words, type="submit", class_="go", key=f"go {what}"), class_="row")
        listed = [element("li", draw.joined("✓ " if done else "○ ", said), class_="good" if done else "bad")
                  for _, said, done in self.todo()]  # fmt: skip
        todo = element("ul", listed, key="todo", class_="todo", aria_live="polite", aria_label="What is needed")
        return element("form", *fields, yes, token, row, todo, key=what, class_="gate", aria_label=words,
                       on={"submit": {"do": "start", "what": what}})  # fmt: skip

    def _field(self, key: str, label: str, kind: str = "text") -> Element:
        return field_of(label, self._typed.get(key, ""), "fill", key=key, field=key, kind=kind)

    def _sending(self) -> list[object]:
        run, counts = self.run, self.run.counts if self.run else {}
        assert run is not None  # noqa: S101 - for mypy
        total, answered = sum(counts.values()), counts.get("accepted", 0) + counts.get("refused", 0)
        word = "Stopping" if run.stopped.is_set() else "Paused" if run.paused else "Sending"
        (rate, left), slowed = run.speed, run.pace < self.settings.documented.max_requests_per_s
        planned = f" of {self._plan.n_batches:,}" if self._plan and run.what != "resume" else ""
        numbers = (
            ("Time left", "paused" if run.paused else "not known yet" if left is None else f"about {left:,.0f} s", ""),
            ("Rate", f"{rate:.2g} requests/s", f"{'the vendor allows' if slowed else 'limit'} {run.pace:.2g}"),
            ("Requests", f"{run.n_requests:,}{planned}", "answered"),
            ("Retries", f"{run.n_retries:,}", ""),
        )
        figures = [element("div", element("dt", a), element("dd", b, element("small", c))) for a, b, c in numbers]
        lead = "You can close this page: the push goes on in the kernel, and each answer is written down as it comes."
        verdict = f"{word}: {answered:,} of {plural(total, 'row')} answered" if total else f"{word}: asking the vendor"
        name = f"The {run.what} to {self.settings.target}, {self.settings.host}"
        return [
            self._head(draw.headline(name, verdict, lead, parts=verbs.fate_parts(counts))),
            element("p", f"{word}, {answered * 10 // max(total, 1)}0 %", class_="sr", role="status"),
            element("dl", figures, class_="numbers"),
            element("div", button("Resume" if run.paused else "Pause after this request", "pause", key="pause"),
                    button("Stop", "stop", key="stop"),
                    element("span", "Nothing is lost: resume sends what has no answer.", class_="soft"), class_="row"),
            *(note("warn", text) for text in run.notes),
        ]  # fmt: skip

    def _reporting(self) -> list[object]:
        notes = [note("warn", text) for text in self.run.notes] if self.run else []
        return [self._head(self.report.brief() if self.report else ""), notes, self._resuming()]

    def _earlier(self) -> Element | None:
        """Return the earlier pushes, each with what can be done about it."""
        rows, frame = [], self._history.frame
        for one in frame.head(_N_EARLIER).to_dict("records"):
            name, left = one["push"], one["refused"] + one["unknown"] + one["unsent"]
            there = {"Repush": left and one["state"] in ("done", "abandoned"), "Revert": one["accepted"]}
            ways = [button(word, "again", verb=word.lower(), name=name, said=f"{word} {name}")
                    for word, is_way in there.items() if is_way and one["state"] != "open"]  # fmt: skip
            cells = one["opened_at"], one["source"], draw.figures(verbs.fate_parts(one)) or "none", one["state"], ways
            rows.append([element("td", shown) for shown in cells])
        if not rows:
            return None
        named = zip(("Opened", "From", "Rows", "State", "Again"), zip(*rows, strict=True), strict=True)
        box = table("Earlier pushes", [(head, "", "", list(cells)) for head, cells in named])
        summary = element("summary", f"Earlier pushes: {len(frame):,}")
        return element("details", summary, box, class_="fold", key="earlier", open=not self._plan)

    @staticmethod
    def _head(shown: object) -> Element:
        return element("div", shown, key="heading", tabindex=-1)


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

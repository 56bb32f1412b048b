"""Answers and journals of any bytes: no error but our own, nothing accepted that was not, nothing sent twice."""

from __future__ import annotations

import contextlib
import gzip
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from tests.pushing.test_disk_faults import broken_database
from tests.support.clocks import Clock
from tests.support.faults import Recorder, Steps, watched
from tests.support.faulty import Fault, Faulty, http
from tests.support.killing import Run
from toolkit.config.settings import Settings
from toolkit.errors import StoppedError, ToolkitError
from toolkit.ledger.diffing import diff
from toolkit.ledger.ledger import Ledger
from toolkit.model.schema import empty_frame
from toolkit.pushing.history import status
from toolkit.pushing.planning import plan_push
from toolkit.pushing.report import report_of
from toolkit.pushing.runs import abandon
from toolkit.sending.journal import Journal
from toolkit.sending.pacing import Retries, asked_s
from toolkit.sending.records import FATES
from toolkit.sending.sender import Sender
from toolkit.vendor.answers import Answer, Verdict, read_answer
from toolkit.vendor.client import MAX_ANSWER_BYTES, Client

AT = "2026-01-01T00:00:00Z"
SENT = [(f"C{i:05d}", AT) for i in range(3)]
STATUSES = st.sampled_from([200, 200, 200, 202, 207, 400, 413, 422, 422, 429, 500, 503]) | st.integers(100, 999)
fast = partial(settings, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# Where an example takes a second, to shrink one would take minutes.
as_found = partial(fast, phases=[Phase.explicit, Phase.reuse, Phase.generate])

# Answers -------------------------------------------------------------------------------------------------------------

REAL: list[Any] = [
    {"failed": []},
    {"failed": [{"index": 1, "code": "DI_E_00002", "category": "validation", "message": "name is missing"}]},
    {"failed": [{"customer_id": "C00001", "updated_at": AT, "message": "no"}], "accepted": 2, "total": 3},
    {
        "failed": [
            {"row": {"customer_id": "C00002", "updated_at": AT}, "errors": [{"message": "no", "field": "source"}]}
        ]
    },
    {"success": True, "requestId": "r-1", "result": {"failed": [{"rowIndex": "0", "message": "no"}]}},
    {"message": "bad request", "statusCode": 400, "errors": [{"field": "data.1.customer_name"}]},
    {"failed": [], "warnings": [{"index": 1, "code": "DI_E_00031", "category": "foreign_key", "message": "no list"}]},
    {"failed": [{"index": 0, "message": "no"}, {"index": 1, "severity": "warn", "message": "no list"}]},
    {
        "failed": [{"index": 0, "message": "no"}],
        "warnings": [{"customer_id": "C00000", "level": "WARN"}],
        "accepted": 2,
    },
    {"results": [{"index": 0, "status": "ok"}, {"index": 1, "type": "warning", "errors": [{"severity": "warn"}]}]},
]


class Members(tuple):
    """The members of an object, in which a name may stand twice."""


# What json.dumps would not write: it takes the place of a text.
RAW = {
    "@deep list": "[" * 100_000 + "]" * 100_000,
    "@deep object": '{"failed":' * 20_000 + "1" + "}" * 20_000,
    "@just deep enough": "[" * 300 + "]" * 300,
    "@open": "[" * 100_000,
    "@long int": "9" * 5_000,
    "@large int": "9" * 400,
    "@inf": "1e999",
    "@nan": "NaN",
    "@minus inf": "-Infinity",
    "@half a pair": '"\\ud800"',
    "@the other half": '"x\\udfffy"',
    "@nul": '"\\u0000"',
    "@raw nul": '"\x00"',
    "@empty": "",
}
NAMES = ["failed", "Failed", "FAILED", "index", "row", "customer_id", "updated_at", "success", "status", "code",
         "error", "errors", "accepted", "total", "message", "data", "x", "",
         "warnings", "Warning", "severity", "level", "type"]  # fmt: skip
leaves = (
    st.sampled_from([None, True, False, 0, 1, 2, -1, 1.0, 500, "", "0", "1", "C00000", "C00001", AT, "error", *RAW])
    | st.sampled_from(["400", "false", "True", "DI_E_00001", "warn", "WARNING"])
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
)
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4) | st.lists(st.tuples(st.sampled_from(NAMES), inner), max_size=4).map(Members)
    ),
    max_leaves=10,
)


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield way
    for step, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from places(inner, (*way, step))


def changed(value: Any, way: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    if not way:
        return change(value)
    inner = changed(value[way[0]], way[1:], change)
    if isinstance(value, dict):
        return {**value, way[0]: inner}
    return [*value[: way[0]], inner, *value[way[0] + 1 :]]


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A real answer in which some places hold something else, or hold it one level deeper, or twice."""
    said = draw(st.sampled_from(REAL))
    for _ in range(draw(st.integers(0, 3))):
        way = draw(st.sampled_from(list(places(said))))
        new = draw(trees)
        changes: list[Callable[[Any], Any]] = [
            lambda _, new=new: new,
            lambda old: [old],
            lambda old: {"data": old},
            lambda old, new=new: Members([("failed", old), ("failed", new)]),
            lambda old, new=new: Members([*old.items(), *old.items()]) if isinstance(old, dict) else new,
            lambda old, new=new: {**old, draw(st.sampled_from(NAMES)): new} if isinstance(old, dict) else [old, new],
        ]
        said = changed(said, way, draw(st.sampled_from(changes)))
    return said


def written(value: Any) -> str:
    if isinstance(value, Members):
        return "{" + ", ".join(f"{json.dumps(name)}: {written(inner)}" for name, inner in value) + "}"
    if isinstance(value, dict):
        return written(Members(value.items()))
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return RAW.get(value, json.dumps(value)) if isinstance(value, str) else json.dumps(value)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    if draw(st.integers(0, 5)) == 0:
        return draw(st.binary(max_size=200))
    text = written(draw(mutated() | trees))
    encoding = draw(st.sampled_from(["utf-8"] * 6 + ["utf-8-sig", "utf-16", "utf-16-be", "utf-32"]))
    content = bytearray(text.encode(encoding, "surrogatepass"))
    if draw(st.integers(0, 3)) == 0 and content:
        at, some = draw(st.integers(0, len(content) - 1)), draw(st.binary(max_size=4))
        content[at : at + draw(st.integers(0, 4))] = some
    return bytes(content)


def listed(value: Any, depth: int = 0) -> Iterator[tuple[int, Any]]:
    """What is listed under 'failed', and how deep."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name.lower() == "failed" and inner:
                yield depth, inner
            else:
                yield from listed(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from listed(inner, depth + 1)


def only_warns(entry: Any) -> bool:
    """Whether an entry, or each of the errors in it, says that it is a warning."""
    if not isinstance(entry, dict):
        return False

    def warns(said: dict) -> bool:
        words = {str(v).strip().casefold() for k, v in said.items() if k.casefold() in ("severity", "level", "type")}
        return bool(words & {"warn", "warning"})

    errors = [v for k, v in entry.items() if k.lower() in ("error", "errors")]
    each = [e for said in errors for e in (said if isinstance(said, list) else [said])]
    nested = [warns(e) for e in each if isinstance(e, dict) and e]
    return warns(entry) or (bool(nested) and all(nested))


def require_lawful(answer: Answer, verdict: Verdict, n: int) -> None:
    """What was accepted was not denied anywhere: read once more, by other means."""
    assert all(0 <= place < n for place in (*verdict.refused, *verdict.warned))
    assert not set(verdict.refused) & set(verdict.warned)
    for refusal in (*verdict.refused.values(), *verdict.warned.values()):
        assert all(text.isprintable() and len(text) <= 300 for text in vars(refusal).values())
    assert "\ud800" not in verdict.message
    assert verdict.message.isprintable()
    if verdict.kind != "taken":
        assert not verdict.warned
        return
    assert answer.status is not None
    assert 200 <= answer.status < 300
    assert not answer.problem
    assert answer.left
    said = json.loads(answer.body)  # of a name that occurs twice, the last counts
    assert isinstance(said, dict)
    assert not any(str(said.get(word)).lower() == "false" for word in ("success", "ok"))
    assert not str(said.get("code")).startswith("DI_E_") or verdict.refused
    if answer.status == 207:
        inner = [said, *(value for value in said.values() if isinstance(value, dict))]
        assert any(n.lower() == "failed" and isinstance(v, list) for object_ in inner for n, v in object_.items())
    found = list(listed(said))
    refusing = [e for depth, e in found if depth > 1 or not isinstance(e, list) or not all(map(only_warns, e))]
    assert bool(refusing) == bool(verdict.refused)
    for depth, entries in found:
        if depth < 2:
            assert isinstance(entries, list)
            for entry in entries:
                if only_warns(entry):
                    continue
                if isinstance(entry, dict) and set(entry) <= {"index", "code", "message", "category", "severity"}:
                    assert entry["index"] is not True
                    assert int(entry["index"]) in verdict.refused
                elif isinstance(entry, str):
                    assert SENT.index((entry, AT)) in verdict.refused


def answers_are_read_by_the_rules(body: bytes, status: int, complete: bool, left: bool, n: int) -> None:
    answer = Answer(status, body, problem="" if complete else "the answer was cut short", left=left)
    require_lawful(answer, read_answer(answer, SENT[:n]), n)


an_answer = given(
    body=bodies(),
    status=STATUSES,
    complete=st.integers(0, 9).map(bool),
    left=st.integers(0, 9).map(bool),
    n=st.integers(1, 3),
)
DOUBLED = [
    b'{"failed": [{"index": 0}], "Failed": []}',
    b'{"failed": [{"index": 0}], "data": {"failed": [{"index": 1}]}}',
    b'{"data": {"result": {"failed": [{"index": 0}]}}}',
    b'{"a": {"success": false}, "b": {"success": true}}',
    b'{"success": false, "Success": true}',
    b'{"failed": [{"index": 0}, {"index": 1}], "warnings": [{"index": 0}]}',
    b'{"failed": [{"index": 0, "severity": "warn"}, {"index": 0}, {"index": 1}]}',
    b'{"failed": [{"index": 0}, {"index": 1, "severity": "warn", "level": "error"}]}',
    b'{"results": [{"severity": "warn", "failed": [{"index": 0}]}]}',
]


@pytest.mark.parametrize("body", DOUBLED)
def test_an_answer_that_says_two_things_accepts_no_row_that_one_of_them_refuses(body: bytes) -> None:
    verdict = read_answer(Answer(200, body), SENT)
    both = [0] if b"Failed" in body else [0, 1]
    assert (verdict.kind, list(verdict.refused)) in [("split", []), ("lost", []), ("taken", both)]


@fast(max_examples=100)
@an_answer
@example(body=DOUBLED[1], status=200, complete=True, left=True, n=3)
def test_an_answer_of_any_kind_is_read_by_the_rules(body, status, complete, left, n) -> None:
    answers_are_read_by_the_rules(body, status, complete, left, n)


LONG = b'{"failed": [{"index": 9, "code": "%s", "message": "%s"}]}' % (b"c" * 400, b"m" * 400)


@pytest.mark.parametrize("status", [200, 400])
def test_a_long_code_and_a_long_message_are_one_short_line(status: int) -> None:
    answers_are_read_by_the_rules(LONG, status, True, True, 1)


@pytest.mark.slow
@fast(max_examples=10_000)
@an_answer
def test_an_answer_of_any_kind_is_read_by_the_rules_in_depth(body, status, complete, left, n) -> None:
    answers_are_read_by_the_rules(body, status, complete, left, n)


BOMB = gzip.compress(bytes(60_000_000))
header_lines = st.sampled_from(
    [b"Content-Encoding: gzip", b"Content-Encoding: deflate", b"Content-Encoding: br",
     b"Content-Encoding: gzip, deflate, gzip, deflate, gzip, deflate, gzip", b"Transfer-Encoding: chunked",
     b"Content-Length: 7", b"Content-Length: -1", b"Content-Length: 9" + b"9" * 5_000,
     b"Location: /\xff", b"Location: http://[::bad", b"Location: //\x00",
     b"Set-Cookie: a=b; expires=never; Max-Age=x; domain=\xff", b"Set-Cookie: =",
     b"Retry-After: " + b"9" * 5_000, b"Retry-After: -1", b"Retry-After: \xff", b"Retry-After: Tue, 99 Foo 2026",
     b"no colon", b" folded", b": nameless", b"Content-Type: text/html; charset=utf-16"]
) | st.binary(max_size=30).filter(lambda line: b"\r" not in line and b"\n" not in line)  # fmt: skip
packed = st.sampled_from([lambda b: b, gzip.compress, lambda b: gzip.compress(b)[:-5], lambda b: BOMB])


@st.composite
def on_the_wire(draw: st.DrawFn) -> bytes:
    if draw(st.integers(0, 7)) == 0:
        return draw(st.binary(max_size=100))
    body = draw(packed)(draw(bodies()))
    lines = draw(st.lists(header_lines, max_size=3))
    says = http(
        draw(STATUSES), body, *[f"X-{n}: ?" for n in range(len(lines))], length=draw(st.sampled_from([-1, None, None]))
    )
    for n, line in enumerate(lines):
        says = says.replace(b"X-%d: ?" % n, line, 1)
    return says if draw(st.integers(0, 3)) else says[: draw(st.integers(0, len(says)))]


@contextlib.contextmanager
def asking() -> Iterator[Callable[[bytes], list[Answer]]]:
    """A client, and a vendor who says such bytes; the next answer is its own again."""
    with Faulty() as server, Client(Settings(base_url=server.url), timeout_s=(5.0, 5.0)) as client:

        def ask(says: bytes) -> list[Answer]:
            server.faults.append(Fault("fuzzed", says=(says,)))
            return [client.send(b'{"data": []}'), client.send(b'{"data": []}')]

        yield ask


def fuzz_the_wire(profile: settings) -> None:
    with asking() as ask:

        @profile
        @given(says=on_the_wire(), n=st.integers(1, 3))
        def check(says: bytes, n: int) -> None:
            answer, after = ask(says)
            assert len(answer.body) <= MAX_ANSWER_BYTES
            require_lawful(answer, read_answer(answer, SENT[:n]), n)
            assert Retries().wait_s(1, asked_s(answer.retry_after, Clock().now()), 0.5) >= 0
            # What was left of one answer is never taken for the next one's.
            assert after.status is None or (after.status, after.body) == (200, b'{"failed": []}')

        check()


def test_any_bytes_on_the_wire_are_an_answer_or_none() -> None:
    fuzz_the_wire(fast(max_examples=100))


@pytest.mark.slow
def test_whatever_is_on_the_wire_is_an_answer_or_none_in_depth() -> None:
    fuzz_the_wire(fast(max_examples=1_500))


N = 6


def sent_on(folder: Path, frame: pd.DataFrame, answers: list[tuple[int, bytes]], operation: str) -> None:
    """Send rows to a vendor of such answers, then to one that is well again: fates add up, and none is made up."""
    clock = Clock()
    with Faulty() as server:
        chosen = Settings(base_url=server.url, operation=operation)
        plan = plan_push(diff(empty_frame(), frame), settings=chosen)
        server.faults.extend(Fault("fuzzed", takes=200 <= s < 300, says=(http(s, b),), ends="keep") for s, b in answers)
        with Journal(folder, plan.target, clock=clock.now) as journal, Client(chosen, timeout_s=(5.0, 5.0)) as client:
            record = journal.open_push(plan.new_push())
            stopped = True
            for _ in range(3):
                with contextlib.suppress(StoppedError):
                    Sender(journal, journal.load(record.id), client, plan.envelope, clock.pace, progress=False).run()
                    stopped = False
                rows = report_of(journal.load(record.id)).rows
                fates = Counter(rows["fate"])
                assert sum(fates[fate] for fate in FATES) == N
                assert set(rows.loc[rows["fate"] == "accepted", "customer_id"]) <= set(server.taken)
            if not stopped and operation == "UPSERT":
                assert fates["accepted"] + fates["refused"] == N


def fuzz_the_sender(folder: Path, frame: pd.DataFrame, profile: settings) -> None:
    places = iter(range(10**6))

    @profile
    @given(answers=st.lists(st.tuples(STATUSES.filter(lambda s: s >= 200), bodies()), min_size=1, max_size=3),
           operation=st.sampled_from(["UPSERT", "APPEND"]))  # fmt: skip
    def check(answers: list[tuple[int, bytes]], operation: str) -> None:
        sent_on(folder / str(next(places)), frame, answers, operation)

    check()


def test_rows_sent_to_a_vendor_of_any_answers_keep_their_fates(tmp_path: Path, customers) -> None:
    fuzz_the_sender(tmp_path, customers(N), as_found(max_examples=6))


@pytest.mark.slow
def test_rows_sent_to_a_vendor_of_any_answers_keep_their_fates_in_depth(tmp_path: Path, customers) -> None:
    fuzz_the_sender(tmp_path, customers(N), as_found(max_examples=150))


# The journal and the rows it keeps ----------------------------------------------------------------------------------


class Appending(Run):
    """A run in which a row that is sent twice is in the vendor's table twice."""

    @property
    def settings(self) -> Settings:
        return Settings(base_url=f"{self.vendor.url}/{self.name}", home=self.home, operation="APPEND")


@pytest.fixture
def stopped(recorder: Recorder, tmp_path: Path, customers) -> Appending:
    """A push that stopped half way, since the disk under its journal failed."""
    run = Appending("fuzzed", tmp_path / "home", recorder)
    recorder.taken.pop(run.name, None)
    recorder.asked.pop(run.name, None)
    plan = run.plan(customers(40))
    with watched(Steps(broken_database, at=11, only="sql COMMIT, before")), pytest.raises(ToolkitError):
        run.go(plan)
    assert status(settings=run.settings).open_push
    return run


Spoil = Callable[[Path, str], None]
"""What is done to a target's folder; the second is the push's name."""
FILES = {"journal.sqlite": "journal.sqlite", "rows": "rows/{}.parquet", "delivery": "rows/{}.delivery"}


@st.composite
def replaced(draw: st.DrawFn) -> Spoil:
    """A file is another one altogether."""
    name = draw(st.sampled_from(sorted(FILES)))
    start = draw(st.sampled_from([b"", b"SQLite format 3\x00", b"PAR1"]))
    content = start + draw(st.binary(max_size=300))
    return lambda folder, push: (folder / FILES[name].format(push)).write_bytes(content) and None


def act_on(run: Appending, spoil: Spoil | None, folder: Path) -> None:
    """Do all that reads a journal; only errors of ours come, no row goes a second time, and none is made up."""
    before = list(run.vendor.taken[run.name])
    name = next((run.home / "targets" / "sandbox" / "rows").glob("*.parquet")).stem
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(run.home, folder)
    spoiled = Appending(run.name, folder, run.vendor)
    if spoil:
        spoil(folder / "targets" / "sandbox", name)
    try:
        for act in (
            lambda: status(settings=spoiled.settings),
            lambda: spoiled.go(None),
            lambda: abandon(settings=spoiled.settings, pace=Clock().pace),
        ):
            with contextlib.suppress(ToolkitError):
                act()
        taken = Counter(row["customer_id"] for body in run.vendor.taken[run.name] for row in json.loads(body)["data"])
        assert max(taken.values()) == 1, [i for i, n in taken.items() if n > 1]
        held = set(Ledger.of(spoiled.settings).snapshot().frame["customer_id"])
        assert held <= {customer_id for customer_id, _ in run.vendor.table(run.name)}
    finally:
        run.vendor.taken[run.name][:] = before


def fuzz_the_journal(run: Appending, folder: Path, spoils: st.SearchStrategy[Spoil], profile: settings) -> None:
    @profile
    @given(spoil=spoils)
    def check(spoil: Spoil) -> None:
        act_on(run, spoil, folder)

    check()


def test_the_journal_that_is_damaged_here_could_be_resumed_undamaged(stopped: Appending, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    act_on(stopped, None, copy)
    held = Ledger.of(Appending(stopped.name, copy, stopped.vendor).settings).snapshot().frame
    assert len(held) > 20  # but for the rows whose answer was lost


def test_a_journal_of_any_content_makes_nothing_up_and_sends_nothing_twice(stopped: Appending, tmp_path: Path) -> None:
    fuzz_the_journal(stopped, tmp_path / "copy", replaced(), as_found(max_examples=8))


@pytest.mark.slow
def test_a_journal_of_any_content_makes_nothing_up_in_depth(stopped: Appending, tmp_path: Path) -> None:
    fuzz_the_journal(stopped, tmp_path / "copy", replaced(), as_found(max_examples=100))

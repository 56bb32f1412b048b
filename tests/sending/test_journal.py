"""The journal: one open push at a time, what became of each row, and a clear error for a file that is not usable."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.sending import LOST, NEVER_LEFT, ok, script
from toolkit.errors import JournalError, NothingOpenError, OpenPushError
from toolkit.sending.journal import Journal
from toolkit.vendor.answers import Answer


def test_a_second_push_is_refused_and_names_the_first(begin, tmp_path: Path, clock) -> None:
    push = begin(3)
    other = Journal(tmp_path, push.plan.target, clock=clock.now)
    with pytest.raises(OpenPushError, match=f"{push.record.id}.*resume.*abandon"):
        other.open_push(push.plan.new_push())
    push.journal.close(push.record.id, state="abandoned")
    assert other.open_push(push.plan.new_push()).id != push.record.id


def test_of_two_who_open_a_push_at_once_the_second_is_refused(begin, tmp_path: Path, clock) -> None:
    push = begin(10)

    def quicker() -> str:
        with Journal(tmp_path / "quick", push.plan.target, clock=clock.now, mark=lambda: "first") as other:
            other.open_push(push.plan.new_push())
        return "second"

    with (
        Journal(tmp_path / "quick", push.plan.target, clock=clock.now, mark=quicker) as journal,
        pytest.raises(OpenPushError, match=r"-first .* is still open"),
    ):
        journal.open_push(push.plan.new_push())
    with Journal(tmp_path / "quick", push.plan.target, clock=clock.now) as journal:
        assert [record.id[-6:] for record in journal.pushes()] == ["-first"]


def test_a_journal_that_is_none_is_said_so(tmp_path: Path, clock) -> None:
    (tmp_path / "journal.sqlite").write_text("this is not a database, only a text of some length" * 50)
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal(tmp_path, "acme", clock=clock.now)


def test_nothing_open_is_said_so(tmp_path: Path, clock) -> None:
    with Journal(tmp_path, "acme", clock=clock.now) as journal:
        with pytest.raises(NothingOpenError, match="no open push to target acme"):
            journal.require_open()
        with pytest.raises(NothingOpenError, match="Nothing was pushed to target acme"):
            journal.last()
        with pytest.raises(NothingOpenError, match="target acme has no push abc"):
            journal.push("abc")


def test_answers_are_kept_raw(begin) -> None:
    push = begin(1)
    push.send(script(Answer(503, b"<p>busy</p>")))
    assert push.journal.attempts(push.record.id)["answer"].tolist() == ["<p>busy</p>", "{}"]


@pytest.mark.parametrize(
    "statements", ["PRAGMA user_version = 99", "DROP TABLE receipt; PRAGMA user_version = 0"], ids=["later", "earlier"]
)
def test_a_journal_of_another_layout_is_refused_and_left_as_it_is(begin, tmp_path: Path, clock, statements) -> None:
    begin(3)
    path = tmp_path / "journal.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(statements)
        before = db.execute("SELECT * FROM sqlite_master").fetchall()
    with pytest.raises(JournalError, match=r"another version of the toolkit wrote it.*move the folder aside"):
        Journal(tmp_path, "acme", clock=clock.now)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT * FROM sqlite_master").fetchall() == before


def test_an_empty_journal_beside_the_rows_of_a_push_is_refused(begin, tmp_path: Path, clock) -> None:
    push = begin(3)
    push.journal.__exit__(None, None, None)
    (tmp_path / "journal.sqlite").write_bytes(b"")
    with pytest.raises(JournalError, match=f"empty, although {push.record.id}.parquet belongs to it"):
        Journal(tmp_path, "acme", clock=clock.now)


def test_a_journal_in_memory_makes_no_file(begin, tmp_path: Path, clock) -> None:
    push = begin(3)
    with Journal(None, "acme", clock=clock.now) as journal:
        record = journal.open_push(push.plan.new_push())
        assert journal.kept.rows(record).equals(push.journal.kept.rows(push.record))
        assert journal.fates(record)[0].tolist() == [3, 3, 3]
    assert {path.name for path in Path.cwd().glob("*memory*")} == set()


def test_a_disk_that_fills_up_loses_no_fate(begin) -> None:
    push = begin(1_200)
    database, end = push.journal._db, push.journal.end

    def full(push_id: str, attempt: int, **more) -> None:  # the disk is full when the second answer has to be kept
        if attempt == 2:
            pages = database.execute("PRAGMA page_count").fetchone()[0]
            database.execute(f"PRAGMA max_page_count = {pages}")
        end(push_id, attempt, **more)

    push.journal.end = full
    with pytest.raises(JournalError, match="free disk space"):
        push.send(lambda rows: ok(x="x" * 2_000_000))
    push.journal.end = end
    assert push.fates == {"accepted": 500, "unknown": 500, "unsent": 200}
    database.execute("PRAGMA max_page_count = 1000000")
    again = push.send(script())
    assert (push.fates, again.sizes) == ({"accepted": 1_200}, [500, 200])


@pytest.mark.parametrize(
    ("answers", "nothing_taken"),
    [
        ([Answer(401)], True),
        ([Answer(403)], True),
        ([Answer(404)], True),
        ([Answer(302)], True),
        ([Answer(303)], False),  # it may have been taken
        ([NEVER_LEFT] * 6, True),
        ([Answer(503, retry_after="1")] * 6, True),
        ([Answer(503)] * 6, False),
        ([LOST] * 6, False),  # it may have been taken
        ([LOST, Answer(401)], False),
        ([Answer(500)] * 6, False),
        ([ok(), Answer(401)], False),
        ([Answer(400, b'{"failed": [{"index": 0}]}'), Answer(401)], False),  # a row was refused
    ],
)
def test_the_journal_knows_whether_the_vendor_took_any_request_of_a_push(begin, answers: list, nothing_taken) -> None:
    push = begin(600)
    assert push.journal.nothing_taken(push.record.id)  # no request was made yet
    push.send(script(*answers))
    assert push.error is not None
    assert push.journal.nothing_taken(push.record.id) == nothing_taken


def test_an_attempt_that_a_crash_left_without_an_answer_may_have_been_taken(begin) -> None:
    push = begin(600)
    push.journal.begin(push.record.id, 0, [(0, 500)], "digest")
    assert not push.journal.nothing_taken(push.record.id)

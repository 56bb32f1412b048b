"""The command line as a person or a script uses it: exit codes, one JSON object, one clear message, no secret."""

from __future__ import annotations

import importlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from openpyxl import load_workbook

import toolkit
from tests.support.cases import CASES
from tests.support.clocks import Clock
from tests.support.workbooks import cells_of
from toolkit import cli
from toolkit.cli.app import COMMANDS, main
from toolkit.config.settings import Settings
from toolkit.model import CustomAttribute
from toolkit.pushing.runs import dry_run, push, resume
from toolkit.reading.mapping import Mapping
from toolkit.sending.records import FATES
from toolkit.vendor.sandbox import DROPPED, Assumptions, Reply, Request, Sandbox
from toolkit.vendor.schema_check import add_attribute

ROOT = Path(__file__).resolve().parents[2]
FIRST = ["data/2026-09-01_customers.csv", "--mapping", "data/2026-09-01_customers.toml"]
TOKEN = "s3cret-t0ken-of-a-test"
PUSH_KEYS = {"plan", "rows", *FATES, "quarantined", "left_out", "batches", "attempts"}
HEADER = "customer_id,updated_at,customer_name,customer_category,customer_subcategory,customer_price_list_id,source\n"

Run = Callable[..., tuple[int, Any, str]]


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.chdir(ROOT)
    for name, function in (("push", push), ("resume", resume), ("dry_run", dry_run)):
        monkeypatch.setattr(toolkit, name, partial(function, pace=clock.pace))  # waits for nothing


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with Sandbox(tmp_path / "vendor", token=TOKEN) as server:
        monkeypatch.setenv("TOOLKIT_BASE_URL", server.url)
        monkeypatch.setenv("PEAK_AUTH_TOKEN", TOKEN)
        monkeypatch.setenv("TOOLKIT_TARGET", "acme")  # a tenant behind a loopback address
        yield server


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("check", file)` gives the exit code, the one JSON object, and what stands on standard error."""

    def call(*arguments: object) -> tuple[int, Any, str]:
        capsys.readouterr()
        code = cli.main([*map(str, arguments), "--json"])
        out, err = capsys.readouterr()
        assert TOKEN not in out + err
        return code, json.loads(out), err

    return call


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """A small file without a fault."""
    file = tmp_path / "clean.csv"
    rows = [f"C{i},2026-01-0{i}T00:00:00Z,Name {i},Retail,,PL-1,customer\n" for i in range(1, 6)]
    file.write_text(HEADER + "".join(rows), encoding="utf-8")
    return file


def test_the_main_job_from_check_to_history(run: Run, sandbox: Sandbox, tmp_path: Path) -> None:
    code, checked, err = run("check", *FIRST)
    assert code == 1
    assert "target acme · 127.0.0.1" in err
    assert {"rows", "good", "quarantined", "failures", "warnings", "ok"} <= checked.keys()
    assert checked["good"] + checked["quarantined"] == checked["rows"]
    assert not checked["ok"]

    code, compared, _ = run("diff", *FIRST)
    assert code == 1
    assert {"added", "changed", "touched", "restated", "backdated", "unchanged", "absent", "newly_absent", "held",
            "duplicate_keys"} <= compared.keys()  # fmt: skip
    assert compared["added"] == checked["good"]

    code, planned, _ = run("plan", *FIRST)
    assert (code, len(sandbox.requests())) == (1, 0)
    assert planned.keys() >= PUSH_KEYS
    assert sum(planned[fate] for fate in FATES) == planned["rows"] == planned["unsent"] == checked["good"]

    code, pushed, _ = run("push", *FIRST, "--plan", planned["plan"], "--yes", "--reason", "First delivery")
    assert code == 1  # the quarantined rows are still to be fixed
    assert pushed.keys() >= PUSH_KEYS
    assert pushed["accepted"] == pushed["rows"] == len(sandbox.table()) == checked["good"]
    assert pushed["plan"] == planned["plan"]

    code, again, _ = run("push", *FIRST, "--yes")
    assert (code, again["rows"], again["left_out"]) == (1, 0, planned["rows"])

    out = tmp_path / "snapshot.csv"
    code, kept, _ = run("snapshot", "--out", out)
    written = pd.read_csv(out, dtype=str, keep_default_na=False)
    assert (code, len(written)) == (0, pushed["accepted"])
    assert kept["customers"] == len(written)
    assert run("snapshot", "--push", pushed["push"])[1]["customers"] == len(written)
    assert set(written["customer_id"]) == set(sandbox.table()["customer_id"])

    code, story, _ = run("history", written["customer_id"].iloc[0])
    assert (code, [e["reason"] for e in story["entries"]]) == (0, ["First delivery"])
    code, stands, _ = run("status")
    assert (code, stands["customers"], stands["waiting"]) == (0, len(written), 0)


def test_words_are_mapped_and_an_empty_cell_keeps_what_was_sent(
    run: Run, sandbox: Sandbox, clean: Path, tmp_path: Path
) -> None:
    mapping = tmp_path / "crm.toml"
    mapping.write_text('[values.source]\nKunde = "customer"\n[empty]\ncustomer_category = "keep"\n', encoding="utf-8")
    assert run("push", clean, "--yes", "--allow", "first")[0] == 0
    clean.write_text(f"{HEADER}C1,2026-02-01T00:00:00Z,New,,,,Kunde\n", encoding="utf-8")
    assert run("check", clean)[1]["failures_by_reason"] == {"source is not one of peak, customer": 1}
    _, pushed, err = run("push", clean, "--mapping", mapping, "--yes", "--allow", "all")
    assert pushed.get("accepted") == 1, (pushed, err)
    [sent] = sandbox.table().query("customer_name == 'New'").to_dict("records")
    assert (sent["customer_category"], sent["source"]) == ("Retail", "customer")
    assert pd.isna(sent["customer_price_list_id"])


def test_nothing_to_report_is_exit_code_0(run: Run, sandbox: Sandbox, clean: Path) -> None:
    assert run("check", clean)[0] == 0
    assert run("profile", clean)[0] == 0
    assert run("diff", clean)[0] == 1
    assert run("push", clean, "--yes")[0] == 0
    for command in (["diff", clean], ["plan", clean], ["push", clean], ["resume"], ["status"]):
        assert run(*command)[0] == 0, command
    assert sandbox.requests()["method"].tolist() == ["GET", "POST"]  # the schema, and the rows


def test_a_warning_does_not_change_the_exit_code(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "odd.csv"
    file.write_text(HEADER + "C1,1999-01-01T00:00:00Z, Odd ,,Sub,,\n", encoding="utf-8")
    code, said, _ = run("check", file)
    assert (code, said["failures"], said["ok"]) == (0, 0, True)
    assert said["warnings"] >= 3


@pytest.mark.parametrize("command", ["suggest", "check", "plan", "scan", "profile", "corrections"])
def test_an_encoding_that_the_letters_speak_against_is_a_warning(run: Run, sandbox: Sandbox, command: str) -> None:
    _, _, err = run(command, CASES / "F05_cp1250.csv")
    assert "\n  warning: cp1252 is assumed, but the letters read as words in cp1250." in f"\n{err}"
    assert 'write encoding = "cp1250" in [format] of the mapping.\n    £ódŸ Œwiat sp. z o.o. → Łódź Świat' in err
    assert err.count("warning:") == 1


def test_set_and_correct_work_over_the_file(run: Run, sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "erp.csv"
    file.write_text("customer_id,updated_at,customer_name,source\n C1 ,2026-01-01T00:00:00Z,One,ERP\n", "utf-8")
    assert run("check", file)[0] == 1
    assert run("check", file, "--correct", "source_to_customer", "--correct", "trim_spaces")[0] == 0
    code, _, _ = run("push", file, "--set", "source=peak", "--set", "customer_category=Retail", "--correct",
                     "trim_spaces", "--yes")  # fmt: skip
    sent = sandbox.table().iloc[0]
    assert (code, sent["customer_id"], sent["source"], sent["customer_category"]) == (0, "C1", "peak", "Retail")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["push", "CLEAN"], "--yes"),
        (["push", "CLEAN", "--yes", "--plan", "0123456789abcdef"], "toolkit plan"),
        (["push", "CLEAN", "--yes", "--plan", "0123"], "first 8 characters"),
        (["push", "CLEAN", "--dry-run"], "2026-04"),
        (["push", "CLEAN", "--yes", "--include", "tuched"], "did you mean 'touched'"),
        (["check", "CLEAN", "--correct", "trim_space"], "did you mean 'trim_spaces'"),
        (["check", "CLEAN", "--set", "Acme"], "--set takes column=value, such as source=customer, and one of them has"),
        (["check", "CLEAN", "--set", "sorce=peak"], "did you mean 'source'"),
        (["check", "CLEAN", "--mapping", "nowhere.toml"], "nowhere.toml"),
        (["check", "nowhere.csv"], "nowhere.csv"),
        (["snapshot", "--as-of", "yesterday"], "as_of is not a time"),
        (["snapshot", "--as-of", ""], "as_of is not a time"),
        (["snapshot", "--push", "p-1"], "has no push 'p-1'"),
        (["snapshot", "--push", "p-1", "--as-of", "2026-01-01"], "not both"),
        (["snapshot", "--out", "data/state/x.docx"], ".csv"),
        (["abandon"], "no open push"),
        (["chek", "CLEAN"], "chek"),
        (["check", "CLEAN", "--jsn"], "jsn"),
        (["check"], "FILE"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_the_analyst_has_to_fix_is_said_in_one_line(
    run: Run, sandbox: Sandbox, clean: Path, arguments: list[str], words: str
) -> None:
    code, said, err = run(*[str(clean) if a == "CLEAN" else a for a in arguments])
    assert code == 2
    assert words.casefold() in said["error"].casefold()
    assert "\n" not in said["error"]
    assert f"error: {said['error']}" in err
    assert "Traceback" not in err
    assert "Acme" not in err  # it may be a customer's
    assert sandbox.requests().empty


def test_no_request_is_made_before_the_answer_and_then_the_columns_are_compared_first(
    run: Run, sandbox: Sandbox, clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_attribute(CustomAttribute("region"), settings=Settings())
    n_requests, asked_at = len(sandbox.requests()), []

    class Terminal(io.StringIO):
        def readline(self, *_: int) -> str:
            asked_at.append(len(sandbox.requests()))
            return super().readline()

        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    code, said, err = run("push", clean)
    assert (code, said["error"]) == (2, "Not confirmed: nothing was sent.")
    assert "Send 5 rows" in err
    assert len(sandbox.requests()) == n_requests
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    code, said, err = run("push", clean)
    assert (code, said["accepted"]) == (0, 5)
    assert err.index("Send 5 rows") < err.index("region (only theirs): the table has it")
    assert asked_at == [n_requests] * 2
    assert sandbox.requests()["method"].tolist()[n_requests:] == ["GET", "POST"]


def test_a_dry_run_asks_the_vendor_and_writes_nothing(
    run: Run, tmp_path: Path, clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Sandbox(tmp_path / "vendor", contract="current") as server:
        server.vendor.refuse = lambda row: "not this one" if row["customer_id"] == "C3" else None
        monkeypatch.setenv("TOOLKIT_BASE_URL", server.url)
        monkeypatch.setenv("TOOLKIT_CONTRACT", "current")
        code, said, _ = run("push", clean, "--dry-run")
        assert (code, said["accepted"], said["refused"], said["rows"]) == (1, 4, 1, 5)
        assert (len(server.requests()), len(server.table())) == (1, 0)
        assert run("status")[1]["customers"] == 0


BAD_FILES = {
    "empty": (b"", "is empty"),
    "blank": (b"\n\n \n", ""),
    "binary": (bytes(range(256)) * 40, ""),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + b"\x00" * 200, ""),
    "no header": (b"C1,2026-01-01T00:00:00Z,One,Retail,,PL-1,customer\n", "customer_id"),
    "two columns of one name": (b"customer_id,updated_at,customer_id\nC1,2026-01-01T00:00:00Z,C1\n", "customer_id"),
    "lacks the key": (b"customer_name,updated_at\nOne,2026-01-01T00:00:00Z\n", "customer_id"),
    "no rows": (HEADER.encode(), "no rows"),
}


@pytest.mark.parametrize("name", BAD_FILES)
@pytest.mark.parametrize("ending", [".csv", ".xlsx"])
def test_a_file_that_is_no_customer_table_gets_one_clear_message(
    run: Run, sandbox: Sandbox, tmp_path: Path, name: str, ending: str
) -> None:
    content, words = BAD_FILES[name]
    file = tmp_path / f"bad{ending}"
    if ending == ".xlsx" and name in ("no header", "two columns of one name", "lacks the key", "no rows"):
        lines = [line.split(",") for line in content.decode().splitlines()]
        pd.DataFrame(lines).to_excel(file, header=False, index=False)
    else:
        file.write_bytes(content)
    for command in (["check"], ["profile"], ["diff"], ["plan"], ["push", "--yes"]):
        code, said, err = run(command[0], file, *command[1:])
        assert code == 2
        assert file.name in said["error"]
        assert words in said["error"] or ending == ".xlsx"
        assert "\n" not in said["error"]
        assert "Traceback" not in err
    assert sandbox.requests().empty
    assert not list(tmp_path.rglob("*.part*"))
    code, stands, _ = run("status")
    assert (code, stands["pushes"], stands["open_push"]) == (0, [], "")


@pytest.mark.parametrize("trouble", ["token", "address", "host"])
def test_a_push_that_is_stopped_says_why_and_is_resumed_once_that_is_fixed(
    run: Run, sandbox: Sandbox, clean: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{free.getsockname()[1]}"
    name, wrong, words = {
        "token": ("PEAK_AUTH_TOKEN", "another-token", "PEAK_AUTH_TOKEN"),
        "address": ("TOOLKIT_BASE_URL", f"{sandbox.url}/old", "TOOLKIT_BASE_URL"),
        "host": ("TOOLKIT_BASE_URL", nowhere, "Check the host"),
    }[trouble]
    right = os.environ[name]
    monkeypatch.setenv(name, wrong)
    code, said, err = run("push", clean, "--yes")
    assert code == 2
    assert words in said["error"]
    assert (said["rows"], said["accepted"], said["unsent"] + said["unknown"]) == (5, 0, 5)
    assert "another-token" not in json.dumps(said) + err
    assert len(sandbox.table()) == 0
    assert run("status")[0] == 0  # nothing was taken, so nothing waits

    monkeypatch.setenv(name, right)
    code, said, _ = run("push", clean, "--yes")
    assert (code, said["accepted"], said["rows"]) == (0, 5, 5)
    assert len(sandbox.table()) == 5


def test_a_time_that_the_mapping_does_not_read_is_never_sent(
    run: Run, sandbox: Sandbox, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    times = ["03/04/2026", "01/02/2026 10:00", "25/10/2026 02:30", "29/03/2026 02:30", "13/13/2026 10:00", "2026-03-04"]
    file, mapping = tmp_path / "crm.csv", tmp_path / "crm.toml"
    file.write_text("customer_id,updated_at\n" + "".join(f"C{i},{t}\n" for i, t in enumerate(times)), encoding="utf-8")
    mapping.write_text('[format]\ndatetime = "%d/%m/%Y %H:%M"\ntimezone = "Europe/Berlin"\n', encoding="utf-8")
    code, said, _ = run("push", file, "--mapping", mapping, "--yes", "--allow", "times")
    assert (code, said["accepted"], said["quarantined"]) == (1, 1, 5)
    assert list(sandbox.table()["updated_at"].astype("str")) == ["2026-02-01 09:00:00+00:00"]
    assert run("profile", file, "--mapping", mapping)[0] == 0
    file.write_text("customer_id,updated_at\nC1,25/10/2026 02:30\n", encoding="utf-8")
    assert run("check", file, "--mapping", mapping)[1]["failures_by_reason"] == {
        "updated_at is not a time as %d/%m/%Y %H:%M, or one that the clocks in Europe/Berlin skip or repeat": 1
    }
    assert not [w for w in recwarn if "dayfirst" in str(w.message)]


def test_a_refused_row_is_reported_with_its_reason_and_its_place(
    sandbox: Sandbox, clean: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox.vendor.refuse = lambda row: "the price list is not known" if row["customer_id"] == "C4" else None
    assert cli.main(["push", str(clean), "--yes"]) == 1
    out, err = capsys.readouterr()
    assert "4 accepted" in out
    assert "1 refused" in out
    assert "source_row 5, C4" in out
    assert "the price list is not known" in out
    assert "Name 4" not in out + err  # no customer's values beyond the key


def test_a_refused_row_goes_out_in_a_sheet_and_back_to_the_vendor(
    run: Run, sandbox: Sandbox, clean: Path, tmp_path: Path
) -> None:
    closed = "customer_price_list_id PL-1 is closed"
    sandbox.vendor.refuse = lambda row: (
        closed if row["customer_id"] == "C4" and row["customer_price_list_id"] == "PL-1" else None
    )
    name = run("push", clean, "--yes")[1]["push"]
    sheet = tmp_path / "refused.xlsx"
    code, said, err = run("report", name, "--excel", sheet)
    assert (code, said["push"], said["refused"]) == (1, name, 1)
    assert f"written to {sheet}" in err
    assert run("report")[1] == said  # the last one
    assert run("report", name, "--excel", sheet)[0] == 2  # the owner's answers may lie there
    assert "no push" in run("report", "p-1")[1]["error"]
    book, columns, rows = cells_of(sheet)
    book["rows"].cell(rows[5], columns["customer_price_list_id"]).value = "0042"
    book.save(sheet)
    assert run("repush", name, "--yes")[1]["refused"] == 1  # as it was
    code, said, _ = run("repush", name, "--patch", sheet, "--yes")
    assert (code, said["rows"], said["accepted"]) == (0, 1, 1)
    assert sandbox.table().query("customer_id == 'C4'")["customer_price_list_id"].tolist() == ["0042"]


def test_options_that_messages_name_are_there(run: Run, sandbox: Sandbox, clean: Path) -> None:
    assert run("push", clean, "--yes")[0] == 0
    amended = ["amend", "C1", "customer_category=Wholesale", "--reason", "asked", "--yes"]
    assert "no guard" in run(*amended, "--allow", "changd")[1]["error"].casefold()
    code, said, _ = run(*amended, "--allow", "changed,absent")
    assert (code, said["accepted"]) == (0, 1)
    assert "older customers" in run("seed", clean, "--reason", "before")[1]["error"]
    assert run("seed", clean, "--reason", "before", "--beside-entries")[1] == {"seeded": 5}
    assert "no open push" in run("abandon", "--rows-lost")[1]["error"]
    assert "no unknown row 5" in run("settle", said["push"], "--accepted-row", "5", "--reason", "seen")[1]["error"]


def test_the_token_is_in_no_file_and_on_no_stream(run: Run, sandbox: Sandbox, clean: Path, tmp_path: Path) -> None:
    def echo(request: Request) -> Reply:
        text = f"<p>busy, dear {request.headers['authorization']}</p>".encode()
        return Reply(503, text, {"Retry-After": "1", "X-Echo": TOKEN})

    sandbox.vendor.refuse = lambda row: f"{TOKEN} may not send this" if row["customer_id"] == "C2" else None
    sandbox.vendor.troubles.extend([None, echo])  # the first request asks for the schema
    code, said, _ = run("push", clean, "--yes")
    assert (code, said["accepted"], said["refused"], said["attempts"]) == (1, 4, 1, 2)
    run("status")
    run("snapshot", "--out", tmp_path / "snapshot.parquet")
    looked_at = [f for f in (tmp_path / "state").rglob("*") if f.is_file()]
    assert any(f.suffix == ".sqlite" for f in looked_at)
    assert any(f.suffix == ".parquet" for f in looked_at)
    for file in looked_at:
        assert TOKEN.encode() not in file.read_bytes(), file


def test_a_push_and_a_resume_without_a_required_column_are_held(run: Run, sandbox: Sandbox, clean: Path) -> None:
    sandbox.vendor.troubles.extend([None, (True, DROPPED), Reply(401, b"{}")])  # after the schema
    assert run("push", clean, "--yes")[0] == 2
    add_attribute(CustomAttribute("region", required=True))
    n_requests = len(sandbox.requests())
    code, said, _ = run("resume")
    assert code == 2
    assert re.search(r"requires region, .* abandon push \S+, list it as a custom attribute", said["error"])
    assert run("abandon")[0] == 1  # a row is unknown still
    code, said, err = run("push", clean, "--yes", "--allow", "older")
    assert (code, "[y/N]" in err) == (2, False)
    assert "requires region, which the toolkit does not send" in said["error"]
    assert sandbox.requests()["method"].tolist()[n_requests:] == ["GET", "GET"]


def test_rows_accepted_with_a_warning_are_no_finding_and_are_listed(run: Run, sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "crm.csv"
    file.write_text(HEADER + "C1,2026-01-01T00:00:00Z,One,Retail,Sub,PL-9,customer\n", encoding="utf-8")
    sandbox.vendor.assumptions = Assumptions(warnings="list")
    code, said, _ = run("push", file, "--yes")
    assert (code, said["accepted"], said["warned"]) == (0, 1, 1)
    code, said, _ = run("report")
    assert (code, said["warned"], said["warnings"][0]["category"]) == (0, 1, "foreign_key")


def test_an_interrupt_says_how_to_go_on(
    run: Run, sandbox: Sandbox, clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(toolkit, "push", interrupted)
    code, said, err = run("push", clean, "--yes")
    assert (code, said) == (130, {"error": "interrupted"})
    assert "toolkit resume" in err


def test_a_warning_is_one_line_without_code(
    run: Run, sandbox: Sandbox, clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PEAK_AUTH_TOKEN")
    monkeypatch.setenv("API_KEY", TOKEN)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        code, _, err = run("push", clean, "--yes")
    assert code == 0
    (line,) = [line for line in err.splitlines() if "API_KEY" in line]
    assert line.startswith("warning: The token comes from API_KEY")
    assert "settings.py" not in err
    assert "client.py" not in err


def test_as_a_program_it_exits_as_it_says(tmp_path: Path, clean: Path) -> None:
    home = {"TOOLKIT_HOME": str(tmp_path / "state"), "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    call = partial(subprocess.run, cwd=ROOT, env=home, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    module = [sys.executable, "-m", "toolkit"]
    done = call([*module, "push", str(clean)])
    assert (done.returncode, done.stdout) == (2, "")
    assert "--yes" in done.stderr
    assert "Traceback" not in done.stderr
    done = call([*module, "push", str(clean), "--yes", "--json"])  # against the embedded sandbox
    assert (done.returncode, json.loads(done.stdout)["accepted"]) == (0, 5)
    assert "embedded sandbox" in done.stderr


def test_the_sandbox_serves_until_it_is_interrupted(tmp_path: Path, clean: Path) -> None:
    home = {"TOOLKIT_HOME": str(tmp_path / "state"), "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    serve = [sys.executable, "-m", "toolkit", "sandbox", "--port", "0", "--data", str(tmp_path / "vendor")]
    # A shell's background job ignores Ctrl-C, and so would what it starts.
    heeds = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        serve, cwd=ROOT, env=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heeds
    ) as server:
        try:
            url = server.stdout.readline().split()[2].rstrip(",")
            done = subprocess.run([sys.executable, "-m", "toolkit", "push", str(clean), "--yes"], cwd=ROOT,
                                  env={**home, "TOOLKIT_BASE_URL": url}, capture_output=True, text=True)  # fmt: skip
            assert done.returncode == 0, done.stderr
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait() == 130
        assert "Traceback" not in server.stderr.read()
    assert len(Sandbox(tmp_path / "vendor").table()) == 5


def test_the_review_sheet_goes_out_and_comes_back_as_a_patch(run: Run, sandbox: Sandbox, tmp_path: Path) -> None:
    sheet, patch = tmp_path / "owner.xlsx", tmp_path / "fixed.csv"
    code, before, err = run("check", *FIRST, "--excel", sheet)
    assert (code, before["quarantined"]) == (1, 9)
    assert f"review sheet written to {sheet}" in err
    assert "--patch owner-corrected.xlsx" in err
    book, columns, rows = cells_of(sheet)
    book["rows"].cell(rows[167], columns["Kundennummer"]).value = "0009999"
    book.save(sheet)
    code, made, _ = run("review", sheet, "--out", patch, "--who", "Ms Ash")
    assert (code, made) == (0, {"cells": 1, "by_rule": {"data owner": 1}})
    assert set(pd.read_csv(patch)["who"]) == {"Ms Ash"}
    for given in (patch, sheet):  # a sheet is as good as the patch that is made of it
        code, after, err = run("check", *FIRST, "--patch", given)
        assert (code, after["quarantined"], after["good"]) == (1, 8, before["good"] + 1)
        assert "1 applied, 0 done before, 0 stale" in err
        assert run("plan", *FIRST, "--patch", given)[1]["rows"] == after["good"]
    code, found, _ = run("corrections", *FIRST)
    assert (code, found["would_change"]["drop_exact_duplicates"]) == (1, 4)
    assert run("review", sheet, "--out", tmp_path / "x.docx")[0] == 2
    assert run("check", *FIRST, "--excel", sheet, "--overwrite", "--language", "fr")[0] == 1
    assert load_workbook(sheet).sheetnames[0] == "lignes"


def test_refused_rows_go_out_with_all_columns_and_come_back_with_a_name(
    run: Run, sandbox: Sandbox, tmp_path: Path
) -> None:
    file, mapping, sheet = tmp_path / "crm.csv", tmp_path / "crm.toml", tmp_path / "refused.xlsx"
    file.write_text("City,No,Changed\nUlm,A,15.10.2023\nKiel,B,16.10.2023\n", encoding="utf-8")
    mapping.write_text(
        '[columns]\ncustomer_id = "No"\nupdated_at = "Changed"\n[constants]\nsource = "customer"\n'
        '[format]\ndatetime = "%d.%m.%Y"\ntimezone = "Europe/Berlin"\n[delivery]\nlanguage = "de"\n', encoding="utf-8"
    )  # fmt: skip
    sandbox.vendor.refuse = lambda row: "updated_at is too old" if row["customer_id"] == "A" else None
    code, first, _ = run("push", file, "--mapping", mapping, "--yes")
    assert (code, first["refused"]) == (1, 1)
    assert run("report", first["push"], "--excel", sheet)[0] == 1
    book = load_workbook(sheet)
    rows = [[cell.value for cell in row] for row in book["Zeilen"].iter_rows()]
    assert [name for name in rows[0] if name in ("No", "Changed", "City")] == ["No", "Changed", "City"]
    assert {"A", "15.10.2023", "Ulm"} <= set(rows[1])
    book["Zeilen"].cell(2, rows[0].index("Changed") + 1).value = "17.10.2023"
    book.save(sheet)
    sandbox.vendor.refuse = None
    code, again, _ = run("repush", first["push"], "--patch", sheet, "--who", "Ms Ash", "--yes")
    assert (code, again["accepted"]) == (0, 1)
    assert sandbox.table().set_index("customer_id")["updated_at"]["A"] == pd.Timestamp("2023-10-16T22:00:00Z")


PAGES = {
    "suggest": ("Mapping suggested for clean.csv", False), "check": ("Validation of clean.csv", False),
    "profile": ("Profile of clean.csv", False), "diff": ("What clean.csv changes", False),
    "plan": ("Push plan for clean.csv", False), "push": ("Push of clean.csv", True),
    "report": ("Push of clean.csv", False), "status": ("Status of target ", False),
}  # fmt: skip


def test_every_result_is_also_a_page(run: Run, sandbox: Sandbox, clean: Path, tmp_path: Path) -> None:
    for command, (title, yes) in PAGES.items():
        page = tmp_path / f"{command}.html"
        about = [] if command in ("report", "status") else [clean]
        code, _, err = run(command, *about, *["--yes"] * yes, "--html", page)
        assert code in (0, 1), err
        assert f"page written to {page}" in err
        assert re.search(rf"<title>{title}.* · \d{{4}}-\d\d-\d\d \d\d:\d\d</title>", page.read_text(encoding="utf-8"))


def test_a_push_that_stops_has_a_page_too(run: Run, sandbox: Sandbox, clean: Path, tmp_path: Path) -> None:
    sandbox.vendor.troubles.extend([None, *[Reply(503)] * 30])
    code, stopped, _ = run("push", clean, "--yes", "--html", tmp_path / "push.html")
    assert (code, "error" in stopped) == (2, True)
    assert "Stopped: " in (tmp_path / "push.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", PAGES)
def test_a_page_that_cannot_be_written_is_said_before_any_work(
    run: Run, sandbox: Sandbox, clean: Path, tmp_path: Path, command: str
) -> None:
    (tmp_path / "there.html").write_text("precious", encoding="utf-8")
    about = [] if command in ("report", "status") else [tmp_path / "never looked for.csv"]
    for page, words in {
        tmp_path: "is a folder: name a file in it",
        tmp_path / "there.html": "exists already: give another name, or --overwrite to replace it",
        tmp_path / "nowhere" / "a.html": "cannot be written (No such file or directory)",
        clean / "a.html": "cannot be written (Not a directory)",
        tmp_path / f"{'a' * 300}.html": "cannot be written (File name too long)",
        tmp_path / "a.xlsx": "give a name that ends in .html or .htm",
    }.items():
        code, said, _ = run(command, *about, "--html", page)
        assert (code, words in said["error"]) == (2, True), said
        assert said["error"].count(". ") == 0  # one sentence
    assert (tmp_path / "there.html").read_text(encoding="utf-8") == "precious"
    assert len(sandbox.requests()) == 0


def test_only_overwrite_replaces_a_file_and_never_the_one_that_is_read(
    run: Run, sandbox: Sandbox, clean: Path, tmp_path: Path
) -> None:
    run("push", clean, "--yes")
    sheet = tmp_path / "sheet.xlsx"
    assert run("check", clean, "--excel", sheet)[0] == 0
    for command in (
        ["suggest", clean, "--to"], ["check", clean, "--excel"], ["scan", clean, "--good"], ["scan", clean, "--bad"],
        ["review", sheet, "--out"], ["report", "--excel"], ["snapshot", "--out"], ["check", clean, "--html"],
    ):  # fmt: skip
        ending = {"--excel": ".xlsx", "--html": ".html", "--to": ".toml"}.get(command[-1], ".csv")
        file = tmp_path / f"there{ending}"
        file.write_text("precious", encoding="utf-8")
        code, said, _ = run(*command, file)
        assert (code, file.read_text(encoding="utf-8")) == (2, "precious"), command
        assert "or --overwrite to replace it" in said["error"]
        assert run(*command, file, "--overwrite")[0] in (0, 1)
        assert file.read_bytes() != b"precious"
    before = clean.read_bytes()
    for command in (["scan", clean, "--good", clean], ["suggest", clean, "--to", clean]):
        code, said, _ = run(*command, "--overwrite")
        assert (code, clean.read_bytes()) == (2, before)
        assert "is the file to read" in said["error"]


def test_a_mapping_is_proposed_and_written_but_never_over_another(run: Run, tmp_path: Path) -> None:
    file, made = FIRST[0], tmp_path / "m.toml"
    code, _, err = run("suggest", file, "--to", made)
    assert code == 0
    assert f"written to {made}" in err
    proposed = Mapping.load(made)
    assert proposed.columns == Mapping.load(FIRST[2]).columns
    assert proposed.timezone is None  # never guessed: the analyst states it
    assert run("suggest", file, "--to", made)[0] == 2
    assert run("suggest", file, "--to", made, "--overwrite")[0] == 0


@pytest.mark.parametrize("command", ["check", "profile", "corrections", "suggest", "diff", "plan", "push", "seed"])
def test_every_command_that_reads_a_file_takes_the_sheet(run: Run, sandbox: Sandbox, command: str) -> None:
    more = {"push": ["--yes"], "seed": ["--reason", "sent before"]}.get(command, [])
    book = CASES / "F06_second_sheet_left_out.xlsx"
    code, _, err = run(command, book, "--sheet", "N-Y", *more)
    assert (code, "has no sheet 'N-Y', did you mean 'N-Z'?" in err) == (2, True)
    assert run(command, book, "--sheet", "N-Z", *more)[0] in (0, 1)


def test_what_comes_after_a_push(run: Run, sandbox: Sandbox, clean: Path, tmp_path: Path) -> None:
    sandbox.vendor.refuse = lambda row: "customer_category is closed" if row["customer_id"] == "C2" else None
    code, first, _ = run("push", clean, "--yes")
    assert (code, first["accepted"], first["refused"]) == (1, 4, 1)
    sandbox.vendor.refuse = None
    assert run("repush", first["push"])[0] == 2  # there is no terminal to confirm it at
    code, again, _ = run("repush", first["push"], "--yes", "--reason", "category opened")
    assert (code, again["accepted"]) == (0, 1)
    code, amended, err = run("amend", "C3", "customer_category=Wholesale", "--reason", "a call", "--yes")
    assert (code, amended["accepted"]) == (0, 1), err
    assert run("snapshot", "--out", tmp_path / "now.csv")[0] == 0
    assert "Wholesale" in (tmp_path / "now.csv").read_text(encoding="utf-8")
    code, back, _ = run("revert", amended["push"], "--yes")
    assert (code, back["accepted"]) == (0, 1)
    run("snapshot", "--out", tmp_path / "back.csv")
    assert "Wholesale" not in (tmp_path / "back.csv").read_text(encoding="utf-8")
    code, _, _ = run("pushes")
    assert code == 0
    assert run("amend", "C3", "Wholesale", "--reason", "x")[0] == 2
    assert run("amend", "nobody", "customer_category=x", "--reason", "x", "--yes")[0] == 2
    code, gone, _ = run("retract", "--push", first["push"], "--reason", "never loaded")
    assert (code, gone["retracted"]) == (0, 4)
    assert run("retract", "C1", "--reason", "x")[0] == 2
    assert run("schema")[0] in (0, 1)
    _, after, _ = run("history", "C3")
    assert [e["reason"] for e in after["entries"]].count("a call") == 1


def test_a_push_left_open_on_a_lost_machine_is_released(
    run: Run, sandbox: Sandbox, clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOLKIT_LEDGER", str(tmp_path / "shared"))
    sandbox.vendor.troubles.extend([None, (True, DROPPED), Reply(401)])  # asked for its columns first
    code, left, _ = run("push", clean, "--yes")
    assert (code, left["unknown"]) == (2, 5)
    monkeypatch.setenv("TOOLKIT_HOME", str(tmp_path / "colleague"))
    code, said, _ = run("push", clean, "--yes")
    assert code == 2
    assert f"toolkit release {left['push']}" in said["error"]
    assert run("release", "another", "--reason", "lost")[0] == 2
    assert run("release", left["push"], "--reason", "its machine is lost")[:2] == (0, {"released": left["push"]})
    code, said, _ = run("push", clean, "--yes")
    assert (code, "--allow older" in said["error"]) == (2, True)  # the lost push began with the same file
    assert run("push", clean, "--yes", "--allow", "older")[1]["accepted"] == 5


def test_customers_sent_before_the_toolkit_came_are_taken_over(run: Run, sandbox: Sandbox, clean: Path) -> None:
    code, seeded, _ = run("seed", clean, "--reason", "sent by script until today")
    assert (code, seeded) == (0, {"seeded": 5})
    assert run("diff", clean)[1]["unchanged"] == 5
    assert run("seed", clean, "--reason", "twice")[0] == 2


def test_a_guard_that_blocks_is_2_and_yes_alone_does_not_allow_it(
    run: Run, sandbox: Sandbox, clean: Path, tmp_path: Path
) -> None:
    assert run("push", clean, "--yes")[0] == 0
    changed = tmp_path / "changed.csv"
    text = clean.read_text(encoding="utf-8").replace("2026-01", "2026-02")
    changed.write_text(text.replace("customer\n", "peak\n"), encoding="utf-8")
    code, said, _ = run("push", changed, "--yes")
    assert code == 2
    assert "--allow changed" in said["error"]
    assert run("plan", changed)[0] == 1
    assert run("push", changed, "--yes", "--allow", "changed")[1]["accepted"] == 5


@pytest.mark.parametrize("how", ["yes", "asked", "no terminal"])
def test_no_request_is_made_while_a_guard_blocks(
    run: Run, sandbox: Sandbox, clean: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    assert run("push", clean, "--yes")[0] == 0
    text = clean.read_text(encoding="utf-8")
    clean.write_text(text.replace("2026-01", "2026-02").replace("Name", "Other"), encoding="utf-8")
    n_requests = len(sandbox.requests())
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: how == "asked", raising=False)
    code, said, err = run("push", clean, *(["--yes"] if how == "yes" else []))
    assert (code, "--allow changed" in said["error"]) == (2, True)
    assert "[y/N]" not in err
    assert len(sandbox.requests()) == n_requests  # not even one for the vendor's columns
    assert run("push", clean, "--yes", "--allow", "changed")[1]["accepted"] == 5


def test_a_large_file_is_scanned_by_the_same_rules(run: Run, clean: Path, tmp_path: Path) -> None:
    code, found, _ = run("scan", clean, "--good", tmp_path / "good.csv")
    assert (code, found["rows"], found["good"]) == (0, 5, 5)
    assert len((tmp_path / "good.csv").read_text(encoding="utf-8").splitlines()) == 6


def test_no_file_that_is_there_is_written_over(run: Run, clean: Path, tmp_path: Path) -> None:
    taken = tmp_path / "answers.xlsx"
    taken.write_text("precious", encoding="utf-8")
    assert run("check", *FIRST, "--excel", taken)[0] == 2
    assert run("review", taken, "--out", taken)[0] == 2
    assert run("snapshot", "--out", taken)[0] == 2
    assert run("scan", clean, "--good", clean)[0] == run("scan", clean, "--bad", taken)[0] == 2
    assert taken.read_text(encoding="utf-8") == "precious"


@pytest.mark.parametrize("name", [name for commands in COMMANDS.values() for name in commands])
def test_the_list_of_commands_says_what_each_command_says_of_itself(name: str) -> None:
    (module,) = [module for module, commands in COMMANDS.items() if name in commands]
    command = getattr(importlib.import_module(f"toolkit.cli.{module}"), name)
    assert command.__doc__.splitlines()[0] == COMMANDS[module][name]


def test_a_target_is_chosen_for_one_command(
    run: Run, tmp_path: Path, clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("toolkit.config.project.PACKAGE", tmp_path / "toolkit")
    (tmp_path / "toolkit.toml").write_text('[targets.sandbox-2]\nsolution = "QP_TWO"\n', encoding="utf-8")
    assert run("push", clean, "--yes", "--target", "sandbox-2")[1]["accepted"] == 5
    assert run("--target", "sandbox-2", "status")[1]["customers"] == 5
    assert run("status", "--target", "sandbox")[1]["customers"] == 0
    before = sorted(tmp_path.rglob("*"))
    code, said, _ = run("push", clean, "--yes", "--target", "sandbox-3")
    assert code == 2
    assert "did you mean 'sandbox-2'? The known targets are sandbox, sandbox-2" in said["error"]
    assert sorted(tmp_path.rglob("*")) == before


def test_the_history_of_a_customer_is_shown_as_text(
    run: Run, sandbox: Sandbox, clean: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("push", clean, "--yes", "--reason", "First delivery")
    run("amend", "C3", "customer_category=Wholesale", "--reason", "a call", "--yes", "--allow", "all")
    capsys.readouterr()
    assert cli.main(["history", "C3"]) == 0
    out = capsys.readouterr().out
    assert "First delivery" in out
    assert "a call" in out
    assert "nan" not in out.casefold()


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == version("customer-toolkit")

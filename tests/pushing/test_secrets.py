"""After all that the toolkit does, the token is in no text and no file, and only the user can read customers' data."""

from __future__ import annotations

import ast
import contextlib
import copy
import io
import json
import logging
import os
import pickle
import re
import sqlite3
import stat
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from openpyxl import Workbook
from pydantic import SecretStr

import toolkit
from tests.support.clocks import Clock
from tests.support.faulty import Fault, Faulty, http
from tests.support.leaks import Search, spellings
from toolkit import (
    Ledger,
    Settings,
    abandon,
    check_schema,
    cli,
    correct,
    diff,
    patch_between,
    plan_push,
    profile,
    push,
    read_customers,
    repush,
    resume,
    revert,
    settle,
    status,
    suggest_mapping,
    validate,
)
from toolkit import plan_correction as correct_customers
from toolkit import push_history as pushes
from toolkit.errors import ToolkitError
from toolkit.model.attributes import CustomAttribute
from toolkit.model.contract import CONTRACTS
from toolkit.sending.journal import MAX_ANSWER_CHARACTERS
from toolkit.vendor import Client, add_attribute, client

ROOT = Path(__file__).resolve().parents[2]
TOKENS = {"plain": "s3cret-T0ken-of-A-test-Ab9", "unusual": "Zk7+q/9Jd==\"x'yW\\v2&<8>%4~!tail-of-it"}
HEADER = "customer_id,updated_at,customer_name,customer_category,customer_subcategory,customer_price_list_id,source\n"


def rows(n: int, *, start: int = 0, month: int = 1, category: str = "Retail") -> str:
    lines = [
        f"C{start + i:04d},2026-{month:02d}-01T00:00:00Z,Name {start + i},{category},,PL-1,customer\n" for i in range(n)
    ]
    return HEADER + "".join(lines)


SEP = '", "'


def echoes(token: str) -> list[Fault]:
    """Answers that repeat what they were sent, each in its way."""
    plain, others = spellings(token)[:3], spellings(token)[3:]  # the others can stand in JSON as they are
    spelled = [json.dumps(text)[1:-1] for text in plain] + others
    once = json.dumps(f"Authorization: Bearer {token}")
    every = f'{{"message": {once}, "sent": ["{SEP.join(spelled)}"]}}'
    failed = [f'{{"index": {n % 2}, "code": "{s}", "message": "{"x" * 280} {s}"}}' for n, s in enumerate(spelled)]
    header = f"X-Echo: {token}"
    return [
        Fault("401", says=(http(401, every.encode(), header, f"WWW-Authenticate: Bearer {token}"),)),
        Fault("401 of a page", says=(http(401, f"<p>{token}</p>".encode(), header),)),
        Fault("422", says=(http(422, every.encode(), header),)),
        Fault("422 of rows", says=(http(422, f'{{"failed": [{", ".join(failed[:2])}]}}'.encode()),)),
        Fault("200 of rows", takes=True, says=(http(200, f'{{"failed": [{", ".join(failed)}]}}'.encode()),)),
        Fault("400", says=(http(400, once.encode()),)),
        Fault("400 of one line", says=(http(400, f"bad token {token}".encode(), header),)),
        Fault("500", says=(http(500, every.encode(), f"Retry-After: {token}"),)),
        Fault("reset", ends="reset"),
        Fault("reset after it", says=(http(200, f'{{"x": "{token}'.encode(), length=900),), ends="reset"),
        Fault("too long", says=(http(200, (every * (client.MAX_ANSWER_BYTES // len(every) + 2)).encode(), length=-1),)),
        Fault("long", says=(http(500, ("x" * 63_980 + every).encode()),)),
        Fault("headers", says=(f"HTTP/1.1 500 {token}\r\n{header}\r\nno colon {token}\r\n\r\n".encode(),)),
        Fault("status line", says=(f"HTTP/1.1 {token} {token}\r\n\r\n".encode(),)),
        Fault("302", says=(http(302, every.encode(), f"Location: /?token={token}", f"Set-Cookie: t={token}"),)),
        Fault("404", says=(http(404, every.encode()),)),
        Fault("409", says=(http(409, every.encode()),)),
        Fault("503", says=(http(503, every.encode(), f"Retry-After: {token}"),)),
    ]


@dataclass
class Run:
    """All results and texts that the toolkit made in one run."""

    token: str
    root: Path
    said: dict[str, str] = field(default_factory=dict)
    made: list[Any] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)

    def keep(self, thing: Any, name: str = "") -> Any:
        """Keep a result, and write it in each format that it has."""
        self.made.append(thing)
        name = f"{len(self.made):02d}-{name or type(thing).__name__}"
        for ending in ("html", "excel"):
            if write := getattr(thing, f"to_{ending}", None):
                write(self.root / "out" / f"{name}.{'xlsx' if ending == 'excel' else ending}")
        return thing

    def attempt(self, call: Callable[[], Any]) -> Any:
        """Call it; of an error of ours, keep all that a verbose traceback shows without the frames of these tests."""
        try:
            return self.keep(call())
        except ToolkitError as error:
            shown = traceback.TracebackException.from_exception(error, capture_locals=True)
            assert len(shown.stack) > 1
            shown.stack[:] = [frame for frame in shown.stack if "tests" not in Path(frame.filename).parts]
            self.said[f"traceback {len(self.said)}"] = "".join(shown.format())
            self.keep(error)
            if report := getattr(error, "report", None):
                self.keep(report, "stopped")
            return None


def work(run: Run, server: Faulty) -> None:
    root, pace = run.root, run.clock.pace
    for name in ("out", "in", "tmp", "home", "state"):  # as an analyst may have made them, for everybody
        (root / name).mkdir()
    (root / "in" / "first.csv").write_text(rows(40))
    (root / "in" / "second.csv").write_text(rows(30, start=10, month=2, category="Enterprise") + "C1,soon,,,,,\n")
    settings = run.keep(Settings(base_url=server.url, home=root / "home", operation="APPEND"))
    options: dict[str, Any] = {"settings": settings, "pace": pace, "progress": False}

    def planned(file: str) -> Any:
        delivery = run.keep(correct(run.keep(read_customers(root / "in" / file)), ["trim_spaces"]))
        report = run.keep(validate(delivery))
        return run.keep(
            plan_push(run.keep(diff(Ledger.of(settings).snapshot(), report)), settings=settings, allow="all")
        )

    plan = planned("first.csv")
    (root / "out" / "digest.txt").write_text(f"{plan.digest} {plan.summary()}")
    server.faults.extend(echoes(run.token))
    run.attempt(lambda: push(plan, **options))
    while server.faults:
        before = len(server.faults)
        if status(settings=settings).open_push:
            run.attempt(lambda: resume(**options))
        else:  # the vendor took nothing of it, or all that was left
            run.attempt(lambda: push(planned("first.csv"), **options))
        if len(server.faults) == before:  # the rest waits for the analyst to settle it
            break
    found = run.keep(status(settings=settings)).pushes
    name = found.loc[found["refused"].gt(0) & found["unknown"].gt(0), "push"].iloc[0]
    run.attempt(lambda: settle(name, accepted="all", reason="seen in the table", settings=settings, pace=pace))
    run.attempt(lambda: abandon(settings=settings, pace=pace))
    server.faults.extend(echoes(run.token)[:1])
    run.attempt(lambda: push(planned("second.csv"), **options))
    run.attempt(lambda: abandon(settings=settings, pace=pace))
    for again in (
        lambda: repush(name, settings=settings),
        lambda: revert(name, settings=settings),
        lambda: correct_customers({"C0002": {"customer_category": "Online"}}, reason="a call", settings=settings),
    ):
        if (made := run.attempt(again)) is not None:
            server.faults.extend(echoes(run.token)[4:6])
            run.attempt(lambda made=made: push(made, **options))
            run.attempt(lambda: abandon(settings=settings, pace=pace))
    for call in (
        partial(check_schema, settings=settings),
        partial(add_attribute, CustomAttribute("region"), settings=settings),
    ):
        for fault in echoes(run.token):
            server.faults.append(fault)
            run.attempt(call)
            server.faults.clear()
    run.keep(pushes(settings=settings))
    snapshot = run.keep(Ledger.of(settings).snapshot())
    run.keep(profile(snapshot.frame))
    run.keep(suggest_mapping(root / "in" / "first.csv"))
    run.keep(patch_between(read_customers(root / "in" / "first.csv"), read_customers(root / "in" / "first.csv")))
    for ending in ("csv", "parquet"):
        written = {name: root / "out" / f"{name}.{ending}" for name in ("good", "bad")}
        run.keep(validate(root / "in" / "second.csv", **written))
    with Client(settings) as open_client:
        run.made += [open_client, open_client._redact, settings.token(), open_client.ask("/")]


def command_line(run: Run, server: Faulty) -> None:
    first, second = (str(run.root / "in" / f"{name}.csv") for name in ("first", "second"))
    out = run.root / "out"
    commands: list[list[str]] = [
        ["check", second, "--excel", str(out / "to fix.xlsx")],
        ["diff", first],
        ["plan", first],
        ["push", first, "--yes", "--allow", "all"],
        ["resume"],
        ["status"],
        ["pushes"],
        ["abandon"],
        ["amend", "C0001", "customer_category=Online", "--reason", "a call", "--yes"],
        ["abandon"],
        ["snapshot", "--out", str(out / "snapshot.csv")],
        ["history", "C0001"],
        ["schema"],
        ["scan", second, "--good", str(out / "good by hand.csv")],
    ]
    for n, fault in enumerate(echoes(run.token)):
        for command in commands if n == 0 else commands[4:5]:
            for more in ([], ["--json"]) if n == 0 else ([["--json"], []][n % 2],):
                for path in (out / "to fix.xlsx", out / "good by hand.csv"):
                    path.unlink(missing_ok=True)
                server.faults.clear()
                server.faults.append(fault)
                stdout, stderr = io.StringIO(), io.StringIO()
                with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
                    cli.main([*command, *more])
                run.said[f"{fault.name}: {' '.join(command + more)}"] = stdout.getvalue() + stderr.getvalue()
    server.faults.clear()


@pytest.fixture(scope="module", params=["unusual", pytest.param("plain", marks=pytest.mark.slow)])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(TOKENS[request.param], tmp_path_factory.mktemp(f"run-{request.param}"))
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        server = stack.enter_context(Faulty())
        caught = stack.enter_context(warnings.catch_warnings(record=True))
        warnings.simplefilter("always")
        stack.callback(os.umask, os.umask(0o022))
        stack.callback(logging.getLogger().setLevel, logging.getLogger().level)
        logging.getLogger().setLevel(logging.DEBUG)
        logging.getLogger().addHandler(handler)
        stack.callback(logging.getLogger().removeHandler, handler)
        for name in [n for n in os.environ if n.startswith("TOOLKIT_")] + ["API_KEY"]:
            patch.delenv(name, raising=False)
        patch.setenv("PEAK_AUTH_TOKEN", run.token)
        patch.setenv("TOOLKIT_TARGET", "acme")  # a tenant behind a loopback address: the sandbox gets no token
        patch.setenv("TOOLKIT_BASE_URL", server.url)
        patch.setattr(client, "MAX_ANSWER_BYTES", 200_000)
        patch.setitem(CONTRACTS, "2026-04", replace(CONTRACTS["2026-04"], max_rows=4))
        patch.setattr(tempfile, "tempdir", str(run.root / "tmp"))
        patch.chdir(run.root)
        work(run, server)
        patch.setenv("TOOLKIT_BASE_URL", server.url)
        patch.setenv("TOOLKIT_HOME", str(run.root / "state"))
        for name, function in (("push", push), ("resume", resume)):
            patch.setattr(toolkit, name, partial(function, pace=run.clock.pace))
        command_line(run, server)
        # Every request had the token, and the vendor gave all the answers.
        assert all(f"Authorization: {run.token}".encode() in head for head in server.headers)
        assert len(server.headers) > 60
        run.said["log"] = log.getvalue()
        run.said["warnings"] = "\n".join(str(w.message) for w in caught)
    return run


def test_the_run_met_every_kind_of_fault(run: Run) -> None:
    names = {type(thing).__name__ for thing in run.made}
    assert {"AuthorizationError", "AddressError", "StoppedError", "PushReport", "Status", "PushHistory",
            "SchemaCheck", "Snapshot", "PushPlan", "Diff", "ValidationReport", "Client"} <= names  # fmt: skip
    assert "urllib3.connectionpool" in run.said["log"] or "Starting new HTTP connection" in run.said["log"]
    said = "\n".join(run.said.values())
    assert "[token]" in said
    assert '"error": ' in said
    assert "error: " in said
    with contextlib.closing(sqlite3.connect(run.root / "home" / "targets" / "acme" / "journal.sqlite")) as db:
        answers = db.execute("SELECT status, answer FROM attempt WHERE answer IS NOT NULL").fetchall()
    assert {400, 401, 422, 500, 200} <= {status for status, _ in answers}
    assert max(len(text) for _, text in answers) == MAX_ANSWER_CHARACTERS
    assert sum("[token]" in text for _, text in answers) >= 8


def test_the_token_is_in_no_text(run: Run) -> None:
    search = Search(run.token)
    assert {name: text for name, text in run.said.items() if search(text)} == {}
    assert search.n_texts > 50


def test_the_token_is_in_no_file(run: Run) -> None:
    search = Search(run.token)
    assert search.files(run.root) == []
    assert search.n_texts > 200


def displayed(thing: Any) -> Iterator[tuple[str, str]]:
    """All that a cell of a notebook, a debugger or a careless log might show of an object."""
    yield from (("repr", repr(thing)), ("str", str(thing)), ("format", f"{thing}"))
    for name in ("_repr_html_", "_repr_mimebundle_", "to_dict", "summary", "body"):
        if callable(method := getattr(thing, name, None)):
            yield name, str(method())
    if to_frame := getattr(thing, "to_frame", None):
        yield "to_frame", to_frame().to_csv()
    if (hasattr(thing, "__dict__") and not isinstance(thing, (Client, SecretStr))) or isinstance(thing, Client):
        yield "vars", repr(vars(thing))
    if isinstance(thing, BaseException):
        yield "args", repr(thing.args)


def test_the_token_is_in_no_display(run: Run) -> None:
    search = Search(run.token)
    assert [f"{type(t).__name__}: {name}" for t in run.made for name, text in displayed(t) if search(text)] == []
    assert search.n_texts > 300


def test_the_settings_do_not_hold_the_token_and_the_client_cannot_be_stored(run: Run) -> None:
    search = Search(run.token)
    settings = next(thing for thing in run.made if isinstance(thing, Settings))
    for each in (settings, copy.copy(settings), copy.deepcopy(settings), pickle.loads(pickle.dumps(settings))):
        shown = [
            repr(each),
            repr(vars(each)),
            repr(each.__dict__),
            repr(each.__pydantic_private__),
            each.model_dump_json(),
        ]
        assert not any(map(search, [*shown, pickle.dumps(each)]))
    held = next(thing for thing in run.made if isinstance(thing, Client))
    for keep in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            keep(held)


def open_to_others(folder: Path) -> list[str]:
    """Files and folders that other users can read, each by its own permissions and those above it."""
    open_ones = []
    for path in sorted(folder.iterdir()):
        if path.stat().st_mode & 0o077:
            open_ones += [str(path.relative_to(folder.parent))]
            open_ones += open_to_others(path) if path.is_dir() else []
    return open_ones


def test_only_the_user_can_read_customers_data(run: Run) -> None:
    for name in ("home", "state", "out", "tmp"):
        assert stat.S_IMODE((run.root / name).stat().st_mode) == 0o755  # so it protects nothing
        made = open_to_others(run.root / name)
        assert made == (["out/digest.txt"] if name == "out" else [])  # which the test wrote
    assert len(list((run.root / "home").rglob("*"))) > 20
    assert len(list((run.root / "out").iterdir())) > 40
    journal = run.root / "home" / "targets" / "sandbox"
    assert all(not path.stat().st_mode & 0o077 for path in journal.rglob("*"))  # inside a folder of their own too


def test_a_shared_ledger_follows_the_umask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setenv("TOOLKIT_LEDGER", str(tmp_path / "shared"))
    (tmp_path / "first.csv").write_text(rows(3))
    before = os.umask(0o027)
    try:
        with Faulty() as server:
            settings = Settings(base_url=server.url)
            plan = plan_push(diff(Ledger.of(settings).snapshot(), validate(read_customers(tmp_path / "first.csv"))))
            push(replace(plan, address=settings.url()), settings=settings, pace=clock.pace, progress=False)
    finally:
        os.umask(before)
    shared = [path for path in (tmp_path / "shared").rglob("*") if path.name != "_delta_log"]
    assert {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in shared} == {(True, 0o750), (False, 0o640)}


# The search itself ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
def test_the_search_finds_every_form_in_every_kind_of_file(tmp_path: Path, token: str) -> None:
    search = Search(token)
    for n, spelled in enumerate(spellings(token)):
        assert search(f"Bearer {spelled}."), spelled
        assert search(f"Bearer {spelled}".encode("utf-16-le")), spelled
        folder = tmp_path / str(n)
        folder.mkdir()
        (folder / "plain.txt").write_text(f"x{spelled}")
        pd.DataFrame({"a": [spelled] * 1_000}).to_parquet(folder / "packed.parquet", compression="zstd")
        book = Workbook()
        book.active.append([spelled])
        book.save(folder / "book.xlsx")
        with contextlib.closing(sqlite3.connect(folder / "db.sqlite")) as db:
            db.execute("CREATE TABLE t (a)")
            db.execute("INSERT INTO t VALUES (?)", (spelled,))
            db.commit()
        found = {place.partition(":")[0] for place in search.files(folder)}
        assert found >= {"plain.txt", "packed.parquet", "db.sqlite"}
        assert "book.xlsx" in found or "&" in spelled  # which XML escapes again
    assert not search("an answer that repeats nothing, [token], Authorization: Bearer")
    assert search(f"a part of it: {token[:10]}")


# No file is run ------------------------------------------------------------------------------------------------------

FORBIDDEN_MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml", "xml.etree.ElementTree"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "read_pickle", "to_pickle", "loads_pickle"}


def runs_files(source: str) -> list[str]:
    """Calls and imports of a module that would run what a file says."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name in FORBIDDEN_MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module in FORBIDDEN_MODULES:
            found.append(node.module)
        elif isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            name = node.func.attr if isinstance(node.func, ast.Attribute) and node.func.attr != "compile" else name
            found += [name] if name in FORBIDDEN_CALLS else []
            found += [k.arg for k in node.keywords if k.arg == "allow_pickle"]
    return found


@pytest.mark.parametrize(
    "source",
    ["import pickle", "from marshal import loads", "import yaml\nyaml.load(x)", "pd.read_pickle('x')", "eval('1')",
     "exec(x)", "np.load('x', allow_pickle=True)"],
)  # fmt: skip
def test_code_that_would_run_a_file_is_found(source: str) -> None:
    assert runs_files(source)


def test_nothing_that_a_file_says_is_unpickled_or_run() -> None:
    modules = sorted((ROOT / "toolkit").rglob("*.py"))
    assert len(modules) > 80
    for path in modules:
        source = path.read_text(encoding="utf-8")
        # A workbook's XML is parsed in a process of its own, with limits.
        is_child = path.parent.name == "spreadsheets"
        assert [found for found in runs_files(source) if not (is_child and found.startswith("xml."))] == [], path.name
        assert not re.search(r"\byaml\.load\(|\bpickle\.|allow_pickle|read_pickle", source), path.name

"""Asking in a notebook: a kernel asks for the token and for the confirmation of a host, as a terminal does."""

from __future__ import annotations

import ast
import os
import queue
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager

TOKEN = "s3cret-t0ken-of-a-kernel"
FILE = """
target = "acme"
base_url = "https://acme.example.com"
contract = "current"
solution = "QP_ACME"
"""
CODE = """
import keyring, toolkit as tk, toolkit.config.project as project
project.PACKAGE = project.Path("site-packages/toolkit").resolve()  # as if installed: the working folder is the root
from keyring.backends.fail import Keyring
keyring.set_keyring(Keyring())
from toolkit.errors import SettingsError
try:
    answer = tk.Settings().token().get_secret_value()
except SettingsError as error:
    answer = str(error)
"""
Asked = Callable[..., tuple[list[tuple[str, bool]], str]]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """`kernel("y", TOKEN)` runs the code in a real kernel: what it asked, whether without echo, and the result."""
    work, config = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("config")
    (work / "toolkit.toml").write_text(FILE, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TOOLKIT_", "PEAK_"))}
    root = str(Path(__file__).resolve().parents[2])
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(
        cwd=str(work),
        env=environment | {"XDG_CONFIG_HOME": str(config), "PYTHONPATH": root},
        extra_arguments=["--IPKernelApp.log_level=ERROR"],  # it warns that loopback is not encrypted
    )
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=120)

    def run(*answers: str, allowed: bool = True) -> tuple[list[tuple[str, bool]], str]:
        (config / "customer-toolkit" / "confirmed_files.jsonl").unlink(missing_ok=True)
        asked: list[tuple[str, bool]] = []
        replies = queue.SimpleQueue[str]()
        for answer in answers:
            replies.put(answer)

        def reply(message: dict) -> None:
            asked.append((message["content"]["prompt"], message["content"]["password"]))
            client.input(replies.get_nowait())

        done = client.execute_interactive(
            CODE, allow_stdin=allowed, stdin_hook=reply, user_expressions={"answer": "answer"}, timeout=120
        )
        assert done["content"]["status"] == "ok", done["content"]
        return asked, ast.literal_eval("".join(done["content"]["user_expressions"]["answer"]["data"]["text/plain"]))

    yield run
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_a_notebook_confirms_the_host_and_asks_for_the_token_without_echo(kernel: Asked) -> None:
    asked, answer = kernel("y", TOKEN)
    assert [("acme.example.com" in prompt, hidden) for prompt, hidden in asked] == [(True, False), (True, True)]
    assert answer == TOKEN


def test_a_no_in_a_notebook_asks_for_no_token(kernel: Asked) -> None:
    asked, answer = kernel("n")
    assert len(asked) == 1
    assert "was not confirmed: nothing was sent" in answer


def test_a_notebook_that_runs_without_a_person_gets_the_error_with_the_way_out(kernel: Asked) -> None:
    asked, answer = kernel(allowed=False)
    assert asked == []
    assert "run 'toolkit --target acme schema' once at a terminal" in answer

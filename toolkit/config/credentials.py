"""The token: looked up on each call, checked, never stored; and which hosts may receive it.

Nothing here stores a token. What is stored, per user, is that what a ``toolkit.toml`` decides was confirmed: such a
file may have come with somebody's project, and must not direct a token or rows anywhere without a question.
"""

from __future__ import annotations

import getpass
import hashlib
import ipaddress
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from platformdirs import user_config_path
from pydantic import SecretStr

from toolkit.characters import printable
from toolkit.errors import SettingsError
from toolkit.lazy import Library
from toolkit.progress import listen, warn

if TYPE_CHECKING:
    import keyring
    import keyring.errors
else:
    keyring = Library("keyring")


SERVICE = "customer-toolkit"
"""The service name of the tokens in the keyring; the user name is the host."""


def checked_address(text: str) -> str:
    """Return a host's address in one spelling, if rows and a token may be sent there.

    Raises
    ------
    ValueError
        It is not a plain http(s) address, has a user, a query or a fragment, or is http and not loopback.
        The message does not repeat it, since it may contain a password.
    """
    try:
        parts = urlsplit(text)
        scheme, host, port = parts.scheme, parts.hostname or "", parts.port
    except ValueError:
        scheme, host, port = "", "", None
    if scheme not in {"http", "https"} or not re.fullmatch(r"[!-\[\]-~]+", text):
        raise ValueError("it should be an address such as https://host.example")
    if "@" in parts.netloc:
        raise ValueError("it contains a user name or a password: remove them, the token is enough")
    if "?" in text or "#" in text:
        raise ValueError("it contains a query or a fragment: remove everything from '?' or '#' on")
    if not re.fullmatch(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*", host):
        raise ValueError("it has no host: it should be an address such as https://host.example")
    shown = f"[{host}]" if ":" in host else host
    if port not in (None, {"http": 80, "https": 443}[scheme]):
        shown += f":{port}"
    address = f"{scheme}://{shown}{parts.path.rstrip('/')}"
    if scheme == "http" and not is_loopback(address):
        raise ValueError(f"plain http would expose token and rows: write https://{shown}")
    return address


def is_loopback(address: str) -> bool:
    """Whether an address stays on this machine: ``localhost``, 127.0.0.0/8 or ``::1``.

    Examples
    --------
    >>> is_loopback("http://127.0.0.1:8765"), is_loopback("https://127.0.0.1.example.org")
    (True, False)
    """
    try:
        host = urlsplit(address).hostname or ""
        return host in ("localhost", "::1") or ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return False


def checked(token: SecretStr, where: str) -> SecretStr:
    """Return the token, if a header can carry it.

    Raises
    ------
    SettingsError
        It is empty, or contains a space, a line end or anything else but printable ASCII. The message says
        `where` it was found, never the token, and no frame of its traceback has it in plain text.
    """
    if not len(token):
        raise SettingsError(f"The token in {where} is empty: put the access token there, or remove it.")
    if any(not "!" <= c <= "~" for c in token.get_secret_value()):
        raise SettingsError(
            f"The token in {where} contains a space, a line end or another invalid character: "
            "copy the token alone, without quotes and without 'Bearer'."
        )
    return token


def variable_set(variables: Sequence[str]) -> str | None:
    """Return the first of these environment variables that is set, without reading it."""
    return next((name for name in variables if name in os.environ), None)


def find_token(host: str, variables: Sequence[str]) -> SecretStr:
    """Return the token for `host`: from the environment, else the keyring, else asked for without echo.

    Parameters
    ----------
    host
        The host that the token is for; the keyring has one token for each. An answer in a panel is used before both.
    variables
        The environment variables to look in, in this order; any but the first one with a warning.

    Raises
    ------
    SettingsError
        There is no token and no way to ask for it, or it cannot be used.
    """
    panel = _panel.get()
    if panel and panel.token is not None:
        return checked(panel.token, "the field")
    found = _from_environment(variables) or _from_keyring(host)
    if found is not None:
        return found
    if panel:
        panel.wants_token = True
    try:
        if not panel and (at_terminal() or in_notebook()):
            return checked(SecretStr(getpass.getpass(f"Access token for {host}: ")), "the answer")
    except EOFError:
        raise SettingsError(f"No token was given for {host}.") from None
    except NotImplementedError:  # a notebook that no person runs, as under nbclient
        pass
    raise SettingsError(
        f"There is no token for {host}: set {variables[0]} in the environment, "
        f"or store it with: keyring set {SERVICE} {host}"
    )


@dataclass
class Answers:
    """What a person answered in a panel, where nothing may ask at a prompt; and what is still to answer.

    Attributes
    ----------
    token
        The token that was typed; it is used before that of the environment.
    confirmed
        The question about a ``toolkit.toml`` that was answered with yes.
    wants_token, question
        Whether a token was looked for in vain, and the question that came up.
    notes
        What was said and warned of meanwhile.
    """

    token: SecretStr | None = None
    confirmed: str = ""
    wants_token: bool = False
    question: str = ""
    notes: list[str] = field(default_factory=list)

    def give(self) -> None:
        """Answer with these whatever is asked in this context from now on, and print nothing there."""
        _panel.set(self)
        listen(self.notes.append)


_panel: ContextVar[Answers | None] = ContextVar("panel", default=None)


def confirm_file(file: Path, says: Mapping[str, str], *, otherwise: str) -> None:
    """Ask once per user whether rows and token may go where `file` sends them, and store a yes.

    Parameters
    ----------
    says
        What the file decides, by its name in the question. The answer holds for exactly this: any change asks again.
    otherwise
        What to do where there is no way to ask, for the messages.

    Raises
    ------
    SettingsError
        The answer was not yes, there is no way to ask, or the answer cannot be stored.
    """
    memory = user_config_path(SERVICE) / "confirmed_files.jsonl"
    digest = hashlib.sha256(json.dumps(dict(says), sort_keys=True).encode()).hexdigest()
    entry, shown = json.dumps([str(file), digest]), ", ".join(f"{name} {value}" for name, value in says.items())
    try:
        if memory.is_file() and entry in memory.read_text(encoding="utf-8").splitlines():
            return
        answer = _answer(f"{file} decides: {shown}. May your token and customers' rows go there? [y/N] ")
        if answer is None:
            raise SettingsError(
                f"{file} decides: {shown}. You have not confirmed this, and there is no terminal to ask at: "
                f"{otherwise}."
            )
        if answer.strip().casefold() not in {"y", "yes"}:
            raise SettingsError(f"What {file} decides was not confirmed: nothing was sent.")
        memory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(memory, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as lines:
            lines.write(entry + "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{memory}, where confirmed files are stored, cannot be used ({type(error).__name__}): repair or remove "
            f"it, then {otherwise}."
        ) from error


def at_terminal() -> bool:
    """Whether standard input is a terminal."""
    return sys.stdin is not None and sys.stdin.isatty()


def in_notebook() -> bool:
    """Whether a notebook's kernel runs this: it replaces ``input`` by its own, and standard input is no terminal."""
    return input.__module__ != "builtins"


def _from_environment(variables: Sequence[str]) -> SecretStr | None:
    name = variable_set(variables)
    if name is None:
        return None
    if name != variables[0]:
        warn(
            f"The token comes from {name}, which other programs use too: set {variables[0]} instead.",
        )
    return checked(SecretStr(os.environ[name]), name)


def _from_keyring(host: str) -> SecretStr | None:
    try:
        found = [SecretStr(t) for t in (keyring.get_password(SERVICE, host),) if t is not None]
    except keyring.errors.KeyringError:  # no backend, or locked: as good as no token
        return None
    return checked(found[0], "the keyring") if found else None


def _answer(question: str) -> str | None:
    """Return the answer; None if there is no way to ask."""
    question = printable(question)
    if (panel := _panel.get()) is not None:
        panel.question = question
        return "yes" if panel.confirmed == question else None
    if at_terminal():
        # Standard output is for results (`--json`), so the question goes to standard error.
        print(question, end="", file=sys.stderr, flush=True)
        return sys.stdin.readline()
    try:
        return input(question) if in_notebook() else None
    except NotImplementedError:  # a notebook that no person runs, as under nbclient
        return None

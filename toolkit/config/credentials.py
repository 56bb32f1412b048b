"""The token: looked for when it is asked for, checked, never kept; and where it may go.

Nothing here remembers a token. What is remembered, per user, is that a host named by a ``toolkit.toml`` was
confirmed: such a file may have come with a project, and a token must not follow it unasked.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from getpass import getpass
from pathlib import Path
from urllib.parse import urlsplit

import keyring
from keyring.errors import KeyringError
from platformdirs import user_config_path
from pydantic import SecretStr

from toolkit.errors import SettingsError

SERVICE = "customer-toolkit"
"""The name under which the keyring keeps tokens; the user beside it is the host."""


def checked_address(text: str) -> str:
    """Return a host's address in one spelling, if rows and a token may be sent there.

    Raises
    ------
    ValueError
        It is no plain http(s) address, carries a user, a query or a fragment, or is http beyond loopback.
        The message does not repeat it, for it may hold a password.
    """
    try:
        parts = urlsplit(text)
        scheme, host, port = parts.scheme, parts.hostname or "", parts.port
    except ValueError:
        scheme, host, port = "", "", None
    if scheme not in {"http", "https"} or not re.fullmatch(r"[!-\[\]-~]+", text):
        raise ValueError("it should be an address such as https://host.example")
    if "@" in parts.netloc:
        raise ValueError("it carries a user name or a password: leave them out, the token is enough")
    if "?" in text or "#" in text:
        raise ValueError("it carries a query or a fragment: leave out all from '?' or '#' on")
    if not re.fullmatch(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*", host):
        raise ValueError("it names no host: it should be an address such as https://host.example")
    shown = f"[{host}]" if ":" in host else host
    if port not in (None, {"http": 80, "https": 443}[scheme]):
        shown += f":{port}"
    address = f"{scheme}://{shown}{parts.path.rstrip('/')}"
    if scheme == "http" and not is_loopback(address):
        raise ValueError(f"plain http would show token and rows to others: write https://{shown}")
    return address


def is_loopback(address: str) -> bool:
    """Whether an address stays on this machine: ``localhost``, 127.0.0.0/8 or ``::1``.

    Examples
    --------
    >>> is_loopback("http://127.0.0.1:8765"), is_loopback("https://127.0.0.1.example.org")
    (True, False)
    """
    host = urlsplit(address).hostname or ""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return ip.is_loopback if ip.version == 4 else ip == ipaddress.IPv6Address(1)


def checked(token: SecretStr, where: str) -> SecretStr:
    """Return the token, if a header can carry it.

    Raises
    ------
    SettingsError
        It is empty, or holds a space, a line end or anything else but printable ASCII. The message names
        `where` it was found, never the token, and no frame of its traceback holds it in plain text.
    """
    if not len(token):
        raise SettingsError(f"The token in {where} is empty: put the access token there, or remove it.")
    if any(not "!" <= c <= "~" for c in token.get_secret_value()):
        raise SettingsError(
            f"The token in {where} holds a space, a line end or another sign that no token has: "
            "copy it again, alone, without quotes and without 'Bearer'."
        )
    return token


def variable_set(variables: Sequence[str]) -> str | None:
    """Return the first of these environment variables that is set, without reading it."""
    return next((name for name in variables if name in os.environ), None)


def find_token(
    host: str,
    variables: Sequence[str],
    *,
    fallback: SecretStr | None = None,
    prompt: Callable[[str], str] | None = None,
) -> SecretStr:
    """Return the token for `host`: from the environment, else the keyring, else a prompt.

    Parameters
    ----------
    host
        The host that the token is for; the keyring keeps one token for each.
    variables
        The environment variables to look in, in this order; any but the first one with a warning.
    fallback
        What to use where the environment has none, without asking a keyring or a person.
    prompt
        Asks without echo; by default only where standard input is a terminal.

    Raises
    ------
    SettingsError
        There is no token and nobody to ask, or it cannot be used.
    """
    found = _from_environment(variables) or fallback or _from_keyring(host)
    if found is not None:
        return found
    if prompt is None and at_terminal():
        prompt = getpass
    if prompt is None:
        raise SettingsError(
            f"There is no token for {host}: set {variables[0]} in the environment, "
            f"or store it with: keyring set {SERVICE} {host}"
        )
    try:
        return checked(SecretStr(prompt(f"Access token for {host}: ")), "the answer")
    except EOFError:
        raise SettingsError(f"No token was given for {host}.") from None


def confirm_host(
    file: Path,
    host: str,
    *,
    ask: Callable[[str], str] | None = None,
    config_dir: Path | None = None,
    instead: str,
) -> None:
    """Ask once per user whether rows and token may go to a host that `file` names, and remember a yes.

    Parameters
    ----------
    ask
        Puts the question and returns the answer; by default only where standard input is a terminal.
    config_dir
        Where the answer is remembered; by default the user's configuration folder.
    instead
        The environment variable that names a host without a question.

    Raises
    ------
    SettingsError
        The answer was not yes, there is nobody to ask, or the answer cannot be remembered.
    """
    memory = (config_dir or user_config_path(SERVICE)) / "confirmed_hosts.jsonl"
    entry = json.dumps([str(file), host])
    way = f"set {instead} in the environment"
    try:
        if memory.is_file() and entry in memory.read_text(encoding="utf-8").splitlines():
            return
        if ask is None and at_terminal():
            ask = _ask
        if ask is None:
            raise SettingsError(
                f"{file} names the host {host}, which you have not confirmed, and there is no terminal to "
                f"ask at: {way} instead."
            )
        answer = ask(f"{file} names the host {host}. May your token and customers' rows go there? [y/N]")
        if answer.strip().casefold() not in {"y", "yes"}:
            raise SettingsError(f"The host {host}, named by {file}, was not confirmed: nothing was sent.")
        memory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(memory, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as lines:
            lines.write(entry + "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{memory}, where confirmed hosts are remembered, cannot be used "
            f"({type(error).__name__}): {way}, or mend the file."
        ) from error


def at_terminal() -> bool:
    """Whether somebody can be asked: standard input is a terminal."""
    return sys.stdin is not None and sys.stdin.isatty()


def _from_environment(variables: Sequence[str]) -> SecretStr | None:
    name = variable_set(variables)
    if name is None:
        return None
    if name != variables[0]:
        warnings.warn(
            f"The token comes from {name}, which other programs use too: set {variables[0]} instead.",
            UserWarning,
            stacklevel=4,  # the line that asked the settings for their token
        )
    return checked(SecretStr(os.environ[name]), name)


def _from_keyring(host: str) -> SecretStr | None:
    try:
        found = [SecretStr(t) for t in (keyring.get_password(SERVICE, host),) if t is not None]
    except KeyringError:  # no backend, or locked: the same as holding no token
        return None
    return checked(found[0], "the keyring") if found else None


def _ask(question: str) -> str:
    # Standard output belongs to results (`--json`), so the question goes to standard error.
    print(question, end=" ", file=sys.stderr, flush=True)
    return sys.stdin.readline()

"""The settings: keyword arguments over the environment over ``toolkit.toml`` over defaults; and the current ones.

``Settings()`` alone works against the embedded sandbox. The names in a ``toolkit.toml`` are those of the
fields below; in the environment they are upper-case after ``TOOLKIT_``. The token is not a setting:
`Settings.token` looks for it on each call, and nothing stores it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
from contextvars import copy_context
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

import pandas as pd
from pydantic import AfterValidator, Field, PrivateAttr, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as UndecodableError

from toolkit.config.credentials import Answers, checked_address, confirm_file, find_token, is_loopback, variable_set
from toolkit.config.project import Values, absolute, find_file, is_token, project_root, read_targets, refuse_unknown
from toolkit.display import Result, ShownFrame, grid, headline, section
from toolkit.errors import SettingsError, did_you_mean, wrong_kind
from toolkit.model import Contract, CustomAttribute, Operation, PathStyle
from toolkit.progress import warn

PREFIX = "TOOLKIT_"
SANDBOX = "sandbox"
"""The target of the sandbox, and the token that it accepts."""

_SANDBOX_NAMES = {"solution": "QP_OOTB", "prefix": "QP_", "suffix": "_OOTB"}
_DECIDES = ("base_url", "contract", "path_style", "prefix", "suffix", "solution", "home", "ledger", "extra_headers")
"""What moves rows, token or records when a ``toolkit.toml`` gives it."""
_OWN_HEADERS = {"authorization", "content-type", "content-length", "host"}


def _target_name(value: str) -> str:
    # It becomes the name of a folder on any system: no separator, not hidden, no dot at the end.
    if not re.fullmatch(r"[A-Za-z0-9_-](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?", value):
        raise ValueError("a target's name has 1 to 64 letters, digits, '-', '_' and '.', no dot at either end")
    return value


def _headers(value: dict[str, str]) -> dict[str, str]:
    for name, text in value.items():
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
            raise ValueError("a header's name has letters, digits and '-' only")
        if name.casefold() in _OWN_HEADERS:
            raise ValueError(f"the toolkit itself sets {name}: leave it out")
        if not re.fullmatch(r"[!-~]([ -~]*[!-~])?", text):
            raise ValueError(f"the value of {name} is empty, or has characters that a header cannot carry")
    return value


def _attributes(value: tuple[CustomAttribute, ...]) -> tuple[CustomAttribute, ...]:
    names = [a.name for a in value]
    if twice := {n for n in names if names.count(n) > 1}:
        raise ValueError(f"an attribute is listed twice: {', '.join(sorted(twice))}")
    return value


class Settings(Result, BaseSettings):
    """What the toolkit works against, and where it stores its records; frozen.

    Attributes
    ----------
    base_url
        The vendor's host, ``https`` except on loopback; None for the embedded sandbox.
    target
        The name of the tenant's table, to which ledger and journals belong: that of a ``[targets.NAME]`` in
        ``toolkit.toml``, whose settings then apply, or any other. By default ``sandbox`` if the host is the sandbox or
        loopback; ``sandbox`` and ``sandbox-…`` are for these hosts only.
    contract, path_style, operation
        Which dated contract applies; the spelling of the path, by default the contract's own; UPSERT or APPEND.
    solution, prefix, suffix
        The solution's name, and what comes before and after the table's raw name.
    home
        The folder for journals and the other files of this machine, by default ``data/state`` in the project's root.
    ledger
        The ledger's folder, by default inside `home`; may be a shared one.
    extra_headers
        Further headers of each request. Their values are not shown; a value of 8 characters or more whose header's
        name suggests a key, a token or similar is removed from the vendor's answers too.
    attributes
        The custom attributes of the tenant's table, each an ``[[attributes]]`` in ``toolkit.toml``.
    max_requests_per_s
        Requests a second, by default the contract's limit, which a setting may only lower: for a tenant with a lower
        limit, or behind a proxy that holds requests back and passes them on together.

    Raises
    ------
    SettingsError
        A setting is unknown, malformed or missing; the message names it and says what to do.

    Notes
    -----
    A relative `home` or `ledger` starts from the folder of the ``toolkit.toml`` that contains it, else from the
    project's root, so that it is the same in a notebook as in a shell. A ``[targets.NAME]`` shares only `home` and
    `ledger` with the settings at the top of the file, which are those of the default target.

    Examples
    --------
    >>> settings = Settings(base_url="http://127.0.0.1:8765", prefix="QP_", suffix="_OOTB")
    >>> settings.label
    'target sandbox · 127.0.0.1:8765 · contract 2026-04'
    >>> settings.url()
    'http://127.0.0.1:8765/api/v2/ingest/object/QP_CUSTOMER_OOTB'
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    base_url: Annotated[str, AfterValidator(checked_address)] | None = None
    target: Annotated[str, AfterValidator(_target_name)] = SANDBOX
    contract: str = "2026-04"
    path_style: PathStyle = "ingest/object"
    operation: Operation = "UPSERT"
    solution: str = ""
    prefix: str = ""
    suffix: str = ""
    home: Path = Path()
    ledger: Path = Path()
    extra_headers: Annotated[dict[str, str], AfterValidator(_headers)] = {}
    attributes: Annotated[tuple[CustomAttribute, ...], AfterValidator(_attributes)] = ()
    max_requests_per_s: Annotated[float, Field(gt=0)] = math.inf

    _origin: dict[str, str] = PrivateAttr(default_factory=dict)
    _file: Path | None = PrivateAttr(default=None)

    def __init__(self, **given: Any) -> None:
        refuse_unknown(given, type(self).model_fields, where="Settings(…)")
        root = project_root()
        file = find_file()
        environment = _from_environment()
        layers = _from_file(file, environment, given) | {"environment": environment, "argument": given}
        origin = {name: layer for layer, values in layers.items() for name in values}
        values = {name: value for layer in layers.values() for name, value in layer.items()}
        values.setdefault("home", root / "data" / "state")
        failed: list[tuple[tuple[int | str, ...], str]] = []
        for name in values.keys() & {"home", "ledger"}:
            start = file.parent if file and origin.get(name, "").startswith(str(file)) else root
            try:
                values[name] = absolute(values[name], start)
            except ValueError as error:
                failed.append(((name,), str(error)))
        try:
            super().__init__(**values)
        except ValidationError as error:
            failed += [(e["loc"], e["msg"]) for e in error.errors(include_input=False)]
        if failed:  # raised outside the handler: pydantic's error contains the values, and must not be its context
            raise SettingsError(" ".join(_unusable(place, why, origin) for place, why in failed))
        self._origin, self._file = origin, file

    @classmethod
    def settings_customise_sources(cls, *_: Any, **sources: Any) -> tuple[Any, ...]:
        """Take the layers from the constructor alone: it records which layer each value comes from."""
        return (sources["init_settings"],)

    @model_validator(mode="after")
    def _complete(self) -> Settings:
        contract = Contract.named(self.contract)
        allowed = contract.max_requests_per_s
        if "max_requests_per_s" in self.model_fields_set and self.max_requests_per_s > allowed:
            raise SettingsError(
                f"max_requests_per_s is {self.max_requests_per_s:g}, and contract {contract.name} allows {allowed:g}: "
                f"set {PREFIX}MAX_REQUESTS_PER_S to {allowed:g} or less."
            )
        defaults: Values = {"path_style": contract.path_style, "ledger": self.home / "ledger"}
        defaults["max_requests_per_s"] = allowed
        for name, value in (defaults | (_SANDBOX_NAMES if self.local else {})).items():
            if name not in self.model_fields_set:
                object.__setattr__(self, name, value)  # the only way in a frozen model
        if self.local:
            if self.embedded and not _of_sandbox(self.target):
                raise SettingsError(
                    f"The target {self.target!r} has no host, and the sandbox may not write to its ledger: "
                    f"set {PREFIX}BASE_URL or its base_url in toolkit.toml, or unset {PREFIX}TARGET to work in the "
                    "sandbox."
                )
            return self
        needed = ("solution", "prefix", "suffix") if contract.affixes_required else ("solution",)
        missing = [name for name in needed if not getattr(self, name)]
        if "target" not in self.model_fields_set:
            missing.insert(0, "target")
        if missing:
            names = ", ".join(PREFIX + name.upper() for name in missing)
            raise SettingsError(f"{self.host} needs more settings under contract {self.contract}: set {names}.")
        if _of_sandbox(self.target):
            raise SettingsError(
                f"The name {self.target!r} is for the sandbox, not for {self.host}: give the target another name, "
                "so that their ledgers stay separate."
            )
        return self

    @property
    def documented(self) -> Contract:
        """The contract that applies, with the custom attributes of the tenant and the rate of the settings."""
        contract = Contract.named(self.contract)
        if self.max_requests_per_s < contract.max_requests_per_s:
            contract = replace(contract, max_requests_per_s=self.max_requests_per_s)
        return contract.with_columns(a.column for a in self.attributes)

    @property
    def embedded(self) -> bool:
        """Whether no host is set: rows go to the embedded sandbox."""
        return self.base_url is None

    @property
    def local(self) -> bool:
        """Whether nothing leaves this machine: the embedded sandbox, or a loopback host."""
        return self.base_url is None or is_loopback(self.base_url)

    @property
    def host(self) -> str:
        """The host and its port, or ``embedded sandbox``."""
        return "embedded sandbox" if self.base_url is None else urlsplit(self.base_url).netloc

    @property
    def label(self) -> str:
        """Target, host and contract, as every result shows them."""
        return f"target {self.target} · {self.host} · contract {self.contract}"

    def url(self, base_url: str | None = None) -> str:
        """Return the address that rows are posted to; the path alone for the embedded sandbox.

        `base_url` replaces the setting: a running sandbox has an address of its own.
        """
        base = base_url or self.base_url or ""
        return self.documented.url(base, style=self.path_style, prefix=self.prefix, suffix=self.suffix)

    def confirm(self) -> None:
        """Ask once per user whether what the ``toolkit.toml`` decides may be used; see `confirm_file`."""
        mine = {name for name, where in self._origin.items() if self._file and where.startswith(str(self._file))}
        says = {name: str(getattr(self, name)) for name in _DECIDES if name in mine}
        if self.embedded or not says:
            return
        if "extra_headers" in mine:
            digest = hashlib.sha256(json.dumps(self.extra_headers, sort_keys=True).encode()).hexdigest()
            says["extra_headers"] = f"{' '.join(self.extra_headers)} ({digest[:16]})"  # their values may be secret
        named = f" --target {self.target}" if self.target != SANDBOX else ""
        confirm_file(self._file or Path(), says, otherwise=f"run 'toolkit{named} schema' once at a terminal")

    def token(self) -> SecretStr:
        """Return the token for this host; each call looks for it, and nothing stores it.

        The sandbox has its own, and the analyst's is not read. Any other host gets the token of the environment, else
        that of the keyring (service ``customer-toolkit``, user the host), else the answer to a prompt. What a
        ``toolkit.toml`` decides is confirmed first.

        Raises
        ------
        SettingsError
            The file is not confirmed, or there is no token that can be used.
        """
        self.confirm()
        return self._token()

    def questions(self) -> Answers:
        """Return what `token` would ask a person now, without asking."""
        return copy_context().run(self._ask, Answers())

    def folder(self, *names: str) -> Path:
        """Return `home`, or a folder inside it; created if missing, for this user only (0700)."""
        made = self.home
        try:
            made.parent.mkdir(parents=True, exist_ok=True)
            for name in ("", *names):
                made = made / name
                made.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"The folder {made} cannot be created ({error.strerror}): set {PREFIX}HOME to one you may write in."
            ) from error
        return made

    def target_folder(self) -> Path:
        """Return the target's own folder inside `home`; created if missing."""
        return self.folder("targets", self.target)

    def summary(self) -> str:
        """Say in one line where rows go, and where their record is stored."""
        return (
            f"{self.label} · {self.operation} {self.url()} · solution {self.solution} · home {self.home} "
            f"· ledger {self.ledger} · token {self._token_source()}"
        )

    def body(self) -> str:
        """Give the settings as an HTML fragment."""
        values, heads = self.to_frame().itertuples(name=None), ["Setting", "Value", "From"]
        rows = grid("Settings", heads, values, unit="settings", stacks=True)
        where = (
            f"{self.operation} {self.url()}",
            f"Token: {self._token_source()}.",
            ("A contract is a state of the vendor's documentation: 2026-04 that of April 2026, current the newest."),
        )
        return headline("Settings", self.label, *where) + section("Settings", rows)

    def to_frame(self) -> pd.DataFrame:
        """Give one row per setting: index ``setting``, columns ``value`` and ``from``, all text."""
        values = {name: "" if value is None else str(value) for name, value in self.to_dict().items()}
        index = pd.Index(list(values), name="setting")
        origins = [self._origin.get(name, "default" if name in type(self).model_fields else "") for name in values]
        return ShownFrame({"value": list(values.values()), "from": origins}, index=index, dtype="str")

    def to_dict(self) -> dict[str, Any]:
        """Give the settings and what follows from them, ready for JSON; of extra headers only the names."""
        values = self.model_dump(mode="json") | {"extra_headers": list(self.extra_headers)}
        return values | {"host": self.host, "address": self.url(), "token": self._token_source()}

    def _token(self) -> SecretStr:
        if self.local and _of_sandbox(self.target):
            return SecretStr(SANDBOX)
        return find_token(self.host, self.documented.token_variables)

    def _ask(self, answers: Answers) -> Answers:
        answers.give()
        for look in (self.confirm, self._token):
            with contextlib.suppress(SettingsError):
                look()
        return answers

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            raise SettingsError(f"Settings cannot be changed: make new ones, Settings({name}=…).")
        super().__setattr__(name, value)

    def __str__(self) -> str:
        return repr(self)

    def _token_source(self) -> str:
        if self.local and _of_sandbox(self.target):
            return "the sandbox's own"
        name = variable_set(self.documented.token_variables)
        return f"set in {name}" if name else "not in the environment: keyring or prompt"


def _of_sandbox(target: str) -> bool:
    name = target.casefold()  # some file systems ignore case
    return name == SANDBOX or name.startswith(f"{SANDBOX}-")


def _from_file(file: Path | None, environment: Values, given: Values) -> dict[str, Values]:
    """Return what ``toolkit.toml`` says of the chosen target, by the place that says so."""
    default, named = read_targets(file, Settings.model_fields)
    over = environment | given
    name = over.get("target", default.get("target", SANDBOX))
    shared: Values = {key: default[key] for key in ("home", "ledger") if key in default}
    if name in named and not (_of_sandbox(name) and "base_url" in given):  # a running sandbox is a host of its own
        # A name in a shell's environment outlives the moment it was set for. If it could move a named target to
        # another host, that host would receive the target's rows, and the target's ledger would record them.
        if "base_url" in over:
            where = "base_url=" if "base_url" in given else f"{PREFIX}BASE_URL"
            raise SettingsError(
                f"{where} cannot change the host of the target {name!r}, which [targets.{name}] in {file} states: "
                f"remove {where}, or choose another target."
            )
        return {str(file): shared, f"{file} [targets.{name}]": named[name] | {"target": name}}
    if "base_url" not in over and "target" in over and _of_sandbox(str(name)):  # embedded, whatever the file names
        return {str(file): shared}
    known = [*dict.fromkeys((default.get("target", SANDBOX), *named))]
    if named and name not in known and "base_url" not in over:
        raise unknown_target(name, known)
    mine, theirs = over.get("base_url") or "", default.get("base_url") or ""
    if "target" not in over and is_loopback(mine) and theirs and not is_loopback(theirs):
        # What a local server accepted must not be recorded in the ledger of the file's real host.
        default = {key: value for key, value in default.items() if key != "target"}
    return {str(file): default}


def _from_environment() -> Values:
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    for name in sorted(os.environ):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            near = ": the token is read from PEAK_AUTH_TOKEN." if is_token(name) else did_you_mean(name, known) or "."
            warn(
                f"{name} in the environment is not a setting of the toolkit and is ignored{near}",
            )
    try:
        return EnvSettingsSource(Settings)()
    except UndecodableError:  # its cause contains the value
        pass
    raise SettingsError(
        f'{PREFIX}EXTRA_HEADERS should be a JSON object, such as {{"x-auth-tenant": "acme"}}, and {PREFIX}ATTRIBUTES '
        'a JSON list, such as [{"name": "region"}].'
    )


def _unusable(place: tuple[int | str, ...], why: str, origin: dict[str, str]) -> str:
    name = str(place[0])
    where = origin.get(name, "default")
    shown = f"{PREFIX}{name.upper()}" if where == "environment" else name
    why = why.removeprefix("Value error, ").replace("Input should be", "it should be")
    return f"{shown} (from {where}) cannot be used: {why}."


def unknown_target(name: object, known: list[str]) -> SettingsError:
    """Return the error for a name that no target has, which lists the known ones."""
    near = did_you_mean(str(name), known) or "."
    return SettingsError(
        f"There is no target {name!r}{near} The known targets are {', '.join(known)}; toolkit.toml defines a new one "
        "as [targets.NAME]."
    )


_current: Settings | None = None


@runtime_checkable
class HasSettings(Protocol):
    """Something that knows the settings to work against it, as a running `Sandbox` does."""

    def settings(self) -> Settings | Values:
        """Return the settings, or their names and values."""


def use(target: str | Settings | HasSettings) -> Settings:
    """Choose what all following calls work against, and return its settings, which show themselves in a notebook.

    They are the default of every ``settings=``. Without `use`, the environment and ``toolkit.toml`` apply.

    Parameters
    ----------
    target
        The name of a target in ``toolkit.toml``, a `Settings`, or something with ``.settings()``: a running `Sandbox`.

    Raises
    ------
    SettingsError
        There is no target of this name, or its settings cannot be used; what was in use before stays in use.

    Examples
    --------
    >>> use("sandbox").label
    'target sandbox · embedded sandbox · contract 2026-04'
    >>> use("sandbx")
    Traceback (most recent call last):
        ...
    toolkit.errors.SettingsError: There is no target 'sandbx', did you mean 'sandbox'? The known targets are sandbox; \
toolkit.toml defines a new one as [targets.NAME].
    """
    global _current
    if isinstance(target, str):
        default, named = read_targets(find_file(), Settings.model_fields)
        known: list[str] = [_from_environment().get("target") or default.get("target", SANDBOX), *named]
        if target not in known:
            raise unknown_target(target, known)
        chosen: Settings | Values = Settings(target=target)
    elif isinstance(target, Settings):
        chosen = target
    elif isinstance(target, HasSettings) and not isinstance(target, type):
        chosen = target.settings()
    else:
        raise wrong_kind(target, "The name of a target, a Settings or a running Sandbox", "Sandbox().start()")
    _current = chosen if isinstance(chosen, Settings) else Settings(**chosen)
    return _current


def current(settings: Settings | None = None) -> Settings:
    """Return these settings, else those that `use` chose, else what the environment and ``toolkit.toml`` say."""
    if settings is None:
        return _current or Settings()
    if not isinstance(settings, Settings):
        raise wrong_kind(settings, "a Settings", "Settings(…)")
    return settings

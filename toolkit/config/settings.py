"""The settings: keyword arguments over the environment over ``toolkit.toml`` over defaults.

``Settings()`` alone works against the embedded sandbox. The names in a ``toolkit.toml`` are those of the
fields below; in the environment they are upper-case after ``TOOLKIT_``. The token is no setting:
`Settings.token` looks for it when it is asked, and nothing keeps it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
from pydantic import PrivateAttr, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as UndecodableError

from toolkit.config.credentials import checked_address, confirm_host, find_token, is_loopback, variable_set
from toolkit.config.project import absolute, find_file, project_root, read_file, refuse_unknown
from toolkit.display import Result, heading, table
from toolkit.errors import SettingsError, wrong_kind
from toolkit.model import Contract, CustomAttribute, Operation, PathStyle

PREFIX = "TOOLKIT_"
SANDBOX = "sandbox"
"""The target of the sandbox, and the token that it takes."""

_SANDBOX_NAMES = {"solution": "QP_OOTB", "prefix": "QP_", "suffix": "_OOTB"}
_OWN_HEADERS = {"authorization", "content-type", "content-length", "host"}


class Settings(Result, BaseSettings):
    """What the toolkit works against, and where it keeps its records; frozen.

    Attributes
    ----------
    base_url
        The vendor's host, ``https`` except on loopback; None for the embedded sandbox.
    target
        The name of the tenant's table, to which ledger and journals belong; ``sandbox`` where none is
        given and the host is the sandbox or loopback. ``sandbox`` and ``sandbox-…`` are for these alone.
    contract, path_style, operation
        Which dated contract holds; the path's spelling, by default the contract's own; UPSERT or APPEND.
    solution, prefix, suffix
        The solution's name, and what stands before and after the table's raw name.
    home
        The folder for journals and all else of this machine, by default ``data/state`` in the project's root.
    ledger
        The ledger's folder, by default inside `home`; may be a shared one.
    extra_headers
        Further headers of each request. Their values are not shown; those whose names tell of a key, a token or the
        like are taken out of the vendor's answers too, from 8 signs on.
    attributes
        The custom attributes of the tenant's table, each an ``[[attributes]]`` in ``toolkit.toml``.

    Raises
    ------
    SettingsError
        A setting is unknown, malformed or missing; the message names it and says what to do.

    Notes
    -----
    A relative `home` or `ledger` counts from the ``toolkit.toml`` that says it, else from the project's root,
    so that it is the same from a notebook as from a shell.

    Examples
    --------
    >>> settings = Settings(base_url="http://127.0.0.1:8765", prefix="QP_", suffix="_OOTB")
    >>> settings.label
    'target sandbox · 127.0.0.1:8765 · contract 2026-04'
    >>> settings.url()
    'http://127.0.0.1:8765/api/v2/ingest/object/QP_CUSTOMER_OOTB'
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    base_url: str | None = None
    target: str = SANDBOX
    contract: str = "2026-04"
    path_style: PathStyle = "ingest/object"
    operation: Operation = "UPSERT"
    solution: str = ""
    prefix: str = ""
    suffix: str = ""
    home: Path = Path()
    ledger: Path = Path()
    extra_headers: dict[str, str] = {}
    attributes: tuple[CustomAttribute, ...] = ()

    _origin: dict[str, str] = PrivateAttr(default_factory=dict)
    _file: Path | None = PrivateAttr(default=None)

    def __init__(self, **given: Any) -> None:
        refuse_unknown(given, type(self).model_fields, where="Settings(…)")
        root = project_root()
        file = find_file(root)
        layers = {
            str(file): _from_file(file),
            "environment": _from_environment(),
            "argument": given,
        }
        origin = {name: layer for layer, values in layers.items() for name in values}
        values = {name: value for layer in layers.values() for name, value in layer.items()}
        values.setdefault("home", root / "data" / "state")
        failed: list[tuple[tuple[int | str, ...], str]] = []
        for name in values.keys() & {"home", "ledger"}:
            start = file.parent if file and origin.get(name) == str(file) else root
            try:
                values[name] = absolute(values[name], start)
            except ValueError as error:
                failed.append(((name,), str(error)))
        try:
            super().__init__(**values)
        except ValidationError as error:
            failed += [(e["loc"], e["msg"]) for e in error.errors(include_input=False)]
        if failed:  # raised out here, so that the inputs, which pydantic's error holds, do not travel along
            raise SettingsError(" ".join(_said(place, why, origin) for place, why in failed))
        self._origin, self._file = origin, file

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic's signature
        init_settings: PydanticBaseSettingsSource,
        *_: Any,
        **__: Any,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave the layers to the constructor, which must know where each value comes from."""
        return (init_settings,)

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str | None) -> str | None:
        return None if value is None else checked_address(value)

    @field_validator("target")
    @classmethod
    def _check_target(cls, value: str) -> str:
        # It becomes a folder's name, on every system: no separator, no hidden folder, no dot at the end.
        if not re.fullmatch(r"[A-Za-z0-9_-](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?", value):
            raise ValueError("a target's name has 1 to 64 letters, digits, '-', '_' and '.', no dot at either end")
        return value

    @field_validator("extra_headers")
    @classmethod
    def _check_extra_headers(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
                raise ValueError("a header's name has letters, digits and '-' only")
            if name.casefold() in _OWN_HEADERS:
                raise ValueError(f"the toolkit itself sets {name}: leave it out")
            if not re.fullmatch(r"[!-~]([ -~]*[!-~])?", text):
                raise ValueError(f"the value of {name} is empty, or has signs that a header cannot carry")
        return value

    @field_validator("attributes")
    @classmethod
    def _check_attributes(cls, value: tuple[CustomAttribute, ...]) -> tuple[CustomAttribute, ...]:
        names = [a.name for a in value]
        if twice := {n for n in names if names.count(n) > 1}:
            raise ValueError(f"an attribute is listed twice: {', '.join(sorted(twice))}")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Settings:
        contract = self.documented
        defaults = {"path_style": contract.path_style, "ledger": self.home / "ledger"}
        for name, value in (defaults | (_SANDBOX_NAMES if self.local else {})).items():
            if name not in self.model_fields_set:
                object.__setattr__(self, name, value)  # a frozen model has no other way
        if self.local:
            if self.embedded and not _of_sandbox(self.target):
                raise SettingsError(
                    f"The target {self.target!r} has no host, and the sandbox must stay out of its ledger: "
                    f"set {PREFIX}BASE_URL, or leave {PREFIX}TARGET out to work in the sandbox."
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
                f"The target {self.target!r} belongs to the sandbox, not to {self.host}: give {PREFIX}TARGET "
                "another name, so that their ledgers stay apart."
            )
        return self

    @property
    def documented(self) -> Contract:
        """The contract that holds, with the custom attributes of the tenant."""
        return Contract.named(self.contract).with_columns(a.column for a in self.attributes)

    @property
    def embedded(self) -> bool:
        """Whether no host is set: the embedded sandbox takes the rows."""
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
        """What every result says of where it works: target, host, contract."""
        return f"target {self.target} · {self.host} · contract {self.contract}"

    def url(self, base_url: str | None = None) -> str:
        """Return the address that rows are posted to; the path alone for the embedded sandbox.

        `base_url` stands in for the setting, as where the sandbox says on which port it listens.
        """
        base = base_url or self.base_url or ""
        return self.documented.url(base, style=self.path_style, prefix=self.prefix, suffix=self.suffix)

    def confirm(self, *, ask: Callable[[str], str] | None = None, config_dir: Path | None = None) -> None:
        """Have a real host that a ``toolkit.toml`` names confirmed, once per user; see `confirm_host`."""
        if self._file and not self.local and self._origin.get("base_url") == str(self._file):
            variable = f"{PREFIX}BASE_URL"
            confirm_host(self._file, self.host, ask=ask, config_dir=config_dir, instead=variable)

    def token(
        self,
        *,
        ask: Callable[[str], str] | None = None,
        prompt: Callable[[str], str] | None = None,
        config_dir: Path | None = None,
    ) -> SecretStr:
        """Return the token for this host; it is looked for now, and not kept.

        The embedded sandbox has its own, and the analyst's is not read. Otherwise the environment, then, on
        loopback, the sandbox's own; elsewhere the keyring (service ``customer-toolkit``, user the host), then
        a prompt. A host from a ``toolkit.toml`` is confirmed first.

        Raises
        ------
        SettingsError
            The host is not confirmed, or there is no token that can be used.
        """
        if self.embedded:
            return SecretStr(SANDBOX)
        self.confirm(ask=ask, config_dir=config_dir)
        fallback = SecretStr(SANDBOX) if self.local else None
        return find_token(self.host, self.documented.token_variables, fallback=fallback, prompt=prompt)

    def folder(self, *names: str) -> Path:
        """Return `home`, or a folder inside it; made where it is missing, for this user alone (0700)."""
        made = self.home
        try:
            made.parent.mkdir(parents=True, exist_ok=True)
            for name in ("", *names):
                made = made / name
                made.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"The folder {made} cannot be made ({error.strerror}): set {PREFIX}HOME to one you may write in."
            ) from error
        return made

    def target_folder(self) -> Path:
        """Return the target's own folder inside `home`, made where it is missing."""
        return self.folder("targets", self.target)

    def summary(self) -> str:
        """Say in one line where rows go, and where their record is kept."""
        return (
            f"{self.label} · {self.operation} {self.url()} · solution {self.solution} · home {self.home} "
            f"· ledger {self.ledger} · token {self._token_said()}"
        )

    def body(self) -> str:
        """Give the settings as an HTML fragment."""
        rows = self.to_frame().itertuples(name=None)
        return heading(self.label, level=3) + table(["setting", "value", "from"], rows)

    def to_frame(self) -> pd.DataFrame:
        """Give one row per setting: index ``setting``, columns ``value`` and ``from``, all text."""
        said = {name: "" if value is None else str(value) for name, value in self.to_dict().items()}
        index = pd.Index(list(said), name="setting")
        origins = [self._origin.get(name, "default" if name in type(self).model_fields else "") for name in said]
        return pd.DataFrame({"value": list(said.values()), "from": origins}, index=index, dtype="str")

    def to_dict(self) -> dict[str, Any]:
        """Give the settings and what follows from them, ready for JSON; of extra headers the names alone."""
        values = self.model_dump(mode="json") | {"extra_headers": list(self.extra_headers)}
        return values | {"host": self.host, "address": self.url(), "token": self._token_said()}

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            raise SettingsError(f"Settings do not change: make new ones, Settings({name}=…).")
        super().__setattr__(name, value)

    def __str__(self) -> str:
        return repr(self)

    def _token_said(self) -> str:
        name = None if self.embedded else variable_set(self.documented.token_variables)
        if name:
            return f"set in {name}"
        return "the sandbox's own" if self.local else "not in the environment: keyring or prompt"


def _of_sandbox(target: str) -> bool:
    name = target.casefold()  # some file systems do not tell the cases apart
    return name == SANDBOX or name.startswith(f"{SANDBOX}-")


def _from_file(file: Path | None) -> dict[str, Any]:
    values = read_file(file) if file else {}
    refuse_unknown(values, Settings.model_fields, where=str(file))
    return values


def _from_environment() -> dict[str, Any]:
    names = [name.upper() for name in os.environ if name.upper().startswith(PREFIX)]
    refuse_unknown(names, [PREFIX + name.upper() for name in Settings.model_fields], where="The environment")
    try:
        return EnvSettingsSource(Settings)()
    except UndecodableError:  # its cause holds the value
        pass
    raise SettingsError(
        f'{PREFIX}EXTRA_HEADERS should be a JSON object, such as {{"x-auth-tenant": "acme"}}, and {PREFIX}ATTRIBUTES '
        'a JSON list, such as [{"name": "region"}].'
    )


def _said(place: tuple[int | str, ...], why: str, origin: dict[str, str]) -> str:
    name = str(place[0])
    where = origin.get(name, "default")
    shown = f"{PREFIX}{name.upper()}" if where == "environment" else name
    why = why.removeprefix("Value error, ").replace("Input should be", "it should be")
    return f"{shown} (from {where}) cannot be used: {why}."


_current: list[Settings] = []


def current(settings: Settings | None = None) -> Settings:
    """Return these settings, else those that `use` chose, else what the environment and ``toolkit.toml`` say."""
    if settings is not None:
        if not isinstance(settings, Settings):
            raise wrong_kind(settings, "a Settings", "Settings(…)")
        return settings
    return _current[0] if _current else Settings()

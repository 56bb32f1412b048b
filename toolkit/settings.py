"""The settings: keyword arguments over the environment over ``toolkit.toml`` over defaults.

``Settings()`` alone works against the embedded sandbox. The names in a ``toolkit.toml`` are those of the
fields below; in the environment they are upper-case after ``TOOLKIT_``. The token is no setting: `Settings.token`
looks for it when it is asked, and nothing keeps it.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
from pydantic import PrivateAttr, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as UndecodableError

from toolkit.contract import Contract, Operation, PathStyle
from toolkit.display import Result, heading, paragraph, table
from toolkit.errors import SettingsError, did_you_mean
from toolkit.secret import confirm_host, find_token, variable_set

FILE_NAME = "toolkit.toml"
PREFIX = "TOOLKIT_"
SANDBOX = "sandbox"
"""The target of the sandbox, and the token that it takes."""

PACKAGE = Path(__file__).resolve().parent

_SANDBOX_NAMES = {"solution": "QP_OOTB", "prefix": "QP_", "suffix": "_OOTB"}
_TOKEN_NAMES = {"token", "auth_token", "access_token", "peak_auth_token", "api_key", "authorization"}
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
        Further headers of each request. Their values are not shown.

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
    >>> Settings(base_url="https://ingestion.peak.ai", target="acme", solution="QP_OOTB",
    ...          contract="current").url()
    'https://ingestion.peak.ai/api/v2/objects/CUSTOMER'
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True
    )

    base_url: str | None = None
    target: str
    contract: str = "2026-04"
    path_style: PathStyle
    operation: Operation = "UPSERT"
    solution: str
    prefix: str
    suffix: str
    home: Path
    ledger: Path
    extra_headers: dict[str, str] = {}

    _origin: dict[str, str] = PrivateAttr(default_factory=dict)
    _file: Path | None = PrivateAttr(default=None)

    def __init__(self, **given: Any) -> None:
        root = project_root()
        file = _find_file(root)
        layers = {
            str(file): _from_file(file) if file else {},
            "environment": _from_environment(),
            "argument": _known(given, "the arguments"),
        }
        origin = {name: layer for layer, values in layers.items() for name in values}
        values = {name: value for layer in layers.values() for name, value in layer.items()}
        for name in values.keys() & {"home", "ledger"}:
            start = file.parent if file and origin[name] == str(file) else root
            values[name] = _absolute(values[name], start, name)
        try:
            super().__init__(**_completed(values, root))
            failed = ""
        except ValidationError as error:
            failed = " ".join(_said(e["loc"], e["msg"], origin) for e in error.errors(include_input=False))
        if failed:  # raised out here, so that the inputs, which pydantic's error holds, do not travel along
            raise SettingsError(failed)
        self._origin = origin
        self._file = file

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
        return value and checked_address(value) if value is not None else None

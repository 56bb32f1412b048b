"""The project: its root, its ``toolkit.toml``, and the targets that such a file may name."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from toolkit.errors import SettingsError, did_you_mean

FILE_NAME = "toolkit.toml"

PACKAGE = Path(__file__).resolve().parents[1]

_TOKEN_NAMES = {"token", "auth_token", "access_token", "peak_auth_token", "api_key", "authorization"}
Values = dict[str, Any]


def project_root() -> Path:
    """Return the folder that relative paths start from, the same in a notebook as in a shell.

    That is this package's checkout; for an installed package the nearest folder, from the working folder
    upwards, that has a ``toolkit.toml``; else the working folder. A folder above that belongs to somebody else is
    no project of this user.
    """
    checkout = PACKAGE.parent / "pyproject.toml"
    # Some packages leave a pyproject.toml in site-packages: it must be this project's own.
    if checkout.is_file() and "customer-toolkit" in checkout.read_text(encoding="utf-8"):
        return checkout.parent
    here = Path.cwd()
    return next((f for f in (here, *filter(_is_own, here.parents)) if (f / FILE_NAME).is_file()), here)


def find_file() -> Path | None:
    """Return the ``toolkit.toml`` in the project's root, if there is one."""
    file = project_root() / FILE_NAME
    return file if file.is_file() else None


def _is_own(path: Path) -> bool:
    """Whether a file or folder belongs to this user, or to the administrator, and nobody else may write to it."""
    if os.name == "nt":  # no owner and no mode that would say so
        return True
    found = path.stat()
    # Many systems give each user a group of their own, with the user's number.
    others = 0o002 if found.st_gid == found.st_uid else 0o022
    return found.st_uid in (os.geteuid(), 0) and (path.is_dir() or not found.st_mode & others)


def read_targets(file: Path | None, known: Iterable[str]) -> tuple[Values, dict[str, Values]]:
    """Return the settings of the default target, and those of each ``[targets.NAME]``, with unchecked values.

    Parameters
    ----------
    file
        A ``toolkit.toml``; None for none.
    known
        The names of the settings.

    Raises
    ------
    SettingsError
        If the file is not TOML, contains something that is not a setting, or belongs to another user or can be
        written by one: whoever writes it decides where rows and token go.
    """
    if file and not _is_own(file):
        raise SettingsError(
            f"{file} belongs to another user, or another user may write to it, so it is not used: copy it and keep the "
            f"copy for yourself (chmod go-w {FILE_NAME})."
        )
    try:
        default = tomllib.loads(file.read_bytes().decode("utf-8-sig")) if file else {}  # Windows editors write a BOM
    except (OSError, ValueError, RecursionError) as error:
        why = error if isinstance(error, tomllib.TOMLDecodeError) else type(error).__name__
        raise SettingsError(f"{file} cannot be read as TOML: {why}") from None
    named = default.pop("targets", {})
    if not isinstance(named, dict) or not all(isinstance(values, dict) for values in named.values()):
        raise SettingsError(f"{file}: each target should be a table of its own, such as [targets.acme-test].")
    refuse_unknown(default, known, where=str(file))
    for name, values in named.items():
        refuse_unknown(values, [k for k in known if k != "target"], where=f"{file} [targets.{name}]")
    return default, named


def refuse_unknown(names: Iterable[str], known: Iterable[str], *, where: str) -> None:
    """Refuse a name that is not a setting, or that stands for the token, which is not a setting either.

    Raises
    ------
    SettingsError
        With the nearest known name.
    """
    for name in names:
        if is_token(name):
            raise SettingsError(
                f"{where} contains {name!r}, but the token is not a setting: remove it, and set PEAK_AUTH_TOKEN in "
                "the environment or store the token in the keyring."
            )
        if name not in known:
            near = did_you_mean(name, known) or f": the settings are {', '.join(known)}."
            raise SettingsError(f"{where} contains {name!r}, which is not a setting{near}")


def is_token(name: str) -> bool:
    """Whether a name stands for the token."""
    return name.casefold().removeprefix("toolkit_") in _TOKEN_NAMES


def absolute(value: object, start: Path) -> Path:
    """Return the path of a folder; a relative one starts from `start`.

    Raises
    ------
    ValueError
        It is not text, empty, an address, or not a path on this system.
    """
    if not isinstance(value, str | Path) or not str(value).strip() or "://" in str(value):
        raise ValueError("it should be the path of a folder")
    try:
        return Path(str((start / Path(value).expanduser()).resolve()).encode().decode())
    except (OSError, RuntimeError, ValueError):  # a loop of links, ~ of an unknown user, a NUL, not UTF-8
        raise ValueError("it is not a path on this system") from None

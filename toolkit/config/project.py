"""The project: its root, the ``toolkit.toml`` that speaks for it, and what such a file may name."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from toolkit.errors import SettingsError, did_you_mean

FILE_NAME = "toolkit.toml"

PACKAGE = Path(__file__).resolve().parent

_TOKEN_NAMES = {"token", "auth_token", "access_token", "peak_auth_token", "api_key", "authorization"}


def project_root() -> Path:
    """Return the folder that relative places count from, the same from a notebook as from a shell.

    That is this package's checkout; for an installed package the nearest folder, from the working folder
    upwards, that has a ``toolkit.toml``; else the working folder.
    """
    checkout = PACKAGE.parent / "pyproject.toml"
    # Some packages leave a pyproject.toml in site-packages: it must be this project's own.
    if checkout.is_file() and "customer-toolkit" in checkout.read_text(encoding="utf-8"):
        return checkout.parent
    here = Path.cwd()
    return next((f for f in (here, *here.parents) if (f / FILE_NAME).is_file()), here)


def find_file(root: Path) -> Path | None:
    """Find the nearest ``toolkit.toml``: working folder, its parents up to the root, the root."""
    here = Path.cwd()
    above = [here, *here.parents]
    folders = above[: above.index(root) + 1] if root in above else [here, root]
    return next((f / FILE_NAME for f in folders if (f / FILE_NAME).is_file()), None)


def read_file(file: Path) -> dict[str, Any]:
    """Return the settings that a ``toolkit.toml`` holds, unchecked."""
    try:
        return tomllib.loads(file.read_bytes().decode("utf-8-sig"))  # Windows editors write a mark
    except (OSError, ValueError) as error:
        why = error if isinstance(error, tomllib.TOMLDecodeError) else type(error).__name__
        raise SettingsError(f"{file} cannot be read as TOML: {why}") from None


def refuse_unknown(names: Iterable[str], known: Iterable[str], *, where: str) -> None:
    """Refuse a name that is no setting, or that stands for the token, which is none.

    Raises
    ------
    SettingsError
        With the nearest known name.
    """
    known = list(known)
    for name in names:
        if name.casefold().removeprefix("toolkit_") in _TOKEN_NAMES:
            raise SettingsError(
                f"{where} holds {name!r}, but the token is no setting: take it out, and set PEAK_AUTH_TOKEN in "
                "the environment or store the token in the keyring."
            )
        if name not in known:
            near = did_you_mean(name, known) or f": the settings are {', '.join(known)}."
            raise SettingsError(f"{where} holds {name!r}, which is no setting{near}")


def absolute(value: object, start: Path) -> Path:
    """Return the path of a folder, a relative one counted from `start`.

    Raises
    ------
    ValueError
        It is no text, empty, an address, or no path that this system knows.
    """
    if not isinstance(value, str | Path) or not str(value).strip() or "://" in str(value):
        raise ValueError("it should be the path of a folder")
    try:
        return (start / Path(value).expanduser()).resolve()
    except (OSError, RuntimeError, ValueError):  # a loop of links, ~ of nobody, a null sign
        raise ValueError("it is no path that this system knows") from None

"""Names and libraries that are imported when they are first used, so that a start costs only what it needs."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from collections.abc import Callable
from typing import Any

from toolkit.errors import did_you_mean


def on_first_use(face: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return the ``__getattr__``, the ``__dir__`` (PEP 562) and the ``__all__`` of a module.

    The module imports its names in an ``if TYPE_CHECKING:`` block, each as itself: so mypy and editors know that the
    module offers it (PEP 484). That block is read here as the list of what is where, so that no second list has to
    agree with it.

    Parameters
    ----------
    face
        The module's ``__name__``.
    """
    module = sys.modules[face]
    statements = ast.walk(ast.parse(inspect.getsource(module)))
    homes = {a.asname: s.module for s in statements if isinstance(s, ast.ImportFrom) for a in s.names if a.asname}

    def resolve(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {face!r} has no attribute {name!r}{did_you_mean(name, homes)}")
        home = str(homes[name])
        value = importlib.import_module(f"{face}.{name}" if home == face else home)  # a package of the module itself
        value = value if home == face else getattr(value, name)
        setattr(module, name, value)  # the next use finds it there
        return value

    return resolve, lambda: sorted(homes), sorted(homes)


class Library:
    """A library that only some calls need, as ``import`` would bind it; imported when an attribute is first used.

    A module binds it in the ``else`` of an ``if TYPE_CHECKING:`` block that imports the library itself, for mypy.

    Examples
    --------
    >>> colorsys = Library("colorsys")
    >>> colorsys.rgb_to_hsv(0, 0, 1)[2]
    1
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("_"):  # who looks at a module's members, as pytest does, does not use it
            raise AttributeError(attribute)
        return getattr(importlib.import_module(self._name), attribute)

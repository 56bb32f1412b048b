"""`Station`: the state that a panel shows, a plain object without widgets; and what a browser may ask of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

from toolkit.errors import InputError
from toolkit.panels.elements import Element

_M = TypeVar("_M", bound=Callable[..., Any])


def action(method: _M) -> _M:
    """Mark a method of a station as one that a browser may call: ``{"do": its name, …}`` with its arguments.

    A control adds ``value``, a form ``fields``, a file ``name``, ``size``, ``at`` and ``data``. A text that the method
    returns is read out as what changed; a dictionary answers the browser's own script, and nothing is drawn.
    """
    method.__dict__["is_action"] = True
    return method


class Station(ABC):
    """What a panel shows: it is computed and tested without one.

    Attributes
    ----------
    title
        Its name in the steps of a session.
    focus
        The key of the element that has the focus after the next drawing; empty: it stays where it is.
    changed
        What to call when the state changes by itself, as from a thread; a panel sets it to its own ``draw``;
        with ``picture=False`` where changes follow each other fast.
    """

    title = ""
    focus = ""

    def __init__(self) -> None:
        self.changed: Callable[..., None] = lambda **_: None

    @abstractmethod
    def view(self) -> Element:
        """Return what is shown now."""

    @property
    @abstractmethod
    def calls(self) -> tuple[str, ...]:
        """The lines of Python, and the commands, that do the same."""

    @property
    def brief(self) -> str:
        """What it has come to, in a few words, for the steps of a session."""
        return ""

    def act(self, do: str, **said: Any) -> str | dict[str, Any] | None:
        """Do what the browser asks for.

        Raises
        ------
        InputError
            If there is no such action.
        """
        method = getattr(self, do, None)
        if not getattr(method, "is_action", False):
            raise InputError(f"This panel has no action {do!r}: run its cell again, for the toolkit was updated.")
        assert callable(method)  # noqa: S101 - for mypy
        answer: str | dict[str, Any] | None = method(**said)
        return answer

    def close(self) -> None:  # noqa: B027 - most have nothing open
        """End what the station has open; its panel was closed, because its cell ran again."""

"""Every error the toolkit raises on purpose, in one tree.

::

    ToolkitError
    ├── SettingsError           a setting, the token or the target is missing or cannot be used
    ├── InputError              an argument, a file or an option cannot be used as it is
    │   ├── ReadingError        the file is not a readable customer table
    │   ├── MappingError        the mapping contradicts itself or does not fit the file
    │   └── CorrectionError     a correction is unknown, or something that it needs is missing
    ├── LedgerError             the ledger cannot be read, or belongs to another target
    ├── PlanError               a plan cannot be made, or no longer fits the state that it was made for
    │   └── GuardError          a guard blocked the push and was not allowed; nothing was sent
    ├── JournalError            the journal of a push cannot be used
    │   ├── OpenPushError       an earlier push is still open
    │   └── NothingOpenError    there is no open push to resume or abandon
    ├── SandboxError            the embedded sandbox cannot be started
    └── StoppedError            a push stopped before its end; has the report of what was done
        ├── AuthorizationError  the vendor refused the token (401, 403)
        ├── AddressError        there is nothing at this address (404)
        └── UnreachableError    the host cannot be reached, or keeps failing
    KeyboardInterrupt
    └── Interrupted             somebody stopped a step; after a push it has the report of what was done

Bad rows and refused rows are results, never errors. A ``SchemaWarning`` is not an error either: the vendor's columns
differ from ours, and the push continues. Messages name keys and columns, never row values, and never the token.

In a notebook an error shows its message and the analyst's line instead of a traceback (IPython calls
``_render_traceback_``); ``%debug`` has the frames. A script has Python's own traceback.
"""

from __future__ import annotations

import difflib
import re
import sys
import traceback
from collections.abc import Iterable
from typing import Any

from toolkit.characters import printable

_QUOTED = re.compile(r"""(["'])(?:\\.|(?!\1).)*(?:\1|$)""")
"""A text in a line of code: it may be a token or a customer's cell."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``, did you mean 'x'?`` for the nearest known word in any case, or nothing.

    Examples
    --------
    >>> did_you_mean("E-Mail", ["email", "name"])
    ", did you mean 'email'?"
    """
    by_fold = {k.casefold(): k for k in known}
    near = difflib.get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.6)
    return f", did you mean {by_fold[near[0]]!r}?" if near else ""


def outside() -> int:
    """Return the ``stacklevel`` of the line that called the toolkit, for `warnings.warn`."""
    frames = (frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_stack(sys._getframe(1)))
    return next((n for n, name in enumerate(frames, 1) if not name.startswith("toolkit.")), 1)


class ToolkitError(Exception):
    """The root of all errors that the toolkit raises on purpose."""

    def __str__(self) -> str:
        return printable(super().__str__())  # a script's traceback goes to the terminal as it is

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}", *_line_of(self)]


def _line_of(error: BaseException) -> list[str]:
    """Return the last line of code before the toolkit's own, its texts left out, as one line or none."""
    called: traceback.FrameSummary | None = None
    for frame, number in traceback.walk_tb(error.__traceback__):
        if frame.f_globals.get("__name__", "").startswith("toolkit."):
            break
        called = traceback.FrameSummary(frame.f_code.co_filename, number, frame.f_code.co_name)
    text = _QUOTED.sub(r"\1…\1", called.line or "") if called else ""
    return [f"  line {called.lineno}: {printable(text)}"] if called and text else []


class SettingsError(ToolkitError):
    """A setting, the token or the target is missing or cannot be used."""


class SchemaWarning(UserWarning):
    """The vendor's columns differ from ours, or could not be checked; the push continues."""


class InputError(ToolkitError):
    """An argument, a file or an option cannot be used as it is."""


class ReadingError(InputError):
    """The file is not a readable customer table."""


class MappingError(InputError):
    """The mapping contradicts itself or does not fit the file."""


class CorrectionError(InputError):
    """A correction is unknown, or something that it needs is missing."""


class LedgerError(ToolkitError):
    """The ledger cannot be read, or belongs to another target."""


class PlanError(ToolkitError):
    """A plan cannot be made, or no longer fits the state that it was made for."""


class GuardError(PlanError):
    """A guard blocked the push and was not allowed; nothing was sent."""


class JournalError(ToolkitError):
    """The journal of a push cannot be used."""


class OpenPushError(JournalError):
    """An earlier push is still open."""


class NothingOpenError(JournalError):
    """There is no open push to resume or abandon."""


class SandboxError(ToolkitError):
    """The embedded sandbox cannot be started."""


def wrong_kind(given: object, wanted: str, call: str) -> InputError:
    """Return the error for an argument of the wrong kind: what was given, what is wanted, and the call that gives it.

    Examples
    --------
    >>> str(wrong_kind(None, "a snapshot", "Ledger.of().snapshot()"))
    'A snapshot is wanted here, and None was given: Ledger.of().snapshot() gives one.'
    """
    kind = type(given).__name__
    name = "None" if given is None else f"{'an' if kind[0] in 'AEIOUaeiou' else 'a'} {kind}"
    return InputError(f"{wanted[0].upper()}{wanted[1:]} is wanted here, and {name} was given: {call} gives one.")


class StoppedError(ToolkitError):
    """A push stopped before its end.

    Attributes
    ----------
    report
        The `PushReport` of what was done until then; None before the push has made it.
    """

    report: Any = None


class AuthorizationError(StoppedError):
    """The vendor refused the token (401, 403)."""


class AddressError(StoppedError):
    """There is nothing at this address (404)."""


class UnreachableError(StoppedError):
    """The host cannot be reached, or keeps failing."""


class Interrupted(KeyboardInterrupt):
    """Somebody stopped a step. As a KeyboardInterrupt it also stops the cells that would run next.

    Attributes
    ----------
    report
        The `PushReport` of what was done until then; None if it was no push, or nothing was sent yet.
    """

    report: Any = None

    def _render_traceback_(self) -> list[str]:
        return [str(self)]

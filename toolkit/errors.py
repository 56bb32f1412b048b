"""Every error the toolkit raises on purpose, in one tree.

::

    ToolkitError
    ├── SettingsError           a setting, the token or the target is missing or cannot be used
    ├── InputError              what the analyst handed in cannot be used as it is
    │   ├── ReadingError        the file is not a readable customer table
    │   ├── MappingError        the mapping contradicts itself or does not fit the file
    │   └── CorrectionError     a correction is unknown, or lacks what it needs
    ├── LedgerError             the ledger is not readable, or belongs to another target
    ├── PlanError               a plan cannot be made, or no longer fits what it was made for
    │   └── GuardError          a guard blocks the push; nothing was sent
    ├── JournalError            the record of a push cannot be used
    │   ├── OpenPushError       an earlier push is still open
    │   └── NothingOpenError    there is no open push to resume or abandon
    ├── SandboxError            the embedded sandbox cannot be started
    └── StoppedError            a push stopped before its end; carries the report of what was done
        ├── AuthorizationError  the vendor refused the token (401, 403)
        ├── AddressError        there is nothing at this address (404)
        └── UnreachableError    the host cannot be reached, or went on failing

Bad rows and refused rows are results, never errors. A ``SchemaWarning`` is none either: the vendor's columns differ
from ours, and a push goes on. Messages name keys and columns, never row values, and never the token.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


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


class ToolkitError(Exception):
    """The root: whatever the toolkit raises on purpose."""


class SettingsError(ToolkitError):
    """A setting, the token or the target is missing or cannot be used."""


class SchemaWarning(UserWarning):
    """The vendor's columns differ from ours, or could not be told; a push goes on."""


class InputError(ToolkitError):
    """What the analyst handed in cannot be used as it is."""


class ReadingError(InputError):
    """The file is not a readable customer table."""


class MappingError(InputError):
    """The mapping contradicts itself or does not fit the file."""


class CorrectionError(InputError):
    """A correction is unknown, or lacks what it needs."""


class LedgerError(ToolkitError):
    """The ledger is not readable, or belongs to another target."""


class PlanError(ToolkitError):
    """A plan cannot be made, or no longer fits what it was made for."""


class GuardError(PlanError):
    """A guard blocks the push; nothing was sent."""


class JournalError(ToolkitError):
    """The record of a push cannot be used."""


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
    name = (
        "None"
        if given is None
        else f"{'an' if type(given).__name__[0] in 'AEIOUaeiou' else 'a'} {type(given).__name__}"
    )
    return InputError(f"{wanted[0].upper()}{wanted[1:]} is wanted here, and {name} was given: {call} gives one.")


class StoppedError(ToolkitError):
    """A push stopped before its end.

    Attributes
    ----------
    report
        The `PushReport` of what was done until then, once the push has drawn it up; else None.
    """

    report: Any = None


class AuthorizationError(StoppedError):
    """The vendor refused the token (401, 403)."""


class AddressError(StoppedError):
    """There is nothing at this address (404)."""


class UnreachableError(StoppedError):
    """The host cannot be reached, or went on failing."""

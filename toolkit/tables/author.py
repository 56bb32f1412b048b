"""The user's name, for the records that name an author."""

from __future__ import annotations

import getpass
import os


def author() -> str:
    """Return the user's name, or their number where the system has no name for them, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # which of the two depends on the version of Python
        return f"uid {os.getuid()}"

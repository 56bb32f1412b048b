"""Who is at work, for the records that name an author."""

from __future__ import annotations

import getpass
import os


def author() -> str:
    """Return the user's name; where the system has none for them, as in a container, their number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # by the system and the version of Python
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"

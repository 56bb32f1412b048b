"""What we work against: settings, the project and its ``toolkit.toml``, the token and where it may go.

May import: `model` and what is below.
"""

from toolkit.config.project import project_root
from toolkit.config.settings import SANDBOX, Settings, current

__all__ = [
    "SANDBOX",
    "Settings",
    "current",
    "project_root",
]

"""What we work against: settings, the current target, the project and its ``toolkit.toml``, the token and its hosts.

May import: `model` and what is below.
"""

from toolkit.config.credentials import Answers
from toolkit.config.project import project_root
from toolkit.config.settings import SANDBOX, Settings, current, use

"""The command line: arguments in, exit code out; no logic.

May import: `pushing` and what is below.
"""

from toolkit.cli.app import main

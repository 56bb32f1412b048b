"""The tests; a process that begins with them leaves out a grammar that jsonschema, and so nbformat, would build."""

import sys

# It takes 1.2 s of processor, for the format of international addresses, which no notebook has.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

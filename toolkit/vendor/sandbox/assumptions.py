"""What the vendor's pages leave open: each one is a listed assumption of the sandbox that can be switched."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args, get_type_hints

import pandas as pd

from toolkit.errors import SandboxError


def _assumed(value: Any, means: str) -> Any:
    return field(default=value, metadata={"means": means})


@dataclass(frozen=True)
class Assumptions:
    """How the sandbox behaves where the documentation says nothing; the defaults are what seems most likely.

    Raises
    ------
    SandboxError
        If a value is not one of those that the assumption has.

    Examples
    --------
    >>> Assumptions(partial_status=207).to_frame().loc["partial_status", "value"]
    '207'
    """

    names_row_by: Literal["index", "index_from_1", "key", "upper_key", "echo", "nested", "text", "nothing"] = _assumed(
        "index", "how an entry of `failed` says which row it is about"
    )
    partial_status: Literal[200, 207, 400, 422] = _assumed(200, "the status when some rows pass and some do not")
    all_or_nothing: bool = _assumed(False, "whether one bad row makes its whole request fail")
    error_body: Literal["json", "text", "html", "empty"] = _assumed("json", "the body of a 4xx or 5xx")
    retry_after: Literal["seconds", "date", "none"] = _assumed("seconds", "how 429 and 503 say when to try again")
    request_id: bool = _assumed(True, "whether an answer carries a request id")
    over_limit_status: Literal[400, 413, 429] = _assumed(413, "the status of a request with too many rows or bytes")
    dry_run: Literal["documented", "ignored"] = _assumed(
        "documented", "whether dryRun is honoured; if it is ignored, the rows are written"
    )
    flush_s: float = _assumed(1800.0, "seconds between two writes of the buffer to the table")

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self)).items():
            if (known := get_args(kind)) and getattr(self, name) not in known:
                raise SandboxError(f"{name} is one of {', '.join(map(str, known))}, not {getattr(self, name)!r}.")

    def to_frame(self) -> pd.DataFrame:
        """Return each assumption with its value and what it means, index ``assumption``."""
        rows = {f.name: (str(getattr(self, f.name)), f.metadata["means"]) for f in fields(self)}
        frame = pd.DataFrame.from_dict(rows, orient="index", columns=["value", "means"])
        return frame.rename_axis("assumption")

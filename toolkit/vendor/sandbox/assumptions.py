"""What the vendor's pages leave open: each one is a listed assumption of the sandbox that can be switched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args, get_type_hints

from toolkit.errors import SandboxError


@dataclass(frozen=True)
class Assumptions:
    """How the sandbox behaves where the documentation says nothing; the defaults are what seems most likely.

    Attributes
    ----------
    names_row_by
        How an entry of ``failed`` says which row it is about.
    partial_status
        The status when some rows pass and some do not.
    all_or_nothing
        Whether one bad row makes its whole request fail.
    error_body
        The body of a 4xx or 5xx.
    retry_after
        How 429 and 503 say when to try again.
    request_id
        Whether an answer carries a request id.
    over_limit_status
        The status of a request with too many rows or bytes.
    dry_run
        Whether ``dryRun`` is honoured; if it is ignored, the rows are written.
    warnings
        Where an answer names rows that it took with a warning: nowhere (rows are not checked for them), in a list of
        their own, or among the ``failed`` with a severity.
    flush_s
        Seconds between two writes of the buffer to the table.

    Raises
    ------
    SandboxError
        If a value is not one of those that the assumption has.
    """

    names_row_by: Literal["index", "index_from_1", "key", "upper_key", "echo", "nested", "text", "nothing"] = "index"
    partial_status: Literal[200, 207, 400, 422] = 200
    all_or_nothing: bool = False
    error_body: Literal["json", "text", "html", "empty"] = "json"
    retry_after: Literal["seconds", "date", "none"] = "seconds"
    request_id: bool = True
    over_limit_status: Literal[400, 413, 429] = 413
    dry_run: Literal["documented", "ignored"] = "documented"
    warnings: Literal["none", "list", "failed"] = "none"
    flush_s: float = 1800.0

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self)).items():
            if (known := get_args(kind)) and getattr(self, name) not in known:
                raise SandboxError(f"{name} is one of {', '.join(map(str, known))}, not {getattr(self, name)!r}.")

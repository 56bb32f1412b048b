"""Progress of what takes longer than two seconds, in a notebook or a terminal; warnings; and what an interrupt says.

In a notebook it is an output that is drawn again, and emptied at the end: no widget, whose state would be saved with
the notebook. Where neither a notebook nor a terminal shows it, nothing is written. What a panel does in a thread is
not shown either, for it would land in whichever cell runs: the panel listens to what is said (`listen`).
"""

from __future__ import annotations

import html
import io
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from toolkit.errors import Interrupted, outside
from toolkit.lazy import Library

if TYPE_CHECKING:
    import IPython.display as ipython
    import tqdm.std as texts
else:
    ipython, texts = Library("IPython.display"), Library("tqdm.std")

SHOWN_AFTER_S = 2.0
_EVERY_S = 0.5
_busy = threading.Lock()
Clock = Callable[[], float]
_listener: ContextVar[Callable[[str], None] | None] = ContextVar("listener", default=None)
_P = ParamSpec("_P")
_R = TypeVar("_R")


def _notebook() -> bool:
    return type(sys.stdout).__module__.startswith("ipykernel.")


def listen(listener: Callable[[str], None]) -> None:
    """Show nothing more in this context: what is said, and what is warned of, goes to the listener."""
    _listener.set(listener)


def warn(text: str, category: type[Warning] = UserWarning) -> None:
    """Warn the line that called the toolkit, or tell who listens.

    Examples
    --------
    >>> from contextvars import copy_context
    >>> heard = list[str]()
    >>> def work() -> None:
    ...     listen(heard.append)
    ...     warn("The columns differ.")
    >>> copy_context().run(work)
    >>> heard
    ['The columns differ.']
    """
    if (listener := _listener.get()) is None:
        warnings.warn(text, category, stacklevel=outside())
    else:
        listener(text)


class Progress:
    """A bar that is drawn only when `draw` is called, and not in the first two seconds.

    Parameters
    ----------
    what
        What is done, such as ``Reading``.
    total
        How many rows there are; None: only the time is shown.
    n
        How many were done before.
    clock
        Seconds; it decides when to show the bar.
    wanted
        Whether to show it at all.

    Attributes
    ----------
    n, note
        How many are done, and words to show beside the bar.
    """

    def __init__(
        self, what: str, *, total: int | None = None, n: int = 0, clock: Clock = time.monotonic, wanted: bool = True
    ) -> None:
        form = "{desc}, {elapsed}" if total is None else None
        self._form: dict[str, Any] = dict(desc=what, total=total, unit=" rows", initial=n, leave=False, bar_format=form)  # noqa: C408
        self._clock, self._start, self._drawn_at = clock, clock(), float("-inf")
        self.shown = wanted and _listener.get() is None and (_notebook() or sys.stderr.isatty())
        self.n, self.note = n, ""
        self._bar: Any = None
        self._output: Any = None

    def draw(self) -> None:
        """Show how far it is, if two seconds have passed; not amid a transaction, for a screen can fail or be slow."""
        now = self._clock()
        if not self.shown or now - self._start < SHOWN_AFTER_S or now - self._drawn_at < _EVERY_S:
            return
        self._drawn_at = now
        if self._bar is None:
            if _notebook():
                self._output = ipython.display({}, raw=True, display_id=True)  # type: ignore[no-untyped-call]
            self._bar = texts.tqdm(**self._form, file=io.StringIO() if self._output else sys.stderr)
            self._bar.start_t -= now - self._start
        self._bar.n = self.n
        self._bar.set_postfix_str(self.note)  # draws it too
        if self._output:
            text, ends = str(self._bar), f'max="{self._bar.total}" value="{self.n}"' if self._bar.total else ""
            page = f"<progress {ends}></progress> {html.escape(text)}"
            self._output.update({"text/plain": text, "text/html": page}, raw=True)

    def say(self, text: str) -> None:
        """Print a line that stays, above the bar; or give it to who listens."""
        out = sys.stdout if _notebook() else sys.stderr  # red in a notebook
        (_listener.get() or partial(texts.tqdm.write, file=out))(text)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
        if self._output:  # what it shows would be saved with the notebook
            self._output.update({}, raw=True)


def step(
    what: str, *, then: str = "Nothing was changed.", bar: bool = True
) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Decorate what may take long: it shows that it works, and an interrupt is one line.

    Of steps within steps the outermost is shown.

    Parameters
    ----------
    what
        What it does, such as ``Reading``.
    then
        What the analyst must know after an interrupt.
    bar
        Whether it is shown; False for what has a bar of its own.
    """

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @wraps(function)
        def run(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            with _working(what, then, bar=bar):
                return function(*args, **kwargs)

        return run

    return decorate


@contextmanager
def _working(what: str, then: str, *, bar: bool) -> Iterator[None]:
    progress, over = Progress(what, wanted=bar), threading.Event()
    outermost = progress.shown and _busy.acquire(blocking=False)
    thread = threading.Thread(target=_watch, args=(progress, over), daemon=True)
    try:
        if outermost:
            thread.start()
        yield
    except Interrupted:
        raise
    except KeyboardInterrupt as error:
        raise Interrupted(f"Interrupted: {what[0].lower()}{what[1:]} was stopped. {then}") from error
    finally:
        if outermost:
            over.set()
            thread.join()
            progress.close()
            _busy.release()


def _watch(progress: Progress, over: threading.Event) -> None:
    with suppress(Exception):  # nobody would see it, and the step goes on
        while not over.wait(_EVERY_S):
            progress.draw()

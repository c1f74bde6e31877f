"""Calls of a stranger's code that end: in time, or with an error that says what became of them."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from contextvars import Context, copy_context
from queue import Empty, SimpleQueue
from typing import Any
from weakref import finalize

_Call = Callable[[], Any]


class HungError(Exception):
    """A call that did not return in time."""


class RaisedError(Exception):
    """A call that raised; the cause is what it raised."""


class Worker:
    """A thread that makes one call after the other, for a caller that waits for each so long and no longer.

    Starting a thread costs ten times what handing over a call does, and an audit makes a thousand. After a
    HungError the thread is left behind: it must be asked nothing more.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Context, _Call] | None] = SimpleQueue()
        self._answers: SimpleQueue[tuple[bool, Any]] = SimpleQueue()
        threading.Thread(target=_serve, args=(self._calls, self._answers), daemon=True).start()
        finalize(self, self._calls.put, None)

    def __call__(self, call: _Call, seconds: float, name: str) -> Any:
        """The result of a call that takes at most so long. Raises HungError, or RaisedError."""
        # In the caller's context, so that NumPy's error state and the like hold.
        self._calls.put((copy_context(), call))
        try:
            fine, result = self._answers.get(timeout=min(seconds, threading.TIMEOUT_MAX))
        except Empty:
            raise HungError(f"{name} did not return within {seconds:g} s") from None
        if not fine:
            raise RaisedError(_where(result)) from result
        return result


def _serve(calls: SimpleQueue[tuple[Context, _Call] | None], answers: SimpleQueue[tuple[bool, Any]]) -> None:
    while (job := calls.get()) is not None:
        context, call = job
        try:
            answer = (True, context.run(call))
        except BaseException as error:
            answer = (False, error)
        answers.put(answer)
        del job, context, call, answer  # what was asked and answered lives no longer than its caller wants


def _where(error: BaseException) -> str:
    """Type and message of an error, with the line of the rule's own code that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"

"""Stopping in order: Ctrl-C and SIGTERM ask, and the run ends where it can be saved."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread

import jax
import numpy as np
from jax.experimental import multihost_utils


class Stopped(KeyboardInterrupt):
    """The run was asked to stop, and did, after its state was saved."""


class Request:
    """Whether somebody has asked to stop; `name` is the signal's."""

    name: str | None = None


@contextmanager
def stop_request() -> Iterator[Request]:
    """Turns the first Ctrl-C or SIGTERM into a request; the second one acts as it always did. Off the main thread, nothing.

    >>> import os
    >>> with stop_request() as request:
    ...     os.kill(os.getpid(), signal.SIGTERM)
    ...     print(request.name)
    SIGTERM
    """
    request = Request()
    if current_thread() is not main_thread():
        yield request
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number, frame) -> None:
        request.name = signal.Signals(number).name
        print(f"\n{request.name}: stopping after this call; again to stop at once", file=sys.stderr, flush=True)
        _restore(before)

    for number in before:
        signal.signal(number, ask)
    try:
        yield request
    finally:
        _restore(before)


def agreed(request: Request) -> str | None:
    """The signal of this process, or of any other: all must stop at the same step, where each saves its part.

    >>> agreed(Request()) is None
    True
    """
    if jax.process_count() == 1:
        return request.name
    number = signal.Signals[request.name].value if request.name else 0
    highest = int(np.max(multihost_utils.process_allgather(np.int32(number))))
    return signal.Signals(highest).name if highest else None


def _restore(handlers: dict) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler if handler is not None else signal.SIG_DFL)

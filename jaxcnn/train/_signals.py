"""Stopping in order: Ctrl-C and SIGTERM ask, and the run ends where it can be saved."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread


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
        _restore(before)

    for number in before:
        signal.signal(number, ask)
    try:
        yield request
    finally:
        _restore(before)


def _restore(handlers: dict) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler if handler is not None else signal.SIG_DFL)

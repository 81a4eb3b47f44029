"""Ends of processes: the signals that ask for one, as a socket that a loop can wait for."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def told_to_stop() -> Iterator[socket.socket]:
    """A socket that becomes readable at SIGTERM or SIGINT, which do nothing else meanwhile; in the main thread only.

    The signals' handlers write to it. A wakeup descriptor (signal.set_wakeup_fd) would be written to by others as well.
    """
    reader, writer = socket.socketpair()

    def stop(number: int, _frame: object) -> None:
        with suppress(OSError):  # it is full, which says the same
            writer.send(bytes((number,)))

    with reader, writer:
        writer.setblocking(False)
        before = {each: signal.signal(each, stop) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield reader
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

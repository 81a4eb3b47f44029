"""Ends of processes: the signals that ask for one, as a socket that a loop can wait for."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def told_to_stop() -> Iterator[socket.socket]:
    """A socket that becomes readable at SIGTERM or SIGINT, which do nothing else meanwhile; in the main thread only."""
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setblocking(False)
        before = {each: signal.signal(each, lambda *_: None) for each in (signal.SIGTERM, signal.SIGINT)}
        waker = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield reader
        finally:
            signal.set_wakeup_fd(waker)
            for each, handler in before.items():
                signal.signal(each, handler)

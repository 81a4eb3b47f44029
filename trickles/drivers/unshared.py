"""Descriptors that a forked child does not get: by each of them others know that this process lives.

A program may fork (multiprocessing does, by default on Linux until Python 3.14), and its children may outlive it. The
kernel frees a port, and a lock of flock(2), when the last copy of its descriptor is closed: a child that had one would
make a dead replica look alive, keep its port from the next one, and take datagrams that nobody reads. So such
descriptors are opened by `unshared`, and replaced by /dev/null in each child. Their numbers stay in use there, so that
objects of the parent that end in the child close nothing of the child's own.

No fork happens while one is being opened or closed: a child never gets one that is not noted. Executed programs have
none anyway (O_CLOEXEC). A fork by C code alone, without Python's hooks, is not covered.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar
from weakref import WeakSet

Opened = TypeVar("Opened", int, socket.socket)
_descriptors: set[int] = set()
_sockets: WeakSet[socket.socket] = WeakSet()  # however they are closed
_forking = threading.RLock()  # held by each fork


def unshared(opened: Callable[[], Opened]) -> Opened:
    """Return what the call opened, which no child has: a socket, or a descriptor for `close_unshared` to close."""
    with _forking:
        found = opened()
        if isinstance(found, int):
            _descriptors.add(found)
        else:
            _sockets.add(found)
        return found


def close_unshared(descriptor: int) -> None:
    """Close a descriptor of `unshared`; OSError as close(2), after which it is not open either."""
    with _forking:
        _descriptors.discard(descriptor)
        os.close(descriptor)


def _replace_all() -> None:
    """Replace the parent's descriptors, in a child."""
    held = {*_descriptors, *(each.fileno() for each in list(_sockets))} - {-1}
    _descriptors.clear()
    _sockets.clear()
    if held:
        _replace(held)
    _forking.release()


def _replace(held: set[int]) -> None:
    nothing = -1
    with suppress(OSError):  # there are no more descriptors
        nothing = os.open(os.devnull, os.O_RDWR)
    for each in held:
        with suppress(OSError):
            os.close(each) if nothing < 0 else os.dup2(nothing, each, inheritable=False)
    if nothing >= 0:
        os.close(nothing)


os.register_at_fork(before=_forking.acquire, after_in_parent=_forking.release, after_in_child=_replace_all)

"""Clocks and random sources of the drivers, for the engines.

There are two kinds of random bytes, from separate sources:

- secrets (of connections, keys, seeds) by `fresh_secret`: from the system at the moment of use;
- nonces of AES-GCM by a `NoncePool`: they need not be secret, but must never repeat under one key. A replica needs one
  for each reply, so they are drawn in blocks.

Blocks drawn ahead are part of the process's state, which can be copied: by fork(2), or by a snapshot of a machine that
is restored twice. Both copies hold the same keys and would seal different data under the same nonces. Therefore

- a block is dropped in a forked child, and when it is a tenth of a second old;
- the time in nanoseconds is mixed (by exclusive or) into each nonce at its use: copies that use the same place of one
  block differ, unless they do so in the same nanosecond;
- a snapshot of a machine has the kernel's generator too (Linux 5.18 reseeds it if the hypervisor signals that): so
  time, process and socket are mixed into each block, and clocks and process into each secret.
"""

from __future__ import annotations

import hashlib
import os
import struct
import time
from array import array
from collections.abc import Callable
from weakref import WeakSet

BLOCK_NONCES = 341  # 4 KiB: used by a busy replica in some hundredths of a second
HELD_NS = 100_000_000  # age at which the rest of a block is dropped
NONCE_BYTES, SHORT_BYTES = 12, 8
MOST_SECRET_BYTES = 32
_pack = struct.Struct(">QI").pack
_here_bytes = struct.Struct(">QQI").pack


def monotonic_us() -> int:
    """Return microseconds that never go back: the client's time."""
    return time.monotonic_ns() // 1000


def wall_us() -> int:
    """Return microseconds since 1970: the listener's time."""
    return time.time_ns() // 1000


def fresh_secret(size: int) -> bytes:
    """Return `size` unpredictable bytes, at most 32, none of them drawn ahead."""
    if not 0 < size <= MOST_SECRET_BYTES:
        raise ValueError(f"a secret has 1 to {MOST_SECRET_BYTES} bytes")
    return hashlib.sha256(os.urandom(MOST_SECRET_BYTES) + _here(time.time_ns())).digest()[:size]


class NoncePool:
    """Nonces of 12 or 8 bytes; `identity` is the socket's, `clock` counts nanoseconds."""

    __slots__ = ("__weakref__", "_clock", "_drawn", "_first", "_identity", "_second", "_until")

    def __init__(self, identity: bytes = b"", *, clock: Callable[[], int] = time.time_ns) -> None:
        self._identity = identity
        self._clock = clock
        self.forget()
        _POOLS.add(self)

    def forget(self) -> None:
        self._first, self._second = array("Q"), array("I")  # of each nonce 8 bytes and 4
        self._drawn = self._until = 0

    def __call__(self, size: int) -> bytes:
        """Return a nonce of `size` bytes that never repeats, here or in a copy of this pool."""
        now = self._clock()
        if not self._first or not self._drawn <= now < self._until:
            self._draw(now)
        if size == NONCE_BYTES:
            return _pack(self._first.pop() ^ now, self._second.pop())
        return _short(self._first.pop() ^ now, size)

    def _draw(self, now: int) -> None:
        seed = os.urandom(MOST_SECRET_BYTES) + _here(now) + self._identity
        block, middle = hashlib.shake_256(seed).digest(BLOCK_NONCES * NONCE_BYTES), BLOCK_NONCES * SHORT_BYTES
        self._first, self._second = array("Q", block[:middle]), array("I", block[middle:])
        self._drawn, self._until = now, now + HELD_NS


def _short(value: int, size: int) -> bytes:
    if size != SHORT_BYTES:
        raise ValueError(f"a nonce has {SHORT_BYTES} or {NONCE_BYTES} bytes: secrets are not drawn ahead")
    return value.to_bytes(SHORT_BYTES, "big")


def _here(now: int) -> bytes:
    """Return 20 bytes that distinguish this process at this moment from its copies."""
    return _here_bytes(now, time.monotonic_ns(), os.getpid())


_POOLS: WeakSet[NoncePool] = WeakSet()


def _forget_all() -> None:
    for pool in _POOLS:
        pool.forget()


os.register_at_fork(after_in_child=_forget_all)

"""Range nonces: a proof of receipt that costs two evaluations to check, whatever the length of the run.

Response packet p carries r(p) xor r(p+1), where r is a keyed pseudo-random function of the packet number (AES in
counter order, 64 bits each, keyed per connection). The xor over a received run [a, b) is r(a) xor r(b).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

NONCE_BYTES = 8
_ECB = modes.ECB()
_BLOCK_BITS = 128
_ENDS = struct.Struct(">8xQ8xQ")  # two counter blocks
_HALVES = struct.Struct(">4Q")


class NonceSequence:
    """The sequence r of one connection; `key` is 16 bytes that the client never sees."""

    __slots__ = ("_encrypt", "_start", "_stop", "_value")

    def __init__(self, key: bytes) -> None:
        # ECB over distinct counter blocks is the raw permutation: a PRF of the counter.
        self._encrypt = Cipher(algorithms.AES(key), _ECB).encryptor().update
        self._start = self._stop = self._value = 0

    def value(self, number: int) -> int:
        block = self._encrypt((number >> 1).to_bytes(16, "big"))
        return int.from_bytes(block[8:] if number & 1 else block[:8], "big")

    def run(self, start: int, stop: int) -> int:
        """Return the nonce of the run [start, stop); the last result is cached."""
        if start == self._start and stop == self._stop:
            return self._value
        a, b, c, d = _HALVES.unpack(self._encrypt(_ENDS.pack(start >> 1, stop >> 1)))
        value: int = (b if start & 1 else a) ^ (d if stop & 1 else c)
        self._start, self._stop, self._value = start, stop, value
        return value

    def holds(self, runs: Sequence[tuple[int, int, int]]) -> bool:
        """Return True when every run (start, stop, nonce) has the nonce of its range."""
        ends = [number >> 1 for start, stop, _ in runs for number in (start, stop)]
        pack, unpack = _blocks(len(ends))
        halves = iter(unpack(self._encrypt(pack(*ends))))
        for (start, stop, nonce), a, b, c, d in zip(runs, halves, halves, halves, halves, strict=True):
            if (b if start & 1 else a) ^ (d if stop & 1 else c) != nonce:
                return False
        return True

    def proofs(self, start: int, stop: int) -> list[int]:
        """Return the nonce of each packet in [start, stop), in one cipher call."""
        if stop - start == 1:
            return [self.run(start, stop)]
        first = start >> 1
        blocks = (stop >> 1) - first + 1
        ones, ramp = _counters(blocks)
        stream = self._encrypt((first * ones + ramp).to_bytes(16 * blocks, "big"))
        number = int.from_bytes(stream, "big")
        paired = (number ^ (number << 64)).to_bytes(16 * blocks + 8, "big")
        return list(struct.unpack_from(f">{stop - start}Q", paired, 8 + 8 * (start & 1)))


@lru_cache(maxsize=128)
def _blocks(count: int) -> tuple[Callable[..., bytes], Callable[[bytes], tuple[int, ...]]]:
    """Return a packer of `count` numbers into counter blocks, and an unpacker of encrypted blocks into halves."""
    return struct.Struct(">" + count * "8xQ").pack, struct.Struct(f">{2 * count}Q").unpack


@lru_cache(maxsize=128)
def _counters(blocks: int) -> tuple[int, int]:
    """Return integers that make `first * ones + ramp` the counter blocks first, first + 1, ... in a row."""
    ones = sum(1 << (_BLOCK_BITS * index) for index in range(blocks))
    ramp = sum((blocks - 1 - index) << (_BLOCK_BITS * index) for index in range(blocks))
    return ones, ramp

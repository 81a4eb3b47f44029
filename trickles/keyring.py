"""Key epochs shared by a fleet, and sealing under them; purposes and connections never share a key.

A keyring is a value: rotation makes a new one. It seals with the newest epoch in force and opens with any that it
holds. Sealed values are `epoch id (4) | nonce (12) | AES-256-GCM ciphertext and tag`, the subkey of each connection
and purpose derived by HKDF-Expand (RFC 5869), so that the 2^32 limit on random nonces holds per connection.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from trickles.errors import Forged, KeyringError, UnknownEpoch
from trickles.service import Buffer

KEY_BYTES = 32
SEAL_OVERHEAD = 4 + 12 + 16
_EMPTY = b""
_BLOCK_BYTES = 64  # of SHA-256
_INNER, _OUTER = (bytes([byte ^ pad for byte in range(256)]) for pad in (0x36, 0x5C))  # RFC 2104 section 2
_ALWAYS = 1 << 64  # later than any time


class Purpose(bytes, Enum):
    """Purposes of sealed values and derived keys; one never opens as another."""

    TRANSPORT = b"trickles 1 transport continuation"
    USER = b"trickles 1 user continuation"
    IDENTITY = b"trickles 1 connection identity"
    NONCE = b"trickles 1 range nonces"
    COOKIE = b"trickles 1 hello cookie"
    SIZE = b"trickles 1 datagram size"
    HELLO = b"trickles 1 hello key"
    ONE_TIME = b"trickles 1 hello one-time key"
    TO_SERVER = b"trickles 1 client to server"
    TO_CLIENT = b"trickles 1 server to client"
    SPOOL = b"trickles 1 spool receipts"
    PIECE = b"trickles 1 spool pieces"
    SESSION = b"trickles 1 application sessions"
    SUBJECT = b"trickles 1 subjects of news"

    __hash__ = bytes.__hash__  # a member is its bytes: it equals them, and hashes as fast as they do


def expand(key: bytes, purpose: Purpose, context: bytes = _EMPTY, length: int = KEY_BYTES) -> bytes:
    """HKDF-Expand with SHA-256 (RFC 5869 section 2.3), one block: at most 32 bytes, from a key of at most 64.

    HMAC is written out because each new connection derives keys, and `hmac.digest` takes 1.5 times as long.
    """
    padded = key.ljust(_BLOCK_BYTES, b"\0")
    if len(padded) > _BLOCK_BYTES:
        raise ValueError("a key of more than 64 bytes")
    inner = sha256(padded.translate(_INNER) + purpose + len(context).to_bytes(2, "big") + context + b"\x01").digest()
    return sha256(padded.translate(_OUTER) + inner).digest()[:length]


@dataclass(frozen=True, slots=True)
class Epoch:
    """A key and its period: it seals from `not_before` (microseconds since 1970) on, and opens while it is listed."""

    identifier: int
    key: bytes = field(repr=False)
    not_before: int = 0
    certificate: bytes = _EMPTY  # the identity's signature over this epoch's hello key; see handshake

    def __post_init__(self) -> None:
        if len(self.key) != KEY_BYTES or not 0 <= self.identifier < 1 << 32:
            raise KeyringError("an epoch has a 32-bit id and a 32-byte key")

    def derive(self, purpose: Purpose, context: bytes = _EMPTY, length: int = KEY_BYTES) -> bytes:
        """Derive a key of this epoch for one purpose and context."""
        return expand(self.key, purpose, context, length)


@dataclass(frozen=True, slots=True)
class Keyring:
    """The live epochs, oldest first; equal keyrings make equal replicas."""

    epochs: tuple[Epoch, ...]

    def __post_init__(self) -> None:
        identifiers = [epoch.identifier for epoch in self.epochs]
        if not identifiers or len(set(identifiers)) != len(identifiers):
            raise KeyringError("a keyring holds at least one epoch, each id once")

    def newest(self, now: int) -> Epoch:
        """Return the epoch that seals at `now`: the last one in force, or the first if none is yet."""
        if len(self.epochs) == 1:
            return self.epochs[0]
        in_force = [epoch for epoch in self.epochs if epoch.not_before <= now]
        return max(in_force, key=lambda epoch: (epoch.not_before, epoch.identifier)) if in_force else self.epochs[0]

    def latest(self) -> Epoch:
        """Return the epoch that begins last, which may be to come."""
        return max(self.epochs, key=lambda epoch: (epoch.not_before, epoch.identifier))

    def period(self, now: int) -> tuple[Epoch, int, int]:
        """Return the epoch that seals at `now`, and the times [start, stop) between which it does."""
        stop = _ALWAYS
        for each in self.epochs:
            if now < each.not_before < stop:
                stop = each.not_before
        epoch = self.newest(now)
        return epoch, epoch.not_before if epoch.not_before <= now else -_ALWAYS, stop

    def find(self, identifier: int) -> Epoch:
        """Return the epoch of that id; UnknownEpoch when it is not held."""
        for epoch in self.epochs:
            if epoch.identifier == identifier:
                return epoch
        raise UnknownEpoch("unknown epoch")

    def seal(self, purpose: Purpose, context: bytes, plaintext: bytes, *, nonce: bytes, now: int) -> bytes:
        """Seal for `purpose` and `context` (a connection id, say); `nonce` is 12 random bytes."""
        return Sealer(self.newest(now), purpose, context).seal(nonce, plaintext)

    def open_untrusted(self, purpose: Purpose, context: bytes, sealed: bytes) -> bytes:
        """Undo `seal`; every failure is Forged (UnknownEpoch when only the epoch is not held)."""
        if len(sealed) < SEAL_OVERHEAD:
            raise Forged("too short to be sealed")
        epoch = self.find(int.from_bytes(sealed[:4], "big"))
        try:
            return _cipher(epoch.key, purpose, context).decrypt(sealed[4:16], sealed[16:], sealed[:4] + purpose.value)
        except InvalidTag:
            raise Forged("not sealed by this keyring") from None


class Sealer:
    """Seals as `Keyring.seal` does, under one epoch, purpose and context.

    A sealed value is `prefix | nonce | encrypt(nonce, plaintext, bound)`.
    """

    __slots__ = ("bound", "encrypt", "prefix")

    def __init__(self, epoch: Epoch, purpose: Purpose, context: bytes) -> None:
        self.prefix = epoch.identifier.to_bytes(4, "big")
        self.bound = self.prefix + purpose.value
        self.encrypt = _cipher(epoch.key, purpose, context).encrypt

    def seal(self, nonce: bytes, plaintext: bytes) -> bytes:
        return self.prefix + nonce + self.encrypt(nonce, plaintext, self.bound)


class Stamp:
    """Tags for bytes stored in the clear: a tag fits these bytes at this place under this key alone (GMAC)."""

    __slots__ = ("_seal",)

    def __init__(self, key: bytes, purpose: Purpose, context: bytes) -> None:
        self._seal = AESGCM(expand(key, purpose, context)).encrypt

    def tag(self, place: bytes, data: Buffer) -> bytes:
        """Return 16 bytes; `place` has 12. If others may write the bytes too, keep the tags secret from them."""
        return self._seal(place, _EMPTY, data)


def with_epoch(ring: Keyring | None, fresh: Epoch, *, keep: int = 3) -> Keyring:
    """Return the keyring after a rotation: `fresh` added, at most `keep` epochs left, the oldest dropped first."""
    epochs: Iterable[Epoch] = (*(ring.epochs if ring else ()), fresh)
    return Keyring(tuple(sorted(epochs, key=lambda epoch: (epoch.not_before, epoch.identifier))[-keep:]))


def fingerprint(data: bytes) -> str:
    """Return a short public name of key material, for people to compare."""
    return sha256(data).hexdigest()[:16]


@lru_cache(maxsize=1024)
def _cipher(key: bytes, purpose: Purpose, context: bytes) -> AESGCM:
    return AESGCM(expand(key, purpose, context))

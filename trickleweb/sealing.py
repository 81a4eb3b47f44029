"""Values that a client holds but can neither read nor change, sealed for a purpose, a time and a principal.

A token is base64url of `salt (8) | epoch (4) | nonce (12) | ciphertext and tag`, the plaintext `expiry (8) | data`. The
key follows from the epoch, the purpose, the principal and the salt, so no key ever seals more than a few values. Salt
and nonce follow from entropy, context and plaintext: repeated entropy, as in a request that is run again on another
replica, seals equal values equally and never two values under one nonce.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import NoReturn

from trickles.errors import BadPacket
from trickles.keyring import SEAL_OVERHEAD, Keyring, Purpose
from trickleweb.errors import WebError

MIN_ENTROPY_BYTES = 16
MAX_SEALED_CHARS = 1 << 20  # longer text is not decoded
_SALT_BYTES, _NONCE_BYTES, _TIME_BYTES = 8, 12, 8
_OVERHEAD_BYTES = _SALT_BYTES + SEAL_OVERHEAD + _TIME_BYTES
_TOKEN = re.compile(r"[0-9A-Za-z_-]+")


class BadSeal(WebError):
    """An invalid sealed value, without the reason: forged, cut, expired or another's."""

    def __init__(self) -> None:
        super().__init__("the sealed value cannot be used")


@dataclass(frozen=True, slots=True)
class Unsealed:
    """The data of a token, and its expiry in microseconds since 1970."""

    data: bytes
    expires: int


def seal(ring: Keyring, purpose: str, data: bytes, *, ttl: int, now: int, entropy: bytes, principal: str = "") -> str:
    """Seal `data` for `ttl` microseconds from `now` on; only `unseal` with the same purpose and principal opens it.

    The newest epoch seals. `entropy` is at least 16 unguessable bytes. ValueError for less, or a `ttl` of 0.
    """
    if len(entropy) < MIN_ENTROPY_BYTES or ttl <= 0:
        raise ValueError("sealing takes 16 bytes of entropy and a time to live")
    context = _digest(purpose, principal)
    plaintext = (now + ttl).to_bytes(_TIME_BYTES, "big") + data
    mixed = hmac.digest(entropy, context + plaintext, "sha256")
    salt, nonce = mixed[:_SALT_BYTES], mixed[_SALT_BYTES : _SALT_BYTES + _NONCE_BYTES]
    sealed = ring.seal(Purpose.SESSION, context + salt, plaintext, nonce=nonce, now=now)
    return base64.urlsafe_b64encode(salt + sealed).rstrip(b"=").decode("ascii")


def unseal(ring: Keyring, purpose: str, token: str, *, now: int, principal: str = "") -> Unsealed:
    """Open the value of `seal`, under any epoch still held; raise `BadSeal`, always the same."""
    sealed = _decoded(token)
    salt = sealed[:_SALT_BYTES]
    try:
        context = _digest(purpose, principal) + salt
        plaintext = ring.open_untrusted(Purpose.SESSION, context, sealed[_SALT_BYTES:])
    except BadPacket:
        refuse()
    expires = int.from_bytes(plaintext[:_TIME_BYTES], "big")
    if now >= expires:
        refuse()
    return Unsealed(plaintext[_TIME_BYTES:], expires)


def sealed_chars(data_bytes: int) -> int:
    """Return the length of a token for that much data."""
    return -(-4 * (data_bytes + _OVERHEAD_BYTES) // 3)


def refuse() -> NoReturn:
    """Raise the one error, without its cause."""
    raise BadSeal from None


def _digest(purpose: str, principal: str) -> bytes:
    """Return the context of a token; each part with its length, so that no two pairs are encoded alike."""
    parts = (purpose.encode("utf-8", "surrogatepass"), principal.encode("utf-8", "surrogatepass"))
    return hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()


def _decoded(token: str) -> bytes:
    """Return the bytes of a token in its one canonical encoding."""
    if len(token) > MAX_SEALED_CHARS or not _TOKEN.fullmatch(token):
        refuse()
    try:
        sealed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except binascii.Error:
        refuse()
    if base64.urlsafe_b64encode(sealed).rstrip(b"=") != token.encode("ascii"):
        refuse()  # unused bits after the last byte are not zero
    return sealed

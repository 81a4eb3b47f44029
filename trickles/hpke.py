"""HPKE (RFC 9180) in base mode for one message: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM.

Written out because `cryptography.hazmat.primitives.hpke` draws its one-time key from OpenSSL's generator, which draws
ahead for minutes: two copies of one process (a machine restored twice from a snapshot) would seal two messages under
one AES key and nonce. Here the caller gives the one-time key. Tests exchange messages with the library, both ways.
"""

from __future__ import annotations

import hmac
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from trickles.errors import Forged

SHARE_BYTES = 32
_KEM = b"KEM\x00\x20"
_SUITE = b"HPKE\x00\x20\x00\x01\x00\x01"
_HASH_BYTES = 32


class Recipient:
    """A key pair to seal messages to; `private` is a raw X25519 key, 32 bytes."""

    __slots__ = ("_private", "public")

    def __init__(self, private: bytes) -> None:
        self._private = X25519PrivateKey.from_private_bytes(private)
        self.public = self._private.public_key().public_bytes_raw()

    def open_untrusted(self, info: bytes, sealed: bytes) -> bytes:
        """Undo `seal`; Forged when it was sealed to another key or with another `info`."""
        share = sealed[:SHARE_BYTES]
        try:
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(share))
            key, nonce = _schedule(shared, share + self.public, info)
            return AESGCM(key).decrypt(nonce, sealed[SHARE_BYTES:], b"")
        except (InvalidTag, ValueError):
            raise Forged("not sealed to this key") from None


def seal(one_time: bytes, public: bytes, info: bytes, plaintext: bytes) -> bytes:
    """Return share, ciphertext and tag; `one_time` is a raw private key for this message alone.

    ValueError when `public` is not a valid key.
    """
    private = X25519PrivateKey.from_private_bytes(one_time)
    share = private.public_key().public_bytes_raw()
    shared = private.exchange(X25519PublicKey.from_public_bytes(public))
    key, nonce = _schedule(shared, share + public, info)
    return share + AESGCM(key).encrypt(nonce, plaintext, b"")


def _schedule(shared: bytes, publics: bytes, info: bytes) -> tuple[bytes, bytes]:
    """Derive key and nonce: ExtractAndExpand of section 4.1, KeySchedule of section 5.1."""
    secret = _expand(_KEM, _extract(_KEM, b"", b"eae_prk", shared), b"shared_secret", publics, _HASH_BYTES)
    context = _NO_PSK + _info_hash(info)
    start = _extract(_SUITE, secret, b"secret", b"")
    return _expand(_SUITE, start, b"key", context, 16), _expand(_SUITE, start, b"base_nonce", context, 12)


@lru_cache(maxsize=64)
def _info_hash(info: bytes) -> bytes:
    return _extract(_SUITE, b"", b"info_hash", info)


def _extract(suite: bytes, salt: bytes, label: bytes, value: bytes) -> bytes:
    return hmac.digest(salt or bytes(_HASH_BYTES), b"HPKE-v1" + suite + label + value, "sha256")


def _expand(suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.digest(key, labelled + b"\x01", "sha256")[:length]


_NO_PSK = b"\0" + _extract(_SUITE, b"", b"psk_id_hash", b"")

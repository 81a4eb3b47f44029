"""The handshake, one round trip: HPKE (RFC 9180) to an epoch key that the fleet's Ed25519 identity signs."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from trickles import hpke
from trickles.errors import BadPacket, IdentityError, KeyringError
from trickles.keyring import Epoch, Keyring, Purpose, expand
from trickles.limits import SECOND
from trickles.wire.hello import (
    HELLO_HEADER_BYTES,
    HPKE_OVERHEAD,
    INSIDE_BYTES,
    NO_COOKIE,
    Certificate,
    Hello,
    HelloInside,
    parse_certificate_untrusted,
    parse_inside_untrusted,
)
from trickles.wire.kinds import Suite

_INFO = b"trickles 1 hello"
DAY = 24 * 3600 * SECOND
CERTIFICATE_LIFE = 30 * DAY  # from an epoch's start: a leaked key is worthless after it
ROTATE_EVERY = 7 * DAY  # three rotations may fail before clients notice
ROTATION_OVERLAP = 3600 * SECOND  # from an epoch's start: some replicas may not have it yet
CLOCK_TOLERANCE = 3600 * SECOND  # how early a certificate may begin for a client whose clock is late
MAX_EARLY_INPUT = 1200 - HELLO_HEADER_BYTES - HPKE_OVERHEAD - INSIDE_BYTES


class EpochKeys:
    """The hello key and certificate of one epoch."""

    __slots__ = ("_recipient", "certificate", "epoch")

    def __init__(self, epoch: Epoch) -> None:
        self.epoch = epoch
        self._recipient = hpke.Recipient(epoch.derive(Purpose.HELLO))
        self.certificate = epoch.certificate

    def open_hello_untrusted(self, hello: Hello) -> HelloInside:
        """Open the sealed part; Forged when it is not for this epoch, BadPacket when malformed inside."""
        return parse_inside_untrusted(self._recipient.open_untrusted(_INFO + hello.bound(), hello.sealed))


def hello_public_key(epoch: Epoch) -> bytes:
    """Return the public half of the epoch's hello key, 32 bytes."""
    return hpke.Recipient(epoch.derive(Purpose.HELLO)).public


def identity_public(identity: bytes) -> bytes:
    """Return the public half (32 bytes) of a raw Ed25519 identity key."""
    return _identity(identity).public_key().public_bytes_raw()


def certify(epoch: Epoch, identity: bytes, *, life: int = CERTIFICATE_LIFE) -> Epoch:
    """Return the epoch, certified by the raw Ed25519 private key `identity` for `life` from its start."""
    key, public = hello_public_key(epoch), identity_public(identity)
    ends = min(epoch.not_before + life, (1 << 64) - 1)
    unsigned = Certificate(epoch.identifier, epoch.not_before, ends, key, public, bytes(64))
    signature = _identity(identity).sign(unsigned.signed())
    return replace(epoch, certificate=replace(unsigned, signature=signature).encode())


def verify_certificate_untrusted(data: bytes, pinned: bytes | None, *, wall: int | None = None) -> Certificate:
    """Return the certificate, its signature checked; IdentityError when the identity is not the pinned one.

    With `wall` (microseconds since 1970) a certificate that has ended, or not begun, is an IdentityError too.
    """
    certificate = _signed_untrusted(data)
    if pinned is not None and not hmac.compare_digest(certificate.identity, pinned):
        raise IdentityError("the fleet's identity is not the expected one")
    if wall is not None:
        check_time(certificate, wall)
    return certificate


def check_time(certificate: Certificate, wall: int) -> None:
    """Raise IdentityError, which says what to do, unless the certificate is valid at that time."""
    name = f"the certificate of epoch {certificate.epoch:08x}"
    if wall > certificate.not_after:
        days = (wall - certificate.not_after) // DAY
        raise IdentityError(
            f"{name} ended {days} days ago: `trickles keys rotate` where the fleet's identity is kept makes a new one, "
            "which all replicas must get"
        )
    if wall + CLOCK_TOLERANCE < certificate.not_before:
        raise IdentityError(f"{name} begins later than now: the clock of this machine, or of the fleet, is wrong")


def check_fresh(certificate: Certificate, newest: int, wall: int) -> None:
    """Raise IdentityError if a certificate that began at `newest` has replaced this one.

    For ROTATION_OVERLAP from then on some replicas may still have the older one. Later an older certificate comes from
    a holder of a dropped key, or from a replica that was forgotten.
    """
    if certificate.not_before // SECOND < newest // SECOND and wall > newest + ROTATION_OVERLAP:
        raise IdentityError(
            f"the certificate of epoch {certificate.epoch:08x} is older than one seen before: a replica without the "
            "fleet's newest epoch, or an attacker with an old key of it"
        )


@lru_cache(maxsize=64)
def _signed_untrusted(data: bytes) -> Certificate:
    """Parse a certificate and check its signature by the key in it; cached, for clients meet the same few."""
    certificate = parse_certificate_untrusted(data)
    try:
        Ed25519PublicKey.from_public_bytes(certificate.identity).verify(certificate.signature, certificate.signed())
    except (InvalidSignature, ValueError):
        raise BadPacket("certificate signature does not verify") from None
    return certificate


def seal_hello(certificate: Certificate, suite: Suite, inside: HelloInside, *, size: int) -> Hello:
    """Return a hello of `size` bytes to the certified epoch; IdentityError when the certified key is invalid.

    The one-time key is derived from the secret and all sealed fields: equal hellos are equal bytes, and different ones
    never share a key, even if two copies of a client hold the same secret.
    """
    bound = Hello(suite, certificate.epoch, NO_COOKIE, b"").bound()
    plaintext = inside.encode(size - HELLO_HEADER_BYTES - HPKE_OVERHEAD)
    message = hashlib.sha256(bound + certificate.hello_key + plaintext).digest()
    try:
        one_time = expand(inside.secret, Purpose.ONE_TIME, message)
        sealed = hpke.seal(one_time, certificate.hello_key, _INFO + bound, plaintext)
    except ValueError:
        raise IdentityError("the certified key cannot be used") from None
    return Hello(suite, certificate.epoch, NO_COOKIE, sealed)


def make_cookie(ring: Keyring, address: bytes, *, now: int) -> bytes:
    """Return a stateless cookie (24 bytes) for a host address in 16 bytes: issue time, keyed hash (RFC 9147 5.1)."""
    issued = now.to_bytes(8, "big")
    return issued + _cookie_mac(ring.newest(now), issued, address)


def valid_cookie(ring: Keyring, cookie: bytes, address: bytes, *, now: int, life: int) -> bool:
    """Return True when an epoch in force at its time made this cookie for that address at most `life` microseconds ago.

    Only the epoch that sealed then and the one before it are tried, since a replica may have held that as the newest:
    a flood of false cookies costs little, however many epochs are held.
    """
    issued = cookie[:8]
    then = int.from_bytes(issued, "big")
    if not -life <= now - then <= life:
        return False
    newest = ring.newest(then)
    makers = dict.fromkeys((newest, ring.newest(newest.not_before - 1)))
    return any(hmac.compare_digest(cookie[8:], _cookie_mac(each, issued, address)) for each in makers)


def _cookie_mac(epoch: Epoch, issued: bytes, address: bytes) -> bytes:
    return epoch.derive(Purpose.COOKIE, issued + address, 16)


def _identity(raw: bytes) -> Ed25519PrivateKey:
    try:
        return Ed25519PrivateKey.from_private_bytes(raw)
    except ValueError:
        raise KeyringError("an identity key has 32 bytes") from None

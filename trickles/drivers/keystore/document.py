"""Epochs as a JSON object, the same for one epoch's file, a whole keyring's file and the environment.

{"format": "trickles keyring 1",
 "epochs": [{"id": "8 hex digits", "not_before": microseconds since 1970, "key": "base64 of 32 bytes",
             "certificate": "base64 of the identity's certificate"}]}
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable

from trickles.errors import BadPacket, KeyringError
from trickles.handshake import hello_public_key, verify_certificate_untrusted
from trickles.keyring import KEY_BYTES, Epoch, Keyring

FORMAT = "trickles keyring 1"
MAX_EPOCHS = 64  # a year of weekly rotation, all kept
_IDENTIFIER = re.compile("[0-9a-f]{8}")
_LATEST = 253_402_300_800_000_000  # the year 10000, beyond datetime


def epoch_name(identifier: int) -> str:
    """Return an epoch's id as files and logs have it: 8 hex digits."""
    return f"{identifier:08x}"


def render(epochs: Iterable[Epoch]) -> bytes:
    """Return the document of these epochs, with their secrets."""
    rows = [
        {
            "id": epoch_name(epoch.identifier),
            "not_before": epoch.not_before,
            "key": base64.b64encode(epoch.key).decode(),
            "certificate": base64.b64encode(epoch.certificate).decode(),
        }
        for epoch in epochs
    ]
    return json.dumps({"format": FORMAT, "epochs": rows}, indent=1).encode() + b"\n"


def parse(data: bytes, name: str) -> tuple[Epoch, ...]:
    """Undo `render`; KeyringError, which contains `name` and never secrets, when that fails.

    Each epoch's certificate is checked against its key, so that damage is found here and not by clients.
    """
    try:
        document = json.loads(data.decode("ascii"))
    except (ValueError, RecursionError):
        raise KeyringError(f"{name} is damaged, or not a keyring") from None
    match document:
        case {"format": str(found), "epochs": list(rows), **rest} if found == FORMAT and not rest:
            if len(rows) > MAX_EPOCHS:
                raise KeyringError(f"{name} holds more than {MAX_EPOCHS} epochs")
            return tuple(_epoch(row, name) for row in rows)
        case {"format": str(found)} if found != FORMAT:
            raise KeyringError(
                f"{name} has another format than {FORMAT!r}: is this version of trickles too old for it?"
            )
    raise KeyringError(f"{name} is damaged, or not a keyring")


def keyring(epochs: Iterable[Epoch], name: str) -> Keyring:
    """Return the keyring of these epochs, oldest first; KeyringError for none, one twice, or two identities."""
    ordered = tuple(sorted(epochs, key=lambda epoch: (epoch.not_before, epoch.identifier)))
    try:
        ring = Keyring(ordered)
    except KeyringError:
        raise KeyringError(f"{name} holds no epoch, or one twice") from None
    fleet_identity(ring, name)
    return ring


def fleet_identity(ring: Keyring, name: str = "the keyring") -> bytes:
    """Return the Ed25519 public key (32 bytes) that certifies every epoch; KeyringError when there are several."""
    identities = {certified_identity(epoch, name) for epoch in ring.epochs}
    if len(identities) != 1:
        raise KeyringError(f"{name} holds epochs of several fleets")
    return identities.pop()


def certified_identity(epoch: Epoch, name: str) -> bytes:
    """Return the identity in the epoch's certificate; KeyringError when that is invalid or another epoch's."""
    try:
        certificate = verify_certificate_untrusted(epoch.certificate, None)
    except BadPacket:
        raise KeyringError(f"{name}: the certificate of epoch {epoch_name(epoch.identifier)} is damaged") from None
    certified = certificate.epoch, certificate.not_before, certificate.hello_key
    if certified != (epoch.identifier, epoch.not_before, hello_public_key(epoch)):
        raise KeyringError(f"{name}: the certificate of epoch {epoch_name(epoch.identifier)} is another epoch's")
    return certificate.identity


def _epoch(row: object, name: str) -> Epoch:
    match row:
        case {"id": str(id_), "not_before": int(since), "key": str(key), "certificate": str(vouched), **rest} if (
            not rest and _IDENTIFIER.fullmatch(id_) and not isinstance(since, bool) and 0 <= since < _LATEST
        ):
            epoch = Epoch(int(id_, 16), _bytes(key, name, KEY_BYTES), since, _bytes(vouched, name))
            certified_identity(epoch, name)
            return epoch
    raise KeyringError(f"{name} is damaged, or not a keyring")


def _bytes(text: str, name: str, length: int | None = None) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        data = b""
    if not data or (length is not None and len(data) != length):
        raise KeyringError(f"{name} is damaged: a key or certificate in it is cut or altered")
    return data

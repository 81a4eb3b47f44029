"""The wire format a second time, written from docs/wire-format.md alone: nothing here comes from the library."""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

PURPOSES = {
    "TRANSPORT": b"trickles 1 transport continuation",
    "USER": b"trickles 1 user continuation",
    "IDENTITY": b"trickles 1 connection identity",
    "NONCE": b"trickles 1 range nonces",
    "COOKIE": b"trickles 1 hello cookie",
    "HELLO": b"trickles 1 hello key",
    "SIZE": b"trickles 1 datagram size",
    "TO_SERVER": b"trickles 1 client to server",
    "TO_CLIENT": b"trickles 1 server to client",
    "SPOOL": b"trickles 1 spool receipts",
    "PIECE": b"trickles 1 spool pieces",
}
SEALED, OPEN = 1, 2
OPEN_ENDED = (1 << 64) - 1


def derived(key: bytes, purpose: str, context: bytes = b"", length: int = 32) -> bytes:
    """HKDF-Expand of a key for one purpose and context."""
    info = PURPOSES[purpose] + len(context).to_bytes(2, "big") + context
    return HKDFExpand(SHA256(), length, info).derive(key)


def connection_id(secret: bytes) -> bytes:
    """The first 8 bytes of a hash."""
    return sha256(b"trickles 1 connection" + secret).digest()[:8]


def identity(secret: bytes) -> bytes:
    """What the connection's own things are sealed under."""
    return derived(secret, "IDENTITY")


def sealed_value(epoch: int, key: bytes, purpose: str, connection: bytes, nonce: bytes, plaintext: bytes) -> bytes:
    """Epoch, nonce, ciphertext and tag."""
    prefix = struct.pack(">I", epoch)
    cipher = AESGCM(derived(key, purpose, connection))
    return prefix + nonce + cipher.encrypt(nonce, plaintext, prefix + PURPOSES[purpose])


def transport_plaintext(
    suite: int,
    embryo: bool,
    issued: int,
    address: bytes,
    size: int,
    law: tuple[int, int, int],
    secret: bytes,
    key: bytes,
) -> bytes:
    """What a transport continuation seals: 88 bytes."""
    head = struct.pack(">BBQ16sH", suite | (0x80 if embryo else 0), 1, issued, address, size)
    return head + struct.pack(">III", *law) + secret + key


def user_plaintext(issued: int, start: int, stop: int | None, consumed: int, state: bytes) -> bytes:
    """What a user continuation seals."""
    return struct.pack(">QQQQ", issued, start, OPEN_ENDED if stop is None else stop, consumed) + state


def body(fields: dict[str, Any]) -> bytes:
    """A request's body from its fields in the vectors' file."""
    runs, wants = fields.get("runs", []), fields.get("wants", [])
    user, data = bytes.fromhex(fields.get("user", "")), bytes.fromhex(fields.get("input", ""))
    numbers = [fields[name] for name in ("flags", "datagram_bytes", "lo", "hi", "restart_base")]
    made = struct.pack(">BHIIIBBHH", *numbers, len(runs), len(wants), len(user), len(data))
    made += b"".join(struct.pack(">II", start, stop) + bytes.fromhex(nonce) for start, stop, nonce in runs)
    made += b"".join(struct.pack(">QI", start, stop - start) for start, stop in wants) + user
    if fields["flags"] & 8:
        made += struct.pack(">Q", fields["input_offset"]) + data
    return made.ljust(200 - 133 - 16, b"\0")


def to_server(kind: int, suite: int, secret: bytes, blob: bytes, number: int, plaintext: bytes) -> bytes:
    """A request, ping or piece."""
    header = bytes((kind,)) + blob + struct.pack(">I", number)
    cipher, nonce = AESGCM(derived(secret, "TO_SERVER", connection_id(secret))), bytes(8) + struct.pack(">I", number)
    if suite == SEALED:
        return header + cipher.encrypt(nonce, plaintext, header)
    return header + plaintext + cipher.encrypt(nonce, b"", header + plaintext)


def reply_header(kind: int, second: int, request: int, salt: bytes, number: int, proof: int, offset: int) -> bytes:
    """The 32 bytes that every reply on a connection begins with."""
    return struct.pack(">BBH8sIQQ", kind, second, request & 0xFFFF, salt, number, proof, offset)


def to_client(suite: int, secret: bytes, clear: bytes, data: bytes, *, tagged: bool) -> bytes:
    """A reply: `clear` is header and frames."""
    cipher, nonce = AESGCM(derived(secret, "TO_CLIENT", connection_id(secret))), clear[4:16]
    if suite == SEALED:
        return clear + cipher.encrypt(nonce, data, clear)
    return clear + (cipher.encrypt(nonce, b"", clear) if tagged else b"") + data


def transport_frame(law: tuple[int, int, int], embryo: bool, blob: bytes) -> bytes:
    """A fresh transport continuation with its law in clear."""
    return struct.pack(">IIIBB", *law, 1, embryo) + blob


def user_frame(start: int, stop: int | None, consumed: int, blob: bytes) -> bytes:
    """A sealed user continuation with what it covers."""
    return struct.pack(">QQQH", start, OPEN_ENDED if stop is None else stop, consumed, len(blob)) + blob


def range_nonce(key: bytes, number: int) -> int:
    """r(number): half of an AES block over the number's half."""
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    block = encryptor.update(struct.pack(">QQ", 0, number // 2))
    return int.from_bytes(block[8:] if number % 2 else block[:8], "big")


def size_proof(epoch_key: bytes, address: bytes, size: int, hour: int) -> int:
    """What a pong says of its size to that address, in that hour."""
    context = address + size.to_bytes(4, "big") + hour.to_bytes(8, "big")
    return int.from_bytes(derived(epoch_key, "SIZE", context, 8), "big")


def receipt(key: bytes, store: bytes, start: int, stop: int) -> int:
    """s(start) xor s(stop), for a store."""
    marks = [derived(key, "SPOOL", store + struct.pack(">Q", at), 8) for at in (start, stop)]
    return int.from_bytes(marks[0], "big") ^ int.from_bytes(marks[1], "big")

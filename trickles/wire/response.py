"""Response packets: a 32-byte header, control frames when there are any, data.

Layout: kind (1) | flags (1) | low half of the request number (2) | salt (8) | packet number (4) | range nonce (8) |
output offset (8) | frames in clear | data, sealed | tag (16). Header and frames are associated data; salt and packet
number together are the AEAD nonce, so that a number answered twice never reuses one.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from trickles.errors import BadPacket
from trickles.law import LAWS
from trickles.trickle import Episode
from trickles.wire.coverage import read_stop, stop_field
from trickles.wire.kinds import ResponseFlag
from trickles.wire.transport import BLOB_BYTES, CONNECTION_BYTES

HEADER = struct.Struct(">BBH8sIQQ")
HEADER_BYTES = HEADER.size
TAG_BYTES = 16
SALT_BYTES = 8
NONCE = slice(4, 16)  # salt and packet number lie side by side
FRAME_FLAGS = ResponseFlag.TRANSPORT | ResponseFlag.USER
_LAW = struct.Struct(">IIIBB")
_USER = struct.Struct(">QQQH")
TRANSPORT_FRAME_BYTES = _LAW.size + BLOB_BYTES
_new = tuple.__new__  # faster than the class, for values made for every small exchange
CONTROL_COPIES = 3  # packets of a reply that repeat its control frames


class TransportFrame(NamedTuple):
    """A fresh transport continuation with its law fields in clear, for the client's computations."""

    episode: Episode
    embryo: bool
    blob: bytes

    @property
    def connection(self) -> bytes:
        return self.blob[:CONNECTION_BYTES]

    def encode(self) -> bytes:
        """Return 142 bytes."""
        return transport_frame(self.episode, self.embryo, self.blob)


class UserFrame(NamedTuple):
    """A sealed user continuation with the output range it covers and the input consumed before it."""

    start: int
    stop: int | None
    consumed: int
    blob: bytes
    more: bool = False  # output goes on after `stop`, covered by a continuation that derives from this one

    def encode(self) -> bytes:
        """Return 26 bytes and the sealed continuation."""
        return user_frame(self.start, self.stop, self.consumed, self.blob, more=self.more)


def transport_frame(episode: Episode, embryo: bool, blob: bytes) -> bytes:
    """Return the bytes of a TransportFrame of these fields."""
    base, start, ssthresh, law = episode
    return _LAW.pack(base, start, ssthresh, law, embryo) + blob


def user_frame(start: int, stop: int | None, consumed: int, blob: bytes, more: bool = False) -> bytes:
    """Return the bytes of a UserFrame of these fields."""
    field = stop_field(stop, more=more) if more or stop is None else stop
    return _USER.pack(start, field, consumed, len(blob)) + blob


class Frames(NamedTuple):
    """The control frames of one response packet and where its data begins."""

    transport: TransportFrame | None
    user: UserFrame | None
    data_at: int


def parse_frames_untrusted(datagram: bytes | memoryview, flags: int) -> Frames:
    """Parse the frames that `flags` announce; BadPacket when they do not fit."""
    at = HEADER_BYTES
    transport = user = None
    try:
        if flags & ResponseFlag.TRANSPORT:
            transport = parse_transport_untrusted(datagram, at)
            at += TRANSPORT_FRAME_BYTES
        if flags & ResponseFlag.USER:
            start, field, consumed, length = _USER.unpack_from(datagram, at)
            at += _USER.size
            stop, more = read_stop(field)
            user = _new(UserFrame, (start, stop, consumed, bytes(datagram[at : at + length]), more))
            at += length
    except struct.error:
        raise BadPacket("truncated frame") from None
    if at > len(datagram):
        raise BadPacket("truncated frame")
    return _new(Frames, (transport, user, at))


def parse_transport_untrusted(datagram: bytes | memoryview, at: int) -> TransportFrame:
    """Parse the transport frame at offset `at`."""
    try:
        base, start, ssthresh, law, embryo = _LAW.unpack_from(datagram, at)
    except struct.error:
        raise BadPacket("truncated frame") from None
    blob = bytes(datagram[at + _LAW.size : at + TRANSPORT_FRAME_BYTES])
    if len(blob) != BLOB_BYTES or law not in LAWS or embryo > 1:
        raise BadPacket("malformed transport frame")
    episode = _new(Episode, (base, start, ssthresh, law))
    return _new(TransportFrame, (episode, bool(embryo), blob))

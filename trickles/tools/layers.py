"""Datagrams as Scapy packets, one layer for each kind, to dissect and to forge.

Building a dissected packet gives the same bytes. Sealed parts are opaque here; see `opened`.
"""

from __future__ import annotations

import struct
from typing import Any

from scapy.fields import (
    ByteEnumField,
    ByteField,
    ConditionalField,
    FieldLenField,
    FlagsField,
    IntField,
    LongField,
    PacketField,
    ShortField,
    XIntField,
    XLongField,
    XStrField,
    XStrFixedLenField,
    XStrLenField,
)
from scapy.layers.inet import UDP
from scapy.packet import Packet, Raw, bind_layers

from trickles.law import LAWS
from trickles.service import Refusal
from trickles.wire.hello import COOKIE_BYTES
from trickles.wire.kinds import Kind, ResponseFlag, Suite
from trickles.wire.request import HEADER_BYTES as REQUEST_HEADER_BYTES
from trickles.wire.request import TAG_BYTES
from trickles.wire.response import HEADER_BYTES, TRANSPORT_FRAME_BYTES
from trickles.wire.transport import BLOB_BYTES, CONNECTION_BYTES

KINDS = {int(kind): kind.name for kind in Kind}
SUITES = {int(suite): suite.name for suite in Suite}
LAW_NAMES = {identifier: law.name for identifier, law in LAWS.items()}


class Layer(Packet):  # type: ignore[misc]
    """Base of the layers: bytes after a layer inside another belong to the outer one."""

    def extract_padding(self, rest: bytes) -> tuple[bytes, bytes]:
        """Return no payload, since these layers contain only fields."""
        return b"", rest


def kind_field(kind: Kind) -> Any:
    """Return the field of the first byte, version and kind."""
    return ByteEnumField("kind", int(kind), KINDS)


def _remaining(before: int, after: int) -> Any:
    return lambda packet: max(len(packet.original) - before - after, 0)


class TricklesContinuation(Layer):
    """A transport continuation: connection id, then a sealed value of 120 bytes."""

    name = "Trickles transport continuation"
    fields_desc = (
        XStrFixedLenField("connection", bytes(CONNECTION_BYTES), CONNECTION_BYTES),
        XIntField("epoch", 0),
        XStrFixedLenField("nonce", bytes(12), 12),
        XStrFixedLenField("sealed", bytes(BLOB_BYTES - 24), BLOB_BYTES - 24),
    )


class TricklesTransportFrame(Layer):
    """A fresh continuation with its law fields in clear."""

    name = "Trickles transport frame"
    fields_desc = (
        IntField("base", 0),
        IntField("start", 1),
        IntField("ssthresh", 1 << 16),
        ByteEnumField("law", 1, LAW_NAMES),
        ByteField("embryo", 0),
        PacketField("continuation", TricklesContinuation(), TricklesContinuation),
    )


class TricklesUserFrame(Layer):
    """A sealed user continuation with the output range it covers."""

    name = "Trickles user frame"
    fields_desc = (
        LongField("start", 0),
        LongField("stop", (1 << 64) - 1),
        LongField("consumed", 0),
        FieldLenField("size", None, length_of="blob", fmt="H"),
        XStrLenField("blob", b"", length_from=lambda packet: packet.size),
    )


class TricklesHello(Layer):
    """The first datagram of a connection, sealed to the fleet."""

    name = "Trickles hello"
    fields_desc = (
        kind_field(Kind.HELLO),
        ByteEnumField("suite", int(Suite.SEALED), SUITES),
        XIntField("epoch", 0),
        XStrFixedLenField("cookie", bytes(COOKIE_BYTES), COOKIE_BYTES),
        XStrFixedLenField("share", bytes(32), 32),
        XStrField("sealed", b""),
    )


class TricklesAsk(Layer):
    """A request for the certificate of the epoch in force."""

    name = "Trickles ask"
    fields_desc = (kind_field(Kind.ASK), XStrField("padding", bytes(199)))


class TricklesCertificate(Layer):
    """A certificate: the fleet's identity signs an epoch's hello key."""

    name = "Trickles certificate"
    fields_desc = (
        kind_field(Kind.CERTIFICATE),
        XIntField("epoch", 0),
        LongField("not_before", 0),
        LongField("not_after", 0),
        XStrFixedLenField("hello_key", bytes(32), 32),
        XStrFixedLenField("identity", bytes(32), 32),
        XStrFixedLenField("signature", bytes(64), 64),
        XStrField("rest", b""),
    )


class TricklesCookie(Layer):
    """A cookie, with which a client proves its address before any public-key work."""

    name = "Trickles cookie"
    fields_desc = (
        kind_field(Kind.COOKIE),
        LongField("issued", 0),
        XStrFixedLenField("mac", bytes(16), 16),
        XStrField("rest", b""),
    )


class TricklesRequest(Layer):
    """A request: continuation and number in clear, then the body, sealed or not, and its tag."""

    name = "Trickles request"
    fields_desc = (
        kind_field(Kind.REQUEST),
        PacketField("transport", TricklesContinuation(), TricklesContinuation),
        IntField("number", 1),
        XStrLenField("body", b"", length_from=_remaining(REQUEST_HEADER_BYTES, TAG_BYTES)),
        XStrFixedLenField("tag", bytes(TAG_BYTES), TAG_BYTES),
    )


class TricklesPing(TricklesRequest):
    """A ping: a request as large as the datagrams to probe for."""

    name = "Trickles ping"
    fields_desc = (kind_field(Kind.PING), *TricklesRequest.fields_desc[1:])


class TricklesPiece(TricklesRequest):
    """A piece of input for the spool, in the form of a request."""

    name = "Trickles piece"
    fields_desc = (kind_field(Kind.PIECE), *TricklesRequest.fields_desc[1:])


class TricklesAwait(TricklesRequest):
    """A question whether requests are at work, or a goodbye, in the form of a request."""

    name = "Trickles await"
    fields_desc = (kind_field(Kind.AWAIT), *TricklesRequest.fields_desc[1:])


def _reply_fields(kind: Kind, second: Any, number: str, proof: str) -> tuple[Any, ...]:
    return (
        kind_field(kind),
        second,
        ShortField("request", 0),
        XStrFixedLenField("salt", bytes(8), 8),
        IntField(number, 0),
        XLongField(proof, 0),
        LongField("offset", 0),
    )


_RESPONSE_FLAGS = FlagsField("flags", 0, 8, ["TRANSPORT", "USER", "SHORT", "END", "REPEATED", "SMALL"])


class TricklesResponse(Layer):
    """A response packet; `data` ends with the tag where there is one (in suite open it begins with it)."""

    name = "Trickles response"
    fields_desc = (
        *_reply_fields(Kind.RESPONSE, _RESPONSE_FLAGS, "number", "proof"),
        ConditionalField(
            PacketField("transport", TricklesTransportFrame(), TricklesTransportFrame),
            lambda packet: bool(int(packet.flags) & ResponseFlag.TRANSPORT),
        ),
        ConditionalField(
            PacketField("user", TricklesUserFrame(), TricklesUserFrame),
            lambda packet: bool(int(packet.flags) & ResponseFlag.USER),
        ),
        XStrField("data", b""),
    )


def _brings_transport(packet: Any) -> bool:
    """Return True when a refusal brings a continuation, which only its length shows."""
    if packet.original:
        return len(packet.original) == HEADER_BYTES + TRANSPORT_FRAME_BYTES + TAG_BYTES
    return packet.fields.get("transport") is not None


class TricklesRefusal(Layer):
    """A refusal: the reason, and sometimes a continuation that helps; a heartbeat stands at the beginning of `tag`."""

    name = "Trickles refusal"
    fields_desc = (
        *_reply_fields(
            Kind.REFUSAL, ByteEnumField("code", 1, {int(each): each.name for each in Refusal}), "number", "zero"
        ),
        ConditionalField(PacketField("transport", None, TricklesTransportFrame), _brings_transport),
        XStrField("tag", b""),
    )


class TricklesPong(Layer):
    """A pong: the answer to a ping, of the same size."""

    name = "Trickles pong"
    fields_desc = (*_reply_fields(Kind.PONG, ByteField("flags", 0), "number", "proof"), XStrField("sealed", b""))


class TricklesReceipt(Layer):
    """A receipt: input [offset, stop) lies in the spool."""

    name = "Trickles receipt"
    fields_desc = (
        *_reply_fields(Kind.RECEIPT, ByteField("flags", 0), "number", "receipt"),
        LongField("stop", 0),
        XStrField("tag", b""),
    )


class TricklesAwaited(Layer):
    """The answer to an await: bit i of `mask` is set if the i-th named request is at work."""

    name = "Trickles awaited"
    fields_desc = (
        kind_field(Kind.AWAITED),
        ByteField("flags", 0),
        ShortField("request", 0),
        XStrFixedLenField("salt", bytes(8), 8),
        IntField("number", 0),
        XLongField("incarnation", 0),
        XLongField("mask", 0),
        XStrField("tag", b""),
    )


LAYERS: dict[int, type[Layer]] = {
    Kind.HELLO: TricklesHello,
    Kind.ASK: TricklesAsk,
    Kind.CERTIFICATE: TricklesCertificate,
    Kind.COOKIE: TricklesCookie,
    Kind.REQUEST: TricklesRequest,
    Kind.RESPONSE: TricklesResponse,
    Kind.REFUSAL: TricklesRefusal,
    Kind.PING: TricklesPing,
    Kind.PONG: TricklesPong,
    Kind.PIECE: TricklesPiece,
    Kind.RECEIPT: TricklesReceipt,
    Kind.AWAIT: TricklesAwait,
    Kind.AWAITED: TricklesAwaited,
}


class Trickles(Layer):
    """Any datagram: dissecting one returns the layer of its kind."""

    name = "Trickles"
    fields_desc = (ByteEnumField("kind", 0, KINDS), XStrField("rest", b""))

    @classmethod
    def dispatch_hook(cls, datagram: bytes | None = None, *_: Any, **__: Any) -> type[Layer]:
        return LAYERS.get(datagram[0], cls) if datagram else cls


def dissect(datagram: bytes) -> Any:
    """Return the datagram as a layer of its kind, or as Scapy's Raw when it is malformed. Never raises."""
    try:
        return Trickles(bytes(datagram)) if datagram else Raw(b"")
    except (struct.error, ValueError, IndexError, TypeError):
        return Raw(bytes(datagram))


def bind(port: int) -> None:
    """Let Scapy dissect UDP datagrams from and to that port as Trickles."""
    bind_layers(UDP, Trickles, sport=port)
    bind_layers(UDP, Trickles, dport=port)

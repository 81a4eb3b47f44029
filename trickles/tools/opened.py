"""Sealed parts of datagrams as Scapy packets, for holders of the keyring."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scapy.fields import (
    BitEnumField,
    BitField,
    ByteEnumField,
    ConditionalField,
    FieldLenField,
    FlagsField,
    IntField,
    LongField,
    PacketListField,
    ShortField,
    StrField,
    StrLenField,
    XLongField,
    XStrFixedLenField,
    XStrLenField,
)

from trickles.tools.capture import Captured
from trickles.tools.layers import LAW_NAMES, SUITES, Layer
from trickles.tools.observer import DatagramObserver
from trickles.tools.opener import Opener
from trickles.tools.sightings import SeenHello, SeenRequest
from trickles.wire.kinds import RequestFlag

_NOWHERE = ("::", 0)


class TricklesTransportState(Layer):
    """The sealed state in a transport continuation."""

    name = "Trickles transport state"
    fields_desc = (
        BitField("embryo", 0, 1),
        BitEnumField("suite", 1, 7, SUITES),
        ByteEnumField("law", 1, LAW_NAMES),
        LongField("issued", 0),
        XStrFixedLenField("address", bytes(16), 16),
        ShortField("datagram_bytes", 1200),
        IntField("base", 0),
        IntField("start", 1),
        IntField("ssthresh", 1 << 16),
        XStrFixedLenField("secret", bytes(32), 32),
        XStrFixedLenField("nonce_key", bytes(16), 16),
    )


class TricklesRun(Layer):
    """A run of received numbers [start, stop), with the xor of their nonces."""

    name = "run"
    fields_desc = (IntField("start", 0), IntField("stop", 0), XLongField("nonce", 0))


class TricklesWant(Layer):
    """A range of wanted output bytes."""

    name = "want"
    fields_desc = (LongField("offset", 0), IntField("length", 0))


class TricklesRequestBody(Layer):
    """The body of a request."""

    name = "Trickles request body"
    fields_desc = (
        FlagsField("flags", 0, 8, ["RESTART", "CLEAN", "PROBE", "INPUT", "INPUT_END", "COMMIT", "INPUT_LOST"]),
        ShortField("datagram_bytes", 1200),
        IntField("lo", 0),
        IntField("hi", 0),
        IntField("restart_base", 0),
        FieldLenField("run_count", None, count_of="runs", fmt="B"),
        FieldLenField("want_count", None, count_of="wants", fmt="B"),
        FieldLenField("user_bytes", None, length_of="user", fmt="H"),
        FieldLenField("input_bytes", None, length_of="input", fmt="H"),
        PacketListField("runs", [], TricklesRun, count_from=lambda packet: packet.run_count),
        PacketListField("wants", [], TricklesWant, count_from=lambda packet: packet.want_count),
        XStrLenField("user", b"", length_from=lambda packet: packet.user_bytes),
        ConditionalField(LongField("input_offset", 0), lambda packet: bool(int(packet.flags) & RequestFlag.INPUT)),
        StrLenField("input", b"", length_from=lambda packet: packet.input_bytes),
        StrField("padding", b""),
    )


class TricklesHelloInside(Layer):
    """The sealed part of a hello."""

    name = "Trickles hello inside"
    fields_desc = (
        XStrFixedLenField("secret", bytes(32), 32),
        ShortField("datagram_bytes", 0),
        FlagsField("flags", 0, 8, ["INPUT_END"]),
        IntField("wanted", 0),
        FieldLenField("input_bytes", None, length_of="input", fmt="H"),
        StrLenField("input", b"", length_from=lambda packet: packet.input_bytes),
        StrField("padding", b""),
    )


class TricklesUserState(Layer):
    """The sealed state in a user continuation, without its time of issue."""

    name = "Trickles user state"
    fields_desc = (
        LongField("start", 0),
        LongField("stop", (1 << 64) - 1),
        LongField("consumed", 0),
        StrField("state", b""),
    )


def opened(datagram: bytes, opener: Opener) -> list[Any]:
    """Return the sealed parts of a hello or request as layers; none without the right keys. Never raises."""
    what = DatagramObserver(opener).see(Captured(0, _NOWHERE, _NOWHERE, datagram, len(datagram))).what
    if isinstance(what, SeenHello):
        return [TricklesHelloInside(what.inside.encode(0))] if what.inside else []
    return list(_request_parts(what)) if isinstance(what, SeenRequest) else []


def _request_parts(seen: SeenRequest) -> Iterator[Any]:
    if seen.opened is not None:
        yield TricklesTransportState(seen.opened.state.encode())
    if seen.body is not None:
        yield TricklesRequestBody(seen.body.encode())
    if seen.user is not None:
        value = seen.user
        stop = (1 << 64) - 1 if value.stop is None else value.stop
        yield TricklesUserState(start=value.start, stop=stop, consumed=value.consumed, state=value.state)

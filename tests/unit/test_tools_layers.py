"""The datagrams as Scapy packets: the fields are those of the codecs, and building gives the same bytes back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.packet import Raw, split_layers

from tests.support.fleetkeys import ring
from tests.support.peer import Peer
from tests.support.recording import recorded
from trickles.service import Refusal
from trickles.tools import Opener, bind, dissect, opened
from trickles.tools.layers import (
    LAYERS,
    Trickles,
    TricklesContinuation,
    TricklesCookie,
    TricklesPiece,
    TricklesPing,
    TricklesPong,
    TricklesReceipt,
    TricklesRefusal,
    TricklesRequest,
    TricklesResponse,
    TricklesTransportFrame,
    TricklesUserFrame,
)
from trickles.tools.opened import TricklesHelloInside, TricklesRequestBody, TricklesTransportState, TricklesUserState
from trickles.wire.awaiting import Awaited, await_body
from trickles.wire.kinds import Kind
from trickles.wire.piece import Receipt
from trickles.wire.refusal import parse_refusal_untrusted, refusal_header
from trickles.wire.request import RequestBody, parse_body_untrusted, split_untrusted
from trickles.wire.response import HEADER, parse_frames_untrusted
from trickles.wire.transport import BLOB_BYTES

SEEN = [each.payload for each in recorded(20_000)]
KINDS_SEEN = {datagram[0]: datagram for datagram in SEEN}


def rebuilt(packet: Any) -> bytes:
    """The packet built from its fields alone, without the bytes that it was dissected from."""
    return bytes(type(packet)(**packet.fields))


def only(kind: Kind) -> list[bytes]:
    return [datagram for datagram in SEEN if datagram[0] == kind]


def test_every_kind_has_a_layer_of_its_own() -> None:
    assert set(LAYERS) == set(Kind)
    assert len(set(LAYERS.values())) == len(Kind)


def test_questions_about_work_and_their_answers_are_taken_apart_and_put_together() -> None:
    peer = Peer("asks")
    question = dissect(peer.seal(await_body([3, 9]), blob=bytes(BLOB_BYTES), kind=Kind.AWAIT))
    assert (question.number, rebuilt(question)) == (peer.number, bytes(question))
    answer = dissect(Awaited(7, 0xABCD, 0b10).clear(b"saltsalt") + bytes(16))
    assert (answer.number, answer.incarnation, answer.mask, answer.salt) == (7, 0xABCD, 2, b"saltsalt")
    assert rebuilt(answer) == bytes(answer)


@pytest.mark.parametrize("kind", [Kind.ASK, Kind.CERTIFICATE, Kind.HELLO, Kind.REQUEST, Kind.RESPONSE])
def test_real_datagrams_are_taken_apart_and_put_together(kind: Kind) -> None:
    for datagram in only(kind):
        packet = dissect(datagram)
        assert type(packet) is LAYERS[kind]
        assert bytes(packet) == rebuilt(packet) == datagram


def test_a_response_has_the_fields_of_the_codec() -> None:
    datagram = only(Kind.RESPONSE)[0]
    packet, frames = dissect(datagram), parse_frames_untrusted(datagram, datagram[1])
    _, flags, request, salt, number, proof, offset = HEADER.unpack_from(datagram)
    assert frames.transport is not None
    assert frames.user is not None
    assert (int(packet.flags), packet.request, packet.salt, packet.number, packet.proof, packet.offset) == (
        (flags, request, salt, number, proof, offset)
    )
    assert bytes(packet.transport) == frames.transport.encode()
    assert bytes(packet.user) == frames.user.encode()
    assert packet.data == datagram[frames.data_at :]


def test_a_request_has_the_fields_of_the_codec() -> None:
    for datagram in only(Kind.REQUEST):
        packet, (header, blob, number) = dissect(datagram), split_untrusted(datagram)
        assert (bytes(packet.transport), packet.number) == (blob, number)
        assert packet.body == datagram[len(header) : -16]
        assert packet.tag == datagram[-16:]


# The kinds that a calm download does not show, made by hand
SALT = b"saltsalt"
FRAME = TricklesTransportFrame(base=3, continuation=TricklesContinuation(connection=b"8 bytes."))
MADE = {
    "cookie": TricklesCookie(issued=7, mac=bytes(16)),
    "ping": TricklesPing(number=4, body=bytes(1300)),
    "piece": TricklesPiece(number=5, body=b"sealed"),
    "pong": TricklesPong(request=4, number=4, sealed=bytes(1000)),
    "receipt": TricklesReceipt(number=5, offset=100, stop=200, tag=bytes(16)),
    "refusal": TricklesRefusal(code=1, number=6, request=6, tag=bytes(16)),
    "hint": TricklesRefusal(code=4, number=6, request=6),
    "challenge": TricklesRefusal(code=3, number=6, request=6, transport=FRAME, tag=bytes(16)),
    "request": TricklesRequest(number=7, body=b"sealed"),
    "plain response": TricklesResponse(number=8, data=b"sealed"),
    "response with a frame": TricklesResponse(flags="USER", user=TricklesUserFrame(stop=9, blob=b"sealed"), data=b"d"),
    "response with both": TricklesResponse(
        flags="TRANSPORT+USER+END", transport=FRAME, user=TricklesUserFrame(blob=b"sealed"), data=b"d"
    ),
}


@pytest.mark.parametrize("packet", MADE.values(), ids=MADE)
def test_what_is_made_is_taken_apart_as_what_it_is(packet: Any) -> None:
    again = dissect(bytes(packet))
    assert type(again) is type(packet)
    assert bytes(again) == rebuilt(again) == bytes(packet)


@pytest.mark.parametrize("name", ["refusal", "hint", "challenge"])
def test_a_made_refusal_is_read_by_the_codec(name: str) -> None:
    packet = MADE[name]
    head = parse_refusal_untrusted(bytes(packet))
    assert (head.code, head.request, len(head.tag)) == (Refusal(packet.code), 6, len(packet.tag))
    assert (head.transport is not None) == (name == "challenge")


def test_what_the_codec_makes_is_read_as_a_packet() -> None:
    refusal = dissect(refusal_header(Refusal.GONE, 0x1_0007, SALT) + bytes(16))
    assert (refusal.code, refusal.request, refusal.number, refusal.salt) == (Refusal.GONE, 7, 0x1_0007, SALT)
    receipt = dissect(Receipt(9, 100, 250, 77).clear(SALT) + bytes(16))
    assert (receipt.number, receipt.offset, receipt.stop, receipt.receipt) == (9, 100, 250, 77)


def test_the_keyring_opens_hellos_and_requests() -> None:
    opener = Opener(ring())
    (inside,) = opened(only(Kind.HELLO)[0], opener)
    assert isinstance(inside, TricklesHelloInside)
    assert inside.input == b"GET\n"
    state, body, user = opened(only(Kind.REQUEST)[-1], opener)
    assert isinstance(state, TricklesTransportState)
    assert isinstance(body, TricklesRequestBody)
    assert isinstance(user, TricklesUserState)
    assert (state.start, state.secret) == (10, inside.secret)
    assert (user.start, user.stop, user.consumed, user.state) == (0, 20_000, 4, b"f")
    assert body.lo < body.hi <= body.runs[-1].stop


def test_an_opened_body_is_the_codecs_and_can_be_built_again() -> None:
    body = RequestBody(8 | 16, 1200, 4, 6, 0, ((3, 5, 77), (6, 9, 78)), ((100, 250), (300, 301)), b"user", 40, b"input")
    packet = TricklesRequestBody(body.encode())
    assert [(run.start, run.stop, run.nonce) for run in packet.runs] == list(body.runs)
    assert [(want.offset, want.offset + want.length) for want in packet.wants] == list(body.wants)
    assert (packet.user, packet.input_offset, packet.input) == (b"user", 40, b"input")
    assert parse_body_untrusted(rebuilt(packet)) == body


@pytest.mark.parametrize("kind", [Kind.CERTIFICATE, Kind.RESPONSE, Kind.ASK])
def test_what_holds_nothing_sealed_by_the_keyring_opens_to_nothing(kind: Kind) -> None:
    assert opened(only(kind)[0], Opener(ring())) == []


def test_scapy_takes_bound_ports_apart_by_itself() -> None:
    datagram = only(Kind.HELLO)[0]
    bind(8443)
    try:
        packet = IP(bytes(IP() / UDP(sport=5, dport=8443) / datagram))
    finally:
        split_layers(UDP, Trickles, sport=8443)
        split_layers(UDP, Trickles, dport=8443)
    assert type(packet[UDP].payload) is LAYERS[Kind.HELLO]


# hostile


@pytest.mark.slow
def test_datagrams_cut_at_every_length_are_dissected_or_raw() -> None:
    for datagram in [*KINDS_SEEN.values(), *(bytes(packet) for packet in MADE.values())]:
        for length in range(len(datagram)):
            packet = dissect(datagram[:length])
            assert bytes(packet) == datagram[:length]
            assert opened(datagram[:length], Opener(ring())) == []


@given(kind=st.sampled_from([0, 0x21, 0xFF, *Kind]), rest=st.binary(max_size=300))
def test_random_datagrams_are_dissected_or_raw(kind: int, rest: bytes) -> None:
    datagram = bytes((kind,)) + rest
    packet = dissect(datagram)
    assert bytes(packet) == datagram
    assert isinstance(packet, Raw | LAYERS.get(kind, Trickles))
    assert packet.show(dump=True)

"""Sizes on the wire are part of the design: what each thing costs, and how little of a datagram is overhead."""

from tests.support.fleetkeys import WALL, epoch, ring
from tests.support.seals import seal_transport
from trickles.handshake import MAX_EARLY_INPUT
from trickles.limits import DEFAULT_LIMITS
from trickles.service import Refusal
from trickles.session import SessionKeys
from trickles.trickle import Episode
from trickles.wire import hello, piece, refusal, request, response
from trickles.wire.kinds import VERSION, Kind, Suite
from trickles.wire.transport import BLOB_BYTES, TransportState

FRAME = response.TransportFrame(Episode(1, 2, 3), True, bytes(128))


def test_a_transport_continuation_takes_128_bytes() -> None:
    state = TransportState(Suite.SEALED, True, WALL, bytes(16), 1200, Episode(0, 3, 9), bytes(32), bytes(16))
    assert len(seal_transport(ring(), bytes(8), state, nonce=bytes(12), now=WALL)) == BLOB_BYTES == 128


def test_a_plain_response_packet_costs_48_bytes_and_35_in_a_thousand_at_1400() -> None:
    assert (response.HEADER_BYTES, response.TAG_BYTES) == (32, 16)
    assert (response.HEADER_BYTES + response.TAG_BYTES) / 1400 <= 0.035
    sealed = SessionKeys(bytes(32), Suite.SEALED).seal_response(bytes(32), bytes(1000), tagged=False)
    bare = SessionKeys(bytes(32), Suite.OPEN).seal_response(bytes(32), bytes(1000), tagged=False)
    assert (sum(map(len, sealed)), sum(map(len, bare))) == (1048, 1032)


def test_the_frames_take_142_and_26_bytes_and_their_continuations() -> None:
    assert len(FRAME.encode()) == response.TRANSPORT_FRAME_BYTES == 142
    assert len(response.UserFrame(0, None, 0, bytes(99)).encode()) == 26 + 99


def test_the_largest_continuations_leave_room_for_data_in_the_smallest_datagram() -> None:
    user = 26 + DEFAULT_LIMITS.max_user_continuation_bytes + 64
    assert DEFAULT_LIMITS.min_datagram_bytes - 48 - response.TRANSPORT_FRAME_BYTES - user >= 200


def test_no_refusal_is_larger_than_the_smallest_request() -> None:
    largest = len(refusal.refusal_header(Refusal.EXPIRED, 1, bytes(8)) + FRAME.encode()) + 16
    assert largest == 190 < request.MIN_REQUEST_BYTES
    smallest = SessionKeys(bytes(32), Suite.SEALED).seal_request(
        request.request_header(Kind.REQUEST, bytes(128), 1), request.RequestBody(0, 1200, 0, 0).encode()
    )
    assert len(smallest) == request.MIN_REQUEST_BYTES == 200


def test_a_piece_and_its_receipt_are_no_amplification_either() -> None:
    receipt = len(piece.Receipt(1, 0, 1, 0).clear(bytes(8))) + 16
    assert receipt == 56 < len(piece.piece_body(0, b"x")) + request.HEADER_BYTES + 16 == 200


def test_asking_for_a_certificate_or_a_cookie_amplifies_nothing() -> None:
    assert 1 + len(epoch().certificate) == 1 + hello.CERTIFICATE_BYTES <= hello.ASK_BYTES
    assert DEFAULT_LIMITS.min_datagram_bytes > 1 + hello.COOKIE_BYTES


def test_three_greeting_packets_are_three_times_the_least_hello() -> None:
    assert DEFAULT_LIMITS.unproved_window * DEFAULT_LIMITS.min_datagram_bytes <= 3 * 1200
    assert MAX_EARLY_INPUT == 1200 - 30 - 48 - 41


def test_every_kind_carries_the_version_and_none_looks_like_another() -> None:
    assert all(kind >> 4 == VERSION for kind in Kind)
    assert len({int(kind) for kind in Kind}) == len(Kind)

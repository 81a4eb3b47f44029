"""What a hostile fleet can make its client do for one datagram, and keep: counted in lines, never timed."""

import sys

import pytest

from tests.support.authentic import REPLICAS
from tests.support.hostile_fleet import HostileFleet
from tests.support.inside import parts
from trickles.client.reassembly import Reassembly
from trickles.limits import MILLISECOND, SECOND, Limits
from trickles.service import Refusal
from trickles.wire.kinds import Kind
from trickles.wire.response import UserFrame

NOBODY = 50_000  # a request number that was never used
SMALL = Limits(receive_window_bytes=100_000)


def hole_of(numbers: int) -> list[int]:
    """The work for each packet, when the fleet leaves so many numbers out of an episode whose window is one."""
    fleet = HostileFleet()
    base = fleet.establish(start=1 << 16)  # as many numbers as there can be may come
    fleet.say(NOBODY, base + 1, b"", [fleet.transport(base + 1, 1, 1)])
    fleet.work.clear()
    for above in range(5):
        fleet.now += MILLISECOND
        fleet.say(NOBODY, base + 2 + numbers + above)
    for _ in range(20):
        fleet.wait(100 * MILLISECOND)
    return fleet.work


@pytest.mark.parametrize("numbers", [1 << 8, 1 << 12, 60_000])
def test_a_hole_of_many_numbers_costs_like_a_hole_of_one(numbers: int) -> None:
    assert sum(hole_of(numbers)) <= sum(hole_of(1)) + 100
    assert max(hole_of(numbers)) < 1_000


@pytest.mark.slow
def test_an_episode_with_absurd_fields_does_no_harm() -> None:
    """Some of these made a request that cannot be packed."""
    top = (1 << 32) - 1
    for base in (0, 7, 1 << 18, top - (1 << 16), top - 1, top):
        for start in (0, 1, 1 << 18, top):
            for number in (base, base + 1, base + start - 1, top):
                fleet = HostileFleet()
                fleet.turn()
                fleet.say(1, min(base, top), b"x", [fleet.transport(base, start, top)], offset=2)
                fleet.say(1, max(0, min(number, top)), b"y", offset=3)
                fleet.wait(10 * SECOND)
                assert max(fleet.work) < 2_000


@pytest.mark.slow
@pytest.mark.parametrize("step", [2, -2, 3])
def test_numbers_that_wait_are_bounded_and_each_costs_the_same(step: int) -> None:
    fleet = HostileFleet(limits=SMALL)
    base = fleet.establish(start=1 << 14)
    fleet.work.clear()
    numbers = range(base + 2, base + 12_000, abs(step))
    for number in numbers if step > 0 else reversed(numbers):
        fleet.say(NOBODY, number)
        assert parts(fleet.client).flight.board.waiting <= SMALL.most_out_of_order
    assert max(fleet.work) < 4_000
    fleet.wait(2 * SECOND)
    assert parts(fleet.client).flight.board.holes <= SMALL.max_runs + 1


@pytest.mark.slow
def test_a_hole_that_fills_at_last_costs_no_more_than_what_waited_for_it() -> None:
    fleet = HostileFleet(limits=SMALL)
    base = fleet.establish(start=1 << 12)
    parts(fleet.client).losses.by_time = 1 << 30  # and the clock stands still: nothing is declared lost
    for number in range(base + 2, base + 1000):
        fleet.say(NOBODY, number)
    assert parts(fleet.client).flight.board.waiting == 998
    fleet.say(NOBODY, base + 1)
    assert parts(fleet.client).flight.board.cursor == base + 1000
    assert fleet.work[-1] < 40 * 1000


def test_requests_in_flight_are_bounded() -> None:
    """Numbers come, and nothing that was asked for: each speaks for another request."""
    limits = Limits(max_requests_in_flight=20)
    fleet = HostileFleet(limits=limits)
    base = fleet.establish(start=1 << 12)
    for number in range(base + 1, base + 1000):
        fleet.say(NOBODY, number)
        assert len(parts(fleet.client).requests) <= limits.max_requests_in_flight
    assert max(fleet.answers) <= limits.max_requests_in_flight


@pytest.mark.slow
def test_output_out_of_order_in_single_bytes_is_bounded_by_number() -> None:
    fleet = HostileFleet(limits=SMALL)
    fleet.establish()
    for offset in range(10, 10_000, 2):
        fleet.say(NOBODY, 0, b"c", offset=offset)
    output = parts(fleet.client).output.arrived
    assert len(output._pieces) == len(output._held) == SMALL.most_out_of_order
    assert max(fleet.work) < 2_000
    fleet.say(NOBODY, 0, bytes(10), offset=output.next_offset)  # what comes first is always taken
    assert output.next_offset > 10


def test_output_in_order_in_single_bytes_weighs_little_while_nobody_reads() -> None:
    output = Reassembly()
    for offset in range(100_000):
        output.add(offset, b"c")
    held = list(output._ready)
    assert sum(sys.getsizeof(each) for each in held) < 2 * 100_000
    assert b"".join(output.take()) == b"c" * 100_000


def test_a_piece_out_of_order_holds_no_larger_buffer() -> None:
    output = Reassembly()
    output.add(10, memoryview(bytes(60_000))[:1])
    (piece,) = output._pieces.values()
    assert isinstance(piece, bytes)


def test_continuations_are_bounded() -> None:
    limits = Limits(max_continuations=50)
    fleet = HostileFleet(limits=limits)
    fleet.establish()
    for at in range(1, 1_000):
        fleet.say(NOBODY, 0, b"", [UserFrame(at, at + 1, 4, bytes(100))])
        assert len(parts(fleet.client).output.requested.frames) <= limits.max_continuations
    assert max(fleet.work) < 2_000


@pytest.mark.parametrize("consumed", [5, 1 << 62, (1 << 64) - 1])
def test_nothing_is_consumed_that_was_not_written(consumed: int) -> None:
    fleet = HostileFleet()
    fleet.establish()
    fleet.say(NOBODY, 0, b"", [UserFrame(0, 10, consumed, bytes(100))])
    fleet.client.write(b"more\n")
    fleet.wait(5 * SECOND)
    assert (parts(fleet.client).input.consumed, parts(fleet.client).input.written) == (4, 9)


def test_a_claim_that_is_refused_for_ever_is_not_remembered_by_each_of_its_requests() -> None:
    fleet = HostileFleet()
    fleet.turn()
    claim = parts(fleet.client).flight.restarting
    assert claim is not None
    for _ in range(200):
        fleet.hear(fleet.refusal(Refusal.BUSY, claim.newest), claim.datagrams[claim.newest].replica)
        before = claim.newest
        while claim.newest == before:
            fleet.wait(5 * MILLISECOND)
    assert claim.refusals == 200
    assert len(claim.datagrams) <= 16
    assert len(parts(fleet.client).requests._by_number) <= 2 * 16


def test_pieces_in_flight_are_bounded() -> None:
    limits = Limits(max_pieces_in_flight=40)
    fleet = HostileFleet(limits=limits)
    fleet.establish()
    fleet.client.write(bytes(2_000_000))
    fleet.turn()
    upload = parts(fleet.client).upload
    for _ in range(500):
        piece = min(upload._pieces.values(), key=lambda each: each.number)
        fleet.hear(fleet.receipt(piece.number, piece.offset, piece.stop), piece.replica)
        assert upload.in_flight <= limits.max_pieces_in_flight
    assert upload.window == limits.max_pieces_in_flight
    assert all(datagram[0] in (Kind.PIECE, Kind.REQUEST, Kind.PING) for datagram, _ in fleet.sent)


@pytest.mark.slow
def test_the_bounds_hold_for_each_replica_that_speaks() -> None:
    """Spoken by turns, the same costs the same."""
    fleet = HostileFleet(limits=SMALL)
    base = fleet.establish(start=1 << 12)
    for number in range(base + 2, base + 4_000, 2):
        fleet.say(NOBODY, number, source=REPLICAS[number % 3])
    assert parts(fleet.client).flight.board.waiting <= SMALL.most_out_of_order

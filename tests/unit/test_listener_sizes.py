"""Datagrams above the least size go only where one of that size is known to have arrived."""

import pytest

from tests.support.desk import ROUND_TRIP, Desk
from tests.support.fleetkeys import WALL, ring
from tests.support.toys import Tape
from trickles.keyring import Epoch, Keyring, Purpose, expand
from trickles.limits import DEFAULT_LIMITS, SECOND
from trickles.listener.sizes import size_proof, size_proved
from trickles.service import Refusal
from trickles.wire.kinds import Kind, RequestFlag, ResponseFlag, address_bytes

HOST, OTHER = address_bytes("192.0.2.7"), address_bytes("192.0.2.8")
HOUR = DEFAULT_LIMITS.size_proof_period
ELSEWHERE = ("198.51.100.9", 40_000)


def proof(size: int = 9000, *, keyring: Keyring | None = None, address: bytes = HOST, now: int = WALL) -> int:
    return size_proof(keyring or ring(), address, size, now=now, limits=DEFAULT_LIMITS)


def holds(
    shown: int, size: int = 9000, *, keyring: Keyring | None = None, address: bytes = HOST, now: int = WALL
) -> bool:
    return size_proved(keyring or ring(), shown, address, size, now=now, limits=DEFAULT_LIMITS)


# the proof itself


def test_a_proof_is_of_one_size_and_one_address_under_one_key() -> None:
    other = Keyring((Epoch(1, b"another key".ljust(32)),))
    assert holds(proof())
    assert not holds(proof(), 9001)
    assert not holds(proof(), address=OTHER)
    assert not holds(proof(), keyring=other)
    assert not holds(proof() ^ 1)
    assert not holds(0)


def test_a_proof_lives_for_an_hour_at_least_and_two_at_most() -> None:
    for begun in (WALL, WALL - WALL % HOUR, WALL - WALL % HOUR + HOUR - 1):
        shown = proof(now=begun)
        assert holds(shown, now=begun + HOUR)
        assert not holds(shown, now=begun + 2 * HOUR)
        assert holds(shown, now=begun - DEFAULT_LIMITS.clock_skew)  # at a replica whose clock is behind
        assert not holds(shown, now=begun - HOUR - DEFAULT_LIMITS.clock_skew)


def test_a_proof_outlives_a_rotation_and_a_false_one_costs_no_more_where_many_epochs_are_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    epochs = tuple(Epoch(each, bytes([each]) * 32, WALL + (each - 50) * HOUR) for each in range(100))
    keyring = Keyring(epochs)
    shown = proof(keyring=keyring, now=WALL)
    assert keyring.newest(WALL + HOUR) != keyring.newest(WALL)
    assert holds(shown, keyring=keyring, now=WALL + HOUR)
    derived: list[Purpose] = []

    def counted(key: bytes, purpose: Purpose, context: bytes, length: int) -> bytes:
        derived.append(purpose)
        return expand(key, purpose, context, length)

    monkeypatch.setattr("trickles.listener.sizes.expand", counted)
    assert not holds(1, keyring=keyring, now=WALL + 1)
    assert 0 < len(derived) <= 13


# at a listener


def unproved(size: int = 9000, shown: int = 0) -> Desk:
    desk = Desk(Tape())
    desk.connect()
    desk.now += ROUND_TRIP
    desk.peer.sizes[size] = shown
    return desk


@pytest.mark.parametrize("shown", [0, 1, proof(1472)])
@pytest.mark.parametrize("size", [1201, 1472, 9000, 65_507, 65_535])
def test_a_size_without_a_proof_of_its_own_is_the_least_and_the_answer_says_so(size: int, shown: int) -> None:
    desk = unproved(size, shown if size != 1472 else shown & 1)
    packets = desk.ask(desk.peer.restart(desk.peer_bound(), flags=RequestFlag.CLEAN, datagram_bytes=size))
    assert {packet.size_bytes for packet in packets} == {1200}
    assert [bool(packet.flags & ResponseFlag.SMALL) for packet in packets[:4]] == [True, True, True, False]
    assert desk.counted("refused.size") == 1


def test_a_request_that_goes_on_raises_nothing_whatever_size_it_names() -> None:
    desk = unproved()
    desk.ask(desk.peer.restart(desk.peer_bound()))
    desk.now += ROUND_TRIP
    packets = desk.ask(desk.peer.speak(desk.peer.top - 1, desk.peer.top, datagram_bytes=9000))
    assert {packet.size_bytes for packet in packets} == {1200}
    assert desk.counted("refused.size") == 0


def test_a_proof_of_another_address_raises_nothing() -> None:
    desk = unproved(9000, proof(9000, address=OTHER))
    assert desk.ask(desk.peer.restart(desk.peer_bound(), datagram_bytes=9000))[0].size_bytes == 1200


def test_a_proof_is_good_at_another_replica_and_on_another_connection() -> None:
    desk, other = unproved(), Desk(Tape(), name="another")
    desk.ping(9000)
    other.now = desk.now
    other.greet()
    other.peer.sizes = desk.peer.sizes
    packets = other.ask(other.peer.restart(other.peer_bound(), datagram_bytes=9000))
    assert {packet.size_bytes for packet in packets} == {9000}
    assert not any(packet.flags & ResponseFlag.SMALL for packet in packets)


def test_a_size_that_is_in_use_needs_no_proof_and_a_smaller_one_neither() -> None:
    desk = unproved()
    desk.ping(9000)
    desk.ask(desk.peer.restart(desk.peer_bound(), datagram_bytes=9000))
    desk.peer.sizes.clear()
    for size in (9000, 1472):
        desk.now += SECOND
        packets = desk.ask(desk.peer.restart(desk.peer.bound(), datagram_bytes=size, flags=RequestFlag.CLEAN))
        assert {packet.size_bytes for packet in packets} == {size}
    desk.now += SECOND
    assert desk.ask(desk.peer.restart(desk.peer.bound(), datagram_bytes=9000))[0].size_bytes == 1200


def test_from_another_address_datagrams_are_small_again() -> None:
    desk = unproved()
    desk.ping(9000)
    desk.ask(desk.peer.restart(desk.peer_bound(), datagram_bytes=9000))
    (answer,) = desk.send(desk.peer.speak(desk.peer.top - 1, desk.peer.top), ELSEWHERE)
    assert desk.peer.refusal(answer).code is Refusal.ADDRESS
    for turn, size in enumerate((0, 1200, 9000)):
        desk.now += SECOND
        restart = desk.peer.restart(desk.peer.bound() + 100 * turn, datagram_bytes=size)
        assert {len(each) for each in desk.send(restart, ELSEWHERE)} == {1200}


def test_a_continuation_that_aged_keeps_the_size_of_its_address() -> None:
    desk = unproved()
    desk.ping(9000)
    desk.ask(desk.peer.restart(desk.peer_bound(), datagram_bytes=9000))
    desk.now += DEFAULT_LIMITS.continuation_life + SECOND
    (answer,) = desk.send(desk.peer.speak(desk.peer.top - 1, desk.peer.top))
    assert desk.peer.refusal(answer).code is Refusal.EXPIRED
    desk.peer.sizes.clear()
    assert desk.ask(desk.peer.restart(desk.peer.bound(), datagram_bytes=9000))[0].size_bytes == 9000


def test_a_pong_is_no_larger_for_its_proof() -> None:
    desk = unproved()
    for size in (200, 1472, 65_507):
        (pong,) = desk.send(desk.peer.ping(size))
        assert (pong[0], len(pong)) == (Kind.PONG, size)
        assert int.from_bytes(pong[16:24], "big") == proof(size, now=desk.now)

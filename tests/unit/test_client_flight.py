"""What answers change: episodes taken up or too late, claims that are over, output that is still to be asked for."""

import pytest

from trickles.client import ClientConfig
from trickles.client.fleet import ReplicaSet
from trickles.client.parts import Parts
from trickles.client.requests import InFlight
from trickles.trickle import Episode
from trickles.wire.kinds import RequestFlag
from trickles.wire.response import TransportFrame, UserFrame

REPLICA = ("10.0.0.1", 443)


def connection() -> Parts:
    """A connection in an episode from 10 on that has received its first four packets, and knows output [0, 500)."""
    state = Parts.new(ClientConfig(), ReplicaSet([REPLICA]), bytes(32))
    state.input.write(bytes(9))
    state.flight.adopt(frame(Episode(10, 10, 50)), 0)
    state.flight.board.received(10, [1, 2, 3, 4], 0)
    learn(state, UserFrame(0, 500, 4, b"user"))
    return state


def learn(state: Parts, user: UserFrame) -> None:
    """Take a user continuation as the receiving half does."""
    if state.output.learn(user, bytes(8), state.input.written, None):
        state.input.note_consumed(user.consumed)


def frame(episode: Episode, *, embryo: bool = False, name: bytes = b"") -> TransportFrame:
    return TransportFrame(episode, embryo, name.ljust(128, b"\0"))


def claim(start: int, stop: int, *wants: tuple[int, int], flags: int = 0) -> InFlight:
    return InFlight(start, stop, 0, 0, REPLICA, 0, wants=wants, flags=flags)


def still_wanted(state: Parts) -> list[tuple[int, int]]:
    """All that would be asked for from now on."""
    wanted: list[tuple[int, int]] = []
    while chosen := state.output.requested.select(100, 1000, state.output.limit, 32).wants:
        wanted += chosen
    return sorted(wanted)


def restarting(state: Parts) -> InFlight | None:
    """The restart that is under way."""
    return state.flight.restarting


def test_a_later_episode_that_follows_from_the_proof_is_taken_up_with_what_is_proved_of_it() -> None:
    state = connection()
    state.flight.adopt(frame(Episode(12, 3, 5)), 7)
    assert (state.flight.board.episode.base, state.flight.board.cursor, state.flight.acknowledged) == (12, 14, 12)


def test_a_later_episode_beyond_the_proof_begins_with_nothing() -> None:
    state = connection()
    state.flight.next_number = 30
    state.flight.adopt(frame(Episode(30, 3, 5)), 7)
    assert (
        state.flight.board.episode.base,
        state.flight.board.cursor,
        state.flight.acknowledged,
        state.flight.begun_at,
    ) == (30, 30, 30, 7)


@pytest.mark.parametrize(
    "absurd", [Episode(21, 3, 5), Episode(1 << 31, 3, 5), Episode(12, (1 << 16) + 1, 5), Episode(12, (1 << 32) - 1, 5)]
)
def test_an_episode_that_nobody_asked_for_is_not_taken_up(absurd: Episode) -> None:
    state = connection()
    before = state.flight.transport, state.flight.next_number, state.flight.board.episode
    state.flight.adopt(frame(absurd), 7)
    assert (state.flight.transport, state.flight.next_number, state.flight.board.episode) == before


@pytest.mark.parametrize(
    "absurd",
    [
        UserFrame(500, 600, 10, b"consumed more than was written"),
        UserFrame(600, 599, 0, b"stops before it starts"),
        UserFrame(500, 600, 0, bytes(765)),
    ],
)
def test_a_continuation_that_cannot_be_is_not_learned(absurd: UserFrame) -> None:
    state = connection()
    learn(state, absurd)
    assert [each.blob for each in state.output.requested.frames] == [b"user"]
    assert state.input.consumed == 4


def test_an_earlier_episode_is_over() -> None:
    state = connection()
    before = state.flight.transport
    state.flight.adopt(frame(Episode(3, 10, 50)), 7)
    assert state.flight.transport is before


def test_the_same_episode_renews_the_continuation() -> None:
    state = connection()
    state.flight.adopt(frame(Episode(10, 10, 50), name=b"renewed"), 7)
    assert state.flight.transport is not None
    assert state.flight.transport.blob.startswith(b"renewed")
    assert state.flight.board.cursor == 14


def test_while_it_restarts_only_the_episode_it_asked_for_counts() -> None:
    state = connection()
    state.flight.restarting = claim(40, 50)
    state.flight.next_number = 50
    state.flight.adopt(frame(Episode(12, 3, 5)), 7)
    assert state.flight.board.episode.base == 10
    state.flight.adopt(frame(Episode(40, 3, 5)), 8)
    assert state.flight.board.episode.base == 40
    assert restarting(state) is None


def test_a_restart_that_was_granted_less_waits_for_no_more() -> None:
    state = connection()
    state.flight.restarting = waiting = claim(40, 50)
    state.flight.next_number = 50
    state.flight.adopt(frame(Episode(40, 3, 5)), 8)
    assert (waiting.start, waiting.stop) == (40, 43)


def test_what_a_claim_wanted_and_did_not_bring_is_asked_for_again() -> None:
    state = connection()
    state.output.requested.asked = 400
    state.output.arrived.add(100, bytes(50))
    over = claim(20, 24, (0, 200), (300, 400))
    state.requests.add(over)
    state.recovery.close(over)
    assert list(state.requests) == []
    assert still_wanted(state) == [(0, 100), (150, 200), (300, 400), (400, 500)]


def test_nothing_beyond_the_end_is_asked_for_again() -> None:
    state = connection()
    state.output.requested.asked = 400
    state.output.end = 350
    over = claim(20, 24, (300, 400))
    state.requests.add(over)
    state.recovery.close(over)
    assert still_wanted(state) == [(300, 350)]


@pytest.mark.parametrize("late_bytes", [0, 100])
def test_output_that_a_lost_conversion_wanted_is_asked_for_when_its_answer_comes_late(late_bytes: int) -> None:
    state = connection()
    state.output.arrived.add(0, bytes(500))
    state.output.requested.asked = 1700  # the conversion wants output of which no continuation tells yet
    over = claim(20, 24, (500, 1700), flags=RequestFlag.INPUT)
    over.on_lost()
    state.requests.add(over)
    state.recovery.close(over)
    learn(state, UserFrame(500, 3000, 9, b"late"))
    state.output.arrived.add(500, bytes(late_bytes))
    wanted = still_wanted(state)
    assert wanted[0][0] <= 500 + late_bytes
    assert wanted[-1][1] == 3000

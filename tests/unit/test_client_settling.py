"""What answers change: episodes taken up or too late, claims that are over, output that is still to be asked for."""

import pytest

from tests.support.fleetkeys import entropy
from trickles.client import ClientConfig
from trickles.client.claims import Claim
from trickles.client.fleet import Fleet
from trickles.client.settling import adopt, close, learn
from trickles.client.state import ConnectionState
from trickles.trickle import Episode
from trickles.wire.kinds import RequestFlag
from trickles.wire.response import TransportFrame, UserFrame

REPLICA = ("10.0.0.1", 443)


def connection() -> ConnectionState:
    """A connection in an episode from 10 on that has received its first four packets, and knows output [0, 500)."""
    state = ConnectionState(ClientConfig(), Fleet([REPLICA]), bytes(32), entropy())
    state.input.write(bytes(9))
    adopt(state, frame(Episode(10, 10, 50)), 0)
    state.board.received(10, [1, 2, 3, 4], 0)
    learn(state, UserFrame(0, 500, 4, b"user"), bytes(8), conversion=None)
    return state


def frame(episode: Episode, *, embryo: bool = False, name: bytes = b"") -> TransportFrame:
    return TransportFrame(episode, embryo, name.ljust(128, b"\0"))


def claim(start: int, stop: int, *wants: tuple[int, int], flags: int = 0) -> Claim:
    return Claim(start, stop, 0, 0, REPLICA, 0, wants=wants, flags=flags)


def still_wanted(state: ConnectionState) -> list[tuple[int, int]]:
    """All that would be asked for from now on."""
    wanted: list[tuple[int, int]] = []
    while chosen := state.wants.select(100, 1000, state.output_limit, 32).wants:
        wanted += chosen
    return sorted(wanted)


def restarting(state: ConnectionState) -> Claim | None:
    """The restart that is under way."""
    return state.restarting


def test_a_later_episode_that_follows_from_the_proof_is_taken_up_with_what_is_proved_of_it() -> None:
    state = connection()
    adopt(state, frame(Episode(12, 3, 5)), 7)
    assert (state.board.episode.base, state.board.cursor, state.spoken) == (12, 14, 12)


def test_a_later_episode_beyond_the_proof_begins_with_nothing() -> None:
    state = connection()
    state.next_number = 30
    adopt(state, frame(Episode(30, 3, 5)), 7)
    assert (state.board.episode.base, state.board.cursor, state.spoken, state.begun_at) == (30, 30, 30, 7)


@pytest.mark.parametrize(
    "absurd", [Episode(21, 3, 5), Episode(1 << 31, 3, 5), Episode(12, (1 << 16) + 1, 5), Episode(12, (1 << 32) - 1, 5)]
)
def test_an_episode_that_nobody_asked_for_is_not_taken_up(absurd: Episode) -> None:
    state = connection()
    before = state.transport, state.next_number, state.board.episode
    adopt(state, frame(absurd), 7)
    assert (state.transport, state.next_number, state.board.episode) == before


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
    learn(state, absurd, bytes(8), conversion=None)
    assert [each.blob for each in state.wants.frames] == [b"user"]
    assert state.input.consumed == 4


def test_an_earlier_episode_is_over() -> None:
    state = connection()
    before = state.transport
    adopt(state, frame(Episode(3, 10, 50)), 7)
    assert state.transport is before


def test_the_same_episode_renews_the_continuation() -> None:
    state = connection()
    adopt(state, frame(Episode(10, 10, 50), name=b"renewed"), 7)
    assert state.transport is not None
    assert state.transport.blob.startswith(b"renewed")
    assert state.board.cursor == 14


def test_while_it_restarts_only_the_episode_it_asked_for_counts() -> None:
    state = connection()
    state.restarting = claim(40, 50)
    state.next_number = 50
    adopt(state, frame(Episode(12, 3, 5)), 7)
    assert state.board.episode.base == 10
    adopt(state, frame(Episode(40, 3, 5)), 8)
    assert state.board.episode.base == 40
    assert restarting(state) is None


def test_a_restart_that_was_granted_less_waits_for_no_more() -> None:
    state = connection()
    state.restarting = waiting = claim(40, 50)
    state.next_number = 50
    adopt(state, frame(Episode(40, 3, 5)), 8)
    assert (waiting.start, waiting.stop) == (40, 43)


def test_what_a_claim_wanted_and_did_not_bring_is_asked_for_again() -> None:
    state = connection()
    state.wants.asked = 400
    state.output.add(100, bytes(50))
    over = claim(20, 24, (0, 200), (300, 400))
    state.claims.add(over)
    close(state, over)
    assert list(state.claims) == []
    assert still_wanted(state) == [(0, 100), (150, 200), (300, 400), (400, 500)]


def test_nothing_beyond_the_end_is_asked_for_again() -> None:
    state = connection()
    state.wants.asked = 400
    state.output_end = 350
    over = claim(20, 24, (300, 400))
    state.claims.add(over)
    close(state, over)
    assert still_wanted(state) == [(300, 350)]


@pytest.mark.parametrize("late_bytes", [0, 100])
def test_output_that_a_lost_conversion_wanted_is_asked_for_when_its_answer_comes_late(late_bytes: int) -> None:
    state = connection()
    state.output.add(0, bytes(500))
    state.wants.asked = 1700  # the conversion wants output of which no continuation tells yet
    over = claim(20, 24, (500, 1700), flags=RequestFlag.INPUT)
    over.lost = True
    state.claims.add(over)
    close(state, over)
    learn(state, UserFrame(500, 3000, 9, b"late"), bytes(8), conversion=None)
    state.output.add(500, bytes(late_bytes))
    wanted = still_wanted(state)
    assert wanted[0][0] <= 500 + late_bytes
    assert wanted[-1][1] == 3000

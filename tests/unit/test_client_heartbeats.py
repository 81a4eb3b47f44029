"""Heartbeats: a client inserts them by its clock, while a replica holds its request and nowhere else."""

from dataclasses import replace

import pytest

from tests.support.authentic import A, AuthenticFleet, B, Frame
from trickles.client import Data
from trickles.client.heartbeats import LEAST_DISTANCE
from trickles.client.liveness import DISTANCE, MOST_UNANSWERED, Liveness
from trickles.limits import MILLISECOND, SECOND
from trickles.service import Heartbeat, Refusal
from trickles.wire.kinds import ResponseFlag
from trickles.wire.response import UserFrame

LIFE = 11
BEAT = Heartbeat(b": \n\n", 3 * SECOND, b"subject.")


class Quiet(AuthenticFleet):
    """A client whose request for output after b"hi" waits; all output is taken out."""

    def __init__(self, beat: Heartbeat | None = BEAT) -> None:
        super().__init__(liveness=Liveness())
        self.say(0, 1, flags=ResponseFlag.SHORT)  # all of the answer to the hello
        self.send()
        self.at = list(self.client.in_flight)[-1].replica
        self.news()
        self.park(1, beat)

    def send(self) -> list[int]:
        """The numbers of what the client sends."""
        return [int.from_bytes(data[129:133], "big") for data, _ in self.client.datagrams_to_send(now=self.now)]

    def park(self, request: int, beat: Heartbeat | None = BEAT) -> None:
        """Deliver the notice that a request waits for news."""
        self.hear(self.refusal(Refusal.WORKING, request, incarnation=LIFE, worked_us=1, heartbeat=beat), self.at)

    def news(self, later: int = 0) -> list[bytes]:
        """What the client gives its driver after that time."""
        self.now += later
        self.client.handle_timeout(now=self.now)
        found: list[bytes] = []
        while (event := self.client.next_event()) is not None:
            found += map(bytes, event.chunks if isinstance(event, Data) else [])
        return found


def test_a_heartbeat_comes_each_time_its_distance_has_passed() -> None:
    fleet = Quiet()
    assert fleet.client.next_timeout() == fleet.now + BEAT.every_us
    assert fleet.news(BEAT.every_us - 1) == []
    assert fleet.news(1) == [BEAT.data]
    assert fleet.news() == []
    assert fleet.client.next_timeout() is not None
    assert fleet.news(BEAT.every_us) == [BEAT.data]
    assert (fleet.send(), fleet.client.snapshot().output.taken) == ([2], 2), "a renewal, and no output"


def test_a_user_that_does_not_read_gets_one() -> None:
    fleet = Quiet()
    for _ in range(2):
        fleet.now += BEAT.every_us
        fleet.client.handle_timeout(now=fleet.now)
    assert fleet.news() == [BEAT.data]


def test_output_comes_without_a_heartbeat_and_puts_off_the_next() -> None:
    fleet = Quiet()
    fleet.now += BEAT.every_us
    fleet.client.handle_timeout(now=fleet.now)
    start = next(iter(fleet.client.in_flight)).start
    frames: list[Frame] = [fleet.transport(start, 3), UserFrame(2, 6, 4, b"v" * 64, True)]
    fleet.say(1, start, b"news", frames, offset=2, flags=ResponseFlag.SHORT, source=fleet.at)
    assert fleet.news() == [b"news"]
    (number,) = fleet.send()
    fleet.park(number)
    assert fleet.news(BEAT.every_us - 1) == []
    assert fleet.news(1) == [BEAT.data]


def test_nothing_is_inserted_while_no_replica_holds_the_request() -> None:
    fleet = Quiet()
    fleet.now += BEAT.every_us - MILLISECOND
    fleet.client.receive_unreachable(fleet.at, now=fleet.now)
    (number,) = fleet.send()
    assert fleet.news(2 * MILLISECOND) == []
    fleet.at = B if fleet.at == A else A
    fleet.park(number)
    assert fleet.news() == [BEAT.data], "the clock went on"


def test_a_silent_replica_ends_them() -> None:
    fleet = Quiet(replace(BEAT, every_us=DISTANCE * (MOST_UNANSWERED + 1)))
    liveness = fleet.state.recovery._liveness
    for _ in range(MOST_UNANSWERED + 1):
        fleet.now += DISTANCE
        liveness.on_time(fleet.now)
    assert fleet.news() == []


def test_a_notice_without_one_and_one_for_input_insert_nothing() -> None:
    fleet = Quiet(None)
    assert fleet.news(BEAT.every_us) == []


def test_no_fleet_makes_a_client_busy_with_heartbeats() -> None:
    fleet = Quiet(replace(BEAT, every_us=0))
    assert fleet.news(LEAST_DISTANCE - 1) == []
    assert fleet.news(1) == [BEAT.data]


@pytest.mark.parametrize("size", [0, 65])
def test_a_heartbeat_is_short(size: int) -> None:
    with pytest.raises(ValueError, match="1 to 64 bytes"):
        Heartbeat(bytes(size), SECOND)

"""Who stands still at a gateway, against a clock of the test's own."""

from dataclasses import dataclass, field

import pytest

from trickles.gateway.crowd import Crowd
from trickles.gateway.limits import GatewayLimits

HOST = "192.0.2.1"
LIMITS = GatewayLimits(
    most_connections=3, still_after=5.0, request_timeout=60.0, least_bytes_per_second=500, idle_timeout=300.0
)
ENOUGH_BYTES = 60 * 500


@dataclass(slots=True)
class Clock:
    """Goes where it is put."""

    now: float = 1_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@dataclass(slots=True, eq=False)
class Program:
    """A member that notes what is done to it."""

    crowd: Crowd
    client: str = HOST
    idle: bool = False
    held_back: bool = False
    fate: list[str] = field(default_factory=list)

    def stop(self, reason: str) -> None:
        """It leaves, as a connection does."""
        self.fate.append(reason)
        self.crowd.leave(self)

    def end_input(self) -> None:
        """Nothing more is taken."""
        self.fate.append("input ended")


def crowd(count: int, limits: GatewayLimits = LIMITS) -> tuple[Clock, Crowd, list[Program]]:
    """So many programs that came a second after one another."""
    clock = Clock()
    made = Crowd(limits, clock)
    programs = [Program(made) for _ in range(count)]
    for program in programs:
        made.join(program)
        clock.now += 1
    return clock, made, programs


def fates(programs: list[Program]) -> list[str]:
    """What was done to each, `-` for nothing."""
    return [" ".join(program.fate) or "-" for program in programs]


def test_a_request_that_does_not_get_on_has_its_input_ended_once() -> None:
    clock, made, [slow, done, silent] = crowd(3)
    for program in (slow, done):
        made.asked(program, 10)
    made.answered(done, more=False)
    clock.now += 59
    made.asked(slow, 10)  # which does not help
    made.look()
    assert fates([slow, done, silent]) == ["-"] * 3
    clock.now += 1
    made.look()
    made.look()
    assert fates([slow, done, silent]) == ["input ended", "-", "-"]


@pytest.mark.parametrize(("size_bytes", "fate"), [(ENOUGH_BYTES - 1, "input ended"), (ENOUGH_BYTES, "-")])
def test_a_large_request_may_go_on_as_long_as_it_keeps_coming(size_bytes: int, fate: str) -> None:
    clock, made, [upload] = crowd(1)
    made.asked(upload, 1)
    for _ in range(3):
        made.asked(upload, ENOUGH_BYTES)
        clock.now += 60
        made.look()
    assert fates([upload]) == ["-"]
    made.asked(upload, size_bytes)
    clock.now += 60
    made.look()
    assert fates([upload]) == [fate]


def test_who_is_held_back_is_not_to_blame() -> None:
    clock, made, [upload] = crowd(1)
    made.asked(upload, 1)
    upload.held_back = True
    for _ in range(3):
        clock.now += 60
        made.look()
    upload.held_back = False
    clock.now += 59
    made.look()
    assert fates([upload]) == ["-"]
    clock.now += 1
    made.look()
    assert fates([upload]) == ["input ended"]


def test_half_a_request_behind_a_whole_one_has_its_time_from_the_answer_on() -> None:
    clock, made, [program] = crowd(1)
    made.asked(program, 100)
    clock.now += 50
    made.answered(program, more=True)
    clock.now += 50
    made.look()
    assert fates([program]) == ["-"]
    clock.now += 10
    made.look()
    assert fates([program]) == ["input ended"]


def test_idle_programs_are_closed_and_busy_ones_stay() -> None:
    clock, made, [idle, busy, stirred] = crowd(3)
    idle.idle = stirred.idle = True
    clock.now += 298
    made.stirred(stirred)
    made.look()
    assert fates([idle, busy, stirred]) == ["idle", "-", "-"]
    clock.now += 299
    made.look()
    assert fates([busy, stirred]) == ["-", "-"]
    clock.now += 1
    made.look()
    assert fates([busy, stirred]) == ["-", "idle"]
    assert list(made) == [busy]


def test_without_timeouts_nothing_happens() -> None:
    clock, made, [program] = crowd(1, GatewayLimits(request_timeout=0.0, idle_timeout=0.0))
    program.idle = True
    made.asked(program, 1)
    clock.now += 1e9
    made.look()
    assert fates([program]) == ["-"]


def test_whoever_stood_still_for_longest_makes_room() -> None:
    clock, made, [first, second, third] = crowd(3)
    clock.now += 5
    made.asked(first, 1)
    assert made.refusal(HOST) is None
    assert fates([first, second, third]) == ["-", "made room", "-"]
    assert list(made) == [third, first]


def test_nobody_makes_room_who_moved_a_moment_ago() -> None:
    clock, made, programs = crowd(3)
    clock.now += 1.5
    assert made.refusal(HOST) == "too many connections"
    assert fates(programs) == ["-"] * 3
    clock.now += 0.5
    assert made.refusal(HOST) is None


def test_a_client_address_has_a_bound_of_its_own() -> None:
    _, made, [first, _] = crowd(2, GatewayLimits(most_per_client=2))
    assert made.refusal(HOST) == "too many connections of one client"
    assert made.refusal("192.0.2.2") is None
    made.leave(first)
    made.leave(first)
    assert made.refusal(HOST) is None
    assert len(made) == 1


def test_who_has_left_leaves_nothing_behind() -> None:
    clock, made, programs = crowd(3)
    for program in programs:
        made.asked(program, 1)
        made.leave(program)
        made.stirred(program)
    clock.now += 1000
    made.look()
    assert (len(made), fates(programs)) == (0, ["-"] * 3)
    assert not made._asking
    assert not made._of_client

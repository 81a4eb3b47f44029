"""Live connections of a gateway, and what happens to those that stand still, against a clock of the test's own."""

from dataclasses import dataclass, field

import pytest

from trickles.gateway.connection_table import ConnectionTable
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
class User:
    """A member that notes what is done to it."""

    table: ConnectionTable
    client: str = HOST
    idle: bool = False
    held_back: bool = False
    fate: list[str] = field(default_factory=list)

    def stop(self, reason: str) -> None:
        """It leaves, as a connection does."""
        self.fate.append(reason)
        self.table.leave(self)

    def end_input(self) -> None:
        """Nothing more is taken."""
        self.fate.append("input ended")


def table(count: int, limits: GatewayLimits = LIMITS) -> tuple[Clock, ConnectionTable, list[User]]:
    """So many users that came a second after one another."""
    clock = Clock()
    made = ConnectionTable(limits, clock)
    users = [User(made) for _ in range(count)]
    for user in users:
        made.join(user)
        clock.now += 1
    return clock, made, users


def fates(users: list[User]) -> list[str]:
    """What was done to each, `-` for nothing."""
    return [" ".join(user.fate) or "-" for user in users]


def test_a_request_that_does_not_get_on_has_its_input_ended_once() -> None:
    clock, made, [slow, done, silent] = table(3)
    for user in (slow, done):
        made.on_input(user, 10)
    made.on_output(done, more=False)
    clock.now += 59
    made.on_input(slow, 10)  # which does not help
    made.sweep()
    assert fates([slow, done, silent]) == ["-"] * 3
    clock.now += 1
    made.sweep()
    made.sweep()
    assert fates([slow, done, silent]) == ["input ended", "-", "-"]


@pytest.mark.parametrize(("size_bytes", "fate"), [(ENOUGH_BYTES - 1, "input ended"), (ENOUGH_BYTES, "-")])
def test_a_large_request_may_go_on_as_long_as_it_keeps_coming(size_bytes: int, fate: str) -> None:
    clock, made, [upload] = table(1)
    made.on_input(upload, 1)
    for _ in range(3):
        made.on_input(upload, ENOUGH_BYTES)
        clock.now += 60
        made.sweep()
    assert fates([upload]) == ["-"]
    made.on_input(upload, size_bytes)
    clock.now += 60
    made.sweep()
    assert fates([upload]) == [fate]


def test_who_is_held_back_is_not_to_blame() -> None:
    clock, made, [upload] = table(1)
    made.on_input(upload, 1)
    upload.held_back = True
    for _ in range(3):
        clock.now += 60
        made.sweep()
    upload.held_back = False
    clock.now += 59
    made.sweep()
    assert fates([upload]) == ["-"]
    clock.now += 1
    made.sweep()
    assert fates([upload]) == ["input ended"]


def test_half_a_request_behind_a_whole_one_has_its_time_from_the_answer_on() -> None:
    clock, made, [user] = table(1)
    made.on_input(user, 100)
    clock.now += 50
    made.on_output(user, more=True)
    clock.now += 50
    made.sweep()
    assert fates([user]) == ["-"]
    clock.now += 10
    made.sweep()
    assert fates([user]) == ["input ended"]


def test_idle_programs_are_closed_and_busy_ones_stay() -> None:
    clock, made, [idle, busy, moved] = table(3)
    idle.idle = moved.idle = True
    clock.now += 298
    made.touch(moved)
    made.sweep()
    assert fates([idle, busy, moved]) == ["idle", "-", "-"]
    clock.now += 299
    made.sweep()
    assert fates([busy, moved]) == ["-", "-"]
    clock.now += 1
    made.sweep()
    assert fates([busy, moved]) == ["-", "idle"]
    assert list(made) == [busy]


def test_without_timeouts_nothing_happens() -> None:
    clock, made, [user] = table(1, GatewayLimits(request_timeout=0.0, idle_timeout=0.0))
    user.idle = True
    made.on_input(user, 1)
    clock.now += 1e9
    made.sweep()
    assert fates([user]) == ["-"]


def test_whoever_stood_still_for_longest_makes_room() -> None:
    clock, made, [first, second, third] = table(3)
    clock.now += 5
    made.on_input(first, 1)
    assert made.refusal(HOST) is None
    assert fates([first, second, third]) == ["-", "made room", "-"]
    assert list(made) == [third, first]


def test_nobody_makes_room_who_moved_a_moment_ago() -> None:
    clock, made, users = table(3)
    clock.now += 1.5
    assert made.refusal(HOST) == "too many connections"
    assert fates(users) == ["-"] * 3
    clock.now += 0.5
    assert made.refusal(HOST) is None


def test_a_client_address_has_a_bound_of_its_own() -> None:
    _, made, [first, _] = table(2, GatewayLimits(most_per_client=2))
    assert made.refusal(HOST) == "too many connections of one client"
    assert made.refusal("192.0.2.2") is None
    made.leave(first)
    made.leave(first)
    assert made.refusal(HOST) is None
    assert len(made) == 1


def test_who_has_left_leaves_nothing_behind() -> None:
    clock, made, users = table(3)
    for user in users:
        made.on_input(user, 1)
        made.leave(user)
        made.touch(user)
    clock.now += 1000
    made.sweep()
    assert (len(made), fates(users)) == (0, ["-"] * 3)
    assert not made._requests
    assert not made._of_client

"""Which replica a request goes to: home, spray, the fastest; and what silence and answers change."""

import pytest

from trickles.client.fleet import MOST_REMEMBERED, SUSPECT_FOR, Policy, ReplicaSet

A, B, C = (("10.0.0.1", 443), ("10.0.0.2", 443), ("10.0.0.3", 443))


def test_at_least_one_replica_is_needed_and_each_counts_once() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ReplicaSet([])
    assert ReplicaSet([A, B, A]).replicas == [A, B]


def test_home_is_kept_as_long_as_it_answers() -> None:
    fleet = ReplicaSet([A, B, C], first=4)
    assert [fleet.pick(now) for now in range(5)] == [B] * 5
    assert not fleet.spreads


def test_home_moves_when_it_is_silent_and_does_not_move_back() -> None:
    fleet = ReplicaSet([A, B, C])
    fleet.silent(A, 0)
    assert fleet.home == B
    assert fleet.pick(SUSPECT_FOR * 2) == B
    fleet.silent(C, 0)
    assert fleet.home == B


def test_a_silent_replica_is_left_alone_for_a_while_or_until_it_answers() -> None:
    fleet = ReplicaSet([A, B])
    fleet.silent(A, 1000)
    assert fleet.suspect(A, 1000 + SUSPECT_FOR - 1)
    assert not fleet.suspect(A, 1000 + SUSPECT_FOR)
    fleet.answered(A, None)
    assert not fleet.suspect(A, 1001)


def test_connections_with_one_home_have_different_others() -> None:
    fleets = [ReplicaSet([A, B, C], first=1 + 3 * detour) for detour in range(4)]
    assert [each.home for each in fleets] == [B] * 4
    assert [each.other(B, 0) for each in fleets] == [C, A, C, A]
    fleets[1].silent(A, 0)
    assert fleets[1].other(B, 1) == C
    assert ReplicaSet([A, B], first=5).other(B, 0) == A


def test_spray_takes_turns_and_skips_the_silent() -> None:
    fleet = ReplicaSet([A, B, C], Policy.SPRAY)
    assert [fleet.pick(0) for _ in range(6)] == [B, C, A, B, C, A]
    fleet.silent(B, 0)
    assert {fleet.pick(0) for _ in range(6)} == {A, C}
    for replica in (A, C):
        fleet.silent(replica, 0)
    assert fleet.pick(0) in (A, B, C)  # all are silent: any is as good


def test_one_replica_is_no_spray() -> None:
    assert not ReplicaSet([A], Policy.SPRAY).spreads
    assert ReplicaSet([A], Policy.SPRAY).pick(0) == A


def test_another_one_is_healthy_if_any_is_and_the_same_only_if_it_is_alone() -> None:
    fleet = ReplicaSet([A, B, C])
    assert [fleet.other(each, 0) for each in (A, B, C)] == [B, C, A]
    fleet.silent(B, 0)
    assert fleet.other(A, 0) == C
    fleet.silent(C, 5)
    assert fleet.other(A, 10) == B  # both are silent: the one that is so for longer
    assert ReplicaSet([A]).other(A, 0) == A


def test_the_fastest_is_found_by_use() -> None:
    fleet = ReplicaSet([A, B, C], Policy.LOWEST_RTT)
    tried = []
    for round_trip in (30_000, 10_000, 20_000):
        tried.append(fleet.pick(0))
        fleet.answered(tried[-1], round_trip)
    assert sorted(tried) == [A, B, C]
    assert fleet.pick(0) == tried[1]
    fleet.silent(tried[1], 0)
    assert fleet.pick(0) == tried[2]
    for _ in range(60):
        fleet.answered(tried[0], 1000)
    assert fleet.pick(0) == tried[0]


def test_a_new_list_keeps_home_if_it_is_still_there() -> None:
    fleet = ReplicaSet([A, B], first=1)
    fleet.replace([C, B])
    assert fleet.home == B
    fleet.replace([C])
    assert (fleet.home, fleet.pick(0)) == (C, C)
    fleet.replace([])
    assert fleet.replicas == [C]
    assert fleet.members == {A, B, C}  # what those that left still say is welcome


def test_what_waits_for_a_replica_that_left_the_list_goes_to_one_that_is_on_it() -> None:
    fleet = ReplicaSet([A, B])
    fleet.replace([C])
    assert fleet.other(A, 0) == C


def test_home_that_left_the_list_is_followed_by_one_that_answers() -> None:
    fleet = ReplicaSet([A, B, C])
    fleet.silent(B, 0)
    fleet.replace([B, C], 1)
    assert fleet.home == C


def test_what_is_remembered_of_those_that_left_is_bounded() -> None:
    fleet = ReplicaSet([A])
    for number in range(1000):
        fleet.replace([("10.1.0.1", number)])
        fleet.silent(fleet.home, 0)
        fleet.answered(fleet.home, 1000)
    assert len(fleet.members) == MOST_REMEMBERED + 1
    assert len(fleet._latency) <= MOST_REMEMBERED + 1


def test_the_old_name_of_the_lowest_round_trip_still_means_it() -> None:
    assert Policy("fastest") is Policy("lowest-rtt") is Policy.FASTEST
    with pytest.raises(ValueError, match="slowest"):
        Policy("slowest")

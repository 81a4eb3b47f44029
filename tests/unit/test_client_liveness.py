"""Liveness of replicas at work: few questions for many connections, and each sign that work is lost."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from tests.support.authentic import A, B
from trickles.client.liveness import (
    DISTANCE,
    LEAST_DISTANCE,
    MOST_UNANSWERED,
    RENEW_EVERY,
    Liveness,
    NamedRequest,
    Waiter,
)
from trickles.client.moving import MOST_MOVING, MOST_SUBJECTS, MOVE_EVERY, RECENT, Moves
from trickles.client.requests import InFlight
from trickles.wire.awaiting import MOST_OTHERS
from trickles.wire.kinds import Address

FIRST, SECOND_LIFE = 11, 12  # incarnations


def request(replica: Address = A, incarnation: int = FIRST) -> InFlight:
    made = InFlight(0, 1, 0, 0, replica, 0)
    made.on_at_work(incarnation, DISTANCE)
    return made


@dataclass(eq=False)
class Owner:
    """Notes what it is asked to do."""

    named: list[Sequence[NamedRequest]] = field(default_factory=list)  # by question
    heard: list[str] = field(default_factory=list)
    request: InFlight = field(default_factory=request)

    @property
    def waiter(self) -> Waiter:
        return Waiter(
            id(self).to_bytes(8, "big"), self.ask, self.answered, self.restarted, self.unreachable, self.silent
        )

    def ask(self, replica: Address, others: Sequence[NamedRequest]) -> None:
        self.named.append(others)

    def answered(self, _request: InFlight, _newest: int, _incarnation: int, _at_work: bool, _now: int) -> None:
        self.heard.append("answered")

    def restarted(self, replica: Address, incarnation: int, now: int) -> None:
        self.heard.append(f"restarted {incarnation}")
        self.request.on_at_work(incarnation, now)

    def unreachable(self, replica: Address, now: int) -> None:
        self.heard.append("unreachable")

    def silent(self, replica: Address, now: int) -> None:
        self.heard.append("silent")
        self.request.retry(now)


class Leaving(Owner):
    """Repeats its request elsewhere when nobody listens."""

    def unreachable(self, replica: Address, now: int) -> None:
        super().unreachable(replica, now)
        self.request.retry(now)


def many(liveness: Liveness, count: int) -> list[Owner]:
    waiters = [Owner() for _ in range(count)]
    for each in waiters:
        liveness.watch(each.request, each.waiter, 0, 0)
    return waiters


def test_one_question_for_a_few_at_each_distance_in_turn() -> None:
    liveness = Liveness()
    waiters = many(liveness, RENEW_EVERY // DISTANCE)
    for turn in range(1, 33):
        now = turn * DISTANCE
        assert liveness.next_timeout() == now
        liveness.on_time(now - 1)
        liveness.on_time(now)
        assert sum(len(each.named) for each in waiters) == turn
        liveness.heard(A, FIRST, now + 1)
    assert [each.named for each in waiters] == [[[], []]] * len(waiters)
    assert not any(each.heard for each in waiters)


@pytest.mark.parametrize("count", [17, 200, 3333])
def test_the_questions_name_everybody_in_time(count: int) -> None:
    liveness = Liveness()
    waiters = many(liveness, count)
    for turn in range(1, RENEW_EVERY // DISTANCE + 1):
        liveness.on_time(turn * DISTANCE)
        liveness.heard(A, FIRST, turn * DISTANCE)
    questions = [others for each in waiters for others in each.named]
    assert max(map(len, questions)) <= MOST_OTHERS
    assert sum(len(others) + 1 for others in questions) >= count
    assert len(questions) <= RENEW_EVERY // DISTANCE * (count // 16 // MOST_OTHERS + 1)
    named = {id(owner) for others in questions for _, _, owner in others}
    asked = sum(bool(each.named) for each in waiters)
    assert len(named) + asked >= count


def test_with_many_requests_a_question_is_due_as_soon_as_its_datagram_is_full() -> None:
    for count, pause in ((100, DISTANCE), (MOST_OTHERS + 1, DISTANCE), (2080, 100_000), (4200, LEAST_DISTANCE)):
        liveness = Liveness()
        waiters = many(liveness, count)
        now = DISTANCE
        for _ in range(2):
            liveness.on_time(now)
            liveness.heard(A, FIRST, now)
            assert liveness.next_timeout() == now + pause
            now += pause
            asked = [len(others) + 1 for each in waiters for others in each.named]
            for each in waiters:
                each.named.clear()
        assert sum(asked) == -(-count * pause // RENEW_EVERY)
        assert len(asked) == -(-sum(asked) // (MOST_OTHERS + 1))


def test_a_replica_is_silent_after_some_turns_and_its_requests_move_a_few_at_a_time() -> None:
    armed: list[int] = []
    liveness = Liveness(armed.append)
    waiters = many(liveness, 3 * MOST_MOVING)
    for turn in range(1, MOST_UNANSWERED + 1):
        liveness.on_time(turn * DISTANCE)
        assert not any(each.heard for each in waiters)
    now = (MOST_UNANSWERED + 1) * DISTANCE
    liveness.on_time(now)
    gone = [each for each in waiters if each.heard]
    assert len(gone) == MOST_MOVING
    assert armed[-1] == liveness.next_timeout() == now + MOVE_EVERY
    taken = gone[0].request
    taken.retry(now, B)
    taken.on_at_work(FIRST, now)
    liveness.watch(taken, gone[0].waiter, 0, now)
    assert count(waiters) == MOST_MOVING + 1, "one was taken, the next goes"
    left = next(each for each in waiters if not each.heard)
    liveness.unwatch(left.request)  # its client has left
    liveness.on_time(now + MOVE_EVERY)  # nothing was heard of the others
    assert count(waiters) == 2 * MOST_MOVING + 1
    liveness.on_time(now + 2 * MOVE_EVERY)
    assert count(waiters) == len(waiters) - 1
    assert left.heard == []


def count(waiters: list[Owner]) -> int:
    """How many were informed, each once, that their replica is silent."""
    assert all(each.heard in ([], ["silent"]) for each in waiters)
    return sum(bool(each.heard) for each in waiters)


def test_forged_signs_of_death_do_not_hide_silence() -> None:
    liveness = Liveness()
    (waiter,) = many(liveness, 1)
    for turn in range(1, MOST_UNANSWERED + 2):
        assert liveness.next_timeout() == turn * DISTANCE
        liveness.unreachable(A, turn * DISTANCE - 1)
        liveness.on_time(turn * DISTANCE)
    assert waiter.heard == ["unreachable"] * (MOST_UNANSWERED + 1) + ["silent"]


def test_each_waiter_hears_once_that_its_replica_is_silent_or_unreachable_or_another() -> None:
    liveness = Liveness()
    waiters, elsewhere = many(liveness, 3), Owner()
    liveness.watch(request(B), elsewhere.waiter, 0, 0)
    liveness.unreachable(A, 1)
    liveness.heard(A, SECOND_LIFE, 2)
    liveness.heard(A, SECOND_LIFE, 3)
    for turn in range(1, MOST_UNANSWERED + 2):
        liveness.heard(B, FIRST, turn * DISTANCE)
        liveness.on_time(turn * DISTANCE)
    assert [each.heard for each in waiters] == [["unreachable", f"restarted {SECOND_LIFE}", "silent"]] * 3
    assert elsewhere.heard == []
    liveness.heard(A, FIRST, 9 * DISTANCE)  # nobody waits there any more
    assert [len(each.heard) for each in waiters] == [3] * 3


def test_requests_that_are_over_cost_no_question() -> None:
    liveness, waiter, over = Liveness(), Owner(), request()
    liveness.watch(over, waiter.waiter, 0, 0)
    liveness.unwatch(over)
    liveness.unwatch(over)
    answered, gone = request(), Owner()
    liveness.watch(answered, gone.waiter, 0, 0)
    answered.end()
    liveness.on_time(DISTANCE)
    assert (waiter.named, gone.named) == ([], [])
    assert liveness.next_timeout() is None


def test_a_request_at_work_elsewhere_counts_there_only() -> None:
    liveness, waiter, moved = Liveness(), Owner(), request()
    liveness.watch(moved, waiter.waiter, 0, 0)
    moved.retry(0, B)
    moved.on_at_work(FIRST, DISTANCE)
    liveness.watch(moved, waiter.waiter, 0, 0)
    liveness.unreachable(A, 1)
    assert waiter.heard == []
    liveness.unreachable(B, 1)
    assert waiter.heard == ["unreachable"]


def test_a_notice_of_another_incarnation_is_a_reason_to_ask_at_once() -> None:
    due: list[int] = []
    liveness, waiter = Liveness(due.append), Owner()
    liveness.watch(request(), waiter.waiter, 0, 0)
    liveness.watch(request(incarnation=SECOND_LIFE), waiter.waiter, 0, 5)
    assert liveness.next_timeout() == 5
    assert due == [DISTANCE, 5]
    liveness.on_time(5)
    liveness.heard(A, FIRST, 6)
    assert waiter.heard == [f"restarted {FIRST}"]


def test_on_a_long_path_questions_are_further_apart() -> None:
    liveness, waiter = Liveness(), Owner()
    liveness.watch(request(), waiter.waiter, 3 * DISTANCE, 0)
    liveness.on_time(DISTANCE)
    assert liveness.next_timeout() == 4 * DISTANCE


def test_requests_whose_subject_had_news_move_first() -> None:
    liveness = Liveness()
    old, new, other = b"old.....", b"new.....", b"other..."
    answered = [request(B) for _ in range(2)]
    waiters = [Leaving() for _ in range(2 * MOST_MOVING)]
    for at, each in enumerate(waiters):
        each.request.on_subject(other if at < len(waiters) - 2 else (old, new)[at % 2])
        liveness.watch(each.request, each.waiter, 0, 0)
    for each_answered, subject in zip(answered, (old, new), strict=True):
        each_answered.on_subject(subject)
    liveness.answered(answered[0], 0)
    liveness.unreachable(A, RECENT - 1)
    assert [each.heard for each in waiters[-2:]] == [["unreachable"], []], "news came shortly before"
    liveness.answered(answered[1], RECENT)
    first = waiters[0].request
    first.on_at_work(FIRST, 0)
    liveness.watch(first, waiters[0].waiter, 0, RECENT)
    assert [each.heard for each in waiters[-2:]] == [["unreachable"], ["unreachable"]], "and these while others waited"
    assert sum(bool(each.heard) for each in waiters) == MOST_MOVING + 1


def test_subjects_that_had_news_are_bounded_and_old_ones_forgotten() -> None:
    moves = Moves()
    for number in range(MOST_SUBJECTS + 1):
        moves.news(number.to_bytes(8, "big"), number)
    assert len(moves._news_at) == MOST_SUBJECTS
    made = request()
    made.on_subject((MOST_SUBJECTS).to_bytes(8, "big"))
    moves.add(made, b"name", lambda _: None, MOST_SUBJECTS + RECENT)
    assert made in moves._waiting
    moves.go_on(MOST_SUBJECTS + RECENT)
    assert (moves._waiting, moves._by_subject, moves.due) == ({}, {}, None)


def silent_after(liveness: Liveness, owner: Owner, now: int, most: int = 20) -> int:
    """The number of questions without an answer until the replica counts as silent."""
    for turn in range(most):
        now = liveness.next_timeout() or now
        liveness.on_time(now)
        if owner.heard:
            return turn
    return most


def test_a_replica_that_was_only_late_gets_more_patience_until_another_process_answers() -> None:
    liveness, now = Liveness(), 0
    for lives, questions in (
        (FIRST, MOST_UNANSWERED),
        (FIRST, 2 * MOST_UNANSWERED),
        (FIRST, 4 * MOST_UNANSWERED),
        (SECOND_LIFE, 4 * MOST_UNANSWERED),
        (SECOND_LIFE, MOST_UNANSWERED),
    ):
        owner = Owner()
        now += 60 * DISTANCE
        liveness.watch(owner.request, owner.waiter, 0, now)
        assert silent_after(liveness, owner, now) == questions
        liveness.heard(A, lives, now)


def test_time_in_which_this_process_was_late_is_no_silence() -> None:
    liveness, owner = Liveness(), Owner()
    liveness.watch(owner.request, owner.waiter, 0, 0)
    liveness.on_time(DISTANCE)
    late = 10 * DISTANCE
    liveness.on_time(2 * DISTANCE + late)
    assert owner.heard == []
    liveness.on_time(3 * DISTANCE + late)
    assert owner.heard == []
    liveness.on_time(4 * DISTANCE + late)
    assert owner.heard == ["silent"]


def test_a_notice_ends_a_silence_but_a_sign_of_death_that_does_not_count_does_not() -> None:
    liveness, owner, other = Liveness(), Owner(), Owner()
    liveness.watch(owner.request, owner.waiter, 0, 0)
    for turn in range(1, MOST_UNANSWERED + 1):
        liveness.on_time(turn * DISTANCE)
    liveness.watch(other.request, other.waiter, 0, MOST_UNANSWERED * DISTANCE)
    liveness.on_time((MOST_UNANSWERED + 1) * DISTANCE)
    assert owner.heard == other.heard == []
    for turn in range(MOST_UNANSWERED + 2, 2 * MOST_UNANSWERED + 2):
        liveness.unreachable(A, turn * DISTANCE - 1)  # a forger may send these for ever
        liveness.on_time(turn * DISTANCE)
    assert "silent" in owner.heard


def test_a_connection_moves_until_a_replica_is_at_work_for_it_perhaps_by_another_request() -> None:
    liveness = Liveness()
    waiters = [Leaving() for _ in range(MOST_MOVING + 2)]
    for each in waiters:
        liveness.watch(each.request, each.waiter, 0, 0)
    liveness.unreachable(A, 1)
    moved = [each for each in waiters if each.heard]
    assert len(moved) == MOST_MOVING
    for each in moved:
        liveness.unwatch(each.request)  # its continuation had expired: the request is over, another one follows
    assert sum(bool(each.heard) for each in waiters) == MOST_MOVING
    renewed = request(B)
    liveness.watch(renewed, moved[0].waiter, 0, 2)
    assert sum(bool(each.heard) for each in waiters) == MOST_MOVING + 1

"""The client's proof against a model that remembers every packet: what it claims, declares and can show."""

from functools import reduce
from operator import xor
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.model import Walk, walked
from trickles.client.scoreboard import Scoreboard
from trickles.nonce import NonceSequence
from trickles.ranges import Range
from trickles.trickle import Episode, course

NONCES = NonceSequence(bytes(16))


def nonce(number: int) -> int:
    return NONCES.run(number, number + 1)


class Plain:
    """The stupid scoreboard: sets of numbers."""

    def __init__(self, base: int) -> None:
        self.base = self.cursor = base
        self.have: set[int] = set()
        self.lost: set[int] = set()

    def received(self, number: int) -> None:
        if number >= self.cursor:
            self.have.add(number)
        self._advance()

    def declare(self) -> Range:
        start, stop = self.cursor, min(number for number in self.have if number >= self.cursor)
        self.lost.update(range(start, stop))
        self._advance()
        return start, stop

    def _advance(self) -> None:
        while self.cursor in self.have | self.lost:
            self.cursor += 1

    @property
    def hole(self) -> Range | None:
        above = [number for number in self.have if number >= self.cursor]
        return (self.cursor, min(above)) if above else None

    def proof(self, base: int) -> tuple[tuple[int, int, int], ...]:
        runs: list[list[int]] = []
        for number in sorted(number for number in self.have if base <= number < self.cursor):
            if runs and runs[-1][1] == number:
                runs[-1][1:] = [number + 1, runs[-1][2] ^ nonce(number)]
            else:
                runs.append([number, number + 1, nonce(number)])
        return tuple((start, stop, proof) for start, stop, proof in runs)


def agree(board: Scoreboard, plain: Plain) -> None:
    assert board.cursor == plain.cursor
    assert board.hole() == plain.hole
    assert board.waiting == len([number for number in plain.have if number >= plain.cursor])
    assert board.proof() == plain.proof(board.episode.base)
    assert board.clean == (
        bool(board.proof()) and not plain.hole and len(board.proof()) == 1 and not lost(board, plain)
    )


def lost(board: Scoreboard, plain: Plain) -> bool:
    return any(number >= board.episode.base for number in plain.lost)


STEPS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 6), st.booleans()), max_size=40)


@given(st.integers(0, 1000), STEPS)
def test_it_agrees_with_sets_whatever_arrives_and_whatever_is_declared(
    base: int, steps: list[tuple[int, int, bool]]
) -> None:
    board, plain = Scoreboard(Episode(base, 10, 20)), Plain(base)
    for offset, count, declares in steps:
        numbers = range(base + offset, base + offset + count)
        board.received(numbers[0], [nonce(number) for number in numbers])
        for number in numbers:
            plain.received(number)
        if declares and plain.hole:
            assert board.declare_lost() == plain.declare()
        agree(board, plain)


@given(st.integers(1, 12), st.integers(1, 30), st.lists(st.integers(0, 99), max_size=120), st.integers(0, 30))
def test_its_proof_satisfies_a_listener_and_its_course_is_the_walk(
    start: int, ssthresh: int, draws: list[int], percent: int
) -> None:
    episode = Episode(50, start, ssthresh)
    board, walk, pattern = Scoreboard(episode), Walk(50, start, ssthresh), list[bool]()
    for draw in draws:
        if walk.edge <= walk.at:
            break
        pattern.append(draw >= percent)
        walk.decide(received=pattern[-1])
        if pattern[-1]:
            board.received(49 + len(pattern), [nonce(49 + len(pattern))])
            while board.hole():
                board.declare_lost()
    assert all(NONCES.run(begin, end) == proof for begin, end, proof in board.proof())
    edges = walked(episode, pattern[: board.cursor - 50])
    assert [board.course.edge(number) for number in range(50, board.cursor + 1)] == edges


@pytest.mark.slow
def test_rebasing_at_any_episode_changes_no_edge_and_spoils_no_proof() -> None:
    reached = [rebased_on_the_way(seed) for seed in range(60)]
    assert sorted(reached)[30] == 300  # most come to the end; some lose a whole window and would need a restart


def rebased_on_the_way(seed: int) -> int:
    chance, episode = Random(seed), Episode(0, 8, 16)
    plain, rebased = Scoreboard(episode), Scoreboard(episode)
    walk = Walk(0, 8, 16)
    while walk.at < 300 and walk.edge > walk.at:
        received = chance.random() > 0.05
        walk.decide(received=received)
        if not received:
            continue
        for board in (plain, rebased):
            board.received(walk.at - 1, [nonce(walk.at - 1)])
            while board.hole():
                board.declare_lost()
        if chance.random() < 0.3 and rebased.course.episode.base > rebased.episode.base:
            rebased.rebase(rebased.course.episode)
        assert rebased.cursor == plain.cursor
        assert rebased.course.edge(rebased.cursor) == plain.course.edge(plain.cursor) == walk.edge
        assert all(NONCES.run(start, stop) == proof for start, stop, proof in rebased.proof())
        runs = [(start, stop) for start, stop, _ in rebased.proof()]
        assert course(rebased.episode, runs).edge(rebased.cursor) == walk.edge
    return walk.at


def test_bursts_in_order_take_the_short_way_to_the_same_proof() -> None:
    one, many = Scoreboard(Episode(0, 10, 10)), Scoreboard(Episode(0, 10, 10))
    one.received(0, [nonce(number) for number in range(40)])
    for number in range(40):
        many.received(number, [nonce(number)])
    assert one.proof() == many.proof() == ((0, 40, reduce(xor, map(nonce, range(40)))),)
    assert one.clean


def test_what_comes_after_it_was_declared_lost_is_left_out() -> None:
    board = Scoreboard(Episode(0, 10, 10))
    board.received(0, [nonce(0)])
    board.received(3, [nonce(3)])
    assert board.declare_lost() == (1, 3)
    board.received(1, [nonce(1), nonce(2)])
    assert [run[:2] for run in board.proof()] == [(0, 1), (3, 4)]
    assert board.holes == 1


def test_the_first_nonce_of_a_number_stands() -> None:
    board = Scoreboard(Episode(0, 10, 10))
    board.received(1, [111])
    board.received(1, [222])
    board.received(0, [5])
    assert board.proof() == ((0, 2, 5 ^ 111),)


def test_a_restart_begins_with_nothing_but_what_came_early() -> None:
    board = Scoreboard(Episode(0, 10, 10))
    board.received(0, [nonce(0)])
    board.received(50, [nonce(50), nonce(51)])
    board.start_over(Episode(50, 2, 5))
    assert [run[:2] for run in board.proof()] == [(50, 52)]
    assert (board.cursor, board.holes, board.episode.base) == (52, 0, 50)


def test_rebasing_beyond_what_was_decided_is_a_restart() -> None:
    board = Scoreboard(Episode(0, 10, 10))
    board.received(0, [nonce(0)])
    board.rebase(Episode(20, 3, 5))
    assert (board.cursor, board.proof(), board.clean) == (20, (), False)

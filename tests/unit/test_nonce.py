"""Range nonces: proofs telescope over runs of any length and parity, and no two connections share any."""

from functools import reduce
from operator import xor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickles.nonce import NonceSequence

KEY = bytes(range(16))
NUMBER = st.integers(0, (1 << 32) - 1)
KEYS = st.binary(min_size=16, max_size=16)


@given(KEYS, NUMBER, st.integers(0, 300))
def test_the_proofs_of_a_burst_are_those_of_its_packets_one_by_one(key: bytes, start: int, count: int) -> None:
    sequence = NonceSequence(key)
    expected = [sequence.value(number) ^ sequence.value(number + 1) for number in range(start, start + count)]
    assert sequence.proofs(start, start + count) == expected


@given(KEYS, NUMBER, st.integers(1, 300), st.integers(1, 300))
def test_neighbouring_runs_join_to_one(key: bytes, start: int, first: int, second: int) -> None:
    sequence = NonceSequence(key)
    middle, stop = start + first, start + first + second
    assert sequence.run(start, stop) == sequence.run(start, middle) ^ sequence.run(middle, stop)
    assert sequence.run(start, stop) == reduce(xor, sequence.proofs(start, stop))


def test_every_parity_of_start_and_stop() -> None:
    sequence = NonceSequence(KEY)
    for start in range(6):
        for stop in range(start, 12):
            proofs = sequence.proofs(start, stop)
            assert len(proofs) == stop - start
            assert reduce(xor, proofs, 0) == sequence.run(start, stop)


@pytest.mark.slow
@given(KEYS, st.lists(st.tuples(NUMBER, st.integers(1, 300)), max_size=33), st.integers(0, 32), st.integers(0, 63))
def test_many_runs_are_checked_at_once_and_one_that_is_false_spoils_them(
    key: bytes, spans: list[tuple[int, int]], at: int, bit: int
) -> None:
    sequence = NonceSequence(key)
    runs = [(start, start + count, sequence.run(start, start + count)) for start, count in spans]
    assert sequence.holds(runs)
    if runs:
        start, stop, nonce = runs[at % len(runs)]
        runs[at % len(runs)] = start, stop, nonce ^ 1 << bit
        assert not sequence.holds(runs)


def test_values_are_64_bits_and_do_not_repeat() -> None:
    sequence = NonceSequence(KEY)
    values = {sequence.value(number) for number in range(5000)} | {
        sequence.value(number) for number in range((1 << 32) - 100, (1 << 32) + 2)
    }
    assert len(values) == 5102
    assert all(0 <= value < 1 << 64 for value in values)


def test_no_two_keys_share_a_value_or_a_proof() -> None:
    sequences = [NonceSequence(KEY[:15] + bytes([last])) for last in range(40)]
    assert len({sequence.value(number) for sequence in sequences for number in range(50)}) == 2000
    assert len({proof for sequence in sequences for proof in sequence.proofs(0, 50)}) == 2000


def test_a_run_with_a_hole_proves_nothing_of_the_whole() -> None:
    sequence = NonceSequence(KEY)
    proofs = sequence.proofs(0, 100)
    without = reduce(xor, proofs[:50] + proofs[51:])
    assert without != sequence.run(0, 100)
    assert without == sequence.run(0, 50) ^ sequence.run(51, 100)


def test_an_equal_key_makes_an_equal_sequence() -> None:
    assert NonceSequence(KEY).proofs(7, 99) == NonceSequence(bytes(KEY)).proofs(7, 99)

"""Bytes made slightly wrong, the same ones for the same seed."""

from collections.abc import Iterator, Sequence
from random import Random

NUMBERS = [
    value.to_bytes(size, "big") for size in (1, 2, 4, 8) for value in (0, 1, (1 << 8 * size) - 1, 1 << 8 * size - 1)
]


def mutants(corpus: Sequence[bytes], seed: int, rounds: int) -> Iterator[bytes]:
    """Each of the corpus as it is, then as many with bytes flipped, numbers put in, pieces cut out or crossed."""
    yield from corpus
    chance = Random(seed)
    for _ in range(rounds):
        data = bytearray(chance.choice(corpus))
        for _ in range(chance.randint(1, 4)):
            mutate(data, chance, corpus)
        yield bytes(data)


def mutate(data: bytearray, chance: Random, corpus: Sequence[bytes]) -> None:
    """One small change, near the front more often than not: that is where the fields are."""
    at = min(chance.randrange(len(data) + 1), chance.randrange(len(data) + 1))
    kind = chance.randrange(6)
    if kind == 0:
        data[at : at + 1] = bytes([chance.randrange(256)])
    elif kind == 1 and at < len(data):
        data[at] ^= 1 << chance.randrange(8)
    elif kind == 2:
        number = chance.choice(NUMBERS)
        data[at : at + len(number)] = number
    elif kind == 3:
        del data[at : at + chance.randrange(1, 40)]
    elif kind == 4:
        data[at:at] = chance.choice(NUMBERS) * chance.randrange(1, 4)
    else:
        data[at:] = chance.choice(corpus)[at:]

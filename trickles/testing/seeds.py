"""One seed, many independent streams of randomness."""

from __future__ import annotations

from collections.abc import Callable
from random import Random


class Seeds:
    """Hands every component its own generator, so that adding one component never shifts another's numbers.

    A stream depends on the seed and on the component's name alone; `random.Random` seeds itself from text through
    SHA-512, which is the same in every process.
    """

    __slots__ = ("seed",)

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def random(self, name: str) -> Random:
        """A fresh generator for the component called `name`; the same name always starts the same stream."""
        return Random(f"{self.seed}/{name}")

    def entropy(self, name: str) -> Callable[[int], bytes]:
        """A source of `n` reproducible bytes, in the shape the engines take their entropy in."""
        return self.random(name).randbytes

"""Independent random streams from one seed."""

from __future__ import annotations

from collections.abc import Callable
from random import Random


class Seeds:
    """Random streams of components, so that adding one never changes another's numbers.

    A stream depends only on the seed and the component's name; `random.Random` hashes text by SHA-512, the same in
    every process.
    """

    __slots__ = ("seed",)

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def random(self, name: str) -> Random:
        """Return a new generator for the component called `name`, from the start of its stream."""
        return Random(f"{self.seed}/{name}")

    def entropy(self, name: str) -> Callable[[int], bytes]:
        """Return a source of reproducible bytes, as the engines take their entropy."""
        return self.random(name).randbytes

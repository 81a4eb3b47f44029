"""What happened in a demonstration so far: samples, kills, pauses. Pure values; the clock is the caller's."""

from __future__ import annotations

from dataclasses import dataclass, field

_RATE_SECONDS = 1.0  # the rate shown is that of the last second


@dataclass(frozen=True, slots=True)
class Sample:
    """How things stood at one moment; seconds since the download began.

    `packets` are those each replica told of, over all its lives; `pids` are None for replicas that are not ready;
    `at_work` is the index of the replica that served last, None while that is not known.
    """

    seconds: float
    received_bytes: int
    packets: tuple[int, ...]
    pids: tuple[int | None, ...]
    at_work: int | None


@dataclass(frozen=True, slots=True)
class Kill:
    """One SIGKILL: when, and to which replica."""

    seconds: float
    replica: int


@dataclass(slots=True)
class Story:
    """The download of `size_bytes` through `replicas`, as it was seen from outside."""

    size_bytes: int
    replicas: int
    samples: list[Sample] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    is_held_up: bool = False  # a kill is due, and no other replica is ready
    longest_pause: float = 0.0  # seconds in which nothing arrived, from the first byte to the last
    served_bytes: list[int] = field(init=False)  # what arrived while each replica was at work
    _grown_at: float | None = None
    _grown_to: int = 0

    def __post_init__(self) -> None:
        self.served_bytes = [0] * self.replicas

    def add(self, sample: Sample) -> None:
        """Note how things stand now."""
        before = self.samples[-1].received_bytes if self.samples else 0
        if sample.at_work is not None:
            self.served_bytes[sample.at_work] += sample.received_bytes - before
        self.samples.append(sample)

    def grew(self, seconds: float, received_bytes: int) -> None:
        """Note how much has arrived by now; called often, it finds the longest pause."""
        if received_bytes > self._grown_to:
            if self._grown_at is not None:
                self.longest_pause = max(self.longest_pause, seconds - self._grown_at)
            self._grown_at, self._grown_to = seconds, received_bytes

    @property
    def rate_bytes(self) -> float:
        """Bytes per second lately."""
        if not self.samples:
            return 0.0
        last = self.samples[-1]
        first = next(each for each in self.samples if each.seconds >= last.seconds - _RATE_SECONDS)
        return (last.received_bytes - first.received_bytes) / max(last.seconds - first.seconds, 1e-3)

    def kills_of(self, replica: int) -> int:
        """How often that replica was killed."""
        return sum(kill.replica == replica for kill in self.kills)

"""The tiling rule the stupid way: one packet after another, with no closed form anywhere."""

from collections.abc import Iterator, Sequence

from trickles.ranges import Range
from trickles.trickle import Episode


def reno_steps(start: int, ssthresh: int) -> Iterator[int]:
    """The window before each acknowledgement: +1 for each below the plateau, then +1 for each whole window."""
    window, credit, plateau = start, 0, max(start, ssthresh)
    while True:
        yield window
        if window < plateau:
            window += 1
        else:
            credit += 1
            if credit == window:
                window, credit = window + 1, 0


class Walk:
    """A sender that decides one number after another; `edge` is the first number it may not send yet."""

    def __init__(self, base: int, start: int, ssthresh: int) -> None:
        self.reduced = 0
        self._begin(base, start, ssthresh)

    def _begin(self, base: int, start: int, ssthresh: int) -> None:
        self.episode = Episode(base, start, ssthresh)
        self.at, self.edge = base, base + start
        self.last: int | None = None  # while it recovers from a loss: where that ends
        self.delivered = 0
        self._windows = reno_steps(start, ssthresh)
        self.window = next(self._windows)

    def decide(self, *, received: bool) -> None:
        """The next number was received, or is lost for good."""
        self.at += 1
        if self.last is None and received:
            self.window = next(self._windows)
            self.edge = self.at + self.window
        elif self.last is None:
            self.window = max(self.window, 1)
            self.last = self.at - 1 + self.window
            self.reduced = max(self.window // 2, 2) if self.window > 2 else 1
            self.edge = max(self.edge, self.last)
        elif received:
            self.delivered += 1
            while (self.edge - self.last) * self.window < self.delivered * self.reduced:
                self.edge += 1
        if self.at == self.last:
            self._begin(self.last, self.edge - self.last, self.reduced)


def walked(episode: Episode, pattern: Sequence[bool]) -> list[int]:
    """The edge before each decision of `pattern` (True: received), and after the last."""
    walk = Walk(episode.base, episode.start, episode.ssthresh)
    edges = [walk.edge]
    for received in pattern:
        walk.decide(received=received)
        edges.append(walk.edge)
    return edges


def runs_of(base: int, pattern: Sequence[bool]) -> list[Range]:
    """What was received, as runs from `base` on."""
    runs: list[Range] = []
    for number, received in enumerate(pattern, base):
        if received and runs and runs[-1][1] == number:
            runs[-1] = (runs[-1][0], number + 1)
        elif received:
            runs.append((number, number + 1))
    return runs

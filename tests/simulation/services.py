"""Services for simulated fleets: what they answer follows from the input alone, and they keep nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random

from trickles.service import Continuation, Deferred, Event, Refusal, Reply, Service

LAST, MORE = b"!", b"."  # whether a continuation's answer is the last one


@lru_cache(maxsize=64)
def answer(line: bytes) -> bytes:
    """The answer to the request `name size`: so many bytes that follow from the line."""
    return Random(line).randbytes(int(line.split()[1]))


def request(name: int, size_bytes: int) -> tuple[bytes, bytes]:
    """A request and its answer, for a Conversation."""
    line = b"%d %d" % (name, size_bytes)
    return line + b"\n", answer(line)


@dataclass(slots=True)
class Lines:
    """Each line of input asks for one answer; `handled` counts the conversions of input into answers."""

    handled: list[bytes] = field(default_factory=list)

    def handle(self, event: Event) -> Reply:
        """Turn the next line into a continuation if one is there; serve what is wanted of the newest answer.

        What ends the output is in the continuation too: whoever goes on with the last answer must know.
        """
        known, new = event.continuation, None
        line, newline, rest = event.input.partition(b"\n")
        last = event.input_end and not rest
        if newline:
            self.handled.append(line)
            start = known.stop if known and known.stop is not None else 0
            stop, consumed = start + len(answer(line)), event.input_offset + len(line) + 1
            known = new = Continuation((LAST if last else MORE) + line, start, stop, consumed)
        if known is None:
            return Reply(end=0 if last else None)
        ends = last or known.state.startswith(LAST)
        chunks = served(known, answer(known.state[1:]), event.wants)
        return Reply(tuple(chunks), new, known.stop if ends else None)


def served(known: Continuation, body: bytes, wants: tuple[tuple[int, int], ...]) -> list[tuple[int, memoryview]]:
    """The wanted parts of `body`, which begins at the continuation's start."""
    view, parts = memoryview(body), []
    for start, stop in wants:
        start, stop = max(start, known.start), min(stop, known.start + len(body))
        if start < stop:
            parts.append((start, view[start - known.start : stop - known.start]))
    return parts


@dataclass(slots=True)
class Refuser:
    """Refuses by rule, else asks the service behind it: `rule` sees each event and how many there were before."""

    inner: Service
    rule: Callable[[Event, int], Refusal | None]
    refused: int = 0
    events: int = 0

    def handle(self, event: Event) -> Reply | Deferred:
        """Refuse or pass on."""
        refusal = self.rule(event, self.events)
        self.events += 1
        if refusal is None:
            return self.inner.handle(event)
        self.refused += 1
        return Reply(refusal=refusal)

"""Services for tests: each answers by rule, and keeps nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from trickles.service import Continuation, Deferred, Event, Refusal, Reply


def body(size_bytes: int, seed: int = 1) -> bytes:
    """Content in which no two stretches look alike."""
    return Random(seed).randbytes(size_bytes)


@dataclass(slots=True)
class File:
    """One response of fixed bytes once a line of input has come; `pad` bytes make its continuation larger."""

    content: bytes
    pad: int = 0
    knows_end: bool = True  # the continuation names where the output stops

    def handle(self, event: Event) -> Reply:
        """Answer from the continuation alone once there is one."""
        known, new = event.continuation, None
        if known is None:
            if not event.input.endswith(b"\n"):
                return Reply()
            stop = len(self.content) if self.knows_end else None
            known = new = Continuation(b"f" * (1 + self.pad), 0, stop, event.input_offset + len(event.input))
        chunks = tuple(
            (start, memoryview(self.content)[start:stop])
            for start, stop in event.wants
            if start < min(stop, len(self.content))
        )
        return Reply(chunks, new, len(self.content))


@dataclass(slots=True)
class Tape:
    """Output without end whose byte at offset n is n mod 251: can serve any range that can be asked for."""

    LOOP = bytes(range(251)) * 1300

    def handle(self, event: Event) -> Reply:
        """Serve what is wanted, up to the budget."""
        chunks, room = [], event.budget
        for start, stop in event.wants:
            size = min(stop - start, room, 300_000)
            if size > 0:
                at = start % 251
                chunks.append((start, self.LOOP[at : at + size]))
                room -= size
        new = None
        if event.continuation is None:
            new = Continuation(b"tape", 0, None, event.input_offset + len(event.input))
        return Reply(tuple(chunks), new)


@dataclass(slots=True)
class Refusing:
    """Refuses everything, for one reason."""

    reason: Refusal

    def handle(self, event: Event) -> Reply:
        """Refuse."""
        return Reply(refusal=self.reason)


@dataclass(slots=True)
class Patient:
    """Defers every answer until the test resolves it."""

    waiting: list[tuple[Event, Deferred]] = field(default_factory=list)

    def handle(self, event: Event) -> Deferred:
        """Put it on the list."""
        deferred = Deferred()
        self.waiting.append((event, deferred))
        return deferred


@dataclass(slots=True)
class Seen:
    """Notes what another service is asked."""

    inner: Callable[[Event], Reply | Deferred]
    events: list[Event] = field(default_factory=list)

    def handle(self, event: Event) -> Reply | Deferred:
        """Note and pass on."""
        self.events.append(event)
        return self.inner(event)

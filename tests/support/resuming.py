"""Connections that die and are resumed from a snapshot, in the simulator; no request number may come twice."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.support.inside import parts
from tests.support.net import Net
from trickles.client import Client, ClientConfig, Snapshot, parse_snapshot_untrusted
from trickles.service import Continuation, Event, Reply
from trickles.wire.kinds import Kind
from trickles.wire.request import HEADER_BYTES

NUMBERED = (Kind.REQUEST, Kind.PIECE, Kind.PING)


@dataclass(slots=True)
class Echo:
    """Answers each line of input by its length and the line; what it sees of the input must be what was written."""

    expected: bytes
    wrong: list[int] = field(default_factory=list)

    def handle(self, event: Event) -> Reply:
        start, stop = event.input_offset, event.input_offset + len(event.input)
        known, fresh = event.continuation, None
        if event.input != self.expected[start:stop]:
            self.wrong.append(start)
        at = self.expected[start:stop].rfind(b"\n") + 1
        if at:
            begun = known.stop or 0 if known else 0
            known = fresh = Continuation(b"%d %d" % (start, start + at), begun, begun + at, start + at)
        if known is None:
            return Reply()
        first, last = map(int, known.state.split())
        text = self.expected[first:last]
        wants = [(low - known.start, high - known.start) for low, high in event.wants if low >= known.start]
        chunks = [(known.start + low, text[low:high]) for low, high in wants]
        return Reply(tuple((low, chunk) for low, chunk in chunks if chunk), fresh)


class Numbers:
    """A network that notes each datagram of a client under its request number."""

    def __init__(self) -> None:
        self.sent: dict[bytes, bytes] = {}

    def __call__(self, datagram: bytes, upward: bool) -> Iterable[bytes]:
        if upward and datagram[0] in NUMBERED:
            number = datagram[HEADER_BYTES - 4 : HEADER_BYTES]
            assert self.sent.setdefault(number, datagram) == datagram, f"{number.hex()} was used twice"
        return (datagram,)


def copied(snapshot: Snapshot) -> Snapshot:
    """The same after a trip through its bytes."""
    again = parse_snapshot_untrusted(snapshot.encode(), ClientConfig().limits)
    assert again == snapshot
    return again


def resume(net: Net, snapshot: Snapshot, config: ClientConfig, received_bytes: int) -> None:
    """The client is dead, and another one goes on from a snapshot that it took when it had given so much out."""
    dead = net.client
    net.resume(Client.resume(net.addresses, copied(snapshot), config), received_bytes)
    assert parts(net.client).session.identity == parts(dead).session.identity

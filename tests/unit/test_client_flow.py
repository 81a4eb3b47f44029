"""How much, how large, and for whom: the receive window, the size of datagrams, input and its end."""

from collections.abc import Iterable

import pytest

from tests.support.inside import parts
from tests.support.net import HOME, Net, fleet
from tests.support.toys import File, Seen, Tape, body
from trickles.client import ClientConfig
from trickles.limits import SECOND, Limits
from trickles.service import Continuation, Event, Reply
from trickles.wire.kinds import Kind

CONTENT = body(300_000)
HOUR = 3600 * SECOND


def config(window: int = 4 << 20, probe_sizes: tuple[int, ...] = ()) -> ClientConfig:
    return ClientConfig(limits=Limits(receive_window_bytes=window), probe_sizes=probe_sizes)


@pytest.mark.parametrize("window", [4_000, 20_000, 100_000])
def test_a_reader_that_takes_nothing_is_sent_no_more_than_its_window(window: int) -> None:
    net = Net(fleet(Tape(), 1), config=config(window))
    net.host.pause(HOUR)
    net.run(until_us=HOUR - 1)
    output = parts(net.client).output.arrived
    assert output.next_offset == output.ready_bytes == window
    assert net.client.next_timeout() is None  # nothing to wait for: it costs nobody anything


@pytest.mark.parametrize("window", [4_000, 20_000])
def test_taking_opens_the_window_again(window: int) -> None:
    net = Net(fleet(File(CONTENT), 1), config=config(window))
    assert net.run() == CONTENT


class Narrow:
    """Drops what is larger than the path allows, from some datagram on."""

    def __init__(self, size: int, since: int = 0) -> None:
        self.size, self.since, self.count, self.largest = size, since, 0, 0

    def __call__(self, datagram: bytes, upward: bool) -> Iterable[bytes]:
        self.count += 1
        if self.count >= self.since and len(datagram) > self.size:
            return ()
        if datagram[0] == Kind.RESPONSE:
            self.largest = max(self.largest, len(datagram))
        return (datagram,)


@pytest.mark.parametrize(("path", "used"), [(1200, 1200), (1400, 1200), (1472, 1472), (9000, 8972), (70_000, 65_507)])
def test_datagrams_grow_to_what_the_path_carries(path: int, used: int) -> None:
    narrow = Narrow(path)
    content = body(2_000_000)
    net = Net(fleet(File(content), 1), config=config(probe_sizes=(1472, 8972, 65_507)), tamper=narrow)
    assert net.run() == content
    assert narrow.largest == used
    assert net.client.statistics()["datagram_bytes"] == used


@pytest.mark.parametrize("since", [200, 300, 400])
def test_a_path_that_becomes_narrower_stops_nothing_for_long(since: int) -> None:
    narrow = Narrow(1300, since)
    content = body(2_000_000)
    net = Net(fleet(File(content), 1), config=config(probe_sizes=(8972,)), tamper=narrow)
    assert net.run() == content, f"{net.outcome} {net.client.statistics()}"
    assert narrow.largest == 8972
    assert net.now < 30 * SECOND


# input


class Echo:
    """Gives back what it is given, line by line; its continuation holds the line."""

    def handle(self, event: Event) -> Reply:
        known = event.continuation
        at, stop = (known.consumed, known.stop) if known else (0, 0)
        assert stop is not None
        line, mark, _ = event.input[at - event.input_offset :].partition(b"\n")
        new = Continuation(line + mark, stop, stop + len(line) + 1, at + len(line) + 1) if mark else None
        said = new or known
        if said is None:
            return Reply()
        pieces = tuple(
            (start, said.state[start - said.start : stop - said.start])
            for start, stop in event.wants
            if said.start <= start < min(stop, said.start + len(said.state))
        )
        done = event.input_end and event.input_offset + len(event.input) <= said.consumed
        return Reply(pieces, new, said.stop if done else None)


@pytest.mark.parametrize("lines", [[b"one\n"], [b"one\n", b"two\n", b"three\n"], [b"%d\n" % n for n in range(40)]])
@pytest.mark.parametrize("together", [True, False], ids=["together", "one by one"])
def test_every_line_is_answered_once_and_in_order(lines: list[bytes], together: bool) -> None:
    net = Net(fleet(Echo()), config=HOME, loss=0.02)
    if together:
        assert net.run(b"".join(lines), ends=True) == b"".join(lines)
    else:
        net.run(lines[0])
        for line in lines[1:]:
            net.client.write(line)
            net.go_on()
        net.client.write_eof()
        assert net.go_on() == b"".join(lines)
    assert net.outcome == "end"


def test_an_end_of_input_alone_is_told() -> None:
    seen = Seen(Echo().handle)
    net = Net(fleet(seen, 1), config=HOME)
    net.run(b"one\n")
    assert net.outcome == ""
    net.client.write_eof()
    assert net.go_on() == b"one\n"
    assert net.outcome == "end"
    assert [(event.input, event.input_end) for event in seen.events][-1] == (b"", True)


def test_input_that_was_consumed_is_not_sent_again() -> None:
    seen = Seen(Echo().handle)
    net = Net(fleet(seen, 1), config=HOME)
    net.run(b"one\ntwo\n", ends=True)
    assert net.received == b"one\ntwo\n"
    offered = [(event.input_offset, event.input) for event in seen.events if event.input]
    assert offered == sorted(offered)
    assert offered[-1] == (4, b"two\n")


def test_a_line_in_pieces_is_put_together() -> None:
    net = Net(fleet(Echo(), 1), config=HOME)
    assert net.run(b"on") == b""
    net.client.write(b"e")
    assert net.go_on() == b""
    net.client.write(b"\n")
    assert net.go_on() == b"one\n"

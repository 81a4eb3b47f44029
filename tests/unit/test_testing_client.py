"""Client hosts and the applications on them: driving, batching, moving, reading slowly, judging what comes."""

from collections.abc import Iterable

import pytest

from tests.support.toy_engines import Data, End, ToyBurst, ToyClient, ToyListener
from trickles.testing import (
    MILLISECOND,
    SECOND,
    Application,
    ClientHost,
    Conversation,
    Fetch,
    LinkSpec,
    Livelock,
    Simulation,
)
from trickles.testing.packet import Address

WIRE = LinkSpec(delay=10 * MILLISECOND)


def echo(request: bytes) -> bytes:
    return request * 3


Setting = tuple[Simulation, ClientHost]


def setting(application: Application, *, content: bytes | None = None, batching: int | None = None) -> Setting:
    simulation = Simulation(4)
    replica = simulation.add_replica(lambda birth: ToyListener(echo if content is None else lambda request: content))
    links = [simulation.add_link(name, WIRE) for name in ("up", "down")]
    client = simulation.add_client(
        ToyClient([replica.address]), application, outgoing=links[:1], incoming=links[1:], start=5, batching=batching
    )
    return simulation, client


def test_a_fetch_takes_its_round_trips() -> None:
    body = bytes(range(250)) * 40
    simulation, client = setting(Fetch(b"x", body), content=body)
    report = simulation.run_transfer(client)
    assert report.completed
    assert (report.bytes_received, report.duration) == (10_000, 40 * MILLISECOND)
    assert report.longest_gap == 20 * MILLISECOND
    assert report.goodput == pytest.approx(2e6)
    assert client.curve.at(20 * MILLISECOND + 5) == 1_200


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"abcdeX", "wrong bytes at 0"), (b"abcde", "ended at 5 of 6"), (b"abcdefg", "wrong bytes at 0")],
)
def test_a_fetch_fails_on_other_bytes_than_expected(content: bytes, reason: str) -> None:
    simulation, client = setting(Fetch(b"x", b"abcdef"), content=content)
    report = simulation.run_transfer(client)
    assert not report.completed
    assert reason in str(report.failure)
    assert reason in str(report)


def test_a_fetch_may_expect_nothing_in_particular() -> None:
    taken = bytearray()
    fetch = Fetch(b"x", into=taken)
    simulation, client = setting(fetch, content=b"whatever")
    assert simulation.run_transfer(client).completed
    assert (fetch.received_bytes, bytes(taken)) == (8, b"whatever")


def pairs(count: int) -> Iterable[tuple[bytes, bytes]]:
    requests = (b"%d" % index for index in range(count))
    return [(request, echo(request)) for request in requests]


def test_a_conversation_asks_again_when_it_has_its_answer() -> None:
    conversation = Conversation(pairs(50))
    simulation, client = setting(conversation)
    report = simulation.run_transfer(client)
    assert report.completed
    assert (conversation.answered, report.duration) == (50, 50 * 20 * MILLISECOND)


def test_a_conversation_may_think_and_keep_several_requests_open() -> None:
    conversation = Conversation(pairs(9), depth=4, think=SECOND)
    simulation, client = setting(conversation)
    assert simulation.run_transfer(client).completed
    assert conversation.answered == 9
    assert client.finished_at is not None
    assert 3 * SECOND > client.finished_at > 2 * SECOND


def test_a_conversation_of_nothing_is_over() -> None:
    simulation, client = setting(Conversation([]))
    assert simulation.run_transfer(client).completed


def test_a_conversation_fails_on_a_wrong_answer() -> None:
    simulation, client = setting(Conversation([(b"a", b"aaa"), (b"b", b"bbc"), (b"c", b"ccc")]))
    assert simulation.run_transfer(client).failure == "answer 1 is wrong at 0 or up to 3 bytes after"


def test_a_conversation_fails_on_bytes_nobody_asked_for() -> None:
    simulation, client = setting(Conversation([(b"a", b"aa")]))
    assert simulation.run_transfer(client).failure is None  # it had all it wanted by then
    simulation, client = setting(Conversation([(b"a", b"aa"), (b"b", b"abbb")]))
    assert simulation.run_transfer(client).completed
    talker = Scripted([Data((b"aaa",))])
    simulation = Simulation(1)
    client = simulation.add_client(talker, Conversation([(b"a", b"a")], think=1))
    assert simulation.run_transfer(client).failure == "2 bytes more than were asked for"


def test_a_conversation_fails_when_the_stream_ends_early() -> None:
    simulation = Simulation(1)
    client = simulation.add_client(Scripted([Data((b"a",)), End()]), Conversation([(b"a", b"ab")]))
    assert simulation.run_transfer(client).failure == "the stream ended with 1 answers open"


def test_a_slow_reader_takes_its_time() -> None:
    body = bytes(12_000)
    simulation, client = setting(Fetch(b"x", body, read_rate=6_000), content=body)
    report = simulation.run_transfer(client)
    assert report.completed
    assert 2_000 * MILLISECOND <= report.duration <= 2_050 * MILLISECOND
    assert client.curve.rate(0, SECOND) == pytest.approx(8 * 6_000, rel=0.2)


class Failed:
    reason = "gone"


class Scripted:
    """An engine that gives the events it was made with, and asks for time-outs as told."""

    def __init__(self, events: Iterable[object], timeout: int | None = None) -> None:
        self.events = list(events)
        self.timeout = timeout
        self.calls: list[tuple[str, int]] = []

    def connect(self, *, now: int) -> None:
        self.calls.append(("connect", now))

    def write(self, data: bytes) -> None:
        self.calls.append(("write", len(data)))

    def write_eof(self) -> None:
        self.calls.append(("eof", 0))

    def receive_datagram(self, datagram: bytes, source: Address, *, now: int) -> None:
        self.calls.append(("datagram", now))

    def receive_unreachable(self, replica: Address, *, now: int) -> None:
        self.calls.append(("unreachable", now))

    def handle_timeout(self, *, now: int) -> None:
        self.calls.append(("timeout", now))
        self.timeout = now + 10 if now < 40 else None

    def datagrams_to_send(self, *, now: int) -> list[tuple[bytes, Address]]:
        self.calls.append(("send", now))
        return []

    def next_timeout(self) -> int | None:
        return self.timeout

    def next_event(self) -> object | None:
        return self.events.pop(0) if self.events else None


def test_the_engine_is_driven_as_a_socket_driver_would() -> None:
    engine = Scripted([], timeout=30)
    simulation = Simulation(1)
    simulation.add_client(engine, Fetch(b"abc"), start=7)
    simulation.run(max_time=100)
    start = [("write", 3), ("eof", 0), ("connect", 7), ("send", 7)]
    assert engine.calls == [*start, ("timeout", 30), ("send", 30), ("timeout", 40), ("send", 40)]


def test_an_engine_that_fails_ends_the_run() -> None:
    simulation = Simulation(1)
    client = simulation.add_client(Scripted([Data((b"a",)), Failed()]), Fetch(b"abc"))
    report = simulation.run_transfer(client)
    assert (report.completed, report.failure, report.bytes_received) == (False, "gone", 1)


def test_an_engine_that_waits_for_ever_is_reported() -> None:
    simulation = Simulation(1)
    client = simulation.add_client(Scripted([]), Fetch(b"abc"))
    simulation.clock.every(SECOND, lambda: None)
    assert simulation.run_transfer(client, max_time=90 * SECOND).failure == "not done after 90.000 s"


def test_an_engine_whose_timer_stands_still_is_found_out() -> None:
    class Stuck(Scripted):
        def handle_timeout(self, *, now: int) -> None:
            self.timeout = now

    simulation = Simulation(1)
    client = simulation.add_client(Stuck([], timeout=3), Fetch(b"abc"))
    with pytest.raises(Livelock):
        simulation.run_transfer(client)


class Volley:
    """A listener that answers with three datagrams at once."""

    def handle(self, datagram: bytes, source: Address, *, now: int) -> list[ToyBurst]:
        return [ToyBurst(source, (b"a", b"b", b"c"))]


@pytest.mark.parametrize(("batching", "turns"), [(None, [1, 1, 1]), (0, [3]), (50, [3])])
def test_datagrams_of_one_moment_may_be_fed_together(batching: int | None, turns: list[int]) -> None:
    class Asking(Scripted):
        def datagrams_to_send(self, *, now: int) -> list[tuple[bytes, Address]]:
            super().datagrams_to_send(now=now)
            return [(b"x", ("192.0.2.1", 4433))] if now == 0 and len(self.calls) < 5 else []

    simulation = Simulation(1)
    simulation.add_replica(lambda birth: Volley())
    engine = Asking([])
    simulation.add_client(engine, Fetch(b"x"), batching=batching)
    simulation.run(max_time=100)
    after = engine.calls[4:]
    assert [name for name, _ in after] == [name for turn in turns for name in [*["datagram"] * turn, "send"]]
    assert after[-1] == ("send", batching or 0)


@pytest.mark.parametrize("host", [False, True])
def test_a_client_that_moves_loses_what_is_under_way_and_goes_on(host: bool) -> None:
    body = bytes(60_000)
    simulation, client = setting(Fetch(b"x", body), content=body)
    before = client.address
    simulation.clock.at(15 * MILLISECOND, lambda _: client.rebind(host=host), None)
    simulation.clock.every(70 * MILLISECOND, lambda: client.rebind(host=host))
    report = simulation.run_transfer(client)
    assert report.completed
    assert report.client.in_vain > 0
    assert client.address[1] != before[1]
    assert (client.address[0] != before[0]) == host


def test_a_client_may_move_through_networks_of_both_kinds() -> None:
    simulation = Simulation(1)
    for address, moved in ((("10.0.3.1", 65_535), ("10.0.4.1", 1)), (("2001:db8::1", 9), ("2001:db8:0:1::1", 10))):
        client = simulation.add_client(Scripted([]), Fetch(b"x"), address=address)
        client.rebind(host=True)
        assert client.address == moved

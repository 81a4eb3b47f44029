"""Snapshots of connections: what they hold, what they refuse, and that nothing hostile comes out of their bytes."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fleetkeys import IDENTITY, entropy
from tests.support.inside import parts
from tests.support.net import HOME, Net, fleet
from tests.support.resuming import Echo, Numbers, resume
from tests.support.toys import File, Patient, body
from trickles.client import Client, ClientConfig, Failed, Snapshot, parse_snapshot_untrusted
from trickles.client.input import InputQueue
from trickles.client.snapshot import MOST_RESUMES, RESERVED_NUMBERS, VERSION
from trickles.client.upload import Uploader
from trickles.errors import BadPacket, ConnectionFailed, IdentityError, LocalProtocolError, UnknownSnapshot
from trickles.handshake import identity_public
from trickles.limits import DEFAULT_LIMITS, SECOND
from trickles.service import Continuation, Reply
from trickles.wire.kinds import Suite

CONTENT = body(100_000)
A, B = ("10.0.0.1", 443), ("10.0.0.2", 443)


def midway(config: ClientConfig = HOME, until_us: int = 60_000) -> Net:
    """A download that is under way."""
    net = Net(fleet(File(CONTENT)), config=config, loss=0.02, tamper=Numbers())
    net.run(until_us=until_us)
    assert 0 < len(net.received) < len(CONTENT)
    return net


def encoded() -> bytes:
    """The bytes of a snapshot with something of everything."""
    net = midway()
    net.client.write(bytes(20_000))
    net.walk(20)
    return net.client.snapshot().encode()


ENCODED = encoded()


@pytest.mark.parametrize("suite", list(Suite))
def test_a_download_goes_on_at_the_byte_where_it_was_left(suite: Suite) -> None:
    config = replace(HOME, suite=suite)
    net = midway(config)
    resume(net, net.client.snapshot(), config, len(net.received))
    assert net.client.is_established
    assert net.go_on() == CONTENT


def test_a_client_that_dies_again_and_again_without_an_answer_says_so_in_the_end() -> None:
    """It continues after as many deaths as are promised."""
    net = midway()
    for _ in range(MOST_RESUMES):
        resume(net, net.client.snapshot(), HOME, len(net.received))
        assert net.client.datagrams_to_send(now=net.now)  # nobody receives them
    with pytest.raises(ConnectionFailed, match="resumed too often"):
        Client.resume([A], net.client.snapshot(), HOME)
    assert net.go_on() == CONTENT


def test_what_arrived_and_was_not_read_goes_along() -> None:
    net = midway()
    net.host.pause(SECOND)
    while not parts(net.client).output.arrived.ready_bytes:
        assert net.step()
    snapshot = net.client.snapshot()
    assert snapshot.output.ready == CONTENT[len(net.received) :][: len(snapshot.output.ready)] != b""
    resume(net, snapshot, HOME, len(net.received))
    assert net.go_on() == CONTENT


def test_an_idle_connection_says_nothing_until_there_is_something_to_say() -> None:
    net = Net(fleet(Echo(b"one\ntwo\n")), config=HOME, tamper=Numbers())
    assert net.run(b"one\n") == b"one\n"
    resume(net, net.client.snapshot(), HOME, len(net.received))
    assert net.client.is_idle
    assert (net.client.next_event(), net.client.datagrams_to_send(now=net.now)) == (None, [])
    assert net.client.next_timeout() is None
    net.client.write(b"two\n")
    assert net.go_on() == b"one\ntwo\n"


def test_an_unsafe_request_under_way_is_asked_for_under_the_same_key_and_offset() -> None:
    """A fleet runs it at most once by the connection's identity and the input's offset."""
    service = Patient()
    net = Net(fleet(service, 1), config=HOME, tamper=Numbers())
    net.begin(b"POST 1\n")
    while not service.waiting:
        net.step()
        net.walk(1)
    (event, answer) = service.waiting[0]
    net.walk(10)
    answer.resolve(Reply(((0, b"ok"),), Continuation(b"", 0, 2, len(event.input))))
    net.walk(10)
    net.client.write(b"POST 2\n")
    seen = len(service.waiting)
    while len(service.waiting) == seen:
        net.walk(1)
    first = service.waiting[-1][0]
    resume(net, net.client.snapshot(), HOME, len(net.received))
    while service.waiting[-1][0] is first:
        net.walk(1)
    again = service.waiting[-1][0]
    assert (again.connection, again.input_offset, again.input) == (first.connection, first.input_offset, first.input)


def test_a_request_at_work_in_the_hello_is_asked_for_again_by_the_next_process() -> None:
    service = Patient()
    net = Net(fleet(service, 1), config=HOME, tamper=Numbers())
    net.begin(b"GET\n")
    net.idle(SECOND)
    ((first, _),) = service.waiting
    resume(net, net.client.snapshot(), HOME, 0)
    net.idle(SECOND)
    again = service.waiting[1][0]
    assert (again.connection, again.input_offset, again.input) == (first.connection, first.input_offset, first.input)


def test_numbers_of_both_kinds_are_skipped_and_a_snapshot_that_is_outrun_is_stale() -> None:
    net = midway()
    snapshot, packets = net.client.snapshot(), parts(net.client).flight.next_number
    stale = [net.client.snapshot_is_stale]
    parts(net.client).flight.next_number += RESERVED_NUMBERS // 2 + 1
    stale.append(net.client.snapshot_is_stale)
    assert stale == [False, True]
    resumed = Client.resume([A], snapshot, HOME)
    assert parts(resumed).flight.next_number == packets + RESERVED_NUMBERS
    assert resumed.datagrams_to_send(now=0)
    assert resumed.snapshot().number == snapshot.number + RESERVED_NUMBERS + 1


def test_a_connection_that_moves_often_and_says_nothing_uses_no_numbers_up() -> None:
    """A replica believes no base that lies very far above what is proved."""
    net = midway()
    for _ in range(1_000):
        resume(net, net.client.snapshot(), HOME, len(net.received))
    assert net.go_on() == CONTENT


def test_what_was_sent_to_the_dead_is_not_taken_for_an_answer() -> None:
    net = midway()
    resume(net, net.client.snapshot(), HOME, len(net.received))
    assert net.go_on() == CONTENT
    assert net.client.statistics()["dropped_former"] > 0  # type: ignore[operator]


def test_only_a_connection_under_way_has_a_snapshot() -> None:
    made = Client([A, B], entropy=entropy(), config=HOME)
    with pytest.raises(LocalProtocolError):
        made.snapshot()
    net = midway()
    assert net.go_on() == CONTENT
    with pytest.raises(LocalProtocolError):
        net.client.snapshot()


def test_a_snapshot_of_another_version_is_refused_in_words() -> None:
    other = ENCODED[:4] + (VERSION + 1).to_bytes(2, "big") + b"whatever that version has"
    with pytest.raises(UnknownSnapshot, match=f"version {VERSION + 1}, and this release reads version {VERSION}"):
        parse_snapshot_untrusted(other, DEFAULT_LIMITS)


def test_a_connection_of_another_fleet_or_suite_is_not_gone_on_with() -> None:
    snapshot = parse_snapshot_untrusted(ENCODED, DEFAULT_LIMITS)
    Client.resume([A], snapshot, replace(HOME, identity=identity_public(IDENTITY)))
    with pytest.raises(IdentityError):
        Client.resume([A], snapshot, replace(HOME, identity=bytes(32)))
    with pytest.raises(IdentityError):
        Client.resume([A], snapshot, replace(HOME, trust=lambda _: False))
    with pytest.raises(BadPacket):
        Client.resume([A], snapshot, replace(HOME, suite=Suite.OPEN))


def run_alone(snapshot: Snapshot) -> None:
    """Resume it, and let it talk to nobody until it gives up, as a driver would."""
    client, now = Client.resume([A, B], snapshot, HOME), 0
    client.write(b"more\n")
    for _ in range(2000):
        while (event := client.next_event()) is not None:
            if isinstance(event, Failed):
                return
        client.datagrams_to_send(now=now)
        due = client.next_timeout()
        if due is None:
            return
        assert due > now, "it spins"
        now = due
        client.handle_timeout(now=now)
    assert now > 10 * SECOND


@given(st.integers(0, len(ENCODED) - 1) | st.integers(0, 900), st.binary(min_size=1, max_size=12), st.integers(0, 12))
def test_damaged_bytes_are_refused_or_make_a_client_that_keeps_its_manners(at: int, junk: bytes, cut: int) -> None:
    with suppress(BadPacket, UnknownSnapshot, IdentityError):
        run_alone(parse_snapshot_untrusted(ENCODED[:at] + junk + ENCODED[at + cut :], DEFAULT_LIMITS))


@given(st.binary(max_size=300))
def test_nonsense_is_refused(junk: bytes) -> None:
    for data in (junk, ENCODED[:6] + junk):
        with pytest.raises((BadPacket, UnknownSnapshot)):
            parse_snapshot_untrusted(data, DEFAULT_LIMITS)


def test_every_beginning_of_a_snapshot_is_refused() -> None:
    for size in range(0, len(ENCODED), 7):
        with pytest.raises(BadPacket):
            parse_snapshot_untrusted(ENCODED[:size], DEFAULT_LIMITS)


def test_an_upload_begins_anew_above_what_was_consumed_without_it() -> None:
    """Pieces were made of bytes that were not kept any more."""
    queue = InputQueue()
    queue.write(CONTENT[:5000])
    upload = Uploader(queue, DEFAULT_LIMITS)
    assert upload.engage(1000)
    queue.note_consumed(900)
    assert upload.engage(1000)
    pieces = upload.due(1200, A)
    assert pieces[0].offset == 900
    assert all(piece.body.endswith(CONTENT[piece.offset : piece.stop]) for piece in pieces)

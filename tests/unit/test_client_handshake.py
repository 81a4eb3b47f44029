"""The client's side of the handshake: whom it asks, whom it believes, when it gives up."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.desk import CONTENT, datagrams
from tests.support.fleetkeys import IDENTITY, WALL, entropy, epoch, ring
from tests.support.inside import parts
from tests.support.peer import SOURCE
from tests.support.toys import File, Patient, Seen
from trickles.client import Client, ClientConfig, Connected, Data, Failed
from trickles.handshake import certify, identity_public, verify_certificate_untrusted
from trickles.keyring import Epoch, Keyring
from trickles.limits import MILLISECOND, SECOND, Limits
from trickles.listener import Listener
from trickles.service import Service
from trickles.wire.hello import ASK_BYTES, CERTIFICATE_BYTES
from trickles.wire.kinds import Address, Kind

A, B = ("10.0.0.1", 443), ("10.0.0.2", 443)
PIN = identity_public(IDENTITY)
CERTIFICATE = bytes([Kind.CERTIFICATE])


def client(*replicas: Address, **config: object) -> Client:
    made = Client(replicas or (A,), entropy=entropy(), config=ClientConfig(**config))  # type: ignore[arg-type]
    made.connect(now=0)
    return made


def listener(service: Service | None = None, keyring: Keyring | None = None, limits: Limits | None = None) -> Listener:
    return Listener(keyring or ring(), service or File(CONTENT), entropy=entropy(1), limits=limits or Limits())


def kinds(sent: list[tuple[bytes, Address]]) -> list[tuple[Kind, Address]]:
    return [(Kind(datagram[0]), replica) for datagram, replica in sent]


def relay(made: Client, served: Listener, now: int) -> list[Kind]:
    """Everything that is due goes to the listener, and all of its answers come back; what went."""
    sent = made.datagrams_to_send(now=now)
    for datagram, replica in sent:
        for answer in datagrams(served, datagram, SOURCE, now=WALL + now):
            made.receive_datagram(answer, replica, now=now)
    return [kind for kind, _ in kinds(sent)]


def test_the_first_datagram_asks_for_the_certificate_and_the_second_brings_everything() -> None:
    seen, made = Seen(File(CONTENT).handle), client(identity=PIN)
    made.write(b"GET\n")
    made.write_eof()
    served = listener(seen)
    assert relay(made, served, 0) == [Kind.ASK]
    assert relay(made, served, 1) == [Kind.HELLO]
    assert made.next_event() == Connected(PIN)
    data = made.next_event()
    assert isinstance(data, Data)
    assert CONTENT.startswith(b"".join(data.chunks))
    assert (seen.events[0].input, seen.events[0].input_end, seen.events[0].early) == (b"GET\n", True, True)


def test_a_known_certificate_saves_a_round_trip() -> None:
    made = client(identity=PIN, certificate=epoch().certificate)
    made.write(b"GET\n")
    assert relay(made, listener(), 0) == [Kind.HELLO]
    assert made.next_event() == Connected(PIN)


def test_nothing_is_sent_before_it_is_told_to_connect() -> None:
    made = Client([A], entropy=entropy())
    assert made.datagrams_to_send(now=0) == []
    assert made.next_timeout() is None


def test_neither_asking_nor_greeting_can_be_used_to_amplify() -> None:
    made = client(certificate=epoch().certificate)
    assert len(made.datagrams_to_send(now=0)[0][0]) == 1200
    assert len(client().datagrams_to_send(now=0)[0][0]) == ASK_BYTES >= 1 + CERTIFICATE_BYTES


def test_an_epoch_that_was_rotated_away_costs_one_round_trip() -> None:
    made = client(identity=PIN, certificate=epoch(1).certificate)
    served = listener(keyring=ring(2))
    assert [relay(made, served, now) for now in (0, 1)] == [[Kind.HELLO], [Kind.HELLO]]
    assert made.next_event() == Connected(PIN)


def test_of_answers_to_hellos_to_two_epochs_the_first_counts() -> None:
    """Their numbers are the same, their nonces are not: a proof from both is none."""
    made, served = client(identity=PIN, certificate=epoch(1).certificate), listener(keyring=ring(1, 2))
    made.write(b"GET\n")
    (late, _), *_ = made.datagrams_to_send(now=0)
    made.receive_datagram(CERTIFICATE + epoch(2).certificate, A, now=1)
    (hello, _), *_ = made.datagrams_to_send(now=1)
    one, other = (datagrams(served, each, SOURCE, now=WALL) for each in (late, hello))
    for answer in (one[0], *other, one[1], one[2]):
        made.receive_datagram(answer, A, now=2)
    assert made.statistics()["dropped_unexpected"] == 3
    assert relay(made, served, 3) == [Kind.REQUEST]
    assert (served.counters["dropped.bad_proof"], served.counters["answered"]) == (0, 3)


def test_a_busy_fleet_gets_its_cookie() -> None:
    made = client(identity=PIN, certificate=epoch().certificate)
    served = listener(limits=Limits(max_hellos_per_second=0))
    assert [relay(made, served, now) for now in (0, 1)] == [[Kind.HELLO], [Kind.HELLO]]
    assert made.next_event() == Connected(PIN)
    assert (served.counters["cookies"], served.counters["hellos"]) == (1, 1)


def test_silence_is_met_by_growing_pauses_and_other_replicas_until_it_gives_up() -> None:
    made, times, asked = client(A, B), [], set()
    due: int | None = 0
    while due is not None:
        made.handle_timeout(now=due)
        sent = made.datagrams_to_send(now=due)
        if sent:
            times.append(due)
            asked.add(sent[0][1])
        due = made.next_timeout()
    pauses = [after - before for before, after in pairwise(times)]
    assert pauses[:5] == [250_000, 500_000, 1_000_000, 2_000_000, 2_000_000]
    assert pauses == sorted(pauses)
    assert asked == {A, B}
    assert times[-1] + 4 * SECOND > 30 * SECOND
    assert made.next_event() == Failed("no answer to the handshake")
    assert made.next_event() is None


def test_a_dead_replica_is_left_at_once_and_only_once() -> None:
    made = client(A, B)
    assert kinds(made.datagrams_to_send(now=0)) == [(Kind.ASK, A)]
    made.receive_unreachable(A, now=10)
    assert kinds(made.datagrams_to_send(now=10)) == [(Kind.ASK, B)]
    made.receive_unreachable(B, now=20)
    assert made.datagrams_to_send(now=20) == []  # all are dead: no reason to hurry
    assert made.next_timeout() is not None


def stranger(data: bytes = b"") -> bytes:
    """A certificate of somebody else's fleet."""
    return CERTIFICATE + (data or certify(Epoch(9, bytes(32)), bytes(32)).certificate)


def test_the_certificate_of_another_fleet_does_not_stop_the_right_one() -> None:
    made = client(identity=PIN)
    made.datagrams_to_send(now=0)
    for _ in range(20):
        made.receive_datagram(stranger(), A, now=1)
    assert made.next_event() is None
    made.receive_datagram(CERTIFICATE + epoch().certificate, A, now=2)
    assert kinds(made.datagrams_to_send(now=2)) == [(Kind.HELLO, A)]


def test_when_only_another_fleet_answers_it_says_so() -> None:
    made = client(identity=PIN)
    now = 0
    while made.next_timeout() is not None and now < 60 * SECOND:
        made.handle_timeout(now=now)
        if made.datagrams_to_send(now=now):
            made.receive_datagram(stranger(), A, now=now)
        now = max(now + 1, made.next_timeout() or 0)
    failed = made.next_event()
    assert isinstance(failed, Failed)
    assert failed.reason.startswith("identity")
    assert now < 10 * SECOND


def test_strangers_now_and_then_do_not_shorten_the_patience() -> None:
    """One certificate of somebody else's fleet made a client give up after a second, not after thirty."""
    made, now, sent = client(identity=PIN), 0, 0
    while (due := made.next_timeout()) is not None and now < 60 * SECOND:
        now = max(now, due)
        made.handle_timeout(now=now)
        for _ in made.datagrams_to_send(now=now):
            sent += 1
            if sent % 4:
                made.receive_datagram(stranger(), A, now=now)
    assert now > 30 * SECOND


def test_a_fleet_that_was_away_is_joined_although_a_stranger_spoke() -> None:
    made, served = client(identity=PIN), listener()
    made.datagrams_to_send(now=0)
    made.receive_datagram(stranger(), A, now=1)
    now = 0
    while not made.is_established and now < 40 * SECOND:
        now = made.next_timeout() or now
        made.handle_timeout(now=now)
        if now < 20 * SECOND:
            made.datagrams_to_send(now=now)
        else:
            relay(made, served, now)
    assert made.next_event() == Connected(PIN)


def hellos(made: Client, until: int, strike: Callable[[int], bytes]) -> int:
    """How many hellos leave while a false datagram comes each millisecond."""
    sent = 0
    for now in range(0, until, MILLISECOND):
        made.receive_datagram(strike(now), A, now=now)
        if (due := made.next_timeout()) is not None and due <= now:
            made.handle_timeout(now=now)
        sent += kinds(made.datagrams_to_send(now=now)).count((Kind.HELLO, A))
    return sent


def test_false_cookies_draw_one_hello_each_quarter_of_a_second() -> None:
    made = client(identity=PIN, certificate=epoch().certificate)
    sent = hellos(made, 5 * SECOND, lambda now: bytes([Kind.COOKIE]) + now.to_bytes(24, "big"))
    assert 10 < sent <= 5 * 4 + 10  # those that a timer repeats beside them


def test_old_certificates_of_the_right_fleet_draw_no_more() -> None:
    made = client(identity=PIN, certificate=epoch(1).certificate)
    sent = hellos(made, 5 * SECOND, lambda now: CERTIFICATE + epoch(1 + now // MILLISECOND % 2).certificate)
    assert 10 < sent <= 5 * 4 + 10


def test_a_false_cookie_keeps_the_right_one_from_nothing_but_haste() -> None:
    made, served = (
        client(identity=PIN, certificate=epoch().certificate),
        listener(limits=Limits(max_hellos_per_second=0)),
    )
    sent = made.datagrams_to_send(now=0)
    made.receive_datagram(bytes([Kind.COOKIE]) + bytes(23) + b"x", A, now=1)
    for datagram, replica in [*sent, *made.datagrams_to_send(now=1)]:
        for answer in datagrams(served, datagram, SOURCE, now=WALL):
            made.receive_datagram(answer, replica, now=2)
    now = 2
    while not made.is_established and now < 2 * SECOND:
        now = made.next_timeout() or now
        relay(made, served, now)
    assert made.next_event() == Connected(PIN)
    assert now <= SECOND


def test_without_a_pin_somebody_is_asked_whom_to_trust() -> None:
    asked: list[bytes] = []

    def decide(answer: bool) -> Callable[[bytes], bool]:
        def trust(identity: bytes) -> bool:
            asked.append(identity)
            return answer

        return trust

    for answer, expected in ((True, [(Kind.HELLO, A)]), (False, [])):
        made = client(trust=decide(answer))
        made.datagrams_to_send(now=0)
        made.receive_datagram(CERTIFICATE + epoch().certificate, A, now=1)
        assert kinds(made.datagrams_to_send(now=1)) == expected
    assert asked == [PIN, PIN]


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\0",
        CERTIFICATE,
        CERTIFICATE + bytes(CERTIFICATE_BYTES),
        CERTIFICATE + epoch().certificate[:-1] + b"\0",
        bytes([Kind.COOKIE]) + bytes(24),
        bytes([Kind.COOKIE]) + bytes(5),
        bytes([Kind.RESPONSE]) + bytes(1199),
        bytes([Kind.RESPONSE, 1]) + bytes(1198),
        bytes([Kind.RESPONSE]),
        bytes([Kind.REFUSAL]) + bytes(31),
        bytes([Kind.REFUSAL, 4]) + bytes(30),
        bytes([Kind.REFUSAL, 6]) + bytes(46),
        bytes([Kind.PONG]) + bytes(300),
        bytes([Kind.RECEIPT]) + bytes(55),
        bytes([Kind.HELLO]) + bytes(1199),
    ],
    ids=lambda data: data[:2].hex() + f"-{len(data)}",
)
def test_garbage_during_the_handshake_changes_nothing(garbage: bytes) -> None:
    for certificate in (None, epoch().certificate):
        made = client(identity=PIN, certificate=certificate)
        made.write(b"GET\n")
        made.datagrams_to_send(now=0)
        for source in (A, B):
            made.receive_datagram(garbage, source, now=1)
        assert made.next_event() is None
        served = listener()
        now = made.next_timeout() or 0
        while not made.is_established and now < SECOND:
            made.handle_timeout(now=now)
            relay(made, served, now)
            now += MILLISECOND
        assert made.next_event() == Connected(PIN)


def test_nobody_but_a_replica_is_listened_to() -> None:
    made = client(identity=PIN)
    made.datagrams_to_send(now=0)
    made.receive_datagram(CERTIFICATE + epoch().certificate, ("203.0.113.1", 443), now=1)
    assert made.datagrams_to_send(now=1) == []
    assert made.statistics()["dropped_stranger"] == 1


def test_a_hello_key_that_is_no_key_ends_the_handshake_and_not_the_program() -> None:
    good = verify_certificate_untrusted(epoch().certificate, None)
    bad = replace(good, hello_key=bytes(32))
    signed = replace(bad, signature=Ed25519PrivateKey.from_private_bytes(IDENTITY).sign(bad.signed()))
    made = client()
    made.datagrams_to_send(now=0)
    made.receive_datagram(CERTIFICATE + signed.encode(), A, now=1)
    made.datagrams_to_send(now=1)
    assert not made.is_established


def test_a_certificate_that_has_ended_is_not_used() -> None:
    ended = certify(Epoch(1, epoch().key, WALL), IDENTITY, life=SECOND).certificate
    made = client(identity=PIN, wall=lambda: WALL + 2 * SECOND)
    made.datagrams_to_send(now=0)
    made.receive_datagram(CERTIFICATE + ended, A, now=1)
    assert made.datagrams_to_send(now=1) == []


def test_a_repeated_answer_to_the_hello_establishes_once() -> None:
    made = client(identity=PIN, certificate=epoch().certificate)
    made.write(b"GET\n")
    ((hello, _),) = made.datagrams_to_send(now=0)
    served = listener()
    first, second = (datagrams(served, hello, now=WALL) for _ in range(2))
    for answer in [*first, *second, *first]:
        made.receive_datagram(answer, A, now=10)
    events = [made.next_event(), made.next_event(), made.next_event()]
    assert events[0] == Connected(PIN)
    assert isinstance(events[1], Data)
    assert events[2] is None
    assert b"".join(events[1].chunks) == CONTENT[: parts(made).output.arrived.next_offset]


def test_late_handshake_datagrams_are_dropped_once_established() -> None:
    made = client(identity=PIN)
    made.write(b"GET\n")
    served = listener()
    for now in (0, 1):
        relay(made, served, now)
    before = parts(made).flight.transport
    for late in (CERTIFICATE + epoch().certificate, stranger(), bytes([Kind.COOKIE]) + bytes(24)):
        made.receive_datagram(late, A, now=2)
    assert parts(made).flight.transport is before
    assert made.statistics()["dropped_unexpected"] == 3


def test_the_answer_to_another_clients_hello_is_forged() -> None:
    made = client(certificate=epoch().certificate)
    other = Client([A], entropy=entropy(5), config=ClientConfig(certificate=epoch().certificate))
    other.connect(now=0)
    made.datagrams_to_send(now=0)
    for answer in datagrams(listener(), other.datagrams_to_send(now=0)[0][0], now=WALL):
        made.receive_datagram(answer, A, now=1)
    assert not made.is_established
    assert made.statistics()["dropped_forged"] == 1


@pytest.mark.parametrize("size", [0, 1, 1000, 1081, 1082, 5000])
def test_input_rides_on_the_hello_if_it_fits_and_waits_if_not(size: int) -> None:
    seen, made = Seen(Patient().handle), client(certificate=epoch().certificate)
    made.write(bytes(size))
    ((hello, _),) = made.datagrams_to_send(now=0)
    datagrams(listener(seen), hello)
    assert len(hello) == 1200
    assert seen.events[0].input == (bytes(size) if size <= 1081 else b"")

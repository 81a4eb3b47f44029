"""The listener greets: at most three times what came, cookies under load, hostile hellos dropped."""

import pytest

from tests.support.desk import CONTENT, Desk, datagrams
from tests.support.fleetkeys import WALL, epoch, ring
from tests.support.peer import SOURCE, Peer
from tests.support.toys import File, Patient, Refusing, Seen
from trickles.handshake import identity_public, verify_certificate_untrusted
from trickles.keyring import Epoch, Keyring
from trickles.limits import SECOND, Limits
from trickles.service import Continuation, Event, Refusal, Reply
from trickles.wire.hello import ASK_BYTES
from trickles.wire.kinds import Kind, ResponseFlag, Suite

ASK = bytes([Kind.ASK]).ljust(ASK_BYTES, b"\0")


@pytest.mark.parametrize("suite", Suite)
def test_a_hello_earns_three_packets_that_all_carry_the_continuations(suite: Suite) -> None:
    desk = Desk(suite=suite)
    packets = desk.greet(wanted=3600)
    assert [packet.number for packet in packets] == [0, 1, 2]
    assert {packet.size_bytes for packet in packets} == {1200}
    assert b"".join(packet.data for packet in packets) == CONTENT[: sum(len(packet.data) for packet in packets)]
    for packet in packets:
        assert packet.transport is not None
        assert packet.user is not None
        assert packet.transport.embryo
        assert packet.transport.connection == desk.peer.session.connection
        assert (packet.user.start, packet.user.stop, packet.user.consumed) == (0, len(CONTENT), 4)


def test_early_input_is_marked_early_and_told_with_all_that_is_known() -> None:
    seen = Seen(File(CONTENT).handle)
    desk = Desk(seen)
    desk.send(desk.peer.hello(epoch(), b"GET\n", wanted=500, ends=True))
    (event,) = seen.events
    assert event[:8] == (desk.peer.session.identity, SOURCE[0], True, 0, b"GET\n", True, None, ((0, 500),))
    assert 0 < event.budget <= 3 * 1200


def test_what_comes_later_is_not_early() -> None:
    seen = Seen(File(CONTENT).handle)
    desk = Desk(seen)
    desk.connect()
    assert [event.early for event in seen.events] == [True, False]


@pytest.mark.parametrize("size", [1200, 1201, 1472, 9000, 65_507])
@pytest.mark.parametrize("reply", [0, 1, 919, 2000, 3600, 100_000])
def test_never_more_than_three_times_what_came(size: int, reply: int) -> None:
    for service in (File(bytes(reply)), File(bytes(reply), pad=699), Refusing(Refusal.BUSY)):
        desk = Desk(service)
        hello = desk.peer.hello(epoch(), b"GET\n", wanted=1 << 31, size=size)
        assert 0 < sum(map(len, desk.send(hello))) <= 3 * min(size, 1200)


def test_a_service_that_sends_more_than_it_may_is_cut_short() -> None:
    class Generous:
        def handle(self, event: Event) -> Reply:
            return Reply(((0, CONTENT),), Continuation(b"", 0, None, 0))

    desk = Desk(Generous())
    assert [len(each) for each in desk.send(desk.peer.hello(epoch(), wanted=0))] == [1200] * 3


def test_a_deferred_greeting_keeps_the_rule_however_long_it_takes() -> None:
    service = Patient()
    desk = Desk(service)
    hello = desk.peer.hello(epoch(), b"POST\n", wanted=3600)
    assert desk.send(hello) == []
    sent = 0
    for second in range(30):
        sent += sum(len(each) for burst in desk.listener.poll(WALL + second * SECOND) for each in burst.datagrams())
    service.waiting[0][1].resolve(Reply(((0, CONTENT[:3600]),)))
    sent += sum(len(each) for burst in desk.listener.poll(WALL) for each in burst.datagrams())
    assert sent <= 3 * len(hello)


@pytest.mark.parametrize("size", [10, 1500, 3600, 100_000])
def test_a_late_reply_to_a_hello_says_that_its_last_number_is_void(size: int) -> None:
    service = Patient()
    desk = Desk(service)
    assert desk.greet(b"POST\n") == []
    service.waiting[0][1].resolve(Reply(((0, bytes(size)),)))
    packets = desk.peer.read([each for burst in desk.listener.poll(WALL) for each in burst.datagrams()])
    assert [packet.number for packet in packets] == list(range(1 if size == 10 else 2))
    assert packets[-1].flags & ResponseFlag.SHORT


def test_a_repeated_hello_earns_the_same_numbers_with_the_same_nonces() -> None:
    desk = Desk()
    hello = desk.peer.hello(epoch(), b"GET\n", wanted=3600)
    first, second = (desk.ask(hello) for _ in range(2))
    assert [(packet.number, packet.nonce, packet.data) for packet in first] == [
        (packet.number, packet.nonce, packet.data) for packet in second
    ]
    assert first[0].transport != second[0].transport  # sealed twice, never with the same nonce


def test_any_replica_goes_on_after_the_greeting_of_another() -> None:
    desk = Desk()
    desk.greet()
    other = Desk()
    other.peer = desk.peer
    packets = other.ask(desk.peer.restart(desk.peer_bound()))
    assert [packet.number for packet in packets] == list(range(9, 19))


def test_a_hello_to_an_epoch_that_is_not_held_earns_the_certificate_of_one_that_is() -> None:
    desk = Desk(keyring=ring(2))
    (answer,) = desk.send(desk.peer.hello(epoch(1)))
    assert answer[0] == Kind.CERTIFICATE
    assert verify_certificate_untrusted(answer[1:], identity_public(bytes(range(32)))).epoch == 2
    assert desk.counted("certificates") == 1


def test_a_hello_to_an_older_epoch_is_as_good() -> None:
    desk = Desk(keyring=ring(1, 2))
    assert len(desk.ask(desk.peer.hello(epoch(1), b"GET\n", wanted=3600))) == 3
    assert desk.peer.blob[8:12] == b"\0\0\0\2"  # sealed by the newest


def test_whoever_asks_with_enough_bytes_gets_the_certificate_in_force() -> None:
    desk = Desk(keyring=ring(1, 2))
    (answer,) = desk.send(ASK)
    assert len(answer) <= len(ASK)
    assert verify_certificate_untrusted(answer[1:], None).epoch == 2
    for length in range(1, ASK_BYTES):
        assert desk.send(ASK[:length]) == []
    assert desk.counted("dropped.ask") == ASK_BYTES - 1


def test_a_fleet_without_certificates_answers_nobody_who_asks() -> None:
    desk = Desk(keyring=Keyring((Epoch(1, bytes(32)),)))
    assert desk.send(ASK) == []
    assert desk.counted("dropped.ask") == 1


def test_beyond_a_rate_a_hello_must_bring_a_cookie() -> None:
    desk = Desk(limits=Limits(max_hellos_per_second=2))
    hellos = [Peer(f"peer {number}").hello(epoch()) for number in range(5)]
    assert [desk.kinds(desk.send(hello)) for hello in hellos] == [[Kind.RESPONSE]] * 2 + [[Kind.COOKIE]] * 3
    assert (desk.counted("hellos"), desk.counted("cookies")) == (2, 3)
    desk.now += SECOND
    assert desk.kinds(desk.send(hellos[2])) == [Kind.RESPONSE]


def crowded() -> Desk:
    return Desk(limits=Limits(max_hellos_per_second=0))


def test_a_cookie_opens_the_door_to_the_address_it_was_given_to() -> None:
    desk = crowded()
    (answer,) = desk.send(desk.peer.hello(epoch()))
    hello = desk.peer.hello(epoch(), cookie=answer[1:])
    assert desk.kinds(desk.send(hello)) == [Kind.RESPONSE]
    assert desk.kinds(desk.send(hello, ("192.0.2.8", 40_000))) == [Kind.COOKIE]
    assert desk.kinds(desk.send(hello, ("192.0.2.7", 40_001))) == [Kind.RESPONSE]  # another port of that host


def test_a_cookie_ages_and_a_forged_one_is_none() -> None:
    desk = crowded()
    cookie = desk.send(desk.peer.hello(epoch()))[0][1:]
    forged = bytes([cookie[0]]) + bytes(22) + cookie[-1:]
    assert desk.kinds(desk.send(desk.peer.hello(epoch(), cookie=forged))) == [Kind.COOKIE]
    desk.now += Limits().cookie_life + 1
    assert desk.kinds(desk.send(desk.peer.hello(epoch(), cookie=cookie))) == [Kind.COOKIE]


def test_no_public_key_is_touched_before_the_cookie_is_seen() -> None:
    desk = crowded()
    garbage = bytes([Kind.HELLO, Suite.SEALED]) + bytes(1198)
    assert desk.kinds(desk.send(garbage)) == [Kind.COOKIE]
    assert (desk.counted("dropped.forged"), desk.counted("cookies")) == (0, 1)


def test_a_hello_cut_anywhere_or_with_any_byte_changed_is_dropped() -> None:
    desk = Desk()
    hello = desk.peer.hello(epoch(), b"GET\n")
    for length in range(len(hello)):
        assert desk.send(hello[:length]) == []
    # Not the epoch (a certificate answers that) and not the cookie (not looked at in quiet times).
    for at in [1, *range(30, len(hello), 3)]:
        assert desk.send(hello[:at] + bytes([hello[at] ^ 0x10]) + hello[at + 1 :]) == []
    assert (desk.counted("hellos"), desk.counted("answered")) == (0, 0)
    assert desk.counted("dropped.forged") + desk.counted("dropped.malformed") == len(hello) + 1 + 390


def test_a_refused_greeting_is_a_small_authentic_refusal() -> None:
    desk = Desk(Refusing(Refusal.NOT_HERE))
    (answer,) = desk.send(desk.peer.hello(epoch()))
    assert (len(answer), desk.peer.refusal(answer).code) == (48, Refusal.NOT_HERE)


def test_the_first_answer_says_when_the_output_ends_with_it() -> None:
    desk = Desk(File(b"hello"))
    (packet,) = desk.greet()
    assert packet.data == b"hello"
    assert packet.flags & ResponseFlag.END
    assert packet.flags & ResponseFlag.SHORT


def test_two_listeners_with_one_keyring_greet_alike() -> None:
    peer = Peer()
    hello = peer.hello(epoch(), b"GET\n", wanted=3600)
    first, second = (Desk().listener for _ in range(2))
    assert datagrams(first, hello) == datagrams(second, hello)  # even the entropy is the same here

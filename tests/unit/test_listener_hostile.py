"""Every datagram is hostile: garbage, cuts, flipped bits, replays, strangers. Nothing is raised, all is counted."""

from random import Random

import pytest

from tests.support.desk import CONTENT, Desk, datagrams
from tests.support.fleetkeys import epoch, ring
from tests.support.peer import SOURCE, Peer
from tests.support.toys import File, Tape
from trickles.limits import DEFAULT_LIMITS, SECOND
from trickles.service import Refusal
from trickles.wire.kinds import Kind, RequestFlag, Suite
from trickles.wire.request import RequestBody


def connected(suite: Suite = Suite.SEALED) -> Desk:
    desk = Desk(File(CONTENT), suite=suite)
    desk.connect()
    return desk


def sampled(length: int, every: int) -> list[int]:
    """Positions spread over a datagram, all of its first bytes among them."""
    return sorted({*range(min(140, length)), *range(0, length, every), *range(max(0, length - 20), length)})


def flipped(datagram: bytes, at: int, bit: int) -> bytes:
    return datagram[:at] + bytes([datagram[at] ^ 1 << bit]) + datagram[at + 1 :]


def test_random_bytes_of_any_length_earn_nothing() -> None:
    desk, chance = connected(), Random(7)
    before = sum(desk.listener.counters.values())
    for number in range(3000):
        garbage = chance.randbytes(chance.choice([0, 1, 2, 32, 199, 200, 201, 300, 1199, 1200, 1500]))
        if number % 2 and garbage:
            garbage = bytes([chance.choice(list(Kind))]) + garbage[1:]
        answers = desk.send(garbage)
        assert sum(map(len, answers)) <= len(garbage)
        assert not [each for each in answers if each[0] not in (Kind.CERTIFICATE, Kind.REFUSAL)]
    assert sum(desk.listener.counters.values()) - before == 3000
    assert desk.counted("answered") == 2


@pytest.mark.parametrize("suite", Suite)
def test_a_request_cut_anywhere_is_dropped(suite: Suite) -> None:
    desk = connected(suite)
    request = desk.peer.speak(9, 19)
    for length in range(len(request)):
        assert desk.send(request[:length]) == []
    assert desk.counted("dropped.malformed") == 200  # too short for any request
    assert desk.counted("dropped.forged") == len(request) - 200
    assert len(desk.send(request)) == 20


@pytest.mark.parametrize("suite", Suite)
def test_a_request_with_any_bit_flipped_is_dropped(suite: Suite) -> None:
    desk = connected(suite)
    request = desk.peer.speak(9, 19)
    before, answered = sum(desk.listener.counters.values()), 0
    for at in sampled(len(request), 5):
        for bit in range(8):
            answers = desk.send(flipped(request, at, bit))
            answered += 1
            assert sum(map(len, answers)) <= 48  # a changed epoch earns a hint of 32 bytes
    assert desk.counted("answered") == 2
    assert sum(desk.listener.counters.values()) - before == answered
    assert len(desk.send(request)) == 20


def test_bits_in_the_epoch_earn_a_hint_and_no_more() -> None:
    desk = connected()
    request = desk.peer.speak(9, 19)
    for at in range(9, 13):
        (answer,) = desk.send(flipped(request, at, 3))
        assert (len(answer), answer[1]) == (32, Refusal.EPOCH)
    assert desk.counted("refused.epoch") == 4


@pytest.mark.parametrize("kind", [Kind.PING, Kind.PIECE])
def test_pings_and_pieces_cut_or_flipped_are_dropped(kind: Kind) -> None:
    desk = connected()
    datagram = desk.peer.seal(bytes(120), kind=kind)
    for length in range(len(datagram)):
        assert desk.send(datagram[:length]) == []
    for at in sampled(len(datagram), 7):
        if at not in range(9, 13):
            assert sum(map(len, desk.send(flipped(datagram, at, at % 8)))) <= 32
    assert desk.counted("pings") == 0


def test_a_request_may_not_change_its_kind() -> None:
    desk = connected()
    request = desk.peer.speak(9, 19)
    for kind in set(range(256)) - {Kind.REQUEST, Kind.ASK}:
        assert desk.send(bytes([kind]) + request[1:]) == []
    assert desk.counted("answered") == 2


def test_what_only_servers_say_is_not_listened_to() -> None:
    desk = connected()
    said = desk.send(desk.peer.speak(9, 19))[0]
    before = desk.counted("dropped.malformed")
    for kind in (Kind.RESPONSE, Kind.REFUSAL, Kind.CERTIFICATE, Kind.COOKIE, Kind.PONG, Kind.RECEIPT):
        assert desk.send(bytes([kind]) + said[1:]) == []
    assert desk.counted("dropped.malformed") == before + 6


def test_the_same_request_twice_is_dropped_the_second_time() -> None:
    desk = connected()
    request = desk.peer.speak(9, 19)
    assert len(desk.send(request)) == 20
    for _ in range(3):
        assert desk.send(request) == []
    assert desk.counted("dropped.replayed") == 3


def test_a_replayed_request_stays_dropped_as_long_as_its_continuation_lives() -> None:
    desk = connected()
    request = desk.peer.speak(9, 19)
    desk.send(request)
    for _ in range(30):
        desk.now += SECOND
        assert [each for each in desk.send(request) if each[0] == Kind.RESPONSE] == []


def test_a_replay_to_another_replica_earns_its_numbers_there_once() -> None:
    desk, other = connected(), Desk(File(CONTENT))
    request = desk.peer.speak(9, 19)
    desk.send(request)
    assert len(datagrams(other.listener, request, now=desk.now)) == 20
    assert datagrams(other.listener, request, now=desk.now) == []


def test_a_ping_is_answered_once() -> None:
    desk = connected()
    ping = desk.peer.seal(bytes(100), kind=Kind.PING)
    assert [len(desk.send(ping)) for _ in range(3)] == [1, 0, 0]
    assert desk.counted("dropped.ping") == 2


def test_a_request_from_elsewhere_moves_no_data_there() -> None:
    desk = connected()
    request = desk.peer.speak(9, 19)
    answers = datagrams(desk.listener, request, ("203.0.113.5", 1), now=desk.now)
    assert [each[0] for each in answers] == [Kind.REFUSAL]
    assert sum(map(len, answers)) <= len(request)
    assert datagrams(desk.listener, desk.peer.seal(bytes(100), kind=Kind.PING), ("203.0.113.5", 1), now=desk.now) == []


def test_a_continuation_of_another_connection_opens_nothing() -> None:
    mine, other = connected(), Desk(File(CONTENT), name="other")
    other.connect()
    assert mine.send(mine.peer.request(mine.peer.spoken(9, 19), blob=other.peer.blob)) == []
    assert mine.counted("dropped.forged") == 1


@pytest.mark.parametrize("keyring", [ring(1, fleet="theirs"), ring(2)], ids=["same id", "other id"])
def test_another_fleets_keyring_opens_nothing(keyring: object) -> None:
    desk = connected()
    other = Desk(File(CONTENT), keyring=keyring)  # type: ignore[arg-type]
    answers = other.send(desk.peer.speak(9, 19))
    assert [(each[0], len(each)) for each in answers] in ([], [(Kind.REFUSAL, 32)])
    assert other.counted("answered") == 0


def test_a_request_sealed_for_one_suite_is_nothing_in_the_other() -> None:
    desk = connected(Suite.SEALED)
    other = Peer(suite=Suite.OPEN)
    other.transport, other.nonces, other.number = desk.peer.transport, desk.peer.nonces, 99
    assert desk.send(other.speak(9, 19)) == []
    assert desk.counted("dropped.forged") == 1


@pytest.mark.parametrize("service", [File(CONTENT), Tape()], ids=["file", "tape"])
@pytest.mark.parametrize(
    "fields",
    [
        {"wants": (((1 << 64) - 1, (1 << 64) + 9),)},
        {"wants": (((1 << 63), (1 << 63) + 90_000),)},
        {"wants": ((0, (1 << 32) - 1),) * 30},
        {"wants": ((50, 50), (9, 9))},
        {"flags": RequestFlag.INPUT, "input_offset": (1 << 64) - 1, "input": b"GET\n", "user": b""},
        {"flags": RequestFlag.INPUT, "input_offset": (1 << 62) - 1, "input": b"GET\n", "user": b""},
        {"flags": RequestFlag.INPUT_END},
        {"flags": RequestFlag.COMMIT | RequestFlag.INPUT, "input": b"x" * 24},
        {"flags": RequestFlag.COMMIT},
        {"flags": 0xFF, "restart_base": (1 << 32) - 1},
        {"flags": 0xC0},
        {"datagram_bytes": 0},
        {"lo": 19, "hi": 19},
        {"lo": (1 << 32) - 1, "hi": (1 << 32) - 1},
        {"restart_base": 12345},
    ],
    ids=lambda fields: "-".join(fields) if isinstance(fields, dict) else None,
)
def test_numbers_at_the_end_of_the_field_raise_nothing(fields: dict[str, object], service: File | Tape) -> None:
    desk = Desk(service)
    desk.connect()
    body = desk.peer.spoken(9, 19)._replace(**fields)  # type: ignore[arg-type]
    answers = desk.send(desk.peer.request(body))
    assert sum(map(len, answers)) <= 20 * 1200


def test_authentic_nonsense_raises_nothing() -> None:
    chance = Random(11)
    desk = Desk(Tape())
    desk.connect()
    good = desk.peer.spoken(9, 19).encode()
    for _ in range(3000):
        body = bytearray(good if chance.random() < 0.8 else chance.randbytes(chance.randrange(60, 400)))
        for _ in range(chance.randrange(1, 6)):
            body[chance.randrange(min(len(body), 120))] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
        kind = chance.choice([Kind.REQUEST] * 4 + [Kind.PIECE, Kind.PING])
        answers = desk.send(desk.peer.seal(bytes(body).ljust(51, b"\0"), kind=kind))
        assert sum(map(len, answers)) <= 300_000
        desk.now += 1000
    assert {"dropped.malformed", "dropped.claimed", "dropped.bad_proof", "pings"} <= set(desk.listener.counters)


def test_an_authentic_greeting_of_nonsense_raises_nothing() -> None:
    desk = Desk(Tape())
    for number, (data, wanted) in enumerate([(b"\0" * 1081, 0), (b"", (1 << 32) - 1), (b"\xff" * 500, 1)]):
        peer = Peer(f"nonsense {number}")
        answers = desk.send(peer.hello(epoch(), data, wanted=wanted, ends=bool(number)))
        assert sum(map(len, answers)) <= 3600


def test_counters_name_every_reason() -> None:
    desk = Desk(File(CONTENT))
    desk.send(b"")
    desk.send(b"\x99" * 300)
    desk.send(desk.peer.hello(epoch(), b"GET\n"))
    assert dict(desk.listener.counters) == {"dropped.malformed": 2, "hellos": 1, "answered": 1}


def test_the_source_of_everything_sent_is_who_asked() -> None:
    desk = connected()
    for source in (SOURCE, ("203.0.113.5", 7), ("2001:db8::5", 7)):
        for datagram in (desk.peer.speak(9, 19), desk.peer.hello(epoch(), b"GET\n"), bytes([Kind.ASK]) + bytes(200)):
            datagrams(desk.listener, datagram, source, now=desk.now)  # asserts the destination


def test_an_unproved_request_body_is_bounded_by_its_datagram() -> None:
    body = RequestBody(0, 1200, 9, 19, wants=((0, 1),) * 255, user=bytes(60_000))
    desk = connected()
    assert len(desk.peer.request(body)) < 65_507
    assert desk.send(desk.peer.request(body._replace(runs=desk.peer.proof(9)))) == []
    assert DEFAULT_LIMITS.max_wants < 255

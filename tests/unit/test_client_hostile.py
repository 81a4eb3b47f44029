"""A client among enemies: garbage, forged refusals, replays, late packets, and servers that lie."""

from collections.abc import Iterable
from random import Random

import pytest

from tests.support.authentic import A, AuthenticFleet
from tests.support.inside import parts
from tests.support.net import HOME, SPRAY, Net, fleet
from tests.support.toys import File, body
from trickles.client import ClientConfig, Data, Failed
from trickles.limits import Limits
from trickles.service import Refusal
from trickles.session import SessionKeys
from trickles.trickle import Episode
from trickles.wire.kinds import Kind, ResponseFlag, Suite
from trickles.wire.refusal import refusal_header
from trickles.wire.response import TransportFrame, UserFrame

CONTENT = body(60_000)


class Enemy:
    """On the path: sees everything, changes nothing, adds what it likes to what the client hears."""

    def __init__(self, seed: int, share: float = 0.5) -> None:
        self.chance = Random(seed)
        self.share = share
        self.sent_up = 0
        self.added = 0
        self.seen: list[bytes] = []

    def __call__(self, datagram: bytes, upward: bool) -> Iterable[bytes]:
        self.sent_up += upward
        if upward or self.chance.random() > self.share:
            return (datagram,)
        self.seen.append(datagram)
        forged = self.forge(datagram)
        self.added += len(forged)
        return (*forged, datagram) if self.chance.random() < 0.5 else (datagram, *forged)

    def forge(self, datagram: bytes) -> list[bytes]:
        """What to add beside that datagram."""
        raise NotImplementedError


class Noise(Enemy):
    def forge(self, datagram: bytes) -> list[bytes]:
        at = self.chance.randrange(len(datagram))
        flipped = datagram[:at] + bytes([datagram[at] ^ 1 << self.chance.randrange(8)]) + datagram[at + 1 :]
        kind = bytes([self.chance.choice(list(Kind))])
        return [flipped, datagram[:at], kind + datagram[1:], kind + self.chance.randbytes(self.chance.randrange(300))]


class Refusals(Enemy):
    def forge(self, datagram: bytes) -> list[bytes]:
        request = int.from_bytes(datagram[2:4], "big")
        forged = []
        for code in Refusal:
            clear = refusal_header(code, request, self.chance.randbytes(8))
            forged += [clear, clear + bytes(16), clear + TransportFrame(Episode(0, 1, 1), True, bytes(128)).encode()]
            forged.append(forged[-1] + self.chance.randbytes(16))
        return forged


class Replays(Enemy):
    def forge(self, datagram: bytes) -> list[bytes]:
        return [self.chance.choice(self.seen) for _ in range(3)]


def survives(enemy: Enemy, seed: int, config: ClientConfig = HOME) -> Net:
    net = Net(fleet(File(CONTENT)), seed=seed, config=config, loss=0.01, tamper=enemy)
    assert net.run() == CONTENT, f"seed {seed}: {net.outcome} {net.client.statistics()}"
    assert net.outcome == "end", f"seed {seed}"
    return net


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Noise, Refusals, Replays])
@pytest.mark.parametrize("config", [HOME, SPRAY], ids=["home", "spray"])
def test_an_enemy_on_the_path_who_only_adds_changes_no_byte(kind: type[Enemy], config: ClientConfig) -> None:
    for seed in range(12):
        survives(kind(seed), seed, config)


@pytest.mark.slow
def test_forged_refusals_make_a_client_send_no_more_than_they_cost() -> None:
    for seed in range(10):
        enemy = Refusals(seed, share=1.0)
        survives(enemy, seed)
        assert enemy.sent_up < enemy.added / 4


def test_what_is_not_from_a_replica_is_not_even_opened() -> None:
    net = Net(fleet(File(CONTENT)), config=HOME)
    stranger = ("203.0.113.9", 443)
    original = net.client.receive_datagram

    def twice(datagram: bytes, source: tuple[str, int], *, now: int) -> None:
        original(datagram, stranger, now=now)
        original(datagram, source, now=now)

    net.client.receive_datagram = twice  # type: ignore[method-assign,assignment]
    assert net.run() == CONTENT
    assert net.client.statistics()["dropped_stranger"] > 50  # type: ignore[operator]


def test_packets_that_come_seconds_late_change_no_byte() -> None:
    late: list[bytes] = []

    def delay(datagram: bytes, upward: bool) -> Iterable[bytes]:
        if not upward and len(late) < 40 and datagram[0] == Kind.RESPONSE and len(late) % 3 == 0:
            late.append(datagram)
            return ()
        if not upward:
            late.append(b"")
            old, late[:] = [each for each in late[:-60] if each], late[-60:]
            return (datagram, *old)
        return (datagram,)

    net = Net(fleet(File(CONTENT)), config=HOME, tamper=delay)
    assert net.run() == CONTENT


@pytest.mark.slow
def test_no_request_number_is_used_twice_and_no_request_is_larger_than_the_path_allows() -> None:
    """A number used twice would repeat an AEAD nonce."""
    for seed in range(30):
        seen: set[bytes] = set()

        def watch(datagram: bytes, upward: bool, seen: set[bytes] = seen) -> Iterable[bytes]:
            if upward and datagram[0] in (Kind.REQUEST, Kind.PING, Kind.PIECE):
                assert datagram[129:133] not in seen
                seen.add(datagram[129:133])
                assert len(datagram) <= 1200
            return (datagram,)

        net = Net(
            fleet(File(CONTENT, pad=650 * (seed % 2))),
            seed=seed,
            config=SPRAY,
            loss=0.08,
            duplicate=0.05,
            shuffle_us=50,
            tamper=watch,
        )
        assert net.run() == CONTENT, f"seed {seed}"


# servers that lie


class Liar(AuthenticFleet):
    """A server that says what it likes, at any time."""

    def received(self) -> bytes:
        data = b""
        while (event := self.client.next_event()) is not None:
            if isinstance(event, Data):
                data += b"".join(map(bytes, event.chunks))
        return data


@pytest.mark.parametrize("suite", Suite)
def test_output_that_nobody_asked_for_is_not_kept(suite: Suite) -> None:
    liar = Liar(suite, limits=Limits(receive_window_bytes=10_000))
    for number in range(3, 500):
        liar.say(1, number, bytes(1100), offset=20_000 * number)
        liar.say(1, number, bytes(1100), offset=(1 << 64) - 1 - number)
    assert list(parts(liar.client).output.arrived._held) == []
    assert liar.received() == b"hi"


@pytest.mark.parametrize("suite", Suite)
def test_nothing_that_an_authentic_server_says_is_raised(suite: Suite) -> None:
    for seed in range(40):
        liar, chance = Liar(suite), Random(seed)
        for _ in range(60):
            liar.now = now = liar.now + chance.choice([0, 1000, 30_000, 400_000])
            big = chance.choice([0, 1, 5, 1000, 3000])
            wide = chance.choice([0, 2, 1000, 1 << 40, (1 << 63), (1 << 64) - 1])
            transport = TransportFrame(
                Episode(big, chance.choice([0, 1, 10, 1 << 16]), chance.choice([1, 8])),
                chance.random() < 0.3,
                liar.session.connection + chance.randbytes(120),
            )
            user = UserFrame(wide, chance.choice([None, 0, 3, wide]), chance.choice([0, 4, 9, wide]), b"u" * 40)
            flags = chance.randrange(16)
            frames = ((transport,) if flags & 1 else ()) + ((user,) if flags & 2 else ())
            number = chance.choice([0, 1, 2, 3, 9, big])
            offset = chance.choice([0, 2, wide])
            liar.say(chance.randrange(4), number, bytes(20), frames, offset=offset, flags=flags)
            liar.received()
            liar.client.datagrams_to_send(now=now)
            if (due := liar.client.next_timeout()) is not None and due <= now:
                liar.client.handle_timeout(now=now)


@pytest.mark.parametrize("suite", Suite)
def test_a_packet_number_nobody_claimed_is_not_believed(suite: Suite) -> None:
    liar = Liar(suite)
    liar.client.datagrams_to_send(now=2_000)  # the restart, under request number 1
    liar.now = 3_000
    liar.say(1, 9, b"x", [liar.transport(9, 10, 100)], offset=2)
    liar.say(1, 50_000, b"y", offset=3)  # 2^31 would take minutes
    for now in range(4_000, 1_000_000, 50_000):
        liar.client.handle_timeout(now=now)
        liar.client.datagrams_to_send(now=now)
    assert parts(liar.client).flight.board.cursor < 100


def test_packet_numbers_that_are_used_up_end_the_connection() -> None:
    liar = Liar()
    liar.say(0, (1 << 32) - 2, b"x", [liar.transport((1 << 32) - 2, 10, 10)], offset=2)
    for now in range(2_000, 5_000_000, 100_000):
        liar.client.handle_timeout(now=now)
        liar.client.datagrams_to_send(now=now)
    told = [liar.client.next_event() for _ in range(5)]
    believed = parts(liar.client).flight.board.episode.base > 1 << 20
    assert (Failed("packet numbers used up") in told) == believed


def test_an_end_that_moves_does_not_truncate_silently() -> None:
    """Whatever a server says of the end, the client never delivers other bytes than came."""
    liar = Liar()
    liar.say(0, 1, b" there", offset=2, flags=ResponseFlag.END)
    liar.say(0, 2, b"h", flags=ResponseFlag.END)
    assert liar.received() in (b"hi", b"hi there")


def test_truncated_pongs_and_bursts_of_nonsense_sizes_are_dropped() -> None:
    liar = Liar()
    for size in range(64):
        liar.client.receive_datagram(bytes([Kind.PONG]) + bytes(size), A, now=5)
        liar.client.receive_burst(bytes([Kind.RESPONSE]) * 300, size, A, now=5)
        liar.client.receive_burst(b"", size, A, now=5)
    assert liar.received() == b"hi"
    assert isinstance(liar.session, SessionKeys)

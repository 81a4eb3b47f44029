"""What a client knows of the sizes that pass, by which replicas believe it, and how it finds out anew."""

from collections.abc import Iterable

import pytest

from tests.support.fleetkeys import WALL, ring
from tests.support.net import CLIENT, Net, fleet
from tests.support.toys import File, body
from trickles.client import ClientConfig
from trickles.client.pathmtu import MOST_PATHS, TRIES, WORTHWHILE_BYTES, PathMtu
from trickles.limits import DEFAULT_LIMITS, SECOND
from trickles.listener.sizes import size_proof
from trickles.wire.kinds import Kind, address_bytes

CONTENT = body(300_000)
PONG = 0  # in place of a packet's size


class Sized:
    """A path that is wide enough; notes the sizes of packets, and when a pong came."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.pings = 0

    def __call__(self, datagram: bytes, upward: bool) -> Iterable[bytes]:
        self.pings += datagram[0] == Kind.PING
        if datagram[0] in (Kind.RESPONSE, Kind.PONG):
            self.sizes.append(len(datagram) if datagram[0] == Kind.RESPONSE else PONG)
        return (datagram,)


def test_a_size_that_is_known_and_proved_is_used_from_the_first_restart_on() -> None:
    proof = size_proof(ring(), address_bytes(CLIENT[0]), 8972, now=WALL, limits=DEFAULT_LIMITS)
    sized, config = Sized(), ClientConfig(datagram_bytes=8972, size_proof=proof, probe_sizes=())
    net = Net(fleet(File(CONTENT), 1), config=config, tamper=sized)
    assert net.run() == CONTENT
    assert sized.sizes[3] == 8972  # after three packets that answer the hello
    assert sized.pings == 0


@pytest.mark.parametrize("proof", [0, 12345], ids=["no proof", "a false proof"])
def test_a_size_that_is_known_and_not_proved_is_asked_for_at_once(proof: int) -> None:
    sized, config = Sized(), ClientConfig(datagram_bytes=8972, size_proof=proof, probe_sizes=(8972,))
    net = Net(fleet(File(CONTENT), 1), config=config, tamper=sized)
    assert net.run() == CONTENT
    assert max(sized.sizes[: sized.sizes.index(PONG)]) == 1200
    assert max(sized.sizes) == net.client.statistics()["datagram_bytes"] == 8972
    assert sized.pings == 1
    assert net.now < 20 * 50_000


def test_a_client_that_moves_begins_with_small_datagrams_and_finds_out_anew() -> None:
    content = body(3_000_000)
    sized, config = Sized(), ClientConfig(probe_sizes=(8972,))
    net = Net(fleet(File(content), 1), config=config, tamper=sized)
    net.run(until_us=1)
    while net.client.statistics()["datagram_bytes"] != 8972:
        net.walk(1)
    before = len(sized.sizes)
    net.move(("198.51.100.7", 40_000))
    assert net.go_on() == content
    moved = sized.sizes[before:]
    moved = moved[moved.index(1200) :]  # without what was on its way
    assert {each for each in moved[: moved.index(PONG)] if each} == {1200}
    assert max(moved) == 8972
    assert 2 <= sized.pings <= 4


def test_a_fleet_that_never_believes_a_size_does_not_make_its_client_ping_for_ever() -> None:
    path, pings = PathMtu(ClientConfig(probe_sizes=(8972,))), 0
    for now in range(0, 1000 * SECOND, SECOND):
        pings += len(path.sizes(WORTHWHILE_BYTES, now))
        path.on_other_path()
    assert 0 < pings <= (MOST_PATHS + 1) * TRIES

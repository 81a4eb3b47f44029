"""Whole visits by the real engines, on a network that loses and repeats: bytes of one version, whoever answers."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from tests.support.net import HOME, SPRAY, Net
from tests.support.origins import HOST, FileServer, begun, body, get, origin
from tests.support.site_folder import fill
from tests.support.worlds import listener
from trickles.client import ClientConfig
from trickles.service import Event, Reply

LARGE = Random(1).randbytes(300_000)
SMALL = b"Hello, world\n"
TREE = {"small.txt": SMALL, "large.bin": LARGE, "index.html": b"<h1>Home</h1>"}


class Dice:
    """Stands for many replicas behind one address: each event goes to any of them."""

    def __init__(self, origins: Sequence[FileServer], seed: int) -> None:
        self.origins = origins
        self.random = Random(seed)

    def handle(self, event: Event) -> Reply:
        """Ask one of them."""
        return self.random.choice(self.origins).handle(event)


def copies(tmp_path: Path, count: int = 2) -> list[FileServer]:
    return [origin(fill(tmp_path / str(at), TREE)) for at in range(count)]


def net(
    origins: Sequence[FileServer],
    seed: int = 0,
    config: ClientConfig = SPRAY,
    loss: float = 0.0,
    duplicate: float = 0.0,
) -> Net:
    """A visit to replicas that share a keyring, each with all of the origins behind it."""
    replicas = [listener(Dice(origins, seed + at)) for at in range(len(origins))]
    return Net(replicas, seed=seed, config=config, shuffle_us=50, loss=loss, duplicate=duplicate)


@pytest.mark.parametrize("config", [SPRAY, HOME], ids=["spray", "home"])
def test_two_origins_that_share_only_a_tree_answer_turn_by_turn(tmp_path: Path, config: ClientConfig) -> None:
    visit = net(copies(tmp_path), config=config)
    assert body(visit.run(get("/large.bin", "Connection: close"))) == LARGE
    assert visit.outcome == "end"


@pytest.mark.parametrize("seed", range(10))
def test_loss_and_repeats_change_no_byte(tmp_path: Path, seed: int) -> None:
    origins = copies(tmp_path)
    expected = [begun(origins[0], get(path))[0] for path in ("/small.txt", "/large.bin", "/", "/nothing")]
    visit = net(origins, seed, loss=0.03, duplicate=0.05)
    requests = [get(path) for path in ("/small.txt", "/large.bin", "/", "/nothing")]
    visit.run(requests[0])
    for request in requests[1:]:
        visit.client.write(request)
        visit.go_on()
    assert bytes(visit.received) == b"".join(expected)
    assert visit.outcome == ""


@pytest.mark.parametrize("seed", range(5))
def test_pipelined_requests_are_answered_in_turn(tmp_path: Path, seed: int) -> None:
    origins = copies(tmp_path)
    expected = [begun(origins[0], get(path))[0] for path in ("/small.txt", "/large.bin", "/small.txt", "/")]
    close = get("/small.txt", "Connection: close")
    pipeline = get("/small.txt") + get("/large.bin") + get("/small.txt") + get("/") + close
    received = net(origins, seed, loss=0.02).run(pipeline)
    assert received.startswith(b"".join(expected))
    assert received.endswith(b"Connection: close\r\n\r\n" + SMALL)


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_a_half_closed_client_gets_all_its_responses(tmp_path: Path, pieces: int) -> None:
    visit = net(copies(tmp_path))
    given = get("/large.bin") + get("/small.txt")
    visit.run(given[: len(given) // pieces], ends=pieces == 1)
    for at in range(1, pieces):
        visit.client.write(given[len(given) * at // pieces : len(given) * (at + 1) // pieces])
        if at == pieces - 1:
            visit.client.write_eof()
        visit.go_on()
    assert LARGE in visit.received
    assert visit.received.endswith(b"Connection: close\r\n\r\n" + SMALL)
    assert visit.outcome == "end"


def test_a_client_that_says_nothing_and_leaves_is_let_go(tmp_path: Path) -> None:
    visit = net(copies(tmp_path))
    assert (visit.run(b"", ends=True), visit.outcome) == (b"", "end")


def test_unsafe_requests_wait_for_the_address_to_be_proved(tmp_path: Path) -> None:
    visit = net(copies(tmp_path))
    assert visit.run(get(method="POST")).startswith(b"HTTP/1.1 405 ")


def test_a_head_longer_than_a_datagram_in_pieces(tmp_path: Path) -> None:
    request = get("/small.txt", "Accept: */*", "Connection: close")
    for cut in range(1, len(request), 7):
        visit = net(copies(tmp_path))
        assert visit.run(request[:cut]) == b""
        visit.client.write(request[cut:])
        assert body(visit.go_on()) == SMALL


VERSIONS = [b"old and long: " * 10_000, b"new, short, " * 9_000]


@pytest.mark.parametrize("seed", range(30))
def test_versions_mixed_by_the_packet_end_as_one_version_or_visibly(tmp_path: Path, seed: int) -> None:
    origins = [origin(fill(tmp_path / str(at), {"page": content})) for at, content in enumerate(VERSIONS)]
    wholes = [begun(each, get("/page", "Connection: close"))[0] for each in origins]
    visit = net(origins, seed, loss=0.05, duplicate=0.1)
    received = visit.run(get("/page", "Connection: close"))
    if visit.outcome == "end":
        assert received in wholes
    else:
        assert visit.outcome
        assert any(whole.startswith(received) for whole in wholes)


@pytest.mark.parametrize("seed", range(20))
def test_a_tree_replaced_on_one_replica_leaves_small_responses_whole(tmp_path: Path, seed: int) -> None:
    pages = [b"one " * 500, b"two, longer " * 300]
    origins = [origin(fill(tmp_path / str(at), {"page": content})) for at, content in enumerate(pages)]
    wholes = [begun(each, get("/page"))[0] for each in origins]
    visit = net(origins, seed, loss=0.05, duplicate=0.1)
    visit.run(get("/page"))
    rest = bytes(visit.received)
    for _ in range(5):
        visit.client.write(get("/page"))
        visit.go_on()
    rest = bytes(visit.received)
    while whole := next((each for each in wholes if rest.startswith(each)), b""):
        rest = rest[len(whole) :]
    assert not rest if not visit.outcome else any(each.startswith(rest) for each in wholes)


def test_a_request_with_no_host_is_refused_and_the_connection_ends(tmp_path: Path) -> None:
    visit = net(copies(tmp_path))
    received = visit.run(get("/").replace(HOST.encode() + b"\r\n", b"") + get("/small.txt"))
    assert received.startswith(b"HTTP/1.1 400 ")
    assert received.count(b"HTTP/1.1") == 1
    assert visit.outcome == "end"

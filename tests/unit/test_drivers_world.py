"""Random bytes of drivers: no nonce comes twice under one key, even from two copies of one state; secrets are fresh."""

import copy
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.support.desk import Desk, datagrams
from tests.support.fleetkeys import WALL, ring
from tests.support.inside import parts
from tests.support.peer import Peer
from tests.support.toys import File
from trickles import Dialer
from trickles.client import ClientConfig
from trickles.drivers.udp import BatchSocket
from trickles.drivers.world import BLOCK_NONCES, HELD_NS, NoncePool, fresh_secret
from trickles.keyring import _cipher
from trickles.listener import Listener
from trickles.wire.kinds import Suite


class Ticking:
    """A clock that goes on by ten nanoseconds whenever it is read."""

    def __init__(self, start: int) -> None:
        self._at = start - 10

    def __call__(self) -> int:
        self._at += 10
        return self._at


# A fork that Python does not know of is for a process with one thread: another thread may hold the interpreter's lock,
# and a child would wait for it for ever. So the parent is a process of its own.
FORK_AND_DRAW = """
import ctypes, os, sys
from trickles.drivers.world import NoncePool

def draw():
    return b"".join(pool(12) for _ in range(200))

pool = NoncePool()
pool(12)
ours, theirs = os.pipe()
fork = ctypes.PyDLL(None).fork if sys.argv[1] == "raw" else os.fork
if not (child := fork()):
    os.write(theirs, draw())
    os._exit(0)
os.waitpid(child, 0)
sys.stdout.buffer.write(os.read(ours, 1 << 16) + draw())
"""


def cut(data: bytes) -> set[bytes]:
    return {data[at : at + 12] for at in range(0, len(data), 12)}


def test_no_nonce_is_given_out_twice() -> None:
    pool = NoncePool()
    drawn = [pool(size) for size in (8, 12) for _ in range(2 * BLOCK_NONCES)]
    assert [len(each) for each in drawn[:: 2 * BLOCK_NONCES]] == [8, 12]
    assert len({each[:8] for each in drawn}) == len(drawn)


@pytest.mark.parametrize("size", [1, 7, 9, 16, 32])
def test_what_is_no_nonce_is_not_drawn_ahead(size: int) -> None:
    with pytest.raises(ValueError, match="a nonce has 8 or 12 bytes"):
        NoncePool()(size)


@pytest.mark.parametrize("kind", ["os.fork", "raw"])
def test_a_child_and_its_parent_give_out_others(kind: str) -> None:
    done = subprocess.run([sys.executable, "-c", FORK_AND_DRAW, kind], capture_output=True, check=True)
    theirs, ours = cut(done.stdout[: 200 * 12]), cut(done.stdout[200 * 12 :])
    assert len(theirs) == len(ours) == 200
    assert not theirs & ours


def test_copies_of_one_state_never_meet_a_nanosecond_apart() -> None:
    pool = NoncePool(clock=Ticking(WALL * 1000))
    pool(12)
    copies = [copy.deepcopy(pool) for _ in range(9)]
    for late, each in enumerate(copies):
        each._clock = Ticking(WALL * 1000 + 10 + late)
    drawn = [each(12) for each in copies for _ in range(BLOCK_NONCES - 1)]  # all from the block that was copied
    assert len({each[:8] for each in drawn}) == len(drawn)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes the system was asked for, time after time."""
    sizes = list[int]()
    urandom = os.urandom

    def noting(size: int) -> bytes:
        sizes.append(size)
        return urandom(size)

    monkeypatch.setattr("os.urandom", noting)
    return sizes


def test_what_an_idle_process_has_drawn_ahead_is_dropped(asked: list[int]) -> None:
    times = iter([0, HELD_NS - 1, HELD_NS, HELD_NS + 1, HELD_NS - 1, HELD_NS - 1])
    pool = NoncePool(clock=times.__next__)
    draws = []
    for _ in range(6):
        pool(12)
        draws.append(len(asked))
    assert draws == [1, 1, 2, 2, 3, 3]  # too old; and from before the clock was set back


def test_secrets_come_from_the_system_when_they_are_needed(asked: list[int]) -> None:
    dialer = Dialer([("127.0.0.1", 9)], ClientConfig())
    with closing(dialer):
        secrets = {parts(dialer._client(0, 1 << 16)).secret for _ in range(20)}
    assert len(secrets) == 20
    assert asked == [32] * 21  # one for the choice of replicas
    assert [len(fresh_secret(size)) for size in (1, 16, 32)] == [1, 16, 32]
    with pytest.raises(ValueError, match="a secret has"):
        fresh_secret(33)


def test_a_copied_generator_of_the_kernel_makes_no_equal_secrets_or_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.urandom", bytes)
    assert len({fresh_secret(32) for _ in range(100)}) == 100
    at_once = [NoncePool(name, clock=lambda: 1)(12) for name in (b"one", b"other")]
    assert at_once[0] != at_once[1]


def test_sockets_of_one_address_have_identities_of_their_own() -> None:
    bind = partial(BatchSocket.bind, reuse_port=True)
    with bind("127.0.0.1", 0) as one, bind(*one.address) as other:
        assert one.address == other.address
        assert len({one.identity, other.identity, one.identity}) == 2


class Sealings:
    """All that was sealed by AES-GCM: what stood under each key and nonce."""

    def __init__(self) -> None:
        self.found: dict[tuple[bytes, bytes], set[tuple[bytes, bytes]]] = {}

    def cipher(self, key: bytes) -> "Noting":
        return Noting(self, key)

    @property
    def repeated(self) -> int:
        """How many pairs of key and nonce stood for more than one text."""
        return sum(len(texts) > 1 for texts in self.found.values())


class Noting:
    """AES-GCM that notes what it seals."""

    def __init__(self, sealings: Sealings, key: bytes) -> None:
        self._sealings, self._key, self._cipher = sealings, key, AESGCM(key)
        self.decrypt = self._cipher.decrypt

    def encrypt(self, nonce: bytes, data: bytes, clear: bytes) -> bytes:
        self._sealings.found.setdefault((self._key, bytes(nonce)), set()).add((bytes(data), bytes(clear)))
        return self._cipher.encrypt(nonce, data, clear)


@pytest.fixture
def sealings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sealings]:
    made = Sealings()
    monkeypatch.setattr("trickles.keyring.AESGCM", made.cipher)
    monkeypatch.setattr("trickles.session.AESGCM", made.cipher)
    _cipher.cache_clear()
    yield made
    _cipher.cache_clear()


@pytest.mark.parametrize("suite", Suite)
def test_two_copies_of_a_replica_seal_nothing_under_one_key_and_nonce(sealings: Sealings, suite: Suite) -> None:
    """The same requests reach both, microseconds apart; what each seals holds its own time, so it differs."""
    pools = [NoncePool(clock=Ticking(WALL * 1000))]
    pools[0](12)
    pools.append(copy.deepcopy(pools[0]))
    pools[1]._clock = Ticking(WALL * 1000 + 3)
    contents = (b"a" * 400_000, b"b" * 400_000)  # two machines need not have the same
    replicas = [Listener(ring(), File(each), entropy=pool) for each, pool in zip(contents, pools, strict=True)]
    for number in range(8):
        desk = Desk(suite=suite, name=f"peer {number}")
        desk.listener = replicas[number % 2]
        other = replicas[1 - number % 2]
        hello = desk.peer.hello(desk.keyring.newest(WALL), b"GET\n", wanted=3600)
        for step in range(2):
            datagram = hello if step == 0 else desk.peer.restart(desk.peer_bound())
            datagrams(other, datagram, now=WALL + step * 10_000 + 1)
            desk.now = WALL + step * 10_000
            assert desk.ask(datagram)
    assert len(sealings.found) > 100
    assert sealings.repeated == 0


def test_the_recorder_sees_a_nonce_that_is_used_twice(sealings: Sealings) -> None:
    replicas = [Listener(ring(), File(bytes((each,)) * 9000), entropy=bytes) for each in (1, 2)]
    hello = Peer("twice").hello(ring().newest(WALL), b"GET\n", wanted=3600)
    for replica in replicas:
        datagrams(replica, hello)
    assert sealings.repeated > 0

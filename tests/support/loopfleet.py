"""Replicas and what tests need around them on one asyncio loop: real sockets, no processes."""

from types import TracebackType
from typing import Any, Self

from tests.support.fleetkeys import IDENTITY, ring
from tests.support.limits import TEST_LIMITS
from tests.support.replica_program import Lines
from trickles import AsyncReplica, ClientConfig, Keyring, Limits, Listener, Service
from trickles.drivers.udp import BatchSocket
from trickles.drivers.world import NoncePool
from trickles.handshake import identity_public
from trickles.limits import SECOND
from trickles.spool import MemorySpool
from trickles.wire.kinds import Address

PUBLIC = identity_public(IDENTITY)
IMPATIENT = Limits(give_up_after=SECOND // 2)  # for clients that shall fail: two hellos, and then they give up


def config(**options: Any) -> ClientConfig:
    """A client of the fleet below, which begins with the first replica."""
    return ClientConfig(identity=PUBLIC, **{"first": 0, **options})


class LoopFleet:
    """Replicas on the running loop that share a keyring and a spool."""

    def __init__(
        self, count: int = 1, service: Service | None = None, *, host: str = "127.0.0.1", keyring: Keyring | None = None
    ) -> None:
        self._service = service or Lines()
        self._keyring = keyring or ring()
        self._spool = MemorySpool()
        self._replicas = [self._started(host, 0) for _ in range(count)]
        self.addresses: list[Address] = [replica.socket.address for replica in self._replicas]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for index in range(len(self._replicas)):
            self.kill(index)

    def _started(self, host: str, port: int) -> AsyncReplica:
        listener = Listener(self._keyring, self._service, entropy=NoncePool(), spool=self._spool, limits=TEST_LIMITS)
        return AsyncReplica(listener, BatchSocket.bind(host, port))

    def kill(self, index: int) -> None:
        """Its port is closed, with all that waited there."""
        if self._replicas[index].socket.fileno() >= 0:
            self._replicas[index].close()
            self._replicas[index].socket.close()

    def restart(self, index: int) -> None:
        """A fresh replica on the port of a killed one."""
        self._replicas[index] = self._started(*self.addresses[index])

    def rekey(self, keyring: Keyring) -> None:
        """All hold other keys from now on."""
        for replica in self._replicas:
            replica.listener.replace_keyring(keyring)

    def counted(self, name: str) -> int:
        """How often the listeners counted that, all together."""
        return sum(replica.listener.counters[name] for replica in self._replicas)

    @property
    def packets_in(self) -> list[int]:
        """Datagrams that each has received."""
        return [replica.packets_in for replica in self._replicas]

    @property
    def bytes_out(self) -> int:
        """Bytes that all have sent."""
        return sum(replica.bytes_out for replica in self._replicas)

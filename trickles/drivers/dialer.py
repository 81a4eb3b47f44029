"""State that connections to one fleet share: replicas, identity, certificate, path size. It is all soft."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import ip_address
from weakref import WeakSet

from trickles.client import Client, ClientConfig
from trickles.client.config import forgetful
from trickles.client.liveness import Liveness
from trickles.drivers.asking import AskingTimer
from trickles.drivers.connection import Connection, Consumer, FlowControl
from trickles.drivers.health import Health
from trickles.drivers.ports import IDLE_AFTER, Ports
from trickles.drivers.world import fresh_secret, monotonic_us, wall_us
from trickles.errors import BadPacket, IdentityError
from trickles.limits import SECOND
from trickles.wire.kinds import Address, Suite

MOST_IDENTITIES = 64
MOST_DETOURS = 60  # a multiple of most small numbers of replicas
SIZE_PROOF_LIFE = 45 * 60 * SECOND  # replicas accept one for at least an hour
IPV6_EXTRA_BYTES = 20  # an IPv6 header is so much longer than an IPv4 header


class Dialer:
    """Opens connections to a fleet; later ones use what earlier ones learned, and begin at different replicas.

    Replicas may be names, of which all addresses count: OSError when one does not resolve. A dialer belongs to the loop
    of its first connection, with up to `spare_sockets` sockets for later ones, until `close`.
    """

    def __init__(
        self,
        replicas: Sequence[Address],
        config: ClientConfig,
        *,
        spare_sockets: int = 0,
        idle_after: int = IDLE_AFTER,
    ) -> None:
        self.replicas = list(dict.fromkeys(each for replica in replicas for each in resolve(*replica)))
        self._wide = _wide(self.replicas)
        # without sealing a late packet of a socket's last connection cannot be distinguished
        self._spare_sockets = spare_sockets if config.suite is Suite.SEALED else 0
        self._idle_after = idle_after
        first = config.first if config.first is not None else int.from_bytes(fresh_secret(4)) % len(self.replicas)
        self._health = Health(self.replicas, first)
        self._ports: Ports | None = None
        self._live: WeakSet[Connection] = WeakSet()
        self._asking = AskingTimer()
        self._dialed = 0
        self._learned: tuple[int, int, int] | None = None
        self._size_learned_at = 0
        config = _with_clock(config)
        self._use(replace(config, probe_sizes=_fitting(config.probe_sizes)) if self._wide else config)

    def _use(self, config: ClientConfig) -> None:
        self._config = config
        self._configs: dict[tuple[int, int], ClientConfig] = {}

    def _config_for(self, first: int, kept_bytes: int) -> ClientConfig:
        found = self._configs.get((first, kept_bytes))
        if found is None:
            limits = replace(self._config.limits, kept_input_bytes=kept_bytes)
            found = self._configs[first, kept_bytes] = replace(self._config, first=first, limits=limits)
        return found

    @property
    def ports(self) -> Ports:
        if self._ports is None:
            family = socket.AF_INET6 if self._wide else socket.AF_INET
            self._ports = Ports(family, spare=self._spare_sockets, idle_after=self._idle_after)
        return self._ports

    @property
    def window_bytes(self) -> int:
        """Bytes of output that a connection keeps for a slow reader, unless its flow control says less."""
        return self._config.limits.receive_window_bytes

    def dial(
        self, consumer: Consumer, kept_input_bytes: int | None = None, flow: FlowControl | None = None
    ) -> Connection:
        """Return a new connection, which takes a socket when it has something to send; call `start` on it.

        It keeps at most `kept_input_bytes` of spooled input; `flow` bounds its output.
        """
        usual = self._config.limits.kept_input_bytes
        kept = usual if kept_input_bytes is None else min(kept_input_bytes, usual)
        count = len(self.replicas)
        detour = self._dialed // count % MOST_DETOURS  # so that a dead replica's connections go to all others
        self._dialed += 1
        client = self._client(self._health.pick(monotonic_us()) + count * detour, kept)
        connection = Connection(client, self.ports, consumer, self._learn, flow)
        self._live.add(connection)
        return connection

    def adopt(self, client: Client, consumer: Consumer, flow: FlowControl | None = None) -> Connection:
        """Return a connection of an engine from another process; call `wake` on it."""
        client.replace_replicas(self.replicas, now=monotonic_us())
        connection = Connection(client, self.ports, consumer, self._learn, flow)
        self._live.add(connection)
        return connection

    @property
    def config(self) -> ClientConfig:
        return self._config

    @property
    def liveness(self) -> Liveness:
        """Of the replicas that are at work for connections of this dialer."""
        return self._asking.liveness

    def replace(self, replicas: Sequence[Address]) -> None:
        """Replace the fleet's members, by numeric addresses; open connections get them too.

        An empty list changes nothing.
        """
        fresh = list(dict.fromkeys(replicas))
        if not fresh or fresh == self.replicas:
            return
        self.replicas = fresh
        self._health.replace(fresh)
        if _wide(fresh) and not self._wide:
            self._widen()
        for connection in list(self._live):
            connection.rejoin(fresh, self.ports)

    def _widen(self) -> None:
        """Use sockets for both address families, since a member has an IPv6 address."""
        self._wide = True
        if self._ports is not None:
            self._ports.close()
            self._ports = None
        self._use(replace(self._config, probe_sizes=_fitting(self._config.probe_sizes)))

    def _client(self, first: int, kept_bytes: int) -> Client:
        if self._config.size_proof and monotonic_us() - self._size_learned_at > SIZE_PROOF_LIFE:
            self._learned = None
            self._use(replace(self._config, size_proof=0))
        try:
            config = self._config_for(first, kept_bytes)
            return Client(self.replicas, entropy=fresh_secret, config=config, liveness=self.liveness)
        except (BadPacket, IdentityError):  # the certificate has ended, or is no longer trusted
            self._use(replace(self._config, certificate=None))
            config = self._config_for(first, kept_bytes)
            return Client(self.replicas, entropy=fresh_secret, config=config, liveness=self.liveness)

    def _learn(self, client: Client) -> None:
        """Keep what a connection learned: the certificate, the path's size, which replicas answer."""
        certificate = client.certificate
        self._note_health(client, monotonic_us())
        if certificate is None:
            return
        if not client.is_established:
            self._doubt(client)
            return
        size, proof = client.proven_size
        if proof != self._config.size_proof:
            self._size_learned_at = monotonic_us()
        learned = certificate.epoch, size, proof
        if learned != self._learned:
            self._learned = learned
            encoded = certificate.encode()
            self._use(replace(self._config, certificate=encoded, datagram_bytes=size, size_proof=proof))

    def _note_health(self, client: Client, now: int) -> None:
        served = client.delivery.served
        for replica in self.replicas:
            if client.suspects(replica, now):
                self._health.silent(replica, now)
            elif replica in served:
                self._health.answered(replica)

    def _doubt(self, client: Client) -> None:
        """Forget a certificate whose hello went unanswered: the next connection asks for a fresh one."""
        if client.hello_unanswered and self._config.certificate is not None:
            self._learned = None
            self._use(replace(self._config, certificate=None))

    def close(self) -> None:
        """Close the spare sockets; connections go on."""
        self._asking.close()
        if self._ports is not None:
            self._ports.close()


def _with_clock(config: ClientConfig) -> ClientConfig:
    """Return the configuration with a clock for certificates, and a memory of the newest one if it has none."""
    note_start = newest_start() if config.note_start is forgetful else config.note_start
    return replace(config, wall=config.wall or wall_us, note_start=note_start)


def newest_start() -> Callable[[bytes, int], int]:
    """Return a `note_start` that remembers the newest certificate of some identities in this process."""
    newest: dict[bytes, int] = {}

    def note(identity: bytes, start: int) -> int:
        start = max(start, newest.pop(identity, 0))
        if len(newest) >= MOST_IDENTITIES:  # a fleet has one; a client that accepts any identity is not protected
            del newest[next(iter(newest))]
        newest[identity] = start
        return start

    return note


def _wide(replicas: Sequence[Address]) -> bool:
    return any(":" in host for host, _ in replicas)


def _fitting(probe_sizes: Sequence[int]) -> tuple[int, ...]:
    return tuple(size - IPV6_EXTRA_BYTES for size in probe_sizes)


def is_numeric(host: str) -> bool:
    """Return True when the host is an address, which needs no resolver."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def resolve(host: str, port: int) -> list[Address]:
    """Return all numeric addresses of a host name, each once; OSError when there is none."""
    try:
        return look_up(host, port)
    except (OSError, UnicodeError) as error:  # the latter for malformed names
        reason = error.strerror if isinstance(error, OSError) else "not a name"
        raise OSError(f"cannot find replica {host!r}: {reason}") from None


def look_up(host: str, port: int) -> list[Address]:
    """Return the numeric addresses of a host, of a name only those of families that this machine has."""
    flags = 0 if is_numeric(host) else socket.AI_ADDRCONFIG
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=flags)
    return list(dict.fromkeys((str(info[4][0]), port) for info in infos))


def parse_address(text: str) -> Address:
    """Parse `HOST:PORT` or `[IPV6]:PORT`; ValueError for anything else."""
    host, separator, port = text.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not separator or not host or not port.isdecimal() or not 0 <= int(port) < 65_536:
        raise ValueError(f"not HOST:PORT: {text!r}")
    return host, int(port)

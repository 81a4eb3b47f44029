"""State that connections to one fleet share: replicas, identity, certificate, path size. All of it is soft."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import ip_address
from weakref import WeakSet

from trickles.client import Client, ClientConfig
from trickles.client.config import forgetful
from trickles.drivers.connection import Connection, Consumer, FlowControl
from trickles.drivers.health import Health
from trickles.drivers.ports import IDLE_AFTER, Ports
from trickles.drivers.world import fresh_secret, monotonic_us, wall_us
from trickles.errors import BadPacket, IdentityError
from trickles.limits import SECOND
from trickles.wire.kinds import Address, Suite

MOST_IDENTITIES = 64
SIZE_PROOF_LIFE = 45 * 60 * SECOND  # replicas believe one for an hour at least
IPV6_EXTRA_BYTES = 20  # an IPv6 header is so much longer than an IPv4 header


class Dialer:
    """Opens connections to a fleet; later ones profit from what earlier ones found out, and take turns to begin with.

    Replicas may be names: OSError when one does not resolve. A dialer stays with the loop of its first connection; up
    to `spare_sockets` wait there for the next connection, until `close`.
    """

    def __init__(
        self,
        replicas: Sequence[Address],
        config: ClientConfig,
        *,
        spare_sockets: int = 0,
        idle_after: int = IDLE_AFTER,
    ) -> None:
        self.replicas = list(dict.fromkeys(resolve(*replica) for replica in replicas))
        self._wide = _wide(self.replicas)
        # in clear nobody could tell a late packet for a socket's last connection from one for its next
        self._spare_sockets = spare_sockets if config.suite is Suite.SEALED else 0
        self._idle_after = idle_after
        self._health = Health(self.replicas, config.first)
        self._ports: Ports | None = None
        self._live: WeakSet[Connection] = WeakSet()
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
        """The sockets of its connections, all on the running loop."""
        if self._ports is None:
            family = socket.AF_INET6 if self._wide else socket.AF_INET
            self._ports = Ports(family, spare=self._spare_sockets, idle_after=self._idle_after)
        return self._ports

    @property
    def window_bytes(self) -> int:
        """How much output a connection keeps for a slow reader, unless its flow control says less."""
        return self._config.limits.receive_window_bytes

    def dial(
        self, consumer: Consumer, kept_input_bytes: int | None = None, flow: FlowControl | None = None
    ) -> Connection:
        """A new connection; it takes a socket when it has something to send. Call `start` on it.

        It keeps at most `kept_input_bytes` of what lies in a spool; `flow` bounds its output.
        """
        usual = self._config.limits.kept_input_bytes
        kept = usual if kept_input_bytes is None else min(kept_input_bytes, usual)
        client = self._client(self._health.pick(monotonic_us()), kept)
        connection = Connection(client, self.ports, consumer, self._learn, flow)
        self._live.add(connection)
        return connection

    def adopt(self, client: Client, consumer: Consumer, flow: FlowControl | None = None) -> Connection:
        """A connection that began in another process, with the engine that it had; call `wake` on it."""
        client.replace_replicas(self.replicas, now=monotonic_us())
        connection = Connection(client, self.ports, consumer, self._learn, flow)
        self._live.add(connection)
        return connection

    @property
    def config(self) -> ClientConfig:
        """The configuration that its next connection begins with."""
        return self._config

    def replace(self, replicas: Sequence[Address]) -> None:
        """The fleet's members are others now, numeric addresses; connections that are open learn of it too.

        An empty list changes nothing: who has nobody else to turn to stays with those it knows.
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
        """The first member with an IPv6 address: sockets from now on reach both kinds."""
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
            return Client(self.replicas, entropy=fresh_secret, config=config)
        except (BadPacket, IdentityError):  # the certificate has ended, or is not trusted any more: ask for another
            self._use(replace(self._config, certificate=None))
            config = self._config_for(first, kept_bytes)
            return Client(self.replicas, entropy=fresh_secret, config=config)

    def _learn(self, client: Client) -> None:
        """Keep what a connection found out: the certificate, the path's size, which replicas answer."""
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
        """A hello to the epoch of this certificate went unanswered: the next connection asks for a fresh one."""
        if client.hello_unanswered and self._config.certificate is not None:
            self._learned = None
            self._use(replace(self._config, certificate=None))

    def close(self) -> None:
        """Close the sockets that wait; connections go on."""
        if self._ports is not None:
            self._ports.close()


def _with_clock(config: ClientConfig) -> ClientConfig:
    """The same with a clock to check certificates by, and a memory of the newest one if it has none."""
    note_start = newest_start() if config.note_start is forgetful else config.note_start
    return replace(config, wall=config.wall or wall_us, note_start=note_start)


def newest_start() -> Callable[[bytes, int], int]:
    """A `note_start` that remembers the newest certificate of some identities for as long as this process lives."""
    newest: dict[bytes, int] = {}

    def note(identity: bytes, start: int) -> int:
        start = max(start, newest.pop(identity, 0))
        if len(newest) >= MOST_IDENTITIES:  # a fleet has one; whoever accepts any is not protected by this
            del newest[next(iter(newest))]
        newest[identity] = start
        return start

    return note


def _wide(replicas: Sequence[Address]) -> bool:
    """True when reaching them takes IPv6."""
    return any(":" in host for host, _ in replicas)


def _fitting(probe_sizes: Sequence[int]) -> tuple[int, ...]:
    """The sizes worth a probe over IPv6, given those over IPv4."""
    return tuple(size - IPV6_EXTRA_BYTES for size in probe_sizes)


def is_numeric(host: str) -> bool:
    """True when the host is an address, for which no resolver is needed."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def resolve(host: str, port: int) -> Address:
    """Numeric address of a host name; OSError when there is none."""
    try:
        info = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    except (OSError, UnicodeError) as error:  # the latter for what no name looks like
        reason = error.strerror if isinstance(error, OSError) else "not a name"
        raise OSError(f"cannot find replica {host!r}: {reason}") from None
    return str(info[4][0]), port


def parse_address(text: str) -> Address:
    """`HOST:PORT` or `[IPV6]:PORT`; ValueError when it is neither."""
    host, separator, port = text.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not separator or not host or not port.isdecimal() or not 0 <= int(port) < 65_536:
        raise ValueError(f"not HOST:PORT: {text!r}")
    return host, int(port)

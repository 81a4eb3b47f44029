"""A server process on a host of its own: it dies, restarts without state, and takes CPU time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trickles.testing.clock import Timer
from trickles.testing.endpoints import Birth, BurstLike, ListenerFactory, ListenerLike
from trickles.testing.network import Node
from trickles.testing.packet import HEADER_BYTES, Address, Hop, Packet
from trickles.testing.stats import HostStats
from trickles.testing.world import World

ICMP_BYTES = 28 + HEADER_BYTES  # IP and ICMP headers, and the headers of the rejected datagram, RFC 792

UNREACHABLE = "port unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSpec:
    """Properties of a replica's host; the defaults are a perfect host without delay."""

    outgoing: tuple[Hop, ...] = ()
    incoming: tuple[Hop, ...] = ()
    skew: int = 0  # microseconds its wall clock is ahead
    service_time: int | Callable[[bytes], int] = 0  # CPU microseconds per datagram, as a number or by datagram
    backlog: int = 1_000  # datagrams the receive buffer holds
    drop_caches: float = 0.0  # chance, before each datagram, that the listener drops its soft state


class Replica(Node):
    """Feeds a listener made by `factory`; a restart makes another, without soft state."""

    def __init__(
        self, world: World, factory: ListenerFactory, name: str, index: int, address: Address, spec: ReplicaSpec
    ) -> None:
        super().__init__(name, spec.outgoing, spec.incoming)
        self.address = address
        self.index = index
        self.skew = spec.skew  # may be changed at any time
        self.alive = False
        self.stats = HostStats()
        self._world = world
        self._clock, self._network = world.clock, world.network
        self._factory = factory
        self._spec = spec
        self._chaos = world.seeds.random(f"replica/{name}/chaos")
        self._refuses = False
        self._free = 0  # when the CPU falls idle
        self._waiting = 0
        self._faces: dict[Address, Address] = {}  # the address that a client uses, if not the main one
        self._timer = Timer(world.clock, self._poll)
        self.restart()

    @property
    def now(self) -> int:
        """This replica's wall-clock time, microseconds."""
        return self._world.wall + self._clock.now + self.skew

    def kill(self, *, unreachable: bool = False) -> None:
        """End the process with its state and all unanswered datagrams.

        Datagrams are lost from now on; with `unreachable` ICMP port unreachable answers each (RFC 1122, 3.2.2.1).
        """
        self.alive = False
        self._refuses = unreachable
        self._waiting = 0
        self._timer.set(None)

    def restart(self, factory: ListenerFactory | None = None) -> None:
        """Start a new process (after ending the running one), by another `factory` from now on if given."""
        if self.alive:
            self.kill()
        self._factory = factory or self._factory
        life = self.stats.lives
        self.stats.lives += 1
        self.alive = True
        self._free = self._clock.now
        birth = self._birth(life)
        self.listener: ListenerLike = self._factory(birth)
        self._hook: Callable[..., Sequence[BurstLike]] | None = getattr(self.listener, "poll", None)
        self._deadline: Callable[[], int | None] | None = getattr(self.listener, "next_timeout", None)
        self._forget: Callable[[], None] | None = getattr(self.listener, "drop_caches", None)
        if hasattr(self.listener, "on_ready") and self.listener.on_ready is None:
            self.listener.on_ready = birth.wake

    def stall(self, duration: int) -> None:
        """Stop for `duration` microseconds (SIGSTOP, a long garbage collection): datagrams wait in the buffer."""
        self._free = max(self._free, self._clock.now) + duration

    def drop_caches(self) -> None:
        if self.alive and self._forget is not None:
            self._forget()

    def receive(self, packet: Packet) -> None:
        """Let the listener answer, at once or after its queue."""
        if not self.alive:
            self._refuse(packet)
            return
        law = self._spec.service_time
        cost = law if isinstance(law, int) else law(packet.data)
        now = self._clock.now
        if cost == 0 and self._free <= now and not self._waiting:
            self._serve(packet)
        elif self._waiting >= self._spec.backlog:
            self.stats.overflowed += 1
        else:
            self._waiting += 1
            self._free = max(self._free, now) + cost
            self._clock.at(self._free, self._serve_waiting, (self.stats.lives, packet))

    def _serve_waiting(self, turn: tuple[int, Packet]) -> None:
        life, packet = turn
        if self.alive and life == self.stats.lives:
            self._waiting -= 1
            self._serve(packet)

    def _serve(self, packet: Packet) -> None:
        stats = self.stats
        stats.received += 1
        stats.received_bytes += len(packet.data)
        chance = self._spec.drop_caches
        if chance and self._chaos.random() < chance:
            self.drop_caches()
        if packet.destination != self.address:
            self._faces[packet.source] = packet.destination
        elif self._faces:
            self._faces.pop(packet.source, None)
        self._send(self.listener.handle(packet.data, packet.source, now=self.now))
        self._poll()

    def _poll(self) -> None:
        if self._hook is not None and self.alive:
            self._send(self._hook(now=self.now))
        if self._deadline is not None and self.alive:
            deadline = self._deadline()
            self._timer.set(None if deadline is None else deadline - self._world.wall - self.skew)

    def _send(self, bursts: Sequence[BurstLike]) -> None:
        stats, send = self.stats, self._network.send
        for burst in bursts:
            destination = burst.destination
            source = self._faces.get(destination, self.address)
            for datagram in burst.datagrams():
                stats.sent += 1
                stats.sent_bytes += len(datagram)
                send(self, source, destination, datagram)

    def _refuse(self, packet: Packet) -> None:
        self.stats.in_vain += 1
        if self._refuses:
            self.stats.unreachable += 1
            self._network.launch(self, Packet(b"", ICMP_BYTES, packet.destination, packet.source, UNREACHABLE))

    def _birth(self, life: int) -> Birth:
        started = self.stats.lives

        def mine() -> bool:
            return self.alive and self.stats.lives == started

        return Birth(
            name=self.name,
            index=self.index,
            life=life,
            address=self.address,
            entropy=self._world.seeds.entropy(f"replica/{self.name}/{life}"),
            now=lambda: self.now,
            after=lambda delay, call: self._clock.after(delay, lambda: call() if mine() else None),
            wake=lambda: self._clock.after(0, lambda: self._poll() if mine() else None),
        )

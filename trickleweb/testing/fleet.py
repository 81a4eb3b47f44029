"""Virtual replicas of an application in one process, and one client that they answer: no sockets, real keys.

The network is that of `trickles.testing`, in virtual time, which stops while an application runs. Keys, ledger and
spool are shared, as on one machine. Replicas may be killed between any two packets; their successors start without
state.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from trickles import Client, ClientConfig, Keyring, Limits, Listener, Policy
from trickles.drivers.keystore import ephemeral_keyring, fleet_identity
from trickles.testing import Birth, ClientHost, Fetch, LinkSpec, MemorySpool, Simulation
from trickles.testing.packet import Packet, forward
from trickleweb.application import Application
from trickleweb.server import FleetResources, HttpService
from trickleweb.stores import MemoryLedger, MemoryPages, MemoryResponses, SharedMemory, SharedResponses

Boundary = Callable[["VirtualFleet", int, int], None]
_LOOK_S = 0.002  # between checks of running applications
_STILL_S = 10.0  # without a packet, a timer or an application at work, before a fetch counts as stalled
_MOST_US = 3_600_000_000  # of virtual time for one fetch
_WIRE = LinkSpec(delay=10)  # microseconds: packets arrive before the loop waits for an application
_PATIENT = Limits(give_up_after=5_000_000)


@dataclass(frozen=True, slots=True)
class Transfer:
    """Result of a fetch: the bytes, the failure, the number of packets, the errors of applications.

    `ended` is False if the fleet's `enough` ended the fetch before the response was complete.
    """

    data: bytes
    failure: str | None
    packets: int
    errors: tuple[Exception, ...]
    ended: bool = True


@dataclass(slots=True)
class _Boundaries:
    """The last hop before the client: counts packets, and calls `arrived` after each."""

    arrived: Callable[[int, tuple[str, int]], None]
    packets: int = 0

    def send(self, packet: Packet) -> None:
        forward(packet)
        self.packets += 1
        self.arrived(self.packets, packet.source)


@dataclass(slots=True)
class Life:
    """One process: its server, and its name in the ledger."""

    server: HttpService
    owner: str
    responses: MemoryResponses


@dataclass(slots=True)
class VirtualFleet:
    """Replicas of the applications that `make` returns; `boundary` is called after every packet of a replica.

    It gets the fleet, the packet's number from 1 on, and the replica's index, and may `kill`. `still_us` stops the
    applications' clock at that time in microseconds since 1970; `entropy` is theirs. With `apart` each replica has a
    ledger of its own, as on machines that share keys alone. `enough` is called with the count of received bytes now and
    then, and ends the fetch when it returns True.
    """

    make: Callable[[], Application]
    replicas: int = 2
    policy: Policy = Policy.HOME
    boundary: Boundary | None = None
    still_us: int | None = None
    entropy: Callable[[int], bytes] = os.urandom
    ring: Keyring = field(default_factory=ephemeral_keyring)
    memory: SharedMemory = field(default_factory=SharedMemory)
    pages: MemoryPages = field(default_factory=MemoryPages)
    responses: SharedResponses = field(default_factory=SharedResponses)
    spool: MemorySpool = field(default_factory=MemorySpool)
    errors: list[Exception] = field(default_factory=list)
    apart: bool = False
    enough: Callable[[int], bool] = lambda _: False
    _simulation: Simulation = field(default_factory=lambda: Simulation(0))
    _memories: dict[int, SharedMemory] = field(default_factory=dict)
    _lives: dict[int, Life] = field(default_factory=dict)
    _processes: int = 0
    _ready: asyncio.Event = field(default_factory=asyncio.Event)
    _started: dict[int, Application] = field(default_factory=dict)
    _unstarted: list[Application] = field(default_factory=list)
    _moved_s: float = 0.0
    _dying: list[asyncio.Task[None]] = field(default_factory=list)

    async def fetch(self, request: bytes) -> Transfer:
        """Send the request, half-close, and return the response, complete or broken off.

        RuntimeError if it stands still: nothing at work can end it, or it took an hour of virtual time.
        """
        self._simulation = Simulation(0, wall=time.time_ns() // 1000)
        for _ in range(self.replicas):
            self._simulation.add_replica(self._process)
        try:
            return await self._fetch(request)
        finally:
            await asyncio.gather(*self._dying, *(life.server.close() for life in self._lives.values()))
            for application in self._started.values():
                await application.shutdown()

    def kill(self, index: int) -> None:
        """End that replica's process as `kill -9` does; another one begins in its place, with nothing."""
        dead = self._lives[index]
        self._memory(index).dead.add(dead.owner)
        dead.responses.close()
        self._dying.append(asyncio.get_running_loop().create_task(dead.server.close()))
        self._simulation.replicas[index].restart()

    def _memory(self, index: int) -> SharedMemory:
        return self._memories.setdefault(index, SharedMemory()) if self.apart else self.memory

    def _process(self, birth: Birth) -> Listener:
        self._processes += 1
        owner = f"process {self._processes}"
        application = self.make()
        self._unstarted.append(application)
        ledger, responses = MemoryLedger(self._memory(birth.index), owner), MemoryResponses(self.responses)
        server = HttpService(
            application,
            clock_us=birth.now if self.still_us is None else lambda: self.still_us or 0,
            resources=FleetResources(lambda: self.ring, ledger, responses, self.pages, self.entropy),
        )
        server.report_errors(self.errors.append)
        listener = Listener(self.ring, server, entropy=os.urandom, spool=self.spool, store_id=ledger.store_id)
        listener.report_errors(self.errors.append)

        def ready() -> None:
            birth.wake()
            self._ready.set()

        listener.on_ready = ready
        self._lives[birth.index] = Life(server, owner, responses)
        return listener

    async def _start(self) -> None:
        """Start the applications of new processes; one that `make` gave before has been started."""
        while self._unstarted:
            application = self._unstarted.pop()
            if id(application) not in self._started:
                self._started[id(application)] = application
                await application.startup()

    async def _fetch(self, request: bytes) -> Transfer:
        simulation = self._simulation
        addresses = [replica.address for replica in simulation.replicas]
        config = ClientConfig(identity=fleet_identity(self.ring), policy=self.policy, probe_sizes=(), limits=_PATIENT)

        def arrived(packets: int, source: tuple[str, int]) -> None:
            if self.boundary is not None:
                self.boundary(self, packets, addresses.index(source))

        received, boundaries = bytearray(), _Boundaries(arrived)
        host = simulation.add_client(
            Client(addresses, entropy=os.urandom, config=config),
            Fetch(request, into=received),
            outgoing=[simulation.add_link("up", _WIRE)],
            incoming=[simulation.add_link("down", _WIRE), boundaries],
        )
        self._moved_s = time.monotonic()
        while not host.done and not self.enough(len(received)):
            await self._start()
            if await self._advance(host):
                self._moved_s = time.monotonic()
            if simulation.clock.now > _MOST_US or time.monotonic() > self._moved_s + _STILL_S:
                raise RuntimeError(f"the fetch stands still after {len(received)} bytes")
        return Transfer(bytes(received), host.failure, boundaries.packets, tuple(self.errors), host.done)

    async def _advance(self, host: ClientHost) -> bool:
        """Let packets arrive, then applications work; if none does, advance the clock to the next event.

        Return False if there was none of these.
        """
        clock = self._simulation.clock
        if self._run(host, clock.now + _WIRE.delay):
            return True
        await asyncio.sleep(0)
        if self._ready.is_set():
            self._ready.clear()
            return True
        if any(life.server.busy for life in self._lives.values()):
            began = time.monotonic()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._ready.wait()
            self._pass(host, clock.now + int((time.monotonic() - began) * 1_000_000))
            return True
        return clock.next_at is not None and self._run(host, clock.next_at)

    def _run(self, host: ClientHost, until: int) -> bool:
        """Run all events until then, the end of the transfer, or a new process; return False if there is none."""
        next_at = self._simulation.clock.next_at
        if next_at is None or next_at > until:
            return False
        self._pass(host, until)
        return True

    def _pass(self, host: ClientHost, until: int) -> None:
        """Let time pass up to then, also where nothing happens; or to the end of the transfer, or a new process."""
        self._simulation.clock.run(until, lambda: host.done or bool(self._unstarted))

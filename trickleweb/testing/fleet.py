"""Virtual replicas of an application in one process, and one client whose packets they answer; no sockets, real keys.

What replicas of a machine share is shared: keys, ledger, spool. Any of them may be killed between two packets; what
takes its place knows nothing of what was before.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from trickles import Client, ClientConfig, Keyring, Limits, Listener, Policy
from trickles.client.events import Data, End, Failed
from trickles.drivers.keystore import ephemeral_keyring, fleet_identity
from trickles.testing import MemorySpool
from trickleweb.application import Application
from trickleweb.server import HttpService
from trickleweb.stores import MemoryLedger, SharedMemory

Address = tuple[str, int]
Boundary = Callable[["VirtualFleet", int, int], None]
_LOOK_S = 0.002  # at programs that are at work
_PATIENT = Limits(give_up_after=5_000_000)
_SMALL = Limits(replay_bits=1 << 16)  # a fleet for each request would fill and free megabytes


@dataclass(frozen=True, slots=True)
class Transfer:
    """What a client got: the bytes, why it failed if it did, packets of replicas, errors that programs raised."""

    data: bytes
    failure: str | None
    packets: int
    errors: tuple[Exception, ...]


@dataclass(slots=True)
class Life:
    """One process: its application, and a listener for it."""

    application: Application
    server: HttpService
    listener: Listener
    owner: str


@dataclass(slots=True)
class VirtualFleet:
    """`make` gives the application of each new process; `boundary` is called behind every packet a replica sends.

    It gets the fleet, the packet's number from 1 on, and the replica's index, and may `kill`. Programs see the time
    stand still where `still_us` says so, in microseconds since 1970, and entropy by `entropy`. With `apart` each
    replica has a ledger of its own, as on machines that share keys alone.
    """

    make: Callable[[], Application]
    replicas: int = 2
    policy: Policy = Policy.HOME
    boundary: Boundary | None = None
    still_us: int | None = None
    entropy: Callable[[int], bytes] = os.urandom
    ring: Keyring = field(default_factory=ephemeral_keyring)
    memory: SharedMemory = field(default_factory=SharedMemory)
    spool: MemorySpool = field(default_factory=MemorySpool)
    errors: list[Exception] = field(default_factory=list)
    apart: bool = False
    _memories: dict[int, SharedMemory] = field(default_factory=dict)
    _lives: list[Life] = field(default_factory=list)
    _born: int = 0
    _now: int = field(default_factory=lambda: time.time_ns() // 1000)
    _stirred: asyncio.Event = field(default_factory=asyncio.Event)
    _started: dict[int, Application] = field(default_factory=dict)
    _unstarted: list[Application] = field(default_factory=list)
    _dying: list[asyncio.Task[None]] = field(default_factory=list)

    async def fetch(self, request: bytes) -> Transfer:
        """Send the request, half-close, and take the response to its end, or to where it breaks off."""
        self._lives = [self._process(index) for index in range(self.replicas)]
        try:
            return await self._fetch(request)
        finally:
            await asyncio.gather(*self._dying, *(life.server.close() for life in self._lives))
            for application in self._started.values():
                await application.shutdown()

    def kill(self, index: int) -> None:
        """End that replica's process as `kill -9` does; another one begins in its place, with nothing."""
        dead = self._lives[index]
        self._memory(index).dead.add(dead.owner)
        dead.listener.on_ready = None
        self._dying.append(asyncio.get_running_loop().create_task(dead.server.close()))
        self._lives[index] = self._process(index)

    def _memory(self, index: int) -> SharedMemory:
        return self._memories.setdefault(index, SharedMemory()) if self.apart else self.memory

    def _process(self, index: int) -> Life:
        self._born += 1
        owner = f"process {self._born}"
        application = self.make()
        self._unstarted.append(application)
        ledger = MemoryLedger(self._memory(index), owner)
        server = HttpService(
            application,
            ring=lambda: self.ring,
            ledger=ledger,
            clock_us=lambda: self._now if self.still_us is None else self.still_us,
            entropy=self.entropy,
        )
        server.report_errors(self.errors.append)
        listener = Listener(
            self.ring, server, entropy=os.urandom, spool=self.spool, store_id=ledger.store_id, limits=_SMALL
        )
        listener.report_errors(self.errors.append)
        listener.on_ready = self._stirred.set
        return Life(application, server, listener, owner)

    async def _start(self) -> None:
        """Start the applications of new processes; one that `make` gave before has been started."""
        while self._unstarted:
            application = self._unstarted.pop()
            if id(application) not in self._started:
                self._started[id(application)] = application
                await application.startup()

    async def _fetch(self, request: bytes) -> Transfer:
        addresses = [("replica", 1 + index) for index in range(self.replicas)]
        config = ClientConfig(identity=fleet_identity(self.ring), policy=self.policy, probe_sizes=(), limits=_PATIENT)
        client = Client(addresses, entropy=os.urandom, config=config)
        client.write(request)
        client.write_eof()
        client.connect(now=self._now)
        return await self._drive(client)

    async def _drive(self, client: Client) -> Transfer:
        received, packets = bytearray(), 0
        flying: deque[tuple[bytes, int]] = deque()
        while True:
            await self._start()
            for datagram, (_, number) in client.datagrams_to_send(now=self._now):
                flying.extend(self._answers(number - 1, datagram))
            for index, life in enumerate(self._lives):
                flying.extend((each, index) for burst in life.listener.poll(self._now) for each in burst.datagrams())
            if flying:
                datagram, index = flying.popleft()
                packets += 1
                client.receive_datagram(datagram, ("replica", 1 + index), now=self._now)
                self._now += 10
                if self.boundary is not None:
                    self.boundary(self, packets, index)
            else:
                await self._wait(client)
            while (event := client.next_event()) is not None:
                if isinstance(event, Data):
                    for chunk in event.chunks:
                        received += chunk
                elif isinstance(event, End | Failed):
                    failure = event.reason if isinstance(event, Failed) else None
                    return Transfer(bytes(received), failure, packets, tuple(self.errors))

    def _answers(self, index: int, datagram: bytes) -> list[tuple[bytes, int]]:
        bursts = self._lives[index].listener.handle(datagram, ("127.0.0.1", 40_000), now=self._now)
        return [(each, index) for burst in bursts for each in burst.datagrams()]

    async def _wait(self, client: Client) -> None:
        """Let programs work; where none does, go on to the next time at which something is due."""
        await asyncio.sleep(0)
        if self._stirred.is_set():
            self._stirred.clear()
        elif any(life.server.busy for life in self._lives):
            began = time.monotonic()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._stirred.wait()
            self._now += int((time.monotonic() - began) * 1_000_000)
        else:
            due = [each for each in (client.next_timeout(), *self._timeouts()) if each is not None]
            self._now = max(self._now + 1, min(due, default=self._now))
        if (timeout := client.next_timeout()) is not None and timeout <= self._now:
            client.handle_timeout(now=self._now)

    def _timeouts(self) -> list[int | None]:
        return [life.listener.next_timeout() for life in self._lives]

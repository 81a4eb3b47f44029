"""A replica's process: the fleet's keys, a spool, a socket, a loop, periodic jobs, signals that end it.

`ReplicaProcess` composes the parts for all commands and for `trickles.serve`. The caller opens keys, socket and spool,
adds jobs of its own to `jobs`, and calls `run` (a blocking loop, for services that never defer) or awaits `serve` (the
running asyncio loop). Both end at SIGTERM or SIGINT and close only what they opened.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from trickles.drivers.chores import Chores
from trickles.drivers.keystore import KeyringSource, KeyWatch
from trickles.drivers.replica import AsyncReplica, Replica, run
from trickles.drivers.spooldir import SWEPT_FOLDERS, SpoolDirectory
from trickles.drivers.udp import BatchSocket
from trickles.drivers.world import NoncePool
from trickles.limits import DEFAULT_LIMITS, Limits
from trickles.listener import Listener
from trickles.service import Service
from trickles.spool import Spool
from trickles.stores import NO_STORE

_MOST_SIGNALS = 64  # read at a time
LOOK_EVERY = 1.0  # seconds between looks at the keys, and at a part of the spool
_LOGGER = logging.getLogger("trickles.service")


class ReplicaProcess:
    """One replica and its periodic jobs: take new keys, warn before certificates end, sweep the spool.

    `report` gets warnings and failures of jobs, a line each; without it they are logged (`trickles.keyring`,
    `trickles.service`). With `blocking` the replica is for `run`, without for `serve`, made on the running loop.
    """

    def __init__(
        self,
        service: Service,
        keys: KeyringSource,
        sock: BatchSocket,
        *,
        spool: Spool | None = None,
        store_id: bytes = NO_STORE,
        limits: Limits = DEFAULT_LIMITS,
        report: Callable[[str], None] | None = None,
        blocking: bool = True,
    ) -> None:
        nonces = NoncePool(sock.identity)
        self.listener = Listener(keys.keyring, service, entropy=nonces, limits=limits, spool=spool, store_id=store_id)
        self.replica = (Replica if blocking else AsyncReplica)(self.listener, sock)
        replace = self.listener.replace_keyring
        self.keys = KeyWatch(keys, replace, report=report) if report else KeyWatch(keys, replace)
        self.jobs = Chores(report or _LOGGER.error)
        self.jobs.every(LOOK_EVERY, "keys", self.keys.look)
        if isinstance(spool, SpoolDirectory):
            self.jobs.every(LOOK_EVERY, "spool", partial(spool.sweep, SWEPT_FOLDERS))

    def run(self, *, ready: Callable[[], None] = lambda: None, every: float = LOOK_EVERY) -> None:
        """Serve in a blocking loop in the main thread, once `ready` has returned; check for due jobs each `every`."""
        with stop_signals() as stop:
            self._begin(ready)
            run(self.replica, stop_fd=stop.fileno(), tick=self.jobs.tick, every=every)

    async def serve(
        self,
        stop: socket.socket,
        *,
        ready: Callable[[], None] = lambda: None,
        every: float = LOOK_EVERY,
        drain: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        """Serve on the running loop, in the same way, until `stop` (of `stop_signals`) becomes readable.

        Then serve on until `drain` has returned, or the next signal.
        """
        import asyncio  # a replica in a blocking loop starts sooner without it

        assert isinstance(self.replica, AsyncReplica)
        loop, signals = asyncio.get_running_loop(), asyncio.Semaphore(0)

        def count() -> None:
            for _ in stop.recv(_MOST_SIGNALS):
                signals.release()

        loop.add_reader(stop, count)
        try:
            self._begin(ready)
            await self._until_one(every, signals.acquire())
            if drain is not None:
                await self._until_one(every, drain(), signals.acquire())
        finally:
            loop.remove_reader(stop)
            self.replica.close()

    async def _until_one(self, every: float, *endings: Awaitable[object]) -> None:
        """Do due jobs until one of the endings has come; raise its error."""
        import asyncio

        waiting = [asyncio.ensure_future(each) for each in endings]
        try:
            while not (done := (await asyncio.wait(waiting, timeout=every, return_when="FIRST_COMPLETED"))[0]):
                self.jobs.tick()
            for each in done:
                each.result()
        finally:
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    def _begin(self, ready: Callable[[], None]) -> None:
        self.jobs.tick()
        ready()


@contextmanager
def stop_signals() -> Iterator[socket.socket]:
    """Yield a socket that becomes readable at SIGTERM or SIGINT, which have no other effect; main thread only.

    Signal handlers write to it. A wakeup descriptor (signal.set_wakeup_fd) would get other signals as well. In a forked
    child, which has the handlers and the socket too, the signals have their default effect.
    """
    reader, writer = socket.socketpair()
    process = os.getpid()

    def stop(number: int, _frame: object) -> None:
        if os.getpid() != process:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        with suppress(OSError):  # full: readable already
            writer.send(bytes((number,)))

    with reader, writer:
        writer.setblocking(False)
        before = {each: signal.signal(each, stop) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield reader
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def serve(
    service: Service,
    host: str,
    port: int,
    *,
    keyring: str | os.PathLike[str] | None = None,
    spool: str | os.PathLike[str] | None = None,
    reuse_port: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> None:
    """Answer datagrams at that UDP address as one replica, until SIGTERM or SIGINT.

    `keyring` is a directory or file of keys (default: TRICKLES_KEYRING); a rotation in it is noticed within a second,
    and a warning logged (`trickles.keyring`) before its certificates end. `spool` is a directory that the machine's
    replicas share for input larger than a packet. With `reuse_port` several replicas may have the same address.
    Exceptions of the service are logged (`trickles.service`), and that client is refused. For services that never
    defer, and for the main thread; others use `AsyncReplica`.
    KeyringError for keys that are missing or open to others; OSError for an unavailable address.
    """
    keys = KeyringSource(keyring)
    store = SpoolDirectory(spool) if spool is not None else None
    with BatchSocket.bind(host, port, reuse_port=reuse_port) as sock:
        process = ReplicaProcess(service, keys, sock, spool=store, limits=limits)
        process.listener.report_errors(lambda error: _LOGGER.error("the service failed", exc_info=error))
        process.run()

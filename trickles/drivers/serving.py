"""A process that is one replica: a service, the fleet's keys, and an address."""

from __future__ import annotations

import logging
import os
from functools import partial

from trickles.drivers.chores import Chores
from trickles.drivers.keystore import KeyringSource, KeyWatch
from trickles.drivers.replica import Replica, run
from trickles.drivers.spooldir import SWEPT_FOLDERS, SpoolDirectory
from trickles.drivers.stopping import told_to_stop
from trickles.drivers.udp import BatchSocket
from trickles.drivers.world import NoncePool
from trickles.limits import DEFAULT_LIMITS, Limits
from trickles.listener import Listener
from trickles.service import Service

_LOOK_EVERY = 1.0  # seconds
_LOGGER = logging.getLogger("trickles.service")


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

    `keyring` is a directory or file of keys (default: what TRICKLES_KEYRING holds); a rotation in it is noticed within
    a second, and a warning logged (`trickles.keyring`) before its certificates end. `spool` is a directory that the
    machine's replicas share for input larger than a packet. With `reuse_port` several replicas may have the same
    address. What the service raises is logged (`trickles.service`) and refuses that client. For services that never
    defer, and for the main thread; others use `AsyncReplica`.
    KeyringError for keys that are missing or open to others; OSError for an address that cannot be had.
    """
    keys = KeyringSource(keyring)
    store = SpoolDirectory(spool) if spool is not None else None
    with BatchSocket.bind(host, port, reuse_port=reuse_port) as socket, told_to_stop() as stop:
        listener = Listener(keys.keyring, service, entropy=NoncePool(socket.identity), limits=limits, spool=store)
        listener.report_errors(lambda error: _LOGGER.error("the service failed", exc_info=error))
        run(Replica(listener, socket), stop_fd=stop.fileno(), tick=_chores(listener, keys, store).tick)


def _chores(listener: Listener, keys: KeyringSource, spool: SpoolDirectory | None) -> Chores:
    """Look at the keys every second, and at a part of the input that nobody may ask for again."""
    chores = Chores(_LOGGER.error)
    chores.every(_LOOK_EVERY, "keys", KeyWatch(keys, listener.replace_keyring).look)
    if spool is not None:
        chores.every(_LOOK_EVERY, "spool", partial(spool.sweep, SWEPT_FOLDERS))
    return chores

"""Fleets and clients of the real engines for the simulator: replicas share a keyring and nothing else."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from tests.support.fleetkeys import ring
from tests.support.limits import TEST_LIMITS
from tests.support.toys import File
from trickles.client import Client, ClientConfig, Policy
from trickles.keyring import Keyring
from trickles.limits import Limits
from trickles.listener import Listener
from trickles.service import Service
from trickles.spool import Spool
from trickles.testing import (
    TEN_MEGABIT,
    Arrange,
    Birth,
    ClientFactory,
    Fetch,
    LinkSpec,
    ListenerFactory,
    ReplicaSpec,
    Report,
    Simulation,
    run_transfer,
)
from trickles.wire.kinds import Address

KEYS = ring()
REQUEST = b"GET\n"
ROUGH = replace(TEN_MEGABIT, loss=0.02, reorder=0.02, duplicate=0.02, jitter=500)

Serve = Callable[[Birth], Service]


def content(size_bytes: int, seed: int = 1) -> bytes:
    """Bytes in which no two stretches look alike; the same for the same seed."""
    return Random(seed).randbytes(size_bytes)


def listener(
    serve: Service | Serve,
    keyring: Keyring | Callable[[Birth], Keyring] = KEYS,
    *,
    spool: Spool | None = None,
    limits: Limits = TEST_LIMITS,
) -> ListenerFactory:
    """What makes a replica's process; `serve` is the service itself, or makes one for each process."""

    def born(birth: Birth) -> Listener:
        keys = keyring if isinstance(keyring, Keyring) else keyring(birth)
        service = serve if hasattr(serve, "handle") else serve(birth)
        return Listener(keys, service, entropy=birth.entropy, limits=limits, spool=spool)

    return born


def files(body: bytes, keyring: Keyring | Callable[[Birth], Keyring] = KEYS) -> ListenerFactory:
    """Replicas that each hold a copy of one file."""
    return listener(lambda birth: File(bytes(bytearray(body))), keyring)


def client(config: ClientConfig) -> ClientFactory:
    """What makes a client of that configuration."""

    def made(entropy: Callable[[int], bytes], replicas: Sequence[Address]) -> Client:
        return Client(replicas, entropy=entropy, config=config)

    return made


SPRAY = ClientConfig(policy=Policy.SPRAY, probe_sizes=())
HOME = ClientConfig(policy=Policy.HOME, probe_sizes=())


def download(
    simulation: Simulation,
    body: bytes,
    *,
    config: ClientConfig = HOME,
    replicas: int | Sequence[ReplicaSpec] = 2,
    up: LinkSpec = TEN_MEGABIT,
    down: LinkSpec = TEN_MEGABIT,
    arrange: Arrange | None = None,
    max_time: int = 600_000_000,
) -> Report:
    """One download of `body`, compared byte by byte, from replicas that share a keyring."""
    return run_transfer(
        simulation,
        files(body),
        client(config),
        Fetch(REQUEST, body),
        replicas=replicas,
        up=up,
        down=down,
        arrange=arrange,
        max_time=max_time,
    )

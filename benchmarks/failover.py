"""How long does a transfer stand still when the replica that serves it dies? Measured at the native client.

Each download is served by one of two replicas, which gets SIGKILL at a random point of it; the other goes on. The stall
is the longest silence from the kill to the last byte. It holds what the machine's scheduler adds as well: the control,
in which nobody dies, shows how much. Beside it stand the round-trip time that the client had measured by then (most of
it queueing, on loopback) and the aim for the 99th percentile, 2 RTT + 20 ms. `frozen` replicas get SIGSTOP: nobody
tells the client that they are gone, as when a machine loses its power. Every download is hashed.
"""

import argparse
import asyncio
import hashlib
import os
import random
import signal
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.peers.contract import PAGE_BYTES
from benchmarks.peers.trickles_stream import IDENTITY, READ_BYTES, REQUEST
from benchmarks.support import net
from benchmarks.support.payload import Payload, make_payload
from benchmarks.support.processes import Child, ChildFailed, module
from benchmarks.support.results import Outcome, save
from benchmarks.support.statistics import percentile
from benchmarks.support.tables import number, table
from trickles.client import ClientConfig, Policy
from trickles.drivers.stream import Stream, connect
from trickles.errors import TricklesError
from trickles.handshake import identity_public

MEGABYTE = 10**6
READY_SECONDS = 20.0
DOWNLOAD_SECONDS = 60.0
NOTHING = 0  # a signal that is none, kill(2)


@dataclass(frozen=True, slots=True)
class Case:
    """How the victim goes, and how the client uses the replicas; datagrams grow to `datagram_bytes` at most."""

    name: str
    policy: Policy
    datagram_bytes: int
    signal: int


CASES = (
    Case("lives on (control)", Policy.HOME, 1472, NOTHING),
    Case("killed", Policy.HOME, 1472, signal.SIGKILL),
    Case("killed, 64 kB datagrams", Policy.HOME, 65_507, signal.SIGKILL),
    Case("killed, spray", Policy.SPRAY, 1472, signal.SIGKILL),
    Case("frozen", Policy.HOME, 1472, signal.SIGSTOP),
)


@dataclass(frozen=True, slots=True)
class Failover:
    """One death: milliseconds of silence and of the round trip before it; whether the bytes were right."""

    stall: float
    rtt: float
    right: bool

    @property
    def aim(self) -> float:
        """What the stall should not exceed in 99 of 100 cases."""
        return 2 * self.rtt + 20


class Replicas:
    """Two replicas of one file, each on a port that it keeps."""

    def __init__(self, payload: Payload, cleanup: ExitStack) -> None:
        self._payload = payload
        first = net.free_udp_ports(2)
        self.addresses = [(net.LOOPBACK, first), (net.LOOPBACK, first + 1)]
        self._children = [self._start(port) for _, port in self.addresses]
        cleanup.callback(self._close)

    def _start(self, port: int) -> Child:
        where = ("--listen", f"{net.LOOPBACK}:{port}", "--file", self._payload.path)
        child = Child(module("benchmarks.peers.trickles_stream", "server", *where))
        child.message(READY_SECONDS)
        return child

    def strike(self, index: int, how: int) -> None:
        """Send the signal."""
        os.kill(self._children[index].pid, how)

    def renew(self, index: int) -> None:
        """A fresh process in place of one that was struck."""
        self.strike(index, signal.SIGKILL)
        self._children[index].close()
        self._children[index] = self._start(self.addresses[index][1])

    def _close(self) -> None:
        for child in self._children:
            child.close()


async def download(replicas: Replicas, case: Case, payload: Payload, first: int, at: int) -> Failover:
    """Fetch the file, strike the replica at work once `at` bytes have come; TricklesError when it cannot go on."""
    config = ClientConfig(
        identity=identity_public(IDENTITY),
        policy=case.policy,
        first=first,
        probe_sizes=(case.datagram_bytes,),
    )
    memory = bytearray(payload.size_bytes)
    memory[::PAGE_BYTES] = b"\1" * len(range(0, len(memory), PAGE_BYTES))
    async with await connect(replicas.addresses, config=config) as stream:
        stream.write(REQUEST)
        received = await fill(stream, memory, 0, at)
        rtt = int(stream.statistics()["srtt_us"]) / 1000
        victim = [f"{host}:{port}" for host, port in replicas.addresses].index(str(stream.statistics()["replica"]))
        replicas.strike(victim, case.signal)
        stall, last = 0.0, time.perf_counter()
        while received < len(memory):
            received = await fill(stream, memory, received, received + 1)
            now = time.perf_counter()
            stall, last = max(stall, now - last), now
    if case.signal != NOTHING:
        await asyncio.to_thread(replicas.renew, victim)
    return Failover(1000 * stall, rtt, hashlib.sha256(memory).hexdigest() == payload.sha256)


async def fill(stream: Stream, memory: bytearray, start: int, least: int) -> int:
    """Read into memory from `start` on until `least` bytes are there; returns how many are."""
    while start < least:
        data = await stream.read(READ_BYTES)
        if not data:
            raise TricklesError(f"the stream ended at {start} bytes")
        memory[start : start + len(data)] = data
        start += len(data)
    return start


def campaign(case: Case, replicas: Replicas, payload: Payload, options: argparse.Namespace) -> list[Failover]:
    """One death after another."""
    rng, done = random.Random(options.seed), []
    for turn in range(options.kills):
        at = rng.randrange(payload.size_bytes // 10, payload.size_bytes * 7 // 10)
        one = download(replicas, case, payload, turn % 2, at)
        done.append(asyncio.run(asyncio.wait_for(one, DOWNLOAD_SECONDS)))
    return done


def measure(options: argparse.Namespace, outcome: Outcome) -> dict[str, list[Failover]]:
    """A campaign for each case."""
    done = {}
    with tempfile.TemporaryDirectory(prefix="bench-failover-") as folder, ExitStack() as cleanup:
        payload = make_payload(Path(folder) / "payload", options.megabytes * MEGABYTE)
        replicas = Replicas(payload, cleanup)
        for case in CASES:
            if options.only and not any(word in case.name for word in options.only):
                continue
            try:
                done[case.name] = campaign(case, replicas, payload, options)
            except (ChildFailed, TricklesError, TimeoutError) as error:
                outcome.fail(f"failover: {case.name}: {error!r}")
    return done


def show(done: dict[str, list[Failover]]) -> None:
    """Print the table."""
    headers = ["the serving replica", "deaths", "right hash", "RTT ms p50", "2 RTT + 20"]
    headers += ["stall ms p50", "p99", "max", "over the aim"]
    cells = []
    for name, each in done.items():
        stalls, rtt = [one.stall for one in each], percentile([one.rtt for one in each], 50)
        figures = [number(percentile(stalls, percent), 1) for percent in (50, 99, 100)]
        over = sum(one.stall > one.aim for one in each)
        right = sum(one.right for one in each)
        cells.append([name, str(len(each)), str(right), number(rtt, 1), number(2 * rtt + 20, 1), *figures, str(over)])
    print(table("Stall of a download when its replica dies, loopback", headers, cells), flush=True)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="benchmarks failover", description=__doc__)
    options.add_argument("--kills", type=int, default=100, help="deaths in each case")
    options.add_argument("--megabytes", type=int, default=50, help="size of each download")
    options.add_argument("--seed", type=int, default=1, help="of the moments of death")
    options.add_argument("--only", nargs="+", default=[], help="words of the cases to run, as: spray frozen")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, save; 0 if every download was right."""
    options, outcome = parser().parse_args(argv), Outcome()
    done = measure(options, outcome)
    for name, each in done.items():
        if wrong := sum(not one.right for one in each):
            outcome.fail(f"failover: {name}: {wrong} wrong hashes")
    if done:
        show(done)
    outcome.figures["failovers"] = {name: [asdict(one) for one in each] for name, each in done.items()}
    save("failover", vars(options), outcome)
    return 1 if outcome.errors else 0


if __name__ == "__main__":
    raise SystemExit(main())

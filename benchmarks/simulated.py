"""How does Trickles share what others use too? Lossy links and shared bottlenecks in virtual time, by several seeds.

Goodput on a lossy link is shown over 1.22 MSS / (RTT sqrt p), the rate that Reno gets there (Mathis et al., 1997),
beside a simulated Reno flow that meets the same losses. A share of a bottleneck (10 Mbit/s, 30 ms, 25 packets of queue)
is shown over the fair one, beside one to four such flows.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import sqrt
from statistics import fmean

from benchmarks.support.results import Outcome, save
from benchmarks.support.tables import number, table
from trickles.client import Client, ClientConfig
from trickles.handshake import certify
from trickles.keyring import Epoch, Keyring
from trickles.listener import Listener
from trickles.service import Continuation, Event, Reply
from trickles.testing import MILLISECOND, SECOND, TEN_MEGABIT, ClientHost, Fetch, Link, LinkSpec, Simulation

DATAGRAM_BYTES = 1_472  # with IP and UDP headers an Ethernet frame's worth, as TCP's 1,448 bytes are
SEGMENT_BYTES = DATAGRAM_BYTES - 48  # header and tag
TCP_SEGMENT_BYTES = 1_448
MATHIS = 1.22
WARM_UP = 5 * SECOND
LOSSES = (0.001, 0.005, 0.01)
LOSSY = LinkSpec(rate=1_000_000_000, delay=15 * MILLISECOND, queue_packets=10_000)
SHARED = replace(TEN_MEGABIT, jitter=MILLISECOND)  # jitter breaks the lockstep that drop-tail queues fall into
KEYRING = Keyring((certify(Epoch(1, bytes(32)), bytes(32)),))


class Endless:
    """Output without end: the same bytes over and over."""

    BYTES = bytes(1 << 18)

    def handle(self, event: Event) -> Reply:
        """All that is wanted."""
        chunks = tuple((start, self.BYTES[: stop - start]) for start, stop in event.wants)
        begun = Continuation(b"endless", 0, None, event.input_offset + len(event.input))
        return Reply(chunks, begun if event.continuation is None else None)


@dataclass(frozen=True, slots=True)
class Reach:
    """Goodput over what Mathis' law gives, at one probability of loss: ours and TCP's."""

    loss: float
    seed: int
    ours: float
    tcp: float


@dataclass(frozen=True, slots=True)
class Share:
    """Bits per second of one Trickles flow over its fair share, beside so many TCP flows."""

    flows: int
    seed: int
    share: float


def add_download(simulation: Simulation, down: Link, up: Link, start: int = 0) -> ClientHost:
    """A client that downloads without end, at the datagram size of Ethernet."""
    replica = simulation.add_replica(lambda birth: Listener(KEYRING, Endless(), entropy=birth.entropy))
    config = ClientConfig(datagram_bytes=DATAGRAM_BYTES, probe_sizes=())
    engine = Client([replica.address], entropy=simulation.entropy("client"), config=config)
    return simulation.add_client(engine, Fetch(b"GET"), outgoing=[up], incoming=[down], start=start)


def reach(loss: float, seed: int, seconds: int) -> Reach:
    """Measure one flow of each kind, alone on its link, for that long after the warm-up."""
    stop = WARM_UP + seconds * SECOND
    ours, tcp = Simulation(seed), Simulation(seed)
    links = [(each.add_link("down", replace(LOSSY, loss=loss)), each.add_link("up", LOSSY)) for each in (ours, tcp)]
    host = add_download(ours, *links[0])
    flow = tcp.add_tcp([links[1][0]], [links[1][1]], mss_bytes=TCP_SEGMENT_BYTES)
    ours.run(max_time=stop)
    tcp.run(max_time=stop)
    law = MATHIS * 8 * SECOND / (2 * LOSSY.delay * sqrt(loss))  # bits per second for each byte of a segment
    rates = host.curve.rate(WARM_UP, stop) / SEGMENT_BYTES, flow.curve.rate(WARM_UP, stop) / TCP_SEGMENT_BYTES
    return Reach(loss, seed, rates[0] / law, rates[1] / law)


def share(flows: int, seed: int, seconds: int) -> Share:
    """Measure one download beside TCP flows that begin within two seconds of it."""
    simulation, stop = Simulation(seed), WARM_UP + seconds * SECOND
    down, up = simulation.add_link("down", SHARED), simulation.add_link("up", SHARED)
    rng = simulation.random("starts")
    host = add_download(simulation, down, up, rng.randrange(2 * SECOND))
    for _ in range(flows):
        simulation.add_tcp([down], [up], start=rng.randrange(2 * SECOND), mss_bytes=TCP_SEGMENT_BYTES)
    simulation.run(max_time=stop)
    ours = host.curve.rate(WARM_UP, stop) / SEGMENT_BYTES
    others = [flow.curve.rate(WARM_UP, stop) / TCP_SEGMENT_BYTES for flow in simulation.flows]
    return Share(flows, seed, ours * (flows + 1) / (ours + sum(others)))


def spread(values: Sequence[float]) -> list[str]:
    """Mean, least and most, for a table."""
    return [number(fmean(values)), number(min(values)), number(max(values))]


def show(reached: Sequence[Reach], shares: Sequence[Share]) -> None:
    """Print both tables."""
    rows = []
    for loss in sorted({each.loss for each in reached}):
        for name in ("ours", "tcp"):
            values = [getattr(each, name) for each in reached if each.loss == loss]
            rows.append([f"{loss:.1%} {'Trickles' if name == 'ours' else 'TCP Reno'}", *spread(values)])
    print(table("Goodput / (1.22 MSS / (RTT sqrt p)), 30 ms", ["loss, flow", "mean", "least", "most"], rows))
    rows = [
        [f"{flows} TCP", *spread([each.share for each in shares if each.flows == flows])]
        for flows in sorted({each.flows for each in shares})
    ]
    print(
        table("Share of a bottleneck / fair share, in packets", ["beside", "mean", "least", "most"], rows), flush=True
    )


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="benchmarks simulated", description=__doc__)
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--seconds", type=int, default=60, help="virtual seconds that each run is measured for")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, save."""
    options, outcome = parser().parse_args(argv), Outcome()
    seeds = range(options.seeds)
    reached = [reach(loss, seed, options.seconds) for loss in LOSSES for seed in seeds]
    shares = [share(flows, seed, options.seconds) for flows in (1, 2, 3, 4) for seed in seeds]
    show(reached, shares)
    outcome.figures["reach"] = [asdict(each) for each in reached]
    outcome.figures["share"] = [asdict(each) for each in shares]
    save("simulated", vars(options), outcome)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

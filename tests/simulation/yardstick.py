"""What a simulated TCP Reno flow needs for the same bytes on the same links: the yardstick for slowness."""

from collections.abc import Iterable

from trickles.testing import SECOND, LinkSpec, Report, Simulation

MSS_BYTES = 1_448


def tcp_time(seed: int, size_bytes: int, up: LinkSpec, down: LinkSpec) -> int:
    """Microseconds until TCP, established already, has had all of `size_bytes` acknowledged."""
    simulation = Simulation(seed)
    acks, data = simulation.add_link("up", up), simulation.add_link("down", down)
    flow = simulation.add_tcp([data], [acks], segments=-(-size_bytes // MSS_BYTES))
    assert simulation.run(until=lambda: flow.sender.finished_at is not None, max_time=3_600 * SECOND)
    assert flow.sender.finished_at is not None
    return flow.sender.finished_at


def slowness(reports: Iterable[Report], up: LinkSpec, down: LinkSpec) -> float:
    """How many times longer than TCP all these downloads took together, two round trips of handshake left out."""
    reports = list(reports)
    handshake = 2 * (up.delay + down.delay)
    ours = sum(report.duration - handshake for report in reports)
    return ours / sum(tcp_time(report.seed, report.bytes_received, up, down) for report in reports)

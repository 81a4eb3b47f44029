"""The result of a run, as one value to assert on and to print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trickles.testing.client import ClientHost
from trickles.testing.replica import Replica
from trickles.testing.stats import HostStats, LinkStats


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The outcome of one client's transfer, and the counts of everything it crossed.

    `engine` and `listeners` are the engines' own statistics, if any. Times are virtual microseconds.
    """

    scenario: str
    seed: int
    completed: bool
    failure: str | None
    bytes_received: int
    duration: int
    longest_gap: int  # the longest the application waited for a byte, from its start on
    client: HostStats
    engine: object
    links: Mapping[str, LinkStats]
    replicas: Mapping[str, HostStats]
    listeners: Mapping[str, object]
    digest: str  # equal in every run of this scenario with this seed
    story: tuple[str, ...] = ()  # every packet, if the run recorded them

    @property
    def goodput(self) -> float:
        """Stream bits per second from start to finish."""
        return self.bytes_received * 8_000_000 / self.duration if self.duration else 0.0

    def __str__(self) -> str:
        outcome = "completed" if self.completed else f"failed ({self.failure})"
        speed = f"in {self.duration / 1e6:.3f} s, {self.goodput / 1e6:.3f} Mbit/s"
        lines = [
            f"{self.scenario} with seed {self.seed} {outcome}",
            f"  {self.bytes_received} bytes {speed}, longest gap {self.longest_gap / 1e3:.1f} ms",
        ]
        lines += [f"  {name}: {_link(stats)}" for name, stats in self.links.items()]
        lines += [f"  {name}: {_host(stats)}" for name, stats in self.replicas.items()]
        return "\n".join(lines)


def transfer_report(scenario: str, client: ClientHost, replicas: Sequence[Replica]) -> Report:
    """Return the present report on one client of a simulation."""
    world = client.world
    stop = client.now if client.finished_at is None else client.finished_at
    statistics = getattr(client.engine, "statistics", None)
    return Report(
        scenario=scenario,
        seed=world.seeds.seed,
        completed=client.finished_at is not None,
        failure=client.failure or (None if client.done else f"not done after {client.now / 1e6:.3f} s"),
        bytes_received=client.curve.total,
        duration=stop - client.started_at,
        longest_gap=client.curve.longest_gap(client.started_at),
        client=client.stats.snapshot(),
        engine=statistics() if callable(statistics) else None,
        links={link.name: link.stats.snapshot() for link in world.links},
        replicas={replica.name: replica.stats.snapshot() for replica in replicas},
        listeners={replica.name: getattr(replica.listener, "counters", None) for replica in replicas},
        digest=world.journal.digest,
        story=tuple(world.journal.lines),
    )


def _link(stats: LinkStats) -> str:
    drops = ", ".join(f"{count} {fate.name.lower()}" for fate, count in sorted(stats.dropped.items(), key=repr))
    mean = stats.queue_time / stats.offered / 1e3 if stats.offered else 0.0
    return f"{stats.offered} packets, {stats.offered_bytes} bytes, queued {mean:.1f} ms; dropped: {drops or 'none'}"


def _host(stats: HostStats) -> str:
    return f"{stats.received} in, {stats.sent} out, {stats.in_vain} in vain, {stats.lives} lives"

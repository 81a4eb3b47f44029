"""Scenes in which replicas go and come back: a rolling deploy, a quarter gone, everybody back after an outage."""

from dataclasses import dataclass, replace
from functools import partial
from math import inf

from benchmarks.scale.flows import INVITED, NEW, Population
from benchmarks.scale.routes import Hashed, Listed
from benchmarks.scale.world import SAMPLE, Outcomes, Scale, World, world
from benchmarks.support.statistics import percentile
from trickles.limits import MILLISECOND, SECOND

DEPLOY_RATE = 10  # replicas a second
GONE_AT = 2 * SECOND
OTHER_LOADS = (0.3, 0.6)


@dataclass(frozen=True, slots=True)
class Outage:
    """A kind of outage: a replica that is down answers by ICMP if it `refuses`."""

    name: str
    refuses: bool = False
    down: int = 0  # microseconds of a replica's restart
    withdrawn: int | None = None  # microseconds after which no list or route contains it
    pattern: str = "random"  # of the places of those that go in all lists: random, neighbours, every fourth


DEPLOYS = (
    Outage("down 0.05 s, ICMP", refuses=True, down=50 * MILLISECOND),
    Outage("down 1 s, ICMP", refuses=True, down=SECOND),
    Outage("down 1 s, silent", down=SECOND),
)
SILENT = Outage("silent")
LOSSES = (
    Outage("ICMP", refuses=True),
    SILENT,
    Outage("silent, withdrawn", withdrawn=300 * MILLISECOND),
    Outage("silent, neighbours", pattern="neighbours"),
    Outage("silent, every fourth", pattern="every fourth"),
)


def deploy(scale: Scale) -> Outcomes:
    """Kill ten replicas each second, one after the other; each starts again after a while."""
    columns = ("clients > 100 ms, %", "downloads > 100 ms, %", "p99.9 delay, ms", "datagrams in vain, %", "failed")
    done = Outcomes("Rolling deploy, 10 replicas a second", columns, "share of clients that felt more than 100 ms")
    for kind in DEPLOYS:
        seen = world(scale, Population(clients=scale.clients, pause=20 * SECOND))
        for each in range(scale.replicas):
            start = SECOND + each * SECOND // DEPLOY_RATE
            seen.fleet.plan_outage(each, start, start + kind.down, refuses=kind.refuses)
        seen.run((scale.replicas // DEPLOY_RATE + 3) * SECOND)
        flows, tally = seen.flows, seen.flows.tally
        of_downloads = sum(flows.felt[: flows.downloads]) / max(flows.downloads, 1)
        shares = 100 * seen.felt[-1], 100 * of_downloads
        row = (*shares, seen.delay(99.9), 100 * tally.in_vain / tally.requests, tally.failed)
        done.add(kind.name, row, seen.curve(kind.name, seen.felt))
    return done


def quarter(scale: Scale) -> Outcomes:
    """Lose a quarter of the replicas at once and for good, in several ways, and at several loads."""
    columns = ("stall p50, ms", "p99", "downloads: 99 % back, s", "> 100 ms, %", "most load", "mean after", "failed")
    done = Outcomes("A quarter of the replicas gone at 2 s", columns, "mean load of the living replicas")
    cases = [(scale.load, kind) for kind in LOSSES] + [(load, SILENT) for load in OTHER_LOADS]
    for load, kind in cases:
        seen = world(replace(scale, load=load), Population(clients=scale.clients))
        lose_quarter(seen, kind)
        victims, back = follow(seen, GONE_AT + 6 * SECOND)
        stalls = [seen.flows.worst[each] / MILLISECOND for each in victims]
        most = max(seen.most_load[GONE_AT // SAMPLE :])
        after = seen.mean_load[-1], seen.flows.tally.failed
        row = (percentile(stalls, 50), percentile(stalls, 99), back, 100 * seen.felt[-1], most, *after)
        name = f"load {load:.0%}, {kind.name}"
        done.add(name, row, seen.curve(name, seen.mean_load))
    return done


def lose_quarter(seen: World, kind: Outage) -> None:
    """Plan the end of a quarter of the replicas, and its withdrawal."""
    fleet, router, few = seen.fleet, seen.flows.router, seen.fleet.count // 4
    patterns = {
        "random": seen.scale.random("quarter").sample(range(fleet.count), few),
        "neighbours": range(few),
        "every fourth": range(0, fleet.count, 4),
    }
    for each in patterns[kind.pattern]:
        fleet.plan_outage(each, GONE_AT, refuses=kind.refuses)
    if kind.withdrawn is not None and isinstance(router, Listed):
        living = fleet.living(GONE_AT)
        seen.flows.agenda.change(GONE_AT + kind.withdrawn, lambda: router.replace(living))


def follow(seen: World, stop: int) -> tuple[list[int], float]:
    """Run to `stop`; return the clients whose replica went, and when 99 % of those that download were served again."""
    seen.run(GONE_AT)
    flows = seen.flows
    victims = [each for each, place in enumerate(flows.place) if seen.fleet.is_down(place, GONE_AT)]
    waiting = [each for each in victims if each < flows.downloads]
    few, back = len(waiting) // 100, inf
    while len(seen.seconds) * SAMPLE < stop:
        seen.run((len(seen.seconds) + 1) * SAMPLE)
        waiting = [each for each in waiting if flows.heard[each] <= GONE_AT]
        if len(waiting) <= few:
            back = min(back, seen.seconds[-1] - GONE_AT / SECOND)
    return victims, back


def comeback(scale: Scale) -> Outcomes:
    """End an outage: all clients say hello within two seconds, and replicas start within a time."""
    columns = ("hellos", "cookies", "most load", "99 % served after, s", "wait p50, s", "p99", "failed")
    done = Outcomes("Everybody back after an outage", columns, "share of clients served")
    for spread in (0, 20):
        for routed in (False, True) if spread else (False,):
            seen = world(
                scale,
                Population(clients=scale.clients, pause=10 * SECOND),
                router=Hashed([0]) if routed else None,
                known=False,
            )
            bring_back(seen, spread * SECOND)
            state, served = seen.flows.state, list[float]()
            for _ in range((spread + 15) * SECOND // SAMPLE):
                seen.run((len(seen.seconds) + 1) * SAMPLE)
                served.append(1 - (state.count(NEW) + state.count(INVITED)) / scale.clients)
            tally, waits = seen.flows.tally, [each / SECOND for each in seen.flows.worst]
            when = next((second for second, share in zip(seen.seconds, served, strict=True) if share >= 0.99), inf)
            counts = tally.hellos, tally.cookies, max(seen.most_load)
            row = (*counts, when, percentile(waits, 50), percentile(waits, 99), tally.failed)
            name = f"replicas back within {spread} s, " + ("by routes" if routed else "by lists")
            done.add(name, row, seen.curve(name, served))
    return done


def bring_back(seen: World, spread: int) -> None:
    """Let one replica after the other come up, within `spread` microseconds; routes lead to those that are."""
    fleet, router = seen.fleet, seen.flows.router
    for each in range(1, fleet.count):
        start = each * spread // fleet.count
        fleet.plan_outage(each, -1, start)
        if isinstance(router, Hashed):
            table = range(each + 1)
            seen.flows.agenda.change(start, partial(router.replace, table))

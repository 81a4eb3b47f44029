"""Scenes of routing: what a change of the members moves, and how evenly clients are spread."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from benchmarks.scale.flows import Population
from benchmarks.scale.outages import GONE_AT
from benchmarks.scale.routes import Hashed, Sprayed, mixed
from benchmarks.scale.world import SAMPLE, Outcomes, Scale, world
from trickles.drivers.dialer import MOST_DETOURS
from trickles.limits import MILLISECOND, SECOND

WITHDRAWN_AFTER = 300 * MILLISECOND
BUCKETS = 64  # of a resilient group, for each replica
MAGLEV = (65_537, 1_009)  # sizes of tables, prime: for up to 655 or 10 replicas at less than 1 % of unevenness
Table = Callable[[Sequence[int], int], Sequence[int]]  # from the living members, and how many there are in all


def modulo(members: Sequence[int], count: int) -> Sequence[int]:  # noqa: ARG001
    """Return a table of the members alone: a hash modulo their number."""
    return members


def resilient(members: Sequence[int], count: int) -> Sequence[int]:
    """Return a table in which only the places of those that left have changed (a resilient next-hop group)."""
    living = set(members)
    places = [bucket % count for bucket in range(BUCKETS * count)]
    return [each if each in living else members[mixed(at) % len(members)] for at, each in enumerate(places)]


def maglev(members: Sequence[int], count: int) -> Sequence[int]:
    """Return Maglev's table (NSDI 2016, section 3.4): members take places in turn, each in its own order."""
    size = MAGLEV[0] if count > 10 else MAGLEV[1]
    at = [mixed(each) % size for each in members]
    step = [mixed(~each & 0xFFFFFFFF) % (size - 1) + 1 for each in members]
    table, empty = [-1] * size, size
    while True:
        for turn, member in enumerate(members):
            place = at[turn]
            while table[place] >= 0:
                place = (place + step[turn]) % size
            table[place], at[turn] = member, (place + step[turn]) % size
            empty -= 1
            if not empty:
                return table


TABLES: dict[str, Table] = {"modulo": modulo, "resilient": resilient, "maglev": maglev}


def rehash(scale: Scale) -> Outcomes:
    """Lose one replica at 2 s, and change the routes 0.3 s later: how much moves, and what that costs."""
    columns = (
        "flows moved, %",
        "load before",
        "in the second after",
        "at a strange replica, %",
        "p99.9 delay, ms",
        "failed",
    )
    done = Outcomes("One of the replicas gone: rehash or spray", columns, "mean load of the living replicas")
    everyone = range(scale.replicas)
    living = everyone[1:]
    for name, table in TABLES.items():
        before, after = table(everyone, scale.replicas), table(living, scale.replicas)
        moved = sum(before[mixed(each) % len(before)] != after[mixed(each) % len(after)] for each in range(100_000))
        run_change(scale, done, name, Hashed(before), after, moved / 100_000)
    run_change(scale, done, "spray", Sprayed(everyone, scale.random("spray")), living, 1.0)
    return done


def run_change(scale: Scale, done: Outcomes, name: str, router: Hashed, after: Sequence[int], moved: float) -> None:
    """Run flows over one change of routes, and add a row."""
    seen = world(scale, Population(clients=scale.clients), router=router)
    seen.fleet.plan_outage(0, GONE_AT)
    seen.flows.agenda.change(GONE_AT + WITHDRAWN_AFTER, lambda: router.replace(after))
    seen.run(GONE_AT + 4 * SECOND)
    at, width, tally = (GONE_AT + WITHDRAWN_AFTER) // SAMPLE, SECOND // SAMPLE, seen.flows.tally
    loads = (sum(seen.mean_load[start : start + width]) / width for start in (at - width, at))
    strange = 100 * tally.foreign / tally.requests
    done.add(name, (100 * moved, *loads, strange, seen.delay(99.9), tally.failed), seen.curve(name, seen.mean_load))


def herd(scale: Scale) -> Outcomes:
    """Spread clients by three choices of the first replica; then lose a quarter, with three orders of the others."""
    columns = (f"{scale.clients:,} clients", "a tenth", "a hundredth")
    done = Outcomes("Clients of the fullest replica over the mean", columns, "")
    sizes = [max(scale.clients // part, 1) for part in (1, 10, 100)]
    for name, choose in CHOICES.items():
        done.add(name, [fullest(choose(scale, size), scale.replicas) for size in sizes])
    for lost, dead in (("every fourth", range(0, scale.replicas, 4)), ("neighbours", range(scale.replicas // 4))):
        for name, most in (
            ("the next in the list", 1),
            ("steps of 1 to 60", MOST_DETOURS),
            ("any step", scale.replicas - 1),
        ):
            shares = [
                fullest(moved_from(scale, size, frozenset(dead), most), scale.replicas - len(dead)) for size in sizes
            ]
            done.add(f"{lost} gone; {name}", shares)
    return done


def fullest(places: Iterable[int], replicas: int) -> float:
    counts = Counter(places)
    return max(counts.values()) * replicas / counts.total()


def same_first(scale: Scale, clients: int) -> list[int]:  # noqa: ARG001
    return [0] * clients


def random_first(scale: Scale, clients: int) -> list[int]:
    rng = scale.random("first")
    return [rng.randrange(scale.replicas) for _ in range(clients)]


def better_of_two(scale: Scale, clients: int) -> list[int]:
    """Power of two choices: each client takes the emptier of two (it would have to know)."""
    rng, counts, places = scale.random("two"), [0] * scale.replicas, []
    for _ in range(clients):
        one, other = rng.randrange(scale.replicas), rng.randrange(scale.replicas)
        place = one if counts[one] <= counts[other] else other
        counts[place] += 1
        places.append(place)
    return places


CHOICES = {"first = 0": same_first, "random first": random_first, "the better of two": better_of_two}


def moved_from(scale: Scale, clients: int, dead: frozenset[int], most_step: int) -> Iterable[int]:
    """Yield where clients with a random first replica are when those are dead: their steps lead on to a living one."""
    rng = replace(scale, seed=scale.seed + 1).random("steps")
    for place in random_first(scale, clients):
        step = 1 + rng.randrange(most_step)
        for _ in range(scale.replicas):
            if place not in dead:
                break
            place = (place + step) % scale.replicas
        yield place

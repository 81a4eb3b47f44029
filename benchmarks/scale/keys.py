"""A scene of keys: the next epoch comes into force while some replicas do not have it yet."""

from collections.abc import MutableSequence

from benchmarks.scale.flows import Population
from benchmarks.scale.routes import Sprayed
from benchmarks.scale.world import Outcomes, Scale, world
from trickles.limits import SECOND

BEFORE = 300 * SECOND  # from the making of an epoch to its time (`trickles keys rotate --not-before`)
IN_FORCE_AT = 2 * SECOND  # of the scene
SPREADS = (300, 330, 600)  # seconds within which copies arrive, evenly


def rotation(scale: Scale) -> Outcomes:
    """Spread a new epoch's copies over a time; see the seconds around its coming into force."""
    columns = ("replicas that lack it, %", "requests refused, %", "> 100 ms, %", "p99.9 delay, ms", "failed")
    done = Outcomes("A rotation whose copies arrive late", columns, "share of clients that felt more than 100 ms")
    for spread in SPREADS:
        for sprayed in (False, True):
            router = Sprayed(range(scale.replicas), scale.random("spray")) if sprayed else None
            seen = world(scale, Population(clients=scale.clients), router=router)
            late = spread_copies(seen.fleet.epoch_at, spread * SECOND)
            seen.flows.new_epoch_at = IN_FORCE_AT
            for each in range(0, scale.replicas, 100):  # a few deaths, so that clients of lists move, too
                seen.fleet.plan_outage(each, IN_FORCE_AT + SECOND, IN_FORCE_AT + 2 * SECOND)
            seen.run(IN_FORCE_AT + 5 * SECOND)
            tally = seen.flows.tally
            name = f"copies within {spread} s, {'sprayed' if sprayed else 'at home, 1 % killed'}"
            row = (100 * late / scale.replicas, 100 * tally.refused / tally.requests, 100 * seen.felt[-1])
            done.add(name, (*row, seen.delay(99.9), tally.failed), seen.curve(name, seen.felt))
    return done


def spread_copies(epoch_at: MutableSequence[int], spread: int) -> int:
    """Set when each replica gets its copy; return how many get it after it is in force."""
    made = IN_FORCE_AT - BEFORE
    for each in range(len(epoch_at)):
        epoch_at[each] = made + each * spread // len(epoch_at)
    return sum(when > IN_FORCE_AT for when in epoch_at)

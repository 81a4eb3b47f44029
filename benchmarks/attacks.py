"""What does a cheating client gain? The attacks of `trickles attack`, and a cheat's share of a bottleneck.

Gains: at a real replica on loopback, at a listener in virtual time, and at one without the defence in question. Shares:
the cheat's over its fair share beside an honest client (10 Mbit/s, 50 ms, 50 packets of queue) in the simulator, by
several seeds, and without the defence by one. On a lossy link: a cheat that hides its losses, over an honest client.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

from benchmarks.peers.trickles_stream import IDENTITY
from benchmarks.support.net import LOOPBACK
from benchmarks.support.processes import Child, module
from benchmarks.support.results import Outcome, save
from benchmarks.support.sharing import SHARES, alone, share, undefended
from benchmarks.support.tables import number, table
from trickles.handshake import identity_public
from trickles.tools.attacks.catalogue import ATTACKS, Result, strike, strike_here
from trickles.tools.attacks.live import LiveTarget
from trickles.tools.attacks.stage import Bounds

REPLICA = "benchmarks.peers.trickles_endless"
START_SECONDS = 30.0
RATE, SECONDS = 5000, 60.0
LOSSES = (0.001, 0.01)
BAR = 1.25


@dataclass(frozen=True, slots=True)
class Gain:
    """One attack: its gain at a replica, at a listener here, and without the defence."""

    name: str
    replica: float | None
    defended: float | None
    undefended: float | None


@dataclass(frozen=True, slots=True)
class SimulatedShare:
    """One run beside an honest client: bits per second, and the cheat's over its fair share."""

    name: str
    seed: int
    defended: bool
    cheat: float
    honest: float
    share: float


def live(name: str, bounds: Bounds) -> Result:
    """The attack on a fresh replica."""
    with Child(module(REPLICA, "server")) as replica:
        address = LOOPBACK, int(str(replica.message(START_SECONDS)["port"]))
        target = LiveTarget(
            address,
            identity=identity_public(IDENTITY),
            trust=lambda _: False,
            rate=RATE,
            seconds=SECONDS,
            pid=replica.pid,
        )
        with target:
            return strike(ATTACKS[name], target, bounds, f"benchmark {replica.pid}")


def gain(name: str, rounds: int) -> Gain:
    """All three targets."""
    bounds = Bounds(rounds=rounds)
    here = [strike_here(name, bounds, defended=defended).gain for defended in (True, False)]
    return Gain(name, live(name, bounds).gain, here[0], here[1])


def simulated(name: str, seed: int, seconds: int, *, defended: bool = True) -> SimulatedShare:
    """One share."""
    found = share(name, seed, seconds=seconds, listener=None if defended else undefended(name))
    return SimulatedShare(name, seed, defended, found.cheat, found.honest, found.share)


def lossy(loss: float, seeds: int, seconds: int) -> float:
    """Goodput of a cheat that hides losses over that of an honest client, each alone on a link that loses so many."""
    rates = [[alone(name, loss, seed, seconds=seconds) for seed in range(seeds)] for name in ("hidden-loss", "none")]
    return fmean(rates[0]) / fmean(rates[1])


def show(gains: Sequence[Gain], shares: Sequence[SimulatedShare], hidden: dict[float, float]) -> None:
    """Print the tables."""
    rows = [
        [each.name, number(each.replica), number(each.defended), number(each.undefended), ATTACKS[each.name].measure]
        for each in gains
    ]
    print(table("Gain of an attack", ["attack", "replica", "here", "undefended", "measured in"], rows))
    rows = []
    for name in dict.fromkeys(each.name for each in shares):
        whole = [each.share for each in shares if each.name == name and each.defended]
        bare = [each.share for each in shares if each.name == name and not each.defended]
        verdict = "" if fmean(whole) <= BAR else f"over {BAR}"
        spread = [number(fmean(whole)), number(min(whole)), number(max(whole)), number(fmean(bare) if bare else None)]
        rows.append([name, *spread, verdict])
    heads = ["cheat", "mean", "least", "most", "undefended", ""]
    print(table("Share of a bottleneck / fair share, beside an honest client", heads, rows))
    rows = [[f"{loss:.1%} lost", number(ratio)] for loss, ratio in hidden.items()]
    print(table("Goodput of hidden losses / honest goodput, alone on 30 Mbit/s", ["link", "ratio"], rows), flush=True)


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="benchmarks attacks", description=__doc__)
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--seconds", type=int, default=30, help="virtual seconds that each share is measured for")
    options.add_argument("--rounds", type=int, default=40, help="of each attack")
    options.add_argument("--only", nargs="+", default=[], metavar="NAME", help="attacks, by their names")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, save."""
    options, outcome = parser().parse_args(argv), Outcome()

    def chosen(name: str) -> bool:
        return not options.only or name.partition(",")[0] in options.only

    gains = [gain(name, options.rounds) for name in ATTACKS if chosen(name)]
    names = [name for name in SHARES if chosen(name)]
    shares = [simulated(name, seed, options.seconds) for name in names for seed in range(options.seeds)]
    shares += [
        simulated(name, 0, options.seconds, defended=False) for name in names if name.partition(",")[0] in ATTACKS
    ]
    hidden = {loss: lossy(loss, options.seeds, options.seconds) for loss in LOSSES} if chosen("hidden-loss") else {}
    show(gains, shares, hidden)
    outcome.figures["gains"] = [asdict(each) for each in gains]
    outcome.figures["shares"] = [asdict(each) for each in shares]
    outcome.figures["hidden losses"] = {str(loss): ratio for loss, ratio in hidden.items()}
    save("attacks", vars(options), outcome)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

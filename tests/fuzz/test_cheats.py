"""A client that cheats in any order: a state machine, seeds of the long form, what they found once, and a neighbour.

`python -m tests.fuzz.cheats --seeds 1000` looks further.
"""

from dataclasses import replace

import pytest
from hypothesis import Phase, settings

from tests.fuzz.cheats import found, neighbour
from tests.fuzz.cheats.machine import Cheating
from tests.fuzz.cheats.oracles import BOUNDS, Findings
from tests.fuzz.cheats.search import run, run_seed
from tests.fuzz.cheats.watch import Watch
from tests.simulation.services import Lines, request
from tests.support.toys import File
from tests.support.worlds import HOME, KEYS, REQUEST, SPRAY, Serve, client, content, listener
from trickles.client import ClientConfig
from trickles.limits import MILLISECOND, Limits
from trickles.testing import TEN_MEGABIT, Application, Birth, Conversation, Fetch, Simulation, run_transfer

SPOOLING = "trickles.listener.spooling"

TestCheating = Cheating.TestCase
TestCheating.settings = settings(max_examples=40, stateful_step_count=30, phases=(Phase.explicit, Phase.generate))


@pytest.mark.slow
@pytest.mark.parametrize("block", range(4))
def test_the_bounds_hold_whatever_a_seed_draws(block: int) -> None:
    for seed in range(10 * block, 10 * block + 10):
        broken = run_seed(seed).broken
        assert not broken, f"python -m tests.fuzz.cheats --first {seed} --seeds 1 shows how: {broken}"


@pytest.mark.slow
@pytest.mark.parametrize("name", found.FOUND)
def test_what_was_found_once_is_found_no_more(name: str) -> None:
    plan, actions = found.FOUND[name]
    outcome = run(actions, plan)
    assert not outcome.broken, {each: outcome.worst[each] for each in outcome.broken}


@pytest.mark.slow
@pytest.mark.parametrize("seed", found.SEEDS)
def test_seeds_that_found_something_once(seed: int) -> None:
    assert not run_seed(seed).broken


@pytest.mark.slow
@pytest.mark.parametrize("block", range(5))
def test_many_more_seeds(block: int) -> None:
    for seed in range(1_000 + 50 * block, 1_050 + 50 * block):
        assert not run_seed(seed).broken, f"seed {seed}"


@pytest.mark.parametrize(
    ("name", "likely", "where", "instead"),
    [
        ("earned twice", 3, "trickles.listener.claims.Claims.claim", lambda claims, start, stop: True),
        ("in 10 s", 14, "trickles.listener.pacing.Backoff.after", lambda backoff, now, least, most: backoff),
        ("at once", 43, "trickles.listener.restarts.newly_proved", lambda runs, shown: 1_000),
        ("too large", 4, "trickles.listener.restarts.size_proved", lambda *proof, **at: True),
        ("replayed", 1_066, "trickles.replay.ReplayFilter.seen", lambda replays, tag, now: False),
        pytest.param(
            "work", 42, f"{SPOOLING}.MOST_PIECES {SPOOLING}.MOST_PIECE_BYTES", 1 << 30, marks=pytest.mark.slow
        ),
    ],
    ids=["claims", "back-off", "proof", "sizes", "replays", "pieces"],
)
def test_without_a_defence_the_fuzz_finds_that_it_is_missing(
    name: str, likely: int, where: str, instead: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in where.split():
        monkeypatch.setattr(each, instead)
    assert any(name in run_seed(seed).broken for seed in (likely, *range(60)))


def use(kind: str) -> tuple[Serve, Application]:
    """A download, or a conversation."""
    if kind == "download":
        return lambda birth: File(LARGE), Fetch(REQUEST, LARGE)
    exchanges = [request(number, 20_000) for number in range(20)]
    return lambda birth: Lines(), Conversation(exchanges, depth=1, think=100 * MILLISECOND)


LARGE = content(300_000)


@pytest.mark.parametrize("kind", ["download", "talk"])
@pytest.mark.parametrize("config", [HOME, SPRAY, ClientConfig()], ids=["home", "spray", "large datagrams"])
def test_an_honest_client_breaks_no_bound(kind: str, config: ClientConfig) -> None:
    for seed, loss in enumerate((0.0, 0.1)):
        findings, (serve, application) = Findings(), use(kind)
        inner = listener(serve, limits=Limits(replay_bits=1 << 16))

        def watched(birth: Birth, inner=inner, findings=findings) -> Watch:  # type: ignore[no-untyped-def]
            return Watch(inner(birth), KEYS, findings)

        path = replace(TEN_MEGABIT, loss=loss)
        report = run_transfer(Simulation(seed), watched, client(config), application, replicas=2, up=path, down=path)
        assert report.completed, f"seed {seed}: {report}"
        assert not findings.broken(), {name: findings.worst[name] for name in BOUNDS}


@pytest.mark.slow
@pytest.mark.parametrize("name", neighbour.CHEATS)
def test_no_cheat_takes_more_than_its_share(name: str) -> None:
    for seed in range(3):
        share = neighbour.share(neighbour.CHEATS[name], seed, seconds=3)
        assert share <= neighbour.MOST_SHARE, f"seed {seed}"


@pytest.mark.slow
@pytest.mark.parametrize("block", range(4))
def test_no_drawn_cheat_takes_more_than_its_share(block: int) -> None:
    for seed in range(6 * block, 6 * block + 6):
        assert neighbour.share(neighbour.habits(seed), seed) <= neighbour.MOST_SHARE, f"seed {seed}"

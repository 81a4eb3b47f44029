"""The model of large fleets: it conserves exchanges, stays within capacities, and agrees with the true engines."""

from dataclasses import replace

import pytest

from benchmarks.scale import SCENES, main
from benchmarks.scale.agenda import Agenda
from benchmarks.scale.check import by_engines, by_flows
from benchmarks.scale.costs import MOST_HELLOS
from benchmarks.scale.fleet import MOST_WAIT, NEVER, Fleet
from benchmarks.scale.flows import GIVE_UP, NEW, Flows, Population
from benchmarks.scale.keys import spread_copies
from benchmarks.scale.outages import LOSSES, Outage, bring_back, lose_quarter
from benchmarks.scale.routes import Hashed, Sprayed, mixed
from benchmarks.scale.routing import TABLES, fullest
from benchmarks.scale.shards import claim, place_of
from benchmarks.scale.world import Scale, World, world
from trickles.limits import SECOND

SMALL = Scale(clients=200, replicas=8, load=0.2)
PEOPLE = Population(clients=200, pause=SECOND, downloads=0.02)


def conserved(flows: Flows) -> bool:
    """Each client has exactly one exchange that is neither answered nor failed."""
    return flows.open == len(flows.state)


def within_capacity(seen: World, now: int) -> bool:
    return max(seen.fleet.busy) <= now + MOST_WAIT + SECOND // 10


def test_events_come_in_order_of_time_and_changes_before_those_of_their_millisecond() -> None:
    agenda, seen = Agenda(10), list[object]()
    for client, when in ((3, 5_200), (1, 5_100), (2, 900), (4, 9_000)):
        agenda.add(client, when)
    agenda.change(5_900, lambda: seen.append("change"))

    def handle(client: int, when: int) -> None:
        seen.append((client, when))
        if when == 900:
            agenda.add(2, 100)  # in the past: the next millisecond

    agenda.run(9_000, handle)
    assert seen == [(2, 900), (2, 1_000), "change", (1, 5_100), (3, 5_200)]


def test_a_replica_does_one_thing_after_the_other_and_drops_what_would_wait_too_long() -> None:
    fleet = Fleet(1)
    assert [fleet.serve(0, 1_000, 400) for _ in range(3)] == [1_400, 1_800, 2_200]
    assert fleet.serve(0, 1_000, MOST_WAIT) == 2_200 + MOST_WAIT
    assert fleet.serve(0, 1_000, 1) == NEVER
    assert (fleet.dropped, fleet.busy[0]) == (1, 1_200 + MOST_WAIT)


def test_a_death_ends_the_work_that_is_not_done_and_a_new_process_begins_at_once() -> None:
    fleet = Fleet(1)
    fleet.plan_outage(0, 2_000, 5_000)
    assert fleet.serve(0, 1_000, 900) == 1_900
    assert fleet.serve(0, 1_000, 900) == NEVER
    assert (fleet.lost, fleet.busy[0]) == (1, 1_000)
    assert fleet.is_down(0, 2_000)
    assert fleet.serve(0, 5_000, 100) == 5_100


def test_hellos_above_the_rate_need_a_cookie_until_the_next_second() -> None:
    fleet = Fleet(1)
    assert [fleet.crowded(0, 7) for _ in range(MOST_HELLOS + 1)] == [False] * MOST_HELLOS + [True]
    assert not fleet.crowded(0, SECOND)


@pytest.mark.parametrize("kind", LOSSES, ids=lambda kind: kind.name)
def test_exchanges_are_conserved_and_capacities_kept_when_a_quarter_goes(kind: Outage) -> None:
    seen = world(SMALL, PEOPLE)
    lose_quarter(seen, kind)
    seen.run(4 * SECOND)
    assert conserved(seen.flows)
    assert within_capacity(seen, 4 * SECOND)
    tally = seen.flows.tally
    assert tally.answered > 400
    assert tally.in_vain > 0
    assert sum(tally.delays) == tally.answered
    assert not any(seen.fleet.is_down(place, 4 * SECOND) and heard > 2_100_000 for place, heard in answers(seen))


def answers(seen: World) -> list[tuple[int, int]]:
    return list(zip(seen.flows.place, seen.flows.heard, strict=True))


def test_without_any_replica_every_client_fails_visibly_and_says_hello_again() -> None:
    seen = world(SMALL, PEOPLE)
    for each in range(SMALL.replicas):
        seen.fleet.plan_outage(each, 0)
    seen.run(GIVE_UP + 12 * SECOND)
    tally = seen.flows.tally
    assert tally.failed >= SMALL.clients * 0.99  # a pause may be long
    assert tally.answered == 0
    assert conserved(seen.flows)
    assert seen.flows.state.count(NEW) >= SMALL.clients * 0.99


def test_a_run_follows_from_its_seed() -> None:
    found = []
    for seed in (1, 1, 2):
        seen = world(replace(SMALL, seed=seed), PEOPLE)
        seen.run(2 * SECOND)
        found.append((seen.flows.tally.requests, list(seen.flows.heard), seen.mean_load))
    assert found[0] == found[1] != found[2]


def test_the_load_is_the_one_that_was_asked_for() -> None:
    scale = Scale(clients=2_000, replicas=4, load=0.4)
    seen = world(scale, Population(clients=2_000, pause=SECOND))
    seen.run(2 * SECOND)
    assert sum(seen.mean_load[5:]) / len(seen.mean_load[5:]) == pytest.approx(0.4, rel=0.1)


def test_everybody_is_served_again_after_an_outage() -> None:
    for router in (None, Hashed([0])):
        seen = world(SMALL, PEOPLE, router=router, known=False)
        bring_back(seen, 2 * SECOND)
        seen.run(5 * SECOND)
        assert NEW not in seen.flows.state
        assert seen.flows.tally.hellos >= SMALL.clients
        assert conserved(seen.flows)


def test_a_request_of_an_epoch_that_a_replica_lacks_is_refused_and_served_elsewhere() -> None:
    seen = world(SMALL, PEOPLE, router=Sprayed(range(8), SMALL.random("spray")))
    assert spread_copies(seen.fleet.epoch_at, 600 * SECOND) == 3
    seen.flows.new_epoch_at = 2 * SECOND
    seen.run(4 * SECOND)
    assert seen.flows.tally.refused > 20
    assert (seen.flows.tally.failed, conserved(seen.flows)) == (0, True)


@pytest.mark.parametrize(
    ("name", "least", "most"), [("modulo", 0.9, 1), ("resilient", 0.03, 0.1), ("maglev", 0.03, 0.15)]
)
def test_tables_move_as_many_flows_as_they_are_known_for(name: str, least: float, most: float) -> None:
    before, after = (TABLES[name](members, 16) for members in (range(16), range(1, 16)))
    assert set(before) == set(range(16))
    assert set(after) == set(range(1, 16))
    flows = [mixed(each) for each in range(2_000)]
    moved = sum(before[each % len(before)] != after[each % len(after)] for each in flows) / 2_000
    assert least < moved <= most
    assert fullest(after, 15) < 1.15


def test_a_dead_shard_refuses_its_own_keys_only() -> None:
    ids = [bytes([each]) * 16 for each in range(4)]
    keys = [bytes([each, 255 - each]) for each in range(200)]
    kept = [key for key in keys if place_of(key, ids) != 0]
    assert all(place_of(key, ids) == 1 + place_of(key, ids[1:]) for key in kept)
    _, row, curve = claim(replace(SMALL, seed=3), 2)
    assert row[4] == pytest.approx(50, abs=5)
    assert [share > 0 for share in curve.values] == [False] * 5 + [True] * 5 + [False] * 5


def test_sizes_and_loads_that_make_no_sense_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert [main(["--clients", "1"]), main(["--load", "1"]), main(["--replicas", "0"])] == [2, 2, 2]
    assert capsys.readouterr().out.count("ERROR scale") == 3


@pytest.mark.slow
@pytest.mark.parametrize("refuses", [False, True], ids=["silent", "icmp"])
def test_flows_agree_with_the_true_engines(refuses: bool) -> None:
    """Within 2 ms and a quarter in the medians, five in a hundred clients, and a tenth of the datagrams."""
    model, engines = (by(240, 8, 2, refuses=refuses) for by in (by_flows, by_engines))
    for ours, true in zip(model[:2], engines[:2], strict=True):
        assert ours == pytest.approx(true, rel=0.25, abs=2.0)
    assert model[3] == pytest.approx(engines[3], abs=5.0)
    assert model[4] == pytest.approx(engines[4], rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SCENES if name not in ("check", "ledger")])
def test_each_scene_gives_a_row_of_figures_for_each_case(name: str) -> None:
    found = SCENES[name](Scale(clients=300, replicas=20, load=0.2))
    assert found.rows
    assert all(len(row) == len(found.columns) for _, row in found.rows)
    assert all(len(curve.seconds) == len(curve.values) for curve in found.curves)

"""The simulated TCP flow is a fair yardstick: Reno's goodput under loss, equal shares, nothing lost or twice."""

from dataclasses import replace
from itertools import pairwise
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickles.testing import (
    MILLISECOND,
    SECOND,
    TEN_MEGABIT,
    Blackhole,
    BurstLoss,
    DeliveryCurve,
    LinkSpec,
    Simulation,
    TcpFlow,
)
from trickles.testing.tcp_receiver import runs
from trickles.testing.tcp_sender import RenoWindow, RetransmissionTimeout


def flow(data: LinkSpec, ack: LinkSpec, *, seed: int = 1, segments: int | None = None) -> tuple[Simulation, TcpFlow]:
    simulation = Simulation(seed)
    links = [simulation.add_link("data", data)], [simulation.add_link("ack", ack)]
    return simulation, simulation.add_tcp(*links, segments=segments)


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "seconds"), [(0.001, 160), (0.005, 160), (0.01, 160)])
def test_goodput_under_random_loss_is_reno_s(loss: float, seconds: int) -> None:
    half = LinkSpec(delay=50 * MILLISECOND)
    simulation, tcp = flow(replace(half, loss=loss), half, seed=2)
    simulation.run(max_time=seconds * SECOND)
    ideal = 1.22 * 1_448 * 8 / (0.1 * sqrt(loss))  # Mathis et al., "The macroscopic behavior of TCP", 1997
    assert 0.85 < tcp.curve.rate(10 * SECOND, seconds * SECOND) / ideal < 1.2


def test_one_flow_fills_the_bottleneck() -> None:
    simulation, tcp = flow(TEN_MEGABIT, TEN_MEGABIT)
    simulation.run(max_time=20 * SECOND)
    payload = 1_448 / 1_500
    assert 0.97 < tcp.curve.rate(5 * SECOND, 20 * SECOND) / (10e6 * payload) <= 1
    assert tcp.sender.window.timeouts == 0


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("seed", [1, 2])
def test_flows_share_a_bottleneck_fairly(count: int, seed: int) -> None:
    simulation = Simulation(seed)
    data, ack = simulation.add_link("data", TEN_MEGABIT), simulation.add_link("ack", TEN_MEGABIT)
    flows = []
    for index in range(count):
        edge = simulation.add_link(f"edge {index}", LinkSpec(jitter=MILLISECOND))
        flows.append(simulation.add_tcp([edge, data], [ack], start=index * SECOND))
    simulation.run(max_time=60 * SECOND)
    rates = [each.curve.rate(10 * SECOND, 60 * SECOND) for each in flows]
    fair = sum(rates) / count
    assert fair * count > 9.5e6
    assert all(0.8 < rate / fair < 1.25 for rate in rates)


@pytest.mark.slow
@given(
    st.integers(0, 1_000),
    st.integers(1, 300),
    st.floats(0, 0.25),
    st.sampled_from([0.0, 0.1]),
    st.sampled_from([None, 4]),
)
def test_every_segment_arrives_in_order_whatever_the_wire_does(
    seed: int, segments: int, loss: float, mishap: float, queue: int | None
) -> None:
    wire = replace(
        TEN_MEGABIT, loss=BurstLoss(loss), queue_packets=queue, duplicate=mishap, reorder=mishap, corrupt=mishap / 10
    )
    simulation, tcp = flow(wire, wire, seed=seed, segments=segments)
    assert simulation.run(until=lambda: tcp.sender.finished_at is not None)
    assert tcp.curve.total == segments * 1_448


def test_an_outage_costs_timeouts_that_back_off() -> None:
    wire = replace(TEN_MEGABIT, blackholes=(Blackhole(down=5 * SECOND, first=2 * SECOND),))
    simulation, tcp = flow(wire, TEN_MEGABIT)
    simulation.run(max_time=15 * SECOND)
    assert 4 <= tcp.sender.window.timeouts <= 6  # 0.25 s, doubled each time
    assert 5 * SECOND < tcp.curve.longest_gap() < 10 * SECOND
    assert tcp.curve.rate(10 * SECOND, 15 * SECOND) > 9e6


def test_the_window_grows_by_one_each_round_and_halves_once_for_a_round_of_losses() -> None:
    window = RenoWindow()
    window.grow(10)
    assert window.size == 20
    window.shrink(next_number=100)
    window.grow(50)  # still recovering
    assert (window.size, window.threshold, window.halvings) == (10, 10, 1)
    window.advance(100)
    for expected in (11, 12, 13):
        window.grow(window.size)
        assert window.size == expected


def test_the_window_leaves_slow_start_at_the_threshold() -> None:
    window = RenoWindow()
    window.collapse(in_flight=24, next_number=50, again=False)
    assert (window.size, window.threshold) == (1, 12)
    window.grow(15)
    assert window.size == 12
    window.collapse(in_flight=1, next_number=50, again=True)
    assert (window.size, window.threshold, window.timeouts) == (1, 12, 2)


def test_the_timeout_follows_rfc_6298() -> None:
    timeout = RetransmissionTimeout()
    assert timeout.value == SECOND
    timeout.sample(100_000)
    assert timeout.value == 100_000 + 200_000  # 4 * 50 ms of variation
    for _ in range(50):
        timeout.sample(100_000)
    assert timeout.value == 300_000  # never nearer than 200 ms, as on Linux
    timeout.back_off()
    timeout.back_off()
    assert timeout.value == 1_200_000
    timeout.sample(100_000)
    assert timeout.value == 300_000


@given(st.sets(st.integers(0, 40)))
def test_runs_say_the_same_as_the_numbers(numbers: set[int]) -> None:
    found = list(runs(numbers))
    assert [number for start, stop in found for number in range(start, stop)] == sorted(numbers)
    assert all(before[1] < after[0] for before, after in pairwise(found))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9))), st.integers(0, 60))
def test_a_delivery_curve_agrees_with_adding_up(steps: list[tuple[int, int]], when: int) -> None:
    curve, now, history = DeliveryCurve(), 0, list[tuple[int, int]]()
    for gap, count in steps:
        now += gap
        curve.add(now, count)
        history.append((now, count))
    assert curve.total == sum(count for _, count in history)
    assert curve.at(when) == sum(count for at, count in history if at <= when)
    assert curve.longest_gap() == max((gap for gap, _ in steps), default=0)
    assert curve.rate(when, when + 5) == pytest.approx(
        sum(count for at, count in history if when < at <= when + 5) * 8_000_000 / 5
    )


def test_a_rate_needs_time() -> None:
    with pytest.raises(ValueError, match="no time passes"):
        DeliveryCurve().rate(5, 5)

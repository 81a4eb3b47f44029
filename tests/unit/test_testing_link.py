"""Links: exact times, queues, mishaps, and that no packet is lost from the books."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sink import Sink
from trickles.testing import MILLISECOND, Blackhole, BurstLoss, Fate, Gilbert, Link, LinkSpec, Simulation
from trickles.testing.packet import HEADER_BYTES


def build(seed: int = 1, **values: Any) -> tuple[Link, Sink]:
    simulation = Simulation(seed)
    link = simulation.add_link("wire", LinkSpec(**values))
    return link, Sink(simulation, [link])


def numbered(count: int, size_bytes: int = 100) -> list[bytes]:
    return [index.to_bytes(4, "big").ljust(size_bytes, b".") for index in range(count)]


def numbers(arrivals: list[tuple[int, bytes]]) -> list[int]:
    return [int.from_bytes(data[:4], "big") for _, data in arrivals]


def test_a_packet_takes_its_serialisation_time_with_headers_and_the_delay() -> None:
    _, sink = build(rate=8_000_000, delay=500)  # a byte per microsecond
    assert [when for when, _ in sink.feed([bytes(72), bytes(172)])] == [600, 800]


def test_rounding_to_microseconds_never_adds_up() -> None:
    _, sink = build(rate=3_000_000_000)
    arrivals = sink.feed(numbered(9_000))
    assert arrivals[-1][0] == 9_000 * 128 * 8 // 3_000


def test_an_idle_wire_sends_at_once() -> None:
    _, sink = build(rate=8_000_000)
    assert [when for when, _ in sink.feed(numbered(2), start=1_000, spacing=5_000)] == [1_128, 6_128]


def test_an_unlimited_wire_keeps_order_and_time() -> None:
    _, sink = build(delay=7)
    arrivals = sink.feed(numbered(50))
    assert numbers(arrivals) == list(range(50))
    assert {when for when, _ in arrivals} == {7}


def test_the_queue_drops_its_tail_and_counts_those_that_wait() -> None:
    link, sink = build(rate=8_000_000, queue_packets=3)
    assert numbers(sink.feed(numbered(10))) == [0, 1, 2, 3]  # one on the wire, three behind it
    assert link.stats.dropped == {Fate.QUEUE: 6}
    assert link.stats.queue_peak == 3
    assert link.stats.queue_time == 128 * (1 + 2 + 3)


def test_the_queue_has_room_again_when_the_wire_takes_one() -> None:
    _, sink = build(rate=8_000_000, queue_packets=1)
    assert numbers(sink.feed(numbered(10), spacing=64)) == [0, 1, 2, 4, 6, 8]


def test_the_queue_may_be_bounded_in_bytes() -> None:
    link, sink = build(rate=8_000_000, queue_bytes=300)
    assert numbers(sink.feed(numbered(5))) == [0, 1]
    assert link.stats.dropped[Fate.QUEUE] == 3


def test_what_is_larger_than_the_mtu_vanishes() -> None:
    link, sink = build(mtu=1_500)
    assert [len(data) for _, data in sink.feed([bytes(1_472), bytes(1_473)])] == [1_472]
    assert link.stats.dropped == {Fate.MTU: 1}


def test_chosen_packets_are_dropped_by_number_from_one() -> None:
    _, sink = build(drop=frozenset(range(2, 8)))
    assert numbers(sink.feed(numbered(10))) == [0, 7, 8, 9]


def test_a_lost_packet_has_used_its_time_on_the_wire() -> None:
    _, sink = build(rate=8_000_000, drop=frozenset({1}))
    assert [when for when, _ in sink.feed(numbered(2))] == [256]


def test_a_blackhole_keeps_its_timetable() -> None:
    _, sink = build(blackholes=(Blackhole(down=2, first=5, period=7), Blackhole(down=1, first=0)))
    assert numbers(sink.feed(numbered(22), spacing=1)) == [1, 2, 3, 4, *range(7, 12), *range(14, 19), 21]


@pytest.mark.slow
def test_random_loss_has_its_rate() -> None:
    link, sink = build(loss=0.02)
    sink.feed(numbered(50_000))
    assert 0.018 < link.stats.dropped[Fate.LOST] / 50_000 < 0.022


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "longest"), [(0.02, 3), (0.1, 5), (0.05, 1)])
def test_burst_loss_has_its_rate_and_no_longer_bursts(rate: float, longest: int) -> None:
    link, sink = build(loss=BurstLoss(rate, longest))
    gaps = [after - before - 1 for before, after in pairwise(numbers(sink.feed(numbered(50_000))))]
    assert set(gaps) == set(range(longest + 1))
    assert link.stats.dropped[Fate.LOST] / 50_000 == pytest.approx(rate, rel=0.1)


@pytest.mark.slow
def test_a_gilbert_channel_has_its_mean_burst() -> None:
    _, sink = build(loss=Gilbert(enter=0.01, leave=0.25))
    steps = [after - before for before, after in pairwise(numbers(sink.feed(numbered(50_000))))]
    gaps = [step - 1 for step in steps if step > 1]
    assert sum(gaps) / len(gaps) == pytest.approx(4, rel=0.1)
    assert sum(gaps) / 50_000 == pytest.approx(0.01 / 0.26, rel=0.1)


def test_corruption_flips_one_to_three_bits() -> None:
    link, sink = build(corrupt=0.3)
    sent = numbered(5_000)
    pairs = zip(sent, sink.feed(sent), strict=True)
    flips = [(int.from_bytes(data) ^ int.from_bytes(damaged)).bit_count() for data, (_, damaged) in pairs]
    assert set(flips) == {0, 1, 2, 3}
    assert sum(flip > 0 for flip in flips) == link.stats.corrupted
    assert link.stats.corrupted / 5_000 == pytest.approx(0.3, rel=0.1)


def test_an_empty_datagram_cannot_be_damaged() -> None:
    assert [data for _, data in build(corrupt=1.0)[1].feed([b""])] == [b""]


def test_duplicates_arrive_twice() -> None:
    link, sink = build(duplicate=0.1)
    seen = numbers(sink.feed(numbered(5_000)))
    assert set(seen) == set(range(5_000))
    assert len(seen) == 5_000 + link.stats.duplicated
    assert link.stats.duplicated / 5_000 == pytest.approx(0.1, rel=0.1)


def test_a_reordered_packet_comes_later_by_its_delay() -> None:
    link, sink = build(delay=100, reorder=0.05, reorder_delay=55)
    arrivals = sink.feed(numbered(5_000), spacing=10)
    late = [when - 10 * number - 100 for number, (when, _) in zip(numbers(arrivals), arrivals, strict=True)]
    assert set(late) == {0, 55}
    assert late.count(55) == link.stats.reordered > 200
    assert numbers(arrivals) != sorted(numbers(arrivals))


def test_jitter_keeps_the_order() -> None:
    _, sink = build(delay=100, jitter=50)
    arrivals = sink.feed(numbered(1_000), spacing=10)
    assert numbers(arrivals) == list(range(1_000))
    assert max(when - 10 * number - 100 for number, (when, _) in enumerate(arrivals)) > 40


def test_one_kind_of_mishap_does_not_shift_another() -> None:
    plain = numbers(build(loss=0.1)[1].feed(numbered(500), spacing=1))
    mixed = build(loss=0.1, duplicate=0.2, reorder=0.3, jitter=9, blackholes=(Blackhole(down=5, first=3),))[1]
    arrived = set(numbers(mixed.feed(numbered(500), spacing=1)))
    assert sorted(arrived) == [number for number in plain if not 3 <= number < 8]


def test_another_link_does_not_shift_the_first() -> None:
    simulation = Simulation(1)
    simulation.add_link("other", LinkSpec(loss=0.5))
    sink = Sink(simulation, [simulation.add_link("wire", LinkSpec(loss=0.1))])
    assert numbers(sink.feed(numbered(500))) == numbers(build(loss=0.1)[1].feed(numbered(500)))


SPECS = st.builds(
    LinkSpec,
    rate=st.none() | st.integers(100_000, 10**9),
    delay=st.integers(0, 50 * MILLISECOND),
    queue_packets=st.none() | st.integers(0, 20),
    queue_bytes=st.none() | st.integers(200, 5_000),
    mtu=st.none() | st.integers(60, 400),
    loss=st.floats(0, 1) | st.builds(BurstLoss, st.floats(0, 0.4), st.integers(1, 4)),
    reorder=st.floats(0, 1),
    duplicate=st.floats(0, 1),
    corrupt=st.floats(0, 1),
)


@pytest.mark.slow
@given(SPECS, st.lists(st.integers(0, 500), max_size=60), st.integers(0, 3_000))
def test_every_packet_arrives_or_is_accounted_for(spec: LinkSpec, sizes: list[int], spacing: int) -> None:
    simulation = Simulation(7)
    link = simulation.add_link("wire", spec)
    arrivals = Sink(simulation, [link]).feed([bytes(size) for size in sizes], spacing=spacing)
    stats = link.stats
    assert stats.offered == len(sizes)
    assert stats.delivered == len(arrivals) == stats.offered + stats.duplicated - sum(stats.dropped.values())
    assert stats.delivered_bytes == sum(len(data) + HEADER_BYTES for _, data in arrivals)


@pytest.mark.parametrize(
    "values",
    [{"rate": 0}, {"delay": -1}, {"queue_packets": -1}, {"corrupt": 1.5}, {"reorder": -0.1}, {"jitter": -5}],
)
def test_a_link_that_cannot_be_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="LinkSpec"):
        LinkSpec(**values)


@pytest.mark.parametrize(("rate", "longest"), [(0.9, 3), (1.0, 1), (0.1, 0)])
def test_a_burst_loss_that_cannot_be_is_refused(rate: float, longest: int) -> None:
    with pytest.raises(ValueError, match="no such burst loss"):
        BurstLoss(rate, longest)

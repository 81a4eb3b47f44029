"""Round-trip estimates against RFC 6298 in floating point, and the timers that follow from them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trickles.client.rtt import RoundTrip
from trickles.limits import MILLISECOND, SECOND, Limits

FREE = Limits(rto_floor=0, probe_floor=0, rto_ceiling=1 << 60)


def sampled(*samples: int) -> RoundTrip:
    found = RoundTrip()
    for sample in samples:
        found = found.sampled(sample)
    return found


def test_before_the_first_sample_the_timeout_is_one_second() -> None:
    assert RoundTrip().srtt is None
    assert RoundTrip().timeout() == RoundTrip().probe_timeout() == SECOND


def test_the_first_sample_sets_both_estimates() -> None:
    first = sampled(100 * MILLISECOND)  # SRTT = R, RTTVAR = R/2, RTO = R + 4 * R/2: RFC 6298 (2.2)
    assert first.srtt == first.minimum == 100 * MILLISECOND
    assert first.timeout() == 300 * MILLISECOND


@given(st.lists(st.integers(1000, 5 * SECOND), min_size=1, max_size=30))
def test_integers_follow_the_formulas(samples: list[int]) -> None:
    srtt, rttvar = float(samples[0]), samples[0] / 2
    for sample in samples[1:]:
        rttvar += (abs(srtt - sample) - rttvar) / 4  # RFC 6298 (2.3)
        srtt += (sample - srtt) / 8
    found = sampled(*samples)
    assert found.srtt == pytest.approx(srtt, abs=10)
    assert found.timeout(FREE) == pytest.approx(srtt + 4 * rttvar, abs=40)
    assert found.minimum == min(samples)


def test_timeouts_stay_between_floor_and_ceiling() -> None:
    assert sampled(*[100] * 50).timeout() == 200 * MILLISECOND
    assert sampled(*[100] * 50).probe_timeout() == 10 * MILLISECOND
    assert sampled(50 * SECOND).timeout() == 60 * SECOND


def test_each_timeout_doubles_the_next_until_something_is_measured() -> None:
    found = sampled(100 * MILLISECOND)
    waits = []
    for _ in range(12):
        waits.append(found.timeout())
        found = found.backed_off()
    assert waits[:4] == [300_000, 600_000, 1_200_000, 2_400_000]
    assert waits[-1] == 60 * SECOND
    assert found.sampled(100 * MILLISECOND).timeout() < 300 * MILLISECOND


@pytest.mark.parametrize("sample", [-5, 0, 1])
def test_a_sample_is_never_less_than_a_microsecond(sample: int) -> None:
    assert sampled(sample).srtt == 1
    assert (sampled(sample, sample, sample).srtt or 0) >= 1


def test_a_value_is_not_changed_by_what_follows_from_it() -> None:
    before = sampled(1000)
    before.sampled(9000)
    before.backed_off()
    assert before == sampled(1000)

"""Trickles takes what TCP Reno would take: on lossy links, and on a bottleneck that both share.

The bar is 0.9 to 1.2 of Mathis' law in the long run and 0.8 to 1.25 of a fair share beside one TCP flow; the benchmark
`simulated` shows how near we are. A test of some seconds sees a few dozen losses, so that a single run lies up to 30 %
beside the law, TCP itself too. Hence the bounds: wide against the law, narrow against TCP that meets the same losses.
"""

from statistics import fmean

import pytest

from benchmarks.simulated import LOSSES, reach, share

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("seeds", [range(2), range(2, 4)], ids=str)
def test_goodput_on_a_lossy_link_is_that_of_reno(loss: float, seeds: range) -> None:
    reached = [reach(loss, seed, 30) for seed in seeds]
    assert 0.75 < fmean(each.ours for each in reached) < 1.35
    assert 0.9 < fmean(each.ours / each.tcp for each in reached) < 1.15


@pytest.mark.parametrize(("flows", "least", "most"), [(1, 0.8, 1.25), (2, 0.75, 1.3), (4, 0.7, 1.5)])
def test_a_shared_bottleneck_is_shared_fairly(flows: int, least: float, most: float) -> None:
    shares = [share(flows, seed, 30).share for seed in range(4)]
    assert least < fmean(shares) < most

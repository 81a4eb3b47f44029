"""The arithmetic vectors against models that walk: one acknowledgement, one packet, one sample at a time."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from tests.support.vectors import VECTORS
from trickles.trickle import Episode, course

LAWS = VECTORS["laws"]
LOSS = LAWS["loss"]


def reno_by_acknowledgements(start: int, ssthresh: int, count: int) -> list[int]:
    """RFC 5681: one more packet for each acknowledgement in slow start, then one more for each window of them."""
    window, counted, windows = start, 0, []
    for _ in range(count):
        windows.append(window)
        if window < ssthresh:
            window += 1
            continue
        counted += 1
        if counted == window:
            window, counted = window + 1, 0
    return windows


@pytest.mark.parametrize("vector", LAWS["reno"], ids=lambda vector: f"from {vector['start']} over {vector['ssthresh']}")
def test_windows_of_reno(vector: dict[str, Any]) -> None:
    walked = reno_by_acknowledgements(vector["start"], vector["ssthresh"], len(vector["windows"]))
    assert vector["windows"] == walked


def test_edges_are_numbers_plus_windows() -> None:
    vector = LAWS["tiling"]
    base = vector["base"]
    windows = reno_by_acknowledgements(vector["start"], vector["ssthresh"], len(vector["edges"]))
    assert vector["edges"] == [base + j + window for j, window in enumerate(windows)]


class Walk:
    """A sender in a loss: every received packet is one step; what may be sent grows by the law or by the reduction."""

    def __init__(self, base: int, start: int, ssthresh: int) -> None:
        self.base, self.start, self.ssthresh = base, start, ssthresh
        self.legs: list[dict[str, int]] = []
        self.begin(base, start, ssthresh)

    def begin(self, base: int, start: int, ssthresh: int) -> None:
        self.leg = {"base": base, "start": start, "ssthresh": ssthresh}
        self.legs.append(self.leg)
        self.window, self.counted, self.allowed = start, 0, base + start

    def grow(self) -> None:
        """One more packet was acknowledged in order."""
        if self.window < self.leg["ssthresh"]:
            self.window, self.counted = self.window + 1, 0
        else:
            self.counted += 1
            if self.counted == self.window:
                self.window, self.counted = self.window + 1, 0

    def lose(self, number: int) -> None:
        """A first hole: from now on packets leave at half the rate at which they arrive, rounded up."""
        reduced = max(self.window // 2, 2) if self.window > 2 else 1
        self.leg |= {"hole": number, "last": number + self.window, "reduced": reduced}
        self.allowed, self.delivered = number + self.window, 0

    def take(self, number: int, received: bool) -> int:
        """One packet number is spoken for; what is allowed after it."""
        if "last" in self.leg and number >= self.leg["last"]:
            self.begin(self.leg["last"], self.allowed - self.leg["last"], self.leg["reduced"])
        if "last" in self.leg:
            self.delivered += received
            share = Fraction(self.delivered * self.leg["reduced"], self.window)
            self.allowed = self.leg["last"] + -(-share.numerator // share.denominator)
        elif received:
            self.grow()
            self.allowed = number + 1 + self.window
        else:
            self.lose(number)
        return self.allowed


def test_a_loss_with_more_holes_behind_it() -> None:
    got = {number for start, stop in LOSS["runs"] for number in range(start, stop)}
    walk = Walk(LOSS["base"], LOSS["start"], LOSS["ssthresh"])
    first = LOSS["base"]
    edges = [first + LOSS["start"]] + [walk.take(number, number in got) for number in range(first, max(got) + 1)]
    assert walk.legs == LOSS["legs"]
    assert edges == LOSS["edges_from_9"]


def test_every_edge_of_the_loss_is_at_least_the_one_before() -> None:
    edges = LOSS["edges_from_9"]
    assert edges == sorted(edges)
    path = course(Episode(LOSS["base"], LOSS["start"], LOSS["ssthresh"]), [tuple(run) for run in LOSS["runs"]])
    assert [path.edge(number) for number in range(9, 9 + len(edges))] == edges


def law(base: int, start: int, ssthresh: int) -> dict[str, int]:
    return {"base": base, "start": start, "ssthresh": ssthresh}


def test_restarts() -> None:
    reduced = LOSS["legs"][-1]["reduced"]
    assert reno_by_acknowledgements(10, 65_536, 92)[91] == 101  # of which a pause keeps 32
    assert LAWS["clean restart of [9, 100) at 300"] == law(300, 32, 65_536)
    assert LAWS["restart after a timeout of the loss above at 400"] == law(400, 2, reduced // 2)
    assert LAWS["the clean restart from 1200 to 1472 bytes"] == law(300, 32 * 1200 // 1472, 65_536)


def rfc6298(samples: list[int]) -> list[tuple[Fraction, Fraction]]:
    """Section 2 with exact fractions: SRTT and RTTVAR after each sample, alpha 1/8, beta 1/4."""
    srtt, rttvar, after = Fraction(0), Fraction(0), []
    for index, sample in enumerate(samples):
        if index == 0:
            srtt, rttvar = Fraction(sample), Fraction(sample, 2)
        else:
            rttvar = Fraction(3, 4) * rttvar + Fraction(1, 4) * abs(srtt - sample)
            srtt = Fraction(7, 8) * srtt + Fraction(1, 8) * sample
        after.append((srtt, rttvar))
    return after


@pytest.mark.parametrize("vector", VECTORS["round_trips"], ids=lambda vector: str(vector["samples"]))
def test_round_trips(vector: dict[str, Any]) -> None:
    for (srtt, rttvar), told in zip(rfc6298(vector["samples"]), vector["srtt_rttvar4_rto_pto"], strict=True):
        smoothed, rttvar4, rto, probe = told
        assert abs(smoothed - srtt) <= 1  # whole microseconds
        assert abs(rttvar4 - 4 * rttvar) <= 4
        assert rto == max(smoothed + rttvar4, 200_000)
        assert probe == max(smoothed + rttvar4, 10_000)
    rto = vector["srtt_rttvar4_rto_pto"][-1][2]
    assert vector["rto_backed_off"] == [min(2 * rto, 60_000_000), min(4 * rto, 60_000_000)]

"""Work for one hostile datagram beside an honest request of the same size: calls are counted, nothing is timed.

`python -m benchmarks hostile` prints the same in microseconds.
"""

from pathlib import Path
from statistics import median

import pytest

from benchmarks.support.costly import KINDS, RUNS, costly, grown, holder, honest
from tests.fuzz.cheats.meter import measured
from trickles.drivers.spooldir import SpoolDirectory
from trickles.limits import Limits
from trickles.listener import Listener
from trickles.tools.attacks.desk import ADDRESSES, KEYRING, DeskTarget, Endless
from trickles.tools.attacks.stage import Bounds, Stage
from trickles.wire.request import parse_body_untrusted

MOST = 5
COUNT, WARM_UP = 30, 5


def stage(place: Path) -> tuple[DeskTarget, Stage]:
    limits, spool = Limits(replay_bits=1 << 16), SpoolDirectory(place / "spool")
    target = DeskTarget(lambda entropy: Listener(KEYRING, Endless(), entropy=entropy, limits=limits, spool=spool))
    return target, Stage(target, Bounds(most_datagrams=1 << 20), "hostile")


def calls(target: DeskTarget, datagrams: list[bytes]) -> list[int]:
    """How many functions each makes the listener call, once caches are warm."""
    counts = []
    for datagram in datagrams:
        cost = measured(
            lambda datagram=datagram: target.listener.handle(datagram, ADDRESSES[0], now=target.now),  # type: ignore[misc]
            most_calls=1_000_000,
            memory=False,
        )
        counts.append(cost.calls)
    return counts[WARM_UP:]


@pytest.mark.parametrize("kind", KINDS)
def test_no_datagram_costs_more_than_five_honest_requests_of_its_size(kind: str, tmp_path: Path) -> None:
    target, place = stage(tmp_path)
    made = list(costly(kind, place, COUNT))
    assert len(made) > WARM_UP
    worst = max(calls(target, made))
    target, place = stage(tmp_path)
    usual = median(calls(target, honest(place, max(map(len, made)), COUNT)))
    assert target.listener.counters["answered"] > COUNT  # honest ones are served
    assert worst <= MOST * usual, f"{worst} calls, an honest one {usual}"


def test_honest_requests_have_the_size_that_was_asked_for(tmp_path: Path) -> None:
    _, place = stage(tmp_path)
    assert {len(each) for each in honest(place, 1_000, 10)} == {1_000}


def test_a_holder_can_prove_as_many_runs_as_are_allowed(tmp_path: Path) -> None:
    target, place = stage(tmp_path)
    held = holder(place)
    assert len(held.runs) == RUNS
    assert all(each[1] < after[0] for each, after in zip(held.runs, held.runs[1:], strict=False))
    datagram = held.spoken(held.runs[-2][1], held.top)
    header, body = datagram[:133], place.peer("holder").session.open_request_untrusted(datagram[:133], datagram)
    assert len(parse_body_untrusted(body).runs) == RUNS
    assert header
    assert target.ask([datagram])
    assert grown(place, place.connect("another"), 10) > 0

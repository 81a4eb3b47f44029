"""Floods on a real replica: memory stays where it is, and an honest client is served all along."""

import pytest

from benchmarks.floods import MEBI, flooded, grow
from trickles.limits import DEFAULT_LIMITS

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
FULL = DEFAULT_LIMITS.claims_cache + 2_000  # connections that fill every cache of a replica
MORE = 8_000
UNBOUNDED_BYTES = 3_000  # that each would cost if something kept them: see `trickles attack connection-flood`


def test_memory_does_not_grow_with_connections_once_the_caches_are_full() -> None:
    first, full, more = grow([FULL, FULL + MORE], seconds=240)
    assert full.connections >= FULL
    assert more.connections >= FULL + MORE
    assert full.resident_bytes - first.resident_bytes < 100 * MEBI
    assert more.resident_bytes - full.resident_bytes < MORE * UNBOUNDED_BYTES / 4


@pytest.mark.parametrize("kind", ["random bytes", "bogus hello", "forged tag", "replayed request", "ping"])
def test_an_honest_client_is_served_under_a_flood(kind: str) -> None:
    found = flooded(kind, rate=2_000, seconds=0.5)
    assert found.sent_per_second > 200  # however busy the machine is
    assert found.flooded > 1_000_000

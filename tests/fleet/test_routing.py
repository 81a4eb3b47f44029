"""One address of three machines, by the kernel's ECMP: machines that die while their route stays, and moving routes."""

import json
from collections.abc import Callable, Iterator

import pytest

from tests.support.anycast import BY_ADDRESSES, BY_PORTS, HOSTS, AnycastBed, anycast
from tests.support.replica_program import tape_digest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SIZE_BYTES = 60_000_000  # more than a second


@pytest.fixture(scope="module")
def bed() -> Iterator[AnycastBed]:
    """The machines, for all tests."""
    with anycast() as made:
        yield made


def fetched(bed: AnycastBed, act: Callable[[int], object]) -> dict[str, int]:
    """Figures of a download during which `act` is called with the host that serves; all bytes are compared."""
    before = bed.arrived()
    with bed.client(SIZE_BYTES, "--mark", SIZE_BYTES // 3) as client:
        assert client.output.next() == "at the mark"
        act(bed.busiest(before))
        said = json.loads(client.output.next())
    assert said["sha256"] == tape_digest(SIZE_BYTES)
    return {name: value for name, value in said.items() if isinstance(value, int)}


@pytest.mark.parametrize("way", [AnycastBed.kill, AnycastBed.cut], ids=["killed", "cut off"])
def test_a_dead_host_is_left_although_its_route_stays(bed: AnycastBed, way: Callable[[AnycastBed, int], None]) -> None:
    bed.lead(HOSTS, BY_PORTS)
    dead = list[int]()

    def act(host: int) -> None:
        dead.append(host)
        way(bed, host)

    try:
        fetched(bed, act)
    finally:
        for host in dead:
            bed.restore(host)


@pytest.mark.parametrize("policy", [BY_ADDRESSES, BY_PORTS], ids=["addresses", "ports"])
def test_a_withdrawn_route_costs_nothing(bed: AnycastBed, policy: int) -> None:
    bed.lead(HOSTS, policy)
    figures = fetched(bed, lambda serving: bed.lead([host for host in HOSTS if host != serving], policy))
    assert figures.get("timeouts", 0) <= 1


@pytest.mark.parametrize("policy", [BY_ADDRESSES, BY_PORTS], ids=["addresses", "ports"])
def test_next_hops_may_change_again_and_again(bed: AnycastBed, policy: int) -> None:
    bed.lead(HOSTS, policy)

    def act(serving: int) -> None:
        for turn in range(10):
            bed.lead([host for host in HOSTS if host != HOSTS[turn % 3]], policy)

    fetched(bed, act)

"""One address of three machines, by the kernel's ECMP: machines that die while their route stays, and moving routes."""

import json
from collections.abc import Callable, Iterator

import pytest

from tests.support.anycast import BY_ADDRESSES, BY_PORTS, HOSTS, PORT, AnycastBed, anycast
from tests.support.processes import Program
from tests.support.replica_program import tape_digest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SIZE_BYTES = 60_000_000  # more than a second
SMALL_BYTES = 3_000_000


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnycastBed]:
    """The machines with a spool each, for all tests."""
    with anycast(tmp_path_factory.mktemp("spools")) as made:
        yield made


@pytest.fixture
def spread(bed: AnycastBed) -> Iterator[AnycastBed]:
    """The machines, without the rules of a test in the end."""
    bed.lead(HOSTS, BY_PORTS)
    yield bed
    bed.plain()


def fetched(bed: AnycastBed, act: Callable[[int], object]) -> dict[str, int]:
    """Figures of a download during which `act` is called with the host that serves; all bytes are compared."""
    before = bed.arrived()
    with bed.client(SIZE_BYTES, "--mark", SIZE_BYTES // 3) as client:
        assert client.output.next() == "at the mark"
        act(bed.busiest(before))
        return figures(client, SIZE_BYTES)


def figures(client: Program, size_bytes: int) -> dict[str, int]:
    """What a client says at its end; all bytes are compared."""
    said = json.loads(client.output.next())
    assert said["sha256"] == tape_digest(size_bytes)
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


def test_each_packet_may_go_to_another_host(spread: AnycastBed) -> None:
    spread.spray()
    before = spread.arrived()
    with spread.client(SIZE_BYTES) as client:
        figures(client, SIZE_BYTES)
    assert all(spread.arrived()[host] - before[host] > 50 for host in HOSTS)


def test_one_of_the_hosts_among_which_packets_are_sprayed_may_be_dead(spread: AnycastBed) -> None:
    spread.spray()
    spread.kill(2)
    try:
        with spread.client(SMALL_BYTES) as client:
            figures(client, SMALL_BYTES)
    finally:
        spread.restore(2)


def test_replicas_that_each_see_another_address_of_the_client_cost_a_few_refusals(spread: AnycastBed) -> None:
    spread.translate()
    for host in HOSTS:
        spread.start(host, f"10.9.{1 + host}.2")
    own = [f"10.9.{1 + host}.2:{PORT}" for host in HOSTS]
    with spread.client(SIZE_BYTES, "--policy", "spray", replicas=own) as client:
        assert 0 < figures(client, SIZE_BYTES)["refused_address"] < 50


def test_sprayed_packets_behind_a_pool_of_translators_come_through_slowly_or_fail_with_the_reason(
    spread: AnycastBed,
) -> None:
    spread.translate()
    spread.spray()
    with spread.client(200_000) as client:
        try:
            figures(client, 200_000)
        except AssertionError:
            assert "address keeps changing" in client.errors.rest()


def test_an_upload_whose_route_moves_and_returns_is_whole_or_refused(bed: AnycastBed) -> None:
    bed.lead([1])
    uploads, right = 6, tape_digest(SMALL_BYTES)
    with bed.client(SMALL_BYTES, "--uploads", uploads) as client:
        for _ in range(uploads):
            assert client.output.next() == "begun"
            bed.lead([2])
            bed.lead([1])
            result = client.output.next()
            assert result == right or result.startswith("refused")

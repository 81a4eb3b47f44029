"""Transfers whose client dies at any point, again and again, and is resumed from a snapshot: the right bytes, once."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.net import Net, fleet
from tests.support.resuming import Echo, Numbers, resume
from tests.support.toys import File, body
from trickles.client import ClientConfig, Policy
from trickles.spool import MemorySpool
from trickles.testing import ListenerFactory

CONTENT = body(150_000)
UPLOAD = body(60_000, seed=2)
DEATHS = st.lists(st.tuples(st.integers(1, 120), st.integers(0, 60)), min_size=1, max_size=4)
CONFIGS = st.builds(ClientConfig, policy=st.sampled_from(list(Policy)), probe_sizes=st.sampled_from([(), (8972,)]))


def lossy(replicas: Sequence[ListenerFactory], seed: int, config: ClientConfig, loss: float) -> Net:
    return Net(replicas, seed=seed, config=config, loss=loss, duplicate=loss, shuffle_us=50, tamper=Numbers())


def die_and_resume(net: Net, config: ClientConfig, deaths: list[tuple[int, int]]) -> None:
    """Let the client take a snapshot after so many steps, go on for some, and die, as often as that is listed."""
    for steps, longer in deaths:
        net.walk(steps)
        if net.outcome or not net.client.is_established:
            continue
        snapshot, received_bytes = net.client.snapshot(), len(net.received)
        net.walk(longer)
        resume(net, snapshot, config, received_bytes)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(DEATHS, CONFIGS, st.integers(0, 1 << 32), st.sampled_from([0.0, 0.02, 0.1]))
def test_a_download_gives_the_right_bytes_once(
    deaths: list[tuple[int, int]], config: ClientConfig, seed: int, loss: float
) -> None:
    net = lossy(fleet(File(CONTENT)), seed, config, loss)
    net.begin()
    die_and_resume(net, config, deaths)
    assert net.go_on() == CONTENT
    assert net.outcome == "end"


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(DEATHS, CONFIGS, st.integers(0, 1 << 32), st.sampled_from([0.0, 0.02, 0.1]), st.booleans())
def test_input_arrives_once_whether_in_requests_or_by_the_spool(
    deaths: list[tuple[int, int]], config: ClientConfig, seed: int, loss: float, spooled: bool
) -> None:
    lines = UPLOAD.replace(b"\n", b" ")[: None if spooled else 3000]
    text = b"".join(lines[at : at + 300] + b"\n" for at in range(0, len(lines), 300))
    service, store = Echo(text), MemorySpool()
    replicas = fleet(service, spool=store if spooled else None)
    net = lossy(replicas, seed, config, loss)
    net.begin(text)
    die_and_resume(net, config, deaths)
    assert net.go_on() == text
    assert service.wrong == []
    assert net.client.is_idle

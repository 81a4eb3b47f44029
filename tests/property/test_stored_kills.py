"""A response to POST is run once, and its client gets a beginning of it, whatever replicas are killed whenever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.origins import get
from trickles import Policy
from trickleweb import App, Request, Response
from trickleweb.server.unsafe import UNKNOWN_OUTCOME
from trickleweb.testing import VirtualFleet
from trickleweb.testing.fleet import Transfer
from trickleweb.testing.killing import STILL_US

POST = get("/", "Content-Length: 0", "Connection: close", method="POST")
PIECES = 60


class Watched:
    """An application that streams, and what became of its runs."""

    def __init__(self, piece_bytes: int) -> None:
        self.app = App()
        self.ran = self.ended = 0

        async def pieces() -> AsyncIterator[bytes]:
            for number in range(PIECES):
                yield bytes([number]) * piece_bytes
                await asyncio.sleep(0)
            self.ended += 1

        @self.app.post("/")
        async def stream(_request: Request) -> Response:
            self.ran += 1
            return Response.stream(pieces())


def transfer(watched: Watched, policy: Policy, kills: dict[int, int]) -> Transfer:
    """Fetch from three replicas; after so many packets that replica is killed."""

    def boundary(fleet: VirtualFleet, packet: int, _replica: int) -> None:
        if packet in kills:
            fleet.kill(kills[packet])

    fleet = VirtualFleet(lambda: watched.app, 3, policy, boundary, still_us=STILL_US, entropy=bytes)
    return asyncio.run(fleet.fetch(POST))


@pytest.mark.slow
@given(
    st.sampled_from([10, 3000]),
    st.sampled_from([Policy.HOME, Policy.SPRAY]),
    st.dictionaries(st.integers(1, 60), st.integers(0, 2), max_size=4),
)
@settings(max_examples=40, deadline=None)
def test_a_stored_response_is_run_once_and_never_mixed(piece_bytes: int, policy: Policy, kills: dict[int, int]) -> None:
    whole = transfer(Watched(piece_bytes), policy, {})
    assert whole.failure is None
    watched = Watched(piece_bytes)
    got = transfer(watched, policy, kills)
    assert watched.ran <= 1
    if UNKNOWN_OUTCOME.encode() in got.data:
        assert kills
    else:
        assert whole.data.startswith(got.data)
        assert got.data == whole.data or got.failure is not None
    if not kills:
        assert got.data == whole.data

"""Chaos: fetch a response repeatedly, and kill a replica after a different packet each time.

Time stands still for the applications, and entropy repeats: remaining differences between two runs are the handler's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trickles import Keyring, Policy
from trickles.drivers.keystore import ephemeral_keyring
from trickleweb.application import Application
from trickleweb.bodies import Level, level
from trickleweb.request import Request
from trickleweb.responses import Response
from trickleweb.server.unsafe import UNKNOWN_OUTCOME
from trickleweb.telemetry.wrapped import Wrapped
from trickleweb.testing.fleet import Transfer, VirtualFleet

STILL_US = 1_700_000_000_000_000
MOST_BOUNDARIES = 64  # deaths in a long response, spread evenly
_SHOWN = 60
Make = Callable[[], Application]


@dataclass(frozen=True, slots=True)
class Break:
    """A death that a client noticed: the packet after which it happened, the policy, and the effect."""

    packet: int
    policy: Policy
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of chaos for one request.

    `level` is the level of its body, None without a response. `steady`: two undisturbed runs gave the same bytes;
    otherwise breaks are failures only. `unknown` counts deaths that left the outcome of an unsafe request unknown.
    """

    request: bytes
    status: int
    level: Level | None
    size_bytes: int
    packets: int
    kills: int
    breaks: tuple[Break, ...]
    steady: bool
    unknown: int
    errors: tuple[Exception, ...]

    @property
    def resumes(self) -> bool:
        """True if no death was noticed, and none left an outcome unknown."""
        return not self.breaks and not self.unknown


def get(path: str, *headers: str, method: str = "GET", body: bytes = b"") -> bytes:
    """Return a request as bytes; `headers` are whole lines."""
    length = (f"Content-Length: {len(body)}",) if body else ()
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: localhost", *headers, *length, "", "")).encode() + body


async def chaos(
    make: Make,
    request: bytes,
    *,
    replicas: int = 2,
    policies: Sequence[Policy] = (Policy.HOME, Policy.SPRAY),
    most_boundaries: int = MOST_BOUNDARIES,
) -> Verdict:
    """Fetch `request` from fleets of `make`'s applications, undisturbed and with deaths; it runs many times."""
    levels: list[Level] = []
    watched: dict[int, _Levelled] = {}

    def watch() -> Application:
        made = make()
        return watched.setdefault(id(made), _Levelled(made, levels))

    try:
        return await _tried(_Runs(watch, request, replicas, ephemeral_keyring()), levels, policies, most_boundaries)
    finally:
        for each in watched.values():
            await each.end()


async def _tried(runs: _Runs, levels: list[Level], policies: Sequence[Policy], most_boundaries: int) -> Verdict:
    whole, again = await runs.fetch(policies[0]), await runs.fetch(policies[0])
    steady = whole.data == again.data and whole.failure is None
    breaks: list[Break] = []
    kills = unknown = 0
    for policy in policies:
        for packet in _boundaries(whole.packets, most_boundaries):
            got = await runs.fetch(policy, packet)
            kills += 1
            if UNKNOWN_OUTCOME.encode() in got.data:
                unknown += 1
            elif (why := _noticed(got, whole, steady=steady)) is not None:
                breaks.append(Break(packet, policy, why))
    status = int(whole.data[9:12]) if whole.data[9:12].isdigit() else 0
    found = levels[0] if levels else None
    size, errors = len(whole.data), (*whole.errors, *again.errors)
    return Verdict(runs.request, status, found, size, whole.packets, kills, tuple(breaks), steady, unknown, errors)


def run_chaos(make: Make, request: bytes, *, replicas: int = 2, most_boundaries: int = MOST_BOUNDARIES) -> Verdict:
    """Run `chaos` in tests that are plain functions."""
    return asyncio.run(chaos(make, request, replicas=replicas, most_boundaries=most_boundaries))


@dataclass(frozen=True, slots=True)
class _Runs:
    make: Make
    request: bytes
    replicas: int
    ring: Keyring

    async def fetch(self, policy: Policy, kill_after: int = 0) -> Transfer:
        def boundary(fleet: VirtualFleet, packet: int, replica: int) -> None:
            if packet == kill_after:
                fleet.kill(replica)

        fleet = VirtualFleet(
            self.make, self.replicas, policy, boundary, still_us=STILL_US, entropy=bytes, ring=self.ring
        )
        return await fleet.fetch(self.request)


def _boundaries(packets: int, most: int) -> list[int]:
    """Return the packet numbers, all of them or `most` spread evenly, first and last included."""
    if packets <= most:
        return list(range(1, packets + 1))
    return sorted({1 + at * (packets - 1) // (most - 1) for at in range(most)})


def _noticed(got: Transfer, whole: Transfer, *, steady: bool) -> str | None:
    if got.failure is not None:
        return f"broke off at byte {len(got.data)}: {got.failure}" + _cause(got)
    if steady and got.data != whole.data:
        at = next((at for at, pair in enumerate(zip(got.data, whole.data, strict=False)) if pair[0] != pair[1]), None)
        if at is None:
            return f"{len(got.data)} bytes instead of {len(whole.data)}"
        return f"other bytes from {at} on: {got.data[at : at + _SHOWN]!r}"
    return None


def _cause(got: Transfer) -> str:
    return f" ({got.errors[-1]!r})" if got.errors else ""


class _Levelled(Wrapped):
    """An application that records its responses' levels; started once for all runs."""

    def __init__(self, inner: Application, levels: list[Level]) -> None:
        super().__init__(inner)
        self._levels = levels
        self._started = False

    async def startup(self) -> None:
        if not self._started:
            self._started = True
            await self.inner.startup()

    async def shutdown(self) -> None:
        """Keep the application for the next run."""

    async def end(self) -> None:
        if self._started:
            await self.inner.shutdown()

    async def respond(self, request: Request) -> Response:
        response = await self.inner.respond(request)
        self._levels.append(level(response.body))
        return response

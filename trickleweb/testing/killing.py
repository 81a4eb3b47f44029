"""Chaos: fetch a response repeatedly, and kill a replica after a different packet each time.

Time stands still for the applications, and entropy repeats: remaining differences between two runs are the handler's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosBounds:
    """Bounds of chaos for one request. What has not ended by then is compared as far as it came."""

    seconds: float = inf  # of all runs; the first one gets a tenth
    most_bytes: float = inf  # of one run


UNBOUNDED = ChaosBounds()
_SLOWER, _SLACK_S = 3, 2.0  # a run with a death may take so much longer: it may have to begin again


@dataclass(frozen=True, slots=True)
class Break:
    """A death that a client noticed: the packet after which it happened, the policy, and the effect."""

    packet: int
    policy: Policy
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of chaos for one request.

    `level` is the level of its body, None without a response. `failure` describes the end of an undisturbed run that
    broke off; then no deaths were tried. `steady`: two such runs gave the same bytes; otherwise breaks are failures
    only. `ended` is False if a bound ended the undisturbed run. `unknown` counts deaths that left the outcome of an
    unsafe request unknown.
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
    ended: bool = True
    failure: str = ""

    @property
    def resumes(self) -> bool:
        """True if no death was noticed, none left an outcome unknown, and no undisturbed run failed."""
        return not self.breaks and not self.unknown and not self.failure


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
    bounds: ChaosBounds = UNBOUNDED,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Verdict:
    """Fetch `request` from fleets of `make`'s applications, undisturbed and with deaths; it runs many times.

    `progress` is called with the number of deaths that were tried, and of all.
    """
    levels: list[Level] = []
    watched: dict[int, _Levelled] = {}

    def watch() -> Application:
        made = make()
        return watched.setdefault(id(made), _Levelled(made, levels))

    try:
        runs = _Runs(watch, request, replicas, ephemeral_keyring(), bounds, time.monotonic() + bounds.seconds)
        return await _tried(runs, levels, policies, most_boundaries, progress)
    finally:
        for each in watched.values():
            await each.end()


async def _tried(
    runs: _Runs,
    levels: list[Level],
    policies: Sequence[Policy],
    most_boundaries: int,
    progress: Callable[[int, int], None],
) -> Verdict:
    began = time.monotonic()
    whole = await runs.fetch(policies[0])
    patience_s = _SLACK_S + _SLOWER * (time.monotonic() - began)
    again = await runs.fetch(policies[0], like=whole, patience_s=patience_s)
    failure = _noticed(whole, whole, steady=False) or _noticed(again, again, steady=False) or ""
    steady = _same(again, whole) and not failure
    breaks: list[Break] = []
    numbers = [] if failure else _boundaries(whole.packets, most_boundaries)
    deaths = [(policy, packet) for policy in policies for packet in numbers]
    kills = unknown = 0
    for policy, packet in deaths:
        if time.monotonic() > runs.until:
            break
        got = await runs.fetch(policy, packet, like=whole, patience_s=patience_s)
        kills += 1
        progress(kills, len(deaths))
        if UNKNOWN_OUTCOME.encode() in got.data:
            unknown += 1
        elif (why := _noticed(got, whole, steady=steady)) is not None:
            breaks.append(Break(packet, policy, why))
    status = int(whole.data[9:12]) if whole.data[9:12].isdigit() else 0
    found = levels[0] if levels else None
    return Verdict(
        request=runs.request, status=status, level=found, size_bytes=len(whole.data), packets=whole.packets,
        kills=kills, breaks=tuple(breaks), steady=steady, unknown=unknown, errors=(*whole.errors, *again.errors),
        ended=whole.ended, failure=failure,
    )  # fmt: skip


def run_chaos(
    make: Make,
    request: bytes,
    *,
    replicas: int = 2,
    most_boundaries: int = MOST_BOUNDARIES,
    bounds: ChaosBounds = UNBOUNDED,
) -> Verdict:
    """Run `chaos` in tests that are plain functions."""
    return asyncio.run(chaos(make, request, replicas=replicas, most_boundaries=most_boundaries, bounds=bounds))


@dataclass(frozen=True, slots=True)
class _Runs:
    make: Make
    request: bytes
    replicas: int
    ring: Keyring
    bounds: ChaosBounds
    until: float

    async def fetch(
        self, policy: Policy, kill_after: int = 0, *, like: Transfer | None = None, patience_s: float = inf
    ) -> Transfer:
        """Fetch once: within the bounds, or as far as another one came, for at most `patience_s`."""
        most_s = self.bounds.seconds / 10 if like is None else patience_s
        most_bytes = self.bounds.most_bytes if like is None or like.ended else len(like.data)
        until = time.monotonic() + most_s

        def enough(byte_count: int) -> bool:
            return byte_count >= most_bytes or (self.bounds is not UNBOUNDED and time.monotonic() > until)

        def boundary(fleet: VirtualFleet, packet: int, replica: int) -> None:
            if packet == kill_after:
                fleet.kill(replica)

        fleet = VirtualFleet(
            self.make, self.replicas, policy, boundary, still_us=STILL_US, entropy=bytes, ring=self.ring,
            enough=enough,
        )  # fmt: skip
        return await fleet.fetch(self.request)


def _boundaries(packets: int, most: int) -> list[int]:
    """Return the packet numbers, all of them or `most` spread evenly, first and last included."""
    if packets <= most:
        return list(range(1, packets + 1))
    return sorted({1 + at * (packets - 1) // max(most - 1, 1) for at in range(most)})


def _noticed(got: Transfer, whole: Transfer, *, steady: bool) -> str | None:
    if got.failure is not None:
        return f"broke off at byte {len(got.data)}: {got.failure}" + _cause(got)
    if not got.ended and len(got.data) < len(whole.data):
        return f"silent after byte {len(got.data)}"
    if steady and not _same(got, whole):
        at = next((at for at, pair in enumerate(zip(got.data, whole.data, strict=False)) if pair[0] != pair[1]), None)
        if at is not None:
            return f"other bytes from {at} on: {got.data[at : at + _SHOWN]!r}"
        return f"{len(got.data)} bytes instead of {len(whole.data)}"
    return None


def _same(got: Transfer, whole: Transfer) -> bool:
    """Return whether two responses are equal, as far as the second one came if it was not to its end."""
    return got.data == whole.data if whole.ended else got.data[: len(whole.data)] == whole.data


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

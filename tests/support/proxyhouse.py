"""A proxy to two fleets of web servers on the running loop, and to plain servers beside them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.support.gatewayhouse import House
from tests.support.loopfleet import LoopFleet, config
from tests.support.origins import origin
from tests.support.site_folder import fill
from trickles import Dialer, Limits
from trickles.gateway import Gateway, GatewayLimits
from trickles.gateway.limits import DEFAULT_LIMITS as GATEWAY_LIMITS
from trickles.gateway.proxy_front import proxied
from trickles.gateway.routing import DirectAccess, Pattern, RouteTable, UpstreamRouter
from trickles.limits import DEFAULT_LIMITS

LARGE = bytes(range(256)) * 8_000


@dataclass(slots=True, kw_only=True)
class ProxyHouse(House):
    """With fleets `a.test` and `b.test`, each with a page that names it and a large file."""

    fleets: dict[str, LoopFleet]
    router: UpstreamRouter


@contextmanager
def web_fleets(folder: Path) -> Iterator[dict[str, LoopFleet]]:
    """The fleets."""
    made = {}
    try:
        for name in ("a.test", "b.test"):
            root = fill(folder / name, {"name": name.encode(), "large": LARGE})
            made[name] = LoopFleet(2, origin(root))
        yield made
    finally:
        for fleet in made.values():
            fleet.__exit__(None, None, None)


@asynccontextmanager
async def proxy_house(
    folder: Path,
    *,
    passing: DirectAccess | None = None,
    limits: GatewayLimits = GATEWAY_LIMITS,
    client: Limits = DEFAULT_LIMITS,
) -> AsyncIterator[ProxyHouse]:
    """A house that is cleaned up."""
    with web_fleets(folder) as fleets:
        dialers: dict[Pattern, Dialer] = {}
        for name, fleet in fleets.items():
            dialers[name, None] = Dialer(fleet.addresses, config(limits=client))
        router, told = UpstreamRouter(RouteTable(dialers), passing), list[str]()
        gateway = Gateway(limits=limits, report=lambda _, reason: told.append(reason))
        home = ProxyHouse(gateway, told, fleets=fleets, router=router)
        await home.open(partial(proxied, router))
        try:
            yield home
        finally:
            await home.close()


def request(host: str, path: str = "/name", *fields: str, method: str = "GET") -> bytes:
    """A request in absolute form."""
    return "\r\n".join((f"{method} http://{host}{path} HTTP/1.1", f"Host: {host}", *fields, "", "")).encode()


async def response(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """One response that says how long it is: its status and its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    [length] = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return int(head.split(b" ", 2)[1]), await reader.readexactly(int(length.split(b":")[1]))

"""Who a client is, and what it asked for, when a proxy in front says so: X-Forwarded-For, -Proto and -Host.

What a replica sees as its peer is a gateway. That adds no fields of its own, and passes on those that clients send: so
they count only where the peer is named as one behind which a proxy sets them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from trickleweb.application import Application
from trickleweb.errors import HTTPError, WebError
from trickleweb.headers import Headers
from trickleweb.http1.target import check_authority
from trickleweb.messages import RequestHead
from trickleweb.request import Request
from trickleweb.responses import Response
from trickleweb.telemetry.wrapped import Wrapped

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class BadNetworks(WebError, ValueError):
    """What was named is no address, no network, and not `*`."""


@dataclass(frozen=True, slots=True)
class Trusted:
    """Addresses whose word on others is taken."""

    networks: tuple[_Network, ...] = ()

    def __contains__(self, address: str) -> bool:
        try:
            known = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = getattr(known, "ipv4_mapped", None)
        return any((mapped or known) in network for network in self.networks)


def trusted(text: str) -> Trusted:
    """`192.0.2.1,10.0.0.0/8,::1` or `*` for all; "" for none. `BadNetworks` for anything else."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if "*" in names:
        names = ["0.0.0.0/0", "::/0"]
    try:
        return Trusted(tuple(ipaddress.ip_network(name) for name in names))
    except ValueError as error:
        raise BadNetworks(str(error)) from None


class Forwarded(Wrapped):
    """An application that sees the client, the scheme and the host of which a trusted peer tells."""

    def __init__(self, inner: Application, peers: Trusted) -> None:
        super().__init__(inner)
        self._peers = peers

    async def respond(self, request: Request) -> Response:
        """As the inner one's, on the request as its client made it."""
        peer = request.setting.peer
        if peer in self._peers:
            request.setting = replace(request.setting, peer=client_of(request.headers, peer, self._peers))
            request.head = _as_asked(request.head)
        return await self.inner.respond(request)


def client_of(headers: Headers, peer: str, peers: Trusted) -> str:
    """The last address of X-Forwarded-For that no trusted proxy has; the peer if that is not trusted, or tells none."""
    client = peer
    for address in _backwards(headers.all("x-forwarded-for")):
        if client not in peers:
            break
        try:
            client = str(ipaddress.ip_address(address))
        except ValueError:  # what comes before it is no better
            break
    return client


def _backwards(values: Iterable[str]) -> Iterator[str]:
    for value in reversed(tuple(values)):
        for member in reversed(value.split(",")):
            yield member.strip().removeprefix("[").removesuffix("]")


def _as_asked(head: RequestHead) -> RequestHead:
    """The head with the scheme and the host that the nearest proxy tells; what is no such thing is left alone."""
    scheme = next(_backwards(head.headers.all("x-forwarded-proto")), "").lower()
    host = next(_backwards(head.headers.all("x-forwarded-host")), "")
    if scheme in ("http", "https"):
        head = replace(head, scheme=scheme)
    if host:
        with suppress(HTTPError):
            head = replace(head, host=check_authority(host).lower())
    return head

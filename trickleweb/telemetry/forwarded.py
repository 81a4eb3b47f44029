"""The client's address, scheme and host according to a proxy: X-Forwarded-For, -Proto and -Host.

A replica's peer is a gateway, which adds no such fields and passes on those of clients: so they count only for a peer
that is trusted because a proxy in front of it sets them.
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
    """Text that is no address, no network, and not `*`."""


@dataclass(frozen=True, slots=True)
class Trusted:
    """Addresses of trusted proxies."""

    networks: tuple[_Network, ...] = ()

    def __contains__(self, address: str) -> bool:
        try:
            known = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = getattr(known, "ipv4_mapped", None)
        return any((mapped or known) in network for network in self.networks)


def trusted(text: str) -> Trusted:
    """Return the networks of `192.0.2.1,10.0.0.0/8,::1`, `*` for all, "" for none; raise `BadNetworks`."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if "*" in names:
        names = ["0.0.0.0/0", "::/0"]
    try:
        return Trusted(tuple(ipaddress.ip_network(name) for name in names))
    except ValueError as error:
        raise BadNetworks(str(error)) from None


class Forwarded(Wrapped):
    """An application that sees the client, the scheme and the host that a trusted peer reports."""

    def __init__(self, inner: Application, peers: Trusted) -> None:
        super().__init__(inner)
        self._peers = peers

    async def respond(self, request: Request) -> Response:
        """Answer the request as its client made it."""
        peer = request.setting.peer
        if peer in self._peers:
            request.setting = request.setting._replace(peer=client_of(request.headers, peer, self._peers))
            request.head = _as_requested(request.head)
        return await self.inner.respond(request)


def client_of(headers: Headers, peer: str, peers: Trusted) -> str:
    """Return the last untrusted address of X-Forwarded-For; the peer if it is not trusted, or reports none."""
    client = peer
    for address in _backwards(headers.all("x-forwarded-for")):
        if client not in peers:
            break
        try:
            client = str(ipaddress.ip_address(address))
        except ValueError:  # earlier ones are no better
            break
    return client


def _backwards(values: Iterable[str]) -> Iterator[str]:
    for value in reversed(tuple(values)):
        for member in reversed(value.split(",")):
            yield member.strip().removeprefix("[").removesuffix("]")


def _as_requested(head: RequestHead) -> RequestHead:
    """Return the head with the scheme and the host that the nearest proxy reports, if valid."""
    scheme = next(_backwards(head.headers.all("x-forwarded-proto")), "").lower()
    host = next(_backwards(head.headers.all("x-forwarded-host")), "")
    if scheme in ("http", "https"):
        head = replace(head, scheme=scheme)
    if host:
        with suppress(HTTPError):
            head = replace(head, host=check_authority(host).lower())
    return head

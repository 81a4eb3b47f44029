"""Where a program may go by way of this gateway: to a fleet, past it as plain TCP, or nowhere."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from trickles.drivers.dialer import Dialer, is_numeric
from trickles.gateway.certificates import Certificates
from trickles.gateway.reachability import unmapped
from trickles.gateway.routes import Routes
from trickles.gateway.targets import Network, Target, is_open

HTTPS = 443
MOST_LOOKUPS = 32  # names that are looked up at once; others wait for their turn
MOST_PLACES = 4  # addresses of one name that are tried, one after another
NOT_ALLOWED = "host not allowed"
NO_SUCH_HOST = "no such host"
NO_ANSWER = "no answer in time"
REFUSED = "connection refused"
NOT_REACHED = "host not reached"
_OWN = tuple(map(ip_network, ("0.0.0.0", "127.0.0.0/8", "::", "::1")))  # unspecified is this machine to connect(2)


class NotReached(Exception):
    """A host to pass through to cannot be had; the text is one of the reasons above."""


@dataclass(frozen=True, slots=True)
class PassThrough:
    """Plain TCP to hosts of no fleet: global addresses, those in networks allowed, never this gateway itself."""

    allowed: tuple[Network, ...] = ()
    own_ports: Collection[int] = ()

    async def places(self, target: Target) -> list[Target]:
        """The numeric addresses to try; NotReached when there is none, or none that programs may reach.

        It is these addresses that are judged and then used: a name may mean another one a moment later.
        """
        host, port = target
        addresses = [host] if is_numeric(host) else await _looked_up(host, port)
        places = [(address, port) for address in addresses if self._is_open(address, port)]
        if not places:
            raise NotReached(NOT_ALLOWED)
        return places[:MOST_PLACES]

    def _is_open(self, address: str, port: int) -> bool:
        here = port in self.own_ports and is_of_this_machine(address)
        return not here and is_open(address.partition("%")[0], self.allowed)


async def _looked_up(host: str, port: int) -> list[str]:
    """By a thread, of which there are few: a name that takes long holds up others, but never an address."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NotReached(NO_SUCH_HOST) from None
    return list(dict.fromkeys(str(each[4][0]) for each in found))


@dataclass(slots=True)
class Guide:
    """Knows the way; `routes` are replaced when the map changes.

    The fleet of no name, which has none in the map, is only for those who did not choose a host by name themselves.
    With certificates this gateway ends TLS for fleets, of those who connect to port 443.
    """

    routes: Routes[Dialer]
    passing: PassThrough | None = None
    nameless: Dialer | None = None
    certificates: Certificates | None = None

    def find(self, target: Target) -> Dialer | PassThrough | None:
        """What leads there; None where nobody may go."""
        return self.routes.find(*target) or self.passing

    def find_redirected(self, target: Target) -> Dialer | PassThrough | None:
        """The same for connections that were redirected here."""
        return self.routes.find(*target) or self.nameless or self.passing


def is_of_this_machine(host: str) -> bool:
    """Whether a numeric address is one of this machine's own: the kernel then sends from it what is sent to it."""
    address = unmapped(ip_address(host.partition("%")[0]))
    if any(address in network for network in _OWN):
        return True
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 9))  # which sends nothing
        except OSError:
            return False
        return bool(probe.getsockname()[0] == probe.getpeername()[0])

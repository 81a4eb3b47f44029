"""httpx over Trickles: requests to a fleet without a gateway. Needs the extra `trickles[httpx]`.

fleet = Fleet(["192.0.2.1:8443", "192.0.2.2:8443"], server_key="server.pub")
with httpx.Client(transport=TricklesTransport({"files.example": fleet})) as client:
    client.get("http://files.example/hello.txt")
"""

from __future__ import annotations

from trickles.httpx.fleets import Fleet
from trickles.httpx.transports import AsyncTricklesTransport, TricklesTransport

__all__ = ["AsyncTricklesTransport", "Fleet", "TricklesTransport"]

"""The server engine: a function of keyring, service, datagram and now; there is no connection object."""

from __future__ import annotations

from trickles.listener.engine import Listener

__all__ = ["Listener"]

"""Tools to inspect and forge datagrams: Scapy layers, a reader of captures, a client moved by hand.

Scapy comes with the extra `tools`: `pip install 'trickles[tools]'`.
"""

from __future__ import annotations

from trickles.tools.capture import Captured, CaptureError, read_capture, sniff
from trickles.tools.dump import Dump, dump
from trickles.tools.layers import bind, dissect
from trickles.tools.opened import opened
from trickles.tools.opener import Opener
from trickles.tools.peer import Peer

__all__ = [
    "CaptureError",
    "Captured",
    "Dump",
    "Opener",
    "Peer",
    "bind",
    "dissect",
    "dump",
    "opened",
    "read_capture",
    "sniff",
]

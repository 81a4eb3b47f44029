"""Looking at datagrams, never in the data path: Scapy layers for every kind, and a reader of captures.

Scapy comes with the extra `tools`: `pip install 'trickles[tools]'`.
"""

from __future__ import annotations

from trickles.tools.capture import Captured, CaptureError, read_capture, sniff
from trickles.tools.dump import Dump, dump
from trickles.tools.layers import bind, dissect
from trickles.tools.opened import opened
from trickles.tools.opener import Opener

__all__ = ["CaptureError", "Captured", "Dump", "Opener", "bind", "dissect", "dump", "opened", "read_capture", "sniff"]

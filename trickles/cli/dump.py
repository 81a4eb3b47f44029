"""Show Trickles datagrams, one line each, and at the end a summary of every connection.

Reads a capture file (pcap or pcapng, as tcpdump and Wireshark write; - for standard input) or listens on an interface,
which needs root or CAP_NET_RAW. With the fleet's keyring, requests show the packet numbers that they acknowledge and
earn, and the output that they want; without it sealed parts stay sealed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING

from trickles.command import Parser, whole_number
from trickles.drivers.keystore import load_keyring
from trickles.errors import TricklesError

if TYPE_CHECKING:
    from trickles.tools import Captured, Dump


def add_arguments(parser: Parser) -> None:
    source = parser.add_mutually_exclusive_group()
    source.add_argument("-i", "--interface", default="any", help="listen on this network interface (default: any)")
    source.add_argument("-r", "--read", metavar="FILE", help="read this capture file; - is standard input")
    parser.add_argument("--keyring", metavar="DIR", help="the fleet's keyring (directory or file) opens sealed parts")
    parser.add_argument(
        "--port", type=whole_number(1, 65_535), metavar="N", help="show all UDP from or to this port, and nothing else"
    )


def run(args: argparse.Namespace) -> int:
    """Print datagrams until the capture ends or an interrupt; TricklesError when it or the keyring cannot be read."""
    try:
        tools = import_module("trickles.tools")
    except ImportError as exc:
        raise TricklesError(f"needs Scapy: pip install 'trickles[tools]' ({exc})") from None
    opener = tools.Opener(load_keyring(args.keyring)) if args.keyring is not None else None
    captured = tools.read_capture(args.read) if args.read is not None else tools.sniff(args.interface)
    _show(captured, tools.Dump(opener, args.port))
    return 0


def _show(captured: Iterable[Captured], view: Dump) -> None:
    try:
        for each in captured:
            line = view.line(each)
            if line is not None:
                print(line, flush=True)
    except KeyboardInterrupt:
        print()
    print()
    for line in view.summary():
        print(line)

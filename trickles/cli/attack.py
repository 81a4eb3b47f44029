"""Attack a replica of your own, and measure the effect of its defences.

Each attack also runs against a listener inside this process, in virtual time: once as it is, once without the
defence against the attack. Without --replica only these two run. `list` prints the attacks, `all` runs them all.

Only loopback addresses and addresses of network namespaces of this machine may be attacked; all others are refused.
An attack ends after its rounds, its datagrams or its seconds, whichever comes first.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from trickles.cli.fleet_options import checked_address
from trickles.command import Parser, whole_number
from trickles.drivers.keystore import read_server_key
from trickles.drivers.known_hosts import KnownHosts
from trickles.errors import LocalProtocolError, TricklesError

if TYPE_CHECKING:
    from trickles.tools.attacks.catalogue import Result
    from trickles.tools.attacks.report import Struck
    from trickles.tools.attacks.stage import Bounds

LIST, ALL = "list", "all"
_REQUEST = r"request for the service, best with a large answer; \r, \n and \\ are escapes (default: GET / of HTTP/1.1)"
_PID = "process id of the replica, to measure the memory that a flood of connections takes"
_ESCAPES = {r"\r": "\r", r"\n": "\n", r"\\": "\\"}


def add_arguments(parser: Parser) -> None:
    parser.add_argument("attacks", nargs="+", metavar="LIST|NAME", help="`list`, `all`, or names of attacks")
    parser.add_argument("--replica", metavar="HOST:PORT", help="a replica on this machine, as a numeric address")
    parser.add_argument("--server-key", metavar="FILE", help="the fleet's public identity, server.pub")
    parser.add_argument("--request", metavar="TEXT", type=_unescaped, help=_REQUEST)
    parser.add_argument("--pid", type=whole_number(1, 1 << 22), metavar="N", help=_PID)
    for name, most, default, about in (
        ("--rounds", 10_000, 40, "repetitions within an attack"),
        ("--datagrams", 10_000_000, 50_000, "most datagrams that an attack sends and receives"),
        ("--seconds", 3600, 30, "most seconds that an attack takes at the replica"),
        ("--rate", 100_000, 5000, "most datagrams sent to the replica per second"),
    ):
        kind = whole_number(1, most)
        parser.add_argument(name, type=kind, default=default, metavar="N", help=f"{about} (default: {default})")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")


def run(args: argparse.Namespace) -> int:
    """Run attacks and print their gains; TricklesError for targets that are not allowed or do not answer."""
    try:
        from trickles.tools.attacks import catalogue, owned, report
    except ImportError as exc:
        raise TricklesError(f"needs Scapy: pip install 'trickles[tools]' ({exc})") from None
    if args.attacks == [LIST]:
        for name, attack in catalogue.ATTACKS.items():
            print(f"{name:28}{attack.summary}")
        return 0
    names = _chosen(args.attacks, catalogue.ATTACKS)
    if args.replica is not None:
        owned.check_owned(checked_address(args.replica))
    done = {name: _struck(name, args) for name in names}
    if args.json:
        print(json.dumps(report.document(done, args.replica), indent=1))
    else:
        print("\n".join(report.table(done)))
    return 0


def _chosen(words: Sequence[str], known: Collection[str]) -> list[str]:
    if words == [ALL]:
        return list(known)
    for word in words:
        if word not in known:
            raise LocalProtocolError(f"no attack is called {word!r}; there are: {', '.join(known)} (and list, all)")
    return list(dict.fromkeys(words))


def _struck(name: str, args: argparse.Namespace) -> Struck:
    from trickles.tools.attacks.catalogue import strike_here
    from trickles.tools.attacks.report import Struck
    from trickles.tools.attacks.stage import Bounds

    bounds = Bounds(rounds=args.rounds, most_datagrams=args.datagrams)
    replica = _at_the_replica(name, args, bounds) if args.replica is not None else None
    return Struck(replica, strike_here(name, bounds, defended=True), strike_here(name, bounds, defended=False))


def _at_the_replica(name: str, args: argparse.Namespace, bounds: Bounds) -> Result:
    """Attack with a new connection's secrets each time, since a replica remembers the old ones."""
    from dataclasses import replace

    from trickles.tools.attacks.catalogue import ATTACKS, strike
    from trickles.tools.attacks.live import LiveTarget

    identity = read_server_key(args.server_key) if args.server_key else None
    trust = KnownHosts().trust(args.replica) if identity is None else lambda _: False
    if args.request is not None:
        bounds = replace(bounds, request=args.request)
    with LiveTarget(
        checked_address(args.replica),
        identity=identity,
        trust=trust,
        rate=args.rate,
        seconds=args.seconds,
        pid=args.pid,
    ) as target:
        return strike(ATTACKS[name], target, bounds, os.urandom(32))


def _unescaped(text: str) -> bytes:
    parts, at = [], 0
    while at < len(text):
        pair = text[at : at + 2]
        parts.append(_ESCAPES.get(pair, text[at]))
        at += 2 if pair in _ESCAPES else 1
    return "".join(parts).encode()

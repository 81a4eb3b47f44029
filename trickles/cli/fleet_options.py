"""The options that say how a gateway speaks to fleets, and the dialers that they make."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from trickles.cli.discovery_options import checked_address
from trickles.client import ClientConfig, Policy
from trickles.client.config import forgetful
from trickles.command import Parser, whole_number
from trickles.drivers.dialer import Dialer
from trickles.drivers.keystore import read_server_key
from trickles.drivers.known_hosts import KnownHosts, Rules
from trickles.gateway.routing import FleetSpec, Pattern
from trickles.limits import DEFAULT_LIMITS, SECOND
from trickles.wire.kinds import Address, Suite

SPARE_SOCKETS = 256  # as many short connections as may come at once without making a socket
MAPPED_SPARE_SOCKETS = 16  # the same for one fleet of a map, which may hold many
_KEY = "the fleet's public identity, server.pub"
_POLICIES = [*(policy.value for policy in Policy), "fastest"]
_POLICY = (
    "which replica a request goes to: home (one as long as it answers), spray (each to the next), stripe (several at "
    "once), lowest-rtt (the nearest; fastest is another name for it)"
)
_GIVE_UP = "how long all replicas may be silent before a transfer fails (default: 30)"
_SUITE = "sealed: all is confidential; open: data in clear, for trusted networks and measurements"


def add_fleet_arguments(parser: Parser) -> None:
    """Declare them."""
    parser.add_argument("--server-key", metavar="FILE", help=_KEY)
    parser.add_argument("--policy", choices=_POLICIES, default="home", help=_POLICY)
    parser.add_argument("--suite", choices=["sealed", "open"], default="sealed", help=_SUITE)
    parser.add_argument("--give-up", type=whole_number(1, 3600), default=30, metavar="SECONDS", help=_GIVE_UP)


@dataclass(frozen=True)
class FleetMaker:
    """Makes dialers with the options of one command line; keys are read, and names resolved, at once."""

    args: argparse.Namespace

    @cached_property
    def _default_identity(self) -> bytes | None:
        if self.args.server_key:
            return read_server_key(self.args.server_key)
        text = f"trickles {self.args.command}: no --server-key: the fleet's identity is trusted on first use"
        print(text, file=sys.stderr)
        return None

    def dialer(self, replicas: Sequence[Address], name: str) -> Dialer:
        """To the fleet of the command line; KeyringError and OSError as they come."""
        return Dialer(replicas, self._config(self._default_identity, name), spare_sockets=SPARE_SOCKETS)

    def dialers(self, specs: Mapping[Pattern, FleetSpec], old: Mapping[FleetSpec, Dialer]) -> dict[FleetSpec, Dialer]:
        """To all fleets of a map, those of an older map that are the same among them."""
        return {spec: old.get(spec) or self._mapped(spec) for spec in dict.fromkeys(specs.values())}

    def _mapped(self, spec: FleetSpec) -> Dialer:
        replicas = [checked_address(text) for text in spec.replicas]
        identity = read_server_key(spec.key) if spec.key else self._default_identity
        return Dialer(
            replicas, self._config(identity, ",".join(sorted(spec.replicas))), spare_sockets=MAPPED_SPARE_SOCKETS
        )

    def _config(self, identity: bytes | None, name: str) -> ClientConfig:
        rules: Rules = (
            KnownHosts().rules(name) if identity is None else {"trust": lambda _: False, "note_start": forgetful}
        )
        return ClientConfig(
            identity=identity,
            **rules,
            suite=Suite[self.args.suite.upper()],
            policy=Policy(self.args.policy),
            limits=replace(DEFAULT_LIMITS, give_up_after=self.args.give_up * SECOND),
        )

"""Whom to ask for a URL: the replicas, and the identity they must have."""

from __future__ import annotations

import argparse
from pathlib import Path

from trickles.client import ClientConfig, Policy
from trickles.drivers.keystore import read_server_key
from trickles.drivers.known_hosts import KnownHosts
from trickles.errors import UnsafePlace
from trickleweb.cli.parser import Address, CommandFailed, address, shown
from trickleweb.cli.rundir import DEFAULT, FLEET, RunDir, is_alive


def fleet_of(netloc: str, args: argparse.Namespace) -> Path | None:
    """The usual run directory, if the URL names the gateway of our own fleet there, which cannot be asked by UDP."""
    run_dir = RunDir(DEFAULT)
    try:
        run_dir.check()
    except UnsafePlace:
        return None  # a folder of somebody else's must not say whom to trust
    fleet = run_dir.figures(FLEET)
    meant = fleet.get("url") == f"http://{netloc.replace('localhost', '127.0.0.1')}/" and is_alive(fleet.get("pid"))
    return None if not meant or args.replica or args.server_key else Path(DEFAULT)


def replicas_of(netloc: str, args: argparse.Namespace) -> list[Address]:
    """Those that were named, or the fleet's under the run directory, or the URL's own host and port."""
    if args.replica:
        return list(args.replica)
    if args.run_dir is None:
        return [_place(netloc if netloc.rpartition(":")[2].isdecimal() else f"{netloc}:80")]
    run_dir = RunDir(args.run_dir)
    run_dir.check()
    udp = run_dir.figures(FLEET).get("udp")
    if not isinstance(udp, list):
        raise CommandFailed(f"no fleet runs under {args.run_dir}")
    return [_place(str(each)) for each in udp]


def client_config(replicas: list[Address], args: argparse.Namespace) -> ClientConfig:
    """How to ask them: the identity is pinned by --server-key or the run directory, else trusted on first use."""
    key = args.server_key or (args.run_dir and RunDir(args.run_dir).server_key)
    if key:
        return ClientConfig(identity=read_server_key(key), policy=Policy(args.policy))
    rules = KnownHosts().rules(",".join(sorted(map(shown, replicas))))
    return ClientConfig(**rules, policy=Policy(args.policy))


def _place(text: str) -> Address:
    try:
        return address(text)
    except argparse.ArgumentTypeError as exc:
        raise CommandFailed(str(exc)) from None

"""The action `verify` of `trickles keys`: compare a keyring with those of running replicas."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Iterator

from trickles.cli.fleet_options import add_discovery_arguments, all_replicas
from trickles.command import Parser
from trickles.drivers.epoch_probes import EpochReport, ask_replicas
from trickles.drivers.keystore import epoch_name, load_keyring
from trickles.errors import KeyringError
from trickles.keyring import Keyring


def add_verify_arguments(parser: Parser) -> None:
    add_discovery_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of lines")


def verify(args: argparse.Namespace) -> Iterator[str]:
    """Yield a line for each replica, or JSON; then KeyringError if one lacks an epoch, or does not answer."""
    ring = load_keyring(args.keyring)
    reports = ask_replicas(ring, asyncio.run(all_replicas(args)))
    newest = ring.latest().identifier
    if args.json:
        yield json.dumps({"newest": epoch_name(newest), "replicas": [_as_json(each) for each in reports]})
    else:
        yield from (f"{each.replica}  {_said(each, ring, newest)}" for each in reports)
    faulty = [each for each in reports if len(each.held) < len(ring.epochs)]
    if faulty:
        without = sum(newest in each.lacking for each in faulty)
        silent = sum(not each.held and not each.lacking for each in faulty)
        raise KeyringError(
            f"{len(faulty)} of {len(reports)} replicas do not hold these epochs, {without} of them lack the newest, "
            f"{silent} do not answer: give them the files of this keyring"
        )


def _said(report: EpochReport, ring: Keyring, newest: int) -> str:
    if not report.held and not report.lacking:
        return "does not answer"
    if not report.lacking:
        return f"holds {len(report.held)} of {len(ring.epochs)} epochs" + (
            "" if len(report.held) == len(ring.epochs) else "; the others are not known: it did not answer"
        )
    lacking = ", ".join(epoch_name(each) + (" (the newest)" if each == newest else "") for each in report.lacking)
    return f"lacks {lacking}"


def _as_json(report: EpochReport) -> dict[str, object]:
    names = {"holds": report.held, "lacks": report.lacking}
    return {"replica": report.replica, **{name: [epoch_name(each) for each in ids] for name, ids in names.items()}}

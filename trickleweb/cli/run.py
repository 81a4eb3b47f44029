"""Serve a program through several replicas, any of which may be killed at any time.

MODULE:ATTRIBUTE is an application of this framework, or an unmodified program for ASGI 3 (FastAPI, Starlette ...) or
WSGI (Flask, Django ...). The other options are those of `trickleweb serve`. The ledger, which ensures that unsafe
requests run only once, the responses to them, and the topics of its event streams are under --run-dir too;
with --ledger URL the ledger is in PostgreSQL, for fleets on several machines. With --reload the replicas are replaced,
one by one, when files below --app-dir change; transfers under way continue.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from trickles.command import CommandFailed, Parser, make_absolute
from trickleweb.cli.app_options import (
    add_app_arguments,
    add_responses_argument,
    add_telemetry_arguments,
    app_words,
    telemetry_words,
)  # fmt: skip
from trickleweb.cli.fleet import Supervisor
from trickleweb.cli.fleet_options import PLACES, add_fleet_arguments, fleet_options
from trickleweb.cli.reload import Reloader
from trickleweb.cli.rundir import RunDir
from trickleweb.cli.shared_stores import LedgerPlace, add_ledger_arguments, ledger_place, shared_words, store_words
from trickleweb.cli.warmstart import python_module


def add_arguments(parser: Parser) -> None:
    parser.add_argument("program", metavar="MODULE:ATTRIBUTE", help="the program to serve, such as main:app")
    add_app_arguments(parser)
    add_responses_argument(parser)
    add_ledger_arguments(parser)
    parser.add_argument(
        "--preload", action="store_true", help="import the program once, and fork replicas that have it"
    )
    parser.add_argument("--reload", action="store_true", help="replace the replicas when the program's files change")
    add_fleet_arguments(parser)
    add_telemetry_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT, and a while longer for unsafe requests that run then."""
    make_absolute(args, (*PLACES, "app_dir", "responses"))
    kept = RunDir(args.run_dir)
    ledger = ledger_place(args) or LedgerPlace(words=("--ledger", str(kept.ledger)))
    shared = (
        *ledger.words, *shared_words(args), *store_words(args, "responses", kept.responses),
        *store_words(args, "topics", kept.topics), "--digests", str(kept.digests),
    )  # fmt: skip

    def words(index: int) -> Sequence[str]:
        return [*shared, *telemetry_words(args, index), *app_words(args.program, args)]

    options = fleet_options(args, command="run", what=args.program, words=words)
    reloader = _reloader(args) if args.reload else None
    driver = tuple({"redis.asyncio" if hasattr(url, "prefix") else "asyncpg" for url in ledger.urls})
    modules = ("trickleweb.cli.app_replica", "trickleweb.server.exchanges", *driver)
    program = (f"{args.program.partition(':')[0]}@{args.app_dir}",) if args.preload else ()
    asyncio.run(Supervisor(replace(options, drain=args.drain, reloader=reloader, modules=(*modules, *program))).serve())
    return 0


def _reloader(args: argparse.Namespace) -> Reloader:
    if args.no_respawn:
        raise CommandFailed("--reload replaces replicas, which --no-respawn forbids")
    words = ("replica", "--load-only", "--udp", "127.0.0.1:0", *app_words(args.program, args))
    return Reloader(Path(args.app_dir), python_module("trickleweb", *words, bytecode=False))

"""A gateway for one command: started before it, on a loopback port, and ended with it."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from trickles.cli.fleet_options import FleetMaker, discovery, fleet_name, names_replicas
from trickles.cli.hook import hook_configuration
from trickles.cli.mapping import HostMap
from trickles.cli.mode_options import allowed_networks
from trickles.command import reporter
from trickles.drivers.bookkeeping import flush_standard_streams, guard_standard_streams
from trickles.drivers.chores import Chores
from trickles.errors import LocalProtocolError, TricklesError
from trickles.gateway.log import FailureLog
from trickles.gateway.process import Events, GatewayProcess
from trickles.gateway.proxy_front import proxied
from trickles.gateway.routing import MOST_LOOKUPS, DirectAccess, RouteTable, UpstreamRouter
from trickles.gateway.server import Gateway, ListenAddress

_tell = reporter("run")


@dataclass(frozen=True, slots=True)
class Private:
    """Its port, and the configuration file of proxychains."""

    port: int
    hook_file: str


def start_private(args: argparse.Namespace) -> Private:
    """Start a gateway that is no child of this process, which becomes the command; LocalProtocolError if it fails.

    It watches this process, and ends when that ends for any reason.
    """
    ours, theirs = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    watched = os.getpid()
    child = os.fork()
    if child == 0:
        os.close(ours)
        os.setsid()  # a Ctrl-C is for the command
        if os.fork() == 0:
            _become_gateway(args, watched, theirs)
        os._exit(0)
    os.close(theirs)
    os.waitpid(child, 0)
    with os.fdopen(ours, "rb") as pipe:
        answer = json.loads(pipe.read() or b'{"problem": "it sent nothing"}')
    if "problem" in answer:
        raise LocalProtocolError(f"the gateway did not start: {answer['problem']}")
    return Private(**answer)


def _become_gateway(args: argparse.Namespace, watched: int, pipe: int) -> NoReturn:
    code = 1
    folder = tempfile.mkdtemp(prefix="trickles-run-")

    def answer(fields: dict[str, object]) -> None:
        os.write(pipe, json.dumps(fields).encode())
        os.close(pipe)

    try:
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        guard_standard_streams()
        asyncio.run(_serve(args, watched, Path(folder), answer))
        code = 0
    except (TricklesError, OSError) as error:
        answer({"problem": str(error)})
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(code)


async def _serve(
    args: argparse.Namespace, watched: int, folder: Path, answer: Callable[[dict[str, object]], None]
) -> None:
    log, maker = FailureLog(_write), FleetMaker(args)
    replicas = discovery(args) if names_replicas(args) else None
    dialer = maker.dialer(await replicas.refresh(), fleet_name(args)) if replicas is not None else None
    allowed = allowed_networks(args)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(MOST_LOOKUPS, "lookup"))
    gateway = Gateway(dialer, report=log.failure)
    router = UpstreamRouter(RouteTable({}), DirectAccess(allowed, gateway.own_ports) if args.pass_through else None)
    hosts = HostMap(router, maker, args.map, args.map_file, report=_tell, everywhere=dialer)
    hosts.load()
    descriptor = os.pidfd_open(watched)
    asyncio.get_running_loop().add_reader(descriptor, _end)

    def ready(bound: list[str]) -> None:
        port = int(bound[0].rpartition(":")[2])
        hook_file = folder / "proxychains.conf"
        hook_file.write_text(hook_configuration(port))
        answer(asdict(Private(port, str(hook_file))))

    background = hosts.background(replicas, dialer)
    chores = Chores(_tell)
    chores.every(0, "log", log.flush)
    chores.every(0, "log", flush_standard_streams)
    place = ListenAddress("127.0.0.1", 0, partial(proxied, router), "proxy")
    try:
        await GatewayProcess(gateway, Events(ready=ready, tick=chores.tick), background=background).serve([place])
    finally:
        hosts.close()
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)


def _end() -> None:
    signal.raise_signal(signal.SIGTERM)


def _write(text: str) -> None:
    print(f"trickles run: {text}", end="", file=sys.stderr, flush=True)

"""Download a file over Trickles itself, without a gateway: the download survives the death of any replica.

The URL's host and port name a replica, unless --replica names others, or --run-dir a fleet that `trickleweb serve`
started on this machine; a fleet in .run whose gateway the URL names is found. The fleet's identity is that of
--server-key, else of that run directory, else trusted on first use and remembered.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO
from urllib.parse import SplitResult, quote, unquote, urlsplit

from trickles.client import ClientConfig, Policy
from trickles.command import CommandFailed, Parser, address
from trickles.drivers.addresses import Address, shown
from trickles.drivers.keystore import read_server_key
from trickles.drivers.known_hosts import KnownHosts
from trickles.drivers.stream import Stream, connect
from trickles.errors import ConnectionFailed, UnsafePlace
from trickleweb.cli.download import DownloadProgress, ResponseHead, body, read_answer, request
from trickleweb.cli.mistaken import mistake
from trickleweb.cli.rundir import DEFAULT, FLEET, RunDir, is_alive
from trickleweb.http1 import phrase


def add_arguments(parser: Parser) -> None:
    parser.add_argument("url", metavar="URL", help="http://HOST[:PORT]/PATH")
    parser.add_argument("-o", "--output", metavar="FILE", help="output file (default: the URL's last name; -: stdout)")
    parser.add_argument("--replica", metavar="HOST:PORT", type=address, action="append", help=_REPLICA)
    parser.add_argument("--run-dir", metavar="DIR", type=Path, help="use the replicas and identity of the fleet there")
    parser.add_argument("--server-key", metavar="FILE", help="the fleet's public identity, server.pub")
    parser.add_argument("--policy", choices=[each.value for each in Policy], default="home", help=_POLICY)
    parser.add_argument("--quiet", action="store_true", help="no progress")


_PATIENCE_SECONDS = 2.0
_SAFE = "/%:@!$&'()*+,;=~"
_REPLICA = "a replica of the fleet (repeatable)"
_POLICY = "choice of replica for a request (default: home)"


def run(args: argparse.Namespace) -> int:
    """Download; raise `CommandFailed` for every status but 200, and for a body that ends too soon."""
    url = _parsed(args.url)
    args.run_dir = args.run_dir or fleet_of(url.netloc, args)
    by_url = not (args.run_dir or args.replica)
    replicas = replicas_of(url.netloc, args)
    wanted = request(_target(url), url.netloc)
    output = args.output or _last_name(url)
    show = None if args.quiet or not sys.stderr.isatty() else sys.stderr
    config = client_config(replicas, args)
    with destination(output) as file:
        asyncio.run(_download(replicas, config, wanted, file, show, by_url=by_url))
    return 0


@contextmanager
def destination(output: str) -> Iterator[BinaryIO]:
    """Yield the output: stdout for `-`, else a file that gets its name once it is complete."""
    if output == "-":
        yield sys.stdout.buffer
        return
    if Path(output).is_dir():
        raise CommandFailed(f"{output} is a folder: use -o FILE")
    part = Path(f"{output}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(output)
    finally:
        part.unlink(missing_ok=True)


def _parsed(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
    except ValueError:  # a bracket that is not closed
        url = urlsplit("")
    if url.scheme != "http" or not url.netloc or not url.netloc.isascii():
        raise CommandFailed(f"not a URL of the form http://HOST[:PORT]/PATH: {text}")
    return url


def _last_name(url: SplitResult) -> str:
    """Return the file's name, free of characters that a terminal or a file system could misuse."""
    name = unquote(url.path).rpartition("/")[2] or "index.html"
    if not name.isprintable() or name in {".", ".."}:
        raise CommandFailed("the URL's last name cannot name a file: use -o FILE")
    return name


def _target(url: SplitResult) -> str:
    """Return path and query, with characters that no request may hold escaped."""
    query = f"?{quote(url.query, safe=_SAFE + '?')}" if url.query else ""
    return quote(url.path or "/", safe=_SAFE) + query


async def _download(
    replicas: list[Address], config: ClientConfig, wanted: bytes, file: BinaryIO, show: TextIO | None, *, by_url: bool
) -> None:
    stream = await connect(replicas, config=config)
    try:
        stream.write(wanted)
        answer = await _answered(stream, replicas, show, by_url=by_url)
        if answer.status != 200:
            raise CommandFailed(f"the server answers {answer.status} {phrase(answer.status)}".rstrip())
        await _save(stream, answer, file, show)
    finally:
        stream.close()


async def _answered(stream: Stream, replicas: list[Address], show: TextIO | None, *, by_url: bool) -> ResponseHead:
    """Return the response's head, reporting a long wait; raise `CommandFailed` naming replicas that do not answer.

    An address out of a URL may be a gateway's, as in a browser: that is tested while waiting.
    """
    answering = asyncio.create_task(_waited_for(stream, replicas, show))
    trying = asyncio.create_task(mistake(replicas[0])) if by_url else None
    try:
        if trying is not None:
            await asyncio.wait({answering, trying}, return_when=asyncio.FIRST_COMPLETED)
            if trying.done() and (why := trying.result()) and not answering.done():
                raise CommandFailed(why)
        return await answering
    finally:
        for task in (answering, trying):
            if task is not None:
                task.cancel()


async def _waited_for(stream: Stream, replicas: list[Address], show: TextIO | None) -> ResponseHead:
    places = ", ".join(map(shown, replicas))
    patience = asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, _print, show, f"waiting for {places} (UDP)")
    try:
        return await read_answer(stream)
    except ConnectionFailed as exc:
        raise CommandFailed(f"{exc}: {places} (UDP; a gateway is no replica, name one with --replica)") from None
    finally:
        patience.cancel()


def _print(show: TextIO | None, text: str) -> None:
    if show is not None:
        print(text, file=show, flush=True)


async def _save(stream: Stream, answer: ResponseHead, file: BinaryIO, show: TextIO | None) -> None:
    progress, received = DownloadProgress(show, answer.length), 0
    try:
        async for data in body(stream, answer):
            file.write(data)
            received += len(data)
            progress.update(received, stream.statistics)
    finally:
        progress.update(received, stream.statistics, last=True)


def fleet_of(netloc: str, args: argparse.Namespace) -> Path | None:
    """Return the default run directory, if the URL names the gateway of our own fleet there, which has no UDP."""
    run_dir = RunDir(DEFAULT)
    try:
        run_dir.check()
    except UnsafePlace:
        return None  # another user's folder must not choose the identity
    fleet = run_dir.figures(FLEET)
    is_own = fleet.get("url") == f"http://{netloc.replace('localhost', '127.0.0.1')}/" and is_alive(fleet.get("pid"))
    return None if not is_own or args.replica or args.server_key else Path(DEFAULT)


def replicas_of(netloc: str, args: argparse.Namespace) -> list[Address]:
    """Return the named replicas, or the fleet's under the run directory, or the URL's own host and port."""
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
    """Return the client's configuration: the identity of --server-key or the run directory, else trust on first use."""
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

"""A replica of a program: on an asyncio loop, with the ledger and the spool that all replicas share."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trickles.command import CommandFailed
from trickles.drivers.keystore import KeyringSource
from trickles.drivers.notices import ManagerNotices
from trickles.drivers.process import ReplicaProcess, stop_signals
from trickles.drivers.spooldir import SpoolBounds, SpoolDirectory
from trickles.drivers.world import fresh_secret, wall_us
from trickles.listener import Listener
from trickles.printable import one_line
from trickles.stores import store_name
from trickleweb.app import App
from trickleweb.application import Application
from trickleweb.asgi import Hosted
from trickleweb.asgi.hosted import log_error
from trickleweb.cli.app_options import program_options
from trickleweb.cli.loading import load_program
from trickleweb.cli.monitoring import Monitoring
from trickleweb.cli.readiness import KeptOutput
from trickleweb.cli.replica_parts import bound, reported
from trickleweb.cli.reporting import to_stderr
from trickleweb.cli.shared_stores import LedgerPlace, ledger_place, opened_ledger, redis_place
from trickleweb.containment import BrokenOff
from trickleweb.ledger import Ledger
from trickleweb.response_store import ResponseBounds, ResponseStoreUnavailable
from trickleweb.server import FleetResources, HttpService
from trickleweb.server.limits import ServerLimits, ServiceLimits
from trickleweb.stores import FilePages, FolderResponses, SqliteTopics
from trickleweb.stores.redis import RedisAway, RedisResponses, RedisSpool, RedisTopics

_SLACK_BYTES = 64 << 20  # for other requests of the connection, and for chunk framing


def run_app(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; raise `CommandFailed` if the program cannot be loaded or started."""
    output, notices = KeptOutput(), ManagerNotices()
    application = load_program(program_options(args.app, args))
    if isinstance(application, App) and application.digests is None:
        application.digests = args.digests
    if not args.load_only:
        run_on(_serve(args, application, output, notices))
    return 0


def run_on(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine as `asyncio.run`; report what tasks of the program raise to end the process, and go on.

    SIGINT has a handler: a `KeyboardInterrupt` is the program's, too.
    """
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        task = loop.create_task(work)
        while not task.done():
            try:
                loop.run_until_complete(task)
            except (SystemExit, KeyboardInterrupt) as error:
                if task.done():
                    raise
                fault = BrokenOff(f"a task of the program ended with {error!r}")
                fault.__cause__ = error
                log_error(fault)


async def _serve(
    args: argparse.Namespace, application: Application, output: KeptOutput, notices: ManagerNotices
) -> None:
    async with AsyncExitStack() as undo:
        stop = undo.enter_context(stop_signals())
        keys = KeyringSource(args.keyring)
        sock = bound(args)
        undo.callback(sock.close)
        within = undo.enter_context(ExitStack())  # closed without awaiting
        monitoring = Monitoring(args, within)
        spool, ledger = await _spool(args, application, undo), await _ledger(args, within)
        undo.push_async_callback(ledger.close)
        responses, pages = await _responses(args, undo, within)
        if isinstance(application, App):
            undo.push_async_callback(_provided(application, args, ledger))
        await undo.enter_async_context(_lived(application))
        server = HttpService(
            monitoring.around(application),
            clock_us=wall_us,
            resources=FleetResources(lambda: keys.keyring, ledger, responses, pages, fresh_secret),
            limits=ServiceLimits(server=ServerLimits(response_bytes=args.max_response)),
            observe=monitoring.observe,
        )
        undo.push_async_callback(server.close)
        server.report_errors(monitoring.errors)
        process = ReplicaProcess(
            server, keys, sock, spool=spool, store_id=ledger.store_id, report=to_stderr, blocking=False
        )
        replica = reported(args, process, server, within, notices, meter=monitoring.meter, say=output.say)
        replica.reporter.more += (monitoring.figures, lambda: _ledger_figures(ledger, server))
        process.jobs.every(1.0, "ledger", lambda: _look_at_ledger(ledger, process.listener))
        process.jobs.every(1.0, "responses", responses.look)
        process.jobs.every(1.0, "responses", pages.look)
        if isinstance(spool, RedisSpool):
            process.jobs.every(1.0, "spool", spool.look)
        process.jobs.every(1.0, "log", monitoring.look_again)
        await process.serve(
            stop, ready=replica.ready, every=replica.every, drain=lambda: _drained(server, args.drain, notices)
        )


async def _drained(server: HttpService, most_seconds: float, notices: ManagerNotices) -> None:
    """Let unsafe requests that run now end, if they do in time."""
    notices.stopping()
    if most_seconds:
        with suppress(TimeoutError):
            async with asyncio.timeout(most_seconds):
                await server.drain()


def _provided(application: App, args: argparse.Namespace, ledger: Ledger) -> Callable[[], Awaitable[None]]:
    """Give an App what it has none of: the fleet's ledger and topics; return the function that closes them."""
    application.ledger = application.ledger or ledger
    url = redis_place(args, "topics")
    if application.own_topics is not None or (url is None and args.topics is None):
        return _nothing
    topics = SqliteTopics(args.topics) if url is None else RedisTopics(url)
    application.own_topics = topics
    return topics.close


async def _nothing() -> None:
    """Close nothing."""


def _ledger_figures(ledger: Ledger, server: HttpService) -> dict[str, object]:
    return {"ledger": {"store": store_name(ledger.store_id), "refused_other": server.other_ledger}}


def _look_at_ledger(ledger: Ledger, listener: Listener) -> None:
    """Switch to a replaced ledger: connections that began with the old one run nothing unsafe here."""
    known = ledger.store_id
    try:
        ledger.look()
    finally:  # of several shards one may be another, and one away
        if ledger.store_id != known:
            listener.replace_store(ledger.store_id)


@asynccontextmanager
async def _lived(application: Application) -> AsyncIterator[None]:
    """Run the program's startup and shutdown; raise `CommandFailed` if it cannot start."""
    try:
        await application.startup()
    except Exception as error:
        raise CommandFailed(f"the program did not start: {one_line(f'{type(error).__name__}: {error}')}") from error
    try:
        yield
    finally:
        await application.shutdown()


async def _spool(
    args: argparse.Namespace, application: Application, undo: AsyncExitStack
) -> SpoolDirectory | RedisSpool | None:
    """Return the spool, with room for the largest body twice over in a connection, and never less than by default."""
    url = redis_place(args, "spool")
    if args.spool is None and url is None:
        return None
    usual = SpoolBounds()
    match application:
        case App():
            largest = application.largest_body_bytes
        case Hosted():
            largest = application.max_body_bytes
        case _:
            largest = args.max_body or 0
    most = max(usual.most_bytes, 2 * largest + _SLACK_BYTES)
    total, host = max(usual.most_total_bytes, 8 * most), max(usual.most_host_bytes, 4 * most)
    bounds = SpoolBounds(most_bytes=most, most_total_bytes=total, most_host_bytes=host)
    if url is None:
        return SpoolDirectory(args.spool, bounds)
    spool = RedisSpool(url, bounds)
    undo.push_async_callback(spool.close)
    with suppress(RedisAway):
        await spool.open()
    return spool


async def _ledger(args: argparse.Namespace, undo: ExitStack) -> Ledger:
    """Return the ledger; if none is given it is this replica's own and temporary."""
    place = ledger_place(args)
    if place is None:
        place = LedgerPlace(path=Path(undo.enter_context(TemporaryDirectory())) / "ledger.sqlite")
    return await opened_ledger(place)


async def _responses(
    args: argparse.Namespace, undo: AsyncExitStack, within: ExitStack
) -> tuple[FolderResponses | RedisResponses, FilePages]:
    """Return the stored responses and pages.

    There is room for the longest response eight times over, and never less than by default.
    """
    url = redis_place(args, "responses")
    folder = None if args.responses is None or url is not None else Path(args.responses)
    path = folder or Path(within.enter_context(TemporaryDirectory()))
    usual = ResponseBounds()
    most = args.max_response + usual.most_head_bytes
    total, client = max(usual.most_total_bytes, 8 * most), max(usual.most_client_bytes, 7 * most)
    bounds = ResponseBounds(most_bytes=most, most_total_bytes=total, most_client_bytes=client)
    pages = FilePages(path / "pages")
    within.callback(pages.close)
    if url is None:
        responses = FolderResponses(path, bounds, patient=True)
        within.callback(responses.close)
        return responses, pages
    shared = RedisResponses(url, bounds)
    undo.push_async_callback(shared.close)
    with suppress(ResponseStoreUnavailable):
        await shared.open()
    return shared, pages

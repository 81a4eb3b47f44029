"""Options for the stores that replicas share: a file of this machine, or the URLs of databases.

A URL comes from the command line, where other users of the machine can read it, so without a password; or from a
variable of the environment, with one. Each engine has a set of stores; `--shared URL` stands for all of its engine.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trickles.command import CommandFailed, Parser

if TYPE_CHECKING:
    from trickleweb.ledger import Ledger
    from trickleweb.stores.postgresql import DatabaseUrl
    from trickleweb.stores.redis import RedisUrl

LEDGER, SHARED = "TRICKLEWEB_LEDGER", "TRICKLEWEB_SHARED"
IN_REDIS = ("ledger", "spool", "responses", "topics")
ENGINES: dict[str, tuple[str, ...]] = {"postgresql": ("ledger",), "postgres": ("ledger",)}  # scheme -> its stores
_REDIS = ("redis", "rediss", "unix")
ENGINES |= dict.fromkeys(_REDIS, IN_REDIS)
_NEXT_URL = re.compile(r",(?=[a-z]+://)")  # the hosts of a URL are separated by commas, too
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


@dataclass(frozen=True, slots=True)
class LedgerPlace:
    """The place of the record of unsafe requests: a file, or databases that share the keys.

    `words` are the options that lead a replica there; empty if its environment does.
    """

    path: Path | None = None
    urls: tuple[DatabaseUrl | RedisUrl, ...] = ()
    words: tuple[str, ...] = ()


def add_ledger_arguments(parser: Parser) -> None:
    """Declare the place of the ledger."""
    parser.add_argument("--ledger", metavar="FILE|URL", action="append", help=_LEDGER)
    parser.add_argument("--shared", metavar="URL", action="append", help=_SHARED)


_LEDGER = f"record of unsafe requests, for all replicas: a file, postgresql://... or redis://... (or in {LEDGER})"
_SHARED = f"database for what replicas share: postgresql:// has the ledger, redis:// all (or in {SHARED})"
_READABLE = "a password on a command line can be read by all users: use {}"


def ledger_place(args: argparse.Namespace) -> LedgerPlace | None:
    """Return the place of the ledger, None where nothing was given.

    Raise `CommandFailed`, `BadDatabaseUrl` without the URL's text, or `PackageMissing`.
    """
    chosen = _chosen("ledger", args.ledger, LEDGER) or _chosen("shared", args.shared, SHARED)
    if chosen is None:
        return None
    option, texts = chosen
    if not any(map(_scheme, texts)) and option != "shared":
        return _file(texts)
    for text in texts:
        if "ledger" not in ENGINES.get(_scheme(text), ()):
            raise CommandFailed(f"--{option} takes URLs of {', '.join(ENGINES)}, and not files with them")
    urls = tuple(map(_url, texts))
    given = getattr(args, option) is not None
    if given and any(url.secrets for url in urls):
        raise CommandFailed(_READABLE.format(f"~/.pgpass, PGPASSWORD, REDISCLI_AUTH or {LEDGER}"))
    words = tuple(word for text in texts for word in ("--ledger", text)) if given else ()
    return LedgerPlace(urls=urls, words=words)


def redis_place(args: argparse.Namespace, store: str) -> RedisUrl | None:
    """Return the URL of that store in Redis; None where it is a file, or given nowhere.

    Raise `CommandFailed`, `BadRedisUrl` without the URL's text, or `PackageMissing`.
    """
    own, shared = getattr(args, store, None), getattr(args, "shared", None)
    variable = f"TRICKLEWEB_{store.upper()}"
    chosen = _chosen(store, None if own is None else [str(own)], variable) or _chosen("shared", shared, SHARED)
    option, texts = chosen or ("", [])
    schemes = {_scheme(text) for text in texts}
    if schemes == {""} or not any(store in ENGINES.get(scheme, ()) for scheme in schemes):
        if schemes - {""} and option == store:
            raise CommandFailed(f"--{store} takes a path, or a URL of redis")
        return None
    if len(texts) > 1:
        raise CommandFailed(f"--{option} takes one URL of redis")
    url = _redis_url(texts[0])
    if url.secrets and getattr(args, option) is not None:
        raise CommandFailed(_READABLE.format(f"REDISCLI_AUTH or {variable}"))
    return url


def _redis_url(text: str) -> RedisUrl:
    from trickleweb.stores.redis import RedisUrl
    from trickleweb.stores.redis.driver import redis_module

    redis_module()  # or its absence is known only in replicas
    return RedisUrl.parse(text)


def _url(text: str) -> DatabaseUrl | RedisUrl:
    if _scheme(text) in _REDIS:
        return _redis_url(text)
    from trickleweb.stores.postgresql import DatabaseUrl
    from trickleweb.stores.postgresql.driver import asyncpg_module

    asyncpg_module()  # as above
    return DatabaseUrl.parse(text)


def store_words(args: argparse.Namespace, store: str, usual: Path) -> tuple[str, ...]:
    """Return the options that lead a replica to a store: none if `--shared` or its environment does."""
    own = getattr(args, store, None)
    if own is None and redis_place(args, store) is not None:
        return ()
    return (f"--{store}", str(own or usual))


def shared_words(args: argparse.Namespace) -> tuple[str, ...]:
    """Return `--shared` as it was given."""
    return tuple(word for text in getattr(args, "shared", None) or () for word in ("--shared", text))


async def opened_ledger(place: LedgerPlace) -> Ledger:
    """Return the ledger at a place, which may not be usable yet: `look` says why."""
    import asyncio

    from trickleweb.ledger import LedgerUnavailable
    from trickleweb.stores import SqliteLedger
    from trickleweb.stores.postgresql import PostgresLedger
    from trickleweb.stores.redis import RedisLedger, RedisUrl
    from trickleweb.stores.sharded import ShardedLedger

    if place.path is not None:
        return SqliteLedger(place.path, patient=True)
    shards: list[PostgresLedger | RedisLedger] = [
        RedisLedger(url) if isinstance(url, RedisUrl) else PostgresLedger(url) for url in place.urls
    ]
    for result in await asyncio.gather(*(shard.open() for shard in shards), return_exceptions=True):
        if isinstance(result, BaseException) and not isinstance(result, LedgerUnavailable):
            raise result
    return shards[0] if len(shards) == 1 else ShardedLedger(shards)


def _chosen(option: str, given: Sequence[str] | None, variable: str) -> tuple[str, list[str]] | None:
    texts = given if given is not None else [each for each in (os.environ.get(variable),) if each]
    return (option, [each for text in texts for each in _NEXT_URL.split(text)]) if texts else None


def _scheme(text: str) -> str:
    found = _SCHEME.match(text)
    return found[1] if found else ""


def _file(texts: Sequence[str]) -> LedgerPlace:
    if len(texts) > 1:
        raise CommandFailed("a ledger is one file, or several databases")
    path = Path(texts[0]).absolute()
    return LedgerPlace(path=path, words=("--ledger", str(path)))

"""URLs of Redis servers: checked, and shown without their secrets."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlencode

from trickleweb.errors import WebError
from trickleweb.stores.server_urls import split_url, without_secrets

SCHEMES = ("redis", "rediss", "unix")
DEFAULT_PREFIX = "trickles"
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")
_PREFIX = re.compile(r"[a-z0-9_.-]{1,64}")
_DATABASE = re.compile(r"[0-9]{1,5}")
_TLS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname", "ssl_cert_reqs"})


class BadRedisUrl(WebError, ValueError):
    """A text that is not the URL of a Redis server. The error does not repeat it: there may be a password in it."""


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A server's database, and the prefix of keys in it. `shown` is for people; `dsn` may have a password.

    `replicas` is the number of other servers that must have a claim of the ledger before it counts.
    """

    dsn: str = field(repr=False)
    prefix: str
    shown: str
    replicas: int = 0
    secrets: tuple[str, ...] = field(repr=False, default=())

    @classmethod
    def parse(cls, text: str) -> RedisUrl:
        """Read `redis://user@host:port/0?prefix=name&replicas=1`, `rediss://...` or `unix:///path?db=0`.

        Raise `BadRedisUrl`.
        """
        parts, given = split_url(text, SCHEMES, _bad)
        person, _, host = parts.netloc.rpartition("@")
        name, _, password = person.partition(":")
        options = _options(given, parts.scheme)
        if parts.scheme == "unix":
            if host or len(parts.path) < 2:
                raise _bad("a socket is named as unix:///path")
        elif not _HOST.fullmatch(host) or not _DATABASE.fullmatch(parts.path.strip("/") or "0"):
            raise _bad("its host, port or database is malformed")
        prefix, replicas = options.pop("prefix", DEFAULT_PREFIX), options.pop("replicas", "0")
        if not _PREFIX.fullmatch(prefix) or replicas not in ("0", "1", "2", "3", "4", "5"):
            raise _bad("a prefix has letters, digits and _.-, and replicas are 0 to 5")
        where = f"{host}{parts.path}" + (f"?db={options['db']}" if "db" in options else "")
        return cls(
            dsn=f"{parts.scheme}://{parts.netloc}{parts.path}" + (f"?{urlencode(options)}" if options else ""),
            prefix=prefix,
            shown=f"{parts.scheme}://{name}{'@' if name else ''}{where}",
            replicas=int(replicas),
            secrets=tuple(each for each in (unquote(password),) if each),
        )

    def redacted(self, text: str) -> str:
        """Return a text without this URL's secrets."""
        return without_secrets(text, self.secrets)


def _options(given: list[tuple[str, str]], scheme: str) -> dict[str, str]:
    known = {"prefix", "replicas"} | ({"db"} if scheme == "unix" else _TLS if scheme == "rediss" else set())
    options = dict(given)
    if len(options) != len(given) or not options.keys() <= known:
        raise _bad(f"its parameters are {', '.join(sorted(known))}, each once")
    if not _DATABASE.fullmatch(options.get("db", "0")):
        raise _bad("db is a number")
    return options


def _bad(why: str) -> BadRedisUrl:
    return BadRedisUrl(f"not the URL of a Redis server, such as redis://user@host:6379/0: {why}")

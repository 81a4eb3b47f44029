"""URLs of databases: checked, and shown without their secrets."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlencode

from trickleweb.errors import WebError
from trickleweb.stores.server_urls import split_url, without_secrets

SCHEMES = ("postgresql", "postgres")
DEFAULT_SCHEMA = "trickles"
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*)(:[0-9]{1,5})?")
_SCHEMA = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,62}")
_SECRET = ("password", "sslpassword")
_PARAMETERS = (
    "application_name database dbname gsslib host krbsrvname passfile password port service servicefile ssl sslcert"
    " sslcrl sslkey sslmode sslnegotiation sslpassword sslrootcert ssl_max_protocol_version ssl_min_protocol_version"
    " target_session_attrs user"
)
_KNOWN = frozenset(_PARAMETERS.split())


class BadDatabaseUrl(WebError, ValueError):
    """A text that is not the URL of a database. The error does not repeat it: there may be a password in it."""


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """A database and a schema in it. `shown` is for people; `dsn` may have secrets."""

    dsn: str = field(repr=False)
    schema: str
    shown: str
    secrets: tuple[str, ...] = field(repr=False, default=())

    @classmethod
    def parse(cls, text: str) -> DatabaseUrl:
        """Read `postgresql://user@host:port,host:port/database?schema=name&sslmode=...`; raise `BadDatabaseUrl`.

        Parameters are those of libpq (PostgreSQL's documentation, 34.1.1), and `schema`. Without
        `target_session_attrs` only servers that can be written count.
        """
        parts, given = split_url(text, SCHEMES, _bad)
        person, _, hosts = parts.netloc.rpartition("@")
        if not all(_HOST.fullmatch(host) for host in hosts.split(",")):
            raise _bad("a host or port is malformed")
        options = _options(given)
        schema = options.pop("schema", DEFAULT_SCHEMA)
        if _SCHEMA.fullmatch(schema) is None:
            raise _bad("a schema is named by lower-case letters, digits and _")
        options.setdefault("target_session_attrs", "read-write")
        name, _, password = person.partition(":")
        secrets = [unquote(password), *(options.get(each, "") for each in _SECRET)]
        open_options = urlencode([(key, options[key]) for key in ("host", "port", "dbname") if key in options])
        shown = f"{parts.scheme}://{name}{'@' if name else ''}{hosts}{parts.path}"
        return cls(
            dsn=f"{parts.scheme}://{parts.netloc}{parts.path}?{urlencode(options)}",
            schema=schema,
            shown=shown + (f"?{open_options}" if open_options else ""),
            secrets=tuple(each for each in secrets if each),
        )

    def redacted(self, text: str) -> str:
        """Return a text without this URL's secrets."""
        return without_secrets(text, self.secrets)


def _options(given: list[tuple[str, str]]) -> dict[str, str]:
    options = dict(given)
    if len(options) != len(given) or not options.keys() <= _KNOWN | {"schema"}:
        raise _bad(f"its parameters are schema, {', '.join(sorted(_KNOWN))}, each once")
    return options


def _bad(why: str) -> BadDatabaseUrl:
    return BadDatabaseUrl(f"not the URL of a database, such as postgresql://user@host:5432/database: {why}")

"""A request as a handler sees it.

The client's mistakes are `HTTPError`s: 400 malformed, 413 too large, 415 of another type.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterable, Mapping
from copy import copy
from typing import Any

from trickles.keyring import Keyring
from trickleweb.convertors import CONVERTORS
from trickleweb.cookies import parse_cookies
from trickleweb.errors import HTTPError
from trickleweb.files.qvalues import media_weight
from trickleweb.forms import parse_urlencoded
from trickleweb.headers import Headers
from trickleweb.ledger import Ledger
from trickleweb.messages import RequestHead
from trickleweb.multidict import MissingField, MultiDict
from trickleweb.plain import Plain, dump_plain, load_plain
from trickleweb.request.body import Incoming, NotSetUp, Setting
from trickleweb.sealing import BadSeal, seal, unseal
from trickleweb.sessions import Session, csrf_token
from trickleweb.topics import Topics


class Request(Incoming):
    """One request, with its body (see `Incoming`).

    `params` are the path's, `path` is the part of it below a mount, `state` is for middleware, `principal` is the
    authenticated user, "" if none. `app` is the running application, and `found` its router's verdict.
    """

    __slots__ = ("_cookies", "_query", "app", "found", "params", "path", "principal", "state")

    def __init__(
        self, head: RequestHead, body: bytes | AsyncIterable[bytes] = b"", setting: Setting | None = None
    ) -> None:
        super().__init__(head, body, setting)
        self.path = head.path
        self.params: dict[str, Any] = {}
        self.state: dict[str, Any] = {}
        self.principal = ""
        self.app: Any = None
        self.found: Any = None
        self._cookies: Mapping[str, str] | None = None
        self._query: MultiDict[str] | None = None

    @property
    def method(self) -> str:
        """The method, as it was sent: methods are case-sensitive (RFC 9110 9.1)."""
        return self.head.method

    @property
    def headers(self) -> Headers:
        """The header fields."""
        return self.head.headers

    @property
    def host(self) -> str:
        """The requested authority, perhaps with a port; the client's word, see `trusted_hosts`."""
        return self.head.host

    @property
    def scheme(self) -> str:
        """http or https, as the client sees it."""
        return self.head.scheme

    @property
    def peer(self) -> str:
        """The address that the request came from, without port: a gateway's, mostly."""
        return self.setting.peer

    @property
    def now(self) -> int:
        """The time of the request in microseconds since 1970; the same when it is run again elsewhere."""
        return self.setting.now

    @property
    def is_whole(self) -> bool:
        """False in a run of a `partial` route for the beginning of the body, while the rest may still arrive.

        Such runs have the same `idempotency_key` as the last one. Their responses are dropped, except for errors, which
        are sent at once.
        """
        return self.setting.whole

    @property
    def idempotency_key(self) -> str:
        """A name of this request, the same when it is sent again: as a unique column it lets an effect happen once."""
        return self.setting.idempotency_key

    @property
    def query(self) -> MultiDict[str]:
        """The fields of the query."""
        if self._query is None:
            self._query = parse_urlencoded(self.head.query.encode("latin-1"), self.setting.form_limits)
        return self._query

    def typed(self, name: str, kind: str, default: Any = MissingField) -> Any:
        """Return a field of the query as one of the kinds of path parameters: `request.typed("page", "int", 1)`.

        Raise 400 for an invalid value, and for a missing one without a default.
        """
        text = self.query.get(name)
        if text is None:
            if default is MissingField:
                raise MissingField(name)
            return default
        try:
            return CONVERTORS[kind].parse(text)
        except ValueError:
            raise HTTPError(400, f"The field {name[:100]!r} is no {kind}.") from None

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies by name."""
        if self._cookies is None:
            self._cookies = parse_cookies(self.headers)
        return self._cookies

    def accepts(self, media_type: str) -> bool:
        """Return whether the client accepts that type, "text/html" for instance."""
        return media_weight(self.headers.joined("accept"), media_type) > 0

    def url_for(self, name: str, /, **params: object) -> str:
        """Return the path of a named route."""
        return self.setting.url_for(name, **params)

    def absolute(self, path: str) -> str:
        """Return the whole URL of a path on the requested host."""
        return f"{self.scheme}://{self.host}{path}"

    def entropy(self, label: str, byte_count: int = 32) -> bytes:
        """Return unguessable random bytes: different for each request and label, the same when it is run again."""
        if not (seed := self.setting.seed()):
            raise NotSetUp("no seed for entropy")
        blocks = range(-(-byte_count // 32))
        drawn = b"".join(hmac.digest(seed, b"%d %s" % (at, label.encode()), "sha256") for at in blocks)
        return drawn[:byte_count]

    @property
    def keyring(self) -> Keyring:
        """The fleet's current keyring; raises `NotSetUp` where there is none."""
        if self.setting.keyring is None:
            raise NotSetUp("no keyring: outside a fleet give the App one, see `key_directory`")
        return self.setting.keyring()

    @property
    def ledger(self) -> Ledger:
        """The ledger of the replicas; raises `NotSetUp` where there is none."""
        if self.setting.ledger is None:
            raise NotSetUp("no ledger: outside a fleet give the App one, a `SqliteLedger` for instance")
        return self.setting.ledger

    @property
    def topics(self) -> Topics:
        """The topics of the replicas; raises `NotSetUp` outside of an App."""
        if self.app is None:
            raise NotSetUp("no topics: only a request to an App has them")
        topics: Topics = self.app.topics
        return topics

    def seal(self, purpose: str, value: Plain, *, ttl: int, principal: str = "") -> str:
        """Return a sealed value that a client can hold but not read, valid for `ttl` microseconds; see `unseal`."""
        data, entropy = dump_plain(value), self.entropy(f"seal {purpose}")
        return seal(self.keyring, purpose, data, ttl=ttl, now=self.now, entropy=entropy, principal=principal)

    def unseal(self, purpose: str, token: str, *, principal: str = "") -> Plain:
        """Return the value that `seal` sealed for that purpose and principal; raise `BadSeal`, without reasons."""
        data = unseal(self.keyring, purpose, token, now=self.now, principal=principal).data
        try:
            return load_plain(data)
        except ValueError:
            raise BadSeal from None

    @property
    def session(self) -> Session:
        """The client's session."""
        session = self.state.get("session")
        if not isinstance(session, Session):
            raise NotSetUp("no sessions: add the middleware `sessions`")
        session.touched = True
        return session

    def csrf_token(self) -> str:
        """Return the token for the forms of the page that answers this request."""
        return csrf_token(self.session, entropy=self.entropy("csrf token"))

    def below(self, path: str, params: Mapping[str, Any]) -> Request:
        """Return the request for a mounted application: its own path, `params` added, the same body."""
        inner = copy(self)
        inner.path, inner.params = path, {**self.params, **params}
        self._source = None  # only one request can stream it
        return inner

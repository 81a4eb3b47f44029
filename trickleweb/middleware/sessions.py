"""Sessions for handlers, opened before and sealed after them; and forms that only pages of this site can send."""

from __future__ import annotations

from collections.abc import Callable

from trickles.keyring import Keyring
from trickleweb.cookies import Cookie
from trickleweb.errors import HTTPError
from trickleweb.forms import MULTIPART, URLENCODED
from trickleweb.handlers import Handler, Middleware, middleware
from trickleweb.request import Request
from trickleweb.responses import Response
from trickleweb.sealing import BadSeal
from trickleweb.sessions import Session, SessionPolicy, csrf_matches, open_session, session_cookie

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_FIELD, CSRF_HEADER = "csrf_token", "X-CSRF-Token"
_POLICY = SessionPolicy()


def sessions(ring: Callable[[], Keyring] | None = None, policy: SessionPolicy = _POLICY) -> Middleware:
    """Give every request its `session`, and seal changes into a cookie of the response.

    `ring` gives the current keyring, by default `request.keyring`, the fleet's. An invalid cookie means a new session,
    and is removed. Responses of handlers that did not use the session are unchanged; others are kept out of shared
    caches.
    """

    @middleware
    async def handle(request: Request, inner: Handler) -> Response:
        session = _opened(ring() if ring else request.keyring, policy, request)
        request.state["session"] = session
        response = await inner(request)
        if not session.touched:
            return response
        cookie = _cookie(ring() if ring else request.keyring, policy, request, session)
        response = response.varying("Cookie")
        if "cache-control" not in response.headers:
            response = response.with_header("Cache-Control", "private, no-cache")
        return response if cookie is None else response.with_cookie(cookie)

    return handle


def csrf_protection(*, exempt: Callable[[Request], bool] | None = None) -> Middleware:
    """Answer 403 for unsafe requests without the session's CSRF token in the field `csrf_token` or in a header.

    It goes inside `sessions`. A request whose Origin is another site's is always refused. `exempt` is for requests that
    browsers do not send by themselves, with a bearer token for instance.
    """

    @middleware
    async def handle(request: Request, inner: Handler) -> Response:
        if request.method not in SAFE_METHODS and not (exempt and exempt(request)):
            if not _is_same_origin(request):
                raise HTTPError(403, "This was sent by a page of another site.")
            if not csrf_matches(request.session, await _token(request)):
                raise HTTPError(403, "This form is too old: load its page again.")
        return await inner(request)

    return handle


def _opened(ring: Keyring, policy: SessionPolicy, request: Request) -> Session:
    sealed = request.cookies.get(policy.cookie)
    if sealed is not None:
        try:
            return open_session(ring, policy, sealed, now=request.now)
        except BadSeal:
            pass
    return Session()


def _cookie(ring: Keyring, policy: SessionPolicy, request: Request, session: Session) -> Cookie | None:
    return session_cookie(
        ring,
        policy,
        session,
        now=request.now,
        entropy=request.entropy(policy.purpose),
        had=policy.cookie in request.cookies,
        https=request.scheme == "https",
    )


def _is_same_origin(request: Request) -> bool:
    """Return whether the browser reports no other origin (Fetch 3.2, Fetch Metadata)."""
    if request.headers.get("sec-fetch-site") not in (None, "same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or origin.lower().partition("://")[2] == request.host


async def _token(request: Request) -> str:
    """Return the token of a request, "" if none; a form is read for it, and kept for the handler."""
    given = request.headers.get(CSRF_HEADER)
    if given is not None:
        return given
    if request.content_type.value not in (URLENCODED, MULTIPART):
        return ""
    await request.read()
    return request.form().get(CSRF_FIELD) or ""

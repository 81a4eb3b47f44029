"""Authentication by HTTP Basic (RFC 7617) and bearer tokens (RFC 6750), checked by a function of the application.

The function returns the principal's name, or None; it may be async. It should compare secrets with `same_secret`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import NoReturn

from trickleweb.errors import HTTPError
from trickleweb.handlers import Handler, Middleware, middleware
from trickleweb.parameters import quoted
from trickleweb.request import Request
from trickleweb.responses import Response

Answer = str | None | Awaitable[str | None]
CheckPassword = Callable[[str, str], Answer]  # user, password
CheckToken = Callable[[str], Answer]

_BASIC = re.compile(r"basic +([0-9A-Za-z+/]+={0,2})", re.IGNORECASE)
_BEARER = re.compile(r"bearer +([0-9A-Za-z._~+/-]+=*)", re.IGNORECASE)  # RFC 6750 2.1, b64token
_MAX_CREDENTIALS_CHARS = 8192


def basic_auth(check: CheckPassword, *, realm: str) -> Middleware:
    """Require a user and password that `check` accepts; answer others 401 with a challenge."""
    challenge = f'Basic realm={quoted(realm)}, charset="UTF-8"'

    @middleware
    async def handle(request: Request, inner: Handler) -> Response:
        user, password = _password(_credentials(request, _BASIC, challenge), challenge)
        principal = await _answer(check(user, password))
        if principal is None:
            _refuse("The user or password is wrong.", challenge)
        request.principal = principal
        return await inner(request)

    return handle


def bearer_auth(check: CheckToken, *, realm: str) -> Middleware:
    """Require a token that `check` accepts; answer others 401."""
    challenge = f"Bearer realm={quoted(realm)}"

    @middleware
    async def handle(request: Request, inner: Handler) -> Response:
        principal = await _answer(check(_credentials(request, _BEARER, challenge)))
        if principal is None:
            _refuse("The token is not valid.", f'{challenge}, error="invalid_token"')
        request.principal = principal
        return await inner(request)

    return handle


def same_secret(given: str, known: str) -> bool:
    """Return whether two secrets are equal, in a time independent of both, and of their lengths."""
    left, right = (hashlib.sha256(each.encode("utf-8", "surrogatepass")).digest() for each in (given, known))
    return hmac.compare_digest(left, right)


async def _answer(answer: Answer) -> str | None:
    return await answer if isawaitable(answer) else answer


def _credentials(request: Request, scheme: re.Pattern[str], challenge: str) -> str:
    """Return the credentials of the one Authorization field of that scheme; refuse the request without."""
    values = request.headers.all("authorization")
    value = values[0] if len(values) == 1 and len(values[0]) <= _MAX_CREDENTIALS_CHARS else ""
    found = scheme.fullmatch(value)
    return found[1] if found else _refuse("Credentials are required.", challenge)


def _password(text: str, challenge: str) -> tuple[str, str]:
    """Return user and password; a malformed pair is refused like a wrong one."""
    try:
        user, colon, password = base64.b64decode(text, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        _refuse("The user or password is wrong.", challenge)
    return (user, password) if colon else _refuse("The user or password is wrong.", challenge)


def _refuse(reason: str, challenge: str) -> NoReturn:
    raise HTTPError(401, reason, headers=(("WWW-Authenticate", challenge),))

"""The context of a request: all inputs of a response besides the request itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trickles.keyring import Keyring
from trickleweb.errors import WebError
from trickleweb.forms import DEFAULT_FORM_LIMITS, FormLimits
from trickleweb.ledger import Ledger
from trickleweb.limits import DEFAULT_LIMITS


class NotSetUp(WebError, RuntimeError):
    """A handler used a facility that the application was not set up with; the text names it."""


def _no_routes(name: str, /, **_params: object) -> str:
    raise NotSetUp(f"no routes, so none called {name!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The server's context of a request. One that is run again on another replica gets an equal setting."""

    now: int = 0  # microseconds since 1970
    seed: bytes = b""  # secret and random, 32 bytes; see `Request.entropy`
    peer: str = ""  # the client's address, without port
    idempotency_key: str = ""  # unique to the request, and equal when it is sent again
    max_body_bytes: int = DEFAULT_LIMITS.max_body_bytes
    form_limits: FormLimits = DEFAULT_FORM_LIMITS
    url_for: Callable[..., str] = _no_routes
    keyring: Callable[[], Keyring] | None = None  # gives the fleet's current one: keys rotate
    ledger: Ledger | None = None  # shared by the replicas

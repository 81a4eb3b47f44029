"""Where and when a request is handled: all that a response may depend on beside the request itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trickles.keyring import Keyring
from trickleweb.errors import WebError
from trickleweb.forms import DEFAULT_FORM_LIMITS, FormLimits
from trickleweb.ledger import Ledger
from trickleweb.limits import DEFAULT_LIMITS


class NotSetUp(WebError, RuntimeError):
    """A handler asked for what the application was not set up with; the text names what is missing."""


def _no_routes(name: str, /, **_params: object) -> str:
    raise NotSetUp(f"no routes to find {name!r} among")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a server tells of a request. One that is run again on another replica gets an equal setting."""

    now: int = 0  # microseconds since 1970
    seed: bytes = b""  # secret and random, 32 bytes; see `Request.entropy`
    peer: str = ""  # the client's address, without port
    idempotency_key: str = ""  # names this request: equal when it is sent again, and for no other
    max_body_bytes: int = DEFAULT_LIMITS.max_body_bytes
    form_limits: FormLimits = DEFAULT_FORM_LIMITS
    url_for: Callable[..., str] = _no_routes
    keyring: Callable[[], Keyring] | None = None  # the fleet's, as it is at the moment: keys rotate
    ledger: Ledger | None = None  # the one that the replicas share

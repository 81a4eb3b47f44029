"""Requests as applications on a replica get them, the same when they are run again."""

from __future__ import annotations

from collections.abc import Callable

from trickles.keyring import Keyring
from trickleweb.ledger import Ledger, request_key
from trickleweb.request import Request, Setting
from trickleweb.server.input import Body, CompleteRequest
from trickleweb.server.tokens.request import ReplayContext

_KEY_CHARS = 32


class RequestFactory:
    """Makes requests with what the replica's fleet shares."""

    def __init__(self, ring: Callable[[], Keyring], ledger: Ledger) -> None:
        self._ring = ring
        self._ledger = ledger

    def request(
        self, complete: CompleteRequest, body: Body, context: ReplayContext, *, connection: bytes, peer: str
    ) -> Request:
        """The request of a connection, handled in that context."""
        setting = Setting(
            now=context.now,
            seed=context.entropy,
            peer=peer,
            idempotency_key=request_key(connection, context.offset).hex()[:_KEY_CHARS],
            max_body_bytes=complete.terms.max_body_bytes,
            keyring=self._ring,
            ledger=self._ledger,
        )
        return Request(complete.head, body, setting)

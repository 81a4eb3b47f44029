"""What the HTTP server stands on when it serves a program: from a head to terms, from a request to a response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from trickles.service import Buffer
from trickleweb.bodies import FileBody, Rendered, StepsTable
from trickleweb.limits import DEFAULT_LIMITS
from trickleweb.messages import Plan
from trickleweb.messages import Request as Head
from trickleweb.request import Request
from trickleweb.responses import Response


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is settled about a request by its head alone, before any of its body is taken."""

    max_body_bytes: int = DEFAULT_LIMITS.max_body_bytes
    repeatable: bool = False  # an unsafe request whose replica died at work on it is run again: twice does no harm


class Application(Protocol):
    """A program that answers requests. Equal applications on all replicas go on with each other's responses."""

    @property
    def steps(self) -> StepsTable:
        """All stepped bodies that its responses may have."""

    def terms(self, head: Head) -> Terms:
        """The terms of a request; `HTTPError` for one that is refused whatever its body (404, 405, 413)."""

    async def respond(self, request: Request) -> Response:
        """The response, those for errors too; whatever it raises is answered 500 and reported.

        The request's body is bytes, or a stream that is read once: it is all there before this is called.
        """

    def render(self, body: Rendered) -> bytes:
        """The whole text of a template in UTF-8; equal context, equal bytes."""

    def file_plan(self, body: FileBody, head: Head) -> Plan:
        """The response for a file of one of the application's folders, with ranges and conditions as `head` asks.

        `HTTPError` if it is not there, `HashPending` when it is worth asking again soon.
        """

    def read(self, content: str, start: int, stop: int) -> Buffer:
        """The bytes [start, stop) of exactly that content of a `file_plan`, or `ContentNotHere`."""

    async def startup(self) -> None:
        """Called once on every replica before the first request."""

    async def shutdown(self) -> None:
        """Called once when a replica ends in an orderly way; a killed one never calls it."""

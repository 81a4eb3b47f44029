"""Interfaces between an application and the server: `Application` is run, `Planning` answers from the head alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from trickles.service import Buffer
from trickleweb.limits import DEFAULT_LIMITS

if TYPE_CHECKING:  # a replica of files starts sooner without them
    from trickleweb.bodies import StepsTable
    from trickleweb.errors import HTTPError
    from trickleweb.messages import Plan, RequestHead
    from trickleweb.request import Request
    from trickleweb.responses import Response


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms of a request, settled by its head alone, before any of its body is taken."""

    max_body_bytes: int = DEFAULT_LIMITS.max_body_bytes
    plan: Plan | None = None  # the response, where it follows from the head alone
    repeatable: bool = False  # an unsafe request whose replica died at work on it is run again: twice does no harm


class Application(Protocol):
    """A program that answers requests. Equal applications on all replicas go on with each other's responses."""

    @property
    def steps(self) -> StepsTable:
        """All stepped bodies that its responses may have."""

    def terms(self, head: RequestHead) -> Terms:
        """The terms of a request; `HTTPError` for one that is refused whatever its body (404, 405, 413)."""

    async def respond(self, request: Request) -> Response:
        """Return the response, those for errors too; what it raises is answered 500 and reported.

        Its body is one that a server can send: complete, planned, stepped or streamed. The request's body is bytes, or
        a stream that is read once: it is all there before this is called.
        """

    def read(self, content: str, start: int, stop: int) -> Buffer:
        """The bytes [start, stop) of exactly that content of a planned body, or `ContentNotHere`."""

    async def startup(self) -> None:
        """Called once on every replica before the first request."""

    async def shutdown(self) -> None:
        """Called once when a replica ends in an orderly way; a killed one never calls it."""


class Planning(Protocol):
    """Answers from the head of a request alone: files, redirects. An object may be an `Application` at the same time.

    A server asks it first, without an event loop.
    """

    def plan(self, head: RequestHead) -> Plan | None:
        """The response, or `HTTPError`; None if it takes the application. `HashPending`: worth asking again soon."""

    def error_page(self, error: HTTPError) -> Plan | None:
        """Its own response for an error, None if it has none."""

    def read(self, content: str, start: int, stop: int) -> Buffer:
        """The bytes [start, stop) of exactly that content, or `ContentNotHere`; `FilesUnavailable` for now."""

    def strong_name(self, content: str) -> str | None:
        """The name by which every machine knows a content that was begun without a hash, once there is one."""

"""Interfaces between an application and the server: `Application` is run, `Planning` answers from the head alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from trickles.service import Buffer
from trickleweb.limits import DEFAULT_LIMITS

if TYPE_CHECKING:  # a replica of files starts sooner without them
    from trickleweb.bodies import StepsTable
    from trickleweb.errors import HTTPError
    from trickleweb.messages import Plan, RequestHead
    from trickleweb.request import Request
    from trickleweb.responses import Response


class Terms(NamedTuple):
    """Terms of a request, which follow from its head alone, before its body is read."""

    max_body_bytes: int = DEFAULT_LIMITS.max_body_bytes
    plan: Plan | None = None  # the response, where it follows from the head alone
    repeatable: bool = False  # an unsafe request may run again after its replica died: twice does no harm
    partial: bool = False  # it may run before all of its body is there, any number of times: see `Request.is_whole`


class Application(Protocol):
    """Answers requests; equal applications on all replicas resume each other's responses."""

    @property
    def steps(self) -> StepsTable:
        """The steps of all stepped bodies that its responses may have."""

    def terms(self, head: RequestHead) -> Terms:
        """Return the terms of a request; raise `HTTPError` for one refused whatever its body (404, 405, 413)."""

    async def respond(self, request: Request) -> Response:
        """Return the response, also for errors; an exception is answered 500 and reported.

        Its body is complete, planned, stepped or streamed. The request's body is bytes, or a stream to be read once,
        all of which has arrived before this is called.
        """

    def read(self, content: str, start: int, stop: int) -> Buffer:
        """Return the bytes [start, stop) of a content in a planned body; raise `ContentNotHere`."""

    async def startup(self) -> None:
        """Prepare a replica; called once, before the first request."""

    async def shutdown(self) -> None:
        """Release resources; called once when a replica stops in order, never when it is killed."""


class Planning(Protocol):
    """Answers from the head of a request alone: files, redirects. An `Application` may be a `Planning` too.

    A server calls it first, without an event loop.
    """

    def plan(self, head: RequestHead) -> Plan | None:
        """Return the response, None for the application to answer; raise `HTTPError`, or `HashPending` if worth
        retrying soon.
        """

    def error_page(self, error: HTTPError) -> Plan | None:
        """Return its own response for an error, None if it has none."""

    def read(self, content: str, start: int, stop: int) -> Buffer:
        """Return the bytes [start, stop) of a content; raise `ContentNotHere`, or `FilesUnavailable` if that may
        pass.
        """

    def strong_name(self, content: str) -> str | None:
        """Return the content's name by hash, valid on every replica, once it is known, for one begun without a hash."""

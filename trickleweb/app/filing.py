"""Make the response of a file: what its handler says, and what the plan of the file says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from trickles.service import Buffer
from trickleweb.bodies import Complete, Planned
from trickleweb.bodies.iteration import planned_bytes
from trickleweb.headers import Headers
from trickleweb.messages import Inline, Plan
from trickleweb.responses import Response

MAX_PAGE_BYTES = 1 << 20  # of a file that is no download
_OF_VERSIONS = ("accept-ranges", "etag", "last-modified")
# Fields of the very bytes that go out: only the plan, which was made from the file, knows them.
_OF_THE_PLAN = frozenset({"content-range", "content-encoding", "etag", "last-modified", "accept-ranges"})


def with_file(response: Response, plan: Plan) -> Response:
    """The response with its file; a redirect, a listing or 304 has none, and is complete."""
    made = _merged(response, plan)
    inline = [piece.data for piece in plan.pieces if isinstance(piece, Inline)]
    if len(inline) == len(plan.pieces):
        return replace(made, body=Complete(b"".join(inline)))
    return replace(made, body=Planned(plan.pieces))


def as_page(response: Response, plan: Plan, read: Callable[[str, int, int], Buffer]) -> Response:
    """A file as the page of a status that is not 200: whole, and not to be compared with any version.

    `plan` is that of a plain GET; ValueError for a file that is too long to be a page.
    """
    if plan.body_bytes > MAX_PAGE_BYTES:
        raise ValueError(f"a file of {plan.body_bytes} bytes is sent with status 200, not {response.status}")
    data = b"".join(planned_bytes(Planned(plan.pieces), read))
    made = _merged(response, plan)
    return replace(made, status=response.status, headers=made.headers.without(*_OF_VERSIONS), body=Complete(data))


def _merged(response: Response, plan: Plan) -> Response:
    """The response with the plan's status and headers; of a header in both the handler's counts, and Vary is both."""
    own = response.headers.without(*_OF_THE_PLAN)
    theirs = [pair for pair in plan.headers if pair[0].lower() == "vary" or pair[0] not in own]
    others = [pair for pair in own if pair[0].lower() != "vary"]
    made = replace(response, status=plan.status, headers=Headers((*theirs, *others)))
    return made.varying(*own.tokens("vary"))

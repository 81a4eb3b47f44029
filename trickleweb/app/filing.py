"""What a response becomes once the plan of its file is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from trickles.service import Buffer
from trickleweb.bodies import Complete
from trickleweb.messages import Inline, Plan, Slice
from trickleweb.responses import Response
from trickleweb.responses.planned import planned

MAX_PAGE_BYTES = 1 << 20  # of a file that is no download
_TOLD_OF_FILES = ("accept-ranges", "etag", "last-modified")


def without_file(response: Response, plan: Plan) -> Response:
    """A redirect, a listing or 304 is no file, and complete; a file stays one."""
    if not all(isinstance(piece, Inline) for piece in plan.pieces):
        return response
    data = b"".join([piece.data for piece in plan.pieces if isinstance(piece, Inline)])
    return replace(planned(response, plan), body=Complete(data))


def as_page(response: Response, plan: Plan, read: Callable[[str, int, int], Buffer]) -> Response:
    """A file as the page of a status that is not 200: whole, and not to be compared with any version.

    `plan` is that of a plain GET; ValueError for a file that is no page by its length.
    """
    if plan.body_bytes > MAX_PAGE_BYTES:
        raise ValueError(f"a file of {plan.body_bytes} bytes is sent with status 200, not {response.status}")
    made = planned(response, plan)
    data = b"".join([_data(piece, read) for piece in plan.pieces])
    headers = made.headers.without(*_TOLD_OF_FILES)
    return replace(made, status=response.status, headers=headers, body=Complete(data))


def _data(piece: Inline | Slice, read: Callable[[str, int, int], Buffer]) -> bytes:
    return piece.data if isinstance(piece, Inline) else bytes(read(piece.content, piece.start, piece.stop))

"""A response whose body is a file: what its handler says, and what the file's plan says."""

from __future__ import annotations

from dataclasses import replace

from trickleweb.headers import Headers
from trickleweb.messages import Plan
from trickleweb.responses.response import Response

# What tells of the very bytes that go out: only who has read the file knows it.
_THE_PLANS = frozenset({"content-range", "content-encoding", "etag", "last-modified", "accept-ranges"})


def planned(response: Response, plan: Plan) -> Response:
    """The response with the plan's status and headers; of a header in both the handler's counts, and Vary is both."""
    own = response.headers.without(*_THE_PLANS)
    theirs = [pair for pair in plan.headers if pair[0].lower() == "vary" or pair[0] not in own]
    others = [pair for pair in own if pair[0].lower() != "vary"]
    made = replace(response, status=plan.status, headers=Headers((*theirs, *others)))
    return made.varying(*own.tokens("vary"))

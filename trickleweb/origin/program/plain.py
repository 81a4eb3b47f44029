"""Responses whose bytes are all known by their offset, and the states that bring them back.

A state holds the response itself where that is short; or the moment and the request, to be run again, with a digest of
what came of it; or, form 7, the key under which the ledger keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass

from trickles.service import Continuation, Event, Reply
from trickleweb.application import Application
from trickleweb.bodies import Complete, FileBody, Rendered
from trickleweb.messages import Inline, Plan
from trickleweb.messages import Request as Head
from trickleweb.origin.response import Read, Response
from trickleweb.responses import Response as ProgramResponse
from trickleweb.responses.planned import planned

KEPT = b"\x07"


@dataclass(frozen=True, slots=True)
class Plain:
    """A response and its state."""

    response: Response
    state: bytes

    def begin(self, event: Event, start: int, consumed: int, read: Read) -> Reply:
        """Its first bytes, as far as they are wanted, with the continuation for all of it; raises as `read` does."""
        response = self.response
        stop = start + response.size_bytes
        chunks = response.chunks(start, event.wants, event.budget, read)
        return Reply(tuple(chunks), Continuation(self.state, start, stop, consumed), stop if response.last else None)


def plan_of(application: Application, response: ProgramResponse, head: Head) -> Plan | None:
    """The plan of a program's response, None if its body is made as it goes; raises what `file_plan` raises."""
    match response.body:
        case Complete(data):
            return Plan(response.status, response.headers, (Inline(data),) if data else ())
        case Rendered() as body:
            return Plan(response.status, response.headers, (Inline(application.render(body)),))
        case FileBody() as body:
            plan = application.file_plan(body, head)
            made = planned(response, plan)
            return Plan(made.status, made.headers, plan.pieces)
        case _:
            return None

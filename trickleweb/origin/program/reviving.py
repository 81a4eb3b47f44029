"""Going on with what another replica began, or this one has forgotten: from a state back to its response."""

from __future__ import annotations

from dataclasses import replace

from trickleweb.application import Terms
from trickleweb.bodies import Complete, StateRefused, Streamed
from trickleweb.errors import HTTPError
from trickleweb.http1 import parse_head_untrusted, render_head
from trickleweb.ledger import request_key
from trickleweb.limits import Limits
from trickleweb.messages import NeedMore, Plan
from trickleweb.origin.given import Given
from trickleweb.origin.program.collecting import collected
from trickleweb.origin.program.cursors import from_cursor
from trickleweb.origin.program.framed import abandon, framed
from trickleweb.origin.program.live import Live, Origins
from trickleweb.origin.program.moment import Moment, unpack_moment
from trickleweb.origin.program.once import Once
from trickleweb.origin.program.plain import KEPT, plan_of
from trickleweb.origin.program.production import Production
from trickleweb.origin.program.retelling import key_of, retold
from trickleweb.origin.program.running import Runner
from trickleweb.origin.program.stretch import Again, Framing, Stretch, delivery_of, kind_check
from trickleweb.origin.program.taking import Taken
from trickleweb.origin.response import NotThisResponse, Response
from trickleweb.origin.state import Asked, decode
from trickleweb.responses import Response as ProgramResponse

_MOST_BYTES = 64 << 20  # of a body that came at once, and does not any more


class Reviver:
    """Makes responses anew; keeps nothing. `NotThisResponse` where that is not possible, or gives another one."""

    def __init__(self, runner: Runner, once: Once, limits: Limits) -> None:
        self._runner = runner
        self._once = once
        self._limits = limits

    async def plain(self, state: bytes, connection: bytes, peer: str) -> Response:
        """The response of a state that `plain` made."""
        if state.startswith(KEPT):
            state = await self._kept(state[len(KEPT) :])
        found = decode(state)
        if isinstance(found, Response):
            return found
        return await self._again(found, connection, peer)

    async def stream(self, stretch: Stretch, connection: bytes, peer: str) -> Live:
        """The live response of a stretch; its bytes are still to be verified."""
        if isinstance(stretch.way, Again):
            live = await self._stream_again(stretch.way, stretch.framing, connection, peer)
        else:
            live = self._from_cursor(stretch)
        live.revived_from = stretch
        return live

    def _from_cursor(self, stretch: Stretch) -> Live:
        try:
            return from_cursor(self._runner.application.steps, stretch)[0]
        except (StateRefused, NotThisResponse):
            raise
        except Exception as error:  # of a program's migration: a replica of another release may do without it
            self._runner.on_error(error)
            raise NotThisResponse("the steps cannot go on from that state") from error

    async def _stream_again(self, again: Again, framing: Framing, connection: bytes, peer: str) -> Live:
        taken = await self._request(again.request)
        response = await self._run(taken, again.moment, connection, peer)
        body = response.body
        if isinstance(body, Complete):  # it came at once this time
            body = Streamed((body.data,), len(body.data))
        if not isinstance(body, Streamed):
            raise NotThisResponse("the request is answered otherwise by now")
        delivery = delivery_of(framing, None if framing.chunked else body.byte_count)
        if kind_check(response.status, response.headers, delivery) != framing.kind_check:
            await abandon(body)
            raise NotThisResponse("the request is answered otherwise by now")
        head = render_head(response.status, response.headers, delivery, date_seconds=framing.date_s)
        known = head if framing.fits(head) else None  # its body can be gone on with all the same
        return Live(Production(framed(body, delivery)), Origins(again, None, {}, b""), framing, known)

    async def _again(self, found: Asked, connection: bytes, peer: str) -> Response:
        moment, request = unpack_moment(found.request)
        taken = await self._request(request)
        response = await self._run(taken, moment, connection, peer)
        if isinstance(response.body, Streamed) and found.has_body:  # it did not come at once this time
            response = replace(response, body=await self._collected(response.body))
        try:
            plan = plan_of(self._runner.application, response, taken.head)
        except HTTPError as error:
            raise NotThisResponse(str(error)) from None
        if plan is None:
            await abandon(response.body)
            if found.has_body:
                raise NotThisResponse("the request is answered otherwise by now")
            plan = Plan(response.status, response.headers)
        return found.resumed(plan)

    async def _collected(self, body: Streamed) -> Complete:
        try:
            return await collected(body, _MOST_BYTES)
        except Exception as error:
            self._runner.on_error(error)
            raise NotThisResponse("the body is another one here") from error

    async def _request(self, state: bytes) -> Taken:
        key = key_of(state)
        raw = retold(state) if key is None else await self._kept(key)
        try:
            head = parse_head_untrusted(raw, self._limits)
            terms = self._runner.application.terms(head) if not isinstance(head, NeedMore) else Terms()
        except HTTPError as error:
            raise NotThisResponse(str(error)) from None
        if isinstance(head, NeedMore):
            raise NotThisResponse("a request that is cut")
        given = Given(raw, len(raw), ended=False, read=lambda start, stop: raw[start:stop])
        return Taken(head, terms, given, len(raw))

    async def _run(self, taken: Taken, moment: Moment, connection: bytes, peer: str) -> ProgramResponse:
        key = request_key(connection, moment.offset)
        return await self._runner.run(taken, taken.body(), moment, peer=peer, key=key)

    async def _kept(self, key: bytes) -> bytes:
        found = await self._once.kept(key)
        if found is None:
            raise NotThisResponse("the ledger keeps nothing of it")
        return found

"""Going on with what another replica began, or this one has forgotten: from a state back to its response."""

from __future__ import annotations

import zlib

from trickleweb.application import Terms
from trickleweb.bodies import Streamed
from trickleweb.errors import HTTPError
from trickleweb.http1 import parse_head_untrusted, render_head
from trickleweb.ledger import request_key
from trickleweb.limits import Limits
from trickleweb.messages import NeedMore
from trickleweb.origin.given import Given
from trickleweb.origin.program.cursors import from_cursor
from trickleweb.origin.program.framed import framed
from trickleweb.origin.program.live import Live, Origins
from trickleweb.origin.program.moment import Moment, unpack_moment
from trickleweb.origin.program.once import Once
from trickleweb.origin.program.plain import KEPT, plan_of
from trickleweb.origin.program.production import Production
from trickleweb.origin.program.retelling import key_of, retold
from trickleweb.origin.program.running import Runner
from trickleweb.origin.program.stretch import Again, Stretch, delivery_of
from trickleweb.origin.program.taking import Taken
from trickleweb.origin.response import NotThisResponse, Response
from trickleweb.origin.state import Asked, decode
from trickleweb.responses import Response as ProgramResponse


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
        if not isinstance(stretch.way, Again):
            live, _ = from_cursor(self._runner.application.steps, stretch)
            return live
        taken = await self._request(stretch.way.request)
        response = await self._run(taken, stretch.way.moment, connection, peer)
        body, framing = response.body, stretch.framing
        if not isinstance(body, Streamed):
            raise NotThisResponse("the request is answered otherwise by now")
        delivery = delivery_of(framing, body.byte_count)
        head = render_head(response.status, response.headers, delivery, date_seconds=framing.date_s)
        if (len(head), zlib.crc32(head)) != framing[2:]:
            raise NotThisResponse("the request is answered with another head by now")
        return Live(Production(framed(body, delivery)), Origins(stretch.way, None, {}, b""), framing, head)

    async def _again(self, found: Asked, connection: bytes, peer: str) -> Response:
        moment, request = unpack_moment(found.request)
        taken = await self._request(request)
        response = await self._run(taken, moment, connection, peer)
        plan = plan_of(self._runner.application, response, taken.head)
        if plan is None:
            raise NotThisResponse("the request is answered otherwise by now")
        return found.resumed(plan)

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
        return await self._runner.run(taken, moment, peer=peer, key=key)

    async def _kept(self, key: bytes) -> bytes:
        found = await self._once.kept(key)
        if found is None:
            raise NotThisResponse("the ledger keeps nothing of it")
        return found

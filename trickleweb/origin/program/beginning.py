"""From a whole request to the beginning of its response: the program is run, once if it must be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from trickleweb.bodies import Complete, FileBody, Stepped, Streamed
from trickleweb.errors import HTTPError
from trickleweb.files import ContentNotHere, HashPending, PlanTooLarge
from trickleweb.http1 import Delivery, decide_delivery, error_plan, render_head
from trickleweb.ledger import Done, LedgerUnavailable, Lost, New, request_key
from trickleweb.messages import Plan
from trickleweb.messages import Request as Head
from trickleweb.origin.given import NOT_WHOLE, PERHAPS_DONE, lost
from trickleweb.origin.program.bounds import MOST_KEPT_BYTES
from trickleweb.origin.program.collecting import collected
from trickleweb.origin.program.cursors import first_state, from_cursor
from trickleweb.origin.program.framed import abandon, framed
from trickleweb.origin.program.live import Live, Origins
from trickleweb.origin.program.moment import Moment
from trickleweb.origin.program.once import Once
from trickleweb.origin.program.plain import KEPT, Plain, plan_of
from trickleweb.origin.program.production import Production
from trickleweb.origin.program.retelling import check_length, kept, told
from trickleweb.origin.program.running import Body, Runner
from trickleweb.origin.program.stretch import CURSOR, Again, framing_of, kind_check
from trickleweb.origin.program.stretch import decode as decode_stretch
from trickleweb.origin.program.taking import SAFE_METHODS, Taken, Where
from trickleweb.origin.response import NotThisResponse, Response
from trickleweb.origin.state import MAX_STATE_BYTES, decode, encode, exchange
from trickleweb.plain import StateTooLarge
from trickleweb.responses import Response as ProgramResponse

UNKNOWN_OUTCOME = "The server died at work on this request: whether it was done is not known."
_UNKEPT = "The response is too large to be kept."
_HASH_LOOKS, _HASH_PAUSE_S = 100, 0.05


@dataclass(frozen=True, slots=True)
class Begun:
    """A response about to go out; `taken_bytes` of the input were its request."""

    what: Plain | Live
    status: int
    taken_bytes: int
    body_bytes: int | None

    @property
    def last(self) -> bool:
        """The connection ends behind it."""
        return self.what.response.last if isinstance(self.what, Plain) else self.what.framing.last


@dataclass(frozen=True, slots=True)
class Turn:
    """A request to be answered, and how: `close` ends the connection behind the response."""

    taken: Taken
    connection: bytes
    peer: str
    moment: Moment
    close: bool

    @property
    def head(self) -> Head:
        """The request's head."""
        return self.taken.head

    @property
    def key(self) -> bytes:
        """What names the request in the ledger."""
        return request_key(self.connection, self.moment.offset)

    @property
    def date_s(self) -> int:
        """The response's Date."""
        return self.moment.now // 1_000_000


class Beginner:
    """Begins responses; keeps nothing. `on_error` is told what a program should not have made."""

    def __init__(self, runner: Runner, once: Once, on_error: Callable[[Exception], None]) -> None:
        self._runner = runner
        self._once = once
        self._on_error = on_error

    async def begin(self, turn: Turn) -> Begun:
        """Run the program, or find what came of it before.

        `InputLost`, `ContentNotHere`, `HashPending`, `LedgerUnavailable`, OSError: nothing has begun.
        """
        body = turn.taken.body()
        if turn.head.method in SAFE_METHODS:
            return await self._safely(turn, await self._run(turn, body))
        key = turn.key
        standing = await self._once.claim(key, repeatable=turn.taken.terms.repeatable)
        if isinstance(standing, Done):
            return self._done(turn, key, standing.plan)
        if isinstance(standing, Lost):
            state = self._refusal_to_keep(turn, UNKNOWN_OUTCOME)
        else:
            state = await self._state_to_keep(turn, await self._run(turn, body))
        return self._done(turn, key, await self._kept(turn, key, state))

    async def _run(self, turn: Turn, body: Body) -> ProgramResponse:
        return await self._runner.run(turn.taken, body, turn.moment, peer=turn.peer, key=turn.key)

    async def _plan(self, turn: Turn, response: ProgramResponse) -> Plan | None:
        """As `plan_of`; a file that is being hashed is waited for, so that the program need not run again."""
        for _ in range(_HASH_LOOKS):
            try:
                return plan_of(self._runner.application, response, turn.head)
            except HashPending:
                await asyncio.sleep(_HASH_PAUSE_S)
        return plan_of(self._runner.application, response, turn.head)

    # safe requests: what does not fit a state is made by running them again

    async def _safely(self, turn: Turn, response: ProgramResponse) -> Begun:
        close = turn.close or response.close
        try:
            plan = await self._plan(turn, response)
            if plan is None:
                return await self._stream(turn, response, close=close)
            return await self._plain(turn, plan, decide_delivery(turn.head, plan.status, plan.body_bytes, close=close))
        except (ContentNotHere, HashPending, LedgerUnavailable):
            raise
        except HTTPError as error:
            plan = error_plan(error)
        except Exception as error:
            if isinstance(error, OSError) and isinstance(response.body, FileBody):
                raise
            self._on_error(error)
            await abandon(response.body)
            plan = error_plan(HTTPError(500, "The response cannot be sent as it is."))
        return await self._plain(turn, plan, decide_delivery(turn.head, plan.status, plan.body_bytes, close=close))

    async def _plain(self, turn: Turn, plan: Plan, delivery: Delivery) -> Begun:
        value = exchange(plan, delivery, turn.date_s)
        made = value.response()
        head = made.head or b""
        if made.inline_bytes == plan.body_bytes:  # one buffer is cut and sent with less ado than two
            made = made.gathered(self._runner.application.read)
        try:
            state = encode(value, head, None, deflate=False)
        except PlanTooLarge:
            way = turn.moment.pack() + await self._told(turn)
            state = encode(value, head, lambda: way, deflate=False)
        return Begun(Plain(made, state), plan.status, turn.taken.size_bytes, made.size_bytes - made.head_bytes)

    async def _told(self, turn: Turn) -> bytes:
        """The request for a state; one too long for it lies in the ledger from now on, or is `RequestTooLong`."""
        check_length(turn.taken.size_bytes)
        raw = turn.taken.raw
        request = told(raw)
        if request is None:
            key, request = kept(raw)
            await self._once.complete(key, raw)
        return request

    async def _stream(self, turn: Turn, response: ProgramResponse, *, close: bool) -> Begun:
        body = response.body
        assert isinstance(body, Stepped | Streamed)
        length = body.byte_count if isinstance(body, Streamed) else None
        delivery = decide_delivery(turn.head, response.status, length, close=close)
        if not delivery.has_body:
            await abandon(body)
            return await self._plain(turn, Plan(response.status, response.headers), delivery)
        if isinstance(body, Stepped):
            plan = Plan(response.status, response.headers)
            state = first_state(plan, body, delivery, turn.date_s)
            live, _ = from_cursor(self._runner.application.steps, decode_stretch(state))
        else:
            head = render_head(response.status, response.headers, delivery, date_seconds=turn.date_s)
            origins = Origins(Again(turn.moment, await self._told(turn)), None, {}, b"")
            kind = kind_check(response.status, response.headers, delivery)
            framing = framing_of(delivery, turn.date_s, head, kind)
            live = Live(Production(framed(body, delivery)), origins, framing, head)
        return Begun(live, response.status, turn.taken.size_bytes, None)

    # unsafe requests: what came of them is kept before anybody hears of it

    async def _state_to_keep(self, turn: Turn, response: ProgramResponse) -> bytes:
        close = turn.close or response.close
        try:
            if isinstance(response.body, Stepped):
                delivery = decide_delivery(turn.head, response.status, None, close=close)
                if delivery.has_body:
                    return first_state(Plan(response.status, response.headers), response.body, delivery, turn.date_s)
                response = replace(response, body=Complete())
            elif isinstance(response.body, Streamed):
                response = replace(response, body=await collected(response.body, MOST_KEPT_BYTES))
            plan = await self._plan(turn, response)
            assert plan is not None
            return self._to_keep(turn, plan, close=close)
        except HTTPError as error:
            return self._to_keep(turn, error_plan(error), close=close)
        except Exception as error:  # noqa: BLE001 - it was done: whatever is wrong with the answer, it is not done again
            self._on_error(error)
            await abandon(response.body)
            return self._refusal_to_keep(turn, _UNKEPT if isinstance(error, PlanTooLarge | StateTooLarge) else "")

    def _refusal_to_keep(self, turn: Turn, why: str) -> bytes:
        return self._to_keep(turn, error_plan(HTTPError(500, why)), close=turn.close)

    def _to_keep(self, turn: Turn, plan: Plan, *, close: bool) -> bytes:
        delivery = decide_delivery(turn.head, plan.status, plan.body_bytes, close=close)
        value = exchange(plan, delivery, turn.date_s)
        return encode(value, value.response().head or b"", None, MOST_KEPT_BYTES, deflate=False)

    async def lost(self, where: Where, *, date_s: int) -> Begun:
        """The refusal of a request whose input was lost; from now on nobody acts on it. LedgerUnavailable."""
        key = request_key(*where)
        standing = await self._once.claim(key, repeatable=False)
        reason = NOT_WHOLE if isinstance(standing, New) else PERHAPS_DONE
        begun = refused(lost(reason), b"", None, date_s=date_s, taken_bytes=0, close=True)
        if isinstance(standing, Done):
            return self._said(standing.plan) or begun
        assert isinstance(begun.what, Plain)
        await self._once.complete(key, begun.what.state)
        return begun

    def _said(self, state: bytes) -> Begun | None:
        """What a connection ended with, if that is what the ledger keeps."""
        if state[0] == CURSOR or not isinstance(made := decode(state), Response) or not made.last:
            return None
        plain = Plain(made, state)
        return Begun(plain, int((made.head or b"HTTP/1.1 500")[9:12]), 0, made.size_bytes - made.head_bytes)

    async def _kept(self, turn: Turn, key: bytes, state: bytes) -> bytes:
        try:
            return await self._once.complete(key, state)
        except StateTooLarge as error:
            self._on_error(error)
            return await self._once.complete(key, self._refusal_to_keep(turn, _UNKEPT))

    def _done(self, turn: Turn, key: bytes, state: bytes) -> Begun:
        """The response that the ledger keeps; `NotThisResponse` if a replica of another release kept it."""
        if state[0] == CURSOR:
            live, status = from_cursor(self._runner.application.steps, decode_stretch(state))
            return Begun(live, status, turn.taken.size_bytes, None)
        made = decode(state)
        if not isinstance(made, Response):
            raise NotThisResponse("the ledger keeps what is no response")
        plain = Plain(made, state if len(state) <= MAX_STATE_BYTES else KEPT + key)
        status = int((made.head or b"HTTP/1.1 500")[9:12])
        return Begun(plain, status, turn.taken.size_bytes, made.size_bytes - made.head_bytes)


def refused(error: HTTPError, given: bytes, head: Head | None, *, date_s: int, taken_bytes: int, close: bool) -> Begun:
    """The response to a request that the program never sees, or to input that is none (`head` is None)."""
    html = head is not None and "text/html" in (head.headers.joined("accept") or "")
    try:
        return _refused(error_plan(error, html=html), error, given, head, date_s, taken_bytes, close=close)
    except (PlanTooLarge, ValueError):  # its fields are too long, or cannot be sent
        bare = HTTPError(error.status, close=error.close)
        return _refused(error_plan(bare), bare, given, head, date_s, taken_bytes, close=close)


def _refused(
    plan: Plan, error: HTTPError, given: bytes, head: Head | None, date_s: int, taken_bytes: int, *, close: bool
) -> Begun:
    if head is None:
        has_body = not given.lstrip(b"\r\n").startswith(b"HEAD ")
        delivery = Delivery(plan.body_bytes, chunked=False, has_body=has_body, keep_alive=False)
    else:
        delivery = decide_delivery(head, plan.status, plan.body_bytes, close=close or error.close)
    value = exchange(plan, delivery, date_s)
    made = value.response()
    plain = Plain(made, encode(value, made.head or b"", None))
    return Begun(plain, plan.status, taken_bytes, made.size_bytes - made.head_bytes)

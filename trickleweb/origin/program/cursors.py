"""Responses with stepped bodies: the state they begin with, and what any replica makes of one."""

from __future__ import annotations

from trickleweb.bodies import MAX_CHECKPOINT_BYTES, Checkpoint, Stepped, StepsTable
from trickleweb.files import decode_plan, encode_plan
from trickleweb.http1 import Delivery, render_head
from trickleweb.messages import Plan
from trickleweb.origin.program.framed import framed
from trickleweb.origin.program.live import Live, Origins
from trickleweb.origin.program.production import Production
from trickleweb.origin.program.stretch import Cursor, Stretch, delivery_of, fitting, framing_of
from trickleweb.origin.program.tape import Tape
from trickleweb.origin.response import NotThisResponse
from trickleweb.origin.state import MAX_STATE_BYTES


def first_state(plan: Plan, body: Stepped, delivery: Delivery, date_s: int) -> bytes:
    """The state that covers the head only; `StateTooLarge` or `PlanTooLarge` for what could not travel."""
    head = render_head(plan.status, plan.headers, delivery, date_seconds=date_s)
    framing = framing_of(delivery, date_s, head)
    way = Cursor(encode_plan(plan, MAX_STATE_BYTES, deflate=False), Checkpoint(body).pack(MAX_CHECKPOINT_BYTES))
    return fitting(Stretch(framing, 0, Tape().digest(0, 0), way, first=True).encode())


def from_cursor(known: StepsTable, stretch: Stretch) -> tuple[Live, int]:
    """The response gone on with from that stretch, and its status (0 if only its first stretch tells).

    `StateRefused` if the steps are not known here any more, `NotThisResponse` for a state of another release.
    """
    way, framing = stretch.way, stretch.framing
    assert isinstance(way, Cursor)
    body = known.unpack(way.checkpoint).body
    delivery = delivery_of(framing, None)
    head, status = None, 0
    if way.plan:
        try:
            plan = decode_plan(way.plan)
            rendered = render_head(plan.status, plan.headers, delivery, date_seconds=framing.date_s)
        except ValueError as exc:
            raise NotThisResponse(str(exc)) from None
        status, head = plan.status, rendered if framing.fits(rendered) else None
    production = Production(framed(body, delivery), stretch.at, body.cursor)
    return Live(production, Origins(None, body.steps, body.args, way.plan), framing, head), status

"""What an authentic answer changes: the episode in force, what is known of the output, which claims are over."""

from __future__ import annotations

from trickles.client.claims import Claim
from trickles.client.state import ConnectionState, Conversion
from trickles.wire.kinds import RequestFlag
from trickles.wire.response import TransportFrame, UserFrame

SEALED_USER_BYTES = 64  # what sealing adds to the state that a service wants back


def adopt(
    state: ConnectionState, frame: TransportFrame, now: int, number: int | None = None, *, small: bool = False
) -> None:
    """Take a fresh transport continuation, unless it belongs to an episode that is over.

    One of the episode in force takes the older one's place only if packet `number`, that it came with, is news.
    `small`: the size that the restart named was not believed.
    """
    episode, restarting = frame.episode, state.restarting
    base, start, _, _ = episode
    if base > state.last_base or start > state.limits.max_window or (base > state.next_number and state.transport):
        return  # it begins above all that was claimed, or allows more than any window
    if restarting is not None:
        if episode.base < restarting.start:
            return
        restarting.resize(min(restarting.stop, episode.base + max(episode.start, 1)))
        state.begin(frame, now)
        state.datagram_bytes = restarting.datagram_bytes
        if small:
            state.note_other_path()
        state.restarting = None
    elif state.transport is None or episode.base > state.board.cursor:
        state.begin(frame, now)
    elif episode.base >= state.board.episode.base:
        if episode.base > state.board.episode.base:
            state.board.rebase(episode)
            state.spoken = max(state.spoken, episode.base)
        elif number is not None and not state.board.awaits(number):
            return
        state.transport = frame
    else:
        return
    state.renewed_at = now


def learn(
    state: ConnectionState, frame: UserFrame, salt: bytes, *, conversion: Conversion | None, under: bytes = b""
) -> None:
    """Take a user continuation, the reply with that `salt` to a request `under` an earlier one, perhaps a conversion.

    What it consumed need not be sent again, what it covers can be asked for. A fleet cannot have consumed what was not
    written, and a continuation that no request has room for is of no use.
    """
    overlong = len(frame.blob) > state.limits.max_user_continuation_bytes + SEALED_USER_BYTES
    if overlong or frame.consumed > state.input.written or (frame.stop is not None and frame.stop < frame.start):
        state.counters.hit("dropped.malformed")
        return
    if state.wants.learn(frame, conversion=conversion is not None, under=under):
        state.input.note_consumed(frame.consumed)
        if conversion is not None and conversion.salt is None:
            conversion.salt = salt


def repeated(state: ConnectionState, claim: Claim) -> None:
    """All of that claim was sent before, so what has not come is lost: no number is proved, its data is asked for anew.

    When nothing above has arrived there is no proof that shows the loss; then only a restart goes on, and it is not
    clean.
    """
    if not claim.done:
        claim.lost = True
        state.tail_lost = True
        state.counters.hit("lost", claim.open_packets)
    close(state, claim)


def close(state: ConnectionState, claim: Claim) -> None:
    """Nothing more comes of that claim: what it wanted and did not bring is asked for again."""
    state.claims.remove(claim)
    if state.restarting is claim:
        state.restarting = None
    if claim.carries_input:
        _note_input(state, claim)
    state.wants.forget_below(state.output.next_offset)
    state.wants.extending = state.wants.extending and not claim.extends
    edge = state.wants.edge
    bound = state.output_end if state.output_end is not None else edge
    for start, stop in claim.wants:
        stop = stop if bound is None else min(stop, bound)
        if start < stop:
            state.wants.lost(state.output.missing(start, stop))
    if claim.converts and edge is not None:  # ask above what is covered once it is known whose it is
        state.wants.asked = min(state.wants.asked, max(edge, state.output.next_offset))


def _note_input(state: ConnectionState, claim: Claim) -> None:
    """Settle what became of the input that a claim brought."""
    queue, ends = state.input, bool(claim.flags & RequestFlag.INPUT_END)
    queue.in_flight = False
    if claim.flags & RequestFlag.INPUT_LOST:
        if claim.answered and not claim.lost:
            queue.note_loss_seen()
        return
    if queue.consumed > claim.input_offset:  # the rest, if any, is due again, and the end with it
        queue.end_told = queue.end_told or (ends and queue.consumed >= claim.input_stop)
    elif claim.answered and not claim.lost and claim.blob:  # what rode on the hello may have been left for a proved one
        queue.note_seen(claim.input_stop, ended=ends)

"""What an authentic answer changes: the episode in force, what is known of the output, which claims are over."""

from __future__ import annotations

from trickles.client.claims import Claim
from trickles.client.state import ConnectionState
from trickles.wire.kinds import RequestFlag
from trickles.wire.response import TransportFrame, UserFrame


def adopt(state: ConnectionState, frame: TransportFrame, now: int) -> None:
    """Take a fresh transport continuation, unless it belongs to an episode that is over."""
    episode, restarting = frame.episode, state.restarting
    if restarting is not None:
        if episode.base < restarting.start:
            return
        restarting.resize(min(restarting.stop, episode.base + max(episode.start, 1)))
        state.begin(frame, now)
        state.datagram_bytes = restarting.datagram_bytes
        state.restarting = None
    elif state.transport is None or episode.base > state.board.cursor:
        state.begin(frame, now)
    elif episode.base > state.board.episode.base:
        state.board.rebase(episode)
        state.spoken = max(state.spoken, episode.base)
        state.transport = frame
    elif episode.base == state.board.episode.base:
        state.transport = frame


def learn(state: ConnectionState, frame: UserFrame) -> None:
    """Take a user continuation: what it consumed need not be sent again, what it covers can be asked for."""
    if state.wants.learn(frame):
        state.input.note_consumed(frame.consumed)


def close(state: ConnectionState, claim: Claim) -> None:
    """Nothing more comes of that claim: what it wanted and did not bring is asked for again."""
    state.claims.remove(claim)
    if state.restarting is claim:
        state.restarting = None
    if claim.carries_input:
        state.input.in_flight = False
        early = not claim.blob  # rode on the hello: a service may leave it for a proved request
        if claim.answered and not claim.lost and not early:
            state.input.note_seen(claim.input_stop, ended=bool(claim.flags & RequestFlag.INPUT_END))
    tail = state.wants.tail
    bound = state.output_end if state.output_end is not None else tail
    for start, stop in claim.wants:
        stop = stop if bound is None else min(stop, bound)
        if start < stop:
            state.wants.lost(state.output.missing(start, stop))

"""One readable line for each datagram."""

from __future__ import annotations

from collections.abc import Iterator

from trickles.drivers.addresses import shown
from trickles.keyring import fingerprint
from trickles.limits import SECOND
from trickles.ranges import Range
from trickles.service import Continuation
from trickles.tools.earning import earning
from trickles.tools.opener import Opened
from trickles.tools.sightings import (
    Junk,
    SeenAwait,
    SeenAwaited,
    SeenCertificate,
    SeenHello,
    SeenPiece,
    SeenReceipt,
    SeenRefusal,
    SeenRequest,
    SeenResponse,
    Sighting,
    What,
)
from trickles.wire.awaiting import LEAVES, Question
from trickles.wire.kinds import RequestFlag, ResponseFlag
from trickles.wire.request import RequestBody
from trickles.wire.response import TransportFrame, UserFrame
from trickles.wire.transport import TransportState

_SHOWN_INPUT = 24  # bytes of input shown
_SHOWN_RANGES = 4


def line(sighting: Sighting, began_us: int) -> str:
    """Return one line without its end: time, connection, client, direction, replica, kind, size and content."""
    seconds = (sighting.time_us - began_us) / 1e6
    name = sighting.connection.hex()[:8] if sighting.connection else "-" * 8
    arrow = ">" if sighting.to_server else "<"
    kind = sighting.kind.name if sighting.kind is not None else "?"
    ends = f"{shown(sighting.client)} {arrow} {shown(sighting.replica)}"
    return f"{seconds:11.6f} {name} {ends} {kind:8} {sighting.size_bytes:5} B  {_about(sighting.what)}".rstrip()


def ranges(parts: tuple[Range, ...] | list[Range]) -> str:
    """Return half-open ranges as text, only the first few of many."""
    text = " ".join(f"[{start},{stop})" for start, stop in parts[:_SHOWN_RANGES])
    return text + (f" and {len(parts) - _SHOWN_RANGES} more" if len(parts) > _SHOWN_RANGES else "")


def _about(what: What) -> str:
    match what:
        case SeenHello():
            return " ".join(_hello(what))
        case SeenCertificate(certificate):
            return f"epoch {certificate.epoch:08x} identity {fingerprint(certificate.identity)}"
        case SeenRequest():
            return " ".join(_request(what))
        case SeenPiece(number, epoch, start, stop):
            bounds = "sealed" if start is None else f"input [{start},{stop})"
            return f"#{number} epoch {epoch:08x} {bounds}"
        case SeenResponse():
            return " ".join(_response(what))
        case _:
            return _brief(what)


def _brief(what: What) -> str:
    match what:
        case SeenRefusal(head):
            frame = f" {_transport(head.transport)}" if head.transport else ""
            if head.heartbeat is not None:
                frame = f" heartbeat of {len(head.heartbeat.data)} B each {head.heartbeat.every_us / SECOND:g} s"
            return f"answers #{head.request}: {head.code.name}{frame}{'' if head.tag else ' (unauthenticated hint)'}"
        case SeenReceipt(receipt):
            return f"answers #{receipt.request}: input [{receipt.start},{receipt.stop}) is spooled"
        case SeenAwait(number, epoch, asked):
            return f"#{number} epoch {epoch:08x} {_await(asked)}"
        case SeenAwaited(awaited):
            return f"answers #{awaited.number}: incarnation {awaited.incarnation:016x} at work {awaited.mask:b}"
        case Junk(reason):
            return f"not understood: {reason}"
        case _:
            return ""


def _hello(seen: SeenHello) -> Iterator[str]:
    hello, inside = seen.hello, seen.inside
    yield f"suite {hello.suite.name.lower()} epoch {hello.epoch:08x}"
    if any(hello.cookie):
        yield "with a cookie"
    if inside is None:
        return
    yield f"wants {inside.wanted} B"
    if inside.input or inside.input_end:
        yield _input(0, inside.input, inside.input_end)


def _request(seen: SeenRequest) -> Iterator[str]:
    yield f"#{seen.number} epoch {seen.epoch:08x}"
    body, opened = seen.body, seen.opened
    if opened is not None:
        yield f"law {_law(opened.state)}"
    if body is None:
        yield "sealed"
        return
    yield from _claim(body, opened)
    if body.wants:
        yield f"wants {ranges(body.wants)}"
    if seen.user is not None:
        yield _continuation(seen.user)
    elif body.user:
        yield f"user continuation of {len(body.user)} B"
    yield from _brought(body)


def _await(asked: Question | None) -> str:
    if asked is None:
        return "sealed"
    if asked.flags & LEAVES:
        return "LEAVES"
    others = f" and {len(asked.others)} of other connections" if asked.others else ""
    return "asks about " + " ".join(f"#{each}" for each in asked.numbers) + others


def _claim(body: RequestBody, opened: Opened | None) -> Iterator[str]:
    runs = tuple((start, stop) for start, stop, _ in body.runs)
    flags = body.flags
    if flags & RequestFlag.PROBE:
        yield "PROBE"
    if flags & RequestFlag.RESTART:
        yield f"RESTART at {body.restart_base}{' clean' if flags & RequestFlag.CLEAN else ''}"
        yield f"datagrams of {body.datagram_bytes} B"
    else:
        yield f"speaks for [{body.lo},{body.hi})"
        earned = earning(body, opened.state.episode) if opened else None
        if earned is not None:
            yield f"earns [{earned.start},{earned.stop}) window {earned.window}"
    if runs:
        yield f"proof {ranges(runs)}{_verdict(body, opened)}"


def _verdict(body: RequestBody, opened: Opened | None) -> str:
    if opened is None:
        return ""
    good = all(opened.nonces.run(start, stop) == nonce for start, stop, nonce in body.runs)
    return " good" if good else " BAD"


def _brought(body: RequestBody) -> Iterator[str]:
    if body.flags & RequestFlag.INPUT_LOST:
        yield f"has lost its input from {body.input_offset} on"
    elif body.flags & RequestFlag.COMMIT:
        yield f"commits spooled input from {body.input_offset}"
    elif body.flags & RequestFlag.INPUT:
        yield _input(body.input_offset, body.input, bool(body.flags & RequestFlag.INPUT_END))


def _response(seen: SeenResponse) -> Iterator[str]:
    yield f"number {seen.number} answers #{seen.request} data {seen.offset}+{seen.data_bytes}"
    if seen.transport is not None:
        yield _transport(seen.transport)
    if seen.user is not None:
        yield _user(seen.user)
    if seen.flags & ResponseFlag.SHORT:
        yield "SHORT"
    if seen.flags & ResponseFlag.END:
        yield "END"
    if seen.flags & ResponseFlag.REPEATED:
        yield "REPEATED"
    if seen.flags & ResponseFlag.SMALL:
        yield "SMALL"


def _transport(frame: TransportFrame) -> str:
    episode = frame.episode
    law = f"base {episode.base} start {episode.start} ssthresh {episode.ssthresh}"
    return f"TRANSPORT {law}{' unproved' if frame.embryo else ''}"


def _law(state: TransportState) -> str:
    episode = state.episode
    return f"{episode.base}/{episode.start}/{episode.ssthresh}{' unproved' if state.embryo else ''}"


def _user(frame: UserFrame) -> str:
    return f"USER {_bounds(frame.start, frame.stop, more=frame.more)} consumed {frame.consumed} of {len(frame.blob)} B"


def _continuation(value: Continuation) -> str:
    covered = _bounds(value.start, value.stop, more=value.more)
    return f"under {covered} consumed {value.consumed} state {len(value.state)} B"


def _bounds(start: int, stop: int | None, *, more: bool) -> str:
    return f"[{start},{'...' if stop is None else stop}){'+' * more}"


def _input(offset: int, data: bytes, ended: bool) -> str:
    more = "..." if len(data) > _SHOWN_INPUT else ""
    return f"input {offset}+{len(data)} {ascii(data[:_SHOWN_INPUT])[1:]}{more}{' and no more' if ended else ''}"

"""A live connection as a value, which another process or another release can resume.

A server keeps no connection, so the snapshot has all of it: the secret (from which the identity in stores and ledgers
follows), the transport continuation, the user continuations, how far output was taken and input consumed, the input
that may have to be sent again, and the numbers used. It has no requests in flight: a resumed client begins with a
restart, as after a timeout, and asks again for missing output. An unsafe request then goes out with the same input at
the same offset of the same connection, the key under which a fleet runs it at most once; and output continues at the
same byte, under the continuations that were taken.

Numbers never repeat, though the client may have gone on after its snapshot: a resumed client skips RESERVED_NUMBERS of
both kinds. A fleet takes a restart only so far ahead, so at most MOST_RESUMES follow one another without an answer in
between. Each snapshot is resumed at most once, and one that is kept for the client's own death is renewed when
`Client.snapshot_is_stale`. It holds the connection's keys: keep it secret.

Layout: magic (4) | version (2) | fields, each after its length. A release reads the versions that it knows, and refuses
others with UnknownSnapshot, from the first six bytes on. Any other bytes are BadPacket: each field is checked against
the bounds of a connection, for a resumed client must be as robust as a new one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from trickles.client.flight import FlightState
from trickles.client.input import InputState
from trickles.client.output import SEALED_USER_BYTES, OutputState
from trickles.client.rtt import MOST_BACKOFF, RoundTrip
from trickles.client.upload import MOST_ATTEMPTS, UploadState
from trickles.errors import BadPacket, UnknownSnapshot
from trickles.limits import Limits
from trickles.session import connection_id
from trickles.wire.coverage import read_stop, stop_field
from trickles.wire.kinds import Address, Suite
from trickles.wire.request import MOST_OFFSET
from trickles.wire.response import TRANSPORT_FRAME_BYTES, UserFrame, parse_transport_untrusted

VERSION = 1
RESERVED_NUMBERS = 1 << 16  # that a client may use after its snapshot, of either kind
MOST_RESUMES = 15  # in a row without an answer: together well below max_restart_skip
MOST_FRAMES = 1 << 16
MOST_REPLICAS = 256
MOST_HOST_BYTES = 64  # an IPv6 address with its zone
_MAGIC = b"TRKS"
_HEAD = struct.Struct(">4sH")
_SECRET_BYTES = 32
_CONNECTION = struct.Struct(f">B{_SECRET_BYTES}sIIIIQQQQBIQ")  # to `number`, sizes, round trip, failovers, stall
_FLIGHT = struct.Struct(">I?IIQ")  # next number, clean, the run that is proved (up to 0: none)
_INPUT = struct.Struct(">QQQq???")
_UPLOAD = struct.Struct(">??QQQQI")
_OUTPUT = struct.Struct(">QQ")  # taken, end
_FRAME = struct.Struct(">QQQ")  # start, stop, consumed; the sealed continuation follows
_ADDRESS = struct.Struct(">HQ")  # port, packets served; the host follows
_LENGTH = struct.Struct(">I")
_NO_END = (1 << 64) - 1
_MOST_TIME = 1 << 40  # microseconds: twelve days
_FIELDS = 14


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A connection between two datagrams; see the module's text."""

    suite: Suite
    secret: bytes
    certificate: bytes
    window_bytes: int
    number: int  # of the last datagram
    sizes: tuple[int, int, int]  # datagrams in use, largest that passes, proof
    flight: FlightState
    input: InputState
    upload: UploadState
    output: OutputState
    round_trip: RoundTrip
    failovers: int
    stall_us: int
    home: Address
    served: Mapping[Address, int]

    def resumed_too_often(self, limits: Limits) -> bool:
        """Return True if a fleet would refuse to restart as far from what was proved as a resumed client must."""
        proved = self.flight.run[1] if self.flight.run is not None else self.flight.frame.episode.base
        return self.flight.next_number + RESERVED_NUMBERS > proved + limits.max_restart_skip

    def encode(self) -> bytes:
        flight, queue, upload, output = self.flight, self.input, self.upload, self.output
        end = _NO_END if output.end is None else output.end
        figures = *self.sizes, *self.round_trip, self.failovers, self.stall_us
        fields = (
            _CONNECTION.pack(self.suite, self.secret, self.window_bytes, self.number, *figures),
            self.certificate,
            flight.frame.encode(),
            _FLIGHT.pack(flight.next_number, flight.clean, *(flight.run or (0, 0, 0))),
            _INPUT.pack(*queue[:7]),
            queue.lost.encode(),
            queue.data,
            _UPLOAD.pack(*upload[:7]),
            _address(upload.pinned) if upload.pinned is not None else b"",
            _OUTPUT.pack(output.taken, end),
            output.ready,
            _joined(map(_frame, output.frames)),
            _address(self.home),
            _joined(_address(each, packets) for each, packets in self.served.items()),
        )
        return _HEAD.pack(_MAGIC, VERSION) + _joined(fields)


def _joined(fields: Iterable[bytes]) -> bytes:
    return b"".join(part for field in fields for part in (_LENGTH.pack(len(field)), field))


def _frame(frame: UserFrame) -> bytes:
    return _FRAME.pack(frame.start, stop_field(frame.stop, more=frame.more), frame.consumed) + frame.blob


def _address(address: Address, packets: int = 0) -> bytes:
    host, port = address
    return _ADDRESS.pack(port, packets) + host.encode()


def parse_snapshot_untrusted(data: bytes, limits: Limits) -> Snapshot:
    """Undo `Snapshot.encode`; UnknownSnapshot for another release's format, BadPacket for anything else."""
    if data[:4] != _MAGIC or len(data) < _HEAD.size:
        raise BadPacket("not a snapshot")
    _, version = _HEAD.unpack_from(data)
    if version != VERSION:
        raise UnknownSnapshot(f"a snapshot of version {version}, and this release reads version {VERSION}")
    try:
        found = _read(_split(memoryview(data)[_HEAD.size :], _FIELDS))
    except (struct.error, ValueError):  # the latter for invalid text too
        raise BadPacket("malformed snapshot") from None
    _check(found, limits)
    return found


def _split(data: memoryview, most: int) -> list[bytes]:
    fields, at = list[bytes](), 0
    while at < len(data):
        (size,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size + size
        if at > len(data) or len(fields) >= most:
            raise ValueError("a field that does not fit")
        fields.append(bytes(data[at - size : at]))
    return fields


def _read(fields: list[bytes]) -> Snapshot:
    head, certificate, frame, flight, queue, lost, data, upload, pinned, output, ready, frames, home, served = fields
    suite, secret, window, number, *sizes, srtt8, rttvar4, least, backoff, failovers, stall = _CONNECTION.unpack(head)
    next_number, clean, *run = _FLIGHT.unpack(flight)
    taken, end = _OUTPUT.unpack(output)
    if len(frame) != TRANSPORT_FRAME_BYTES:
        raise ValueError("no continuation")
    proved = (run[0], run[1], run[2]) if run[1] else None
    return Snapshot(
        *(Suite(suite), secret, certificate, window, number, (sizes[0], sizes[1], sizes[2])),
        FlightState(parse_transport_untrusted(frame, 0), next_number, proved, clean),
        InputState._make((*_INPUT.unpack(queue), lost.decode("ascii"), data)),
        UploadState._make((*_UPLOAD.unpack(upload), _read_address(pinned)[0] if pinned else None)),
        OutputState(taken, ready, None if end == _NO_END else end, tuple(_read_frames(frames))),
        *(RoundTrip(srtt8, rttvar4, least, backoff), failovers, stall, _read_address(home)[0]),
        dict(map(_read_address, _split(memoryview(served), MOST_REPLICAS))),
    )


def _read_frames(data: bytes) -> Iterator[UserFrame]:
    for each in _split(memoryview(data), MOST_FRAMES):
        start, field, consumed = _FRAME.unpack_from(each)
        stop, more = read_stop(field)
        yield UserFrame(start, stop, consumed, each[_FRAME.size :], more)


def _read_address(data: bytes) -> tuple[Address, int]:
    port, packets = _ADDRESS.unpack_from(data)
    host = data[_ADDRESS.size :].decode("ascii")
    if not host or len(host) > MOST_HOST_BYTES:
        raise ValueError("no address")
    return (host, port), packets


def _check(found: Snapshot, limits: Limits) -> None:
    for sound, name in (
        (_sizes_are_sound(found, limits), "sizes"),
        (_flight_is_sound(found, limits), "continuation or numbers"),
        (_input_is_sound(found.input, found.upload), "input"),
        (_output_is_sound(found.output, found.input, limits), "output"),
    ):
        if not sound:
            raise BadPacket(f"a snapshot whose {name} are out of bounds")


def _sizes_are_sound(found: Snapshot, limits: Limits) -> bool:
    used, proven, _ = found.sizes
    srtt8, rttvar4, least, backoff = found.round_trip
    times = max(srtt8, rttvar4, least, found.stall_us) < _MOST_TIME and backoff <= MOST_BACKOFF
    return limits.min_datagram_bytes <= used <= proven <= limits.max_datagram_bytes and times and found.window_bytes > 0


def _flight_is_sound(found: Snapshot, limits: Limits) -> bool:
    (base, start, _, _), run, top = found.flight.frame.episode, found.flight.run, found.flight.next_number
    room = top <= limits.max_number - limits.max_window - RESERVED_NUMBERS and start <= limits.max_window
    proved = base == run[0] < run[1] <= top if run is not None else not found.flight.clean
    numbers = found.number <= limits.max_number - RESERVED_NUMBERS and base <= top
    return room and proved and numbers and found.flight.frame.connection == connection_id(found.secret)


def _input_is_sound(queue: InputState, upload: UploadState) -> bool:
    order = queue.consumed <= queue.held <= queue.written <= MOST_OFFSET and queue.base in (queue.consumed, queue.held)
    pieces = upload.start <= upload.stop <= queue.held or not upload.active
    counts = upload.attempts <= MOST_ATTEMPTS and upload.counted <= MOST_OFFSET
    return order and pieces and counts and -1 <= queue.offered <= queue.written


def _output_is_sound(output: OutputState, queue: InputState, limits: Limits) -> bool:
    arrived, at = output.taken + len(output.ready), 0
    for start, stop, consumed, blob, _ in output.frames:
        ordered = at <= start and (stop is None or start <= stop) and consumed <= queue.written
        if not ordered or len(blob) > limits.max_user_continuation_bytes + SEALED_USER_BYTES:
            return False
        at = stop if stop is not None else _NO_END + 1
    frames = len(output.frames) <= limits.max_continuations
    return frames and arrived <= MOST_OFFSET and (output.end is None or arrived <= output.end <= MOST_OFFSET)

"""A replica for end-to-end tests, as a program: it prints `ready HOST PORT`, and serves until SIGTERM.

Its service takes lines: `get N` is answered by N bytes of the tape, `bye N` too, and then the output ends; `sum N` and
N bytes of input are answered by their SHA-256 as a line of hexadecimal digits. With --greeting it speaks first.
"""

import argparse
import asyncio
import hashlib
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from trickles.drivers.replica import AsyncReplica
from trickles.drivers.udp import BatchSocket
from trickles.drivers.world import NoncePool
from trickles.handshake import certify, identity_public
from trickles.keyring import Epoch, Keyring
from trickles.limits import Limits
from trickles.listener import Listener
from trickles.service import Continuation, Event, Reply
from trickles.spool import Spool

AGES = 1 << 62  # the certificate is good whenever the tests run
IDENTITY = b"end to end".ljust(32, b".")  # tests have nothing to hide
PUBLIC = identity_public(IDENTITY)
GREETING = b"hello, whoever you are\n"
LOOP_BYTES = 1_000_003  # prime: no packet size divides it
_TAPE = Random(7).randbytes(LOOP_BYTES)
_DOUBLE = memoryview(_TAPE + _TAPE)


def tape(start: int, stop: int) -> bytes:
    """Bytes [start, stop) of a tape without end on which neighbouring stretches differ."""
    rounds = (stop - start) // LOOP_BYTES + 2
    at = start % LOOP_BYTES
    return (_TAPE * rounds)[at : at + stop - start]


def tape_digest(size_bytes: int) -> str:
    """SHA-256 of the first bytes of the tape."""
    whole, rest = divmod(size_bytes, LOOP_BYTES)
    digest = hashlib.sha256()
    for _ in range(whole):
        digest.update(_TAPE)
    digest.update(_TAPE[:rest])
    return digest.hexdigest()


LAST, MORE = b".", b","  # whether the output ends with this answer
TAPE, TEXT = b"@", b"="  # what the answer is made of


@dataclass(frozen=True, slots=True)
class Lines:
    """Answers `get` and `sum` lines; keeps nothing, for the continuation says which answer it is and where it lies."""

    greeting: bytes = b""

    def handle(self, event: Event) -> Reply:
        """Answer from the continuation, or turn the next line of input into one."""
        known = event.continuation
        if known is None and self.greeting:
            return _answer(event, Continuation(MORE + TEXT + self.greeting, 0, len(self.greeting), 0))
        behind = known.consumed if known else 0
        if event.input and event.input_offset == behind:
            fresh = _converted(event, known.stop or 0 if known else 0)
            if fresh is not None:
                return _answer(event, fresh)
        elif event.input_end and event.input_offset == behind:  # nothing follows the answer that is under way
            return Reply(end=known.stop if known else 0)
        return Reply() if known is None else _answer(event, known)


def _converted(event: Event, start: int) -> Continuation | None:
    """The continuation for the first line of the input, which is answered from output offset `start` on."""
    line, newline, _ = event.input.partition(b"\n")
    word, _, number = line.partition(b" ")
    behind = event.input_offset + len(line) + 1
    taken = behind + int(number) if word == b"sum" else behind
    if not newline or event.input_stop < taken:
        return None
    mark = LAST if word == b"bye" or (event.input_end and event.input_stop == taken) else MORE
    if word == b"sum":
        answer = _digest(event, behind, taken).encode() + b"\n"
        return Continuation(mark + TEXT + answer, start, start + len(answer), taken)
    return Continuation(mark + TAPE, start, start + int(number), taken)


def _digest(event: Event, start: int, stop: int) -> str:
    if event.spooled is not None:
        return hashlib.sha256(event.spooled.read(start, stop)).hexdigest()
    return hashlib.sha256(event.input[start - event.input_offset : stop - event.input_offset]).hexdigest()


def _answer(event: Event, current: Continuation) -> Reply:
    """What is wanted of the answer that `current` stands for."""
    chunks, room = [], event.budget
    assert current.stop is not None
    for start, stop in event.wants:
        start, stop = max(start, current.start), min(stop, current.stop, start + room)
        if start < stop:
            chunks.append((start, _output(current, start, stop)))
            room -= len(chunks[-1][1])
    fresh = None if current is event.continuation else current
    return Reply(tuple(chunks), fresh, current.stop if current.state.startswith(LAST) else None)


def _output(current: Continuation, start: int, stop: int) -> memoryview:
    if current.state[1:2] == TEXT:
        return memoryview(current.state)[2:][start - current.start : stop - current.start]
    at = (start - current.start) % LOOP_BYTES
    return _DOUBLE[at : at + min(stop - start, LOOP_BYTES)]


async def serve(arguments: argparse.Namespace) -> None:
    """Serve until told to stop."""
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    secret = arguments.fleet.encode().ljust(32, b".")
    ring = Keyring((certify(Epoch(1, secret), identity_public_seed(arguments.fleet), life=AGES),))
    socket = BatchSocket.bind(arguments.host, arguments.port, reuse_port=arguments.reuse_port)
    service = Lines(GREETING if arguments.greeting else b"")
    listener = Listener(ring, service, entropy=NoncePool(), limits=Limits(), spool=_spool(arguments.spool))
    replica = AsyncReplica(listener, socket)
    print("ready", *socket.address, flush=True)
    await told.wait()
    replica.close()
    socket.close()


def identity_public_seed(fleet: str) -> bytes:
    """The identity of the fleet of that name."""
    return IDENTITY if fleet == "fleet" else fleet.encode().ljust(32, b"!")


def _spool(folder: str | None) -> Spool | None:
    if folder is None:
        return None
    from trickles.drivers.spooldir import SpoolDirectory

    return SpoolDirectory(folder)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--reuse-port", action="store_true")
    parser.add_argument("--spool")
    parser.add_argument("--greeting", action="store_true")
    parser.add_argument("--fleet", default="fleet", help="fleets of different names share no key")
    asyncio.run(serve(parser.parse_args(argv)))


if __name__ == "__main__":
    main()

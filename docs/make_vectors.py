"""Makes vectors.json, the test vectors of wire-format.md: `python docs/make_vectors.py`.

Everything is fixed: keys, times and what would be random come from labels. All bytes are hex. The library makes the
vectors; the hello's one-time key, which clients choose, is fixed like the rest.
tests/conformance/test_vectors.py makes all of them again by hand and takes them apart with the library.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from trickles import hpke
from trickles.client.rtt import RoundTrip
from trickles.continuation import Seals
from trickles.handshake import certify, hello_public_key, identity_public, make_cookie
from trickles.keyring import Epoch, Keyring, Purpose, expand
from trickles.law import RENO
from trickles.limits import DEFAULT_LIMITS, SECOND
from trickles.listener.sizes import size_proof
from trickles.nonce import NonceSequence
from trickles.service import Continuation, Heartbeat, Refusal
from trickles.session import SessionKeys, connection_id, connection_identity
from trickles.spool import receipt
from trickles.stores import store_tag
from trickles.trickle import Episode, LossRecovery, course, paused, rescaled, timed_out
from trickles.wire.awaiting import LEAVES, Awaited, await_body
from trickles.wire.hello import ASK_BYTES, HELLO_HEADER_BYTES, HPKE_OVERHEAD, NO_COOKIE, Hello, HelloInside
from trickles.wire.kinds import Kind, RequestFlag, ResponseFlag, Suite, address_bytes
from trickles.wire.piece import Receipt, commit_body, piece_body
from trickles.wire.refusal import heartbeat_frame, refusal_header
from trickles.wire.request import RequestBody, request_header
from trickles.wire.response import HEADER, TransportFrame, UserFrame
from trickles.wire.transport import TransportState

Json = dict[str, Any]
NOW = 1_700_000_000_000_000
CLIENT = "192.0.2.1"
INCARNATION = 0x0123456789ABCDEF
OUTPUT = b"forty bytes of output, or a little fewer"


def fixed(label: str, size: int) -> bytes:
    """Bytes that look random and depend on their label alone."""
    return hashlib.shake_256(b"trickles vectors: " + label.encode()).digest(size)


EPOCH_KEY, IDENTITY = fixed("epoch key", 32), fixed("identity", 32)
SECRET, SALT, NONCE = fixed("secret", 32), fixed("salt", 8), fixed("nonce", 12)
STORE = fixed("spool", 32)
EPOCH = certify(Epoch(0x01020304, EPOCH_KEY, NOW - 1_000_000), IDENTITY)
RING = Keyring((EPOCH,))
CONNECTION, OWNER = connection_id(SECRET), connection_identity(SECRET)
STORE_TAG = store_tag(fixed("store", 32))
FIRST_NONCE_KEY = EPOCH.derive(Purpose.NONCE, OWNER, 12) + STORE_TAG
NONCE_KEY = expand(FIRST_NONCE_KEY, Purpose.NONCE, NOW.to_bytes(8, "big"), 12) + STORE_TAG
EPISODE = Episode(9, 10, 65_536)


def state(suite: Suite, *, embryo: bool) -> TransportState:
    """The transport state that most vectors share."""
    episode = Episode(0, 3, 65_536) if embryo else EPISODE
    key = FIRST_NONCE_KEY if embryo else NONCE_KEY
    return TransportState(suite, embryo, NOW, address_bytes(CLIENT), 1200, episode, SECRET, key)


def blob(suite: Suite, *, embryo: bool = False) -> bytes:
    """That state, sealed."""
    return Seals(CONNECTION, b"").transport(RING, state(suite, embryo=embryo), NONCE, NOW)


def user_blob() -> bytes:
    """A user continuation, sealed."""
    value = Continuation(b"file 7", 0, 300_000, 14)
    return Seals(b"", OWNER).user(RING, value, NONCE, NOW, DEFAULT_LIMITS.max_user_continuation_bytes)


# keys


def keys() -> Json:
    """Derived keys, by purpose."""
    table = [
        ("epoch", EPOCH_KEY, Purpose.TRANSPORT, CONNECTION, 32),
        ("epoch", EPOCH_KEY, Purpose.USER, OWNER, 32),
        ("epoch", EPOCH_KEY, Purpose.HELLO, b"", 32),
        ("epoch", EPOCH_KEY, Purpose.NONCE, OWNER, 12),
        ("secret", SECRET, Purpose.IDENTITY, b"", 32),
        ("secret", SECRET, Purpose.TO_SERVER, CONNECTION, 32),
        ("secret", SECRET, Purpose.TO_CLIENT, CONNECTION, 32),
    ]
    rows = [
        {"from": source, "purpose": purpose.name, "context": context, "key": expand(key, purpose, context, length)}
        for source, key, purpose, context, length in table
    ]
    return {
        "epoch": {"id": EPOCH.identifier, "key": EPOCH_KEY, "not_before": EPOCH.not_before},
        "secret": SECRET,
        "connection": CONNECTION,
        "store": fixed("store", 32),
        "identity": OWNER,
        "nonce_key_after_first_restart": NONCE_KEY,
        "derived": rows,
        "spool": STORE,
        "receipt_0_1000": f"{receipt(NONCE_KEY, STORE, 0, 1000):016x}",
        "receipt_1000_5000": f"{receipt(NONCE_KEY, STORE, 1000, 5000):016x}",
    }


def range_nonces() -> Json:
    """r(p) for the first few numbers, what each packet carries, and two runs."""
    sequence = NonceSequence(NONCE_KEY)
    return {
        "key": NONCE_KEY,
        "r": [f"{sequence.value(number):016x}" for number in range(8)],
        "carried_by_0_to_6": [f"{nonce:016x}" for nonce in sequence.proofs(0, 7)],
        "run_1_7": f"{sequence.run(1, 7):016x}",
        "run_9_4294967295": f"{sequence.run(9, (1 << 32) - 1):016x}",
    }


def sealed_values() -> Json:
    """Continuations and the cookie."""
    return {
        "transport": [
            {"suite": int(suite), "embryo": embryo, "plaintext": state(suite, embryo=embryo).encode()}
            | {"nonce": NONCE, "bytes": blob(suite, embryo=embryo)}
            for suite, embryo in ((Suite.SEALED, False), (Suite.SEALED, True), (Suite.OPEN, False))
        ],
        "user": {"issued": NOW, "start": 0, "stop": 300_000, "consumed": 14, "state": b"file 7"}
        | {"nonce": NONCE, "bytes": user_blob()},
        "cookie": {"address": address_bytes(CLIENT), "now": NOW}
        | {"bytes": bytes((Kind.COOKIE,)) + make_cookie(RING, address_bytes(CLIENT), now=NOW)},
    }


# handshake


def handshake() -> Json:
    """Ask, certificate, hello."""
    inside = HelloInside(SECRET, 65_507, True, 3600, b"GET / HTTP/1.1\r\n\r\n")
    plaintext = inside.encode(1200 - HELLO_HEADER_BYTES - HPKE_OVERHEAD)
    empty = Hello(Suite.SEALED, EPOCH.identifier, NO_COOKIE, b"")
    one_time = fixed("one-time key", 32)
    sealed = hpke.seal(one_time, hello_public_key(EPOCH), b"trickles 1 hello" + empty.bound(), plaintext)
    cookie = make_cookie(RING, address_bytes(CLIENT), now=NOW)
    return {
        "ask": bytes((Kind.ASK,)).ljust(ASK_BYTES, b"\0"),
        "identity": {"private": IDENTITY, "public": identity_public(IDENTITY)},
        "certificate": bytes((Kind.CERTIFICATE,)) + EPOCH.certificate,
        "hello": {
            "one_time_private": one_time,
            "early_input": inside.input,
            "datagram_bytes": inside.datagram_bytes,
            "wanted": inside.wanted,
            "input_end": inside.input_end,
            "bytes": Hello(Suite.SEALED, EPOCH.identifier, NO_COOKIE, sealed).encode(),
            "bytes_with_cookie": Hello(Suite.SEALED, EPOCH.identifier, cookie, sealed).encode(),
        },
    }


# datagrams of an established connection


def requests() -> list[Json]:
    """Requests of each shape, in both suites."""
    sequence = NonceSequence(NONCE_KEY)
    runs = ((9, 19, sequence.run(9, 19)), (20, 33, sequence.run(20, 33)))
    restart = RequestFlag.RESTART | RequestFlag.CLEAN
    proof = divmod(size_proof(RING, address_bytes(CLIENT), 1472, now=NOW, limits=DEFAULT_LIMITS), 1 << 32)
    commit = commit_body(14, 6014, receipt(NONCE_KEY, STORE, 14, 6014))
    bodies = {
        "speaks for numbers, wants two ranges": RequestBody(
            0, 1200, 20, 33, 0, runs, ((14_700, 15_852), (18_156, 30_000)), user_blob()
        ),
        "restarts after a pause": RequestBody(restart, 1472, *proof, 64, runs[:1], ((30_000, 60_000),), user_blob()),
        "repeats a claim": RequestBody(RequestFlag.PROBE, 1200, 19, 19, 0, runs[:1]),
        "brings the last input": RequestBody(
            RequestFlag.INPUT | RequestFlag.INPUT_END, 1200, 9, 19, 0, runs[:1], ((0, 1152),), b"", 14, b"PING\n"
        ),
        "commits spooled input": RequestBody(
            RequestFlag.INPUT | RequestFlag.COMMIT, 1200, 9, 19, 0, runs[:1], (), b"", 14, commit
        ),
        "has lost its input": RequestBody(
            RequestFlag.INPUT | RequestFlag.INPUT_LOST, 1200, 9, 19, 0, runs[:1], ((0, 1152),), b"", 14
        ),
    }
    rows = []
    for number, (what, body) in enumerate(bodies.items(), 7):
        for suite in Suite:
            header = request_header(Kind.REQUEST, blob(suite), number)
            datagram = SessionKeys(SECRET, suite).seal_request(header, body.encode())
            fields = {name: value for name, value in body._asdict().items() if value not in ((), b"")}
            if body.runs:
                fields["runs"] = [(start, stop, f"{nonce:016x}") for start, stop, nonce in body.runs]
            rows.append({"what": what, "suite": int(suite), "number": number, "body": fields, "bytes": datagram})
    return rows


def responses() -> list[Json]:
    """Response packets with and without frames, in both suites."""
    user = UserFrame(0, 300_000, 14, user_blob())
    shapes: list[tuple[str, int, bool]] = [
        ("data", 0, False),
        ("the last of a short reply", ResponseFlag.SHORT | ResponseFlag.END, False),
        ("a fresh transport continuation", ResponseFlag.TRANSPORT, False),
        ("both continuations, address not proved", ResponseFlag.TRANSPORT | ResponseFlag.USER, True),
    ]
    rows = []
    for number, (what, flags, embryo) in enumerate(shapes, 40):
        for suite in Suite:
            fresh = TransportFrame(state(suite, embryo=embryo).episode, embryo, blob(suite, embryo=embryo))
            frames = fresh.encode() if flags & ResponseFlag.TRANSPORT else b""
            frames += user.encode() if flags & ResponseFlag.USER else b""
            proof = NonceSequence(NONCE_KEY).run(number, number + 1)
            clear = HEADER.pack(Kind.RESPONSE, flags, 7, SALT, number, proof, 40_000) + frames
            parts = SessionKeys(SECRET, suite).seal_response(clear, OUTPUT, tagged=bool(frames))
            row = {"what": what, "suite": int(suite), "flags": flags, "request": 7, "salt": SALT, "number": number}
            row |= {"proof": f"{proof:016x}", "offset": 40_000, "frames": frames}
            rows.append(row | {"data": OUTPUT, "bytes": b"".join(parts)})
    return rows


def others() -> list[Json]:
    """Refusals, pings, pongs, pieces, receipts, questions about work and goodbyes, in suite sealed."""
    session, number = SessionKeys(SECRET, Suite.SEALED), 65_545
    fresh = TransportFrame(Episode(0, 3, 65_536), True, blob(Suite.SEALED, embryo=True))
    rows: list[Json] = [{"what": "hint of an unknown epoch", "bytes": refusal_header(Refusal.EPOCH, number, SALT)}]
    for code in Refusal:
        mends = code in (Refusal.EXPIRED, Refusal.ADDRESS)
        work = (250_000, INCARNATION) if code is Refusal.WORKING else (0, 0)
        worked_us = work[0]
        clear = refusal_header(code, number, SALT, *work) + (fresh.encode() if mends else b"")
        row: Json = {"what": f"refusal {code.name}", "code": int(code), "worked_us": worked_us}
        rows.append(row | {"bytes": clear + session.tag(clear)})
    clear = refusal_header(Refusal.WORKING, number, SALT, 0, INCARNATION)
    clear += heartbeat_frame(Heartbeat(b": alive\n\n", 15 * SECOND, bytes(range(8))))
    beats: Json = {"what": "refusal WORKING with a heartbeat", "subject": bytes(range(8)), "distance_ms": 15_000}
    rows.append(beats | {"heartbeat": b": alive\n\n", "number": number, "bytes": clear + session.tag(clear)})
    ping = request_header(Kind.PING, blob(Suite.SEALED), number)
    rows.append({"what": "ping", "bytes": session.seal_request(ping, bytes(300 - len(ping) - 16))})
    proof = size_proof(RING, address_bytes(CLIENT), 300, now=NOW, limits=DEFAULT_LIMITS)
    pong = HEADER.pack(Kind.PONG, 0, number & 0xFFFF, SALT, number, proof, 0)
    rows.append(
        {
            "what": "pong",
            "address": address_bytes(CLIENT),
            "time": NOW,
            "bytes": b"".join(session.seal_response(pong, bytes(300 - 48), tagged=True)),
        }
    )
    piece = request_header(Kind.PIECE, blob(Suite.SEALED), number)
    row = {"what": "piece", "offset": 1000, "data": b"input " * 20}
    rows.append(row | {"bytes": session.seal_request(piece, piece_body(1000, b"input " * 20))})
    got = Receipt(number, 1000, 1120, receipt(NONCE_KEY, STORE, 1000, 1120)).clear(SALT)
    rows.append({"what": "receipt", "start": 1000, "stop": 1120, "bytes": got + session.tag(got)})
    header, named = request_header(Kind.AWAIT, blob(Suite.SEALED), number), [7, 65_540]
    rows.append({"what": "await", "named": named, "bytes": session.seal_request(header, await_body(named))})
    others = [(b"8 bytes!", 9), (b"identity", 70_000)]
    together = session.seal_request(header, await_body([7], others=others))
    rows.append({"what": "await of others", "named": [7], "others": [list(each) for each in others], "bytes": together})
    rows.append({"what": "goodbye", "named": [], "bytes": session.seal_request(header, await_body([], LEAVES))})
    answer = Awaited(number, INCARNATION, 0b10).clear(SALT)
    rows.append({"what": "awaited", "mask": 0b10, "bytes": answer + session.tag(answer)})
    return [row | {"number": number} for row in rows]


# arithmetic


def laws() -> Json:
    """Windows of Reno, and what follows from losses and restarts."""
    path = course(EPISODE, [(9, 60), (61, 100), (103, 140), (141, 150)])
    legs = [_law(leg.episode) | (_recovery(leg.recovery) if leg.recovery else {}) for leg in path.legs]
    idle = course(EPISODE, [(9, 100)])
    clean = paused(idle.episode, idle.window(100), 300, 32)
    timeout = timed_out(path.episode, path.window(150), 400)
    return {
        "reno": [
            {"start": start, "ssthresh": ssthresh, "windows": [RENO.window(j, start, ssthresh) for j in range(64)]}
            for start, ssthresh in ((10, 65_536), (10, 4), (2, 8), (1, 1))
        ],
        "tiling": {"base": 9, "start": 10, "ssthresh": 16, "edges": [Episode(9, 10, 16).edge(n) for n in range(9, 60)]},
        "loss": {
            "base": 9,
            "start": 10,
            "ssthresh": 65_536,
            "runs": [[9, 60], [61, 100], [103, 140], [141, 150]],
            "legs": legs,
            "edges_from_9": [path.edge(number) for number in range(9, 151)],
        },
        "clean restart of [9, 100) at 300": _law(clean),
        "restart after a timeout of the loss above at 400": _law(timeout),
        "the clean restart from 1200 to 1472 bytes": _law(rescaled(clean, 1200, 1472)),
    }


def _law(episode: Episode) -> Json:
    return {"base": episode.base, "start": episode.start, "ssthresh": episode.ssthresh}


def _recovery(recovery: LossRecovery) -> Json:
    return {"hole": recovery.hole, "last": recovery.last, "reduced": recovery.reduced}


def round_trips() -> list[Json]:
    """RFC 6298 arithmetic: samples in microseconds, then the estimate and its timers after each."""
    rows = []
    for samples in ([100_000, 100_000, 140_000, 90_000, 300_000, 100_000], [1, 1, 50], [2_000_000, 1_000]):
        estimate, after = RoundTrip(), []
        for sample in samples:
            estimate = estimate.sampled(sample)
            after.append([estimate.srtt, estimate.rttvar4, estimate.timeout(), estimate.probe_timeout()])
        backed_off = [estimate := estimate.backed_off(), estimate := estimate.backed_off()]
        row = {"samples": samples, "srtt_rttvar4_rto_pto": after}
        rows.append(row | {"rto_backed_off": [each.timeout() for each in backed_off]})
    return rows


def vectors() -> Json:
    """All of them, bytes as hex."""
    made = {
        "keys": keys(),
        "range_nonces": range_nonces(),
        "sealed": sealed_values(),
        "handshake": handshake(),
        "requests": requests(),
        "responses": responses(),
        "others": others(),
        "laws": laws(),
        "round_trips": round_trips(),
    }
    result = json.loads(json.dumps(made, default=lambda value: bytes(value).hex()))
    assert isinstance(result, dict)
    return result


def main() -> None:
    """Write the file beside this one."""
    text = json.dumps(vectors(), indent=1) + "\n"
    Path(__file__).with_name("vectors.json").write_text(text, encoding="ascii")


if __name__ == "__main__":
    main()

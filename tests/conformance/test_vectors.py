"""The vectors of docs/wire-format.md: made again by hand, and taken apart by the library."""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise
from typing import Any

import pytest

from tests.support import by_hand
from tests.support.vectors import VECTORS, made_now, octets
from trickles.continuation import open_transport_untrusted, open_user_untrusted
from trickles.errors import Forged, IdentityError
from trickles.handshake import EpochKeys, hello_public_key, valid_cookie, verify_certificate_untrusted
from trickles.keyring import Epoch, Keyring
from trickles.nonce import NonceSequence
from trickles.service import Continuation, Heartbeat, Refusal
from trickles.session import SessionKeys, connection_id, connection_identity
from trickles.spool import receipt
from trickles.stores import store_tag
from trickles.wire.awaiting import parse_await_untrusted, parse_awaited_untrusted
from trickles.wire.hello import NO_COOKIE, parse_hello_untrusted
from trickles.wire.kinds import Kind, Suite
from trickles.wire.piece import parse_piece_untrusted, parse_receipt_untrusted
from trickles.wire.refusal import parse_refusal_untrusted
from trickles.wire.request import parse_body_untrusted, split_untrusted
from trickles.wire.response import HEADER, parse_frames_untrusted

KEYS, SEALED, HANDSHAKE = VECTORS["keys"], VECTORS["sealed"], VECTORS["handshake"]
EPOCH_ID, EPOCH_KEY = KEYS["epoch"]["id"], octets(KEYS["epoch"]["key"])
SECRET, CONNECTION = octets(KEYS["secret"]), octets(KEYS["connection"])
IDENTITY = octets(KEYS["identity"])
RING = Keyring((Epoch(EPOCH_ID, EPOCH_KEY, KEYS["epoch"]["not_before"]),))
BLOBS = {(each["suite"], each["embryo"]): octets(each["bytes"]) for each in SEALED["transport"]}
OTHERS = {each["what"]: each for each in VECTORS["others"]}
ISSUED = 1_700_000_000_000_000


def name(vector: dict[str, Any]) -> str:
    suite = vector.get("suite")
    return f"{vector['what']}, {Suite(suite).name.lower()}" if suite else str(vector["what"])


def test_the_file_is_what_the_script_makes() -> None:
    assert made_now() == VECTORS, "run: python docs/make_vectors.py"


# keys and sealed values


@pytest.mark.parametrize("row", KEYS["derived"], ids=lambda row: row["purpose"])
def test_derived_keys(row: dict[str, Any]) -> None:
    source = EPOCH_KEY if row["from"] == "epoch" else SECRET
    key = octets(row["key"])
    assert by_hand.derived(source, row["purpose"], octets(row["context"]), len(key)) == key


def test_the_secret_names_the_connection() -> None:
    assert by_hand.connection_id(SECRET) == connection_id(SECRET) == CONNECTION
    assert by_hand.identity(SECRET) == connection_identity(SECRET) == IDENTITY


def first_nonce_key() -> bytes:
    """As the replica that greets makes it: with the tag of its store."""
    tag = sha256(b"trickles 1 store" + octets(KEYS["store"])).digest()[:4]
    return by_hand.derived(EPOCH_KEY, "NONCE", IDENTITY, 12) + tag


def test_the_nonce_key_changes_with_the_first_restart_and_keeps_the_tag_of_the_store() -> None:
    first, expected = first_nonce_key(), octets(KEYS["nonce_key_after_first_restart"])
    assert by_hand.derived(first, "NONCE", ISSUED.to_bytes(8, "big"), 12) + first[12:] == expected
    assert store_tag(octets(KEYS["store"])) == first[12:]
    assert store_tag(b"") == bytes(4)


def test_range_nonces() -> None:
    vector = VECTORS["range_nonces"]
    key, expected = octets(vector["key"]), [int(each, 16) for each in vector["r"]]
    carried = [int(each, 16) for each in vector["carried_by_0_to_6"]]
    assert [by_hand.range_nonce(key, number) for number in range(8)] == expected
    assert carried == [one ^ other for one, other in pairwise(expected)]
    assert int(vector["run_1_7"], 16) == expected[1] ^ expected[7]
    assert int(vector["run_9_4294967295"], 16) == by_hand.range_nonce(key, 9) ^ by_hand.range_nonce(key, (1 << 32) - 1)
    assert NonceSequence(key).proofs(0, 7) == carried


def test_spool_receipts() -> None:
    key = octets(KEYS["nonce_key_after_first_restart"])
    first, second = (int(KEYS[each], 16) for each in ("receipt_0_1000", "receipt_1000_5000"))
    store = octets(KEYS["spool"])
    assert by_hand.receipt(key, store, 0, 1000) == first
    assert by_hand.receipt(key, store, 0, 5000) == first ^ second == receipt(key, store, 0, 5000)
    assert by_hand.receipt(key, store[::-1], 0, 1000) != first


def plaintext_by_hand(suite: int, embryo: bool) -> bytes:
    law = (0, 3, 65_536) if embryo else (9, 10, 65_536)
    key = first_nonce_key() if embryo else octets(KEYS["nonce_key_after_first_restart"])
    address = bytes(10) + b"\xff\xff" + bytes((192, 0, 2, 1))
    return by_hand.transport_plaintext(suite, embryo, ISSUED, address, 1200, law, SECRET, key)


@pytest.mark.parametrize("vector", SEALED["transport"], ids=["sealed", "sealed, unproved", "open"])
def test_transport_continuations(vector: dict[str, Any]) -> None:
    plaintext = plaintext_by_hand(vector["suite"], vector["embryo"])
    assert plaintext == octets(vector["plaintext"])
    nonce, expected = octets(vector["nonce"]), octets(vector["bytes"])
    made = by_hand.sealed_value(EPOCH_ID, EPOCH_KEY, "TRANSPORT", CONNECTION, nonce, plaintext)
    assert CONNECTION + made == expected
    connection, state = open_transport_untrusted(RING, expected)
    assert (connection, state.encode()) == (CONNECTION, plaintext)


def test_user_continuation() -> None:
    vector = SEALED["user"]
    fields = (vector["start"], vector["stop"], vector["consumed"])
    plaintext = by_hand.user_plaintext(vector["issued"], *fields, octets(vector["state"]))
    nonce, expected = octets(vector["nonce"]), octets(vector["bytes"])
    assert by_hand.sealed_value(EPOCH_ID, EPOCH_KEY, "USER", IDENTITY, nonce, plaintext) == expected
    value = open_user_untrusted(RING, IDENTITY, expected, now=vector["issued"] + 10, life=10)
    assert value == Continuation(octets(vector["state"]), *fields)
    with pytest.raises(Forged):
        open_user_untrusted(RING, IDENTITY, expected, now=vector["issued"] + 11, life=10)


def test_cookie() -> None:
    vector = SEALED["cookie"]
    datagram, address, now = octets(vector["bytes"]), octets(vector["address"]), vector["now"]
    issued = now.to_bytes(8, "big")
    assert datagram == bytes((Kind.COOKIE,)) + issued + by_hand.derived(EPOCH_KEY, "COOKIE", issued + address, 16)
    assert valid_cookie(RING, datagram[1:], address, now=now + 5, life=5)
    assert not valid_cookie(RING, datagram[1:], address, now=now + 6, life=5)


# handshake


def test_ask_and_certificate() -> None:
    ask, datagram = octets(HANDSHAKE["ask"]), octets(HANDSHAKE["certificate"])
    assert (ask[0], datagram[0], len(ask)) == (Kind.ASK, Kind.CERTIFICATE, 200)
    assert len(datagram) < len(ask)
    certificate = verify_certificate_untrusted(datagram[1:], octets(HANDSHAKE["identity"]["public"]))
    assert (certificate.epoch, certificate.not_before) == (EPOCH_ID, KEYS["epoch"]["not_before"])
    assert certificate.hello_key == hello_public_key(RING.epochs[0])
    life = certificate.not_after - certificate.not_before
    assert life == 30 * 24 * 3600 * 1_000_000
    with pytest.raises(IdentityError, match="ended"):
        verify_certificate_untrusted(datagram[1:], None, wall=certificate.not_after + 1)


@pytest.mark.parametrize("form", ["bytes", "bytes_with_cookie"])
def test_hello(form: str) -> None:
    vector = HANDSHAKE["hello"]
    datagram = octets(vector[form])
    hello = parse_hello_untrusted(datagram, 1200)
    inside = EpochKeys(RING.epochs[0]).open_hello_untrusted(hello)
    assert (hello.suite, hello.epoch, hello.cookie == NO_COOKIE) == (Suite.SEALED, EPOCH_ID, form == "bytes")
    assert (inside.secret, inside.input) == (SECRET, octets(vector["early_input"]))
    assert inside.datagram_bytes == vector["datagram_bytes"]
    assert (inside.wanted, inside.input_end) == (vector["wanted"], vector["input_end"])
    assert len(datagram) == 1200


# datagrams of a connection


@pytest.mark.parametrize("vector", VECTORS["requests"], ids=name)
def test_requests(vector: dict[str, Any]) -> None:
    suite, number, datagram = vector["suite"], vector["number"], octets(vector["bytes"])
    plaintext = by_hand.body(vector["body"])
    blob = BLOBS[suite, False]
    assert by_hand.to_server(Kind.REQUEST, suite, SECRET, blob, number, plaintext) == datagram
    header, found, asked = split_untrusted(datagram)
    assert (found, asked) == (blob, number)
    opened = SessionKeys(SECRET, Suite(suite)).open_request_untrusted(header, datagram)
    assert opened == plaintext
    assert parse_body_untrusted(opened).encode() == plaintext


@pytest.mark.parametrize("vector", VECTORS["responses"], ids=name)
def test_responses(vector: dict[str, Any]) -> None:
    suite, datagram, frames, data = vector["suite"], *(octets(vector[each]) for each in ("bytes", "frames", "data"))
    salt, proof = octets(vector["salt"]), int(vector["proof"], 16)
    fields = (vector["flags"], vector["request"], salt, vector["number"], proof, vector["offset"])
    clear = by_hand.reply_header(Kind.RESPONSE, *fields) + frames
    assert by_hand.to_client(suite, SECRET, clear, data, tagged=bool(frames)) == datagram
    assert HEADER.unpack_from(datagram)[1:] == fields
    parsed = parse_frames_untrusted(datagram, vector["flags"])
    rest = datagram[parsed.data_at :]
    session = SessionKeys(SECRET, Suite(suite))
    opened = session.open_response_untrusted(datagram[: parsed.data_at], rest, tagged=bool(frames))
    assert bytes(opened) == data
    assert frames_by_hand(suite, vector["flags"]) == frames


def frames_by_hand(suite: int, flags: int) -> bytes:
    embryo = bool(flags & 2)
    law = (0, 3, 65_536) if embryo else (9, 10, 65_536)
    blob = plaintext_sealed(suite, embryo)
    made = by_hand.transport_frame(law, embryo, blob) if flags & 1 else b""
    return made + (by_hand.user_frame(0, 300_000, 14, octets(SEALED["user"]["bytes"])) if flags & 2 else b"")


def plaintext_sealed(suite: int, embryo: bool) -> bytes:
    nonce = octets(SEALED["transport"][0]["nonce"])
    plaintext = plaintext_by_hand(suite, embryo)
    return CONNECTION + by_hand.sealed_value(EPOCH_ID, EPOCH_KEY, "TRANSPORT", CONNECTION, nonce, plaintext)


INCARNATION = 0x0123456789ABCDEF


@pytest.mark.parametrize("code", list(Refusal), ids=lambda code: code.name)
def test_refusals(code: Refusal) -> None:
    vector = OTHERS[f"refusal {code.name}"]
    datagram, number = octets(vector["bytes"]), vector["number"]
    mends = code in (Refusal.EXPIRED, Refusal.ADDRESS)
    frame = by_hand.transport_frame((0, 3, 65_536), True, BLOBS[1, True]) if mends else b""
    worked_us = vector["worked_us"]
    assert (worked_us > 0) == (code is Refusal.WORKING)
    life = INCARNATION if code is Refusal.WORKING else 0
    clear = by_hand.reply_header(Kind.REFUSAL, vector["code"], number, datagram[4:12], number, life, worked_us) + frame
    assert by_hand.to_client(by_hand.SEALED, SECRET, clear, b"", tagged=True) == datagram
    assert len(datagram) <= 200
    head = parse_refusal_untrusted(datagram)
    assert (head.code, head.request, head.transport is not None, head.worked_us) == (code, number, mends, worked_us)
    assert head.incarnation == life
    SessionKeys(SECRET, Suite.SEALED).check_untrusted(head.clear, head.tag)


def test_a_notice_may_bring_a_heartbeat() -> None:
    vector = OTHERS["refusal WORKING with a heartbeat"]
    datagram, number, data = octets(vector["bytes"]), vector["number"], octets(vector["heartbeat"])
    clear = by_hand.reply_header(Kind.REFUSAL, 7, number, datagram[4:12], number, INCARNATION, 0)
    subject = octets(vector["subject"])
    clear += subject + vector["distance_ms"].to_bytes(4, "big") + data
    assert by_hand.to_client(by_hand.SEALED, SECRET, clear, b"", tagged=True) == datagram
    assert parse_refusal_untrusted(datagram).heartbeat == Heartbeat(data, 1000 * vector["distance_ms"], subject)


def test_the_hint_of_an_unknown_epoch_has_no_tag() -> None:
    vector = OTHERS["hint of an unknown epoch"]
    datagram, number = octets(vector["bytes"]), vector["number"]
    assert datagram == by_hand.reply_header(Kind.REFUSAL, Refusal.EPOCH, number, datagram[4:12], number, 0, 0)
    assert parse_refusal_untrusted(datagram).tag == b""


def test_ping_and_pong() -> None:
    ping, pong, number = octets(OTHERS["ping"]["bytes"]), octets(OTHERS["pong"]["bytes"]), OTHERS["ping"]["number"]
    zeros = bytes(len(ping) - 133 - 16)
    assert ping == by_hand.to_server(Kind.PING, by_hand.SEALED, SECRET, BLOBS[1, False], number, zeros)
    shown = OTHERS["pong"]
    proof = by_hand.size_proof(EPOCH_KEY, octets(shown["address"]), len(pong), shown["time"] // 3_600_000_000)
    clear = by_hand.reply_header(Kind.PONG, 0, number, pong[4:12], number, proof, 0)
    assert pong == by_hand.to_client(by_hand.SEALED, SECRET, clear, bytes(len(pong) - 48), tagged=True)
    assert len(pong) == len(ping)


def test_a_restart_shows_the_proof_of_the_size_that_it_raises() -> None:
    raised = [each["body"] for each in VECTORS["requests"] if each["what"] == "restarts after a pause"]
    proof = by_hand.size_proof(EPOCH_KEY, octets(OTHERS["pong"]["address"]), 1472, ISSUED // 3_600_000_000)
    assert {(each["datagram_bytes"], each["lo"] << 32 | each["hi"]) for each in raised} == {(1472, proof)}


def test_piece_and_receipt() -> None:
    piece, got = OTHERS["piece"], OTHERS["receipt"]
    data, number = octets(piece["data"]), piece["number"]
    plaintext = piece["offset"].to_bytes(8, "big") + len(data).to_bytes(2, "big") + data
    datagram = octets(piece["bytes"])
    assert datagram == by_hand.to_server(Kind.PIECE, by_hand.SEALED, SECRET, BLOBS[1, False], number, plaintext)
    header, _, _ = split_untrusted(datagram)
    opened = SessionKeys(SECRET, Suite.SEALED).open_request_untrusted(header, datagram)
    assert parse_piece_untrusted(opened) == (piece["offset"], data)
    answer, start, stop = octets(got["bytes"]), got["start"], got["stop"]
    proof = by_hand.receipt(octets(KEYS["nonce_key_after_first_restart"]), octets(KEYS["spool"]), start, stop)
    clear = by_hand.reply_header(Kind.RECEIPT, 0, number, answer[4:12], number, proof, start) + stop.to_bytes(8, "big")
    assert answer == by_hand.to_client(by_hand.SEALED, SECRET, clear, b"", tagged=True)
    parsed, _, _ = parse_receipt_untrusted(answer)
    assert (parsed.request, parsed.start, parsed.stop, parsed.proof) == (number, start, stop, proof)


@pytest.mark.parametrize(("what", "flags"), [("await", 0), ("goodbye", 1)])
def test_await_and_goodbye(what: str, flags: int) -> None:
    datagram, number, named = octets(OTHERS[what]["bytes"]), OTHERS[what]["number"], OTHERS[what]["named"]
    plaintext = bytes((flags, len(named))) + b"".join(each.to_bytes(4, "big") for each in named)
    plaintext = plaintext.ljust(51, b"\0")
    assert datagram == by_hand.to_server(Kind.AWAIT, by_hand.SEALED, SECRET, BLOBS[1, False], number, plaintext)
    assert len(datagram) == 200
    assert parse_await_untrusted(plaintext) == (flags, tuple(named), ())


def test_await_of_others() -> None:
    row = OTHERS["await of others"]
    (number,) = row["named"]
    others = tuple((octets(name), request) for name, request in row["others"])
    plaintext = b"\x02\x01" + number.to_bytes(4, "big") + bytes([len(others)])
    plaintext += b"".join(name + request.to_bytes(4, "big") for name, request in others)
    plaintext = plaintext.ljust(51, b"\0")
    sealed = by_hand.to_server(Kind.AWAIT, by_hand.SEALED, SECRET, BLOBS[1, False], row["number"], plaintext)
    assert octets(row["bytes"]) == sealed
    assert parse_await_untrusted(plaintext) == (2, (number,), others)


def test_awaited() -> None:
    answer, number = octets(OTHERS["awaited"]["bytes"]), OTHERS["awaited"]["number"]
    clear = by_hand.reply_header(Kind.AWAITED, 0, number, answer[4:12], number, INCARNATION, OTHERS["awaited"]["mask"])
    assert answer == by_hand.to_client(by_hand.SEALED, SECRET, clear, b"", tagged=True)
    assert parse_awaited_untrusted(answer)[0] == (number, INCARNATION, OTHERS["awaited"]["mask"])

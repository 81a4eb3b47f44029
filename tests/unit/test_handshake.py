"""The handshake's values: who vouches for what, what opens, what a cookie proves."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.cheats.meter import measured
from tests.support.fleetkeys import IDENTITY, WALL, epoch, ring
from trickles.errors import BadPacket, Forged, IdentityError, KeyringError
from trickles.handshake import (
    CLOCK_TOLERANCE,
    DAY,
    MAX_EARLY_INPUT,
    ROTATION_OVERLAP,
    EpochKeys,
    certify,
    check_fresh,
    hello_public_key,
    identity_public,
    make_cookie,
    seal_hello,
    valid_cookie,
    verify_certificate_untrusted,
)
from trickles.keyring import Epoch
from trickles.wire.hello import (
    COOKIE_BYTES,
    Certificate,
    Hello,
    HelloInside,
    parse_certificate_untrusted,
    parse_hello_untrusted,
)
from trickles.wire.kinds import Suite, address_bytes

INSIDE = HelloInside(bytes(range(32)), 65_507, True, 3600, b"GET / HTTP/1.1\r\n\r\n")
HERE, THERE = address_bytes("192.0.2.1"), address_bytes("192.0.2.2")


def certificate(of: Epoch | None = None) -> Certificate:
    return verify_certificate_untrusted((of or epoch()).certificate, identity_public(IDENTITY))


def test_a_certificate_vouches_for_the_epochs_hello_key() -> None:
    found = certificate(epoch(7, not_before=WALL))
    assert (found.epoch, found.not_before, found.identity) == (7, WALL, identity_public(IDENTITY))
    assert found.hello_key == hello_public_key(epoch(7))


def test_another_identity_than_the_pinned_one_is_an_identity_error() -> None:
    other = identity_public(bytes(32))
    with pytest.raises(IdentityError):
        verify_certificate_untrusted(epoch().certificate, other)
    with pytest.raises(IdentityError):
        verify_certificate_untrusted(certify(epoch(), bytes(32)).certificate, identity_public(IDENTITY))


@pytest.mark.slow
def test_every_flipped_bit_of_a_certificate_is_noticed() -> None:
    good = epoch().certificate
    for bit in range(len(good) * 8):
        flipped = bytearray(good)
        flipped[bit >> 3] ^= 1 << (bit & 7)
        with pytest.raises((BadPacket, IdentityError)):
            verify_certificate_untrusted(bytes(flipped), identity_public(IDENTITY))
        with pytest.raises(BadPacket):
            verify_certificate_untrusted(bytes(flipped), None)


def test_a_truncated_certificate_is_a_bad_packet() -> None:
    good = epoch().certificate
    for length in range(len(good)):
        with pytest.raises(BadPacket):
            verify_certificate_untrusted(good[:length], None)
    with pytest.raises(BadPacket):
        verify_certificate_untrusted(good + b"\0", None)


def test_a_certificate_ends() -> None:
    made = certify(Epoch(1, bytes(32), WALL), IDENTITY, life=1000)
    for wall in (None, WALL, WALL + 1000):
        verify_certificate_untrusted(made.certificate, None, wall=wall)
    with pytest.raises(IdentityError, match="epoch 00000001 ended 0 days ago: `trickles keys rotate`"):
        verify_certificate_untrusted(made.certificate, None, wall=WALL + 1001)


@pytest.mark.parametrize("not_before", [0, 1, WALL])
def test_a_certificate_lasts_thirty_days_whenever_its_epoch_begins(not_before: int) -> None:
    made = certify(Epoch(1, bytes(32), not_before), IDENTITY)
    assert parse_certificate_untrusted(made.certificate).not_after == not_before + 30 * DAY
    with pytest.raises(IdentityError, match="ended 3 days ago"):
        verify_certificate_untrusted(made.certificate, None, wall=not_before + 33 * DAY + 1)


def test_a_certificate_that_has_not_begun_is_refused_unless_a_clock_may_be_late() -> None:
    made = certify(Epoch(1, bytes(32), WALL), IDENTITY).certificate
    verify_certificate_untrusted(made, None, wall=WALL - CLOCK_TOLERANCE)
    with pytest.raises(IdentityError, match="begins later than now: the clock"):
        verify_certificate_untrusted(made, None, wall=WALL - CLOCK_TOLERANCE - 1)


def test_an_older_certificate_is_good_for_as_long_as_a_rotation_takes() -> None:
    old, new = (verify_certificate_untrusted(epoch(each, not_before=WALL + each).certificate, None) for each in (1, 2))
    later = replace(new, not_before=WALL + DAY)
    for wall in (WALL + DAY, WALL + DAY + ROTATION_OVERLAP):
        check_fresh(old, later.not_before, wall)
    with pytest.raises(IdentityError, match="epoch 00000001 is older than one seen before"):
        check_fresh(old, later.not_before, WALL + DAY + ROTATION_OVERLAP + 1)
    check_fresh(later, later.not_before, WALL + 20 * DAY)
    check_fresh(old, new.not_before, WALL + 20 * DAY)  # in the same second: known_hosts counts in seconds


def test_certifying_leaves_the_epoch_as_it_was() -> None:
    before = Epoch(3, bytes(32), 5)
    after = certify(before, IDENTITY)
    assert before.certificate == b""
    assert (after.identifier, after.key, after.not_before) == (3, bytes(32), 5)


def test_the_public_half_of_an_identity_is_that_of_ed25519() -> None:
    assert identity_public(IDENTITY) == Ed25519PrivateKey.from_private_bytes(IDENTITY).public_key().public_bytes_raw()


@pytest.mark.parametrize("size", [0, 31, 33])
def test_an_identity_has_32_bytes(size: int) -> None:
    with pytest.raises(KeyringError):
        identity_public(bytes(size))


@given(
    st.binary(min_size=32, max_size=32),
    st.integers(0, 65_535),
    st.booleans(),
    st.integers(0, (1 << 32) - 1),
    st.binary(max_size=200),
    st.sampled_from(Suite),
)
def test_the_fleet_reads_what_the_client_sealed(
    secret: bytes, size: int, ends: bool, wanted: int, data: bytes, suite: Suite
) -> None:
    inside = HelloInside(secret, size, ends, wanted, data)
    datagram = seal_hello(certificate(), suite, inside, size=1200).encode()
    assert len(datagram) == 1200
    hello = parse_hello_untrusted(datagram, 1200)
    assert hello.suite is suite
    assert EpochKeys(epoch()).open_hello_untrusted(hello) == inside


def test_equal_hellos_are_equal_bytes_and_others_share_no_key() -> None:
    """Copies of one client hold the same secret: what they say differs, and so must what it is sealed with."""
    others = [
        (certificate(), Suite.SEALED, INSIDE, 1200),
        (certificate(), Suite.SEALED, replace(INSIDE, input=b"GET /2 HTTP/1.1\r\n\r\n"), 1200),
        (certificate(), Suite.SEALED, replace(INSIDE, wanted=1), 1200),
        (certificate(), Suite.SEALED, INSIDE, 1201),
        (certificate(), Suite.OPEN, INSIDE, 1200),
        (certificate(epoch(2)), Suite.SEALED, INSIDE, 1200),
        (certificate(), Suite.SEALED, replace(INSIDE, secret=bytes(32)), 1200),
    ]
    made = [seal_hello(each, suite, inside, size=size) for each, suite, inside, size in others]
    assert made == [seal_hello(each, suite, inside, size=size) for each, suite, inside, size in others]
    assert len({hello.sealed[:32] for hello in made}) == len(made)


@pytest.mark.parametrize("public", [bytes(32), b"short", bytes([1]) + bytes(31)])
def test_a_hello_to_no_key_cannot_be_made(public: bytes) -> None:
    with pytest.raises(IdentityError, match="cannot be used"):
        seal_hello(replace(certificate(), hello_key=public), Suite.SEALED, INSIDE, size=1200)


def test_the_longest_early_input_fills_the_hello() -> None:
    inside = replace(INSIDE, input=bytes(MAX_EARLY_INPUT))
    hello = seal_hello(certificate(), Suite.SEALED, inside, size=1200)
    assert len(hello.encode()) == 1200
    assert EpochKeys(epoch()).open_hello_untrusted(hello) == inside


def test_another_epochs_key_opens_nothing() -> None:
    hello = seal_hello(certificate(epoch(1)), Suite.SEALED, INSIDE, size=1200)
    for other in (epoch(2), epoch(1, fleet="theirs")):
        with pytest.raises(Forged):
            EpochKeys(other).open_hello_untrusted(hello)


@pytest.mark.parametrize("change", [{"suite": Suite.OPEN}, {"epoch": 2}])
def test_suite_and_epoch_in_clear_are_bound_to_what_is_sealed(change: dict[str, int]) -> None:
    hello = seal_hello(certificate(), Suite.SEALED, INSIDE, size=1200)
    with pytest.raises(Forged):
        EpochKeys(epoch()).open_hello_untrusted(replace(hello, **change))  # type: ignore[arg-type]


def test_a_cookie_may_be_put_in_later() -> None:
    hello = replace(seal_hello(certificate(), Suite.SEALED, INSIDE, size=1200), cookie=b"c" * COOKIE_BYTES)
    assert EpochKeys(epoch()).open_hello_untrusted(parse_hello_untrusted(hello.encode(), 1200)) == INSIDE


def test_a_sealed_part_of_any_length_or_content_is_forged() -> None:
    keys, hello = EpochKeys(epoch()), seal_hello(certificate(), Suite.SEALED, INSIDE, size=1200)
    for length in [*range(60), len(hello.sealed) - 1]:
        with pytest.raises(Forged):
            keys.open_hello_untrusted(replace(hello, sealed=hello.sealed[:length]))
    for share in (bytes(32), bytes([1]) + bytes(31), b"\xff" * 32):  # points of low order, and none at all
        with pytest.raises(Forged):
            keys.open_hello_untrusted(replace(hello, sealed=share + hello.sealed[32:]))


def test_what_the_hpke_layer_hides_is_checked_too() -> None:
    sealed = Hello(Suite.SEALED, 1, bytes(COOKIE_BYTES), b"")
    assert sealed.bound() == replace(sealed, cookie=b"x" * COOKIE_BYTES).bound()
    with pytest.raises(BadPacket):
        parse_certificate_untrusted(b"")


@pytest.mark.parametrize(("age", "good"), [(0, True), (1000, True), (1001, False), (-1000, True), (-1001, False)])
def test_a_cookie_is_good_for_its_life_and_some_skew(age: int, good: bool) -> None:
    cookie = make_cookie(ring(), HERE, now=WALL)
    assert len(cookie) == COOKIE_BYTES
    assert valid_cookie(ring(), cookie, HERE, now=WALL + age, life=1000) is good


def test_a_cookie_is_for_one_address_and_one_fleet() -> None:
    cookie = make_cookie(ring(), HERE, now=WALL)
    assert not valid_cookie(ring(), cookie, THERE, now=WALL, life=1000)
    assert not valid_cookie(ring(1, fleet="theirs"), cookie, HERE, now=WALL, life=1000)
    assert not valid_cookie(ring(), bytes(COOKIE_BYTES), HERE, now=WALL, life=1 << 62)


def test_a_cookie_of_an_older_epoch_is_good_until_the_epoch_is_dropped() -> None:
    cookie = make_cookie(ring(1), HERE, now=WALL)
    assert valid_cookie(ring(1, 2), cookie, HERE, now=WALL, life=1000)
    assert not valid_cookie(ring(2), cookie, HERE, now=WALL, life=1000)


def test_a_false_cookie_costs_the_same_however_many_epochs_are_held() -> None:
    false = make_cookie(ring(), HERE, now=WALL)[:8] + bytes(COOKIE_BYTES - 8)

    def calls(*epochs: int) -> int:
        held = ring(*epochs)
        looked = measured(lambda: valid_cookie(held, false, HERE, now=WALL, life=1000), most_calls=10_000, memory=False)
        assert looked.result is False
        return looked.calls

    assert calls(*range(1, 33)) < 3 * calls(1, 2), "which of them sealed then is looked for, and two are tried"


def test_no_flipped_bit_leaves_a_cookie_good() -> None:
    cookie = make_cookie(ring(), HERE, now=WALL)
    for bit in range(COOKIE_BYTES * 8):
        flipped = bytearray(cookie)
        flipped[bit >> 3] ^= 1 << (bit & 7)
        assert not valid_cookie(ring(), bytes(flipped), HERE, now=WALL, life=1 << 62)

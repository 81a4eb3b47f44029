"""Sealing: purposes, contexts and epochs never open each other's, and rotation is a value."""

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fleetkeys import ring
from trickles.errors import BadPacket, Forged, KeyringError, UnknownEpoch
from trickles.keyring import SEAL_OVERHEAD, Epoch, Keyring, Purpose, expand, fingerprint, with_epoch

KEY = bytes(range(32))
NONCE = bytes(12)
CONTEXT = b"12345678"
DAY = 86_400_000_000


def sealed(keyring: Keyring, purpose: Purpose = Purpose.USER, context: bytes = CONTEXT, now: int = DAY) -> bytes:
    return keyring.seal(purpose, context, b"secret", nonce=NONCE, now=now)


@given(
    st.sampled_from(Purpose),
    st.binary(max_size=40),
    st.binary(max_size=100),
    st.binary(min_size=12, max_size=12),
    st.integers(0, 2 * DAY),
)
def test_what_is_sealed_opens(purpose: Purpose, context: bytes, plaintext: bytes, nonce: bytes, now: int) -> None:
    keyring = ring(1, 2, 3)
    blob = keyring.seal(purpose, context, plaintext, nonce=nonce, now=now)
    assert len(blob) == len(plaintext) + SEAL_OVERHEAD
    assert blob[4:16] == nonce
    assert keyring.open_untrusted(purpose, context, blob) == plaintext


def test_no_purpose_opens_what_is_for_another() -> None:
    keyring = ring()
    for purpose in Purpose:
        for other in set(Purpose) - {purpose}:
            with pytest.raises(Forged):
                keyring.open_untrusted(other, CONTEXT, sealed(keyring, purpose))


@pytest.mark.parametrize("other", [b"", b"12345679", b"1234567", b"12345678\0", b"87654321"])
def test_no_connection_opens_what_is_for_another(other: bytes) -> None:
    keyring = ring()
    with pytest.raises(Forged):
        keyring.open_untrusted(Purpose.USER, other, sealed(keyring))


def test_another_fleets_epoch_of_the_same_id_opens_nothing() -> None:
    with pytest.raises(Forged) as caught:
        ring(1, fleet="theirs").open_untrusted(Purpose.USER, CONTEXT, sealed(ring(1)))
    assert not isinstance(caught.value, UnknownEpoch)


def test_the_epoch_in_front_is_authenticated() -> None:
    keyring = ring(1, 2)
    blob = sealed(keyring, now=3_000_000_000_000_000)
    assert blob[:4] == b"\0\0\0\2"
    with pytest.raises(Forged):
        keyring.open_untrusted(Purpose.USER, CONTEXT, b"\0\0\0\1" + blob[4:])


def test_an_epoch_that_is_not_held_is_told_apart_from_a_forgery() -> None:
    blob = sealed(ring(1))
    with pytest.raises(UnknownEpoch):
        ring(2).open_untrusted(Purpose.USER, CONTEXT, blob)
    with pytest.raises(UnknownEpoch):
        ring(2).find(1)


def test_truncations_and_flipped_bits_are_forged() -> None:
    keyring = ring()
    blob = sealed(keyring)
    for length in range(len(blob)):
        with pytest.raises(Forged):
            keyring.open_untrusted(Purpose.USER, CONTEXT, blob[:length])
    for bit in range(len(blob) * 8):
        flipped = bytearray(blob)
        flipped[bit >> 3] ^= 1 << (bit & 7)
        with pytest.raises(Forged):
            keyring.open_untrusted(Purpose.USER, CONTEXT, bytes(flipped))


@given(st.binary(max_size=80))
def test_random_bytes_are_nothing_but_bad_packets(data: bytes) -> None:
    with pytest.raises(BadPacket):
        ring().open_untrusted(Purpose.TRANSPORT, CONTEXT, data)


def test_the_newest_epoch_in_force_seals() -> None:
    first, second, third = (Epoch(number, KEY, not_before=number * DAY) for number in (1, 2, 3))
    keyring = Keyring((first, second, third))
    assert [keyring.newest(now).identifier for now in (0, DAY, 2 * DAY - 1, 2 * DAY, 3 * DAY, 99 * DAY)] == [
        1,  # none is in force yet: the oldest
        1,
        1,
        2,
        3,
        3,
    ]


def test_of_two_epochs_that_begin_together_the_higher_id_seals() -> None:
    assert Keyring((Epoch(5, KEY), Epoch(3, KEY))).newest(0).identifier == 5


def test_rotation_makes_a_new_keyring_and_drops_the_oldest() -> None:
    before: Keyring | None = None
    for number in range(1, 6):
        after = with_epoch(before, Epoch(number, KEY, not_before=number * DAY), keep=3)
        if before is not None:
            assert number not in [epoch.identifier for epoch in before.epochs]
        before = after
    assert before is not None
    assert [epoch.identifier for epoch in before.epochs] == [3, 4, 5]


def test_a_keyring_that_was_rotated_opens_old_and_new_until_the_epoch_is_dropped() -> None:
    one, two = ring(1), ring(1, 2)
    late = 3_000_000_000_000_000
    old, new = sealed(one, now=late), sealed(two, now=late)
    assert two.open_untrusted(Purpose.USER, CONTEXT, old) == two.open_untrusted(Purpose.USER, CONTEXT, new) == b"secret"
    with pytest.raises(UnknownEpoch):
        one.open_untrusted(Purpose.USER, CONTEXT, new)
    with pytest.raises(UnknownEpoch):
        ring(2).open_untrusted(Purpose.USER, CONTEXT, old)


@pytest.mark.parametrize(("identifier", "key"), [(1, KEY[:31]), (1, KEY + b"x"), (-1, KEY), (1 << 32, KEY), (0, b"")])
def test_an_epoch_has_a_32_bit_id_and_a_32_byte_key(identifier: int, key: bytes) -> None:
    with pytest.raises(KeyringError):
        Epoch(identifier, key)


def test_a_keyring_holds_at_least_one_epoch_and_each_id_once() -> None:
    with pytest.raises(KeyringError):
        Keyring(())
    with pytest.raises(KeyringError):
        Keyring((Epoch(1, KEY), Epoch(1, KEY[::-1])))


@given(st.binary(min_size=1, max_size=64), st.sampled_from(Purpose), st.binary(max_size=70), st.integers(1, 32))
def test_keys_are_derived_as_rfc_5869_says(key: bytes, purpose: Purpose, context: bytes, length: int) -> None:
    info = purpose.value + len(context).to_bytes(2, "big") + context
    assert expand(key, purpose, context, length) == HKDFExpand(SHA256(), length, info).derive(key)


def test_a_key_longer_than_a_block_derives_none() -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        expand(bytes(65), Purpose.USER)


def test_derived_keys_differ_by_purpose_by_context_and_by_where_context_begins() -> None:
    keys = [expand(KEY, purpose, context) for purpose in Purpose for context in (b"", b"a", b"ab", b"\0")]
    assert len(set(keys)) == len(keys)


def test_a_fingerprint_is_short_and_tells_keys_apart() -> None:
    assert len(fingerprint(KEY)) == 16
    assert fingerprint(KEY) == fingerprint(bytes(KEY)) != fingerprint(KEY[::-1])

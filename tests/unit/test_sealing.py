"""Sealed values: they open for their purpose, principal and time alone, and every refusal looks the same."""

import base64
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fleetkeys import WALL, ring
from trickles.keyring import Keyring, Purpose, with_epoch
from trickleweb.sealing import MAX_SEALED_CHARS, BadSeal, seal, sealed_chars, unseal

HOUR = 3_600_000_000
ENTROPY = bytes(range(32))


def sealed(data: bytes = b"secret", keyring: Keyring | None = None, purpose: str = "p", principal: str = "anna") -> str:
    return seal(keyring or ring(), purpose, data, ttl=HOUR, now=WALL, entropy=ENTROPY, principal=principal)


def refused(
    token: str, keyring: Keyring | None = None, purpose: str = "p", principal: str = "anna", now: int = WALL
) -> None:
    with pytest.raises(BadSeal) as caught:
        unseal(keyring or ring(), purpose, token, now=now, principal=principal)
    assert str(caught.value) == "the sealed value cannot be used"
    assert caught.value.__cause__ is None
    assert "Traceback" not in "".join(traceback.format_exception(caught.value)).removeprefix("Traceback")


@given(
    st.binary(max_size=200),
    st.text(max_size=20),
    st.text(max_size=20),
    st.integers(1, HOUR),
    st.binary(min_size=16, max_size=40),
)
def test_what_is_sealed_opens(data: bytes, purpose: str, principal: str, ttl: int, entropy: bytes) -> None:
    token = seal(ring(1, 2), purpose, data, ttl=ttl, now=WALL, entropy=entropy, principal=principal)
    assert len(token) == sealed_chars(len(data))
    opened = unseal(ring(1, 2), purpose, token, now=WALL + ttl - 1, principal=principal)
    assert (opened.data, opened.expires) == (data, WALL + ttl)
    refused(token, ring(1, 2), purpose, principal, now=WALL + ttl)


@pytest.mark.parametrize(
    ("purpose", "principal"),
    [("q", "anna"), ("p", "bert"), ("p", ""), ("", "anna"), ("panna", ""), ("pa", "nna"), ("anna", "p")],
)
def test_another_purpose_or_principal_opens_nothing(purpose: str, principal: str) -> None:
    refused(sealed(), purpose=purpose, principal=principal)


def test_another_fleet_opens_nothing() -> None:
    refused(sealed(), ring(fleet="theirs"))


def test_the_newest_epoch_seals_and_older_ones_open() -> None:
    old, both, new = ring(1), ring(1, 2), ring(2)
    before, after = sealed(keyring=old), sealed(keyring=both)
    assert unseal(both, "p", before, now=WALL, principal="anna").data == b"secret"
    assert unseal(new, "p", after, now=WALL, principal="anna").data == b"secret"
    refused(before, new)
    refused(after, old)
    assert with_epoch(old, new.epochs[0]) == both


def test_every_changed_bit_and_every_cut_is_refused() -> None:
    token = sealed()
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for at in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[at // 8] ^= 1 << at % 8
        refused(base64.urlsafe_b64encode(flipped).rstrip(b"=").decode())
    for length in range(len(token)):
        refused(token[:length])


@given(st.text(max_size=120))
def test_any_other_text_is_refused(text: str) -> None:
    refused(text)


def test_a_token_has_one_spelling() -> None:
    token = sealed(b"1")
    assert len(token) % 4 == 2  # so four bits of the last character mean nothing
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others = [token[:-1] + each for each in alphabet if each != token[-1]]
    for other in (*others, token + "=", token + "==", " " + token, token + "\n", token.replace("-", "+") + "A"):
        refused(other)


def test_what_is_too_long_is_not_even_decoded() -> None:
    refused("A" * (MAX_SEALED_CHARS + 1))


def test_what_the_transport_seals_is_no_session() -> None:
    keyring = ring()
    for purpose in set(Purpose) - {Purpose.SESSION}:
        foreign = keyring.seal(purpose, b"", bytes(40), nonce=bytes(12), now=WALL)
        refused(base64.urlsafe_b64encode(bytes(8) + foreign).rstrip(b"=").decode())


def test_equal_entropy_seals_equal_values_equally_and_others_under_other_nonces() -> None:
    assert sealed() == sealed()
    raw = [
        base64.urlsafe_b64decode(each + "==") for each in (sealed(b"a"), sealed(b"b"), sealed(b"a", principal="bert"))
    ]
    assert len({each[:8] for each in raw}) == 3
    assert len({each[12:24] for each in raw}) == 3


@pytest.mark.parametrize(("entropy", "ttl"), [(bytes(15), HOUR), (b"", HOUR), (ENTROPY, 0), (ENTROPY, -1)])
def test_a_careless_caller_is_told(entropy: bytes, ttl: int) -> None:
    with pytest.raises(ValueError, match="16 bytes of entropy and a time to live"):
        seal(ring(), "p", b"", ttl=ttl, now=WALL, entropy=entropy)


def test_the_data_does_not_show() -> None:
    token = sealed(b"a very secret text")
    assert b"secret" not in base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))

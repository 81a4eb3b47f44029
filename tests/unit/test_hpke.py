"""HPKE written out: the library opens what it seals and the other way round; nothing else opens."""

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from hypothesis import given
from hypothesis import strategies as st

from trickles.errors import Forged
from trickles.hpke import SHARE_BYTES, Recipient, seal

LIBRARY = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_128_GCM)
KEYS = st.binary(min_size=32, max_size=32)


@given(KEYS, KEYS, st.binary(max_size=100), st.binary(max_size=1200))
def test_the_library_and_this_read_each_other(private: bytes, one_time: bytes, info: bytes, text: bytes) -> None:
    recipient, theirs = Recipient(private), X25519PrivateKey.from_private_bytes(private)
    assert recipient.public == theirs.public_key().public_bytes_raw()
    ours = seal(one_time, recipient.public, info, text)
    assert ours[:SHARE_BYTES] == Recipient(one_time).public
    assert LIBRARY.decrypt(ours, theirs, info) == text
    assert recipient.open_untrusted(info, ours) == text
    sealed = LIBRARY.encrypt(text, X25519PublicKey.from_public_bytes(recipient.public), info)
    assert recipient.open_untrusted(info, sealed) == text


def test_every_flipped_bit_and_every_cut_is_noticed() -> None:
    recipient = Recipient(bytes(range(32)))
    good = seal(bytes(range(50, 82)), recipient.public, b"info", b"a text")
    strange = [good[:length] for length in range(len(good))] + [good + b"\0"]
    for bit in range(8 * len(good)):
        flipped = bytearray(good)
        flipped[bit >> 3] ^= 1 << (bit & 7)
        strange.append(bytes(flipped))
    for each in strange:
        with pytest.raises(Forged):
            recipient.open_untrusted(b"info", each)
    with pytest.raises(Forged):
        recipient.open_untrusted(b"other", good)
    with pytest.raises(Forged):
        Recipient(bytes(range(1, 33))).open_untrusted(b"info", good)


@pytest.mark.parametrize("share", [bytes(32), bytes([1]) + bytes(31)], ids=["zero", "one"])
def test_shares_of_small_order_open_nothing(share: bytes) -> None:
    with pytest.raises(Forged):
        Recipient(bytes(range(32))).open_untrusted(b"", share + bytes(40))
    with pytest.raises(ValueError):  # noqa: PT011 - the library's own, translated by who knows whose key it is
        seal(bytes(range(32)), share, b"", b"")

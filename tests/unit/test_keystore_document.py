"""Epochs as text: what is written is read, and no damage, however small, makes another key of it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.keys import IDENTITY, NOON, SECRET, STRANGER, epoch, ring
from trickles.drivers.keystore.document import MAX_EPOCHS, fleet_identity, keyring, parse, render
from trickles.errors import KeyringError
from trickles.handshake import certify
from trickles.keyring import Epoch, Keyring

ONE = render([epoch()])


def altered(**fields: Any) -> bytes:
    """The document of one epoch, with other values (None: without that field)."""
    document = json.loads(ONE)
    row = document["epochs"][0] | fields
    document["epochs"] = [{name: value for name, value in row.items() if value is not None}]
    return json.dumps(document).encode()


@given(
    identifier=st.integers(0, (1 << 32) - 1),
    key=st.binary(min_size=32, max_size=32),
    since=st.integers(0, 253_402_300_799_999_999),
)
def test_what_is_written_is_read(identifier: int, key: bytes, since: int) -> None:
    epochs = (certify(Epoch(identifier, key, since), SECRET),)
    assert parse(render(epochs), "it") == epochs


def test_a_document_cut_anywhere_is_damaged() -> None:
    assert parse(ONE[:-1], "it") == (epoch(),)  # only the line's end is missing
    for length in range(len(ONE) - 1):
        with pytest.raises(KeyringError, match=r"^it "):
            parse(ONE[:length], "it")


def test_no_flipped_bit_makes_another_key() -> None:
    accepted = 0
    for position in range(len(ONE) * 8):
        data = bytearray(ONE)
        data[position // 8] ^= 1 << position % 8
        try:
            assert parse(bytes(data), "it") == (epoch(),)
        except KeyringError:
            continue
        accepted += 1
    assert accepted < 100  # blanks between the fields, and the bits that base64 does not use


HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "zeros, as after a crash": bytes(384),
    "random": bytes(range(256)),
    "another shape": b"[]",
    "a number": b"17",
    "not a number": b"NaN",
    "deep": b"[" * 60_000,
    "deep objects": b'{"format":' * 6000,
    "digits without end": b'{"format": ' + b"9" * 50_000 + b"}",
    "text outside ASCII": '{"format": "trickles keyring 1", "epochs": "\u2603"}'.encode(),
    "another format": b'{"format": "trickles keyring 2", "epochs": []}',
    "no format": b'{"epochs": []}',
    "a field too many": ONE.replace(b'"format"', b'"more": 1, "format"'),
    "epochs that are no list": b'{"format": "trickles keyring 1", "epochs": {}}',
    "an epoch that is no object": b'{"format": "trickles keyring 1", "epochs": [7]}',
    "too many epochs": json.dumps({"format": "trickles keyring 1", "epochs": [{}] * (MAX_EPOCHS + 1)}).encode(),
    "an epoch with a field too many": altered(more=1),
    "no certificate": altered(certificate=None),
    "an empty certificate": altered(certificate=""),
    "a short certificate": altered(certificate="AAAA"),
    "a certificate of zeros": altered(certificate="A" * 187 + "="),
    "no key": altered(key=None),
    "a short key": altered(key="AAAA"),
    "a key of another type": altered(key=5),
    "a key that is no base64": altered(key="!" * 44),
    "another key": altered(key="B" * 43 + "="),
    "another id": altered(id="00000008"),
    "an id of another length": altered(id="7"),
    "an id in other digits": altered(id="0000000\u0667"),
    "an id as a number": altered(id=7),
    "another time": altered(not_before=NOON + 1),
    "a time before 1970": altered(not_before=-1),
    "a time after all calendars": altered(not_before=1 << 62),
    "a time with a fraction": altered(not_before=1.5),
    "a time that is a truth": altered(not_before=True),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_document_is_refused(data: bytes) -> None:
    with pytest.raises(KeyringError, match=r"^it"):
        parse(data, "it")


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_one_way(data: bytes) -> None:
    with pytest.raises(KeyringError):
        parse(data, "it")


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_a_refusal_shows_nothing_of_the_content(data: bytes) -> None:
    with pytest.raises(KeyringError) as caught:
        parse(data, "it")
    text = str(caught.value)
    assert len(text) < 150
    assert json.loads(ONE)["epochs"][0]["key"] not in text
    assert caught.value.__cause__ is None


def test_an_epoch_certified_by_nobody_is_refused() -> None:
    with pytest.raises(KeyringError, match="certificate of epoch 00000007 is damaged"):
        keyring([Epoch(7, bytes(32), NOON)], "it")


def test_a_certificate_of_another_epoch_is_refused() -> None:
    with pytest.raises(KeyringError, match="epoch 00000007 is another epoch's"):
        keyring([Epoch(7, bytes(32), NOON, epoch(8).certificate)], "it")


def test_epochs_of_two_fleets_are_refused() -> None:
    with pytest.raises(KeyringError, match="it holds epochs of several fleets"):
        keyring([epoch(1), epoch(2, secret=STRANGER)], "it")


@pytest.mark.parametrize("epochs", [[], [epoch(1), epoch(1, NOON + 1)]], ids=["none", "one twice"])
def test_a_keyring_has_epochs_each_once(epochs: list[Epoch]) -> None:
    with pytest.raises(KeyringError, match="it holds no epoch, or one twice"):
        keyring(epochs, "it")


def test_a_keyring_is_ordered_by_time_whatever_the_order_of_files() -> None:
    assert keyring(reversed(ring(9, 3, 5).epochs), "it") == ring(9, 3, 5)
    assert fleet_identity(ring(9, 3, 5)) == IDENTITY


def test_the_identity_of_a_keyring_of_strangers_is_refused() -> None:
    with pytest.raises(KeyringError, match="several fleets"):
        fleet_identity(Keyring((epoch(1), epoch(2, secret=STRANGER))))

"""One connection's seals: the same bytes as sealing by the keyring, whatever time, rotation and repetition do."""

import pytest

from tests.support.fleetkeys import WALL, ring
from tests.support.seals import seal_transport, seal_user
from trickles.continuation import TRUSTED_FOR, Seals, open_transport_untrusted
from trickles.errors import ContinuationTooLarge, Forged, UnknownEpoch
from trickles.keyring import Epoch, Keyring, Purpose, Sealer
from trickles.limits import DEFAULT_LIMITS
from trickles.service import Continuation
from trickles.trickle import Episode
from trickles.wire.kinds import Suite
from trickles.wire.transport import TransportState

CONNECTION, IDENTITY = b"12345678", b"i" * 32
NONCE, KEY, LIFE, MOST = bytes(12), bytes(range(32)), 60_000_000, 700
STATE = TransportState(Suite.SEALED, False, WALL, bytes(16), 1200, Episode(5, 10, 100), bytes(32), bytes(16))
VALUE = Continuation(b"state", 10, 500, 3)
THREE = Keyring(tuple(Epoch(number, KEY, not_before=number * 1000) for number in (1, 2, 3)))


@pytest.mark.parametrize("order", [range(0, 4000, 250), range(4000, -1, -250), [0, 3999, 1000, 2999, 2000, 0]])
def test_whatever_the_time_does_the_epoch_in_force_seals(order: list[int]) -> None:
    seals = Seals(CONNECTION, IDENTITY)
    for now in order:
        assert seals.transport(THREE, STATE, NONCE, now) == seal_transport(
            THREE, CONNECTION, STATE, nonce=NONCE, now=now
        )
        expected = THREE.seal(Purpose.TRANSPORT, CONNECTION, STATE.encode(), nonce=NONCE, now=now)
        assert seals.transport(THREE, STATE, NONCE, now) == CONNECTION + expected
        user = seal_user(THREE, IDENTITY, VALUE, nonce=NONCE, now=now, limits=DEFAULT_LIMITS)
        assert seals.user(THREE, VALUE, NONCE, now, MOST) == user


def test_the_period_of_an_epoch_is_where_it_is_the_newest() -> None:
    for now in range(0, 5000, 100):
        epoch, start, stop = THREE.period(now)
        assert start <= now < stop
        assert epoch == THREE.newest(now)
        for other in range(max(start, 0), min(stop, 6000), 50):
            assert THREE.newest(other) == epoch


def test_another_keyring_seals_at_once() -> None:
    seals = Seals(CONNECTION, IDENTITY)
    old, new = ring(1), ring(2)
    seals.transport(old, STATE, NONCE, WALL)
    assert open_transport_untrusted(new, seals.transport(new, STATE, NONCE, WALL)) == (CONNECTION, STATE)


def test_a_sealer_seals_what_the_keyring_opens() -> None:
    sealed = Sealer(ring().newest(WALL), Purpose.USER, CONNECTION).seal(NONCE, b"secret")
    assert ring().open_untrusted(Purpose.USER, CONNECTION, sealed) == b"secret"


def test_what_was_sealed_or_opened_last_is_known_and_everything_else_is_opened() -> None:
    mine, other = Seals(CONNECTION, IDENTITY), Seals(CONNECTION, IDENTITY)
    first = mine.user(ring(), VALUE, NONCE, WALL, MOST)
    second = mine.user(ring(), VALUE._replace(consumed=9), bytes(11) + b"x", WALL, MOST)
    for seals in (mine, other, mine, other):
        assert seals.open_user_untrusted(ring(), first, WALL, LIFE) == VALUE
        assert seals.open_user_untrusted(ring(), second, WALL, LIFE) == VALUE._replace(consumed=9)


def test_what_is_known_of_one_connection_opens_nothing_for_another() -> None:
    blob = Seals(CONNECTION, IDENTITY).user(ring(), VALUE, NONCE, WALL, MOST)
    with pytest.raises(Forged):
        Seals(CONNECTION, bytes(32)).open_user_untrusted(ring(), blob, WALL, LIFE)


def test_nothing_is_known_at_first() -> None:
    with pytest.raises(Forged):
        Seals(CONNECTION, IDENTITY).open_user_untrusted(ring(), b"", WALL, LIFE)


def test_a_known_continuation_is_checked_again_for_its_age_and_its_key() -> None:
    seals = Seals(CONNECTION, IDENTITY)
    blob = seals.user(ring(1), VALUE, NONCE, WALL, MOST)
    assert seals.open_user_untrusted(ring(1), blob, WALL + TRUSTED_FOR, 1) == VALUE
    with pytest.raises(Forged):
        seals.open_user_untrusted(ring(1), blob, WALL + TRUSTED_FOR + 1, 1)
    with pytest.raises(UnknownEpoch):
        seals.open_user_untrusted(ring(2), blob, WALL + TRUSTED_FOR + 1, LIFE)


def test_what_is_too_large_is_refused_and_not_known() -> None:
    seals = Seals(CONNECTION, IDENTITY)
    with pytest.raises(ContinuationTooLarge):
        seals.user(ring(), VALUE._replace(state=bytes(MOST + 1)), NONCE, WALL, MOST)
    with pytest.raises(Forged):
        seals.open_user_untrusted(ring(), b"", WALL, LIFE)

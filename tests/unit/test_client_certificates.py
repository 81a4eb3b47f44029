"""Certificates as clients judge them: those that began before one they saw, or later than now, are refused."""

import pytest

from tests.support.desk import datagrams
from tests.support.fleetkeys import WALL, epoch
from tests.support.peer import SOURCE
from tests.unit.test_client_handshake import CERTIFICATE, PIN, A, B, client, listener, stranger
from trickles.client import Client, Connected, Failed
from trickles.drivers.dialer import newest_start
from trickles.keyring import Keyring
from trickles.limits import MILLISECOND, SECOND
from trickles.listener import Listener


def two_replicas(made: Client, one: Listener, other: Listener, wall: int) -> str | None:
    """The handshake of a client that may ask both: None when it stands, or why it failed."""
    served = {A: one, B: other}
    for now in range(0, 40 * SECOND, 50 * MILLISECOND):
        if (due := made.next_timeout()) is not None and due <= now:
            made.handle_timeout(now=now)
        while sent := made.datagrams_to_send(now=now):
            for datagram, replica in sent:
                for answer in datagrams(served[replica], datagram, SOURCE, now=wall):
                    made.receive_datagram(answer, replica, now=now)
        event = made.next_event()
        if isinstance(event, Connected | Failed):
            return event.reason if isinstance(event, Failed) else None
    return "neither"


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("hours", [0, 1, 2, 100])
@pytest.mark.parametrize("knows", [False, True])
def test_a_rotation_that_reached_one_of_two_replicas_keeps_nobody_out(first: int, hours: int, knows: bool) -> None:
    """Whichever it asks first, and whether or not it holds the new certificate, however late the other one is."""
    old, new = (Keyring((epoch(each, not_before=WALL + each * SECOND),)) for each in (1, 2))
    note, wall = newest_start(), WALL + 2 * SECOND + hours * 3600 * SECOND
    note(PIN, WALL + 2 * SECOND)
    known = new.epochs[0].certificate if knows else None
    made = client(A, B, identity=PIN, first=first, wall=lambda: wall, note_start=note, certificate=known)
    made.write(b"GET\n")
    assert two_replicas(made, listener(keyring=old), listener(keyring=new), wall) is None
    assert made.certificate is not None
    assert made.certificate.epoch == (1 if first == 0 and hours <= 1 else 2)


def test_a_leaked_epoch_that_the_fleet_dropped_is_no_fleet_for_who_saw_its_successor() -> None:
    leaked, note = Keyring((epoch(1, not_before=WALL),)), newest_start()
    wall = WALL + 3 * 24 * 3600 * SECOND
    one, other = listener(keyring=leaked), listener(keyring=leaked)
    made = client(A, B, identity=PIN, wall=lambda: wall, note_start=note)
    assert two_replicas(made, one, other, wall) is None  # nobody can know better
    note(PIN, WALL + 2 * 24 * 3600 * SECOND)
    made = client(A, B, identity=PIN, wall=lambda: wall, note_start=note)
    assert "epoch 00000001 is older than one seen before" in str(two_replicas(made, one, other, wall))


def test_a_certificate_from_the_future_is_neither_used_nor_remembered() -> None:
    note = newest_start()
    made = client(identity=PIN, wall=lambda: WALL, note_start=note)
    made.datagrams_to_send(now=0)
    made.receive_datagram(CERTIFICATE + epoch(2, not_before=WALL + 2 * 3600 * SECOND).certificate, A, now=1)
    made.receive_datagram(stranger(epoch(3, not_before=WALL + SECOND).certificate), A, now=1)
    assert note(PIN, WALL) == WALL + SECOND


def test_nobody_else_can_make_a_client_remember() -> None:
    noted = list[bytes]()

    def noting(identity: bytes, start: int) -> int:
        noted.append(identity)
        return start

    made = client(identity=PIN, wall=lambda: WALL, note_start=noting)
    made.datagrams_to_send(now=0)
    made.receive_datagram(stranger(), A, now=1)
    flipped = bytearray(epoch(1).certificate)
    flipped[10] ^= 1
    made.receive_datagram(CERTIFICATE + flipped, A, now=1)
    assert noted == []

"""Certificates that end: when to rotate, what is said before, and fleets that run for months in faked time."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.desk import datagrams
from tests.support.fleetkeys import entropy
from tests.support.keys import NOON, SECRET, fleet
from tests.support.toys import File
from trickles.client import Client, ClientConfig, Connected, Failed
from trickles.drivers.dialer import newest_start
from trickles.drivers.keystore import KeyringSource, KeyWatch, load_keyring, rotate_keystore
from trickles.drivers.keystore.making import DEFAULT_KEEP
from trickles.drivers.keystore.validity import (
    REMIND_EVERY,
    WARN_BEFORE,
    Reminder,
    covered_until,
    ends,
    is_due,
    warning,
)
from trickles.errors import KeyringError
from trickles.handshake import CERTIFICATE_LIFE, DAY, ROTATE_EVERY, certify
from trickles.keyring import Epoch, Keyring
from trickles.limits import SECOND
from trickles.listener import Listener
from trickleweb.cli.keykeeper import LOOK_SECONDS, KeyKeeper

HOUR = 3600 * SECOND
SOME_DAYS = 6 * DAY


def keys(*starts: int) -> Keyring:
    """Epochs that begin then, in days from NOON."""
    made = (Epoch(number, bytes([number]) * 32, NOON + start * DAY) for number, start in enumerate(starts, 1))
    return Keyring(tuple(certify(epoch, SECRET) for epoch in made))


@pytest.mark.parametrize(
    ("starts", "now", "until"),
    [
        ([0], 0, 30),
        ([0], 31, 30),
        ([0], -1, 30),  # none is in force yet: the first seals, and is shown
        ([-40, -20], 0, 10),
        ([-20, 5], 0, 35),
        ([-20, 5, 9, 30], 0, 60),
        ([-20, 11], 0, 10),  # a day without
        ([-20, 5, 36], 0, 35),
    ],
)
def test_a_keyring_is_good_until_a_certificate_ends_and_none_follows(starts: list[int], now: int, until: int) -> None:
    ring = keys(*starts)
    assert covered_until(ring, NOON + now * DAY) == NOON + until * DAY
    moments = [NOON + now * DAY, NOON + until * DAY] if until > now else []
    for moment in moments:  # the definition, in small: at each moment the epoch in force is certified
        assert ends(ring.newest(moment)) >= moment
    assert ends(ring.newest(NOON + until * DAY + 1)) < NOON + until * DAY + 1 or until < now


@pytest.mark.parametrize(("starts", "due"), [([0], False), ([-6], False), ([-7], True), ([-30, -8], True)])
def test_rotation_is_due_when_the_newest_epoch_is_a_week_old(starts: list[int], due: bool) -> None:
    assert is_due(keys(*starts), NOON) is due
    assert not is_due(keys(*starts, 1), NOON)  # one is to come
    assert is_due(keys(*starts, 8), NOON) is due  # too late


def test_warnings_begin_two_weeks_ahead_and_say_what_to_do() -> None:
    ring, end = keys(0), NOON + CERTIFICATE_LIFE
    assert warning(ring, end - WARN_BEFORE) is None
    soon, late = warning(ring, end - WARN_BEFORE + 1), warning(ring, end + 1)
    assert soon is not None
    assert late is not None
    assert soon.startswith(
        "the certificate of epoch 00000001 ends in 13 days, 2027-02-14 08:00:00Z, and new clients will"
    )
    assert late.startswith("the certificate of epoch 00000001 ended 2027-02-14 08:00:00Z, and new clients refuse this")
    for text in (soon, late):
        assert "run `trickles keys rotate` where the fleet's identity.key is kept, and give the new epoch" in text
    assert warning(keys(0, 25), end - DAY) is None


def test_a_running_replica_is_warned_of_daily_until_it_has_new_keys(tmp_path: Path) -> None:
    place = fleet(tmp_path / "keys", *keys(0).epochs)
    now, told, taken = [NOON], list[str](), list[Keyring]()
    watch = KeyWatch(KeyringSource(place), taken.append, clock=lambda: now[0], report=told.append)
    days = []
    while now[0] < NOON + 35 * DAY:
        before = len(told)
        watch.look()
        days += [(now[0] - NOON) // DAY] * (len(told) - before)
        now[0] += HOUR
    assert days == list(range(16, 35))
    assert "ended" in told[-1]
    begins, end = NOON // SECOND, (NOON + 30 * DAY) // SECOND
    newest = {"newest": "00000001", "newest_begins": begins, "epochs": 1}
    in_force = {"epoch": "00000001", "certificate_begins": begins, "certificate_ends": end}
    assert watch.figures() == {"keys": in_force | newest}
    rotate_keystore(place, now=now[0], delay=0)
    watch.look()
    now[0] += REMIND_EVERY
    watch.look()
    assert (len(days), len(taken), watch.figures()["keys"] != {}) == (len(told), 1, True)


class Months:
    """A fleet of two replicas whose keys somebody looks after, and clients, over months of faked time."""

    def __init__(self, directories: list[Path], note: Callable[[bytes, int], int]) -> None:
        self.now = NOON
        self.sources = [KeyringSource(each) for each in directories]
        self.listeners = [Listener(each.keyring, File(b"x"), entropy=entropy()) for each in self.sources]
        self.note = note
        self.failures: list[tuple[int, str]] = []

    def step(self, forward: int) -> None:
        """The replicas look at their keys, then a client that remembers and one that is new connect to each."""
        self.now += forward
        for source, listener in zip(self.sources, self.listeners, strict=True):
            if (fresh := source.changed()) is not None:
                listener.replace_keyring(fresh)
            for note in (self.note, newest_start()):
                if (why := self._connect(listener, note)) is not None:
                    self.failures.append(((self.now - NOON) // DAY, why))

    def _connect(self, listener: Listener, note: Callable[[bytes, int], int]) -> str | None:
        config = ClientConfig(wall=lambda: self.now, note_start=note)
        client, replica = Client([("10.0.0.1", 1)], entropy=entropy(), config=config), ("10.0.0.1", 1)
        client.write(b"GET\n")
        client.connect(now=0)
        for now in range(0, 10_000_000, 250_000):
            if (due := client.next_timeout()) is not None and due <= now:
                client.handle_timeout(now=now)
            while sent := client.datagrams_to_send(now=now):
                for answer in (each for datagram, _ in sent for each in datagrams(listener, datagram, now=self.now)):
                    client.receive_datagram(answer, replica, now=now)
            event = client.next_event()
            if isinstance(event, Connected | Failed):
                return event.reason if isinstance(event, Failed) else None
        return "nothing happened"


@pytest.mark.slow
def test_a_fleet_without_keys_of_its_own_runs_for_months(tmp_path: Path) -> None:
    now, told = [NOON], list[str]()
    keeper = KeyKeeper(tmp_path / "keys", None, told.append, clock=lambda: now[0])
    keeper.prepare(tmp_path / "server.pub")
    months = Months([tmp_path / "keys"] * 2, newest_start())
    rings = set()
    for _ in range(4 * 200):
        months.step(6 * HOUR)
        now[0] = months.now
        keeper.look()
        rings.add(load_keyring(tmp_path / "keys"))
    assert (months.failures, told) == ([], [])
    assert len(rings) == 28  # every 7 days and 6 hours
    assert max(len(ring.epochs) for ring in rings) == 3
    assert load_keyring(tmp_path / "keys").epochs[0].not_before > NOON + 180 * DAY
    assert LOOK_SECONDS * SECOND < DAY


@pytest.mark.slow
def test_a_clock_that_was_years_ahead_for_a_while_stops_no_rotation(tmp_path: Path) -> None:
    now, told = [NOON + 5000 * DAY], list[str]()
    keeper = KeyKeeper(tmp_path / "keys", None, told.append, clock=lambda: now[0])
    keeper.prepare(tmp_path / "server.pub")
    now[0] = NOON
    keeper.prepare(tmp_path / "server.pub")
    months = Months([tmp_path / "keys"], newest_start())
    for _ in range(100):
        months.step(DAY)
        now[0] = months.now
        keeper.look()
    assert (months.failures, told) == ([], [])


class SetClock:
    """A fleet that began with a clock which is `wrong` by so much, and the people who use it."""

    def __init__(self, place: Path, wrong: int) -> None:
        self.keys, self.told = place / "keys", list[str]()
        self.now = NOON + wrong
        self.keeper = KeyKeeper(self.keys, None, self.told.append, clock=lambda: self.now)
        self.keeper.prepare(place / "server.pub")
        self.people = Months([self.keys], newest_start())
        self.go(0)

    def set(self, now: int) -> None:
        """Set the clock; the supervisor looks, and people come within its interval."""
        self.now = now
        self.go(int(LOOK_SECONDS * SECOND))

    def go(self, forward: int) -> None:
        self.now += forward
        self.keeper.look()
        self.people.now = self.now
        self.people.step(0)


@pytest.mark.parametrize("wrong", [2 * HOUR, 40 * DAY])
def test_a_clock_that_was_ahead_at_the_first_start_and_is_set_right_locks_nobody_out(
    tmp_path: Path, wrong: int
) -> None:
    fleet = SetClock(tmp_path, wrong)
    fleet.set(NOON)
    for _ in range(wrong // SOME_DAYS + 10):
        fleet.go(SOME_DAYS)
    assert (fleet.people.failures, fleet.told) == ([], [])


def test_a_fleet_that_is_started_again_with_the_right_clock_serves_at_once(tmp_path: Path) -> None:
    fleet = SetClock(tmp_path, 40 * DAY)
    fleet.now = NOON
    fleet.keeper.prepare(tmp_path / "server.pub")
    fleet.people.now = NOON
    fleet.people.step(0)
    assert (fleet.people.failures, fleet.told) == ([], [])


@pytest.mark.parametrize("wrong", [HOUR, 40 * DAY, -2 * HOUR, -40 * DAY])
def test_a_clock_that_is_wrong_for_a_while_locks_nobody_out(tmp_path: Path, wrong: int) -> None:
    fleet = SetClock(tmp_path, 0)
    (first,) = load_keyring(fleet.keys).epochs
    for moment in (wrong, 0, wrong, 0):
        fleet.set(NOON + moment)
        fleet.go(HOUR)
    assert first in load_keyring(fleet.keys).epochs  # what it sealed goes on
    for _ in range(15):
        fleet.go(SOME_DAYS)
    assert (fleet.people.failures, fleet.told) == ([], [])


@pytest.mark.slow
def test_epochs_of_the_future_that_clients_remember_stay_until_their_time(tmp_path: Path) -> None:
    """More such epochs than are kept else, and each was seen by clients."""
    fleet = SetClock(tmp_path, 0)
    for days in (50, 100, 150, 200, 250):
        fleet.set(NOON + days * DAY)
    fleet.set(NOON)
    (sealing,) = (each for each in load_keyring(fleet.keys).epochs if each.not_before <= fleet.now)
    fleet.go(ROTATE_EVERY)
    assert sealing in load_keyring(fleet.keys).epochs  # as after any rotation
    for _ in range(50):
        fleet.go(SOME_DAYS)
    assert (fleet.people.failures, fleet.told) == ([], [])
    assert len(load_keyring(fleet.keys).epochs) == DEFAULT_KEEP


def test_a_start_in_the_future_is_warned_of() -> None:
    text = warning(keys(2), NOON)
    assert text is not None
    assert text.startswith(
        "the certificate of epoch 00000001 begins 2027-01-17 08:00:00Z, and clients refuse this fleet"
    )
    assert "run `trickles keys rotate --not-before 0` where" in text
    assert warning(keys(2), NOON + 2 * DAY - SECOND) is None
    assert warning(keys(0, 2), NOON) is None


def test_a_clock_that_is_set_back_delays_no_warning() -> None:
    reminder = Reminder()
    moments = (0, HOUR, 100 * DAY, HOUR, 2 * HOUR, DAY + HOUR)
    assert [reminder.is_due("ends", NOON + moment) for moment in moments] == [True, False, True, True, False, True]
    assert [reminder.is_due(kind, NOON) for kind in ("begins", None, "begins", "begins")] == [True, False, True, False]


def test_a_fleet_that_slept_for_a_year_rotates_before_it_serves(tmp_path: Path) -> None:
    now, told = [NOON], list[str]()
    for start in (NOON, NOON + 365 * DAY):
        now[0] = start
        KeyKeeper(tmp_path / "keys", None, told.append, clock=lambda: now[0]).prepare(tmp_path / "server.pub")
    months = Months([tmp_path / "keys"], newest_start())
    months.now = now[0]
    months.step(SECOND)
    assert (months.failures, told) == ([], [])
    assert len(load_keyring(tmp_path / "keys").epochs) == 2


def test_keys_that_were_given_are_not_rotated_but_warned_of(tmp_path: Path) -> None:
    place, now, told = fleet(tmp_path / "given", *keys(0).epochs), [NOON], list[str]()
    keeper = KeyKeeper(tmp_path / "keys", str(place), told.append, clock=lambda: now[0])
    keeper.prepare(tmp_path / "server.pub")
    for _ in range(40):
        now[0] += DAY
        keeper.look()
    assert load_keyring(place) == keys(0)
    assert not (tmp_path / "keys").exists()
    assert len(told) == 40 - 16
    assert told[0].startswith("the certificate of epoch 00000001 ends in 13 days")


def test_a_rotation_that_fails_is_told_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, told = [NOON], list[str]()
    keeper = KeyKeeper(tmp_path / "keys", None, told.append, clock=lambda: now[0])
    keeper.prepare(tmp_path / "server.pub")
    secret = (tmp_path / "keys" / "identity.key").rename(tmp_path / "kept elsewhere")
    now[0] += ROTATE_EVERY
    keeper.look()
    why = f"{tmp_path}/keys/identity.key is missing: rotate where the identity is kept, then copy the epochs"
    assert told == [f"the keys cannot be rotated: {why}"]
    secret.rename(tmp_path / "keys" / "identity.key")
    keeper.look()
    assert len(load_keyring(tmp_path / "keys").epochs) == 2
    shutil.rmtree(tmp_path / "keys")
    keeper.look()
    assert "No such file" in told[-1]


def copied(source: Path, target: Path) -> Path:
    """What an operator does: the epochs alone go to a machine that serves."""
    target.mkdir(mode=0o700, exist_ok=True)
    for old in set(target.iterdir()):
        old.unlink()
    for each in source.glob("epoch-*.key"):
        shutil.copy(each, target)
    return target


@pytest.mark.slow
def test_replicas_without_the_identity_get_new_certificates_by_copies(tmp_path: Path) -> None:
    """Weekly, to one machine an hour before the epoch is in force, to the other one half an hour after."""
    made = fleet(tmp_path / "made", *keys(0).epochs)
    places = [copied(made, tmp_path / name) for name in ("one", "other")]
    months = Months(places, newest_start())
    for _ in range(20):
        months.step(ROTATE_EVERY - HOUR)
        rotate_keystore(made, now=months.now, delay=2 * HOUR)
        months.step(HOUR)
        copied(made, places[0])
        months.step(HOUR + HOUR // 2)
        copied(made, places[1])
        months.step(HOUR)
    assert months.failures == []


def test_epochs_can_be_made_ahead_where_the_identity_is_rarely_at_hand(tmp_path: Path) -> None:
    made = fleet(tmp_path / "made", *keys(0).epochs)
    for week in range(1, 9):
        rotate_keystore(made, now=NOON, delay=week * ROTATE_EVERY, keep=12)
    months = Months([copied(made, tmp_path / "one")], newest_start())
    ring = load_keyring(tmp_path / "one")
    assert covered_until(ring, NOON) == NOON + 8 * ROTATE_EVERY + CERTIFICATE_LIFE
    for _ in range(85):
        months.step(DAY)
    assert months.failures == []
    months.step(3 * DAY)
    assert {why.partition(" ended")[0] for _, why in months.failures} == {
        f"identity: the certificate of epoch {ring.epochs[-1].identifier:08x}"
    }


def test_a_machine_that_is_forgotten_serves_new_clients_only_until_its_certificate_ends(tmp_path: Path) -> None:
    made = fleet(tmp_path / "made", *keys(0).epochs)
    places = [copied(made, tmp_path / name) for name in ("one", "forgotten")]
    months = Months(places, newest_start())
    months.step(DAY)
    rotate_keystore(made, now=months.now, delay=0)
    copied(made, places[0])
    months.step(HOUR)
    assert months.failures == []  # a rotation may take so long
    months.step(1)
    assert [why.partition(" is older")[0] for _, why in months.failures] == [
        "identity: the certificate of epoch 00000001"
    ]
    months.step(29 * DAY)
    assert len(months.failures) == 3  # now clients that know nothing refuse it too, and not the one that was rotated


def test_a_keyring_that_is_gone_says_so(tmp_path: Path) -> None:
    keeper = KeyKeeper(tmp_path / "keys", str(tmp_path / "nowhere"), print)
    with pytest.raises(KeyringError):
        keeper.prepare(tmp_path / "server.pub")

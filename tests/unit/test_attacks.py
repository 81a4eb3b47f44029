"""Each attack against a listener, in virtual time: what it gains, and what it would gain without the defence."""

from contextlib import suppress
from dataclasses import replace

import pytest

from benchmarks.support.bogus import BOGUS, datagrams, makings
from trickles.errors import TricklesError
from trickles.limits import DEFAULT_LIMITS
from trickles.listener import Listener
from trickles.spool import MemorySpool
from trickles.tools.attacks.catalogue import ATTACKS, Attack, strike, strike_here
from trickles.tools.attacks.desk import KEYRING, DeskTarget, Endless
from trickles.tools.attacks.stage import Bounds, Gain, Stage, received
from trickles.tools.attacks.undefended import Defence, Undefended

# Floods that are answered: by less than they are, but for hellos as long as no cookie is asked for.
ANSWERED = {
    "random request",  # its epoch is unknown: 32 bytes
    "unknown epoch",
    "repeated claim",
    "bogus hello",  # by cookies
    "bogus hello, false cookie",
    "hello",
    "ask",
    "ping",
}
SHORT = Bounds(rounds=20)
FEW = Bounds(rounds=8)
WARM = Bounds(rounds=24)  # 600 connections, which fill all caches, and as many that must cost no more
# Most that an attack may gain; least that it gains where nothing stands against it.
BARS: dict[str, tuple[float, float]] = {
    "replay": (0.0, 50.0),
    "optimistic-acknowledgement": (0.0, 50.0),
    "hidden-loss": (1.25, 5.0),
    "hoarded-window": (3.0, 20.0),
    "spoofed-source": (3.0, 20.0),
    "hello-flood": (0.5, 1.0),
    "connection-flood": (300.0, 1000.0),
    "splitting": (1.25, 2.0),
    "false-goodbye": (0.0, 1.0),
    "revived-work": (0.0, 2.0),
    "reflected-questions": (0.0, 0.15),
}


def test_every_attack_has_its_bar() -> None:
    assert set(BARS) == set(ATTACKS)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "most"), [(name, most) for name, (most, _) in BARS.items()])
def test_an_attack_gains_little(name: str, most: float) -> None:
    result = strike_here(name, WARM if name == "connection-flood" else SHORT, defended=True)
    assert result.gain is not None
    assert result.account.sent
    assert result.gain <= most


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), [(name, least) for name, (_, least) in BARS.items()])
def test_without_its_defence_an_attack_gains_much(name: str, least: float) -> None:
    gain = strike_here(name, FEW if name == "connection-flood" else SHORT, defended=False).gain
    assert gain is not None
    assert gain >= least


def test_results_are_the_same_in_every_run() -> None:
    for name in ("hidden-loss", "hoarded-window", "splitting"):
        assert strike_here(name, SHORT, defended=True) == strike_here(name, SHORT, defended=True)


def test_an_assembly_that_lacks_nothing_is_a_listener_like_any_other() -> None:
    whole, assembled = (
        DeskTarget(lambda entropy: Listener(KEYRING, Endless(), entropy=entropy)),
        DeskTarget(lambda entropy: Undefended(KEYRING, Endless(), entropy=entropy, without=frozenset())),
    )
    for name in ("replay", "hidden-loss", "hoarded-window", "splitting"):
        assert strike(ATTACKS[name], whole, SHORT, name) == strike(ATTACKS[name], assembled, SHORT, name)
    assert whole.listener.counters == assembled.listener.counters


@pytest.mark.parametrize("defence", Defence)
def test_an_honest_client_notices_no_difference_when_a_defence_is_gone(defence: Defence) -> None:
    """So that what an attack gains without it is owed to that defence alone."""

    def earned(without: frozenset[Defence]) -> list[int]:
        target = DeskTarget(lambda entropy: Undefended(KEYRING, Endless(), entropy=entropy, without=without))
        stage = Stage(target, SHORT, "honest")
        peer = stage.peer("honest")
        stage.greet(peer)
        stage.pause(1000)
        answers = stage.setting(peer.restart(peer.bound()))
        received(peer, answers)
        more = stage.setting(peer.speak(peer.base, peer.top))
        return [len(answers), len(more)]

    expected = earned(frozenset())
    assert expected == [10, 20]
    assert earned(frozenset({defence})) == expected


def test_an_attack_ends_when_its_datagrams_are_spent() -> None:
    result = strike_here("replay", Bounds(rounds=10_000, most_datagrams=500), defended=True)
    assert 0 < result.account.sent <= 500
    result = strike_here("replay", Bounds(rounds=10_000, most_datagrams=500), defended=False)
    assert result.account.sent + result.account.earned < 500 + 10 * 46


@pytest.mark.parametrize("name", ATTACKS)
def test_with_too_few_datagrams_to_prepare_there_is_an_error_or_a_result(name: str) -> None:
    for most in (0, 1, 2, 5, 17, 40):
        with suppress(TricklesError):
            assert strike_here(name, Bounds(rounds=3, most_datagrams=most), defended=True).account.sent <= most
    with pytest.raises(TricklesError, match="not enough datagrams"):
        strike_here("replay", Bounds(most_datagrams=2), defended=True)


def test_a_replica_that_asks_for_cookies_is_attacked_all_the_same() -> None:
    limits = replace(DEFAULT_LIMITS, max_hellos_per_second=0)
    target = DeskTarget(lambda entropy: Listener(KEYRING, Endless(), entropy=entropy, limits=limits))
    result = strike(ATTACKS["replay"], target, SHORT, "cookies")
    assert result.account.sent
    assert result.account.earned == 0


def test_a_service_that_does_not_answer_is_named_in_the_error() -> None:
    class Silent(DeskTarget):
        def ask(self, datagrams: object, *, sender: int = 0) -> list[bytes]:
            return []

    target = Silent(lambda entropy: Listener(KEYRING, Endless(), entropy=entropy))
    with pytest.raises(TricklesError, match="does not answer"):
        strike(ATTACKS["replay"], target, SHORT, "silent")


def test_the_account_counts_both_directions() -> None:
    account = Gain()
    assert account.gain == 0.0
    account.note([b"12"], [b"123", b"456"])
    account.note([b"34"], [])
    assert (account.sent, account.sent_bytes, account.earned, account.earned_bytes) == (2, 4, 2, 6)
    assert account.gain == 1.5


def test_a_catalogue_entry_says_what_it_does_in_one_line() -> None:
    for attack in ATTACKS.values():
        assert isinstance(attack, Attack)
        assert attack.without
        for text in (attack.summary, attack.measure):
            assert text
            assert "\n" not in text


@pytest.mark.parametrize("kind", BOGUS)
def test_what_floods_are_made_of_earns_next_to_nothing(kind: str) -> None:
    limits = replace(DEFAULT_LIMITS, max_hellos_per_second=10)
    spool = MemorySpool()
    target = DeskTarget(lambda entropy: Listener(KEYRING, Endless(), entropy=entropy, limits=limits, spool=spool))
    stage = Stage(target, SHORT, "floods")
    given = makings(stage)
    made = datagrams(kind, given, 100)
    stage.pause(1_000_000)
    before = sum(target.listener.counters.values())
    flood = [made[index % len(made)] for index in range(100)]
    answers = stage.strike(flood)
    assert sum(target.listener.counters.values()) >= before + 100  # each is counted
    assert len(answers) <= 100 + 2 * 10
    bound = 3 * sum(map(len, flood[:10])) + sum(map(len, flood[10:]))  # ten hellos are greeted
    assert stage.account.earned_bytes <= bound
    assert bool(answers) == (kind in ANSWERED)


def test_a_replica_stays_as_it_was_for_everybody_else() -> None:
    target = DeskTarget(lambda entropy: Listener(KEYRING, Endless(), entropy=entropy, spool=MemorySpool()))
    stage = Stage(target, Bounds(most_datagrams=1 << 20), "floods")
    given, honest = makings(stage), stage.connect("honest")
    for kind in BOGUS:
        stage.strike(datagrams(kind, given, 20))
    assert len(stage.ask([honest.speak(honest.base, honest.top)])) == 20

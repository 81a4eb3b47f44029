"""The attacks by name: their function, the unit of their gain, and the defence against them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from trickles.errors import TricklesError
from trickles.limits import DEFAULT_LIMITS, Limits
from trickles.service import Service
from trickles.tools.attacks.acknowledging import hidden_loss, optimistic_acknowledgement, splitting
from trickles.tools.attacks.desk import KEYRING, DeskTarget, Endless, EndlessWork
from trickles.tools.attacks.flooding import connection_flood, hello_flood, spoofed_source
from trickles.tools.attacks.leaving import false_goodbye, reflected_questions, revived_work
from trickles.tools.attacks.repeating import hoarded_window, replay
from trickles.tools.attacks.stage import AttackTarget, Bounds, Gain, PurseEmpty, Stage
from trickles.tools.attacks.undefended import Defence, Undefended

PER_BYTE = "bytes earned per byte sent"


@dataclass(frozen=True, slots=True)
class Attack:
    """An attack; `without` are the defences to remove for comparison."""

    run: Callable[[Stage], float | None]
    summary: str
    measure: str
    without: frozenset[Defence]
    limits: Limits = DEFAULT_LIMITS  # of the listeners in this process
    service: Callable[[], Service] = Endless  # of them too


@dataclass(frozen=True, slots=True)
class Result:
    """An attack's account and its gain, or None where that cannot be measured."""

    account: Gain
    gain: float | None


ATTACKS = {
    "replay": Attack(
        replay,
        "repeat answered requests bit by bit",
        PER_BYTE,
        frozenset({Defence.REPLAY_FILTER, Defence.CLAIMS}),
    ),
    "optimistic-acknowledgement": Attack(
        optimistic_acknowledgement,
        "claim packets that never came, with made-up proofs",
        PER_BYTE,
        frozenset({Defence.NONCES}),
    ),
    "hidden-loss": Attack(
        hidden_loss,
        "fetch lost packets again, and never show that they were lost",
        "packets per packet of an honest client that loses as many",
        frozenset({Defence.NONCES, Defence.CLAIMS}),
    ),
    "hoarded-window": Attack(
        hoarded_window,
        "restart from old continuations in turn, without new proof",
        PER_BYTE,
        frozenset({Defence.CLAIMS}),
    ),
    "spoofed-source": Attack(
        spoofed_source,
        "send from a victim's address, so that the answers go there",
        "bytes at the victim per byte sent",
        frozenset({Defence.ADDRESS_PROOF}),
    ),
    "hello-flood": Attack(
        hello_flood,
        "send hellos without end, each worth public-key work",
        "share of hellos that cost public-key work",
        frozenset({Defence.COOKIES}),
    ),
    "connection-flood": Attack(
        connection_flood,
        "open connections, and leave them",
        "bytes of memory kept per connection",
        frozenset({Defence.CACHE_BOUNDS}),
        replace(DEFAULT_LIMITS, path_cache=64, claims_cache=64),  # so that few connections fill them
    ),
    "splitting": Attack(
        splitting,
        "grow the window by one-byte packets, and claim each number by itself",
        "next round per round of an honest client that received as much",
        frozenset({Defence.CLAIMS}),
    ),
    "false-goodbye": Attack(
        false_goodbye,
        "end another client's work by goodbyes that are old, altered, or of others",
        "share of another client's work that ends",
        frozenset({Defence.REPLAY_FILTER, Defence.ORDER}),
        service=EndlessWork,
    ),
    "revived-work": Attack(
        revived_work,
        "keep work going by the questions of a client that is silent",
        "renewals of the work per question of its client",
        frozenset({Defence.ORDER}),
        service=EndlessWork,
    ),
    "reflected-questions": Attack(
        reflected_questions,
        "repeat questions, and ask in the name of others",
        PER_BYTE,
        frozenset({Defence.REPLAY_FILTER, Defence.ORDER}),
    ),
}


def strike(attack: Attack, target: AttackTarget, bounds: Bounds, seed: str | bytes) -> Result:
    """Run one attack to its end; TricklesError when its bounds do not allow the preparation."""
    stage = Stage(target, bounds, seed)
    try:
        gain = attack.run(stage)
    except PurseEmpty:
        raise TricklesError("not enough datagrams, or seconds, to prepare the attack") from None
    return Result(stage.account, gain)


def strike_here(name: str, bounds: Bounds, *, defended: bool) -> Result:
    """Run an attack against a listener of this process, complete or without the defence, in virtual time."""
    attack = ATTACKS[name]
    without = frozenset[Defence]() if defended else attack.without
    target = DeskTarget(
        lambda entropy: Undefended(KEYRING, attack.service(), entropy=entropy, without=without, limits=attack.limits)
    )
    try:
        return strike(attack, target, bounds, name)
    finally:
        target.close()

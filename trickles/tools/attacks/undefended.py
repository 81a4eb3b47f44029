"""A listener without some of its defences, to show their effect; never serve it.

The product has no switch for this: it is composed here of soft state that forgets everything, of unlimited limits, and
of nonces that equal any proof.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from enum import Enum, auto

from trickles.keyring import Keyring
from trickles.limits import DEFAULT_LIMITS, Limits
from trickles.listener import Listener
from trickles.listener.claims import Claims, ClaimTable
from trickles.listener.paths import Path, PathCache
from trickles.listener.waiting import Waiting
from trickles.nonce import NonceSequence
from trickles.replay import ReplayFilter
from trickles.service import Service

_NO_BOUND = 1 << 60


class Defence(Enum):
    """Defences that can be removed."""

    REPLAY_FILTER = auto()
    CLAIMS = auto()  # the table of numbers, pauses and restarts
    NONCES = auto()  # any proof is accepted
    COOKIES = auto()
    ADDRESS_PROOF = auto()  # a hello's address counts as validated
    CACHE_BOUNDS = auto()
    ORDER = auto()  # of questions and goodbyes: older ones count like new ones


class Undefended(Listener):
    """A listener that lacks the defences `without`."""

    def __init__(
        self,
        keyring: Keyring,
        service: Service,
        *,
        entropy: Callable[[int], bytes],
        without: AbstractSet[Defence],
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._without = without
        super().__init__(keyring, service, entropy=entropy, limits=_loosened(limits, without))
        if Defence.NONCES in without:
            self._paths = _BelievingPaths(keyring, limits)
        if Defence.ORDER in without:
            self._replier._waiting.__class__ = _Orderless

    def _forget(self) -> None:
        super()._forget()
        if Defence.REPLAY_FILTER in self._without:
            self._replays = _ForgetfulFilter(bits=64, period=1)
        if Defence.CLAIMS in self._without:
            self._claims = _ForgetfulTable(1)


def _loosened(limits: Limits, without: AbstractSet[Defence]) -> Limits:
    if Defence.COOKIES in without:
        limits = replace(limits, max_hellos_per_second=_NO_BOUND)
    if Defence.ADDRESS_PROOF in without:
        limits = replace(limits, unproved_window=limits.max_burst_packets)
    if Defence.CACHE_BOUNDS in without:
        limits = replace(limits, path_cache=_NO_BOUND, claims_cache=_NO_BOUND)
    return limits


class _ForgetfulFilter(ReplayFilter):
    def seen(self, tag: bytes, *, now: int) -> bool:  # noqa: ARG002
        return False


class _ForgetfulTable(ClaimTable):
    def of(self, connection: bytes) -> Claims:  # noqa: ARG002
        return Claims()


class _Orderless(Waiting):
    def newest(self, identity: bytes) -> int:  # noqa: ARG002
        return -1


class _Any(int):
    """A number that equals every other."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, int)

    def __ne__(self, other: object) -> bool:
        return not isinstance(other, int)

    __hash__ = int.__hash__


class _BelievingNonces(NonceSequence):
    def run(self, start: int, stop: int) -> int:
        return _Any(super().run(start, stop))

    def holds(self, runs: Sequence[tuple[int, int, int]]) -> bool:  # noqa: ARG002
        return True


class _BelievingPaths(PathCache):
    def open_untrusted(self, blob: bytes) -> Path:
        path = super().open_untrusted(blob)
        if not isinstance(path.nonces, _BelievingNonces):
            path.nonces = _BelievingNonces(path.state.nonce_key)
        return path

"""Forms in several steps whose state is in the page: sealed, bound to one principal, expiring, finished once.

The answers so far are a hidden field of the next page. Any replica opens it, but only for its principal; the client can
go back a step, but finish only once, by the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from trickles.keyring import Keyring
from trickles.stores import NO_STORE, store_name, store_tag
from trickleweb.ledger import Claim, Ledger, OtherLedger, ledger_key
from trickleweb.plain import Plain, StateTooLarge, dump_plain, load_plain
from trickleweb.sealing import BadSeal, seal, unseal

HOUR = 3600 * 1_000_000
_SERIAL_BYTES = 16


@dataclass(frozen=True, slots=True)
class WizardState:
    """The current step, and all answers to earlier ones; `serial` names this run of the wizard.

    `store` is the tag of the ledger that finishes this run (`trickles.stores`).
    """

    step: str
    serial: bytes
    store: bytes
    answers: dict[str, Plain] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wizard:
    """A form of several steps. Its principal is the user: a name, or a constant of the session."""

    name: str
    steps: tuple[str, ...]
    ttl: int = HOUR  # for each step
    max_bytes: int = 32_768  # of the state, which each step sends to the client and back

    def __post_init__(self) -> None:
        if not self.steps or len(set(self.steps)) != len(self.steps):
            raise ValueError("a wizard has steps, each once")

    def begin(self, *, entropy: bytes, ledger: Ledger | None) -> WizardState:
        """Return a new run at the first step, to be finished in that ledger; `entropy` is at least 16 bytes."""
        if len(entropy) < _SERIAL_BYTES:
            raise ValueError("a wizard's run takes 16 bytes of entropy")
        store = store_tag(NO_STORE if ledger is None else ledger.store_id)
        return WizardState(self.steps[0], entropy[:_SERIAL_BYTES], store)

    def answered(self, state: WizardState, **answers: Plain) -> WizardState:
        """Return the state with the current step answered, at the next step; the last one stays."""
        following = self.steps[self.steps.index(state.step) + 1 :]
        return replace(state, step=following[0] if following else state.step, answers=state.answers | answers)

    def is_last(self, state: WizardState) -> bool:
        """Return whether the current step is the last."""
        return state.step == self.steps[-1]

    def seal(self, ring: Keyring, state: WizardState, *, principal: str, now: int, entropy: bytes) -> str:
        """Return the value of the page's hidden field; raise `StateTooLarge` or `NotPlain` for answers that cannot be
        sealed.
        """
        data = dump_plain([state.step, state.serial.hex(), state.store.hex(), state.answers])
        if len(data) > self.max_bytes:
            raise StateTooLarge(
                f"the answers take {len(data)} bytes, over {self.max_bytes}: keep them in a shared store"
            )
        return seal(ring, self._purpose, data, ttl=self.ttl, now=now, entropy=entropy, principal=principal)

    def open(self, ring: Keyring, token: str, *, principal: str, now: int) -> WizardState:
        """Return the state in a page's field; raise `BadSeal` for one forged, expired, another's, or of unknown
        steps.
        """
        unsealed = unseal(ring, self._purpose, token, now=now, principal=principal)
        try:
            step, serial, store, answers = load_plain(unsealed.data)
            state = WizardState(step, bytes.fromhex(serial), bytes.fromhex(store), dict(answers))
        except (ValueError, TypeError):
            raise BadSeal from None
        if state.step not in self.steps:
            raise BadSeal
        return state

    async def finish(self, ledger: Ledger, state: WizardState, *, now: int) -> Claim:
        """Claim the end of this run: `New` once; `Done` has the outcome that `finished` stored, to be shown again.

        Raise OtherLedger when the run began with another ledger, which may know that it is finished.
        """
        if store_tag(ledger.store_id) != state.store:
            raise OtherLedger(f"this form began with another ledger than {store_name(ledger.store_id)}")
        return await ledger.claim(self._key(state), now=now)

    async def finished(self, ledger: Ledger, state: WizardState, outcome: bytes, *, now: int) -> bytes:
        """Store the outcome of a run that `finish` returned as `New`; return the one that counts."""
        return await ledger.complete(self._key(state), outcome, now=now)

    async def not_finished(self, ledger: Ledger, state: WizardState) -> None:
        """Release a run that `finish` returned as `New`, so that it can be finished again."""
        await ledger.release(self._key(state))

    @property
    def _purpose(self) -> str:
        return f"wizard {self.name}"

    def _key(self, state: WizardState) -> bytes:
        return ledger_key(self._purpose, state.serial)

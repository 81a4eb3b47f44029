"""Wizards in handlers: state is opened from the page that was sent, and sealed into the next one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from trickleweb.errors import HTTPError
from trickleweb.http1 import unavailable
from trickleweb.ledger import Done, New, Pending
from trickleweb.plain import Plain, dump_plain, load_plain
from trickleweb.request import Request
from trickleweb.wizard import Wizard, WizardState

FIELD = "wizard"  # the page's hidden field


class WizardForm:
    """One request's place in a wizard: `state` is the step of the page, with the answers before it.

    A request without a page begins a new run. `principal` names who may continue it: a user's name, for instance. Raise
    `BadSeal`, answered 400, for a page that is forged, expired, or another principal's.
    """

    def __init__(self, wizard: Wizard, request: Request, *, principal: str) -> None:
        self._wizard = wizard
        self._request = request
        self._principal = principal
        token = request.form().get(FIELD) if request.method == "POST" else None
        if token is None:
            entropy = request.entropy(f"wizard {wizard.name}")
            self.state: WizardState = wizard.begin(entropy=entropy, ledger=request.setting.ledger)
        else:
            self.state = wizard.open(request.keyring, token, principal=principal, now=request.now)

    @property
    def step(self) -> str:
        return self.state.step

    @property
    def is_last(self) -> bool:
        return self._wizard.is_last(self.state)

    def answer(self, **answers: Plain) -> None:
        """Store the answers to the current step, and go to the next."""
        self.state = self._wizard.answered(self.state, **answers)

    @property
    def token(self) -> str:
        """The value of the next page's hidden field; raises `StateTooLarge` or `NotPlain` for answers that cannot be
        sealed.
        """
        request, label = self._request, f"wizard page {self._wizard.name}"
        return self._wizard.seal(
            request.keyring,
            self.state,
            principal=self._principal,
            now=request.now,
            entropy=request.entropy(label),
        )

    async def finish(self, work: Callable[[], Awaitable[Plain]]) -> Plain:
        """Return the result of `work`, which is done at most once for this run, however often the last page is sent.

        Work that raises counts as not done: it should be one transaction. Raise `HTTPError` 503 while it is running,
        and 500 for ever after a replica died at it, since its outcome is unknown. Raise `OtherLedger`, answered 503,
        where the form began on a replica with another ledger.
        """
        ledger, now = self._request.ledger, self._request.now
        claim = await self._wizard.finish(ledger, self.state, now=now)
        match claim:
            case Done(plan=outcome):
                return load_plain(outcome)
            case Pending():
                raise unavailable("This is being done already: try again soon.")
            case New():
                return await self._done(work)
        raise HTTPError(500, "The outcome is unknown, and this is not done again.")

    async def _done(self, work: Callable[[], Awaitable[Plain]]) -> Plain:
        ledger, now = self._request.ledger, self._request.now
        try:
            outcome = dump_plain(await work())
        except BaseException:
            await self._wizard.not_finished(ledger, self.state)
            raise
        kept = await self._wizard.finished(ledger, self.state, outcome, now=now)
        return load_plain(kept)

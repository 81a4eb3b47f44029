"""The steps of an application: registration, and the table from which bodies resume."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from trickleweb.bodies import Stepped, Steps, StepsTable, stepping, steps
from trickleweb.bodies.steps import Migrate, Run
from trickleweb.errors import WebError


class UnknownSteps(WebError, LookupError):
    """A handler returned a body of steps that are not registered: no replica could resume it."""


class StepsRegistry(StepsTable):
    """The registered steps of an application; called, the decorator `steps`, which registers what it decorates.

    @app.steps("export", version=1) async def rows(cursor: int) -> AsyncIterator[Step]: ...
    """

    def __init__(self, known: Iterable[Steps], add: Callable[[Steps], Steps]) -> None:
        super().__init__(known)
        self._add = add

    def __call__(self, name: str, *, version: int = 1, migrate: Migrate | None = None) -> Callable[[Run], Steps]:
        """Decorate a generator that yields (data, next cursor)."""
        return lambda run: self._add(steps(name, version=version, migrate=migrate)(run))

    def stepping(
        self, name: str, *, version: int = 1, migrate: Migrate | None = None
    ) -> Callable[[Callable[..., object]], Steps]:
        """Decorate a function from a cursor to (data, next cursor), or None at the end."""
        return lambda step: self._add(stepping(name, version=version, migrate=migrate)(step))

    def check(self, body: Stepped) -> None:
        """Raise `UnknownSteps` unless the body's steps are the registered ones."""
        if self.steps.get(body.steps.name) is not body.steps:
            name = body.steps.name
            raise UnknownSteps(
                f"the steps {name!r} are not registered, so no replica could resume them:"
                f" write App(steps=[...]), or decorate them with @app.steps({name!r})"
            )

"""Templates by Jinja, of which this module is the only importer: autoescape on, unknown names are errors."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import BaseLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined


def environment(loader: BaseLoader, *, reload: bool = False) -> Environment:
    """An environment as all templates have it: every value escaped, a missing one an error, files read once."""
    return Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=reload,
        trim_blocks=True,
        lstrip_blocks=True,
    )


_OWN = environment(PackageLoader("trickleweb", "templates"))


def render(template: str, /, **values: object) -> str:
    """The text of one of the package's own templates."""
    return _OWN.get_template(template).render(values)


class Templates:
    """The templates of a program, in one folder or several of which the first that has a name counts.

    `filters`, `tests` and `globals` may be added to before the first template is used. `reload` reads files that have
    changed anew.
    """

    def __init__(self, *folders: str | os.PathLike[str], reload: bool = False) -> None:
        self._environment = environment(FileSystemLoader(folders), reload=reload)
        self.filters: dict[str, Any] = self._environment.filters
        self.tests: dict[str, Any] = self._environment.tests
        self.globals: dict[str, Any] = self._environment.globals

    def render(self, template: str, context: Mapping[str, Any]) -> bytes:
        """The whole text in UTF-8; whatever Jinja raises for a template that is missing, or wrong."""
        return self._environment.get_template(template).render(context).encode("utf-8")

    def stream(self, template: str, context: Mapping[str, Any]) -> Iterator[str]:
        """The text as it is made; a template that is missing or cannot be read is told at once."""
        return self._environment.get_template(template).generate(context)

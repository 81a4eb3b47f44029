"""Jinja templates: autoescape on, unknown names are errors. The only importer of Jinja."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import BaseLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined


def environment(loader: BaseLoader, *, reload: bool = False) -> Environment:
    """Return an environment for all templates: values escaped, missing ones errors, files read once unless `reload`."""
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
    """Return one of the package's own templates, rendered."""
    return _OWN.get_template(template).render(values)


class Templates:
    """Templates of an application, in one folder or several, of which the first with a name counts.

    `filters`, `tests` and `globals` may be extended before the first template is used. `reload` reads changed files
    again.
    """

    def __init__(self, *folders: str | os.PathLike[str], reload: bool = False) -> None:
        self._environment = environment(FileSystemLoader(folders), reload=reload)
        self.filters: dict[str, Any] = self._environment.filters
        self.tests: dict[str, Any] = self._environment.tests
        self.globals: dict[str, Any] = self._environment.globals

    def render(self, template: str, context: Mapping[str, Any]) -> bytes:
        """Return the text in UTF-8; raise Jinja's errors for a missing or wrong template."""
        return self._environment.get_template(template).render(context).encode("utf-8")

    def stream(self, template: str, context: Mapping[str, Any]) -> Iterator[str]:
        """Return an iterator of the text; a missing or unreadable template raises at once."""
        return self._environment.get_template(template).generate(context)

"""Templates by Jinja, of which this module is the only importer: autoescape on, unknown names are errors."""

from __future__ import annotations

from jinja2 import BaseLoader, Environment, PackageLoader, StrictUndefined


def environment(loader: BaseLoader) -> Environment:
    """An environment as all templates have it: every value escaped, a missing one an error, files read once."""
    return Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )


_OWN = environment(PackageLoader("trickleweb", "templates"))


def render(template: str, /, **values: object) -> str:
    """The text of one of the package's own templates."""
    return _OWN.get_template(template).render(values)

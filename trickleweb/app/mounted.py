"""Bodies of mounted applications, as the one above them knows them: by the mount's prefix and the inner name."""

from __future__ import annotations

from dataclasses import replace

from trickleweb.app.registry import SEPARATOR
from trickleweb.bodies import FileBody, Rendered
from trickleweb.errors import WebError
from trickleweb.responses import Response


class NotMounted(WebError, LookupError):
    """A body is of an application that is not mounted here: a state of another release."""


def lifted(response: Response, prefix: str) -> Response:
    """The response of the application mounted at `prefix`, with its files and templates named from above."""
    match response.body:
        case FileBody() as body:
            return replace(response, body=replace(body, folder=f"{prefix}{SEPARATOR}{body.folder}"))
        case Rendered() as body:
            return replace(response, body=replace(body, template=f"{prefix}{SEPARATOR}{body.template}"))
    return response


def split(name: str) -> tuple[str | None, str]:
    """The prefix of the mount that a name leads to, None for the application itself, and the name inside it."""
    prefix, separator, inner = name.partition(SEPARATOR)
    return (prefix, inner) if separator else (None, name)

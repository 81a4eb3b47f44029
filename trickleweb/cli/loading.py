"""Load a program by its name `module:attribute`, with errors in one line."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import traceback
from pathlib import Path
from typing import Any, cast

from trickles.command import CommandFailed
from trickleweb.app import App
from trickleweb.application import Application
from trickleweb.asgi import AsgiApplication
from trickleweb.cli.app_options import ProgramOptions
from trickleweb.wsgi import WsgiApplication

BODY_BYTES = 1 << 30  # of a request to a program that sets no limit itself, as other servers set none
_NAME = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_PROTOCOL = ("steps", "terms", "respond", "read", "startup", "shutdown")


def load_program(options: ProgramOptions) -> Application:
    """Import the program and return it as an `Application`, whatever its kind; raise `CommandFailed`."""
    found = _attribute(options)
    if options.factory:
        found = _made(found, options.name)
    if isinstance(found, App) and options.max_body_bytes is not None:
        found.max_body_bytes = options.max_body_bytes
    if all(hasattr(found, name) for name in _PROTOCOL):
        return cast("Application", found)
    limit = BODY_BYTES if options.max_body_bytes is None else options.max_body_bytes
    if options.wsgi or _kind(found, options) == "wsgi":
        threads = options.threads
        return WsgiApplication(found, threads=threads, max_body_bytes=limit, repeatable_methods=options.repeat)
    return AsgiApplication(found, max_body_bytes=limit, repeatable_methods=options.repeat)


def _attribute(options: ProgramOptions) -> Any:
    if not _NAME.fullmatch(options.name):
        raise CommandFailed(f"{options.name!r} names no program: use MODULE:ATTRIBUTE, such as main:app")
    module_name, _, path = options.name.partition(":")
    found: Any = program_module(module_name, options.folder)
    for name in path.split("."):
        if not hasattr(found, name):
            raise CommandFailed(f"the module {module_name} has no {path}")
        found = getattr(found, name)
    return found


def program_module(name: str, folder: str) -> Any:
    """Import a module of the user's, found in that folder first; raise `CommandFailed`."""
    place = str(Path(folder).resolve())
    if place not in sys.path:
        sys.path.insert(0, place)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise CommandFailed(f"there is no module {name} in {place}, and none is installed") from None
        raise CommandFailed(f"importing {name} failed: {error}{_where(error)}") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - an import may raise anything
        raise CommandFailed(f"importing {name} failed: {type(error).__name__}: {error}{_where(error)}") from None


def _made(factory: Any, name: str) -> Any:
    if not callable(factory):
        raise CommandFailed(f"{name} is {_article(factory)}, not a factory")
    try:
        return factory()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a factory may raise anything
        raise CommandFailed(f"calling {name} failed: {type(error).__name__}: {error}{_where(error)}") from None


def _kind(found: Any, options: ProgramOptions) -> str:
    """Return asgi or wsgi, by the program's parameters; raise `CommandFailed` if it is no program."""
    if not callable(found):
        raise CommandFailed(f"{options.name} is {_article(found)}, not an ASGI or WSGI program")
    if inspect.isclass(found):
        raise CommandFailed(f"{options.name} is a class, not a program: use --factory if calling it makes one")
    call = found if inspect.isroutine(found) else type(found).__call__
    if inspect.iscoroutinefunction(found) or inspect.iscoroutinefunction(call):
        return "asgi"
    match _takes(found):
        case 0 if not options.factory:
            raise CommandFailed(f"{options.name} takes no arguments: use --factory if calling it makes the program")
        case 2:
            return "wsgi"
        case 3:
            return "asgi"
    raise CommandFailed(f"{options.name} is no ASGI 3 program; for a WSGI program use --wsgi")


def _takes(found: Any) -> int | None:
    """Return the number of arguments it needs, None if unknown."""
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in parameters):
        return None
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.kind in places and each.default is inspect.Parameter.empty for each in parameters)


def _article(found: object) -> str:
    name = type(found).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _where(error: BaseException) -> str:
    """Return the file and line where it was raised, ignoring importlib."""
    frames = [each for each in traceback.extract_tb(error.__traceback__) if "importlib" not in each.filename]
    last = frames[-1] if frames else None
    if last is None or Path(last.filename) == Path(__file__) or isinstance(error, SyntaxError):  # its text has them
        return ""
    return f" ({Path(last.filename).name}:{last.lineno})"

"""An application's settings as one frozen value, from flags, the environment and a TOML file; errors name the source.

@dataclass(frozen=True)
class Settings:
    database: Path
    page_size: int = 50
    debug: bool = False

settings = load(Settings, flags(sys.argv[1:]), environ("NOTES_"), toml_file("notes.toml"))
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from trickleweb.errors import WebError

T = TypeVar("T")
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


class BadConfig(WebError, ValueError):
    """A setting that is missing, unknown, or of another type; the text names it and never shows its value."""


@dataclass(frozen=True, slots=True)
class Given:
    """A field's value in a source, and its name there."""

    value: object
    place: str


@dataclass(frozen=True, slots=True)
class ConfigSource:
    """A source of settings: `read` returns those of the fields that it has, `place` names any of them."""

    read: Callable[[Mapping[str, Any]], Mapping[str, Given]]
    place: Callable[[str], str]


def load(kind: type[T], *sources: ConfigSource) -> T:
    """Return a value of the dataclass `kind`, each field from the first source that has it, else its default.

    Fields are str, int, float, bool, Path, a Literal, a tuple of one of these (`tuple[str, ...]`), or any of them or
    None. Raise `BadConfig` if one is missing or of another type.
    """
    hints = get_type_hints(kind)
    types = {each.name: hints[each.name] for each in dataclasses.fields(kind) if each.init}  # type: ignore[arg-type]
    given: dict[str, Given] = {}
    for source in reversed(sources):
        given |= source.read(types)
    needed = [each.name for each in dataclasses.fields(kind) if each.init and _is_needed(each)]  # type: ignore[arg-type]
    for name in needed:
        if name not in given:
            raise BadConfig(f"{name} is missing: set {' or '.join(each.place(name) for each in sources)}")
    return kind(**{name: _converted(each.value, types[name], each.place) for name, each in given.items()})


def environ(prefix: str, variables: Mapping[str, str] = os.environ) -> ConfigSource:
    """Return the source of environment variables: the field `page_size` is NOTES_PAGE_SIZE if the prefix is NOTES_."""

    def place(name: str) -> str:
        return f"{prefix}{name.upper()}"

    def read(types: Mapping[str, Any]) -> dict[str, Given]:
        return {name: Given(variables[place(name)], place(name)) for name in types if place(name) in variables}

    return ConfigSource(read, place)


def toml_file(path: str | os.PathLike[str], *, table: str = "", optional: bool = False) -> ConfigSource:
    """Return a TOML file, or one table of it, as a source; loading raises `BadConfig` if it is missing (unless
    `optional`) or invalid.
    """

    def place(name: str) -> str:
        return f"{f'{table}.' if table else ''}{name} in {path}"

    def read(types: Mapping[str, Any]) -> dict[str, Given]:
        values = _read_toml(Path(path), optional)
        values = values.get(table, {}) if table else values
        if not isinstance(values, dict):
            raise BadConfig(f"{table} in {path} is no table")
        for name in values:
            if name not in types:
                raise BadConfig(f"{place(name)} is unknown: there are {', '.join(sorted(types))}")
        return {name: Given(value, place(name)) for name, value in values.items()}

    return ConfigSource(read, place)


def flags(words: Sequence[str]) -> ConfigSource:
    """Return words of a command line as a source: `--page-size 20`, `--page-size=20`; `--debug`, `--no-debug` for a
    bool.
    """

    def place(name: str) -> str:
        return f"--{name.replace('_', '-')}"

    def read(types: Mapping[str, Any]) -> dict[str, Given]:
        known: dict[str, tuple[str, str | None]] = {place(name): (name, None) for name in types}
        for name in [name for name, kind in types.items() if kind is bool]:
            known |= {place(name): (name, "true"), f"--no-{place(name)[2:]}": (name, "false")}
        found: dict[str, Given] = {}
        rest = list(words)
        while rest:
            word, equals, value = rest.pop(0).partition("=")
            if word not in known:
                raise BadConfig(f"{word.partition('=')[0]} is unknown: there are {', '.join(sorted(known))}")
            name, constant = known[word]
            if constant is None and not equals:
                if not rest:
                    raise BadConfig(f"{word} takes a value")
                value = rest.pop(0)
            found[name] = Given(value if constant is None or equals else constant, word)
        return found

    return ConfigSource(read, place)


def _is_needed(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _read_toml(path: Path, optional: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if optional:
            return {}
        raise BadConfig(f"{path} is not there") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise BadConfig(f"{path} cannot be read: {exc}") from None


def _converted(value: object, kind: Any, place: str) -> Any:
    """Return the value in the field's type, from text or from a TOML value."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _converted(value, next(each for each in inner if each is not NoneType), place)
    if origin is tuple:
        items = _items(value, place)
        return tuple(_converted(each, inner[0], place) for each in items)
    if origin is Literal:
        if value not in inner:
            raise BadConfig(f"{place} is none of {', '.join(map(str, inner))}")
        return value
    if kind not in _KINDS:
        raise BadConfig(f"{place} has an unsupported type: {kind}")
    try:
        return _KINDS[kind](value)
    except (TypeError, ValueError):
        raise BadConfig(f"{place} is no {kind.__name__}") from None


def _items(value: object, place: str) -> list[object]:
    if isinstance(value, str):
        return [each.strip() for each in value.split(",") if each.strip()]
    if not isinstance(value, list):
        raise BadConfig(f"{place} is no list")
    return value


def _bool(value: object) -> bool:
    text = value.lower() if isinstance(value, str) else value
    if text in _TRUE or text is True:
        return True
    if text in _FALSE or text is False:
        return False
    raise ValueError


def _number(kind: Callable[[Any], Any], *kinds: type) -> Callable[[Any], Any]:
    def read(value: object) -> Any:
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise TypeError
        return kind(value)

    return read


def _text(kind: Callable[[str], Any]) -> Callable[[Any], Any]:
    def read(value: object) -> Any:
        if not isinstance(value, str):
            raise TypeError
        return kind(value)

    return read


_KINDS: dict[Any, Callable[[Any], Any]] = {
    str: _text(str),
    Path: _text(Path),
    bool: _bool,
    int: _number(int, str, int),
    float: _number(float, str, int, float),
}

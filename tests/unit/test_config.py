"""Settings from flags, the environment and a file: typed, the nearest first, and every error names its source."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from trickleweb.config import BadConfig, environ, flags, load, toml_file


@dataclass(frozen=True)
class Settings:
    """What a small application has."""

    database: Path
    title: str = "Notes"
    page_size: int = 50
    factor: float = 1.0
    debug: bool = False
    hosts: tuple[str, ...] = ()
    sizes: tuple[int, ...] = (1,)
    level: Literal["low", "high"] = "low"
    token: str | None = None


FULL = Settings(Path("/x"), "T", 7, 2.5, True, ("a", "b"), (1, 2), "high", "secret")
VARIABLES = {
    "N_DATABASE": "/x",
    "N_TITLE": "T",
    "N_PAGE_SIZE": "7",
    "N_FACTOR": "2.5",
    "N_DEBUG": "Yes",
    "N_HOSTS": "a, b,",
    "N_SIZES": "1,2",
    "N_LEVEL": "high",
    "N_TOKEN": "secret",
    "N_OTHER": "is somebody else's",
    "TITLE": "is somebody else's too",
}
TOML = """
database = "/x"
title = "T"
page_size = 7
factor = 2.5
debug = true
hosts = ["a", "b"]
sizes = [1, 2]
level = "high"
token = "secret"
"""
WORDS = ["--database=/x", "--title", "T", "--page-size=7", "--factor", "2.5", "--debug", "--hosts", "a,b"]
WORDS += ["--sizes=1,2", "--level=high", "--token", "secret"]


def file(folder: Path, text: str) -> Path:
    path = folder / "notes.toml"
    path.write_text(text)
    return path


def test_each_source_can_say_all(tmp_path: Path) -> None:
    assert load(Settings, environ("N_", VARIABLES)) == FULL
    assert load(Settings, toml_file(file(tmp_path, TOML))) == FULL
    assert load(Settings, flags(WORDS)) == FULL
    assert load(Settings, toml_file(file(tmp_path, f"[notes]{TOML}"), table="notes")) == FULL


def test_the_first_source_that_has_a_field_counts(tmp_path: Path) -> None:
    path = file(tmp_path, 'database = "file"\ntitle = "file"\npage_size = 1')
    made = load(Settings, flags(["--title=flag"]), environ("N_", {"N_DATABASE": "variable"}), toml_file(path))
    assert made == Settings(Path("variable"), "flag", 1)


def test_what_is_said_nowhere_has_its_default() -> None:
    assert load(Settings, environ("N_", {"N_DATABASE": ""})) == Settings(Path())
    assert load(Settings, flags(["--no-debug", "--database=x"]), environ("N_", {"N_DEBUG": "1"})).debug is False


def test_a_file_may_be_absent_if_it_is_optional(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    assert load(Settings, flags(["--database=x"]), toml_file(path, optional=True)) == Settings(Path("x"))
    with pytest.raises(BadConfig, match="is not there"):
        load(Settings, toml_file(path))


@pytest.mark.parametrize(
    ("name", "value"),
    [("PAGE_SIZE", "7.5"), ("PAGE_SIZE", "9" * 5000), ("FACTOR", "x"), ("DEBUG", "maybe"), ("SIZES", "1,x")],
)
def test_a_bad_variable_is_named_and_its_value_is_not_shown(name: str, value: str) -> None:
    with pytest.raises(BadConfig) as caught:
        load(Settings, environ("N_", {"N_DATABASE": "x", f"N_{name}": value}))
    assert str(caught.value).startswith(f"N_{name} is no ")
    assert value not in str(caught.value)


def test_what_is_missing_is_named_in_every_source(tmp_path: Path) -> None:
    path = file(tmp_path, "")
    with pytest.raises(BadConfig) as caught:
        load(Settings, flags([]), environ("N_", {}), toml_file(path))
    assert str(caught.value) == f"database is missing: set --database or N_DATABASE or database in {path}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("page_size = true", "page_size in .* is no int"),
        ("page_size = 1.5", "page_size in .* is no int"),
        ("title = 3", "title in .* is no str"),
        ("debug = 2", "debug in .* is no bool"),
        ("hosts = 3", "hosts in .* is no list"),
        ("hosts = [3]", "hosts in .* is no str"),
        ('level = "middle"', "level in .* is none of low, high"),
        ("tilte = 3", "tilte in .* is unknown: there are database, debug"),
        ("database = ", "cannot be read: Invalid value"),
    ],
)
def test_a_bad_file_is_told_where(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(BadConfig, match=why):
        load(Settings, flags(["--database=x"]), toml_file(file(tmp_path, text)))


def test_a_table_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"notes in .* is no table"):
        load(Settings, toml_file(file(tmp_path, "notes = 3"), table="notes"))


@pytest.mark.parametrize(
    ("words", "why"),
    [(["--tilte=secret"], "--tilte is unknown"), (["x"], "x is unknown"), (["--title"], "--title takes a value")],
)
def test_bad_flags_are_named(words: list[str], why: str) -> None:
    with pytest.raises(BadConfig, match=why) as caught:
        load(Settings, flags(words))
    assert "secret" not in str(caught.value)


def test_a_type_that_no_setting_has_is_told() -> None:
    @dataclass
    class Odd:
        when: complex

    with pytest.raises(BadConfig, match="N_WHEN has an unsupported type"):
        load(Odd, environ("N_", {"N_WHEN": "1j"}))

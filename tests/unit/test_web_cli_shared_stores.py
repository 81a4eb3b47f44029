"""Where the ledger is: a file, URLs, the environment; and what is refused without showing a password."""

import argparse
import builtins
from pathlib import Path
from typing import Any

import pytest

from trickles.command import CommandFailed, Parser
from trickleweb.cli.shared_stores import (
    LedgerPlace,
    add_ledger_arguments,
    ledger_place,
    redis_place,
    shared_words,
    store_words,
)
from trickleweb.errors import PackageMissing
from trickleweb.stores.postgresql import BadDatabaseUrl, DatabaseUrl
from trickleweb.stores.redis import RedisUrl

ONE, TWO = "postgresql://me@one,standby/shop", "postgres://two/shop?schema=b"


def parsed(*words: str) -> argparse.Namespace:
    parser = Parser()
    add_ledger_arguments(parser)
    return parser.parse_args(words)


def place(*words: str) -> LedgerPlace | None:
    return ledger_place(parsed(*words))


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRICKLEWEB_LEDGER", "TRICKLEWEB_SHARED", "TRICKLEWEB_SPOOL", "TRICKLEWEB_TOPICS"):
        monkeypatch.delenv(name, raising=False)


def test_a_file_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert place("--ledger", "a,b") == LedgerPlace(path=tmp_path / "a,b", words=("--ledger", str(tmp_path / "a,b")))
    assert place() is None


@pytest.mark.parametrize("words", [("--ledger", ONE, "--ledger", TWO), ("--ledger", f"{ONE},{TWO}"),
                                   ("--shared", f"{ONE},{TWO}")])  # fmt: skip
def test_urls_are_separated_by_commas_or_options(words: tuple[str, ...]) -> None:
    found = place(*words)
    assert found is not None
    assert [url.shown for url in found.urls] == ["postgresql://me@one,standby/shop", "postgres://two/shop"]
    assert place(*found.words) == found


def test_the_environment_counts_where_no_option_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRICKLEWEB_LEDGER", "postgresql://me:hunter2@one/shop")
    found = place()
    assert found is not None
    assert (found.urls[0].secrets, found.words) == (("hunter2",), ())
    assert "hunter2" not in repr(found)
    other = place("--ledger", TWO)
    assert other is not None
    [url] = other.urls
    assert isinstance(url, DatabaseUrl)
    assert url.schema == "b"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--ledger", "postgresql://me:hunter2@one/shop"), "a password on a command line"),
        (("--ledger", "postgresql://me@one/shop?password=hunter2"), "a password on a command line"),
        (("--ledger", "mysql://me:hunter2@one/shop"), "takes URLs of postgresql"),
        (("--ledger", ONE, "--ledger", "file"), "not files with them"),
        (("--ledger", "one", "--ledger", "two"), "one file, or several databases"),
        (("--shared", "file"), "--shared takes URLs"),
    ],
)
def test_what_is_no_place_is_refused(words: tuple[str, ...], error: str) -> None:
    with pytest.raises(CommandFailed, match=error) as raised:
        place(*words)
    assert "hunter2" not in str(raised.value)


def test_a_bad_url_is_not_repeated() -> None:
    with pytest.raises(BadDatabaseUrl) as raised:
        place("--ledger", "postgresql://me:hunter2@one:port/shop")
    assert "hunter2" not in str(raised.value)


REDIS = "redis://cache/0"


@pytest.fixture
def both() -> Parser:
    parser = Parser()
    add_ledger_arguments(parser)
    for name in ("--spool", "--topics"):
        parser.add_argument(name)
    return parser


def test_shared_redis_stands_for_all_its_stores(both: Parser, monkeypatch: pytest.MonkeyPatch) -> None:
    args = both.parse_args(["--shared", REDIS, "--topics", "file"])
    assert [url.shown for url in (ledger_place(args) or LedgerPlace()).urls] == [REDIS]
    assert redis_place(args, "spool") == RedisUrl.parse(REDIS)
    assert redis_place(args, "topics") is None, "its own option counts"
    usual = Path("usual")
    assert store_words(args, "spool", usual) == ()
    assert store_words(args, "topics", usual) == ("--topics", "file")
    assert shared_words(args) == ("--shared", REDIS)
    monkeypatch.setenv("TRICKLEWEB_TOPICS", "redis://me:hunter2@cache/1")
    args = both.parse_args([])
    assert (redis_place(args, "topics") or RedisUrl.parse(REDIS)).secrets == ("hunter2",)
    assert store_words(args, "topics", usual) == ()
    assert store_words(args, "spool", usual) == ("--spool", "usual")
    assert redis_place(both.parse_args(["--shared", ONE]), "spool") is None


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--spool", "redis://me:hunter2@cache/0"], "a password on a command line"),
        (["--spool", "postgresql://me:hunter2@one/shop"], "--spool takes a path, or a URL of redis"),
        (["--shared", f"{REDIS},{REDIS}"], "--shared takes one URL"),
    ],
)
def test_what_is_no_place_in_redis_is_refused(both: Parser, words: list[str], error: str) -> None:
    with pytest.raises(CommandFailed, match=error) as raised:
        redis_place(both.parse_args(words), "spool")
    assert "hunter2" not in str(raised.value)


def test_a_missing_driver_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name in ("asyncpg", "redis.asyncio"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(PackageMissing, match=r"pip install 'trickles\[postgresql\]'"):
        place("--ledger", TWO)
    with pytest.raises(PackageMissing, match=r"pip install 'trickles\[redis\]'"):
        place("--ledger", REDIS)

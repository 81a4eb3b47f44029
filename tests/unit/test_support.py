"""What tests lean on: the reader of console sessions, and how a test asks for a program."""

import re
from pathlib import Path

import pytest

from tests.support.commands import check, commands
from tests.support.console import Block, Shell, Step, agrees, blocks, moved_ports, play, renamed, steps
from tests.support.system import REQUIRE_ALL, require

ABSENT = "no-program-has-this-name"
ENVIRON = {"PATH": "/usr/bin:/bin"}


def test_blocks_have_a_language_and_perhaps_a_word() -> None:
    document = "a\n```console\n$ one\n```\n```console two\nx\n```\n\n```\nnot this\n```\n"
    assert blocks(document) == [Block("console", "", "$ one\n"), Block("console", "two", "x\n")]
    assert renamed(blocks(document)[1], {"x": "y"}) == Block("console", "two", "y\n")


def test_steps_are_commands_with_their_output() -> None:
    text = "$ one\n$ two \\\n> more\nfirst\n> second\n^C\n"
    assert list(steps(text)) == [Step("one", ()), Step("two \\\nmore", ("first", "> second")), Step("^C", ())]


def test_a_session_begins_with_a_command() -> None:
    with pytest.raises(AssertionError, match="begins with a command"):
        list(steps("output\n"))


@pytest.mark.parametrize(
    ("expected", "told", "same"),
    [
        ([], [], True),
        ([], ["x"], False),
        (["x"], [], False),
        (["a...c"], ["abbc"], True),
        (["a...c"], ["abb"], False),
        (["a.c"], ["abc"], False),
        (["..."], [], True),
        (["a", "...", "z"], ["a", "b", "c", "z"], True),
        (["a", "...", "z"], ["a", "z", "b"], False),
        (["a  "], ["a"], True),
    ],
)
def test_outputs_agree(expected: list[str], told: list[str], same: bool) -> None:
    assert agrees(expected, told) is same


def test_ports_move_together() -> None:
    moved = moved_ports("127.0.0.1:8080 8443, 8444 9001 not 80 or 18080 or 12.8")
    found = re.fullmatch(r"127\.0\.0\.1:(\d+) (\d+), (\d+) (\d+) not 80 or 18080 or 12\.8", moved)
    assert found
    assert (
        len({int(moved_to) - port for moved_to, port in zip(found.groups(), (8080, 8443, 8444, 9001), strict=True)})
        == 1
    )
    assert found[1] != "8080"


def test_a_session_is_played(tmp_path: Path) -> None:
    session = Block("console", "", "$ value=5; echo one >file\n$ cat file; echo $value\none\n5\n$ sleep 0 & wait $!\n")
    play([session], tmp_path, ENVIRON)


def test_terminals_run_side_by_side(tmp_path: Path) -> None:
    sessions = [
        Block("console", "", "$ mkfifo pipe\n"),
        Block("console", "reader", "$ echo ready; cat pipe; : >over; exec sleep 1000\nready\n"),
        Block("console", "", "$ echo hello >pipe; until [ -e over ]; do :; done\n"),
        Block("console", "reader", "^C\n"),
    ]
    play(sessions, tmp_path, ENVIRON)


@pytest.mark.parametrize("text", ["$ false\n", "$ echo this\nthat\n", "$ echo this\n", "$ true\nthat\n"])
def test_what_does_not_agree_is_noticed(tmp_path: Path, text: str) -> None:
    with pytest.raises(AssertionError):
        play([Block("console", "", text)], tmp_path, ENVIRON)


def test_a_terminal_that_never_says_it_is_noticed_at_its_end(tmp_path: Path) -> None:
    with Shell(tmp_path, ENVIRON) as shell, pytest.raises(AssertionError, match="should say"):
        shell.leave(Step("echo this; exit", ("that",)))


def test_commands_are_found_and_checked() -> None:
    document = "    trickles keys list keys   # why\n$ trickleweb status --json | head\ntext trickles keys\n"
    found = list(commands(document + "$ .venv/bin/trickleweb serve \\\n    DIR &\n"))
    assert found == [
        ["trickles", "keys", "list", "keys"],
        ["trickleweb", "status", "--json"],
        ["trickleweb", "serve", "DIR"],
    ]
    for words in found:
        check(words)
    with pytest.raises(SystemExit):
        check(["trickles", "keys", "list", "--loud", "keys"])


def test_a_program_that_is_there_is_found() -> None:
    assert Path(require("sh")).is_file()


def test_an_absent_program_skips_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUIRE_ALL, raising=False)
    with pytest.raises(pytest.skip.Exception, match=f"needs {ABSENT}"):
        require(ABSENT)


def test_an_absent_program_fails_the_test_where_all_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRE_ALL, "1")
    with pytest.raises(pytest.fail.Exception, match=f"needs {ABSENT}"):
        require(ABSENT)


@pytest.mark.xdist_group("together")
def test_tests_of_a_group_stay_together(request: pytest.FixtureRequest) -> None:
    grouped = request.config.getoption("loadgroup", default=False)
    assert request.node.nodeid.endswith("@together") == bool(grouped)

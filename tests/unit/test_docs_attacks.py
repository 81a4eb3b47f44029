"""The page about attacks: its program runs, its table names every attack, and what it prints has the form it has."""

import re

import pytest

from benchmarks.support.bogus import BOGUS
from benchmarks.support.sharing import SHARES
from tests.support.processes import ROOT
from trickles.cli import main
from trickles.tools.attacks.catalogue import ATTACKS

PAGE = (ROOT / "docs" / "attacks.md").read_text()
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven")


def first_words(line: str) -> str:
    return re.split(r"  +", line.strip())[0]


def number(text: str) -> float:
    return float(text.replace(",", ""))


def test_the_program_of_the_page_runs() -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    exec(compile(program, "docs/attacks.md", "exec"), {})


def test_the_page_names_every_attack_and_every_cheat() -> None:
    explained = re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)
    assert explained == list(ATTACKS)
    assert f"sends {NUMBERS[len(ATTACKS)]} attacks" in PAGE
    listed = {first_words(line) for line in PAGE.splitlines() if line.startswith("    ")}
    assert set(ATTACKS) | set(SHARES) | set(BOGUS) <= listed


@pytest.mark.slow
def test_the_table_of_the_page_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """About that: a listener may change a little before the page must. Memory differs between machines."""
    names = [name for name in ATTACKS if name != "connection-flood"]
    assert main(["attack", *names]) == 0
    _, _, behind = PAGE.partition("$ trickles attack all")
    shown = {first_words(line): line.split() for line in behind.partition("\n\n")[0].splitlines()}
    for line in capsys.readouterr().out.splitlines()[1:]:
        name, *gains = line.split()[:3]
        for told, gain in zip(shown[name][2:4], gains, strict=True):
            assert number(told) == pytest.approx(number(gain), rel=0.5, abs=0.3), name

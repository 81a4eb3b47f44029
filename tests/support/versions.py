"""The versions of the programs in the README's table of clients: `python -m tests.support.versions` prints them."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from importlib.metadata import version

from tests.support.system import SEARCH

PROGRAMS = {
    "curl": "--version",
    "wget": "--version",
    "aria2c": "--version",
    "git": "--version",
    "apt-get": "--version",
    "ffmpeg": "-version",
    "chromium": "--version",
}
PACKAGES = ("requests", "httpx", "aiohttp", "pip")


def versions() -> Mapping[str, str]:
    """Version by name, "-" for a program that is not installed."""
    return {name: _version(name, option) for name, option in PROGRAMS.items()} | {
        name: version(name) for name in PACKAGES
    }


def _version(program: str, option: str) -> str:
    path = shutil.which(program, path=SEARCH)
    if path is None:
        return "-"
    told = subprocess.run([path, option], capture_output=True, text=True, check=True).stdout
    found = re.search(r"\d+(\.\d+)+", told)
    return found[0] if found else "-"


if __name__ == "__main__":
    for each, number in versions().items():
        print(f"{each:10} {number}")

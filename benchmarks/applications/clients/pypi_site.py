"""A visit to pypiserver by twine and pip."""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import requests

from benchmarks.applications.visiting import UNKNOWN, UnknownOutcome, User, expect

TIMEOUT_SECONDS = 60.0
METADATA = "Metadata-Version: 2.1\nName: {}\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def effects(data: Path) -> dict[str, int]:
    return {path.name.partition("-")[0]: 1 for path in (data / "packages").glob("*.whl")}


def visit(user: User) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-pypi-") as folder:
        wheel = built(user.name, Path(folder))
        with user.step("twine upload", effect=user.name):
            words = ["twine", "upload", "--repository-url", f"{user.url}/", "--username", "any", "--password", "any"]
            called(*words, "--non-interactive", "--disable-progress-bar", "--verbose", str(wheel))
        with user.step("index"):
            reply = requests.get(f"{user.url}/simple/{user.name}/", timeout=TIMEOUT_SECONDS)
            expect(reply)
            user.shows("index", reply.text.count("<a "))
        with user.step("pip install", requests=2):
            words = ["pip", "install", "--index-url", f"{user.url}/simple/", "--no-cache-dir", "--no-deps"]
            called(*words, "--disable-pip-version-check", "--target", f"{folder}/target", user.name)
            user.shows("pip install", (Path(folder) / "target" / f"{user.name}.py").read_text())


def built(name: str, folder: Path) -> Path:
    """A wheel with one module."""
    path, inner = folder / f"{name}-1.0-py3-none-any.whl", f"{name}-1.0.dist-info"
    contents = {f"{name}.py": f"name = '{name}'\n", f"{inner}/METADATA": METADATA.format(name), f"{inner}/WHEEL": WHEEL}
    record = "".join(f"{file},,\n" for file in [*contents, f"{inner}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in (contents | {f"{inner}/RECORD": record}).items():
            archive.writestr(file, text)
    return path


def called(*words: str) -> None:
    """Run a Python program; UnknownOutcome or AssertionError unless it succeeds."""
    done = subprocess.run(
        [sys.executable, "-m", *words], check=False, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
    )
    told = " ".join((done.stdout + done.stderr).split())
    if done.returncode and UNKNOWN in told:
        raise UnknownOutcome(told[-400:])
    assert done.returncode == 0, told[-1000:]

"""The virtual environment of the applications: made once, outside the tree, with their packages and this tree."""

import hashlib
import os
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

from benchmarks.support.processes import REPOSITORY

INSTALL_SECONDS = 1200.0
REQUIREMENTS = (Path(__file__).parent / "requirements.txt").read_text().split("\n")


def default_folder() -> Path:
    """A folder of the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "trickles-applications"


def requirements() -> list[str]:
    """What is installed: packages of the applications, and what this project depends on."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    lines = [line.partition("#")[0].strip() for line in REQUIREMENTS]
    return [*filter(None, lines), *project["dependencies"]]


def installed(folder: Path) -> Path:
    """Make the environment unless it is there already; return its interpreter. May raise CalledProcessError."""
    python, stamp = folder / "bin" / "python", folder / "installed"
    wanted = hashlib.sha256("\n".join(requirements()).encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing the applications in {folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        words = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements()]
        subprocess.run(words, check=True, timeout=INSTALL_SECONDS)
        stamp.write_text(wanted)
    site = next((folder / "lib").glob("python*/site-packages"))
    (site / "trickles-tree.pth").write_text(f"{REPOSITORY}\n")
    return python


def absent(python: Path, packages: tuple[str, ...]) -> list[str]:
    """Names of packages that cannot be imported there."""
    if python == Path(sys.executable):
        return [name for name in packages if find_spec(name) is None]
    script = "import sys; from importlib.util import find_spec; print(*[n for n in sys.argv[1:] if not find_spec(n)])"
    done = subprocess.run([str(python), "-c", script, *packages], check=True, capture_output=True, text=True)
    return done.stdout.split()

"""What the programs of the matrix come for: a wheel, a Debian package, a git repository, a film."""

import hashlib
import zipfile
from base64 import urlsafe_b64encode
from pathlib import Path
from random import Random

from tests.support.deaths import output
from tests.support.system import require

WHEEL_NAME = "carried"
DEB_NAME = "carried-data"
FILM_SECONDS = 60
_AUTHOR = {f"GIT_{who}_{what}": "nobody@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
_NO_SETTINGS = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
_QUICK = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.compression", "GIT_CONFIG_VALUE_0": "0"}
GIT_ENVIRON = _NO_SETTINGS | _QUICK | _AUTHOR


def wheel(folder: Path, payload: bytes) -> None:
    """A simple index (PEP 503) in `folder` with one wheel, whose package holds `payload` in a file `payload.bin`."""
    (folder / WHEEL_NAME).mkdir(parents=True)
    path = folder / WHEEL_NAME / f"{WHEEL_NAME}-1.0-py3-none-any.whl"
    info = f"{WHEEL_NAME}-1.0.dist-info"
    files = {
        f"{WHEEL_NAME}/__init__.py": b"",
        f"{WHEEL_NAME}/payload.bin": payload,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {WHEEL_NAME}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{name},sha256={_wheel_digest(data)},{len(data)}" for name, data in files.items()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        archive.writestr(f"{info}/RECORD", "\n".join([*record, f"{info}/RECORD,,", ""]))
    link = f'<a href="{path.name}#sha256={_digest(path)}">{path.name}</a>'
    (folder / WHEEL_NAME / "index.html").write_text(f"<!DOCTYPE html><html><body>{link}</body></html>\n")


def deb(folder: Path, payload: bytes) -> Path:
    """A flat apt repository in `folder` with one package, which holds `payload`; returns the package's file."""
    tree = folder / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "payload.bin").write_bytes(payload)
    fields = f"Package: {DEB_NAME}\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\n"
    (tree / "DEBIAN" / "control").write_text(f"{fields}Description: bytes to carry\n")
    path = folder / f"{DEB_NAME}_1.0_all.deb"
    output([require("dpkg-deb"), "--root-owner-group", "-Znone", "--build", tree, path])
    listed = f"{fields}Filename: ./{path.name}\nSize: {path.stat().st_size}\nSHA256: {_digest(path)}\n"
    (folder / "Packages").write_text(f"{listed}Description: bytes to carry\n")
    return path


def repository(folder: Path, payload: bytes) -> str:
    """A bare git repository at `folder` for clones over dumb HTTP, with two commits; returns the last one's name."""
    git, work = require("git"), folder.with_suffix(".work")
    output([git, "init", "--quiet", "--initial-branch=main", work], environ=GIT_ENVIRON)
    for name, data in (("README", b"read me\n"), ("payload.bin", payload)):
        (work / name).write_bytes(data)
        output([git, "add", name], work, environ=GIT_ENVIRON)
        output([git, "commit", "--quiet", "--message", f"Add {name}"], work, environ=GIT_ENVIRON)
    output([git, "clone", "--quiet", "--bare", work, folder], environ=GIT_ENVIRON)
    output([git, "repack", "--quiet", "-a", "-d"], folder, environ=GIT_ENVIRON)
    output([git, "update-server-info"], folder, environ=GIT_ENVIRON)
    return output([git, "rev-parse", "HEAD"], work, environ=GIT_ENVIRON).decode().strip()


def film(path: Path) -> None:
    """A film of a minute in which every second looks different, about 12 MB, its index at the end."""
    picture = f"testsrc2=duration={FILM_SECONDS}:size=640x360:rate=5"
    noise = "noise=alls=40:all_seed=1"
    how = ("-c:v", "mpeg4", "-q:v", 4, "-g", 5, "-bitexact")
    output([require("ffmpeg"), "-v", "error", "-f", "lavfi", "-i", f"{picture},{noise}", *how, path])


def bytes_of(name: str, size_bytes: int) -> bytes:
    """Content that is the same in every run, and another for each name."""
    return Random(name).randbytes(size_bytes)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _wheel_digest(data: bytes) -> str:
    return urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")

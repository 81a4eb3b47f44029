"""A visit to WsgiDAV by webdavclient3: folders, uploads, moves, listings, downloads."""

import tempfile
from pathlib import Path

from webdav3.client import Client

from benchmarks.applications.visiting import User

BODY = bytes(range(256)) * 4000  # 1 MB


def effects(data: Path) -> dict[str, int]:
    return {path.name: 1 for path in (data / "shared").iterdir()}


def visit(user: User) -> None:
    client = Client({"webdav_hostname": user.url, "webdav_timeout": 30})
    home = f"{user.name} stays"
    with tempfile.TemporaryDirectory(prefix="bench-webdav-") as folder:
        file, copy = Path(folder) / "file", Path(folder) / "copy"
        file.write_bytes(BODY)
        with user.step("make a folder", effect=home):
            client.mkdir(home)
        with user.step("upload", requests=2):
            client.upload_sync(remote_path=f"{home}/file", local_path=str(file))
        with user.step("properties"):
            user.shows("properties", client.info(f"{home}/file")["size"])
        with user.step("copy", requests=2):
            client.copy(f"{home}/file", f"{home}/second")
        with user.step("move", requests=2):
            client.move(f"{home}/second", f"{home}/third")
        with user.step("list", requests=2):
            user.shows("list", sorted(client.list(home)))
        with user.step("download", requests=2):
            client.download_sync(remote_path=f"{home}/third", local_path=str(copy))
            user.shows("download", copy.read_bytes() == BODY)
        with user.step("delete"):
            client.clean(f"{home}/third")
        with user.step("list again", requests=2):
            user.shows("list again", sorted(client.list(home)))

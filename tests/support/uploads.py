"""A client of resumable uploads for tests: the fields of tus, and an application over a folder."""

from base64 import b64encode
from collections.abc import Callable
from hashlib import new
from pathlib import Path

from trickleweb import App
from trickleweb.testing import Client
from trickleweb.testing.answer import Answer
from trickleweb.tus import UploadFolder, UploadRecord, resumable_uploads
from trickleweb.tus.uploads import DEFAULT_UPLOAD_LIMITS, UploadLimits

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {**TUS, "Content-Type": "application/offset+octet-stream"}


def checksum(data: bytes, algorithm: str = "sha1") -> str:
    return f"{algorithm} {b64encode(new(algorithm, data).digest()).decode()}"


class Uploads:
    """An application that takes uploads below /files, and its client; what is finished is in `finished`."""

    def __init__(
        self,
        folder: Path,
        limits: UploadLimits = DEFAULT_UPLOAD_LIMITS,
        finish: Callable[[UploadRecord], None] | None = None,
    ) -> None:
        self.finished: list[UploadRecord] = []
        self.store = UploadFolder(folder, limits)
        self.app = App()
        self.app.mount("/files", resumable_uploads(self.store, finish=finish or self.finished.append))
        self.client = Client(self.app, raise_server_exceptions=False)

    def create(self, length: int | None, content: bytes = b"", **fields: str) -> Answer:
        size = {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
        return self.client.post("/files/", headers={**BYTES, **size, **_named(fields)}, content=content)

    def made(self, length: int | None, **fields: str) -> str:
        """The path of a new upload."""
        answer = self.create(length, b"", **fields)
        assert answer.status_code == 201, answer.text
        return answer.headers["location"]

    def patch(self, path: str, offset: object, content: bytes = b"", **fields: str) -> Answer:
        headers = {**BYTES, "Upload-Offset": str(offset), **_named(fields)}
        return self.client.patch(path, headers=headers, content=content)

    def head(self, path: str) -> Answer:
        return self.client.head(path, headers=TUS)

    def offset(self, path: str) -> int:
        return int(self.head(path).headers["upload-offset"])

    def data(self, path: str) -> bytes:
        """The bytes that count."""
        return self.store.path(path.rpartition("/")[2]).read_bytes()[: self.offset(path)]


def _named(fields: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in fields.items()}

"""Uploads that go on where they stopped, by tus: progress in the browser, any tus client, complete files to download.

Start:  trickleweb run apps.uploads:app
Try:    http://127.0.0.1:8080/ in a browser: choose a large file, close the page in the middle, open it and choose the
        file again. Kill replicas meanwhile. UPLOADS names another folder than uploads.
"""

from __future__ import annotations

import os
from pathlib import Path

from trickleweb import App, Request, Response
from trickleweb.middleware import security_headers
from trickleweb.tus import UploadFolder, UploadRecord, metadata, resumable_uploads

HERE = Path(__file__).parent
FOLDER = Path(os.environ.get("UPLOADS", "uploads"))

incoming = UploadFolder(FOLDER / "incoming")
complete = FOLDER / "complete"
complete.mkdir(exist_ok=True)


def finish(upload: UploadRecord) -> None:
    """Move a complete upload; the second time, after a replica died in the middle, it is there already."""
    source = incoming.path(upload.id)
    if source.exists():
        source.rename(complete / f"{upload.id}-{safe_name(upload)}")


def safe_name(upload: UploadRecord) -> str:
    """The last part of the client's name for the file, without what a file system or a page could trip over."""
    name = metadata(upload.metadata).get("filename", b"").decode("utf-8", "replace").rpartition("/")[2]
    return "".join(each for each in name if each.isalnum() or each in "._- ")[:100].strip(". ") or "file"


app = App(middleware=[security_headers()])
app.mount("/static", HERE / "static")
app.mount("/files", resumable_uploads(incoming, finish=finish))
app.folder("complete", complete)


@app.get("/")
async def home(_request: Request) -> Response:
    """The page that uploads."""
    return Response.redirect("/static/uploads.html")


@app.get("/complete")
def names(_request: Request) -> list[str]:
    """The complete files, the latest first."""
    found = sorted(complete.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    return [path.name for path in found[:100]]


@app.get("/complete/{name}")
async def one(_request: Request, name: str) -> Response:
    """A complete file, to be saved."""
    return Response.file(name, folder="complete", download=name.partition("-")[2])

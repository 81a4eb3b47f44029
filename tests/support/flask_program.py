"""A program for Flask with what the tests of replicas want of it."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Flask, Response, request

from tests.support.fastapi_program import FOLDER, LARGE, prepare

prepare()
app = Flask(__name__)


@app.get("/")
def root() -> dict[str, str]:
    return {"hello": "flask"}


@app.get("/stream")
def stream() -> Response:
    def chunks() -> Iterator[bytes]:
        for at in range(0, len(LARGE), 10_000):
            yield LARGE[at : at + 10_000]

    return Response(chunks(), mimetype="application/octet-stream")


@app.get("/folder")
def folder() -> str:
    return str(FOLDER)


@app.post("/upload")
def upload() -> dict[str, int]:
    data = request.get_data()
    return {"size": len(data), "sum": sum(data)}

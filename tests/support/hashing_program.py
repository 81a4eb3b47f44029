"""A program that hashes what is uploaded to it, as it comes."""

from hashlib import sha256

from trickleweb import App, Request

app = App()


@app.route("/upload", methods=["POST", "PUT"], stream=True, max_body_bytes=1 << 30)
async def upload(request: Request) -> str:
    """The digest of the body, and how long it is."""
    digest, size = sha256(), 0
    async for piece in request.stream():
        digest.update(piece)
        size += len(piece)
    return f"{digest.hexdigest()} {size}\n"

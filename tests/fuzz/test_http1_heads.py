"""Heads mutated from a corpus, the same ones in every run: each is read, waited for, or refused, and nothing else.

`python -m tests.fuzz.test_http1_heads SEED ROUNDS` goes on by hand from another seed for longer.
"""

import random
import sys
from collections.abc import Iterator

from tests.support.http_heads import HOSTILE, VALID
from tests.support.outcomes import outcome
from trickleweb.errors import HTTPError
from trickleweb.headers import Headers
from trickleweb.http1 import decode_chunked, parse_head_untrusted
from trickleweb.limits import Limits
from trickleweb.messages import Chunked, Framing, Length, NeedMore, NoBody, RequestHead
from trickleweb.server.fixed import last_response

LIMITS = Limits(max_request_line_bytes=300, max_header_bytes=600, max_headers=16, max_body_bytes=1000)
CORPUS = [data for data in (*VALID.values(), *(data for data, _ in HOSTILE.values())) if len(data) < 1000]
BODIES = [b"", b"0\r\n\r\n", b"5\r\nhello\r\n0\r\nX: y\r\n\r\n", b"5;a=b\r\nhel"]
SPLICES = [
    b"\r\n",
    b"\r",
    b"\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"\r\n ",
    b"Host: b\r\n",
    b"%2e",
    b"\xff",
    b"Transfer-Encoding: chunked\r\n",
]
STATUSES = {301, 308, 400, 413, 414, 417, 431, 501, 505}


def mutants(seed: int, rounds: int) -> Iterator[bytes]:
    """Yield heads with bytes flipped, spliced in, cut out, or two heads crossed; each with some body behind."""
    chance = random.Random(seed)
    for _ in range(rounds):
        data = bytearray(chance.choice(CORPUS))
        for _ in range(chance.randint(1, 3)):
            mutate(data, chance)
        yield bytes(data) + chance.choice(BODIES)


def mutate(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data) + 1)
    kind = chance.randrange(4)
    if kind == 0:
        data[at : at + 1] = bytes([chance.randrange(256)])
    elif kind == 1:
        data[at:at] = chance.choice(SPLICES)
    elif kind == 2:
        del data[at : at + chance.randrange(1, 20)]
    else:
        data[at:] = chance.choice(CORPUS)[at:]


def judge(data: bytes) -> str:
    """Read one input to its end as a server would, and hold it to what is promised."""
    found = outcome(lambda: read(data))
    if isinstance(found, HTTPError):
        assert found.close, data
        assert found.status in STATUSES, data
        assert (last_response(found, 0).response.head or b"").startswith(b"HTTP/1.1 %d " % found.status)
        return "refused"
    if isinstance(found, NeedMore):
        return "incomplete"
    hold(found, data)
    return "read"


def read(data: bytes) -> RequestHead | NeedMore:
    request = parse_head_untrusted(data, LIMITS)
    if isinstance(request, RequestHead) and isinstance(request.framing, Chunked):
        decode_chunked(data[request.head_bytes :], limits=LIMITS)
    return request


def hold(request: RequestHead, data: bytes) -> None:
    head = data[: request.head_bytes]
    assert head.endswith(b"\r\n\r\n"), data
    assert b"\0" not in head, data
    assert request.path.startswith("/") or request.path == "*", data
    assert not {".", ".."} & set(request.path.split("/")), data
    assert request.framing == framing(request.headers), data
    assert isinstance(parse_head_untrusted(head[:-1], LIMITS), NeedMore), data
    if request.version >= (1, 1):
        (host,) = request.headers.all("host")
        assert request.host == host.lower() or "://" in request.target, data


def framing(headers: Headers) -> Framing:
    """What the fields themselves say of the body, of which there may be one at most."""
    fields = headers.all("content-length") + headers.all("transfer-encoding")
    assert len(fields) <= 1
    if "transfer-encoding" in headers:
        return Chunked()
    return Length(int(fields[0])) if fields and int(fields[0]) else NoBody()


def test_every_mutant_is_read_or_waited_for_or_refused() -> None:
    found = [judge(data) for data in mutants(seed=20, rounds=6000)]
    assert min(found.count(kind) for kind in ("read", "incomplete", "refused")) > 100


if __name__ == "__main__":
    for mutant in mutants(int(sys.argv[1]), int(sys.argv[2])):
        judge(mutant)

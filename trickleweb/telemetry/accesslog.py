"""Access log with a line for each response: common, combined (as Apache's), or JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

from trickleweb.messages import RequestHead
from trickleweb.server import Answered
from trickleweb.telemetry.forwarded import Trusted, client_of
from trickleweb.telemetry.wrapped import current_request, request_id

Line = Callable[[Answered, str, str], str]  # of a response, its client, and the request's id


class AccessLog:
    """Writes a line when a response begins; resumed responses of other replicas appear in JSON only."""

    def __init__(self, write: Callable[[str], None], form: str, peers: Trusted) -> None:
        self._write = write
        self._line = FORMATS[form]
        self._resumes = form == "json"
        self._peers = peers

    def __call__(self, answered: Answered) -> None:
        if answered.resumed and not self._resumes:
            return
        head, request = answered.head, current_request()
        client = answered.peer if head is None else client_of(head.headers, answered.peer, self._peers)
        known = request is not None and head is not None and request.head.target == head.target
        self._write(self._line(answered, client, request_id(request) if request and known else ""))


def common(answered: Answered, client: str, _request_id: str = "") -> str:
    """Return a line in the Common Log Format: client, time, request line, status, bytes of the body."""
    at = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(answered.began_us // 1_000_000))
    body = "-" if answered.body_bytes is None else answered.body_bytes
    return f'{client or "-"} - - [{at}] "{escaped(_request_line(answered.head))}" {answered.status} {body}'


def combined(answered: Answered, client: str, request_id: str = "") -> str:
    """Return a line in the common format with Referer and User-Agent."""
    headers = answered.head.headers if answered.head else None
    agents = [(headers.get(name) if headers else None) or "-" for name in ("referer", "user-agent")]
    return " ".join([common(answered, client, request_id), *(f'"{escaped(each)}"' for each in agents)])


def json_line(answered: Answered, client: str, request_id: str = "") -> str:
    """Return a JSON object; `took_us` is the time to the head, `body_bytes` null for a length unknown then."""
    head = answered.head
    second, micro = divmod(answered.began_us, 1_000_000)
    fields: dict[str, object] = {
        "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(second))}.{micro:06}Z",
        "client": client,
        "peer": answered.peer,
        "status": answered.status,
        "body_bytes": answered.body_bytes,
        "took_us": answered.took_us,
        "resumed": answered.resumed,
    }
    if head is not None:
        names = {"referer": "referer", "user_agent": "user-agent"}
        agents = {name: head.headers.get(field) for name, field in names.items() if field in head.headers}
        fields |= {"method": head.method, "target": head.target, "host": head.host, **agents}
    if request_id:
        fields["request_id"] = request_id
    return json.dumps(fields, separators=(",", ":"))


FORMATS: Mapping[str, Line] = MappingProxyType({"common": common, "combined": combined, "json": json_line})


def escaped(text: str) -> str:
    """Return text for between quotes, as Apache escapes it, so that nothing ends the line or the quotes."""
    plain = (each if " " <= each <= "~" and each not in '"\\' else _escape(each) for each in text)
    return "".join(plain)


def _escape(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return "".join(f"\\x{byte:02x}" for byte in character.encode("latin-1", "backslashreplace"))


def _request_line(head: RequestHead | None) -> str:
    return "-" if head is None else f"{head.method} {head.target} HTTP/{head.version[0]}.{head.version[1]}"

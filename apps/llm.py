"""A stub of a language model's server: the OpenAI API as llama.cpp speaks it, in one process, without a model.

Start:  python -m apps.llm 8081
Try:    curl -N -d '{"stream": true, "messages": [{"role": "user", "content": "hello"}]}' \\
            http://127.0.0.1:8081/v1/chat/completions

Its answer follows from the messages: `max_tokens` words, one each 20 ms. As with llama.cpp, a last message of the
assistant is the beginning of the answer, which is continued.
"""

from __future__ import annotations

import json
import sys
import time
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WORDS = "any packet may go to any replica so kill is how we deploy and no client ever sees it".split()  # noqa: SIM905
TOKEN_S = 0.02
_MOST_BYTES = 1 << 20


def answer(messages: list[dict[str, str]], most: int) -> list[str]:
    """The words of an answer that are still to be said."""
    begun = messages[-1]["content"] if messages[-1]["role"] == "assistant" else ""
    question = "\n".join(each["content"] for each in messages if each["role"] != "assistant")
    seed = sha256(question.encode()).digest()
    words = [WORDS[(seed[at % 32] + at) % len(WORDS)] + " " for at in range(most)]
    return words[len(begun.split()) :]


class Completions(BaseHTTPRequestHandler):
    """POST /v1/chat/completions, streamed or not."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer, or 400 for what is no request of this API."""
        try:
            size = int(self.headers["Content-Length"])
            asked = json.loads(self.rfile.read(size)) if 0 < size <= _MOST_BYTES else {}
            words = answer(asked["messages"], int(asked.get("max_tokens", 100)))
        except (TypeError, ValueError, KeyError, IndexError, AttributeError):
            self.send_error(400)
            return
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream" if asked.get("stream") else "application/json")
        self.send_header("Connection", "close")
        self.end_headers()
        if not asked.get("stream"):
            self._send({"message": {"role": "assistant", "content": "".join(words)}, "finish_reason": "stop"}, "%s")
            return
        for word in words:
            time.sleep(TOKEN_S)
            self._send({"delta": {"content": word}, "finish_reason": None}, "data: %s\n\n")
        self._send({"delta": {}, "finish_reason": "stop"}, "data: %s\n\ndata: [DONE]\n\n")

    def log_message(self, _format: str, *_: Any) -> None:
        """Say nothing."""

    def _send(self, choice: dict[str, Any], form: str) -> None:
        completion = {"object": "chat.completion.chunk", "model": "stub", "choices": [{"index": 0, **choice}]}
        self.wfile.write((form % json.dumps(completion)).encode())
        self.wfile.flush()


if __name__ == "__main__":
    with ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Completions) as server:
        print(f"http://127.0.0.1:{server.server_port}/v1", flush=True)
        server.serve_forever()

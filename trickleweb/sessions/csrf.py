"""CSRF tokens, which distinguish a site's own forms from others' (OWASP, synchroniser token).

The session holds the secret. A token is base64url of `mask | mask xor secret`, with a new mask for each page: a
compressed page with the token in it reveals nothing about the secret (BREACH).
"""

from __future__ import annotations

import base64
import hmac
import re

from trickleweb.sessions.session import Session

_SECRET_BYTES = 16
ENTROPY_BYTES = 2 * _SECRET_BYTES
_TOKEN = re.compile(r"[0-9A-Za-z_-]{42}[AEIMQUYcgkosw048]")  # 32 bytes, in canonical form


def csrf_token(session: Session, *, entropy: bytes) -> str:
    """Return a token for one page, valid as long as the session, with a new secret if needed; `entropy` is 32 bytes."""
    if len(entropy) < ENTROPY_BYTES:
        raise ValueError("a CSRF token takes 32 bytes of entropy")
    if not session.csrf_secret:
        session.csrf_secret = _text(entropy[_SECRET_BYTES:ENTROPY_BYTES])
    mask = entropy[:_SECRET_BYTES]
    return _text(mask + _xor(mask, _bytes(session.csrf_secret)))


def csrf_matches(session: Session, token: str) -> bool:
    """Return whether the token is one of this session, in constant time."""
    if not session.csrf_secret or not _TOKEN.fullmatch(token):
        return False
    data = _bytes(token)
    return hmac.compare_digest(_xor(data[:_SECRET_BYTES], data[_SECRET_BYTES:]), _bytes(session.csrf_secret))


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

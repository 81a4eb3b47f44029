"""User continuations of the HTTP server, with all forms in one table."""

from trickleweb.server.tokens.forms import InterimToken, KeptToken, Token, decode_untrusted, encode
from trickleweb.server.tokens.planned import (
    MAX_TOKEN_BYTES,
    AskedToken,
    Delivered,
    PlannedToken,
    digest_of,
    keeps_alive,
)

__all__ = [
    "MAX_TOKEN_BYTES", "AskedToken", "Delivered", "InterimToken", "KeptToken", "PlannedToken", "Token",
    "decode_untrusted", "digest_of", "encode", "keeps_alive",
]  # fmt: skip

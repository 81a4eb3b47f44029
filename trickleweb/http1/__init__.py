"""HTTP/1.1 as pure functions of bytes: heads parsed and rendered, chunks decoded, without a connection object."""

from trickleweb.http1.chunked import ChunkedState, Decoded, Phase, decode_chunked
from trickleweb.http1.head import check_head, drop_caches, parse_head_untrusted
from trickleweb.http1.refusals import (
    check_announced,
    error_plan,
    method_not_allowed,
    too_large,
    unavailable,
)
from trickleweb.http1.render import (
    CONTINUE,
    LAST_CHUNK,
    BodyDelivery,
    chunk_start,
    decide_delivery,
    phrase,
    render_head,
    sent_fields,
)

__all__ = [
    "CONTINUE", "LAST_CHUNK", "BodyDelivery", "ChunkedState", "Decoded", "Phase", "check_announced", "check_head",
    "chunk_start", "decide_delivery", "decode_chunked", "drop_caches", "error_plan", "method_not_allowed",
    "parse_head_untrusted", "phrase", "render_head", "sent_fields", "too_large", "unavailable",
]  # fmt: skip

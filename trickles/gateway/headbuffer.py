"""What a program has written to an HTTP proxy and is not yet understood, read head by head."""

from __future__ import annotations

from trickles.gateway.heads import RequestHead, request_head_untrusted

_END = b"\r\n\r\n"


class HeadBuffer:
    """An incomplete head is looked at again when its end came, or it has doubled: else each byte would cost all."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._looked_bytes = 0  # when it was last found incomplete
        self._scanned_bytes = 0  # no end begins below

    def __len__(self) -> int:
        return len(self.data)

    def add(self, data: bytes) -> None:
        """Append."""
        self.data += data

    def head(self) -> RequestHead | None:
        """The head at the start, None while it is incomplete; BadHead for what is none. It stays until it is taken."""
        if len(self.data) < 2 * self._looked_bytes:
            end = self.data.find(_END, self._scanned_bytes)
            self._scanned_bytes = max(len(self.data) - len(_END) + 1, 0)
            if end < 0:
                return None
        found = request_head_untrusted(self.data)
        self._looked_bytes = len(self.data) if found is None else 0
        return found

    def take(self, size_bytes: int | None = None) -> bytes:
        """Remove so many bytes from the start, or all."""
        taken = bytes(self.data[:size_bytes])
        del self.data[:size_bytes]
        self._looked_bytes = self._scanned_bytes = 0
        return taken

"""Opened transport continuations, kept for a while because a client presents the same one many times."""

from __future__ import annotations

from dataclasses import dataclass, replace

from trickles.continuation import open_transport_untrusted, open_user_untrusted, seal_transport
from trickles.keyring import Keyring
from trickles.limits import Limits
from trickles.nonce import NonceSequence
from trickles.service import Continuation
from trickles.session import Session
from trickles.trickle import Episode
from trickles.wire.transport import TransportState


@dataclass(frozen=True, slots=True)
class Path:
    """One transport continuation, opened: its state and the ciphers that follow from it."""

    connection: bytes
    state: TransportState
    session: Session
    nonces: NonceSequence


class PathCache:
    """Opens and seals continuations; what it remembers is bounded and only saves time."""

    def __init__(self, keyring: Keyring, limits: Limits) -> None:
        self.keyring = keyring
        self._limits = limits
        self._paths: dict[bytes, Path] = {}
        self._users: dict[bytes, Continuation] = {}

    def clear(self) -> None:
        """Forget all that was opened."""
        self._paths.clear()
        self._users.clear()

    def replace_keyring(self, keyring: Keyring) -> None:
        """Seal and open with another keyring from now on."""
        self.keyring = keyring
        self.clear()

    def open_untrusted(self, blob: bytes) -> Path:
        """The path behind a transport continuation; Forged or BadPacket as `open_transport_untrusted`."""
        path = self._paths.get(blob)
        if path is None:
            connection, state = open_transport_untrusted(self.keyring, blob)
            session = Session(state.secret, state.suite)
            path = self._remember(blob, Path(connection, state, session, NonceSequence(state.nonce_key)))
        return path

    def renew(
        self, path: Path, episode: Episode, *, embryo: bool, address: bytes, size: int, nonce: bytes, now: int
    ) -> bytes:
        """Seal a fresh continuation for the same connection and return it."""
        state = replace(path.state, episode=episode, embryo=embryo, address=address, datagram_bytes=size, issued=now)
        blob = seal_transport(self.keyring, path.connection, state, nonce=nonce, now=now)
        self._remember(blob, Path(path.connection, state, path.session, path.nonces))
        return blob

    def user_untrusted(self, connection: bytes, blob: bytes, *, now: int) -> Continuation:
        """The user continuation behind `blob`; Forged when it is not this connection's or too old."""
        key = connection + blob
        value = self._users.get(key)
        if value is None:
            life = self._limits.user_continuation_life
            value = open_user_untrusted(self.keyring, connection, blob, now=now, life=life)
            if len(self._users) >= self._limits.state_cache:
                del self._users[next(iter(self._users))]
            self._users[key] = value
        return value

    def _remember(self, blob: bytes, path: Path) -> Path:
        if len(self._paths) >= self._limits.path_cache:
            del self._paths[next(iter(self._paths))]
        self._paths[blob] = path
        return path

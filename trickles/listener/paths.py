"""Opened transport continuations, kept for a while because a client presents the same one many times."""

from __future__ import annotations

from typing import NamedTuple

from trickles.continuation import open_transport_untrusted, open_user_untrusted, seal_transport
from trickles.keyring import Keyring, Purpose, expand
from trickles.limits import SECOND, Limits
from trickles.nonce import NonceSequence
from trickles.service import Continuation
from trickles.session import Session
from trickles.trickle import Episode
from trickles.wire.transport import TransportState

TRUSTED_FOR = 10 * SECOND  # an opened user continuation is not checked again for its age
_UNKNOWN: tuple[Continuation | None, int] = (None, 0)


class Path(NamedTuple):
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
        self._users: dict[bytes, tuple[Continuation | None, int]] = {}

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
    ) -> tuple[bytes, Path]:
        """Seal a fresh continuation for the same connection; returns it and the path that it opens to.

        The connection's first restart changes the nonce key by the time of issue: a client that greets twice with one
        secret learns nothing about the second connection's nonces from the first.
        """
        old = path.state
        nonce_key, nonces = old.nonce_key, path.nonces
        if old.embryo and old.episode.base == 0 and not embryo:
            nonce_key = expand(nonce_key, Purpose.NONCE, old.issued.to_bytes(8, "big"), len(nonce_key))
            nonces = NonceSequence(nonce_key)
        state = old._replace(
            episode=episode,
            embryo=embryo,
            address=address,
            datagram_bytes=size,
            issued=now,
            nonce_key=nonce_key,
        )
        blob = seal_transport(self.keyring, path.connection, state, nonce=nonce, now=now)
        return blob, self._remember(blob, Path(path.connection, state, path.session, nonces))

    def user_untrusted(self, connection: bytes, blob: bytes, *, now: int) -> Continuation:
        """The user continuation behind `blob`; Forged when it is not this connection's or too old."""
        key = connection + blob
        value, fresh_until = self._users.get(key, _UNKNOWN)
        if value is None or now > fresh_until:
            life = self._limits.user_continuation_life
            value = open_user_untrusted(self.keyring, connection, blob, now=now, life=life)
            if len(self._users) >= self._limits.state_cache:
                del self._users[next(iter(self._users))]
            self._users[key] = value, now + TRUSTED_FOR
        return value

    def _remember(self, blob: bytes, path: Path) -> Path:
        if len(self._paths) >= self._limits.path_cache:
            del self._paths[next(iter(self._paths))]
        self._paths[blob] = path
        return path

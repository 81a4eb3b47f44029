"""A cache of opened transport continuations: clients present the same one many times."""

from __future__ import annotations

from dataclasses import dataclass

from trickles.continuation import Seals, open_transport_untrusted
from trickles.keyring import Keyring, Purpose, expand
from trickles.limits import Limits
from trickles.listener.recent import Recent
from trickles.nonce import NonceSequence
from trickles.session import SessionKeys
from trickles.stores import NO_STORE, store_tag
from trickles.trickle import Episode
from trickles.wire.response import transport_frame
from trickles.wire.transport import NONCE_SECRET_BYTES, TransportState


@dataclass(slots=True, eq=False)
class Path:
    """One opened transport continuation: its state and the ciphers that follow from it."""

    state: TransportState
    session: SessionKeys
    nonces: NonceSequence
    seals: Seals
    other_store: bool = False  # the replica that greeted the connection has another store


class PathCache:
    """Opens and seals continuations; its cache is bounded and only saves time."""

    def __init__(self, keyring: Keyring, limits: Limits, store_id: bytes = NO_STORE) -> None:
        self.keyring = keyring
        self.store_tag = store_tag(store_id)
        self._limits = limits
        self._paths: Recent[bytes, Path] = Recent(limits.path_cache)
        self._connections: Recent[bytes, Path] = Recent(limits.path_cache)  # the last opened of each

    def clear(self) -> None:
        self._paths.clear()
        self._connections.clear()

    def replace_store(self, store_id: bytes) -> None:
        self.store_tag = store_tag(store_id)
        self.clear()

    def replace_keyring(self, keyring: Keyring) -> None:
        self.keyring = keyring
        self.clear()

    def open_untrusted(self, blob: bytes) -> Path:
        """Return the path of a transport continuation; Forged or BadPacket as `open_transport_untrusted`."""
        path = self._paths.newer.get(blob) or self._paths.find(blob)
        if path is None:
            path = self._open_untrusted(blob)
            self._paths.add(blob, path)
        return path

    def _open_untrusted(self, blob: bytes) -> Path:
        """Open it with the ciphers of another continuation of the same connection, if one is cached."""
        connection, state = open_transport_untrusted(self.keyring, blob)
        known = self._connections.find(connection)
        if known is None or known.state.secret != state.secret or known.state.suite is not state.suite:
            session, nonces = SessionKeys(state.secret, state.suite), NonceSequence(state.nonce_key)
            foreign = state.store_tag != self.store_tag
            path = Path(state, session, nonces, Seals(connection, session.identity), foreign)
        else:
            nonces = known.nonces if known.state.nonce_key == state.nonce_key else NonceSequence(state.nonce_key)
            path = Path(state, known.session, nonces, known.seals, known.other_store)
        self._connections.add(connection, path)
        return path

    def renew(
        self, path: Path, episode: Episode, embryo: bool, address: bytes, size: int, nonce: bytes, now: int
    ) -> tuple[bytes, Path]:
        """Seal a fresh continuation for the same connection; return its frame and path.

        The connection's first restart mixes the time of issue into the nonce key: the nonces of one connection reveal
        nothing about those of another one with the same secret.
        """
        old, nonces, seals = path.state, path.nonces, path.seals
        nonce_key = old.nonce_key
        if old.embryo and old.episode.base == 0 and not embryo:
            fresh = expand(nonce_key, Purpose.NONCE, old.issued.to_bytes(8, "big"), NONCE_SECRET_BYTES)
            nonce_key = fresh + old.store_tag
            nonces = NonceSequence(nonce_key)
        state = TransportState(old.suite, embryo, now, address, size, episode, old.secret, nonce_key)
        blob = seals.transport(self.keyring, state, nonce, now)
        path = Path(state, path.session, nonces, seals, path.other_store)
        self._paths.add(blob, path)
        return transport_frame(episode, embryo, blob), path

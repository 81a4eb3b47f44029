"""Typed errors: the class says who is to blame, the text says what to do about it."""

from __future__ import annotations


class TricklesError(Exception):
    """Anything this package raises on purpose."""


class LocalProtocolError(TricklesError):
    """The caller of this API asked for something the protocol does not allow."""


class BadPacket(TricklesError):
    """Bytes from the network that cannot be what they claim to be; the only error out of `*_untrusted`."""


class Forged(BadPacket):
    """A sealed value that no live key opens: forged, truncated, foreign or expired keys all look like this."""


class UnknownEpoch(Forged):
    """A sealed value whose epoch this keyring does not hold."""


class KeyringError(TricklesError):
    """A keyring that cannot be used: missing, unreadable, readable by others, malformed or empty."""


class UnsafePlace(TricklesError):
    """A directory or file that another user could change or must not read; the text names the command that mends it."""


class IdentityError(TricklesError):
    """The fleet is not the one the client pinned or trusted before."""


class DiscoveryError(TricklesError):
    """Where the replicas of a fleet are cannot be found out: no such name, no answer, or none that can be used."""


class HandoverError(TricklesError):
    """A running gateway's sockets cannot be taken over: none runs there, or it is of another kind."""


class UnknownSnapshot(TricklesError):
    """A connection's snapshot in the form of another release, which this one does not read."""


class CertificateError(TricklesError):
    """A TLS certificate or its key that cannot be used: missing, malformed, no pair, or a key readable by others."""


class ContinuationTooLarge(LocalProtocolError):
    """A user continuation does not fit a packet: keep the state in a shared store and seal only its key."""


class InputLost(TricklesError):
    """Committed input is not, or no longer, in this replica's spool: the client has to send it again."""


class InputBusy(TricklesError):
    """What this replica's spool holds of committed input is not known yet: ask again, and it goes on where it was."""


class ConnectionFailed(TricklesError):
    """The transfer cannot go on anywhere; `reason` is a short word for logs."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

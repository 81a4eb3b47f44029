"""Typed errors: the class says whose fault it is, the text says what to do."""

from __future__ import annotations

from trickles.promise import Promise


class TricklesError(Exception):
    """Base of all errors that this package raises."""


class LocalProtocolError(TricklesError):
    """A call that the protocol does not allow at this point."""


class BadPacket(TricklesError):
    """Malformed bytes from the network; the only error that `*_untrusted` functions raise."""


class Forged(BadPacket):
    """A sealed value that no live key opens: forged, truncated, or sealed under foreign or expired keys."""


class UnknownEpoch(Forged):
    """A sealed value whose epoch this keyring does not hold."""


class KeyringError(TricklesError):
    """An unusable keyring: missing, unreadable, readable by others, malformed or empty."""


class UnsafePlace(TricklesError):
    """A directory or file that other users could change or read; the text names the command that mends it."""


class IdentityError(TricklesError):
    """The fleet is not the one the client pinned or trusted before."""


class DiscoveryError(TricklesError):
    """The replicas of a fleet cannot be found: no such name, no answer, or no usable one."""


class HandoverError(TricklesError):
    """The sockets of a running gateway cannot be taken over: there is none, or it is of another kind."""


class UnknownSnapshot(TricklesError):
    """A connection's snapshot in another release's format, which this one does not read."""


class CertificateError(TricklesError):
    """An unusable TLS certificate or key: missing, malformed, no pair, or a key readable by others."""


class ContinuationTooLarge(LocalProtocolError):
    """A user continuation does not fit a packet: keep the state in a shared store and seal only its key."""


class InputLost(TricklesError):
    """Committed input is missing from this replica's spool: the client has to send it again."""


class InputBusy(TricklesError):
    """This replica does not know yet whether its spool holds committed input, or must fetch it: ask again.

    It goes on there: at once, or when `ready` is resolved.
    """

    def __init__(self, reason: str = "", ready: Promise[None] | None = None) -> None:
        super().__init__(reason)
        self.ready = ready


class ConnectionFailed(TricklesError):
    """The transfer cannot go on at any replica; `reason` is a short word for logs."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

"""Bounds of a gateway, with the reason for each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayLimits:
    """Bounds of a gateway; times are seconds."""

    most_connections: int = 8192  # live TCP connections; for another one the most idle is ended
    most_per_client: int = 0  # of them from one host address; 0: no bound
    still_after: float = 5.0  # a connection idle for so long makes room; else the new one is reset
    request_timeout: float = 60.0  # from a request's first byte to its answer's, or its input is ended; 0: no bound
    least_bytes_per_second: int = 500  # of a request that may take longer
    idle_timeout: float = 0.0  # idle connections are closed; 0: never
    half_close: float = 0.0  # a user that half-closed and waits so long without output has left; 0: never
    leave_idle: float = 5.0  # the same once a successor has taken over, if shorter
    input_high_water: int = 1 << 18  # bytes that the upstream has not taken: then reading pauses
    output_high_water: int = 1 << 14  # bytes that a user's socket has not taken: more waits in the engine
    unsent_bytes: int = 1 << 17  # unsent in the kernel, for a user that has read little
    output_bytes: int = 1 << 29  # unread by all users together: the more there are, the less is asked for
    least_window_bytes: int = 1 << 15  # of them for one connection; less if all of these exceed half of the total
    speak_first_after: float = 0.01  # then a connection begins without input, for users that wait for the server
    look_every: float = 5.0  # between checks for resets of users that are not read from
    sweep_every: float = 0.5  # between checks for timeouts of requests and idle connections
    handshake: float = 10.0  # time for a TLS handshake
    reach: float = 10.0  # time to reach a host by plain TCP
    linger: float = 5.0  # time for a user to close after a complete answer
    stuck: float = 60.0  # time without any progress of a user that reads a complete answer


DEFAULT_LIMITS = GatewayLimits()

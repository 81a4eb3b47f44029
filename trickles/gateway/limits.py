"""Bounds of a gateway, with the reason for each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayLimits:
    """Bounds of a gateway; times are seconds."""

    most_connections: int = 8192  # live TCP connections; for one more the stillest is ended
    most_per_client: int = 0  # of them from one host address; 0: no bound of its own
    still_after: float = 5.0  # a connection that stood still for so long makes room; else the new one is reset
    request_timeout: float = 60.0  # from the first byte of a request to its answer's, or its input is ended; 0: never
    least_bytes_per_second: int = 500  # unless so much of it keeps coming
    idle_timeout: float = 0.0  # connections without anything under way are closed; 0: never
    leave_idle: float = 5.0  # the same once a successor has taken over, if that is less
    input_high_water: int = 1 << 18  # bytes from a user that its upstream has not taken: then reading pauses
    output_high_water: int = 1 << 14  # bytes that a user's socket has not taken: what follows waits in the engine
    unsent_bytes: int = 1 << 17  # that the kernel takes ahead of what the path holds, for a user that has read little
    output_bytes: int = 1 << 29  # that users have not read, all together: the more there are, the less is asked for
    least_window_bytes: int = 1 << 15  # of them for one connection; less if all connections' were over half of it all
    speak_first_after: float = 0.01  # a user that waits for the server's first word gets its connection by then
    look_every: float = 5.0  # between looks at whether a user that is not read from is still there
    sweep_every: float = 0.5  # between looks at whether requests and idle connections have timed out
    handshake: float = 10.0  # how long TLS may take before the first byte
    reach: float = 10.0  # how long a host may take that is reached by plain TCP
    linger: float = 5.0  # how long a user may go on writing after the answer is complete
    stuck: float = 60.0  # how long it may take none of a complete answer


DEFAULT_LIMITS = GatewayLimits()

"""Bounds of the transport: name, default and reason."""

from __future__ import annotations

from dataclasses import dataclass

SECOND = 1_000_000
MILLISECOND = 1_000
# With these defaults a replica sends a connection, in any 10 s, at most:
MOST_WITHOUT_PROOF = 40  # packets without new proof: a first window, 8 timeouts, a dozen repeats
MOST_UNPROVED = 100  # packets beyond two for each one proved: a kept window, a timeout each 200 ms, a dozen repeats


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of both engines. Times are microseconds, sizes bytes, windows packets."""

    # sizes
    min_datagram_bytes: int = 1200  # fits a 1280-byte IPv6 path, RFC 8200 section 5
    max_datagram_bytes: int = 65_507  # the largest UDP payload over IPv4
    max_burst_bytes: int = 64_000  # one GSO send, below the 64 KiB of an IP datagram
    max_burst_packets: int = 46  # about one GSO send of Ethernet datagrams; kernels cap at 64
    max_user_continuation_bytes: int = 700  # leaves room for proof and wants in a 1,200-byte request
    max_runs: int = 32  # runs in a proof; more means the path is useless and a restart is better
    max_wants: int = 32  # output ranges in one request

    # windows
    initial_window: int = 10  # RFC 6928, once the address is proved
    unproved_window: int = 3  # three packets for one padded hello: the 3x rule
    idle_window: int = 32  # bound of a window after a pause without loss
    max_window: int = 1 << 16
    max_number: int = (1 << 32) - 1  # packet numbers are 32 bits on the wire
    max_restart_skip: int = 1 << 20  # how far ahead a restart may place its base
    substantial_proof: int = 64  # packets newly proved that end a back-off; fewer would buy free answers

    # input
    max_event_input_bytes: int = 1 << 17  # of spooled input in one event

    # ages
    continuation_life: int = 30 * SECOND  # replay filter remembers this long, and the skew
    clock_skew: int = 10 * SECOND  # a continuation issued further ahead is refused as expired: a clock is wrong
    user_continuation_life: int = 24 * 3600 * SECOND  # a download may pause overnight
    cookie_life: int = 10 * SECOND
    size_proof_period: int = 3600 * SECOND  # a size proof is valid for one to two of these
    min_restart_interval: int = 50 * MILLISECOND  # below every client's RTO floor; doubles without new proof
    proved_restart_interval: int = 200 * MILLISECOND  # bound of the doubling while each proves something: the RTO floor
    min_probe_interval: int = 5 * MILLISECOND  # below every client's probe floor; doubles without new proof
    most_backoff: int = 6400 * MILLISECOND  # bound of all these intervals

    # client timers (RFC 6298, RFC 8985)
    rto_initial: int = SECOND
    rto_floor: int = 200 * MILLISECOND
    rto_ceiling: int = 60 * SECOND
    probe_floor: int = 10 * MILLISECOND
    give_up_after: int = 30 * SECOND  # silence from every replica
    busy_delay: int = 20 * MILLISECOND
    rotation_patience: int = 10 * SECOND  # a new epoch has reached all replicas by then

    # client buffers
    receive_window_bytes: int = 4 << 20
    min_out_of_order: int = 1024  # packets that wait for an earlier one: one for each KiB of the window, at least these
    max_requests_in_flight: int = 1024  # one a millisecond of the longest round trip
    max_continuations: int = 1024  # user continuations of output that is on its way
    max_pieces_in_flight: int = 4096  # of input, to the spool
    kept_input_bytes: int = (16 << 20) + (1 << 16)  # of input in the spool: it may have to be sent again

    # soft state of a listener, entries
    path_cache: int = 4096
    claims_cache: int = 16_384
    replay_bits: int = 1 << 24  # per generation; 2 MiB each, after some 500 requests
    max_waiting: int = (
        20_480  # deferred replies: more than HTTP's server lets wait, so that who is parked keeps no work out
    )
    max_storing_pieces: int = 8192  # on their way to the spool, half of them for one host: then more are dropped
    max_storing_bytes: int = 64 << 20  # the same: 0.1 s of 5 Gbit/s
    max_fetching: int = 1024  # commits for which the spool fetches input; others are asked again
    max_hellos_per_second: int = 2000  # beyond it a hello must bring a cookie

    @property
    def most_out_of_order(self) -> int:
        """Packets that may wait for an earlier one at a client."""
        return max(self.min_out_of_order, self.receive_window_bytes >> 10)


DEFAULT_LIMITS = Limits()

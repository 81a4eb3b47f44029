"""Clients as flows: one rate and one state each, with the client engine's own timers (`trickles.client.rtt`).

A client asks, waits for the answer, pauses, and asks again. One event stands for each datagram, at the time when it
arrives at a replica; there the answer's time follows from the replica's queue. If that is before the client's next
timer, the exchange is complete, and the event after it is the next request. Otherwise the client's next datagram
follows from its timers:

- a probe to the next replica after `RoundTrip.probe_timeout`, with pauses that double;
- after `RoundTrip.timeout` a restart at the next replica, from where the probes begin again;
- at once, a round trip later, when a replica answers by ICMP, or lacks the epoch;
- a hello is repeated after 250 ms, at most 2 s, and with a cookie at once;
- after 30 s without an answer the connection has failed, and the client says hello again.

The first answer wins: its replica is the client's own from then on. Work that others do for earlier datagrams of the
exchange is in their queues all the same.

What is left out: windows and losses of packets (a download is a flow of bursts of 46 packets), parking, input, the
second for which a client avoids a silent replica, and that an answer to an earlier datagram ends the wait for a later
one that is still on its way.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from random import Random

from benchmarks.scale.agenda import Agenda
from benchmarks.scale.costs import Costs, Paths
from benchmarks.scale.fleet import NEVER, Fleet
from benchmarks.scale.routes import Router
from trickles.client.handshake import FIRST_RETRY, LAST_RETRY
from trickles.client.rtt import NO_SAMPLE, RoundTrip
from trickles.limits import DEFAULT_LIMITS, MILLISECOND, SECOND

GIVE_UP = DEFAULT_LIMITS.give_up_after
FELT = 100 * MILLISECOND  # later than undisturbed
DOWNLOAD_PAUSE = 100 * MILLISECOND  # between bursts: 46 packets of 1,400 bytes in it are 5 Mbit/s
NEW, INVITED, GREETED, PROVED = range(4)  # without a connection, with a cookie, after the hello, after a request
_DRAWS = 1 << 14  # precomputed random numbers, used in turn
_MOST_DELAY = 60_000  # milliseconds, for the histogram


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """So many clients; a share of them downloads, some 5 Mbit/s each, and the rest asks once in `pause`."""

    clients: int
    pause: int = 4 * SECOND  # mean microseconds from an answer to the next request
    downloads: float = 0.005
    paths: Paths = field(default_factory=Paths)


@dataclass(slots=True)
class Tally:
    """Counts of all exchanges."""

    begun: int = 0
    answered: int = 0
    failed: int = 0  # connections given up
    requests: int = 0  # datagrams that arrived somewhere, or nowhere
    probes: int = 0
    restarts: int = 0
    hellos: int = 0
    cookies: int = 0
    refused: int = 0  # for an epoch
    in_vain: int = 0  # at a replica that is down
    foreign: int = 0  # at a replica that knows nothing of the connection
    delays: array[int] = field(default_factory=lambda: array("q", [0]) * (_MOST_DELAY + 1))  # by millisecond


class Flows:
    """All clients; `begin` each once, then let the agenda `arrive` their datagrams."""

    def __init__(self, population: Population, fleet: Fleet, router: Router, costs: Costs, seed: int) -> None:
        count, rng = population.clients, Random(f"{seed}/flows")
        self.population, self.fleet, self.router, self.costs = population, fleet, router, costs
        self.agenda, self.tally = Agenda(count), Tally()
        self.downloads = int(count * population.downloads)  # the first so many clients
        paths = population.paths
        reach = paths.most / paths.least
        self.trip = array("l", (int(paths.least * reach ** rng.random()) for _ in range(count)))
        self.state = bytearray(count)
        self.sent = array("q", [0]) * count  # the exchange's first datagram
        self.attempt = array("l", [0]) * count
        self.place = array("l", [-1]) * count  # the replica that answered last
        self.heard = array("q", [-1]) * count  # when
        self.felt = bytearray(count)  # a delay of more than FELT, in some exchange
        self.worst = array("q", [0]) * count  # delay of an exchange beyond undisturbed
        self.sealed_new = bytearray(count)  # the continuation is of the new epoch
        self.new_epoch_at = NEVER
        self._last = array("q", [0]) * count  # the last datagram
        self._since = array("q", [0]) * count  # the first one since the last restart
        self._probes = bytearray(count)
        self._best = array("q", [NEVER]) * count  # the first answer under way
        self._best_from = array("l", [-1]) * count
        self._best_attempt = array("l", [0]) * count
        self._trips: list[RoundTrip] = [NO_SAMPLE] * count
        self._pauses = array("l", (int(rng.expovariate(1) * population.pause) for _ in range(_DRAWS)))
        self._jitters = array("d", (rng.random() * paths.jitter for _ in range(_DRAWS)))
        self._draw = 0

    def begin(self, client: int, when: int, *, known: bool) -> None:
        """Let a client ask first at `when`; `known`: on a connection that it has used for some time."""
        if known:
            self.state[client] = PROVED
            self.place[client] = self.router.route(client, 0)
            trip, work = self.trip[client], self.costs.work  # of which it waits for two, with others' before its own
            varied = int(trip * self.population.paths.jitter / 4) + work  # mean deviation
            usual = int(trip * (1 + self.population.paths.jitter / 2)) + 2 * work
            self._trips[client] = RoundTrip(usual << 3, varied << 2, trip)
        self._ask(client, when)

    def _ask(self, client: int, when: int) -> None:
        self.tally.begun += 1
        self.sent[client] = when
        self._best[client] = NEVER
        self._start(client, when)

    def _start(self, client: int, when: int) -> None:
        """Send the first datagram of an exchange, of a restart, or of another connection."""
        self._since[client] = when
        self._probes[client] = 0
        self._send(client, when)

    def _send(self, client: int, when: int) -> None:
        self._last[client] = when
        self.agenda.add(client, when + (self.trip[client] >> 1))

    def arrive(self, client: int, now: int) -> None:
        """Let the client's datagram arrive at the replica to which it is routed."""
        self.tally.requests += 1
        fleet, replica = self.fleet, self.router.route(client, self.attempt[client])
        if fleet.down_from[replica] <= now < fleet.down_until[replica]:
            self.tally.in_vain += 1
            self._fall_silent(client, now, hurries=bool(fleet.refuses[replica]))
        elif self.state[client] < GREETED:
            self._greet(client, replica, now)
        elif self.sealed_new[client] and now < fleet.epoch_at[replica]:
            self.tally.refused += 1
            hurries = fleet.serve(replica, now, self.costs.refused) != NEVER
            self._fall_silent(client, now, hurries=hurries)
        else:
            self._settle(client, replica, fleet.serve(replica, now, self._cost(client, replica, now)))

    def _cost(self, client: int, replica: int, now: int) -> int:
        costs = self.costs
        if client < self.downloads:
            return costs.burst + (0 if self.place[client] == replica else costs.foreign - costs.kept)
        if self.state[client] == GREETED:
            return costs.first + costs.work
        until = self.fleet.down_until[replica]
        if self.place[client] == replica and not self.heard[client] < until <= now:
            return costs.kept + costs.work
        self.tally.foreign += 1
        return costs.foreign + costs.work

    def _greet(self, client: int, replica: int, now: int) -> None:
        """Answer a hello, with the response to the request inside, or with a cookie."""
        self.tally.hellos += 1
        if not self.fleet.crowded(replica, now) or self.state[client] == INVITED:
            self._settle(client, replica, self.fleet.serve(replica, now, self.costs.hello + self.costs.work))
            return
        self.tally.cookies += 1
        done = self.fleet.serve(replica, now, self.costs.cookie)
        at = done + (self.trip[client] >> 1)
        if done == NEVER or at > self._next_hello(client):
            self._fall_silent(client, now)
        else:
            self.state[client] = INVITED
            self._send(client, at)

    def _settle(self, client: int, replica: int, done: int) -> None:
        """Note an answer that is done at `done` (NEVER: none); complete the exchange if it comes before a timer."""
        if done != NEVER:
            trip = self.trip[client]
            self._draw = draw = (self._draw + 1) % _DRAWS
            at = done + (trip >> 1) + int(trip * self._jitters[draw])
            if at < self._best[client]:
                self._best[client] = at
                self._best_from[client] = replica
                self._best_attempt[client] = self.attempt[client]
        self._fall_silent(client, done)

    def _fall_silent(self, client: int, now: int, *, hurries: bool = False) -> None:
        """Complete the exchange if an answer comes before the next timer; otherwise send the next datagram."""
        best, linked = self._best[client], self.state[client] >= GREETED
        if (  # the usual case: no restart is due before the first probe
            linked and not self._probes[client] and best <= self._last[client] + self._trips[client].probe_timeout()
        ):
            self._complete(client, best)
            return
        due, restarts = self._next_probe(client) if linked else (self._next_hello(client), False)
        if hurries and (soon := now + (self.trip[client] >> 1)) < due:
            due, restarts = soon, False
        if best <= due:
            self._complete(client, best)
        elif due - self.sent[client] > GIVE_UP:
            self._give_up(client, due)
        else:
            self.attempt[client] += 1
            if restarts:
                self.tally.restarts += 1
                self._trips[client] = self._trips[client].backed_off()
                self._start(client, due)
            else:
                self.tally.probes += linked and not hurries
                self._probes[client] = min(self._probes[client] + 1, 32)
                self._send(client, due)

    def _next_probe(self, client: int) -> tuple[int, bool]:
        """Return when a probe is due, or a restart if that is earlier, and which of them."""
        trip = self._trips[client]
        probe = self._last[client] + (trip.probe_timeout() << self._probes[client])
        restart = self._since[client] + trip.timeout()
        return (restart, True) if restart <= probe else (probe, False)

    def _next_hello(self, client: int) -> int:
        return self._last[client] + min(FIRST_RETRY << self._probes[client], LAST_RETRY)

    def _give_up(self, client: int, when: int) -> None:
        """Count a failed connection; the client opens another one."""
        self.tally.failed += 1
        self.worst[client], self.felt[client] = GIVE_UP, 1
        self.state[client], self.place[client], self.sealed_new[client] = NEW, -1, 0
        self._trips[client] = NO_SAMPLE
        self.attempt[client] += 1
        self._ask(client, when)

    def _complete(self, client: int, when: int) -> None:
        """Take the answer that came first, and ask again after a pause."""
        newest = self._best_attempt[client] == self.attempt[client]
        if newest:
            self._trips[client] = self._trips[client].sampled(when - self._last[client])
        self.attempt[client] = self._best_attempt[client]
        self.place[client] = replica = self._best_from[client]
        self.heard[client] = when
        self.state[client] = PROVED if self.state[client] >= GREETED else GREETED
        self.sealed_new[client] = when >= self.new_epoch_at and when >= self.fleet.epoch_at[replica]
        self._count(client, when - self.sent[client] - self.trip[client] - self.costs.work)
        pause = DOWNLOAD_PAUSE if client < self.downloads else self._pauses[self._draw]
        self._ask(client, when + pause)

    def _count(self, client: int, delay: int) -> None:
        self.tally.answered += 1
        self.tally.delays[min(delay // MILLISECOND, _MOST_DELAY) if delay > 0 else 0] += 1
        if delay > self.worst[client]:
            self.worst[client] = delay
            self.felt[client] = delay > FELT

    def forget_delays(self) -> None:
        """Forget what each client felt so far."""
        self.worst = array("q", [0]) * len(self.worst)
        self.felt = bytearray(len(self.felt))

    def run(self, stop: int) -> None:
        """Run until virtual time `stop`."""
        self.agenda.run(stop, self.arrive)

    @property
    def open(self) -> int:
        """Return how many exchanges are begun and neither answered nor failed."""
        return self.tally.begun - self.tally.answered - self.tally.failed

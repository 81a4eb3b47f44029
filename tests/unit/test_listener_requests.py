"""Honest requests: what they earn, on whichever replica, and what the answers carry."""

from itertools import pairwise

import pytest

from tests.support.desk import CONTENT, Desk
from tests.support.peer import OpenedPacket
from tests.support.toys import File, Refusing, Seen, Tape
from trickles.limits import SECOND, Limits
from trickles.service import Continuation, Event, Refusal, Reply
from trickles.trickle import Episode
from trickles.wire.kinds import Kind, RequestFlag, ResponseFlag, Suite


def numbers(packets: list[OpenedPacket]) -> list[int]:
    return [packet.number for packet in packets]


@pytest.mark.parametrize("suite", Suite)
def test_a_whole_transfer_by_hand_is_byte_exact(suite: Suite) -> None:
    desk = Desk(File(CONTENT), suite=suite)
    desk.connect()
    spoken, received, ended = 9, b"", False
    while not ended:
        size = len(received)
        packets = desk.ask(desk.peer.speak(spoken, spoken + 10, wants=((size, size + 200_000),)))
        spoken += 10
        received += b"".join(map(bytes, desk.peer.output.take()))
        ended = bool(packets[-1].flags & ResponseFlag.END)
    assert received == CONTENT
    assert sorted(desk.peer.nonces)[3:] == list(range(9, desk.peer.top))  # each number once, none left out


def test_the_first_restart_earns_the_initial_window() -> None:
    desk = Desk()
    packets = desk.connect()
    assert numbers(packets) == list(range(9, 19))
    assert [packet.transport is not None for packet in packets] == [True] * 3 + [False] * 7
    assert desk.peer.transport is not None
    assert (desk.peer.transport.episode, desk.peer.transport.embryo) == (Episode(9, 10, 1 << 16), False)


@pytest.mark.parametrize("cuts", [[9, 19], [9, 10, 19], [9, 14, 15, 19], list(range(9, 20))], ids=str)
def test_adjacent_requests_tile_on_whichever_replica(cuts: list[int]) -> None:
    first = Desk()
    first.connect()
    replicas = [first, Desk(), Desk()]
    earned: list[int] = []
    for index, (lo, hi) in enumerate(pairwise(cuts)):
        replicas[index % 3].peer = first.peer
        body = first.peer.spoken(lo, hi, runs=(first.peer.run(9, hi),))
        earned += numbers(replicas[index % 3].ask(first.peer.request(body)))
    assert sorted(earned) == list(range(19, 39))


def test_packets_between_the_continuations_carry_no_frames() -> None:
    desk = Desk()
    desk.connect()
    packets = desk.ask(desk.peer.speak(9, 19))
    assert [packet.flags for packet in packets] == [0] * 20
    assert {packet.size_bytes for packet in packets} == {1200}


def test_a_loss_brings_the_continuation_of_the_next_episode_three_times() -> None:
    desk = Desk(Tape())
    desk.connect()
    desk.ask(desk.peer.speak(9, 19), lost=[25])
    before = desk.ask(desk.peer.speak(19, 39))
    assert not any(packet.transport for packet in before)  # nothing above the window at the loss was proved yet
    after = desk.ask(desk.peer.speak(39, 25 + 26))
    assert [packet.transport is not None for packet in after] == [True] * 3 + [False] * (len(after) - 3)
    assert desk.peer.transport is not None
    episode = desk.peer.transport.episode
    assert (episode.base, episode.ssthresh) == (25 + 26, 13)  # the window was 26 when 25 was lost


def test_an_ageing_continuation_is_renewed_with_the_same_episode() -> None:
    desk = Desk()
    desk.connect()
    before = desk.peer.transport
    desk.now += Limits().continuation_life // 4
    assert desk.ask(desk.peer.speak(9, 10))[0].transport is None
    desk.now += 1
    renewed = desk.ask(desk.peer.speak(10, 12))[0].transport
    assert before is not None
    assert renewed is not None
    assert (renewed.episode, renewed.embryo) == (before.episode, False)
    assert renewed.blob != before.blob


def test_a_live_continuation_speaks_for_its_episode_after_a_newer_one_was_given() -> None:
    desk = Desk()
    desk.connect()
    assert desk.peer.transport is not None
    old = desk.peer.transport.blob
    desk.now += Limits().continuation_life // 2
    desk.ask(desk.peer.speak(9, 10))
    assert desk.peer.transport.blob != old
    assert numbers(desk.ask(desk.peer.request(desk.peer.spoken(10, 12), blob=old))) == [21, 22, 23, 24]


def test_the_budget_is_what_the_grant_can_carry() -> None:
    seen = Seen(Tape().handle)
    desk = Desk(seen)
    desk.connect()
    packets = desk.ask(desk.peer.speak(9, 14))
    assert len(packets) == 10
    assert sum(len(packet.data) for packet in packets) == seen.events[-1].budget == 10 * 1152


def test_the_service_hears_what_the_request_says() -> None:
    seen = Seen(File(CONTENT).handle)
    desk = Desk(seen)
    desk.connect()
    flags = RequestFlag.INPUT | RequestFlag.INPUT_END
    desk.send(desk.peer.speak(9, 11, flags=flags, wants=((5, 9), (100, 200)), input_offset=4, input=b"POST\n"))
    event = seen.events[-1]
    assert event.wants == ((5, 9), (100, 200))
    assert (event.input_offset, event.input, event.input_end, event.early) == (4, b"POST\n", True, False)
    assert event.continuation == Continuation(b"f", 0, len(CONTENT), 4)


def test_a_short_answer_says_that_the_rest_of_its_numbers_is_void() -> None:
    desk = Desk(File(CONTENT))
    desk.connect()
    packets = desk.ask(desk.peer.speak(9, 19, wants=((0, 2000),)))
    assert [(packet.number, len(packet.data)) for packet in packets] == [(19, 1152), (20, 848)]
    assert [bool(packet.flags & ResponseFlag.SHORT) for packet in packets] == [False, True]


def test_an_answer_without_data_still_says_something() -> None:
    desk = Desk(File(CONTENT))
    desk.connect()
    (packet,) = desk.ask(desk.peer.speak(9, 19, wants=()))
    assert (packet.number, packet.data, packet.size_bytes) == (19, b"", 48)
    assert packet.flags & ResponseFlag.SHORT


def test_neighbouring_chunks_share_packets_and_distant_ones_do_not() -> None:
    class Pieces:
        def handle(self, event: Event) -> Reply:
            return Reply(((0, b"a" * 700), (700, b"b" * 700), (5000, b"c" * 10), (5010, b""), (9000, b"d")))

    desk = Desk(Pieces())
    desk.connect()
    desk.listener.drop_caches()
    packets = desk.ask(desk.peer.speak(9, desk.peer.top))
    assert [(packet.offset, packet.data) for packet in packets] == [
        (0, b"a" * 700 + b"b" * 452),
        (1152, b"b" * 248),
        (5000, b"c" * 10),
        (9000, b"d"),
    ]


def test_the_end_is_marked_on_the_packet_that_reaches_it() -> None:
    desk = Desk(File(CONTENT[:3000]))
    desk.connect()
    desk.listener.drop_caches()
    whole = desk.ask(desk.peer.speak(9, 11, wants=((0, 3000),)))
    assert [bool(packet.flags & ResponseFlag.END) for packet in whole] == [False, False, True]
    part = desk.ask(desk.peer.speak(11, 12, wants=((0, 2999),)))
    assert not any(packet.flags & ResponseFlag.END for packet in part)


def test_a_restart_may_ask_for_larger_datagrams_and_begins_with_fewer() -> None:
    desk = Desk(Tape())
    desk.greet()
    desk.ping(9000)
    packets = desk.ask(desk.peer.restart(desk.peer_bound(), datagram_bytes=9000))
    assert {packet.size_bytes for packet in packets} == {9000}
    assert sum(packet.size_bytes for packet in packets) <= 10 * 1200


@pytest.mark.parametrize(("asked", "given"), [(0, 1200), (1199, 1200), (65_507, 65_507), (65_535, 1200)])
def test_the_size_of_datagrams_is_kept_between_its_bounds(asked: int, given: int) -> None:
    desk = Desk(Tape())
    desk.greet()
    desk.ping(65_507)
    assert desk.ask(desk.peer.restart(desk.peer_bound(), datagram_bytes=asked))[0].size_bytes == given


def test_a_service_that_raises_is_refused_reported_and_harms_nobody() -> None:
    errors: list[Exception] = []

    class Raising:
        def handle(self, event: Event) -> Reply:
            raise RuntimeError("a bug in a service")

    desk = Desk(Raising())
    desk.listener.report_errors(errors.append)
    (answer,) = desk.send(desk.peer.hello(desk.keyring.newest(desk.now)))
    assert desk.peer.refusal(answer).code is Refusal.GONE
    assert [str(error) for error in errors] == ["a bug in a service"]
    assert desk.counted("service.errors") == 1


def test_a_continuation_too_large_for_a_packet_ends_the_transfer_visibly() -> None:
    desk = Desk(File(CONTENT, pad=800))
    (answer,) = desk.send(desk.peer.hello(desk.keyring.newest(desk.now), b"GET\n"))
    assert desk.peer.refusal(answer).code is Refusal.GONE
    assert desk.counted("refused.continuation_too_large") == 1


@pytest.mark.parametrize("code", [Refusal.BUSY, Refusal.ENDING, Refusal.NOT_HERE, Refusal.GONE])
def test_what_a_service_refuses_is_told_and_its_numbers_can_be_asked_for_again(code: Refusal) -> None:
    desk = Desk()
    desk.connect()
    other = Desk(Refusing(code))
    other.peer = desk.peer
    for _ in range(2):
        (answer,) = other.send(desk.peer.speak(9, 19))
        assert (len(answer), desk.peer.refusal(answer).code) == (48, code)
    assert other.counted(f"refused.{code.name.lower()}") == 2
    assert other.counted("dropped.claimed") == 0


def test_a_ping_comes_back_as_large_as_it_was() -> None:
    desk = Desk()
    desk.connect()
    for size in (200, 1472, 9000, 65_507):
        (answer,) = desk.send(desk.peer.seal(bytes(size - 133 - 16), kind=Kind.PING))
        assert (answer[0], len(answer)) == (Kind.PONG, size)
        desk.peer.session.open_response_untrusted(answer[:32], answer[32:], tagged=True)
    desk.now += 31 * SECOND
    assert desk.send(desk.peer.seal(bytes(100), kind=Kind.PING)) == []
    assert (desk.counted("pings"), desk.counted("dropped.ping")) == (4, 1)

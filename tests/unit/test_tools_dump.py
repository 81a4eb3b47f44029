"""What `trickles dump` says: the right thing of every datagram and connection, and nothing wrong of hostile ones."""

import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fleetkeys import ring
from tests.support.net import SPRAY
from tests.support.peer import Peer
from tests.support.recording import recorded, write_capture
from trickles.cli import main
from trickles.client import ClientConfig
from trickles.drivers.keystore import save_keyring
from trickles.keyring import Epoch, Keyring
from trickles.tools import Captured, Dump, Opener, dump
from trickles.wire.awaiting import LEAVES, Awaited, await_body
from trickles.wire.kinds import Kind, Suite
from trickles.wire.transport import BLOB_BYTES

OPEN = ClientConfig(policy=SPRAY.policy, probe_sizes=(), suite=Suite.OPEN)
CALM = recorded(30_000)
LOSSY = recorded(300_000, loss=0.03, seed=4)
CLEAR = recorded(30_000, config=OPEN)


def told(captured: list[Captured], *, keys: bool = False, port: int | None = None) -> list[str]:
    return list(dump(captured, Opener(ring()) if keys else None, port=port))


def lines_of(kind: Kind, lines: list[str]) -> list[str]:
    return [line for line in lines[: lines.index("")] if f" {kind.name} " in line]


def fact(lines: list[str], name: str) -> str:
    """The summary's line of that name."""
    (found,) = [line for line in lines if line.startswith(f"  {name} ")]
    return found.split(maxsplit=1)[1]


def test_every_datagram_has_one_line_and_the_summary_follows_a_blank_one() -> None:
    lines = told(CALM)
    assert lines.index("") == len(CALM)
    assert [line.split()[2:5] for line in lines[:2]] == [
        ["192.0.2.99:40000", ">", "10.0.0.2:443"],
        ["192.0.2.99:40000", "<", "10.0.0.2:443"],
    ]
    assert lines[0].split()[0] == "0.000000"


def test_without_keys_what_is_in_clear_is_told_and_no_more() -> None:
    lines = told(CALM)
    assert lines_of(Kind.HELLO, lines)[0].endswith("suite sealed epoch 00000001")
    assert all(line.endswith("epoch 00000001 sealed") for line in lines_of(Kind.REQUEST, lines))
    first = next(line for line in lines_of(Kind.RESPONSE, lines) if " number 0 " in line)
    assert "answers #0 data 0+" in first
    assert "TRANSPORT base 0 start 3 ssthresh 65536 unproved USER [0,30000) consumed 4" in first
    assert sum(line.endswith(" END") for line in lines_of(Kind.RESPONSE, lines)) == 1


def test_with_the_keyring_requests_tell_what_they_speak_for_and_earn() -> None:
    lines = told(CALM, keys=True)
    hello = lines_of(Kind.HELLO, lines)[0]
    assert hello.endswith(r"wants 3600 B input 0+4 'GET\n'")
    assert "--------" not in hello  # the secret inside names the connection
    restart, *others = lines_of(Kind.REQUEST, lines)
    assert " law 0/3/65536 unproved RESTART at " in restart
    assert "under [0,30000) consumed 4 state 1 B" in restart
    assert others
    assert all(" speaks for [" in line and " earns [" in line and ") good wants [" in line for line in others)


def test_what_requests_earn_is_what_was_sent() -> None:
    lines = told(CALM, keys=True)
    requests = [line for line in lines_of(Kind.REQUEST, lines) if " earns [" in line]
    spoken = [line.split(" earns [")[1].split(")")[0].split(",") for line in requests]
    numbers = {int(line.split(" number ")[1].split()[0]) for line in lines_of(Kind.RESPONSE, lines)}
    earned = {number for start, stop in spoken for number in range(int(start), int(stop))}
    assert max(numbers) in earned
    assert {number for number in numbers if number >= min(earned)} <= earned


def test_in_suite_open_requests_are_read_without_keys() -> None:
    lines = told(CLEAR)
    assert "suite open" in lines_of(Kind.HELLO, lines)[0]
    assert " speaks for [" in lines_of(Kind.REQUEST, lines)[-1]
    assert fact(lines, "output").startswith("30000 B, 0 B sent again, ends at 30000")


@pytest.mark.parametrize("keys", [False, True])
def test_the_summary_of_a_calm_download(keys: bool) -> None:
    lines = told(CALM, keys=keys)
    responses = len(lines_of(Kind.RESPONSE, lines))
    assert fact(lines, "output") == "30000 B, 0 B sent again, ends at 30000"
    assert f": {responses} seen, no holes, " in fact(lines, "numbers")
    assert fact(lines, "numbers").endswith(", 0 twice")
    assert "RESPONSE" in fact(lines, "datagrams")
    assert " start 10 ssthresh 65536; 2 episodes seen" in fact(lines, "window")
    assert {each.split()[0] for each in fact(lines, "replicas").split(", ")} == {"10.0.0.1:443", "10.0.0.2:443"}


def test_losses_show_as_holes_in_the_numbers() -> None:
    arrived = {each.payload[12:16] for each in LOSSY if each.payload[0] == Kind.RESPONSE}
    lines = told(LOSSY)
    numbers = fact(lines, "numbers")
    assert f"): {len(arrived)} seen, " in numbers
    assert " no holes, " not in numbers
    assert fact(lines, "output").startswith("300000 B, ")


def test_the_window_reckoned_without_keys_is_near_the_one_that_requests_show() -> None:
    blind, seeing = (int(fact(told(LOSSY, keys=keys), "window").split()[0]) for keys in (False, True))
    assert seeing // 2 <= blind <= 2 * seeing + 2


def test_connections_are_told_apart() -> None:
    first, second = recorded(20_000, seed=11), recorded(40_000, seed=12, client=("192.0.2.99", 40_001))
    mixed = sorted(first + second, key=lambda each: each.time_us)
    outputs = [line.split()[1] for line in told(mixed) if line.startswith("  output")]
    assert sorted(outputs) == ["20000", "40000"]


def test_a_port_chooses_what_is_shown() -> None:
    other = Captured(CALM[0].time_us, ("192.0.2.7", 5), ("192.0.2.8", 53), b"\x12\x34 is a question", 16)
    strange = Captured(CALM[0].time_us, ("192.0.2.7", 5), ("192.0.2.8", 443), b"GET / HTTP/1.0", 14)
    assert [line for line in told([strange, other]) if "192.0.2.7" in line] == [
        "   0.000000 -------- 192.0.2.7:5 > 192.0.2.8:53 ASK         16 B"  # 0x12 is what an ask begins with
    ]
    assert [line for line in told([strange, other], port=443) if "192.0.2.7" in line] == [
        "   0.000000 -------- 192.0.2.8:443 < 192.0.2.7:5 ?           14 B  not understood: no kind of version 1"
    ]


def test_replies_alone_are_booked_under_the_client() -> None:
    plain = [each for each in CALM if each.payload[:2] == bytes((Kind.RESPONSE, 0))]
    lines = told(plain)
    assert "connection without a name of 192.0.2.99:40000" in "\n".join(lines)
    assert f": {len(plain)} seen" in fact(lines, "numbers")


# hostile


def changed(each: Captured, payload: bytes) -> Captured:
    return Captured(each.time_us, each.source, each.destination, payload, len(payload))


def test_a_foreign_keyring_opens_nothing() -> None:
    foreign = Opener(Keyring((Epoch(1, bytes(32)),)))
    assert list(dump(CALM, foreign))[:-6] == told(CALM)[:-6]


def test_a_request_with_any_bit_changed_is_told_to_be_forged_or_stays_sealed() -> None:
    request = [each for each in CALM if each.payload[0] == Kind.REQUEST][-1]
    for at in range(1, len(request.payload)):
        payload = bytearray(request.payload)
        payload[at] ^= 1
        (line,) = told([changed(request, bytes(payload))], keys=True)[:1]
        if at < 129:  # the continuation: it opens no more
            assert line.endswith("sealed")
        else:
            assert line.endswith("not understood: forged: its tag does not fit")


@pytest.mark.parametrize("keys", [False, True])
def test_datagrams_cut_at_every_length_are_never_too_much(keys: bool) -> None:
    one_of_each = {each.payload[0]: each for each in CALM}.values()
    view = Dump(Opener(ring()) if keys else None, port=443)
    for each in one_of_each:
        for length in range(len(each.payload)):
            assert view.line(changed(each, each.payload[:length]))
            cut = Captured(each.time_us, each.source, each.destination, each.payload[:length], len(each.payload))
            assert view.line(cut)
    assert list(view.summary())


@pytest.mark.parametrize("keys", [False, True])
@given(data=st.data())
def test_random_payloads_are_never_too_much(keys: bool, data: st.DataObject) -> None:
    view = Dump(Opener(ring()) if keys else None, port=443)
    for _ in range(5):
        kind = data.draw(st.sampled_from([0, 0x21, *Kind]))
        payload = bytes((kind,)) + data.draw(st.binary(max_size=260))
        line = view.line(changed(CALM[0], payload))
        assert line is not None
        assert line.isprintable()
    assert all(line.isprintable() for line in view.summary())


def test_bytes_turned_at_random_in_a_whole_transfer_are_never_too_much() -> None:
    random = Random(3)
    spoiled = []
    for each in CALM * 5:
        payload = bytearray(each.payload)
        for _ in range(random.randrange(4)):
            payload[random.randrange(min(len(payload), 200))] = random.randrange(256)
        spoiled.append(changed(each, bytes(payload)))
    lines = told(spoiled, keys=True, port=443)
    assert lines.index("") == len(spoiled)
    assert all(line.isprintable() for line in lines)


# the command


def test_the_command_reads_a_file_with_a_keyring(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_capture(tmp_path / "a.pcap", CALM)
    save_keyring(ring(), str(tmp_path / "ring"))
    arguments = ["dump", "-r", str(tmp_path / "a.pcap"), "--keyring", str(tmp_path / "ring"), "--port", "443"]
    assert main(arguments) == 0
    assert capsys.readouterr().out.splitlines() == told(CALM, keys=True)


@pytest.mark.parametrize("what", ["nowhere.pcap", "text"])
def test_the_command_says_in_one_line_what_cannot_be_read(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text").write_text("not a capture")
    assert main(["dump", "-r", str(tmp_path / what)]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert what in shown.err


def test_the_command_names_the_extra_that_it_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "trickles.tools", None)
    assert main(["dump", "-r", "a.pcap"]) == 1
    assert "pip install 'trickles[tools]'" in capsys.readouterr().err


def test_an_interrupt_ends_with_the_summary(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(interface: str) -> Iterator[Captured]:
        assert interface == "any"
        yield from CALM
        raise KeyboardInterrupt

    monkeypatch.setattr("trickles.tools.sniff", interrupted)
    assert main(["dump"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert fact(lines, "output") == "30000 B, 0 B sent again, ends at 30000"


def test_questions_about_work_and_goodbyes_are_shown() -> None:
    peer = Peer("asks", Suite.OPEN)
    opening = CALM[0]

    def captured(payload: bytes, *, answers: bool = False) -> Captured:
        ends = (opening.destination, opening.source) if answers else (opening.source, opening.destination)
        return Captured(opening.time_us, *ends, payload, len(payload))

    hello = captured(peer.hello(ring().newest(1)))
    question, goodbye, batch = (
        captured(peer.seal(body, blob=bytes(BLOB_BYTES), kind=Kind.AWAIT))
        for body in (await_body([3, 9]), await_body([], LEAVES), await_body([3], 0, [(bytes(8), 7), (bytes(8), 9)]))
    )
    answer = captured(Awaited(peer.number - 1, 0xABCD, 0b10).clear(b"saltsalt") + bytes(16), answers=True)
    lines = told([hello, question, goodbye, batch, answer])
    assert lines[1].endswith("#1 epoch 00000000 asks about #3 #9")
    assert lines[2].endswith("#2 epoch 00000000 LEAVES")
    assert lines[3].endswith("#3 epoch 00000000 asks about #3 and 2 of other connections")
    assert lines[4].endswith("answers #2: incarnation 000000000000abcd at work 10")

"""Capture files: what comes out is what was sent, and hostile files end the reading, never the program."""

import io
import struct
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import PcapNgWriter, RawPcapWriter

from tests.support.recording import frame, recorded, write_capture
from trickles.tools import Captured, CaptureError, read_capture, sniff
from trickles.tools.frames import COOKED, COOKED2, ETHERNET, NULL, CapturedPacket, udp_in_frame, udp_in_ip
from trickles.tools.segments import segment_bytes, segments

ONE = Captured(1_700_000_000_123_456, ("192.0.2.1", 40_000), ("192.0.2.2", 443), b"payload", 7)
SIX = Captured(1_700_000_000_123_456, ("2001:db8::1", 40_000), ("2001:db8::2", 443), b"payload", 7)


def ip(each: Captured) -> bytes:
    return bytes(frame(each))[14:]


def read_bytes(tmp_path: Path, data: bytes) -> list[Captured]:
    path = tmp_path / "hostile.pcap"
    path.write_bytes(data)
    return list(read_capture(str(path)))


def test_a_capture_file_gives_back_what_was_sent(tmp_path: Path) -> None:
    sent = recorded(20_000)
    write_capture(tmp_path / "a.pcap", sent)
    assert list(read_capture(str(tmp_path / "a.pcap"))) == sent


@pytest.mark.parametrize("each", [ONE, SIX], ids=["IPv4", "IPv6"])
def test_both_families_are_read(tmp_path: Path, each: Captured) -> None:
    write_capture(tmp_path / "a.pcap", [each])
    assert list(read_capture(str(tmp_path / "a.pcap"))) == [each]


def test_pcapng_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    with PcapNgWriter(str(path)) as writer:
        writer.write(frame(ONE))
    assert [(each.source, each.payload) for each in read_capture(str(path))] == [(ONE.source, ONE.payload)]


def test_nanoseconds_are_rounded_down(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    with RawPcapWriter(str(path), linktype=101, nano=True) as writer:
        writer.write_header(None)
        writer.write_packet(ip(ONE), sec=1_700_000_000, usec=123_456_789)
    assert [each.time_us for each in read_capture(str(path))] == [ONE.time_us]


LINKS = {
    "ethernet": (ETHERNET, bytes(12) + b"\x08\x00"),
    "one VLAN tag": (ETHERNET, bytes(12) + b"\x81\x00\x00\x07\x08\x00"),
    "two VLAN tags": (ETHERNET, bytes(12) + b"\x88\xa8\x00\x07\x81\x00\x00\x08\x08\x00"),
    "raw": (101, b""),
    "null": (NULL, b"\x02\x00\x00\x00"),
    "cooked": (COOKED, bytes(16)),
    "cooked, version 2": (COOKED2, bytes(20)),
}


@pytest.mark.parametrize(("link", "before"), LINKS.values(), ids=LINKS)
def test_every_link_layer_is_taken_off(link: int, before: bytes) -> None:
    assert udp_in_frame(link, before + ip(ONE)) == CapturedPacket(ONE.source, ONE.destination, b"payload", 7)


def test_padding_behind_a_datagram_is_not_part_of_it() -> None:
    found = udp_in_ip(ip(ONE) + bytes(30))
    assert found is not None
    assert found.payload == b"payload"


def test_a_frame_cut_by_the_capture_tells_its_real_size() -> None:
    found = udp_in_ip(ip(ONE)[:-3])
    assert found == CapturedPacket(ONE.source, ONE.destination, b"payl", 7)


OTHERS = {
    "ARP": (ETHERNET, bytes(12) + b"\x08\x06" + bytes(28)),
    "TCP": (101, ip(ONE)[:9] + b"\x06" + ip(ONE)[10:]),
    "a later fragment": (101, ip(ONE)[:6] + b"\x00\x10" + ip(ONE)[8:]),
    "an unknown link layer": (147, ip(ONE)),
    "nothing": (ETHERNET, b""),
    "no IP version": (101, b"\x05" + ip(ONE)[1:]),
}


@pytest.mark.parametrize(("link", "data"), OTHERS.values(), ids=OTHERS)
def test_what_is_no_datagram_is_passed_over(link: int, data: bytes) -> None:
    assert udp_in_frame(link, data) is None


@pytest.mark.parametrize("link", [ETHERNET, 101, NULL, COOKED, COOKED2])
@given(data=st.binary(max_size=120))
def test_random_frames_never_raise(link: int, data: bytes) -> None:
    found = udp_in_frame(link, data)
    assert found is None or len(found.payload) <= found.size_bytes


def test_frames_cut_at_every_length_never_raise() -> None:
    whole = bytes(frame(ONE))
    read = [length for length in range(len(whole)) if udp_in_frame(ETHERNET, whole[:length]) is not None]
    assert read == list(range(14 + 20 + 6, len(whole)))  # as soon as ports and length are there


@pytest.mark.parametrize("data", [b"", b"\xd4\xc3\xb2\xa1", b"no capture at all, but long enough to be one", bytes(64)])
def test_what_is_no_capture_file_is_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(CaptureError, match="no capture file"):
        read_bytes(tmp_path, data)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(CaptureError, match=r"^/nowhere/a\.pcap: "):
        list(read_capture("/nowhere/a.pcap"))


def test_a_file_cut_at_any_length_gives_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    write_capture(path, [ONE, SIX])
    whole = path.read_bytes()
    counts = [len(read_bytes(tmp_path, whole[:length])) for length in range(24, len(whole))]
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert max(counts) == 2  # of the second only the end is missing


def test_a_file_with_any_byte_changed_is_read_or_refused(tmp_path: Path) -> None:
    path, random = tmp_path / "a.pcap", Random(1)
    write_capture(path, [ONE] * 3)
    whole = path.read_bytes()
    for at in range(len(whole)):
        changed = whole[:at] + bytes((random.randrange(256),)) + whole[at + 1 :]
        try:
            assert len(read_bytes(tmp_path, changed)) <= 3
        except CaptureError:
            assert at < 24  # only the header says what kind of file it is


PCAPNG = b"\x0a\x0d\x0d\x0a" + struct.pack("<II", 28, 0x1A2B3C4D) + struct.pack("<HHqI", 1, 0, -1, 28)


@given(rest=st.binary(max_size=80))
def test_random_pcapng_blocks_never_raise_anything_else(tmp_path_factory: pytest.TempPathFactory, rest: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "random.pcapng"
    path.write_bytes(PCAPNG + rest)
    assert list(read_capture(str(path))) == []


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_capture(tmp_path / "a.pcap", [ONE])
    stream = io.TextIOWrapper(io.BytesIO((tmp_path / "a.pcap").read_bytes()))
    monkeypatch.setattr("sys.stdin", stream)
    assert list(read_capture("-")) == [ONE]


# live


def test_an_interface_that_is_not_there_is_named() -> None:
    with pytest.raises(CaptureError, match=r"no-such-if|needs root"):
        next(sniff("no-such-if"))


def test_without_rights_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("trickles.tools.capture.socket.socket", refuse)
    with pytest.raises(CaptureError, match="CAP_NET_RAW"):
        next(sniff("lo"))


def test_where_there_is_no_live_capture_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("trickles.tools.capture.socket.AF_PACKET")
    with pytest.raises(CaptureError, match="tcpdump -w -"):
        next(sniff("lo"))


# bursts


def replies(numbers: range, sizes: list[int]) -> list[bytes]:
    """Response packets of one reply as a listener makes them, full of bytes that mean nothing."""
    random = Random(7)
    salt = random.randbytes(8)
    headers = [struct.pack(">BBH8sIQQ", 0x16, 0, 5, salt, number, random.getrandbits(64), 0) for number in numbers]
    return [header + random.randbytes(size - 32) for header, size in zip(headers, sizes, strict=True)]


@pytest.mark.parametrize("sizes", [[1200], [1200] * 40, [1200, 1200, 700], [1200, 48], [60_000, 5_000]])
def test_a_burst_is_cut_where_its_packets_begin(sizes: list[int]) -> None:
    packets = replies(range(len(sizes)), sizes)
    assert segments(b"".join(packets)) == packets


@pytest.mark.parametrize("kind", [0x15, 0x18, 0x1A])
def test_requests_that_share_a_continuation_are_cut_too(kind: int) -> None:
    random = Random(8)
    blob = random.randbytes(128)
    packets = [bytes((kind,)) + blob + random.randbytes(size) for size in (400, 400, 90)]
    assert segments(b"".join(packets)) == packets


@given(payload=st.binary(max_size=200))
def test_any_payload_is_cut_without_loss(payload: bytes) -> None:
    assert b"".join(segments(payload)) == payload
    assert segment_bytes(payload) >= 1


def test_a_captured_burst_becomes_its_datagrams(tmp_path: Path) -> None:
    packets = replies(range(9, 12), [1200, 1200, 500])
    burst = b"".join(packets)
    write_capture(tmp_path / "a.pcap", [Captured(1, ONE.destination, ONE.source, burst, len(burst))])
    assert [(each.payload, each.size_bytes) for each in read_capture(str(tmp_path / "a.pcap"))] == [
        (packet, len(packet)) for packet in packets
    ]

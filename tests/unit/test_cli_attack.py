"""`trickles attack`: what it prints, and whom it refuses to attack."""

import json
from pathlib import Path

import pytest

from trickles.cli import main
from trickles.tools.attacks import live, owned
from trickles.tools.attacks.catalogue import ATTACKS
from trickles.tools.attacks.owned import ForeignTarget, check_owned

FOREIGN = [
    "192.0.2.1",  # documentation
    "10.1.2.3",
    "169.254.169.254",
    "8.8.8.8",
    "0.0.0.0",
    "255.255.255.255",
    "224.0.0.1",
    "128.0.0.1",
    "::",
    "fe80::1",
    "2001:db8::1",
    "ff02::1",
    "::ffff:8.8.8.8",
    "::ffff:127.0.0.1",  # loopback, but by another name: not worth a doubt
    "::1%lo",
    "localhost",
    "127.1",
    "0x7f000001",
    "2130706433",
    "127.0.0.1.example.org",
    "127.0.0.1 ",
    "١٢٧.0.0.1",
    "",
]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "127.255.255.254", "::1"])
def test_loopback_may_be_attacked(host: str) -> None:
    check_owned((host, 8443))


@pytest.mark.parametrize("host", FOREIGN)
def test_nothing_else_may(host: str) -> None:
    with pytest.raises(ForeignTarget):
        check_owned((host, 8443))


@pytest.mark.parametrize("host", ["192.0.2.1", "[2001:db8::1]", "localhost"])
def test_the_command_refuses_and_sends_nothing(
    host: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def opened(*_: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(live, "_socket", opened)
    assert main(["attack", "replay", "--replica", f"{host}:8443"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("trickles attack: ")
    assert "namespace" in err or "numeric" in err


def test_the_target_itself_refuses_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(live, "_socket", opened)
    with pytest.raises(ForeignTarget):
        live.LiveTarget(("192.0.2.1", 8443), identity=None, trust=lambda _: True, rate=1, seconds=1)


def test_an_address_of_this_machine_outside_of_namespaces_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own addresses lie in its first namespace, where other machines may be behind the same name."""
    seen = {host for entry in ("self",) for host in owned._addresses(Path("/proc") / entry)}
    assert seen  # 127.0.0.1 at least
    for host in seen:
        if not host.is_loopback:
            with pytest.raises(ForeignTarget):
                check_owned((str(host), 8443))


def test_what_is_behind_another_interface_than_a_veth_cable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owned, "_namespaces_of", lambda host: iter([4711]))  # as if a namespace had it
    monkeypatch.setattr(owned, "_driver_towards", lambda address: "e1000")
    with pytest.raises(ForeignTarget, match=r"no veth cable .*e1000"):
        check_owned(("192.0.2.1", 8443))
    monkeypatch.setattr(owned, "_driver_towards", lambda address: "veth")
    check_owned(("192.0.2.1", 8443))


def test_the_list_names_every_attack(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attack", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(ATTACKS)
    assert all(attack.summary in line for attack, line in zip(ATTACKS.values(), lines, strict=True))


def test_an_unknown_name_is_answered_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attack", "replay", "teardrop"]) == 1
    err = capsys.readouterr().err
    assert "'teardrop'" in err
    assert all(name in err for name in ATTACKS)


def test_the_table_shows_gains_with_and_without_the_defence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attack", "replay", "spoofed-source", "replay", "--rounds", "3"]) == 0
    head, replay, spoofed = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["attack", "here", "undefended"]
    assert replay.split()[:2] == ["replay", "0.00"]
    assert float(replay.split()[2]) > 50
    assert spoofed.split()[:3] == ["spoofed-source", "3.00", "46.00"]
    assert replay.endswith("bytes earned per byte sent")


def test_json_holds_all_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attack", "replay", "--rounds", "3", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (attack,) = document["attacks"]
    assert document["replica"] is None
    assert attack["name"] == "replay"
    assert attack["without"] == ["claims", "replay_filter"]
    assert attack["replica"] is None
    assert attack["defended"] == {"gain": 0.0, "sent": 30, "sent_bytes": 8070, "earned": 0, "earned_bytes": 0}
    assert attack["undefended"]["earned_bytes"] > 400_000


@pytest.mark.parametrize(
    "words",
    [
        ["--rounds", "0"],
        ["--rounds", "many"],
        ["--rate", "1000000"],
        ["--seconds", "0"],
        ["--datagrams", "-1"],
        ["--pid", "0"],
    ],
)
def test_bounds_have_bounds(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["attack", "replay", *words])
    assert ended.value.code == 2
    assert words[0] in capsys.readouterr().err

"""What the command line of a gateway says about modes, hosts and fleets, and what it may not say."""

import argparse
from pathlib import Path

import pytest

from tests.support.loop import on_loop
from tests.support.loopfleet import PUBLIC
from trickles.cli.fleet_options import FleetMaker, add_fleet_arguments
from trickles.cli.mode_options import MOST_MAP_BYTES, add_mode_arguments, allowed_networks, listening, mapped
from trickles.cli.watching_options import Watching, add_watching_arguments
from trickles.command import Parser
from trickles.drivers.dialer import Dialer
from trickles.drivers.keystore import server_key_text
from trickles.errors import KeyringError, LocalProtocolError
from trickles.gateway import Gateway
from trickles.gateway.routing import DirectAccess, FleetSpec, Unreachable, networks

ANY = "127.0.0.1:0"
PROXY, MAPPED = ("--listen", f"proxy@{ANY}"), ("--map", "h=127.0.0.1:1")


def parsed(*words: object) -> argparse.Namespace:
    """The options."""
    parser = Parser()
    add_mode_arguments(parser)
    add_fleet_arguments(parser)
    return parser.parse_args(list(map(str, words)), argparse.Namespace(command="gateway"))


def check(args: argparse.Namespace) -> dict[FleetSpec, Dialer]:
    """All that is done with them before a gateway starts."""
    listening(args)
    allowed_networks(args)
    return FleetMaker(args).dialers(mapped(args.map, args.map_file), {})


def test_each_listener_has_its_mode() -> None:
    words = (
        "--mode",
        "transparent",
        "--listen",
        "h:1",
        "--listen",
        "forward@h:2",
        "--listen",
        "proxy@[::1]:3",
        *MAPPED,
    )
    found = [(each.mode, each.address) for each in listening(parsed(*words))]
    assert found == [("transparent", ("h", 1)), ("forward", ("h", 2)), ("proxy", ("::1", 3))]
    assert [each.mode for each in listening(parsed("--listen", ANY))] == ["forward"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (PROXY, "a proxy needs --map, --map-file or --pass-through"),
        (("--listen", f"tunnel@{ANY}", *MAPPED), "not a mode: 'tunnel'"),
        (("--listen", f"@{ANY}", *MAPPED), "not a mode: ''"),
        (("--listen", "proxy@h", *MAPPED), "not HOST:PORT: 'h'"),
        (("--listen", ANY, *MAPPED), "are for proxy and transparent listeners"),
        (("--listen", ANY, "--pass-through"), "are for proxy and transparent listeners"),
        ((*PROXY, "--map", "h"), "not HOST=REPLICA"),
        ((*PROXY, *MAPPED, *MAPPED), "two entries for one host"),
        ((*PROXY, *MAPPED, "--allow", "10.0.0.0/8"), "--allow needs --pass-through"),
        ((*PROXY, *MAPPED, "--pass-through", "--allow", "10.0.0.1/8"), "has host bits set"),
        ((*PROXY, *MAPPED, "--pass-through", "--allow", "ten"), "does not appear to be an IPv4 or IPv6 network"),
        ((*PROXY, "--map", "h=1.2.3.4"), "not HOST:PORT: '1.2.3.4'"),
    ],
)
def test_what_contradicts_itself_is_an_error(words: tuple[str, ...], expected: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        check(parsed(*words))
    assert expected in str(caught.value)


def test_what_is_named_must_be_there(tmp_path: Path) -> None:
    missing, wrong, large = tmp_path / "missing", tmp_path / "wrong", tmp_path / "large"
    wrong.write_bytes(b"\xff")
    with large.open("wb") as file:
        file.truncate(MOST_MAP_BYTES + 1)
    with pytest.raises(LocalProtocolError, match="No such file"):
        check(parsed(*PROXY, "--map-file", missing))
    with pytest.raises(LocalProtocolError, match="wrong: not UTF-8"):
        check(parsed(*PROXY, "--map-file", wrong))
    with pytest.raises(LocalProtocolError, match="large is larger than"):
        check(parsed(*PROXY, "--map-file", large))
    large.chmod(0o666)
    with pytest.raises(LocalProtocolError, match="large can be changed by other users"):
        check(parsed(*PROXY, "--map-file", large))
    with pytest.raises(LocalProtocolError, match="is not a regular file"):
        check(parsed(*PROXY, "--map-file", tmp_path))
    with pytest.raises(KeyringError, match="missing"):
        check(parsed(*PROXY, "--map", f"h=127.0.0.1:1;key={missing}"))
    with pytest.raises(OSError, match=r"cannot find replica 'a\.\.b'"):
        check(parsed(*PROXY, "--map", "h=a..b:1", "--server-key", server_key_text(PUBLIC)))


def test_fleets_that_stay_the_same_keep_their_dialers(capsys: pytest.CaptureFixture[str]) -> None:
    args = parsed(*PROXY, *MAPPED, "--map", "i=127.0.0.1:1", "--map", f"j=127.0.0.1:1;key={server_key_text(PUBLIC)}")
    found = mapped(args.map, args.map_file)
    first = FleetMaker(args).dialers(found, {})
    assert len(first) == 2
    assert "identity is trusted on first use" in capsys.readouterr().err
    again = FleetMaker(args).dialers({**found, ("k", None): FleetSpec(("127.0.0.1:2",))}, first)
    assert [again[spec] is dialer for spec, dialer in first.items()] == [True, True]
    assert len(again) == 3


def test_nobody_is_passed_through_to_the_metrics() -> None:
    async def test() -> None:
        gateway = Gateway()
        parser = Parser()
        add_watching_arguments(parser)
        watching = Watching(parser.parse_args(["--metrics", "127.0.0.1:0"]), gateway, print)
        await watching.begin()
        [port] = gateway.own_ports
        assert port > 0
        with pytest.raises(Unreachable, match="host not allowed"):
            await DirectAccess(networks(["127.0.0.0/8"]), gateway.own_ports).places(("127.0.0.1", port))
        watching.close()

    on_loop(test())

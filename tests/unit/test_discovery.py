"""Sources of replicas, and what becomes of a list when they fail and recover."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.loop import on_loop
from tests.support.nameserver import address, name_server, srv
from trickles.drivers.discovery import AddressRecords, Discovery, DnsServers, Listed, ReplicaFile, ServiceRecords
from trickles.drivers.discovery.resolving import addresses
from trickles.drivers.discovery.watching import MOST_REPLICAS, RETRY_SECONDS
from trickles.errors import DiscoveryError
from trickles.wire.kinds import Address

A, B, C = (("192.0.2.1", 1), ("192.0.2.2", 1), ("192.0.2.3", 1))


async def spelled(host: str, port: int) -> list[Address]:
    """A resolver of names such as `1-2`: two addresses."""
    try:
        return [(f"192.0.2.{int(number)}", port) for number in host.split("-")]
    except ValueError:
        raise DiscoveryError(f"cannot find replica {host!r}: no such name") from None


@dataclass(slots=True)
class Told:
    """A source that is told what it finds."""

    found: list[Address] | str
    every: float = 5.0
    asked: int = 0

    async def find(self) -> list[Address]:
        """What was said, or a failure with that text."""
        self.asked += 1
        if isinstance(self.found, str):
            raise DiscoveryError(self.found)
        return self.found


@dataclass(slots=True)
class Desk:
    """A discovery, its clock, and what it reported."""

    now: float = 0.0
    told: list[str] = field(default_factory=list)

    def discovery(self, *sources: Told, seed: bytes = b"") -> Discovery:
        """Over those sources."""
        return Discovery(sources, report=self.told.append, clock=lambda: self.now, seed=seed)


def failing(source: Callable[[], object]) -> str:
    """Why a source finds nothing."""
    caught: list[str] = []

    async def test() -> None:
        with pytest.raises(DiscoveryError) as error:
            await source().find()  # type: ignore[attr-defined]
        caught.append(str(error.value))

    on_loop(test())
    return caught[0]


def test_each_source_finds_what_it_names() -> None:
    async def test() -> None:
        assert await Listed([("1-2", 1), ("3", 1)], resolve=spelled).find() == [A, B, C]
        assert await AddressRecords("1-2", 1, every=1, resolve=spelled).find() == [A, B]
        assert ("127.0.0.1", 5) in await addresses("localhost", 5)
        assert await addresses("::1", 5) == [("::1", 5)]

    on_loop(test())


def test_names_that_do_not_resolve_are_told() -> None:
    assert "no such name" in failing(lambda: AddressRecords("x", 1, every=1, resolve=spelled))
    assert failing(lambda: AddressRecords("a..b", 1, every=1)) == "cannot find replica 'a..b': not a name"


def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "replicas"

    async def test() -> None:
        source = ReplicaFile(path, resolve=spelled)
        path.write_text("# ours\n\n  1-2:1\n3:1\n")
        assert await source.find() == [A, B, C]
        path.write_text("2:1\n")
        assert await source.find() == [B]

    on_loop(test())


def test_what_is_wrong_with_a_file_is_told_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "replicas"
    assert failing(lambda: ReplicaFile(path)) == f"{path}: No such file or directory"
    path.write_text("# nobody\n")
    assert failing(lambda: ReplicaFile(path)) == f"{path} names no replica"
    path.write_text("1.2.3.4:5\nnonsense\n")
    assert failing(lambda: ReplicaFile(path)) == f"{path}, line 2: not HOST:PORT: 'nonsense'"
    path.write_bytes(b"\xff\n")
    assert "line 1: not HOST:PORT" in failing(lambda: ReplicaFile(path))
    path.write_text("1.2.3.4:5\n" * 10_000)
    assert "larger than" in failing(lambda: ReplicaFile(path))
    path.write_text("1.2.3.4:5\n")
    path.chmod(0o666)
    assert f"chmod o-w {path}" in failing(lambda: ReplicaFile(path))


def test_services_of_the_best_priority_count_heavy_ones_first() -> None:
    async def test() -> None:
        async with name_server() as server:
            source = ServiceRecords("_t._udp.test", DnsServers([server.place]), every=1, resolve=spelled)
            server.records = [srv("_t._udp.test", "1", 1, 0, 1), srv("_t._udp.test", "elsewhere.test", 1, 0, 9)]
            server.records += [srv("_t._udp.test", "2", 1, 1, 9), address("elsewhere.test", "192.0.2.3")]
            assert await source.find() == [C, A]
            server.records = [srv("_t._udp.test", ".", 1)]
            with pytest.raises(DiscoveryError, match="no SRV record that names a replica"):
                await source.find()

    on_loop(test())


def test_the_list_is_what_all_sources_name_each_replica_once() -> None:
    async def test() -> None:
        desk, first, second = Desk(), Told([A, B]), Told([B, C], every=10)
        found = desk.discovery(first, second)
        assert await found.refresh() == [A, B, C]
        first.found, second.found = [C], [A]
        assert await found.refresh() == [A, B, C]  # nobody is due
        desk.now = 5
        assert await found.refresh() == [C, B]
        desk.now = 10
        assert await found.refresh() == [C, A]
        assert (first.asked, second.asked, desk.told) == (3, 2, [])

    on_loop(test())


def test_a_source_that_fails_keeps_its_list_says_so_once_and_recovers() -> None:
    async def test() -> None:
        desk, source = Desk(), Told([A])
        found = desk.discovery(source)
        await found.refresh()
        source.found = "no answer"
        for desk.now in (5, 10, 15):
            assert await found.refresh() == [A]
        source.found = [B, C]
        desk.now = 20
        assert await found.refresh() == [B, C]
        assert desk.told == ["no answer (the replicas known before stay in use)", "replicas are found again: 2"]

    on_loop(test())


def test_at_the_start_one_source_that_finds_something_is_enough() -> None:
    async def test() -> None:
        desk, bad, good = Desk(), Told("broken", every=float("inf")), Told([A])
        found = desk.discovery(bad, good)
        assert await found.refresh() == [A]
        assert desk.told == ["broken"]
        bad.found = [B]
        desk.now = RETRY_SECONDS  # a failure is looked into even where nothing changes
        assert await found.refresh() == [B, A]
        with pytest.raises(DiscoveryError, match="broken; also broken"):
            await desk.discovery(Told("broken"), Told("also broken")).refresh()

    on_loop(test())


def test_of_a_list_without_end_each_process_uses_a_part_that_changes_little_with_the_list() -> None:
    async def test() -> None:
        many, counts = [("192.0.2.1", port) for port in range(1000)], Counter[Address]()
        for number in range(40):
            told = Told(many, every=0)
            discovery = Desk().discovery(told, seed=bytes([number]))
            chosen = await discovery.refresh()
            assert len(chosen) == MOST_REPLICAS
            assert chosen == sorted(chosen) == await discovery.refresh()
            counts.update(chosen)
            told.found = [each for each in many if each != chosen[0]]
            assert len(set(chosen) & set(await discovery.refresh())) == MOST_REPLICAS - 1
        assert len(counts) > 990
        assert max(counts.values()) < 25  # of 10 that are to be expected

    on_loop(test())


def test_hurrying_asks_at_once() -> None:
    async def test() -> None:
        desk, source, used = Desk(), Told([A], every=float("inf")), list[list[Address]]()
        found = desk.discovery(source)
        await found.refresh()
        source.found = [B]
        found.hurry()

        def use(replicas: list[Address]) -> None:
            used.append(replicas)
            raise InterruptedError

        with pytest.raises(InterruptedError):
            await found.keep(use)
        assert used == [[B]]

    on_loop(test())


@pytest.mark.parametrize("error", [MemoryError("full"), ValueError("odd"), OverflowError("far")])
def test_a_resolver_that_raises_anything_is_heard_of(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """It works on a thread, for whose answer somebody waits."""

    def failing(*_: object, **__: object) -> object:
        raise error

    async def test() -> None:
        monkeypatch.setattr("trickles.drivers.dialer.socket.getaddrinfo", failing)
        with pytest.raises(DiscoveryError, match=type(error).__name__):
            await addresses("replica.test", 5)

    on_loop(test())

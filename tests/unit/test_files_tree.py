"""One look sees one tree: the served root, or a folder in it, may be switched to another at any instant."""

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from tests.support.site_folder import body, fill, packed, request, store
from trickleweb.files import SiteOptions, StaticSite, StoreLimits, tree
from trickleweb.files.digests import digest_of, parse_content_name
from trickleweb.files.folders import entries
from trickleweb.files.listing import Entry
from trickleweb.files.resolve import Place, Resolved, resolve

GZIP = ("accept-encoding", "gzip")
JSON = ("accept", "application/json")
SIZES = pytest.mark.parametrize("limits", [StoreLimits(), StoreLimits(small_bytes=0)], ids=["in memory", "on disk"])
RELEASES = [
    {"a.css": text * 99, "d/index.html": text, "d/x": text, f"only-{at}/y": text}
    for at, text in enumerate((b"one", b"two"))
]


@pytest.fixture(name="switch")
def _switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Switch a link between the releases before every call of the system that has to do with a path."""

    def begin(link: Path) -> None:
        turns = count()

        def turn() -> None:
            spare = link.with_name("spare")
            spare.symlink_to(f"release{next(turns) % 2}")
            spare.replace(link)

        for name in ("stat", "access", "open"):
            system = getattr(os, name)

            def switched(*args: object, _system: Callable[..., object] = system, **kwargs: object) -> object:
                if not isinstance(args[0], int):
                    turn()
                return _system(*args, **kwargs)

            monkeypatch.setattr(os, name, switched)
        kernel = vars(tree)["open_beneath"]

        def opened(*args: object) -> object:
            turn()
            return kernel(*args)

        monkeypatch.setattr(tree, "open_beneath", opened)

    for at, files in enumerate(RELEASES):
        folder = fill(tmp_path / f"release{at}", files)
        fill(folder, {"a.css.gz": packed(files["a.css"])})
    return begin


@SIZES
@pytest.mark.parametrize("inside", [False, True], ids=["the root", "a folder in it"])
def test_a_link_that_is_switched_all_the_time_gives_one_release_or_the_other(
    tmp_path: Path, switch: Callable[[Path], None], limits: StoreLimits, inside: bool
) -> None:
    link = tmp_path / "site"
    link.symlink_to("release0")
    files = store(tmp_path if inside else link, limits=limits)
    folder, above = StaticSite(files, SiteOptions(listing=True)), "/site" if inside else ""
    switch(link)
    seen = set[bytes]()
    for _ in range(12):
        plan = folder.plan(request(f"{above}/a.css", GZIP))
        assert plan.status == 200
        data = body(files, plan)
        assert data in {packed(release["a.css"]) for release in RELEASES}
        seen.add(data)
        assert body(files, folder.plan(request(f"{above}/d/"))) in {b"one", b"two"}
        assert folder.plan(request(f"{above}/d")).status == 301
    files.close()


@SIZES
@pytest.mark.parametrize("inside", [False, True], ids=["the root", "a folder in it"])
def test_a_file_and_its_siblings_are_of_one_release(
    tmp_path: Path, switch: Callable[[Path], None], limits: StoreLimits, inside: bool
) -> None:
    link = tmp_path / "site"
    link.symlink_to("release0")
    root = tree.Root(tmp_path if inside else link)
    files, path = store(tmp_path, limits=limits), "site/a.css" if inside else "a.css"
    releases = [[digest_of(each["a.css"]), digest_of(packed(each["a.css"]))] for each in RELEASES]
    switch(link)
    for _ in range(12):
        place = Place.of(root.tree(), path)
        found = resolve(files, place, SiteOptions())
        assert isinstance(found, Resolved)
        assert [parse_content_name(each.content)[0] for each in found.resource.variants] in releases
    files.close()


def test_a_listing_is_of_one_tree(tmp_path: Path, switch: Callable[[Path], None]) -> None:
    link = tmp_path / "site"
    link.symlink_to("release0")
    root = tree.Root(link)
    switch(link)
    for detailed in (False, True):
        for _ in range(5):
            found = entries(root.tree(), 10, detailed=detailed)
            assert {each.name for each in found} in [{"a.css", "a.css.gz", "d", f"only-{at}"} for at in range(2)]
            assert all(isinstance(each, Entry) for each in found)


def test_a_root_that_is_replaced_is_let_go(tmp_path: Path) -> None:
    fill(tmp_path, {"one/a": b"1", "two/a": b"2"})
    (tmp_path / "site").symlink_to("one")
    files = store(tmp_path / "site")
    folder = StaticSite(files)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for target in ("two", "one") * 5:
        assert folder.plan(request("/a")).status == 200
        (tmp_path / "next").symlink_to(target)
        (tmp_path / "next").replace(tmp_path / "site")
        assert body(files, folder.plan(request("/a"))) == {"one": b"1", "two": b"2"}[target]
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
    files.close()

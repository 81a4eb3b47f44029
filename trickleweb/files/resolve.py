"""Resolve a file on disk to a resource: the file, its compressed siblings, and the conditions for reuse."""

from __future__ import annotations

from dataclasses import dataclass

from trickleweb.files import disk
from trickleweb.files.digests import strong_etag, weak_etag
from trickleweb.files.errors import FilesError, NoSuchFile
from trickleweb.files.metadata import cache_control, is_compressible, media_type
from trickleweb.files.options import SiteOptions
from trickleweb.files.representations import MIN_BYTES, SUFFIXES, Resource, Variant, is_of_coding
from trickleweb.files.stamps import Mark
from trickleweb.files.store import FileStore, FoundFolder, Version
from trickleweb.files.tree import Tree


@dataclass(frozen=True, slots=True)
class Resolved:
    """A resource, with the marks of its files and the absent siblings, by path.

    `lasting` is false where a change could go unseen: then it serves one request only.
    """

    resource: Resource
    marks: tuple[tuple[str, Mark], ...]
    absent: tuple[str, ...]
    lasting: bool

    def holds(self, root: str) -> bool:
        """Return whether nothing has changed below the path `root`: one system call for each file, none is opened.

        These are checks of several paths, and yet one answer: the files were found at one time in one tree.
        """
        for path, mark in self.marks:
            if disk.mark_of(f"{root}/{path}") != mark:
                return False
        for path in self.absent:  # noqa: SIM110 - a generator costs as much as a call
            if disk.exists(f"{root}/{path}"):
                return False
        return True


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a file and its siblings: an open folder, and the name in it."""

    path: str
    folder: Tree
    name: str

    @classmethod
    def of(cls, tree: Tree, path: str) -> Place:
        """Return the place of a path below a tree; raise what `Tree.folder` raises."""
        above, _, name = path.rpartition("/")
        return cls(path, tree.folder(above), name)

    @classmethod
    def of_name(cls, path: str, folder: Tree, name: str) -> Place:
        """Return the place of a name in a folder at `path`."""
        return cls(f"{path}/{name}" if path else name, folder, name)

    def look(self, store: FileStore, suffix: str = "") -> Version | FoundFolder:
        """Return the file or folder there, as `FileStore.look`; with a suffix, its sibling."""
        return store.look(self.path + suffix, self.folder, self.name + suffix)


def resolve(store: FileStore, place: Place, options: SiteOptions) -> Resolved | FoundFolder:
    """Return the resource of the file at a place, or that it is a folder; raise as `FileStore.look`."""
    version = place.look(store)
    if isinstance(version, FoundFolder):
        return version
    path = place.path
    content_type = media_type(path, dict(options.media_types))
    codings = options.precompressed if is_compressible(content_type) else ()
    there = [each for each in codings if disk.exists(place.name + SUFFIXES[each], place.folder.descriptor)]
    found = {each: _sibling(store, place, SUFFIXES[each]) if each in there else None for each in codings}
    coded = {coding: each for coding, each in found.items() if isinstance(each, Version)}
    usable = [(coding, each) for coding, each in coded.items() if _is_worth_it(store, coding, each, version)]
    variants = (_variant(version), *(_variant(each, coding) for coding, each in usable))
    return Resolved(
        Resource(content_type, cache_control(path, options.cache_rules), variants),
        tuple((at, each.stamp[:5]) for at, each in _files(path, version, coded)),
        tuple(path + SUFFIXES[coding] for coding, each in found.items() if each is None),
        lasting=version.settled and all(each is None or _is_settled(each) for each in found.values()),
    )


def _files(path: str, version: Version, coded: dict[str, Version]) -> list[tuple[str, Version]]:
    return [(path, version), *((path + SUFFIXES[coding], each) for coding, each in coded.items())]


def _sibling(store: FileStore, place: Place, suffix: str) -> Version | FilesError:
    """Return a compressed sibling, or the error if it cannot be used (yet)."""
    try:
        found = place.look(store, suffix)
    except FilesError as exc:
        return exc
    return NoSuchFile("a folder") if isinstance(found, FoundFolder) else found


def _is_settled(sibling: Version | FilesError) -> bool:
    return isinstance(sibling, Version) and sibling.settled


def _is_worth_it(store: FileStore, coding: str, sibling: Version, plain: Version) -> bool:
    """Return whether a sibling is smaller, not older than the file, and really of its coding.

    Whole seconds are compared: archives keep no more, and a checkout writes files in any order.
    """
    size = sibling.stamp.size_bytes
    if sibling.changing or not MIN_BYTES <= size < plain.stamp.size_bytes:
        return False
    if sibling.stamp.modified_s < plain.stamp.modified_s:
        return False
    try:
        return is_of_coding(
            coding, size, plain.stamp.size_bytes, lambda start, stop: store.read(sibling.content, start, stop)
        )
    except FilesError:
        return False


def _variant(version: Version, coding: str = "") -> Variant:
    """Return a version as a variant; one that is being written has no validator."""
    stamp = version.stamp
    if version.digest is not None:
        etag = strong_etag(version.digest, coding)
    else:
        etag = "" if version.changing else weak_etag(stamp, coding)
    return Variant(version.content, etag, stamp.size_bytes, None if version.changing else stamp.modified_s, coding)

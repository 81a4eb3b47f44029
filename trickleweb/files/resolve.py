"""From what lies on the disk to a resource: the file, its compressed siblings, and what must stay so for it to hold."""

from __future__ import annotations

from dataclasses import dataclass

from trickleweb.files import disk
from trickleweb.files.cachecontrol import cache_control
from trickleweb.files.contents import Stamp, strong_etag
from trickleweb.files.encodings import SUFFIXES
from trickleweb.files.errors import FilesError, NoSuchFile
from trickleweb.files.mime import is_compressible, media_type
from trickleweb.files.options import SiteOptions
from trickleweb.files.resource import Resource, Variant
from trickleweb.files.store import FileStore, Folder, Version

_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Resolved:
    """A resource, with the stamps of the files it was made of and the siblings that were not there (full paths).

    `lasting` is false where a change could go unseen: then it is for this one request.
    """

    resource: Resource
    stamps: tuple[tuple[str, Stamp], ...]
    absent: tuple[str, ...]
    lasting: bool

    def holds(self) -> bool:
        """Whether nothing has changed on the disk: a system call for each file, none is opened."""
        try:
            unchanged = all(disk.stamp_of(path) == stamp for path, stamp in self.stamps)
        except FilesError:
            return False
        return unchanged and not any(map(disk.exists, self.absent))


def resolve(store: FileStore, path: str, options: SiteOptions) -> Resolved:
    """The resource of the file at `path`; `NoSuchFile` if there is none, and whatever else `FileStore.look` raises."""
    version = store.look(path)
    if isinstance(version, Folder):
        raise NoSuchFile("a folder")
    content_type = media_type(path, dict(options.media_types))
    codings = options.precompressed if is_compressible(content_type) else ()
    found = {coding: _sibling(store, path + SUFFIXES[coding]) for coding in codings}
    coded = {coding: each for coding, each in found.items() if isinstance(each, Version)}
    usable = (_variant(store, each, coding) for coding, each in coded.items() if _is_worth_it(each, version))
    return Resolved(
        Resource(content_type, cache_control(path, options.cache_rules), (_variant(store, version), *usable)),
        tuple((store.full_path(at), each.stamp) for at, each in _files(path, version, coded)),
        tuple(store.full_path(path + SUFFIXES[coding]) for coding, each in found.items() if each is None),
        lasting=version.settled and all(each is None or _is_settled(each) for each in found.values()),
    )


def _files(path: str, version: Version, coded: dict[str, Version]) -> list[tuple[str, Version]]:
    return [(path, version), *((path + SUFFIXES[coding], each) for coding, each in coded.items())]


def _sibling(store: FileStore, path: str) -> Version | FilesError | None:
    """A compressed sibling, None where there is none, the error where it cannot be used (or not yet)."""
    if not disk.exists(store.full_path(path)):
        return None
    try:
        found = store.look(path)
    except FilesError as exc:
        return exc
    return NoSuchFile("a folder") if isinstance(found, Folder) else found


def _is_settled(sibling: Version | FilesError) -> bool:
    return isinstance(sibling, Version) and sibling.settled


def _is_worth_it(sibling: Version, plain: Version) -> bool:
    """Whether it saves anything, and is not left over from an older version of the file.

    Whole seconds are compared: archives keep no more, and a checkout writes files in any order.
    """
    newer = sibling.stamp.modified_ns // _SECOND_NS >= plain.stamp.modified_ns // _SECOND_NS
    return newer and sibling.stamp.size_bytes < plain.stamp.size_bytes


def _variant(store: FileStore, version: Version, coding: str = "") -> Variant:
    """Times to come are not told: a file cannot have been changed after it is sent (RFC 9110 8.8.2.1)."""
    modified_s = version.stamp.modified_ns // _SECOND_NS
    etag = strong_etag(version.digest, coding)
    known = modified_s if 0 <= modified_s <= store.now_s() else None
    return Variant(version.content, etag, version.stamp.size_bytes, known, coding)

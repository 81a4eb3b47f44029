"""Static files: planned as pure values, read from a folder so that two versions of a file are never mixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trickles.faces import at_first_use

if TYPE_CHECKING:
    from trickleweb.files.errors import ContentNotHere, FilesError, FilesUnavailable, HashPending
    from trickleweb.files.hashing import BackgroundHasher, Hasher, yield_to_others
    from trickleweb.files.index import DigestIndex
    from trickleweb.files.metadata import CacheRule
    from trickleweb.files.openfiles import OpenFiles
    from trickleweb.files.options import SiteOptions
    from trickleweb.files.site import StaticSite
    from trickleweb.files.snapshots import is_snapshot
    from trickleweb.files.store import FileStore, StoreLimits

# module: public names
_MODULES = {
    "errors": "ContentNotHere FilesError FilesUnavailable HashPending",
    "hashing": "BackgroundHasher Hasher yield_to_others",
    "index": "DigestIndex",
    "metadata": "CacheRule",
    "openfiles": "OpenFiles",
    "options": "SiteOptions",
    "site": "StaticSite",
    "snapshots": "is_snapshot",
    "store": "FileStore StoreLimits",
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = [
    "BackgroundHasher", "CacheRule", "ContentNotHere", "DigestIndex", "FileStore", "FilesError", "FilesUnavailable",
    "HashPending", "Hasher", "OpenFiles", "SiteOptions", "StaticSite", "StoreLimits", "is_snapshot", "yield_to_others",
]  # fmt: skip

__getattr__ = at_first_use("trickleweb.files", _HOMES)

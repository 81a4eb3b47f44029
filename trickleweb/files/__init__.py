"""Static files: planned as pure values, read from a folder so that two versions of a file are never mixed."""

from trickleweb.files.errors import ContentNotHere, FilesError, FilesUnavailable, HashPending
from trickleweb.files.hashing import BackgroundHasher, Hasher, yield_to_others
from trickleweb.files.index import DigestIndex
from trickleweb.files.metadata import CacheRule
from trickleweb.files.openfiles import OpenFiles
from trickleweb.files.options import SiteOptions
from trickleweb.files.site import StaticSite
from trickleweb.files.snapshots import is_snapshot
from trickleweb.files.store import FileStore, StoreLimits
from trickleweb.files.warm import Progress, warm

__all__ = [
    "BackgroundHasher", "CacheRule", "ContentNotHere", "DigestIndex", "FileStore", "FilesError", "FilesUnavailable",
    "HashPending", "Hasher", "OpenFiles", "Progress", "SiteOptions", "StaticSite", "StoreLimits", "is_snapshot",
    "warm", "yield_to_others",
]  # fmt: skip

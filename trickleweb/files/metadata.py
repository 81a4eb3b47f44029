"""Metadata of a file by its name, the same on every machine: its media type (the system's own tables are not used), and
its Cache-Control.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

REVALIDATE = "no-cache"  # cached but revalidated each time: cheap with a strong tag
FOREVER = "public, max-age=31536000, immutable"

_HEX = re.compile(r".+[.-](?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{8,64}(?:\.[A-Za-z0-9]+)+")
_SHORT = re.compile(r".+[.-](?=[\w-]*[0-9])(?=[\w-]*[a-z])(?=[\w-]*[A-Z])[A-Za-z0-9_-]{8}(?:\.[A-Za-z0-9]+)+", re.ASCII)
_BUILT = frozenset({"assets", "static", "_astro", "_next"})  # where bundlers put files named by hash
_MAX_NAME_CHARS = 255

UNKNOWN = "application/octet-stream"

_BY_FAMILY = {  # family: "subtype=suffix,suffix ..."
    "text": (
        "html=html,htm css=css javascript=js,mjs,cjs plain=txt,text,log,conf,ini,asc markdown=md,markdown "
        "csv=csv tab-separated-values=tsv calendar=ics vcard=vcf vtt=vtt x-python=py yaml=yaml,yml"
    ),
    "application": (
        "json=json,map ld+json=jsonld geo+json=geojson manifest+json=webmanifest xml=xml,xsl,xsd rss+xml=rss "
        "atom+xml=atom xhtml+xml=xhtml,xht toml=toml sql=sql wasm=wasm pdf=pdf rtf=rtf epub+zip=epub "
        "zip=zip,whl gzip=gz,tgz zstd=zst x-bzip2=bz2 x-xz=xz x-tar=tar x-7z-compressed=7z vnd.rar=rar "
        "java-archive=jar vnd.android.package-archive=apk vnd.debian.binary-package=deb x-rpm=rpm "
        "vnd.sqlite3=sqlite,sqlite3 msword=doc vnd.ms-excel=xls vnd.ms-powerpoint=ppt "
        "vnd.openxmlformats-officedocument.wordprocessingml.document=docx "
        "vnd.openxmlformats-officedocument.spreadsheetml.sheet=xlsx "
        "vnd.openxmlformats-officedocument.presentationml.presentation=pptx vnd.oasis.opendocument.text=odt "
        "vnd.oasis.opendocument.spreadsheet=ods vnd.oasis.opendocument.presentation=odp "
        "vnd.apple.mpegurl=m3u8 dash+xml=mpd"
    ),
    "image": (
        "png=png apng=apng jpeg=jpg,jpeg,jpe gif=gif webp=webp avif=avif heic=heic svg+xml=svg x-icon=ico "
        "bmp=bmp tiff=tif,tiff"
    ),
    "audio": "mpeg=mp3 mp4=m4a aac=aac ogg=ogg,oga opus=opus wav=wav flac=flac midi=mid,midi",
    "video": "mp4=mp4,m4v mpeg=mpeg,mpg webm=webm ogg=ogv quicktime=mov x-msvideo=avi x-matroska=mkv mp2t=ts",
    "font": "woff=woff woff2=woff2 ttf=ttf otf=otf collection=ttc",
    "model": "gltf+json=gltf gltf-binary=glb",
}
BY_SUFFIX = {
    suffix: f"{family}/{subtype}"
    for family, types in _BY_FAMILY.items()
    for subtype, _, suffixes in (each.partition("=") for each in types.split())
    for suffix in suffixes.split(",")
}
_TEXT_APPLICATIONS = frozenset({"application/json", "application/xml", "application/sql", "application/toml"})
_PACKED_FAMILIES = ("image/", "audio/", "video/", "font/woff")
_LOOSE_IMAGES = frozenset({"image/svg+xml", "image/bmp", "image/x-icon"})


def media_type(name: str, overrides: Mapping[str, str] | None = None) -> str:
    """Return the Content-Type of a file by its name's last suffix; text is declared UTF-8.

    `overrides` map a suffix without dot to a whole Content-Type.
    """
    suffix = name.rpartition("/")[2].rpartition(".")[2].lower() if "." in name.rpartition("/")[2] else ""
    if overrides and suffix in overrides:
        return overrides[suffix]
    found = BY_SUFFIX.get(suffix, UNKNOWN)
    return f"{found}; charset=utf-8" if is_text(found) else found


def is_text(essence: str) -> bool:
    """Return whether a media type, without parameters, is text that gets a charset."""
    return essence.startswith("text/") or essence in _TEXT_APPLICATIONS or essence.endswith(("+json", "+xml"))


def is_compressible(content_type: str) -> bool:
    """Return whether such a file may have compressed siblings: packed formats gain nothing."""
    essence = content_type.partition(";")[0]
    return essence in _LOOSE_IMAGES or not essence.startswith(_PACKED_FAMILIES)


@dataclass(frozen=True, slots=True)
class CacheRule:
    """Cache-Control for files whose path matches the glob `pattern` ("*.css", "img/*"; "*" crosses "/")."""

    pattern: str
    value: str


def cache_control(path: str, rules: Sequence[CacheRule] = ()) -> str:
    """Return the Cache-Control of a file: a rule's, else forever where its name holds a hash, else revalidation."""
    for rule in rules:
        if fnmatchcase(path, rule.pattern):
            return rule.value
    return FOREVER if is_hashed(path) else REVALIDATE


def is_hashed(path: str) -> bool:
    """Return whether a file's name holds a hash: `app.3f2a9c1b.js` anywhere, `app-BZ4kq8sR.js` in a bundler's folder.

    A wrong yes is worse than a wrong no, so a hash needs both digits and letters.
    """
    folder, _, name = path.rpartition("/")
    if len(name) > _MAX_NAME_CHARS:
        return False
    if _HEX.fullmatch(name):
        return True
    return not _BUILT.isdisjoint(folder.split("/")) and _SHORT.fullmatch(name) is not None

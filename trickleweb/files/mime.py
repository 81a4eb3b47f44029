"""Media types by file name, the same on every machine: the system's own tables are not used."""

from __future__ import annotations

from collections.abc import Mapping

UNKNOWN = "application/octet-stream"

_BY_TYPE = {
    "text/html": "html htm",
    "text/css": "css",
    "text/javascript": "js mjs cjs",
    "text/plain": "txt text log conf ini asc",
    "text/markdown": "md markdown",
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "text/calendar": "ics",
    "text/vcard": "vcf",
    "text/vtt": "vtt",
    "text/x-python": "py",
    "text/yaml": "yaml yml",
    "application/json": "json map",
    "application/ld+json": "jsonld",
    "application/geo+json": "geojson",
    "application/manifest+json": "webmanifest",
    "application/xml": "xml xsl xsd",
    "application/rss+xml": "rss",
    "application/atom+xml": "atom",
    "application/xhtml+xml": "xhtml xht",
    "application/toml": "toml",
    "application/sql": "sql",
    "application/wasm": "wasm",
    "application/pdf": "pdf",
    "application/rtf": "rtf",
    "application/epub+zip": "epub",
    "application/zip": "zip whl",
    "application/gzip": "gz tgz",
    "application/zstd": "zst",
    "application/x-bzip2": "bz2",
    "application/x-xz": "xz",
    "application/x-tar": "tar",
    "application/x-7z-compressed": "7z",
    "application/vnd.rar": "rar",
    "application/java-archive": "jar",
    "application/vnd.android.package-archive": "apk",
    "application/vnd.debian.binary-package": "deb",
    "application/x-rpm": "rpm",
    "application/vnd.sqlite3": "sqlite sqlite3",
    "application/msword": "doc",
    "application/vnd.ms-excel": "xls",
    "application/vnd.ms-powerpoint": "ppt",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.oasis.opendocument.spreadsheet": "ods",
    "application/vnd.oasis.opendocument.presentation": "odp",
    "application/vnd.apple.mpegurl": "m3u8",
    "application/dash+xml": "mpd",
    "image/png": "png",
    "image/apng": "apng",
    "image/jpeg": "jpg jpeg jpe",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/heic": "heic",
    "image/svg+xml": "svg",
    "image/x-icon": "ico",
    "image/bmp": "bmp",
    "image/tiff": "tif tiff",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/aac": "aac",
    "audio/ogg": "ogg oga",
    "audio/opus": "opus",
    "audio/wav": "wav",
    "audio/flac": "flac",
    "audio/midi": "mid midi",
    "video/mp4": "mp4 m4v",
    "video/mpeg": "mpeg mpg",
    "video/webm": "webm",
    "video/ogg": "ogv",
    "video/quicktime": "mov",
    "video/x-msvideo": "avi",
    "video/x-matroska": "mkv",
    "video/mp2t": "ts",
    "font/woff": "woff",
    "font/woff2": "woff2",
    "font/ttf": "ttf",
    "font/otf": "otf",
    "font/collection": "ttc",
    "model/gltf+json": "gltf",
    "model/gltf-binary": "glb",
}
BY_SUFFIX = {suffix: media_type for media_type, suffixes in _BY_TYPE.items() for suffix in suffixes.split()}
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

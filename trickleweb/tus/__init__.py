"""Resumable uploads by the tus protocol: an application to be mounted, and the folder that replicas share."""

from trickleweb.tus.application import resumable_uploads
from trickleweb.tus.fields import metadata
from trickleweb.tus.folder import UploadFolder
from trickleweb.tus.uploads import UploadLimits, UploadRecord, UploadStore

__all__ = ["UploadFolder", "UploadLimits", "UploadRecord", "UploadStore", "metadata", "resumable_uploads"]

"""Responses as values: a status, headers and one of the kinds of body."""

from trickleweb.responses.errors import error_response
from trickleweb.responses.response import Response, as_response
from trickleweb.responses.values import content_disposition, local_target

__all__ = ["Response", "as_response", "content_disposition", "error_response", "local_target"]

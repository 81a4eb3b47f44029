"""Responses as values: a status, headers and one of the kinds of body."""

from trickleweb.responses.response import Response, as_response, content_disposition, error_response, local_target

__all__ = ["Response", "as_response", "content_disposition", "error_response", "local_target"]

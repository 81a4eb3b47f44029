"""Forms as browsers send them, read within bounds: urlencoded and multipart."""

from trickleweb.forms.disposition import PartHead
from trickleweb.forms.multipart import MultipartReader, PartBegin, PartData, PartEnd, PartEvent, boundary_of
from trickleweb.forms.reading import MULTIPART, URLENCODED, parse_urlencoded, read_form, render_urlencoded
from trickleweb.forms.values import DEFAULT_FORM_LIMITS, Form, FormLimits, Upload

__all__ = [
    "DEFAULT_FORM_LIMITS", "MULTIPART", "URLENCODED", "Form", "FormLimits", "MultipartReader", "PartBegin",
    "PartData", "PartEnd", "PartEvent", "PartHead", "Upload", "boundary_of", "parse_urlencoded", "read_form",
    "render_urlencoded",
]  # fmt: skip

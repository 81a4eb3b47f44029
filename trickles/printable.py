"""Text of strangers on one line of a log or a terminal.

Nothing here opens a file: a process that has no descriptors left can still say so. `str.encode` with the name of this
codec could not, as Python imports its module when it is first asked for.
"""

from codecs import unicode_escape_encode  # the encoder itself; it is part of the interpreter


def one_line(message: object) -> str:
    """Return the text on one line: characters that could break or forge a line of a terminal are escaped."""
    return "".join(each if each.isprintable() else ascii_line(each) for each in str(message))


def ascii_line(text: str) -> str:
    """Return the text on one line, in ASCII, in a form that can be reversed."""
    return unicode_escape_encode(text)[0].decode("ascii")

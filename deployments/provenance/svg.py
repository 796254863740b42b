"""SVG: XMP in a `<metadata>` element, the last in the root, so that the title stays the first."""

from typing import Final

from deployments.provenance import xmp
from deployments.provenance.mark import Mark, Unreadable

_ROOT_END: Final = b"</svg>"
_BEGIN: Final = b"<metadata>"
_END: Final = b"</metadata>\n"


def embed(data: bytes, mark: Mark) -> bytes:
    """A file with XMP is returned as it is."""
    if xmp.RDF.encode() in data:
        return data
    before, end, after = data.rpartition(_ROOT_END)
    if not end:
        raise Unreadable("is damaged: its root does not end")
    return before + _BEGIN + xmp.rdf(mark) + _END + end + after


def read(data: bytes) -> Mark:
    """Raises Unreadable."""
    return xmp.read(data)


def strip(data: bytes) -> bytes:
    """The file without what `embed` adds."""
    before, begin, rest = data.rpartition(_BEGIN)
    inside, end, after = rest.partition(_END)
    is_ours = begin and end and after.startswith(_ROOT_END) and xmp.RDF.encode() in inside
    return before + after if is_ours else data

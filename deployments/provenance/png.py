"""PNG: the receipt as international text under its own keyword, the source type as XMP (PNG, 11.3.3.4)."""

import struct
import zlib
from collections.abc import Iterator
from typing import Final

from deployments.containers.png import SIGNATURE
from deployments.provenance import xmp
from deployments.provenance.mark import Mark, Unreadable

RECEIPT_KEYWORD: Final = "atelier.receipt"
XMP_KEYWORD: Final = "XML:com.adobe.xmp"
_OURS: Final = frozenset({RECEIPT_KEYWORD, XMP_KEYWORD})
_BEHIND_HEADER: Final = len(SIGNATURE) + 12 + 13
_MOST_TEXT_BYTES: Final = 4 << 20


def embed(data: bytes, mark: Mark) -> bytes:
    """Behind the header, before any pixel. A file that has such texts already is returned as it is."""
    if _texts(data).keys() & _OURS:
        return data
    added = b""
    if mark.receipt is not None:
        added += _chunk(RECEIPT_KEYWORD, mark.receipt.encode())
    added += _chunk(XMP_KEYWORD, xmp.packet(Mark(None, mark.source_type_uri)))
    return data[:_BEHIND_HEADER] + added + data[_BEHIND_HEADER:]


def read(data: bytes) -> Mark:
    """Raises Unreadable."""
    texts = _texts(data)
    found = xmp.read(texts[XMP_KEYWORD]) if XMP_KEYWORD in texts else Mark(None)
    if RECEIPT_KEYWORD not in texts:
        return found
    try:
        return Mark(texts[RECEIPT_KEYWORD].decode(), found.source_type_uri)
    except UnicodeDecodeError:
        raise Unreadable("has a receipt that is not text") from None


def strip(data: bytes) -> bytes:
    """The file without what `embed` adds. Raises Unreadable."""
    kept, place = [], 0
    for start, end, body in _international_texts(data):
        if _keyword(body) in _OURS:
            kept.append(data[place:start])
            place = end
    return b"".join([*kept, data[place:]])


def _texts(data: bytes) -> dict[str, bytes]:
    """International texts by keyword."""
    texts = {}
    for _, _, body in _international_texts(data):
        rest = body.partition(b"\0")[2]
        text = rest[2:].split(b"\0", 2)[-1]  # behind flag and method: language, translated keyword, text
        texts[_keyword(body)] = _inflated(text) if rest[:1] == b"\1" else text
    return texts


def _keyword(body: bytes) -> str:
    return body.partition(b"\0")[0].decode("latin-1")


def _international_texts(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Start and end of the chunk, and its content."""
    place = len(SIGNATURE)
    while place < len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 8 + length
        if kind == b"iTXt":
            body = data[place + 8 : end]
            (crc,) = struct.unpack_from(">I", data, end)
            if crc != zlib.crc32(body, zlib.crc32(kind)):
                raise Unreadable("is damaged: a checksum is wrong")
            yield place, end + 4, body
        if kind == b"IEND":
            return
        place = end + 4
    raise Unreadable("is cut off")


def _inflated(text: bytes) -> bytes:
    """Other programs may compress what they keep."""
    try:
        inflater = zlib.decompressobj()
        inflated = inflater.decompress(text, _MOST_TEXT_BYTES)
    except zlib.error:
        raise Unreadable("is damaged: a text cannot be inflated") from None
    if inflater.unconsumed_tail:
        raise Unreadable(f"has a text of more than {_MOST_TEXT_BYTES} bytes")
    return inflated


def _chunk(keyword: str, text: bytes) -> bytes:
    """Not compressed, in no language."""
    body = keyword.encode("latin-1") + b"\0\0\0\0\0" + text
    crc = zlib.crc32(body, zlib.crc32(b"iTXt"))
    return struct.pack(">I4s", len(body), b"iTXt") + body + struct.pack(">I", crc)

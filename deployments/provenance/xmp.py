"""XMP packets (ISO 16684-1): what a Mark says, as RDF.

A receipt is JSON in ASCII, so that no text of a caller's can be anything that XML forbids.
"""

import xml.etree.ElementTree as ET
from typing import Final
from xml.sax.saxutils import escape

from deployments.provenance.mark import Mark, Unreadable

RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
IPTC_EXTENSION: Final = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
ATELIER: Final = "atelier:ns:1.0/"
_RECEIPT: Final = f"{{{ATELIER}}}receipt"
_SOURCE_TYPE: Final = f"{{{IPTC_EXTENSION}}}DigitalSourceType"
_RESOURCE: Final = f"{{{RDF}}}resource"
_BEGIN: Final = b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_END: Final = b'\n<?xpacket end="r"?>'


def packet(mark: Mark) -> bytes:
    return _BEGIN + rdf(mark) + _END


def rdf(mark: Mark) -> bytes:
    """The packet without its wrapper. Raises ValueError for a receipt with other than ASCII."""
    properties = ["<xmp:CreatorTool>Atelier</xmp:CreatorTool>"]
    if mark.source_type_uri is not None:
        uri = escape(mark.source_type_uri)
        properties.append(f"<Iptc4xmpExt:DigitalSourceType>{uri}</Iptc4xmpExt:DigitalSourceType>")
    if mark.receipt is not None:
        properties.append(f"<atelier:receipt>{escape(mark.receipt)}</atelier:receipt>")
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        f'<rdf:RDF xmlns:rdf="{RDF}">'
        '<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
        f' xmlns:Iptc4xmpExt="{IPTC_EXTENSION}" xmlns:atelier="{ATELIER}">'
        f"{''.join(properties)}"
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode("ascii")


def read(xml: bytes) -> Mark:
    """Of a packet, or a document with one inside. Properties may be elements or attributes, as XMP allows.

    Raises Unreadable for what is not XML, or declares entities: there bombs hide.
    """
    if b"<!DOCTYPE" in xml or b"<!ENTITY" in xml:
        raise Unreadable("has XML that declares entities")
    try:
        root = ET.fromstring(xml.strip(b"\0 \t\r\n"))
    except (ET.ParseError, ValueError):
        raise Unreadable("has XMP that is not XML") from None
    found: dict[str, str] = {}
    for description in root.iter(f"{{{RDF}}}Description"):
        found |= description.attrib
        for each in description:
            found[each.tag] = each.get(_RESOURCE) or each.text or ""
    return Mark(found.get(_RECEIPT) or None, found.get(_SOURCE_TYPE) or None)

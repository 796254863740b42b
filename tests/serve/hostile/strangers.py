"""Files that are no picture this server takes, some of which say they are one."""

import base64
import gzip
import io
import struct
import zipfile

from PIL import Image

from tests.serve.hostile.parts import Picture, noise, png, saved

FRAMES = [Image.new("RGB", (16, 16), (level, 0, 0)) for level in (0, 90, 180)]
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
XXE = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><svg>&e;</svg>'
PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"
GOOD = png(8, 8)


def strangers() -> list[Picture]:
    texts = {
        "an empty file": b"",
        "a byte": b"\0",
        "text": b"hello, I am a PNG",
        "JSON": b'{"image": "a fox"}',
        "base64 of a PNG": base64.b64encode(GOOD),
        "a data URL": b"data:image/png;base64,iVBORw0KGgo=",
        "a URL": b"http://169.254.169.254/latest/meta-data/",
        "a path": b"/etc/passwd",
        "HTML": b"<!doctype html><script>alert(1)</script>",
        "SVG": SVG,
        "SVG after a line": b"\n  " + SVG,
        "SVG in UTF-16": SVG.decode().encode("utf-16"),
        "SVG that reads a file": XXE,
        "compressed SVG": gzip.compress(SVG, mtime=0),
        "a script": b"#!/bin/sh\nrm -rf /\n",
        "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
        "a pickle": b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00\x8c\x08builtins\x94.",
        "5 MB of zeros": bytes(5_000_000),
    }
    starts = {
        "an ELF file": b"\x7fELF\x02\x01\x01",
        "a Windows program": b"MZ\x90\0\x03",
        "WebAssembly": b"\0asm\x01\0\0\0",
        "a RAR archive": b"Rar!\x1a\x07\x01\0",
        "a 7z archive": b"7z\xbc\xaf\x27\x1c",
        "a Zstandard file": b"\x28\xb5\x2f\xfd",
        "AVIF": b"\0\0\0\x20ftypavif",
        "HEIC": b"\0\0\0\x18ftypheic",
        "MP4": b"\0\0\0\x18ftypmp42",
        "Matroska": b"\x1aE\xdf\xa3",
        "WAV": b"RIFF\x40\0\0\0WAVEfmt ",
        "AVI": b"RIFF\x40\0\0\0AVI LIST",
        "JPEG XL": b"\xff\x0a",
        "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n",
        "Photoshop": b"8BPS\0\x01",
        "OpenEXR": b"\x76\x2f\x31\x01",
        "Radiance HDR": b"#?RADIANCE\n",
        "QOI": b"qoif\0\0\0\x08\0\0\0\x08\x04\0",
        "a font": b"OTTO\0\x0c",
        "MNG": b"\x8aMNG\r\n\x1a\n",
        "JNG": b"\x8bJNG\r\n\x1a\n",
        "a PNG's start that is off by one": b"\x89PNG\n\x1a\n",
    }
    return [
        *(Picture(name, data) for name, data in texts.items()),
        *(Picture(name, start + bytes(64)) for name, start in starts.items()),
        *(
            Picture(f"a {kind}", saved(noise(16, 16), kind))
            for kind in ("BMP", "TIFF", "ICO", "PPM", "TGA", "PCX")
        ),
        *(Picture(name, data) for name, data in _wrapped().items()),
        *_huge(),
    ]


def _wrapped() -> dict[str, bytes]:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(zipfile.ZipInfo("a.png"), bytes(20_000_000))
    return {
        "a PDF": PDF,
        "a PDF with a PNG in it": PDF + GOOD,
        "a ZIP": archive.getvalue(),
        "a GIF": saved(noise(16, 16), "GIF"),
        "an animated GIF": saved(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:]),
        "a GIF that is a script too": b"GIF89a/*" + bytes(5) + b"*/=1;alert(1)",
        "HTML with a PNG in it": b"<!--" + GOOD + b"--><script>alert(1)</script>",
        "a PNG behind a byte": b"\0" + GOOD,
        "a PNG behind a byte order mark": b"\xef\xbb\xbf" + GOOD,
    }


def _huge() -> list[Picture]:
    tiff = b"II*\0\x08\0\0\0\x02\0" + b"".join(
        struct.pack("<HHII", tag, 4, 1, 2**31 - 1) for tag in (0x100, 0x101)
    )
    return [
        Picture("a GIF of 65535x65535", b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(40)),
        Picture("a TIFF of 2147483647x2147483647", tiff + bytes(40)),
        Picture(
            "a BMP of 2147483647x2147483647", b"BM" + bytes(16) + struct.pack("<II", 2**31 - 1, 2**31 - 1)
        ),
        Picture(
            "an icon that says it is 4 GB", b"\0\0\x01\0\x01\0" + b"\0" * 8 + b"\xff\xff\xff\xff\x16\0\0\0"
        ),
    ]

"""Fetches the npm packages that hold the icons and their labels, pinned and verified.

Knows the registry and the layout of `@iconify-json/*` and `emojibase-data`; nothing of pictures.
"""

import base64
import hashlib
import io
import json
import os
import tarfile
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from models.training import places

REGISTRY: Final = os.environ.get("NPM_CONFIG_REGISTRY", "https://registry.npmjs.org").rstrip("/")


@dataclass(frozen=True, slots=True)
class Package:
    """One npm tarball. `sha512` is base64, as in npm's `dist.integrity`."""

    name: str
    version: str
    sha512: str
    members: tuple[str, ...]


ICON_SETS: Final[Mapping[str, Package]] = {
    "noto": Package(
        "@iconify-json/noto",
        "1.2.9",
        "DQiuXENbun41ch+XPSV55H9FaWKpHTyz46YIKtSaKYD4fIDDzL1tR6H4np/T38jfrTAeI3rcKF0mqHYeZVAuaw==",
        ("icons.json",),
    ),
    "noto-v1": Package(
        "@iconify-json/noto-v1",
        "1.2.5",
        "/DsVMius69Q0fRS53z7QK1TROSuar606jiIx+laXtdsYGMXpf6LtHBx6CGfoo3UHHb/XpBsw+1L1x3eyPqMuVA==",
        ("icons.json",),
    ),
    "fluent-emoji-flat": Package(
        "@iconify-json/fluent-emoji-flat",
        "1.2.6",
        "RY47RgPb47fYUiyrA64sIOL0+UU02s29sXpNBbIQRBUlPlfNFTKUmZDERGuxDs/7yNGWqQYvuaSYM1M4fRXlUw==",
        ("icons.json",),
    ),
    "fluent-emoji": Package(
        "@iconify-json/fluent-emoji",
        "1.2.7",
        "D8G6bKAyIsyxP1rzZtIWr/gg/fO4Rg1+DyCWlfqKK4h8W+4Em/Y0P6QYgJUQTlUcagzJvSyg+9OBv4hz4Hc/QA==",
        ("icons.json",),
    ),
}
LABELS: Final = Package(
    "emojibase-data",
    "17.0.0",
    "Yvgb5AWoHViHV/gq1qr5ZAarcBip+B27/ZLRsUJkbgAEaLlZ/fof9g882LTpmEpyhBNEC0m2SEmItljHsTygjA==",
    ("en/data.json",),
)


def icon_set(name: str) -> dict[str, Any]:
    """The Iconify JSON of a set: `icons` (slug -> body), `aliases`, `width`, `height`."""
    return dict(read_json(ICON_SETS[name], "icons.json"))


def labels() -> list[dict[str, Any]]:
    """Emojibase records: `label`, `tags`, `group`, ..."""
    return list(read_json(LABELS, "en/data.json"))


def stored(package: Package, member: str) -> Path:
    """The unpacked `member` of a package, fetched when it is not here yet."""
    path = places.PACKAGES / f"{package.name.replace('/', '-')}-{package.version}" / member
    if not path.exists():
        _fetch(package)
    return path


def read_json(package: Package, member: str) -> Any:
    return json.loads(stored(package, member).read_text(encoding="utf-8"))


def _fetch(package: Package) -> None:
    """Raises ValueError when the tarball's digest differs from the pinned one."""
    file_name = package.name.rsplit("/", 1)[-1]
    url = f"{REGISTRY}/{package.name}/-/{file_name}-{package.version}.tgz"
    with urllib.request.urlopen(url, timeout=60) as response:
        tarball: bytes = response.read()
    digest = base64.b64encode(hashlib.sha512(tarball).digest()).decode()
    if digest != package.sha512:
        raise ValueError(f"{url}: sha512 is {digest}, pinned is {package.sha512}; do not use this file")
    folder = places.PACKAGES / f"{package.name.replace('/', '-')}-{package.version}"
    with tarfile.open(fileobj=io.BytesIO(tarball)) as archive:
        for member in package.members:
            content = archive.extractfile(f"package/{member}")
            assert content is not None
            (folder / member).parent.mkdir(parents=True, exist_ok=True)
            (folder / member).write_bytes(content.read())

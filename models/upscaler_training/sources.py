"""Which icons and fonts are drawn, and which of them training never sees.

Two kinds of held-out icons: a whole set by other artists (`UNSEEN_ICON_SET`), and one in twenty names of the
trained sets. Held-out text is set in fonts and words that training text does not use.
"""

import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from models.training import packages
from models.training.packages import Package

TRAINED_ICON_SETS: Final = ("noto", "noto-v1", "fluent-emoji-flat", "fluent-emoji")
UNSEEN_ICON_SET: Final = Package(
    "@iconify-json/flat-color-icons",
    "1.2.3",
    "KcmJ7CY0TKFv5GuBjiS4/v++jEcNXna1jfY+yq014tnw/MN/jMI2oYpoMHGuIpYtUqDu7eove+WySnOYO8nS3w==",
    ("icons.json",),
)


def _font(name: str, version: str, sha512: str, *files: str) -> Package:
    members = tuple(f"{file.split('_')[1]}/{file}.ttf" for file in files)
    return Package(f"@expo-google-fonts/{name}", version, sha512, members)


FONTS: Final[Mapping[str, tuple[Package, ...]]] = {
    "train": (
        _font(
            "inter",
            "0.4.2",
            "syfiImMaDmq7cFi0of+waE2M4uSCyd16zgyWxdPOY7fN2VBmSLKEzkfbZgeOjJq61kSqPBNNtXjggiQiSD6gMQ==",
            "Inter_400Regular",
            "Inter_700Bold",
        ),
        _font(
            "roboto",
            "0.4.3",
            "kX3wmpmu06fN1yOwYWMdjYJWNUYW6xUiAGeHbvPzzSEb3A3j23JelQ3tAgwQNKgEKRq6wtMmzixy2r7y9c8dsA==",
            "Roboto_400Regular",
            "Roboto_700Bold",
        ),
        _font(
            "open-sans",
            "0.4.2",
            "gvhPqLXYnltWgll3iBwRGUwf5yN2HCh4mgQmFoQ8oU66LTs23oX4N7T3t0BDsKfP/1Z8F8+4c7wSkA11Nnk4kA==",
            "OpenSans_400Regular",
            "OpenSans_700Bold",
        ),
        _font(
            "montserrat",
            "0.4.2",
            "Xyq7rKJhhZOE1Xk4wKSSVoUeOkFmQEMhtZ3pdFrgYckGZMs115Apmld1AI8Ju+yrl5GzDdfRCCqRr33dvEDYUA==",
            "Montserrat_400Regular",
            "Montserrat_700Bold",
        ),
        _font(
            "source-serif-4",
            "0.4.1",
            "Ej4UXDjW1kwYPHG8YLq6fK1bqnJGb3K35J3S5atSL0ScKFAFLKvndxoTWeCls7mybtlS9x99hzwDeXCBkiI3rA==",
            "SourceSerif4_400Regular",
            "SourceSerif4_700Bold",
        ),
        _font(
            "merriweather",
            "0.4.2",
            "jUlmDzo5hQ36fPDXZvdt2VIZGCFkdg2Gfx+oWnbzvfygdCvx3AIe8O74IdsN1IZ65mxSSgsajM1c2XV2L/eYkw==",
            "Merriweather_400Regular",
            "Merriweather_700Bold",
        ),
        _font(
            "fira-code",
            "0.4.1",
            "b0fx07WCnZoM1epBJUfZQX36zs2W3ASfVneIsn1hNGc8xNHMBRDnI0vUdNJsb8ix0wkcilwJknyYhCoX5a3lMA==",
            "FiraCode_400Regular",
            "FiraCode_700Bold",
        ),
        _font(
            "bebas-neue",
            "0.4.1",
            "Ibnf0EQgMUj01tT/ws64RlsMQmOvDP+UDFW93bld0C/WwaOaCGWKgNnqxNkKxmL73y2kpT8EB4dkSNUOyAOEJA==",
            "BebasNeue_400Regular",
        ),
        _font(
            "poppins",
            "0.4.1",
            "LiX5oEryJqDt3UmWwr4oqf11hGMz/JEffkkNcZ3UtGwyoMFzXmBmTwcrAWrEttxypxmLNmPykDg+CY2VjKve9A==",
            "Poppins_400Regular",
            "Poppins_700Bold",
        ),
        _font(
            "oswald",
            "0.4.2",
            "ZLB8ou0SmSWThyLDCHQdFnbMrj93hRrpkKMLLoPrIs4QTrPxZyOxHoJ4mFoFCs0efZdV1Yd8mULfaggAblX5Mg==",
            "Oswald_400Regular",
            "Oswald_700Bold",
        ),
        _font(
            "playfair-display",
            "0.4.2",
            "mWhBV59RUjSS3aYpytUb7UyHHTnXcHh7epAn7gq+M4XAEh5PuMKUrP8eiUfkJLb6UwHZCi7EhQpUzxHu5OL96w==",
            "PlayfairDisplay_400Regular",
            "PlayfairDisplay_700Bold",
        ),
        _font(
            "nunito",
            "0.4.2",
            "1KCWphw/I2ugqfs9iRHUCkPTnomNgGPtF4AvqVquoEKxr0EL+mcLNLgeixsslbaSFevRR6/KJAE3sc8g0VaY0Q==",
            "Nunito_400Regular",
            "Nunito_700Bold",
        ),
    ),
    "held_out": (
        _font(
            "barlow",
            "0.4.1",
            "ARAwBvQFGxOt2dfoQRVDRZghaStrXTIyI7oBD6/J4z2Iyr+0ME2HJq13RFhTuagCFrT4iapzuKHwOR3iLrNJrA==",
            "Barlow_400Regular",
            "Barlow_700Bold",
        ),
        _font(
            "crimson-pro",
            "0.4.2",
            "X5pfxna/aQBhxB6CowczCL2mOsObwlxhI2EJ84fE6OMrxie1bd2ro9xBywCfeVg588eQYvzYBBdkHkPWmFTXug==",
            "CrimsonPro_400Regular",
            "CrimsonPro_700Bold",
        ),
        _font(
            "ibm-plex-mono",
            "0.4.1",
            "/yYz1mPZq8Nd4tSiH0SBDPEdJUqiOGBwVgSrQvLuw7SPh6C7ezBzmi6eFyHY4QaQwjHDmOLSBKsxzq8ZDFXVAg==",
            "IBMPlexMono_400Regular",
            "IBMPlexMono_700Bold",
        ),
        _font(
            "archivo-black",
            "0.4.1",
            "Zi4M9NPyKBllCd8TobvYRRAAm/dbhnrYTywbkfGVOJ7cThEetli+jYBh/deAjzOEqYMTrlSM89uEiherIPjkpQ==",
            "ArchivoBlack_400Regular",
        ),
        _font(
            "comfortaa",
            "0.4.2",
            "eGz3aw5gQ4NA/saaiMv5CH709vB5tG+puP9vy+rFX3XXc20JQ0A/qeBiCH+J8enPvXDi0rXyG3EgqbJ4Er2htg==",
            "Comfortaa_400Regular",
            "Comfortaa_700Bold",
        ),
    ),
}
"""Pinned npm packages of OFL-1.1 fonts, by split."""


def font_files(split: str) -> list[Path]:
    return [packages.stored(package, member) for package in FONTS[split] for member in package.members]


def trained_icons(split: str) -> list[tuple[str, str]]:
    """(set, slug) of the icons of `split`; skin tones are left out: they repeat one drawing."""
    return [
        (name, slug)
        for name in TRAINED_ICON_SETS
        for slug in sorted(packages.icon_set(name)["icons"])
        if "skin-tone" not in slug and held_out(slug) == (split == "held_out")
    ]


def held_out(word: str) -> bool:
    """The same split for a name in every set, and for words of text."""
    return zlib.crc32(word.encode()) % 20 == 0


@cache
def icon_set(name: str) -> dict[str, Any]:
    """Iconify JSON of a trained set or, by its package name, of the unseen one."""
    if name == UNSEEN_ICON_SET.name:
        return dict(packages.read_json(UNSEEN_ICON_SET, "icons.json"))
    return packages.icon_set(name)


@cache
def words(split: str) -> list[str]:
    """English words of icon names, to be set as text."""
    every = {
        word for name in TRAINED_ICON_SETS for slug in icon_set(name)["icons"] for word in slug.split("-")
    }
    usable = sorted(word for word in every if word.isalpha() and 2 <= len(word) <= 12)
    return [word for word in usable if held_out(word) == (split == "held_out")]

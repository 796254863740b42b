"""What Ideogram's API takes, as its OpenAPI description says (developer.ideogram.ai). Data only."""

from typing import Literal

from deployments.hosted.sizes import ListedSizes, Shapes

MAX_SEED = 2**31 - 1
MAX_UPLOAD_BYTES = 10 * 1024 * 1024

V1_SHAPES = Shapes(
    ratios=(
        (1, 1), (10, 16), (16, 10), (9, 16), (16, 9), (3, 2), (2, 3), (4, 3), (3, 4), (1, 3), (3, 1),
    ),
    prefix="ASPECT_",
    separator="_",
    max_pixels=1024 * 1024,
)  # fmt: skip
"""`resolution` is for model 2.0 only, so V_1 is asked by aspect ratio."""

V3_RESOLUTIONS = ListedSizes(
    (
        (512, 1536), (576, 1408), (576, 1472), (576, 1536), (640, 1344), (640, 1408), (640, 1472),
        (640, 1536), (704, 1152), (704, 1216), (704, 1280), (704, 1344), (704, 1408), (704, 1472),
        (736, 1312), (768, 1088), (768, 1216), (768, 1280), (768, 1344), (800, 1280), (832, 960),
        (832, 1024), (832, 1088), (832, 1152), (832, 1216), (832, 1248), (864, 1152), (896, 960),
        (896, 1024), (896, 1088), (896, 1120), (896, 1152), (960, 832), (960, 896), (960, 1024),
        (960, 1088), (1024, 832), (1024, 896), (1024, 960), (1024, 1024), (1088, 768), (1088, 832),
        (1088, 896), (1088, 960), (1120, 896), (1152, 704), (1152, 832), (1152, 864), (1152, 896),
        (1216, 704), (1216, 768), (1216, 832), (1248, 832), (1280, 704), (1280, 768), (1280, 800),
        (1312, 736), (1344, 640), (1344, 704), (1344, 768), (1408, 576), (1408, 640), (1408, 704),
        (1472, 576), (1472, 640), (1472, 704), (1536, 512), (1536, 576), (1536, 640),
    )
)  # fmt: skip

StyleType = Literal["AUTO", "GENERAL", "REALISTIC", "DESIGN", "FICTION", "STYLIZED"]

StylePreset = Literal[
    "80S_ILLUSTRATION", "90S_NOSTALGIA", "ABSTRACT_ORGANIC", "ANALOG_NOSTALGIA", "ART_BRUT", "ART_DECO",
    "ART_POSTER", "AURA", "AVANT_GARDE", "BAUHAUS", "BLUEPRINT", "BLURRY_MOTION", "BRIGHT_ART",
    "C4D_CARTOON", "CHILDRENS_BOOK", "COLLAGE", "COLORING_BOOK_I", "COLORING_BOOK_II", "CUBISM",
    "DARK_AURA", "DOODLE", "DOUBLE_EXPOSURE", "DRAMATIC_CINEMA", "EDITORIAL", "EMOTIONAL_MINIMAL",
    "ETHEREAL_PARTY", "EXPIRED_FILM", "FLAT_ART", "FLAT_VECTOR", "FOREST_REVERIE", "GEO_MINIMALIST",
    "GLASS_PRISM", "GOLDEN_HOUR", "GRAFFITI_I", "GRAFFITI_II", "HALFTONE_PRINT", "HIGH_CONTRAST",
    "HIPPIE_ERA", "ICONIC", "JAPANDI_FUSION", "JAZZY", "LONG_EXPOSURE", "MAGAZINE_EDITORIAL",
    "MINIMAL_ILLUSTRATION", "MIXED_MEDIA", "MONOCHROME", "NIGHTLIFE", "OIL_PAINTING", "OLD_CARTOONS",
    "PAINT_GESTURE", "POP_ART", "RETRO_ETCHING", "RIVIERA_POP", "SPOTLIGHT_80S", "STYLIZED_RED",
    "SURREAL_COLLAGE", "TRAVEL_POSTER", "VINTAGE_GEO", "VINTAGE_POSTER", "WATERCOLOR", "WEIRD",
    "WOODBLOCK_PRINT",
]  # fmt: skip

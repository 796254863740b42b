"""What OpenAI's image models take, as its API reference and the official client's types say.

Data only. Sizes of gpt-image-2 and later: multiples of 16, at most 3:1, 655,360 to 8,294,400 pixels, no side
over 3840.
"""

from dataclasses import dataclass

from deployments.hosted.sizes import ListedSizes, SizeRule, SteppedSizes


@dataclass(frozen=True, slots=True)
class Family:
    """`response_format` is a field of DALL·E's; GPT image models always answer with base64."""

    sizes: SizeRule
    qualities: tuple[str, ...]
    max_prompt_chars: int
    has_style: bool = False
    has_response_format: bool = False
    has_moderation: bool = False
    has_background: bool = False
    edits: bool = False


_FREE_SIZES = SteppedSizes(step=16, max_side=3840, max_ratio=3.0, min_pixels=655_360, max_pixels=8_294_400)
_THREE_SIZES = ListedSizes(((1024, 1024), (1536, 1024), (1024, 1536)))

_DALL_E_3 = Family(
    sizes=ListedSizes(((1024, 1024), (1792, 1024), (1024, 1792))),
    qualities=("standard", "hd"),
    max_prompt_chars=4000,
    has_style=True,
    has_response_format=True,
)


def _gpt_image(sizes: SizeRule, *more_qualities: str) -> Family:
    return Family(
        sizes=sizes,
        qualities=("auto", "low", "medium", "high", *more_qualities),
        max_prompt_chars=32_000,
        has_moderation=True,
        has_background=True,
        edits=True,
    )


# By the start of the name, the longest that fits: snapshots carry a date behind it.
_FAMILIES = {
    "dall-e-3": _DALL_E_3,
    "gpt-image-1": _gpt_image(_THREE_SIZES),
    "gpt-image-1-mini": _gpt_image(_THREE_SIZES),
    "gpt-image-1.5": _gpt_image(_THREE_SIZES),
    "chatgpt-image-latest": _gpt_image(_THREE_SIZES),
    "gpt-image-2": _gpt_image(_FREE_SIZES),
    "gpt-image-2.5-sunburst": _gpt_image(_FREE_SIZES, "xhigh", "max"),
    "gpt-image-2.5-flare": _gpt_image(_FREE_SIZES, "xhigh", "max"),
    "gpt-image-2.6-sunburst": _gpt_image(_FREE_SIZES, "xhigh", "max"),
    "gpt-image-2.6-flare": _gpt_image(_FREE_SIZES, "xhigh", "max"),
}
KNOWN = tuple(_FAMILIES)

RETIRED = {"dall-e-3": "2026-05-12", "gpt-image-1": "2026-10-23"}
"""When OpenAI shut a model down (docs/hosted.md says where that is written)."""


def family(model: str) -> Family | None:
    """Of a model or of a dated snapshot of one."""
    for name in sorted(_FAMILIES, key=len, reverse=True):
        if model == name or model.startswith(f"{name}-20"):
            return _FAMILIES[name]
    return None

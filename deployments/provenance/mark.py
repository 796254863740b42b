"""What is written into a picture's file, and how much of it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SOURCE_TYPES: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"


class Metadata(StrEnum):
    """What is written into the files of answers: IPTC's digital source type and the image's receipt, the
    source type alone, or nothing."""

    RECEIPT = "receipt"
    SOURCE = "source"
    NONE = "none"


class SourceType(StrEnum):
    """Terms of IPTC's NewsCodes "Digital Source Type" that fit what is made here, with its own names."""

    GENERATED = "trainedAlgorithmicMedia"
    """Created using Generative AI."""
    EDITED = "compositeWithTrainedAlgorithmicMedia"
    """Edited using Generative AI."""
    COMPOSED_WITH_GENERATED = "compositeSynthetic"
    """Composite including generative AI elements."""
    COMPOSED = "composite"
    """Composite of elements, any of which may or may not be generative AI."""
    DRAWN = "algorithmicMedia"
    """Pure algorithmic media: no sampled training data."""
    ENHANCED = "algorithmicallyEnhanced"
    """Algorithmically-altered media: the main content stays."""

    @property
    def uri(self) -> str:
        return SOURCE_TYPES + self.value


@dataclass(frozen=True, slots=True)
class Mark:
    """`receipt` is JSON. `source_type_uri` is None where nobody can say how the picture was made; a file that
    others wrote may name a term that is not in SourceType."""

    receipt: str | None
    source_type_uri: str | None = None


class Unreadable(ValueError):
    """No file that can be marked, or one that is damaged. The message is a sentence's end: "is ..."."""

"""A small, fixed part of what benchmarks/typesetter.py measures at length."""

import pytest

from deployments import images
from deployments.types import EncodedImage
from deployments.typesetter.fonts import FontLibrary
from deployments.typesetter.layout import Kind
from deployments.typesetter.model import TypesetterModel
from tests.deployments.typesetter.reading import Reader, same_text
from tests.deployments.typesetter.specimens import (
    LATIN_SCRIPTS,
    draw,
    measure,
    poster_request,
    scene_of,
    specimens,
)


def test_nothing_is_clipped_and_everything_has_contrast(library: FontLibrary) -> None:
    small = [specimen for specimen in specimens(150, seed=5) if max(specimen.width, specimen.height) <= 512]
    assert {specimen.kind for specimen in small} == set(Kind)
    for specimen in small[::2]:
        measured = measure(scene_of(specimen, library))
        assert measured.clear_px >= 0, specimen
        assert measured.contrast is None or measured.contrast >= 4.5, specimen


@pytest.mark.slow
def test_what_was_set_can_be_read(library: FontLibrary) -> None:
    reader = Reader()
    chosen = [s for s in specimens(50, seed=1) if s.script in LATIN_SCRIPTS and len(s.text) > 2][:14]
    misread = []
    for specimen in chosen:
        seen = reader.read(draw(scene_of(specimen, library), with_text=True))
        if not same_text(seen, specimen.text):
            misread.append((specimen, seen))
    assert len(misread) <= 1, misread


@pytest.mark.slow
async def test_posters_over_noise_can_be_read(model: TypesetterModel) -> None:
    reader, misread = Reader(), []
    for seed in range(5):
        request, text = poster_request(seed)
        result = await model.render(request)
        assert isinstance(result.image, EncodedImage)
        seen = reader.read(images.decode(result.image.data))
        if not same_text(seen, text):
            misread.append((text, seen))
    assert len(misread) <= 1, misread

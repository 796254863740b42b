import pytest
from openai.types.image_generate_params import ImageGenerateParamsBase
from pydantic import ValidationError

from serve.schemas import ImageGenerationRequest

NOT_OFFERED = {"complexity", "frame_count", "frame_duration_ms", "svg", "prompt_rewriter"}


def test_every_field_of_the_official_client_is_taken_or_refused_by_name() -> None:
    theirs = set(ImageGenerateParamsBase.__annotations__)
    ours = set(ImageGenerationRequest.model_fields)
    assert theirs - ours <= NOT_OFFERED
    assert ours - theirs <= {"atelier", "stream"}
    for name in theirs & NOT_OFFERED:
        with pytest.raises(ValidationError, match=name):
            ImageGenerationRequest.model_validate({"prompt": "x", name: 2})


def test_of_many_unknown_fields_the_first_is_refused_and_no_other_looked_at() -> None:
    many = {"prompt": "x", **{f"x{number}": number for number in range(1000)}}
    with pytest.raises(ValidationError) as caught:
        ImageGenerationRequest.model_validate(many)
    assert [error["loc"] for error in caught.value.errors()] == [("x0",)]

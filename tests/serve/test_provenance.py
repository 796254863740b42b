"""What answers write into their files, through HTTP and the official client."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openai
import pytest
from click.testing import CliRunner

from deployments.provenance import files
from deployments.provenance.mark import Mark, Metadata, SourceType
from serve.cli.receipt import AS_WRITTEN, CHANGED, TROUBLE, receipt
from serve.config import parse_config
from serve.provenance import Provenance
from serve.schemas import ImageEntry, StageEntry
from tests.serve.gateways import gateway, http, official

POLICY = "model_routing: [{name: posters, pattern: '.*', stages: [painter, upscale_2x]}]"
MODELS: dict[str, dict[str, Any]] = {
    "painter": {"kind": "echo", "pricing": {"usd_per_image": 0.04}},
    "upscale_2x": {"kind": "echo", "capability": "upscale", "scale": 2},
}
PRIVATE = ("cost_usd", "gpu_s", "budget_ms", "total_ms", "run_ms", "queue_ms", "reason", "substitutions")


async def drawn(
    client: openai.AsyncOpenAI, options: dict[str, Any] | None = None, **fields: Any
) -> tuple[bytes, dict[str, Any]]:
    """The file, and the answer's receipt."""
    images = await client.images.generate(
        prompt="a fox", extra_body={"atelier": {"seed": 7, **(options or {})}}, **fields
    )
    assert images.data is not None
    assert images.model_extra is not None
    return base64.b64decode(images.data[0].b64_json or ""), images.model_extra["atelier"]


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
async def test_a_file_says_how_it_was_made_and_not_what_it_cost(output_format: Any) -> None:
    data, answered = await drawn(official(gateway(POLICY, MODELS)), output_format=output_format)
    mark = files.read(data)
    assert mark.source_type_uri == SourceType.GENERATED.uri
    assert mark.receipt is not None
    kept = json.loads(mark.receipt)
    (image,) = kept["images"]
    assert (kept["policy_version"], "request_id" in kept) == (answered["policy_version"], False)
    assert (kept["route"], image["model"], image["seed"]) == ("posters", "painter+upscale_2x", 7)
    assert image["pixels_sha256"] == answered["images"][0]["pixels_sha256"]
    assert not [name for name in PRIVATE if f'"{name}"' in mark.receipt]


async def test_each_of_several_files_has_its_own_receipt() -> None:
    images = await official(gateway(POLICY, MODELS)).images.generate(
        prompt="a fox", n=3, extra_body={"atelier": {"seed": 7}}
    )
    assert images.data is not None
    marks = [files.read(base64.b64decode(each.b64_json or "")) for each in images.data]
    seeds = [[image["seed"] for image in json.loads(mark.receipt or "")["images"]] for mark in marks]
    assert seeds == [[7], [8], [9]]


@pytest.mark.parametrize(
    ("config", "asked", "has_receipt", "has_source"),
    [
        ("receipt", None, True, True),
        ("receipt", "none", False, False),
        ("receipt", "source", False, True),
        ("none", None, False, False),
        ("none", "receipt", True, True),
        ("source", None, False, True),
    ],
)
async def test_the_caller_has_the_last_word(
    config: str, asked: str | None, has_receipt: bool, has_source: bool
) -> None:
    of = gateway(POLICY, MODELS, provenance={"metadata": config})
    data, _ = await drawn(official(of), {} if asked is None else {"metadata": asked})
    mark = files.read(data)
    assert (mark.receipt is not None, mark.source_type_uri is not None) == (has_receipt, has_source)


async def test_marks_change_no_pixel_and_come_off_without_a_trace() -> None:
    client = official(gateway(POLICY, MODELS))
    marked, _ = await drawn(client)
    plain, _ = await drawn(client, {"metadata": "none"})
    assert files.strip(marked) == plain
    assert files.read(plain) == Mark(None)


async def test_equal_images_are_equal_files_kept_or_not() -> None:
    client = official(gateway(POLICY, MODELS))
    answers = [
        await drawn(client, {"deterministic": True}),
        await drawn(client, {"deterministic": True}),
        await drawn(client),  # plain echoes are the same pixels all the same
    ]
    assert [answered["images"][0]["cache"] for _, answered in answers] == ["miss", "hit", "off"]
    assert len({data for data, _ in answers}) == 1


async def test_files_answered_by_url_and_the_last_event_of_a_stream() -> None:
    of = gateway(POLICY, MODELS)
    images = await official(of).images.generate(prompt="a fox", response_format="url")
    assert images.data is not None
    async with http(of) as client:
        stored = await client.get(images.data[0].url or "")
    assert files.read(stored.content).receipt is not None
    stream = await official(of).images.generate(prompt="a fox", stream=True)
    last = [event async for event in stream][-1]
    assert files.read(base64.b64decode(last.b64_json)).receipt is not None


async def test_a_metadata_that_does_not_exist() -> None:
    with pytest.raises(openai.BadRequestError, match="metadata"):
        await drawn(official(gateway(POLICY, MODELS)), {"metadata": "everything"})


PROVENANCE = Provenance.of(
    parse_config(
        {
            "models": {
                "painter": {"kind": "echo"},
                "typesetter": {"kind": "typesetter"},
                "upscaler": {"kind": "upscaler", "factor": 2},
                "latent": {"kind": "upscaler", "factor": 2, "weights": "w", "diffusion": {}},
                "denoiser": {"kind": "denoiser", "weights": "w"},
            },
            "policy": {"text": POLICY.replace("upscale_2x", "upscaler")},
        }
    )
)


@pytest.mark.parametrize(
    ("models", "is_edit", "expected"),
    [
        (["painter"], False, SourceType.GENERATED),
        (["painter", "upscaler", "denoiser"], False, SourceType.GENERATED),
        (["painter"], True, SourceType.EDITED),
        (["painter", "typesetter"], False, SourceType.COMPOSED_WITH_GENERATED),
        (["typesetter"], False, SourceType.DRAWN),
        (["typesetter"], True, SourceType.COMPOSED),
        (["upscaler"], True, SourceType.ENHANCED),
        (["denoiser"], True, SourceType.ENHANCED),
        (["latent"], True, SourceType.EDITED),
    ],
)
def test_the_source_type_of_what_models_make(
    models: Sequence[str], is_edit: bool, expected: SourceType
) -> None:
    assert PROVENANCE.source_type(entry(models), is_edit) is expected


def test_nobody_says_how_a_baked_asset_was_made() -> None:
    assert PROVENANCE.source_type(entry(["typesetter"], generated=False), False) is None
    assert PROVENANCE.default is Metadata.RECEIPT


def entry(models: Sequence[str], generated: bool = True) -> ImageEntry:
    stages = [
        StageEntry(
            model=name,
            revision="r",
            width=8,
            height=8,
            seed=None,
            steps=None,
            queue_ms=0,
            run_ms=0,
            gpu_s=0,
            cost_usd=0,
            pixels_sha256=None,
            details={},
        )
        for name in models
    ]
    return ImageEntry(
        seed=1,
        model="+".join(models),
        generated=generated,
        outcome="ok",
        rung=0,
        substituted=False,
        substitutions=[],
        cache="off",
        stages=stages,
        pixels_sha256=None,
    )


async def test_the_command_shows_the_receipt_of_a_file(tmp_path: Path) -> None:
    data, answered = await drawn(official(gateway(POLICY, MODELS)))
    file = tmp_path / "fox.png"
    file.write_bytes(data)
    shown = CliRunner().invoke(receipt, [str(file)])
    assert shown.exit_code == AS_WRITTEN, shown.output
    assert answered["policy_version"] in shown.output
    assert "as it was written" in shown.output
    assert "trainedAlgorithmicMedia" in shown.output
    found = json.loads(CliRunner().invoke(receipt, [str(file), "--json"]).output)
    assert found["integrity"] == "as_written"
    assert found["receipt"]["images"][0]["stages"][1]["model"] == "upscale_2x"


async def test_the_command_sees_that_pixels_were_changed(tmp_path: Path) -> None:
    client = official(gateway(POLICY, MODELS))
    (data, _), (other, _) = await drawn(client), await drawn(client, {"seed": 8, "metadata": "none"})
    begin, end = data.index(b"iTXt") - 4, data.index(b"IDAT") - 4
    file = tmp_path / "fox.png"
    file.write_bytes(other[:33] + data[begin:end] + other[33:])
    shown = CliRunner().invoke(receipt, [str(file)])
    assert (shown.exit_code, "written again since" in shown.output) == (CHANGED, True)


@pytest.mark.parametrize("metadata", ["none", "source"])
async def test_the_command_on_a_file_without_a_receipt(tmp_path: Path, metadata: str) -> None:
    data, _ = await drawn(official(gateway(POLICY, MODELS)), {"metadata": metadata})
    file = tmp_path / "fox.png"
    file.write_bytes(data)
    shown = CliRunner().invoke(receipt, [str(file)])
    assert (shown.exit_code, "has no receipt" in shown.output) == (TROUBLE, True)
    assert ("trainedAlgorithmicMedia" in shown.output) == (metadata == "source")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"GIF89a", "is not a PNG, JPEG, WebP or SVG picture"),
        (b"\x89PNG\r\n\x1a\n", "is cut off"),
    ],
)
def test_the_command_on_what_is_no_sound_picture(tmp_path: Path, data: bytes, says: str) -> None:
    file = tmp_path / "fox.png"
    file.write_bytes(data)
    shown = CliRunner().invoke(receipt, [str(file)])
    assert (shown.exit_code, says in shown.output) == (TROUBLE, True)

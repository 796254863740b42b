import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from deployments import errors, images
from deployments.telemetry import SPAN_TYPESET
from deployments.types import EncodedImage, Encoding, ImageFormat, Pixels, RenderRequest, RenderResult
from deployments.typesetter.layout import Kind
from deployments.typesetter.model import TypesetterModel
from deployments.typesetter.spec import TypesetterSpec

BADGE = 'a green ui-badge that says "SALE 50%"'


def request(prompt: str = BADGE, size: tuple[int, int] = (256, 256), **more: Any) -> RenderRequest:
    more.setdefault("encoding", Encoding(transparent=True))
    return RenderRequest("r", prompt, *size, seed=1, **more)


def pixels_of(result: RenderResult) -> Pixels:
    assert isinstance(result.image, EncodedImage)
    return images.decode(result.image.data)


async def test_an_image_costs_what_the_config_says() -> None:
    pricing = {"usd_per_image": 0.002, "usd_per_gpu_hour": 4.0}
    typesetter = TypesetterModel(
        "typography", TypesetterSpec.model_validate({"kind": "typesetter", "pricing": pricing})
    )
    await typesetter.load()
    assert (await typesetter.render(request())).receipt.cost_usd == 0.002


async def test_a_badge_is_set_word_for_word(model: TypesetterModel) -> None:
    result = await model.render(request())
    receipt = result.receipt
    assert " ".join(receipt.details["lines"]) == "SALE 50%"
    assert receipt.details["text_source"] == "quoted"
    assert receipt.details["contrast_ratio"] >= 4.5
    assert receipt.revision == model.revision
    assert (receipt.width, receipt.height) == (256, 256)
    pixels = pixels_of(result)
    assert pixels[0, 0, 3] == 0
    red, green, blue, alpha = (int(v) for v in pixels[128, 30])
    assert alpha == 255
    assert green > red
    assert green > blue


@pytest.mark.parametrize("format_", [ImageFormat.PNG, ImageFormat.JPEG, ImageFormat.WEBP])
async def test_raster_formats_have_the_size_asked_for(model: TypesetterModel, format_: ImageFormat) -> None:
    result = await model.render(request(size=(200, 120), encoding=Encoding(format_)))
    assert isinstance(result.image, EncodedImage)
    assert result.image.format is format_
    assert pixels_of(result).shape == (120, 200, 3)


async def test_svg_holds_outlines_and_no_text_elements(model: TypesetterModel) -> None:
    result = await model.render(request(encoding=Encoding(ImageFormat.SVG, transparent=True)))
    assert isinstance(result.image, EncodedImage)
    svg = result.image.data.decode()
    assert svg.startswith("<svg")
    assert "<text" not in svg
    assert "font" not in svg
    assert "<title>SALE 50%</title>" in svg


async def test_text_in_svg_is_escaped(model: TypesetterModel) -> None:
    result = await model.render(request('badge "a < b & c"', encoding=Encoding(ImageFormat.SVG)))
    assert isinstance(result.image, EncodedImage)
    assert b"a &lt; b &amp; c" in result.image.data


async def test_without_encoding_the_next_stage_gets_pixels(model: TypesetterModel) -> None:
    result = await model.render(request(encoding=None))
    assert isinstance(result.image, np.ndarray)
    assert result.image.shape == (256, 256, 4)
    assert result.receipt.pixels_sha256 == images.sha256(result.image)


async def test_the_seed_moves_only_decoration(model: TypesetterModel) -> None:
    poster = request('poster "Dusk"')
    first, again = await model.render(poster), await model.render(poster)
    other = await model.render(replace(poster, seed=2))
    assert first.receipt.pixels_sha256 == again.receipt.pixels_sha256
    assert first.receipt.pixels_sha256 != other.receipt.pixels_sha256
    assert first.receipt.details == other.receipt.details


@pytest.mark.parametrize("kind", list(Kind))
async def test_every_kind_can_be_asked_for_by_layout(model: TypesetterModel, kind: Kind) -> None:
    layout = {
        "kind": kind.value,
        "lines": [{"text": "Spring"}, {"text": "from Monday", "role": "body"}],
        "icon": "star",
        "fill": "#7a3ff2",
    }
    result = await model.render(request("", (384, 256), options={"layout": layout}))
    assert result.receipt.details["kind"] == kind.value
    assert result.receipt.details["text_source"] == "layout"
    assert result.receipt.details["contrast_ratio"] >= 4.5


@pytest.mark.parametrize(
    ("layout", "complaint"),
    [
        ({"lines": [{"text": "x"}], "kind": "rosette"}, "'badge', 'pill'"),
        ({"lines": [{"text": "x"}], "colour": "red"}, "layout.colour"),
        ({"lines": []}, "layout.lines"),
        ({"lines": [{"text": "  "}]}, "no text to set"),
        ({"lines": [{"text": "x"}], "fill": "greenish"}, "unknown colour 'greenish'"),
        ({"lines": [{"text": "x"}], "icon": "dragon"}, "unknown icon 'dragon': choose one of"),
        ({"lines": [{"text": "x"}], "brand": "acme"}, "unknown brand 'acme'"),
        ({"lines": [{"text": "x"}], "font": "Comic"}, "unknown font 'Comic': choose one of Inter"),
        ({"lines": [{"text": "word " * 70}]}, "do not fit at a legible size"),
        ("badge", "layout"),
    ],
)
async def test_bad_layouts_are_named_with_the_choices(
    model: TypesetterModel, layout: Any, complaint: str
) -> None:
    with pytest.raises(errors.InvalidRequest) as failure:
        await model.render(request("", (96, 64), options={"layout": layout}))
    assert complaint in failure.value.message


async def test_a_character_without_a_glyph_is_unsupported(model: TypesetterModel) -> None:
    with pytest.raises(errors.Unsupported, match="U\\+1F600 GRINNING FACE"):
        await model.render(request('badge "Hi 😀"'))


@pytest.mark.parametrize("size", [(16, 256), (8192, 8192)])
async def test_sizes_out_of_range_are_unsupported(model: TypesetterModel, size: tuple[int, int]) -> None:
    with pytest.raises(errors.Unsupported, match="size"):
        await model.render(request(size=size))


async def test_after_the_deadline_nothing_is_drawn(model: TypesetterModel) -> None:
    with pytest.raises(errors.DeadlineExceeded):
        await model.render(request(deadline_unix_s=time.time() - 1))


async def test_a_brand_kit_gives_colour_and_corner(tmp_path: Path) -> None:
    (tmp_path / "acme.yaml").write_text("name: acme\npalette: {sun: '#ffd23f'}\nfill: sun\ncorner: square\n")
    branded = TypesetterModel("typography", TypesetterSpec(kind="typesetter", brand_kits=tmp_path))
    await branded.load()
    result = await branded.render(request('badge "Hi" for brand acme'))
    red, green, blue = (int(v) for v in pixels_of(result)[128, 60, :3])
    assert red > 200
    assert green > 150
    assert blue < 140
    plain = TypesetterModel("typography", TypesetterSpec(kind="typesetter"))
    await plain.load()
    assert plain.revision != branded.revision


async def test_load_and_health(model: TypesetterModel) -> None:
    run_ms = (await model.render(request(size=(400, 250)))).receipt.run_ms
    report = model.load_report()
    assert report.observed == 1
    predicted_ms = report.wait_ms + report.overhead_ms + report.step_ms_per_megapixel * 0.1
    assert predicted_ms == pytest.approx(run_ms)
    assert (report.running, report.queued) == (0, 0)
    model.check_health()


async def test_work_is_one_span(model: TypesetterModel, monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer: trace.Tracer = provider.get_tracer("test")
    monkeypatch.setattr("deployments.typesetter.model.tracer", tracer)
    await model.render(request())
    assert [span.name for span in exporter.get_finished_spans()] == [SPAN_TYPESET, "encode_image"]


_HASH_OF_EACH = """
import asyncio, hashlib
from deployments.types import Encoding, ImageFormat, RenderRequest
from deployments.typesetter.model import TypesetterModel
from deployments.typesetter.spec import TypesetterSpec

async def main():
    model = TypesetterModel("t", TypesetterSpec(kind="typesetter"))
    await model.load()
    print(model.revision)
    for prompt in ('badge "SALE 50%"', 'poster "夏の音楽" "خصم اليوم"'):
        for format_ in ImageFormat:
            request = RenderRequest("r", prompt, 200, 200, 1, encoding=Encoding(format_))
            print(hashlib.sha256((await model.render(request)).image.data).hexdigest())

asyncio.run(main())
"""


def test_two_processes_give_the_same_bytes() -> None:
    command = [sys.executable, "-c", _HASH_OF_EACH]
    first, second = (
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() for _ in range(2)
    )
    assert len(first) == 9
    assert first == second

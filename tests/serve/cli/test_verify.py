"""`atelier verify` against a real server and a real pipeline, and against models loaded in this process."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from click.testing import CliRunner, Result
from PIL import Image

from deployments import errors
from deployments.catalog import build_model
from deployments.client import LocalModelClient
from deployments.model import Model
from deployments.types import RenderRequest, RenderResult
from serve.cli.verify import DIFFERENT, SAME, TROUBLE, verify
from serve.config import parse_config
from serve.gateway import Gateway
from serve.schemas import ImageEditRequest, ImageVariationRequest
from serve.verification import Pictures, Unverifiable, read_request
from tests.serve.gateways import echo, gateway, listening
from tests.serve.painter import POLICY, Painter, post

PROMPT = "a red fox"


@pytest.fixture
def kept(tmp_path: Path) -> Callable[[Any], str]:
    """Writes an answer to a file."""

    def write(answer: Any) -> str:
        file = tmp_path / "receipt.json"
        file.write_text(json.dumps(answer))
        return str(file)

    return write


def run(*arguments: str) -> Result:
    return CliRunner().invoke(verify, arguments)


def asked(painter: Painter, **options: Any) -> dict[str, Any]:
    status, answer = post(painter.url, {"prompt": PROMPT, "atelier": {"deterministic": True, **options}})
    assert status == 200
    return answer


def test_the_server_that_made_it_makes_it_again(
    serve_painter: Callable[..., Painter], kept: Callable[[Any], str]
) -> None:
    painter = serve_painter()
    answer = asked(painter, negative_prompt="blurry", guidance_scale=3.0, steps=2)
    request = {"prompt": PROMPT, "n": 2, "atelier": {"negative_prompt": "blurry", "max_latency_ms": 1}}
    file = Path(kept(answer)).with_name("request.json")
    file.write_text(json.dumps(request))
    result = run(kept(answer), "--request", str(file), "--url", painter.url)
    assert result.exit_code == SAME, result.output
    assert f"the same pixels ({answer['atelier']['images'][0]['pixels_sha256']})" in result.output
    assert "not promised: across hardware" in result.output
    assert PROMPT not in json.dumps(answer)


def test_the_receipt_in_a_picture_will_do(serve_painter: Callable[..., Painter], tmp_path: Path) -> None:
    painter = serve_painter()
    file = tmp_path / "fox.png"
    file.write_bytes(base64.b64decode(asked(painter)["data"][0]["b64_json"]))
    result = run(str(file), "--prompt", PROMPT, "--url", painter.url)
    assert result.exit_code == SAME, result.output


def test_another_prompt_is_told_from_other_pixels(
    serve_painter: Callable[..., Painter], kept: Callable[[Any], str]
) -> None:
    painter = serve_painter()
    result = run(kept(asked(painter)), "--prompt", "a blue fox", "--url", painter.url)
    assert result.exit_code == TROUBLE
    assert "was given another prompt" in result.output


def test_models_of_a_config_make_it_here(
    serve_painter: Callable[..., Painter], kept: Callable[[Any], str], tmp_path: Path
) -> None:
    painter = serve_painter()
    answer = asked(painter)
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"models": {"painter": painter.document}, "policy": {"text": POLICY}}))
    result = run(kept(answer["atelier"]), "--prompt", PROMPT, "--config", str(config))
    assert result.exit_code == SAME, result.output

    stage = answer["atelier"]["images"][0]["stages"][0]
    stage["details"]["device"] = "NVIDIA H100"
    stage["pixels_sha256"] = "0" * 64
    result = run(kept(answer), "--prompt", PROMPT, "--config", str(config))
    assert result.exit_code == DIFFERENT
    assert f"other pixels ({'0' * 64} then" in result.output
    assert "not promised: other device: NVIDIA H100 then, cpu" in result.output

    stage["model"] = "sculptor"
    result = run(kept(answer), "--prompt", PROMPT, "--config", str(config))
    assert result.exit_code == TROUBLE
    assert "the config has no model sculptor; it has painter" in result.output


def test_a_broken_promise_is_called_one(
    serve_painter: Callable[..., Painter], kept: Callable[[Any], str]
) -> None:
    painter = serve_painter()
    answer = asked(painter)
    answer["atelier"]["images"][0]["stages"][0]["pixels_sha256"] = "0" * 64
    result = run(kept(answer), "--prompt", PROMPT, "--url", painter.url)
    assert result.exit_code == DIFFERENT
    assert "the same were promised for the same request" in result.output


def test_each_image_of_several_is_rendered_by_its_own_seed(kept: Callable[[Any], str]) -> None:
    with listening(gateway()) as url:
        body = {"prompt": "ui-badge", "n": 3, "atelier": {"seed": 5}}
        file = kept(post(url, body)[1])
        everything = run(file, "--prompt", "ui-badge", "--url", url)
        last = run(file, "--prompt", "ui-badge", "--url", url, "--number", "2")
    assert (everything.exit_code, last.exit_code) == (SAME, SAME)
    assert [f"image {index}, seed {5 + index}" in everything.output for index in range(3)] == [True] * 3
    assert "image 0" not in last.output


def test_a_model_that_stands_in_is_no_answer(kept: Callable[[Any], str]) -> None:
    full = False

    async def sometimes(request: RenderRequest) -> RenderResult:
        if full:
            raise errors.OutOfMemory("no memory")
        return await echo("typography_focused").render(request)

    with listening(gateway(renders={"typography_focused": sometimes})) as url:
        file = kept(post(url, {"prompt": "ui-badge"})[1])
        full = True
        result = run(file, "--prompt", "ui-badge", "--url", url)
    assert result.exit_code == TROUBLE
    assert "the server answered 503: no memory" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--prompt", "x"), "either --url or --config"),
        (("--url", "http://127.0.0.1:1"), "say what was asked for: --prompt or --request"),
        (("--prompt", "x", "--mask", __file__, "--url", "http://127.0.0.1:1"), "a mask needs the picture"),
        (("--prompt", "x", "--url", "http://127.0.0.1:1"), "http://127.0.0.1:1 does not answer"),
        (("--prompt", "x", "--url", "127.0.0.1"), "is not a server's address"),
        (("--prompt", "x", "--url", "http://127.0.0.1:1", "--number", "1"), "numbered from 0"),
    ],
)
def test_what_cannot_be_found_out_says_why(
    kept: Callable[[Any], str], arguments: tuple[str, ...], words: str
) -> None:
    stage = {"model": "m", "revision": "1", "width": 8, "height": 8}
    result = run(kept({"images": [{"seed": 1, "stages": [stage]}]}), *arguments)
    assert result.exit_code == TROUBLE
    assert words in result.output


def test_a_file_that_is_no_receipt_is_said_so(kept: Callable[[Any], str]) -> None:
    result = run(kept({"data": []}), "--prompt", "x", "--url", "http://127.0.0.1:1")
    assert result.exit_code == TROUBLE
    assert "this is no receipt" in result.output


@pytest.mark.parametrize("worded", [False, True])
def test_a_baked_asset_has_nothing_to_render(kept: Callable[[Any], str], worded: bool) -> None:
    stage = {"model": "words", "revision": "r", "width": 8, "height": 8}
    image = {"seed": 1, "generated": False, "stages": [stage] if worded else []}
    result = run(kept({"images": [image]}), "--prompt", "x", "--url", "http://127.0.0.1:1")
    assert result.exit_code == TROUBLE
    assert "a baked asset" in result.output


def picture(folder: Path, name: str, colour: tuple[int, ...]) -> str:
    """A file of 64x64 pixels; with a fourth channel, of a mask."""
    file = folder / f"{name}.png"
    Image.new("RGB" if len(colour) == 3 else "RGBA", (64, 64), colour).save(file)
    return str(file)


def sent(url: str, path: str, files: dict[str, str], **fields: str) -> dict[str, Any]:
    """The answer to a form with those files."""
    contents = {name: (name, Path(file).read_bytes()) for name, file in files.items()}
    answer = httpx2.post(f"{url}/v1/images/{path}", data=fields, files=contents, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def test_an_edit_is_verified_with_the_files_that_were_sent(
    serve_painter: Callable[..., Painter], kept: Callable[[Any], str], tmp_path: Path
) -> None:
    painter = serve_painter()
    files = {
        "image": picture(tmp_path, "image", (200, 30, 30)),
        "mask": picture(tmp_path, "mask", (0, 0, 0, 0)),
    }
    options = '{"deterministic": true, "strength": 0.7}'
    receipt = kept(sent(painter.url, "edits", files, prompt=PROMPT, atelier=options))
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"models": {"painter": painter.document}, "policy": {"text": POLICY}}))

    asked = (receipt, "--prompt", PROMPT)
    both = ("--image", files["image"], "--mask", files["mask"])
    for where in (("--url", painter.url), ("--config", str(config))):
        result = run(*asked, *both, *where)
        assert result.exit_code == SAME, result.output

        result = run(*asked, *where)
        assert result.exit_code == TROUBLE
        assert "a picture that was changed: give its file with --image" in result.output

        result = run(*asked, "--image", files["image"], *where)
        assert result.exit_code == TROUBLE
        assert "was given another prompt, negative prompt or picture then" in result.output

    result = run(*asked, "--image", receipt, "--config", str(config))
    assert result.exit_code == TROUBLE
    assert "the request is refused: image is" in result.output


def test_a_variation_is_verified_by_its_picture_alone(
    serve_painter: Callable[..., Painter], kept: Callable[[Any], str], tmp_path: Path
) -> None:
    painter = serve_painter()
    file = picture(tmp_path, "image", (30, 200, 30))
    receipt = kept(sent(painter.url, "variations", {"image": file}, **{"atelier[deterministic]": "true"}))
    assert run(receipt, "--image", file, "--url", painter.url).exit_code == SAME
    other = run(receipt, "--image", picture(tmp_path, "other", (30, 30, 200)), "--url", painter.url)
    assert other.exit_code == TROUBLE


@pytest.mark.parametrize(
    ("request_text", "kind"),
    [
        ('{"user": "prompt"}', ImageVariationRequest),
        ('{"atelier": {"asset": "prompt"}}', ImageVariationRequest),
        ('{"prompt": "a fox"}', ImageEditRequest),
        (r'{"\u0070rompt": "a fox"}', ImageEditRequest),
    ],
)
def test_an_edit_is_known_by_its_prompt_and_not_by_the_word(request_text: str, kind: type) -> None:
    assert type(read_request(request_text.encode(), Pictures(image=b"picture"))) is kind


@pytest.mark.parametrize("text", [b"", b"[]", b'{"prompt"', b"\xff", b"[" * 100_000])
def test_what_is_no_request_is_said_so(text: bytes) -> None:
    with pytest.raises(Unverifiable, match="the request is not one of POST /v1/images/variations"):
        read_request(text, Pictures(image=b"picture"))


STAGES = {
    "painter": {"kind": "diffusion", "default_width": 64, "default_height": 64, "default_steps": 3},
    "words": {"kind": "typesetter"},
    "larger": {"kind": "upscaler"},
}


@pytest.fixture
async def staged(weights: Path) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Address and config of a server that paints, sets words over the picture and enlarges both."""
    document = {
        "models": {**STAGES, "painter": {**STAGES["painter"], "weights": str(weights)}},
        "policy": {"text": "default: {stages: [painter, words, larger]}"},
    }
    config = parse_config(document)
    models: dict[str, Model] = {name: build_model(name, spec) for name, spec in config.models.items()}
    for model in models.values():
        await model.load()
    app = Gateway(config, {name: LocalModelClient(name, model.render) for name, model in models.items()})
    with listening(app) as url:
        yield url, document
    for model in models.values():
        await model.close()


async def test_every_stage_of_several_is_compared(
    staged: tuple[str, dict[str, Any]], kept: Callable[[Any], str], tmp_path: Path
) -> None:
    url, document = staged
    prompt = 'a badge "NEW" on a red fox'
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(document))
    body = {"prompt": prompt, "size": "128x128", "atelier": {"deterministic": True, "seed": 7}}
    status, answer = await asyncio.to_thread(post, url, body)
    assert status == 200, answer
    stages = answer["atelier"]["images"][0]["stages"]
    assert [stage["model"] for stage in stages] == ["painter", "words", "larger"]

    request = tmp_path / "request.json"
    request.write_text(json.dumps(body))
    for where in (("--url", url), ("--config", str(config))):
        result = await asyncio.to_thread(run, kept(answer), "--request", str(request), *where)
        assert result.exit_code == SAME, result.output
        assert result.output.count("the same pixels (") == 3

    stages[1]["pixels_sha256"] = "0" * 64
    result = await asyncio.to_thread(run, kept(answer), "--request", str(request), "--config", str(config))
    assert result.exit_code == DIFFERENT
    assert [line.split(",")[0].strip() for line in result.output.splitlines() if "64x64" in line] == [
        "painter",
        "words",
    ]
    assert "larger" not in result.output, "what followed was made of other pixels"

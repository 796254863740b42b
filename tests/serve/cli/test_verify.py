"""`atelier verify` against a real server and a real pipeline, and against models loaded in this process."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from deployments import errors
from deployments.types import RenderRequest, RenderResult
from serve.cli.verify import DIFFERENT, SAME, TROUBLE, verify
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
        last = run(file, "--prompt", "ui-badge", "--url", url, "--image", "2")
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
        (("--url", "http://127.0.0.1:1"), "either --prompt or --request"),
        (("--prompt", "x", "--url", "http://127.0.0.1:1"), "http://127.0.0.1:1 does not answer"),
        (("--prompt", "x", "--url", "127.0.0.1"), "is not a server's address"),
        (("--prompt", "x", "--url", "http://127.0.0.1:1", "--image", "1"), "numbered from 0"),
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

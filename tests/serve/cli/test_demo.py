import io
import json
import shlex
import socket
from pathlib import Path
from typing import Any

import click
import pytest
from PIL import Image
from rich.console import Console

from deployments import errors
from deployments.types import RenderRequest, RenderResult
from serve.cli.demo import SAMPLES, render_demo, usage_lines
from tests.serve.gateways import SEED_POLICY, gateway, http, listening


def test_the_samples_are_rendered_and_each_is_explained(tmp_path: Path) -> None:
    async def full(request: RenderRequest) -> RenderResult:
        raise errors.OutOfMemory("no memory")

    text = io.StringIO()
    policy = SEED_POLICY.replace(
        'model: "creative_highfidelity"', "model: creative_highfidelity\n    fallback: [typography_focused]"
    )
    with listening(gateway(policy, renders={"creative_highfidelity": full})) as url:
        render_demo(url, tmp_path / "samples", Console(file=text, width=200))
    pictures = {path.name: Image.open(path) for path in (tmp_path / "samples").iterdir()}
    assert pictures.keys() == {sample.file for sample in SAMPLES}
    assert pictures["badge.png"].size == (512, 256)
    assert all(picture.format == "PNG" for picture in pictures.values())
    assert "by typography_focused" in text.getvalue()
    assert "tried first: creative_highfidelity: out_of_memory" in text.getvalue()


def test_the_server_s_own_words_are_the_error(tmp_path: Path) -> None:
    async def fail(request: RenderRequest) -> RenderResult:
        raise errors.InvalidRequest("the prompt has no text", "prompt")

    with (
        listening(gateway(renders={"typography_focused": fail})) as url,
        pytest.raises(click.ClickException) as caught,
    ):
        render_demo(url, tmp_path, Console(quiet=True))
    assert caught.value.message == "badge.png could not be rendered: the prompt has no text"


def test_a_server_that_is_gone_is_one_line_too(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(click.ClickException, match=r"badge\.png could not be rendered: .*refused"):
            render_demo(url, tmp_path, Console(quiet=True))


def after(title: str, url: str) -> list[str]:
    """The shell words of the command below `title`."""
    lines = usage_lines(url, "http://127.0.0.1:9000/metrics")
    return shlex.split(lines[lines.index(title) + 1])


async def test_the_curl_line_works_as_pasted() -> None:
    words = after("With curl:", "http://atelier")
    assert words[:3] == ["curl", "-s", "http://atelier/v1/images/generations"]
    async with http(gateway()) as client:
        name, value = words[words.index("-H") + 1].split(": ")
        answer = await client.post(words[2], content=words[words.index("-d") + 1], headers={name: value})
    assert answer.status_code == 200
    assert answer.json()["atelier"]["model"] == "typography_focused"
    assert json.loads(words[words.index("-d") + 1])["prompt"].endswith('"NEW"')


def test_the_python_line_works_as_pasted(capsys: pytest.CaptureFixture[str]) -> None:
    with listening(gateway()) as url:
        python, option, code = after("With the official OpenAI client:", url)
        names: dict[str, Any] = {}
        exec(code, names)
        names["client"].close()
    assert (python, option) == (".venv/bin/python", "-c")
    assert capsys.readouterr().out.split()[-1] == "typography_focused"
    assert "$" not in code
    assert "`" not in code  # the shell would expand them inside double quotes


def test_the_metrics_address_is_told() -> None:
    assert usage_lines("http://atelier", "http://127.0.0.1:9000/metrics")[-1].endswith(":9000/metrics")

"""Renders a badge, a poster and an upscaled poster through the endpoint, and says what was routed where."""

import base64
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console


@dataclass(frozen=True, slots=True)
class Sample:
    file: str
    asset: str
    prompt: str
    size: str | None


SAMPLES = (
    Sample("badge.png", "ui-badge", 'a green ui-badge that says "SALE 50%"', "512x256"),
    Sample("poster.png", "poster", "a red apple on a blue background, flat style", None),
    Sample("poster-2x.png", "poster-large", "a red apple on a blue background, flat style", None),
)


def render_demo(url: str, folder: Path, console: Console) -> None:
    """Writes the samples into `folder`. Raises ClickException with the server's own words on failure."""
    folder.mkdir(parents=True, exist_ok=True)
    console.print("[bold]What was routed where, and why[/]")
    for sample in SAMPLES:
        with console.status(f"rendering {sample.file} ..."):
            answer = _generate(url, sample)
        path = folder / sample.file
        path.write_bytes(base64.b64decode(answer["data"][0]["b64_json"]))
        receipt = answer["atelier"]
        console.print(
            f"  [green]{path}[/]  {answer['size']}, {receipt['total_ms']:.0f} ms, by {receipt['model']}\n"
            f"    {_why(receipt)}",
            soft_wrap=True,
        )


def usage_lines(url: str, metrics: str) -> list[str]:
    """Commands that work as pasted."""
    body = json.dumps({"prompt": 'a blue ui-badge that says "NEW"', "atelier": {"asset": "ui-badge"}})
    python = (
        "from openai import OpenAI; "
        f"client = OpenAI(base_url='{url}/v1', api_key='none'); "
        "image = client.images.generate(model='auto', prompt='a ui-badge that says HELLO', "
        "extra_body={'atelier': {'asset': 'ui-badge'}}); "
        "print(image.size, image.atelier['route'], image.atelier['model'])"
    )
    return [
        "With curl:",
        f"  curl -s {url}/v1/images/generations -H 'content-type: application/json' -d '{body}'",
        "",
        "With the official OpenAI client:",
        f'  .venv/bin/python -c "{python}"',
        "",
        f"Models: {url}/v1/models   Policy: {url}/v1/policy   API: {url}/openapi.json",
        f"Metrics for Prometheus: {metrics}",
    ]


def _generate(url: str, sample: Sample) -> dict[str, Any]:
    body: dict[str, Any] = {"prompt": sample.prompt, "atelier": {"asset": sample.asset, "seed": 7}}
    if sample.size is not None:
        body["size"] = sample.size
    request = urllib.request.Request(
        f"{url}/v1/images/generations",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            answer: dict[str, Any] = json.load(response)
            return answer
    except urllib.error.HTTPError as error:
        message = json.load(error)["error"]["message"]
        raise click.ClickException(f"{sample.file} could not be rendered: {message}") from None
    except OSError as error:
        raise click.ClickException(f"{sample.file} could not be rendered: {error}") from None


def _why(receipt: dict[str, Any]) -> str:
    failed = [
        f"{'+'.join(each['models'])}: {each['outcome']}"
        for image in receipt["images"]
        for each in image["substitutions"]
    ]
    return str(receipt["reason"]) + (f" (tried first: {', '.join(failed)})" if failed else "")

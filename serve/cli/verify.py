"""`atelier verify`: renders a receipt's request again and says whether the pixels are the same."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import IO

import click

from deployments.verify import Verdict
from serve.config import ConfigError, load_config
from serve.kept import Image
from serve.schemas import ImageGenerationRequest
from serve.verification import (
    Kept,
    Pictures,
    Renderer,
    Unverifiable,
    by_server,
    in_this_process,
    read_receipt,
    read_request,
    request_again,
    request_of,
    verdicts,
)

SAME, DIFFERENT, TROUBLE = 0, 1, 2

_PROMISE = """\
promised: the same pixels on the same kind of device, with the same weights, dtype, scheduler and versions of
          the libraries, for renders that were deterministic or ran alone.
not promised: across hardware, dtypes or versions, or for renders that shared their steps; such pixels differ
          by one level of 255 as a rule."""

_INPUT_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class _Trouble(click.ClickException):
    exit_code = TROUBLE


@click.command()
@click.argument("receipt", type=click.File("rb"))
@click.option("--prompt", help="The prompt, where that is all the request said beyond the receipt.")
@click.option("--request", "request_file", type=click.File("rb"), help="The JSON body that was sent.")
@click.option("--url", help="Ask this server to render again, as in http://127.0.0.1:8000.")
@click.option("--api-key-file", type=_INPUT_FILE, help="For --url.")
@click.option("--config", "config_path", type=_INPUT_FILE, help="Render here, with this app config's models.")
@click.option("--image", "image_file", type=_INPUT_FILE, help="The picture that was sent, for edits.")
@click.option("--mask", "mask_file", type=_INPUT_FILE, help="The mask that was sent with it.")
@click.option("--number", type=click.IntRange(min=0), help="Which image, from 0.  [default: all]")
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=1), default=600.0, help="Seconds an image.")
def verify(
    receipt: IO[bytes],
    prompt: str | None,
    request_file: IO[bytes] | None,
    url: str | None,
    api_key_file: Path | None,
    config_path: Path | None,
    image_file: Path | None,
    mask_file: Path | None,
    number: int | None,
    timeout_s: float,
) -> None:
    """Render the request behind RECEIPT again and compare the SHA-256 of the pixels.

    RECEIPT is the JSON answer to an image request, the `atelier` object in it, or a picture with its receipt
    inside ("-" reads standard input). A receipt holds neither prompt nor pictures: give --prompt, or the
    whole body with --request, and for edits --image and --mask (--request is then the form's fields as
    JSON). A variation has no prompt.

    Exits with 0 if the pixels are the same, 1 if they differ, 2 if that could not be found out.
    """
    if (url is None) == (config_path is None):
        raise click.UsageError("say where to render: either --url or --config")
    if prompt is not None and request_file is not None:
        raise click.UsageError("say what was asked for once: either --prompt or --request")
    if prompt is None and request_file is None and image_file is None:
        raise click.UsageError("say what was asked for: --prompt or --request, or --image for a variation")
    if mask_file is not None and image_file is None:
        raise click.UsageError("a mask needs the picture it came with: --image")
    try:
        config = load_config(config_path) if config_path else None
        pictures = Pictures(*(file.read_bytes() if file else None for file in (image_file, mask_file)))
        body = read_request(request_file.read(), pictures) if request_file else request_of(prompt, pictures)
        images = _chosen(read_receipt(receipt.read()), number)
        key = api_key_file.read_text().strip() if api_key_file else None
        by = in_this_process(config, pictures) if config else by_server(url or "", key, timeout_s, pictures)
        same = asyncio.run(_verify(images, body, by))
    except (Unverifiable, ConfigError) as error:
        raise _Trouble(str(error)) from None
    click.echo(_PROMISE)
    raise SystemExit(SAME if same else DIFFERENT)


async def _verify(
    images: Sequence[tuple[int, Image]],
    body: ImageGenerationRequest,
    by: AbstractAsyncContextManager[Renderer],
) -> bool:
    """Whether all pixels are the same. Prints each image as soon as it is known."""
    same = True
    async with by as render:
        for index, image in images:
            reached = verdicts(image, await render(request_again(body, image), image))
            _show(index, image, reached)
            same = same and reached[-1].same
    return same


def _chosen(kept: Kept, number: int | None) -> list[tuple[int, Image]]:
    if number is None:
        return list(enumerate(kept.images))
    if number >= len(kept.images):
        raise Unverifiable(f"the receipt is of {len(kept.images)} images, numbered from 0")
    return [(number, kept.images[number])]


def _show(index: int, image: Image, reached: Sequence[Verdict]) -> None:
    click.echo(f"image {index}, seed {image.seed}")
    for stage, verdict in zip(image.stages, reached, strict=False):
        steps = f", {stage.steps} steps" if stage.steps else ""
        click.echo(f"  {stage.model}, {stage.width}x{stage.height}{steps}: ", nl=False)
        if verdict.same:
            click.echo(f"the same pixels ({verdict.again.pixels_sha256})")
        else:
            click.echo(f"other pixels ({stage.pixels_sha256} then, {verdict.again.pixels_sha256} now)")
        if not verdict.same and verdict.promised:
            click.echo("    the same were promised for the same request: this is a fault")
        for doubt in verdict.doubts:
            click.echo(f"    not promised: {doubt}")

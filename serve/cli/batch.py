"""`atelier batch`: renders a file of items through an endpoint, and goes on where it was interrupted.

Exit status: 0 when all items have ended and no more failed than --max-failures; 1 when more did; 2 when
nothing could begin; 3 when it stopped before the end, by Ctrl-C or because the endpoint was gone.
"""

import asyncio
import signal
from pathlib import Path

import click
from pydantic import ValidationError
from rich.console import Console

from batches.exchange import EndpointError, Pause, Rules, open_endpoint
from batches.items import Body, BodyProblem, Item, ItemsError, read_items
from batches.manifest import MANIFEST, Manifest, ManifestError
from batches.runner import render_items
from batches.terminal import showing, summary
from loadtests.target import TargetRefused, parse_target
from serve.schemas import ImageGenerationRequest
from serve.settings import SettingsError, read_secret

TOO_MANY_FAILED = 1
NOT_BEGUN = 2
STOPPED = 3


@click.command()
@click.argument("items_path", metavar="ITEMS", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--out", "folder", type=click.Path(file_okay=False, path_type=Path), help="For images and manifest."
)
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="The endpoint.")
@click.option("--api-key-env", metavar="NAME", help="Environment variable that holds the API key.")
@click.option("--concurrency", type=click.IntRange(1, 1000), default=4, show_default=True)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    default=120.0,
    show_default=True,
    help="Seconds that an item may take, all its attempts together.",
)
@click.option(
    "--attempts",
    type=click.IntRange(1, 100),
    default=8,
    show_default=True,
    help="How often an item is sent that is answered 429 or 503, or not at all.",
)
@click.option(
    "--max-failures",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="More failed items than these make the exit status 1.",
)
@click.option("--retry-failed", is_flag=True, help="Render again what failed in an earlier run.")
@click.option("--check", is_flag=True, help="Only check the items.")
def batch(
    items_path: Path,
    folder: Path | None,
    url: str,
    api_key_env: str | None,
    concurrency: int,
    timeout_s: float,
    attempts: int,
    max_failures: int,
    retry_failed: bool,
    check: bool,
) -> None:
    """Render the ITEMS of a .jsonl or .csv file into a folder. Started again, it goes on where it stopped."""
    console = Console(stderr=True, highlight=False)
    try:
        items = read_items(items_path, checked_body)
        if check:
            console.print(f"{len(items)} items, nothing wrong with them")
            return
        if folder is None:
            raise click.UsageError("say where the images go: --out FOLDER")
        base_url = parse_target(url, allow_remote=True).base_url
        api_key = None if api_key_env is None else read_secret(api_key_env)
        with Manifest(folder) as manifest:
            if retry_failed:
                manifest.forget_failed()
            left = manifest.left(items)
            rules = Rules(timeout_s=timeout_s, attempts=attempts)
            stopped = asyncio.run(
                _render(left, base_url, api_key, manifest, rules, concurrency, len(items), console)
            )
            entries = list(manifest.entries.values())
    except (ItemsError, ManifestError, SettingsError, TargetRefused) as error:
        raise click.UsageError(str(error)) from None
    console.print(summary(entries, len(items)))
    console.print(f"{folder / MANIFEST}", soft_wrap=True)
    if stopped is not None:
        console.print(f"{stopped}\nThe same command goes on from here.", soft_wrap=True, markup=False)
        raise click.exceptions.Exit(STOPPED)
    if sum(not entry.ok for entry in entries) > max_failures:
        raise click.exceptions.Exit(TOO_MANY_FAILED)


def checked_body(body: Body) -> Body:
    """The fields that are set, in their types. Raises BodyProblem for what the endpoint would refuse to read,
    and for what makes no file."""
    try:
        request = ImageGenerationRequest.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        message = "is not a field of a request" if first["type"] == "extra_forbidden" else first["msg"]
        raise BodyProblem(f"{field}: {message}") from None
    if not request.prompt.strip():
        raise BodyProblem("prompt: is empty")
    if request.stream:
        raise BodyProblem("stream: a batch takes whole images; leave it out")
    if request.response_format == "url":
        raise BodyProblem("response_format: a batch writes the images to files; leave it out")
    return request.model_dump(mode="json", exclude_unset=True)


async def _render(
    left: list[Item],
    base_url: str,
    api_key: str | None,
    manifest: Manifest,
    rules: Rules,
    concurrency: int,
    total: int,
    console: Console,
) -> str | None:
    """Why it stopped before the end, or None. The first Ctrl-C waits for what was sent, a second does not."""
    pause = Pause()
    rendering = asyncio.current_task()
    assert rendering is not None

    def stop() -> None:
        if pause.stop.is_set():
            rendering.cancel()
        else:
            console.print("stopping when what was sent is answered; Ctrl-C again stops at once")
            pause.stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        with showing(console, manifest.entries.values(), total) as progress:
            async with open_endpoint(base_url, api_key) as endpoint:
                await render_items(left, endpoint, manifest, rules, concurrency, pause, progress)
    except EndpointError as error:
        return str(error)
    except OSError as error:
        return f"the folder cannot be written to ({error.strerror})"
    except asyncio.CancelledError:
        return "stopped; what was being rendered is not kept"
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    return "stopped" if pause.stop.is_set() and len(manifest.entries) < total else None

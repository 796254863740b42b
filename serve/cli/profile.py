"""`atelier profile`: measures a diffusion model here, so that its predictions are right from the start."""

import re
from pathlib import Path

import click
from rich.console import Console

from deployments.diffusion.spec import DiffusionSpec
from deployments.engine.profile import ShapeProfile, write_profile
from serve.config import ConfigError, load_config

_SIZE = re.compile(r"(\d+)x(\d+)")


def _sizes(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[tuple[int, int]]:
    sizes = []
    for value in values:
        match = _SIZE.fullmatch(value)
        if match is None:
            raise click.BadParameter(f"{value!r} is not WIDTHxHEIGHT, as in 512x512")
        sizes.append((int(match[1]), int(match[2])))
    return sizes


@click.command()
@click.argument("model")
@click.option("--config", "config_path", required=True, type=click.Path(dir_okay=False), help="App config.")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="File to write.")
@click.option("--size", "sizes", multiple=True, callback=_sizes, help="WIDTHxHEIGHT; repeat for several.")
@click.option(
    "--batch",
    "batches",
    multiple=True,
    type=click.IntRange(1, 256),
    help="Repeat for several.  [default: 1, 2, 4 ... up to the model's max_batch]",
)
def profile(
    model: str, config_path: str, out: Path, sizes: list[tuple[int, int]], batches: tuple[int, ...]
) -> None:
    """Measure step times of MODEL by size and batch, and write them for the model's `profile:` setting."""
    try:
        config = load_config(config_path)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    spec = config.models.get(model)
    if not isinstance(spec, DiffusionSpec):
        known = [name for name, each in config.models.items() if isinstance(each, DiffusionSpec)]
        raise click.ClickException(
            f"{config_path} has no diffusion model {model!r}; it has {', '.join(known) or 'none'}"
        )
    if not out.parent.is_dir():
        raise click.ClickException(f"{out.parent} is not a folder: make it first")
    from deployments.diffusion.profiling import batches_up_to, profile_model

    with Console(stderr=True).status(f"measuring {model} ..."):
        try:
            measured = profile_model(
                model,
                spec,
                sizes or [(spec.default_width, spec.default_height)],
                batches or batches_up_to(spec.max_batch),
            )
        except ValueError as error:
            raise click.ClickException(f"{model}: {error}") from None
    try:
        write_profile(measured, out)
    except OSError as error:
        raise click.ClickException(f"{out} cannot be written ({error.strerror})") from None
    for shape in measured.shapes:
        click.echo(_summary(shape))
    click.echo(f"wrote {out}; set `profile: {out}` on {model}")


def _summary(shape: ShapeProfile) -> str:
    sizes = (1,) if shape.max_batch == 1 else (1, shape.max_batch)
    times_s = {size: shape.step_fixed_s + size * shape.step_per_request_s for size in sizes}
    steps = ", ".join(f"{seconds * 1000:.1f} ms in a batch of {size}" for size, seconds in times_s.items())
    return (
        f"{shape.width}x{shape.height}: a step takes {steps}; "
        f"before the steps {shape.prepare_s * 1000:.1f} ms, after them {shape.decode_s * 1000:.1f} ms"
    )

"""`atelier profile`: measures a diffusion model here, so that its predictions are right from the start."""

import re
from pathlib import Path

import click
from rich.console import Console

from deployments.diffusion.spec import DiffusionSpec
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
@click.option("--batch", "batches", multiple=True, type=click.IntRange(1, 256), help="Repeat for several.")
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
    from deployments.diffusion.profiling import profile_model
    from deployments.engine.profile import write_profile

    with Console(stderr=True).status(f"measuring {model} ..."):
        measured = profile_model(
            model, spec, sizes or [(spec.default_width, spec.default_height)], batches or (1, 2, 4)
        )
    write_profile(measured, out)
    click.echo(f"wrote {out}; set `profile: {out}` on {model}")
